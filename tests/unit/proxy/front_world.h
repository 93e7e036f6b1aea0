/* A worker's front without its thread: server with all data interfaces, health and reflection, over a snapshot with the memory
 * driver (namespace "memory") and a driver of the test that keeps its calls (namespace "slow"), and a client, in the
 * deterministic twin. */
#ifndef PRISM_TESTS_PROXY_FRONT_WORLD_H
#define PRISM_TESTS_PROXY_FRONT_WORLD_H

#include "../harness.h"
#include "base/mem.h"
#include "drivers/memory/memory.h"
#include "prism/keyvalue/v1/keyvalue_basic.ops.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"
#include "prism/keyvalue/v1/keyvalue_cas.pb.h"
#include "proxy/front.h"
#include "proxy/measure.h"
#include "proxy/served.h"
#include "rpc/client.h"
#include "rt/sim/sim.h"

/* --- the driver that keeps its calls ---------------------------------------------------------------------------------------- */

struct slow {
    struct call *calls[8];
    uint32_t count;
    uint32_t cancels;
};
static struct slow slow; /* reset by world_open */

static inline void slow_cancelled(struct call *call)
{
    slow.cancels++;
    call_end(call, ERR_CANCELLED);
}

static inline void slow_get(struct backend *backend, struct call *call, const struct keyvalue_get_request *request)
{
    (void)backend, (void)request;
    call->on_cancel = slow_cancelled;
    slow.calls[slow.count++] = call;
}

static inline void slow_answer(uint32_t i)
{
    struct keyvalue_get_response response = {.found = true};
    call_reply(slow.calls[i], &response);
}

extern const struct driver slow_driver;
static const struct keyvalue_basic_ops slow_ops = {.get = slow_get};

static inline enum err slow_open(const struct backend_open *open, struct backend **ret_backend)
{
    (void)open;
    struct backend *b = mem_zalloc(sizeof *b);
    if (!b)
        return ERR_NOMEM;
    b->driver = &slow_driver;
    *ret_backend = b;
    return OK;
}

static inline void slow_close(struct backend *backend)
{
    mem_free(backend);
}

const struct driver slow_driver = {
    .name = "slow", .implements = {[INTERFACE_KEYVALUE_BASIC] = &slow_ops}, .open = slow_open, .close = slow_close};
static const struct driver *const world_drivers[] = {&driver_memory, &slow_driver};
static const struct driver_registry world_registry = {world_drivers, 2};

/* --- the world --------------------------------------------------------------------------------------------------------------- */

struct world {
    struct sim *sim;
    struct loop *loop;
    struct pool *pool;
    struct keeper keeper;
    struct snapshot_options options;
    struct measure *measure;
    struct front front;
    struct rpc_server_options front_options;
    struct rpc_server *server;
    struct served served;
    struct rpc_client *client;
    struct arena arena;
    struct diag diag;
    bool drained;
    uint64_t allocations_at_start, allocations; /* of the newest call, from its headers to its end */
};

static inline enum err world_snapshot(struct world *w, const char *text, struct snapshot **ret_snapshot)
{
    const struct config_source source = {.drivers = &world_registry};
    struct config_report report;
    struct config *config;
    config_report_init(&report, &w->arena, NULL);
    enum err e = config_load_text(&source, slice_str(text), &report, &config);
    CHECK_EQ(report.total, 0);
    if (!e && (e = snapshot_new(&w->options, config, &w->diag, ret_snapshot)))
        config_free(config);
    return e;
}

static inline uint32_t world_limit(void *context, struct rpc_call *call)
{
    struct world *w = context;
    w->allocations_at_start = mem_thread_count();
    return w->front_options.message_limit(w->front_options.context, call);
}

static inline void world_finished(void *context, struct rpc_call *call, enum err e, uint64_t in, uint64_t out)
{
    struct world *w = context;
    w->front_options.on_finished(w->front_options.context, call, e, in, out);
    w->allocations = mem_thread_count() - w->allocations_at_start;
}

static inline enum err world_serve(struct world *w)
{
    w->front_options = front_server_options(&w->front);
    struct rpc_server_options o = w->front_options;
    o.message_limit = world_limit;
    o.on_finished = world_finished;
    o.context = w;
    enum err e = rpc_server_new(&o, &w->server);
    if (!e)
        e = front_serve(&w->front, w->server);
    if (!e)
        e = health_serve(&w->served, w->server);
    if (!e)
        e = reflection_serve(&w->served, w->server);
    return e ? e : rpc_server_listen(w->server, "server:80", NULL, false, &w->diag);
}

static inline enum err world_make(struct world *w)
{
    struct snapshot *snapshot;
    enum err e = sim_new(1, &w->sim);
    if (!e)
        e = loop_new(sim_env(w->sim), 0, &w->loop);
    if (!e)
        e = pool_new(1, &w->pool);
    if (!e)
        e = measure_new(2, &w->measure);
    if (e)
        return e;
    keeper_init(&w->keeper, w->loop, w->pool);
    w->options = (struct snapshot_options){
        .drivers = &world_registry, .env = sim_env(w->sim), .keeper = &w->keeper, .data_dir = "data", .loops = 1};
    e = world_snapshot(w, "namespaces: [{name: memory, backend: memory}, {name: slow, backend: slow}]\n", &snapshot);
    if (e)
        return e;
    front_init(&w->front, w->loop, snapshot, &world_registry, 2);
    w->front.measure = w->measure;
    e = world_serve(w);
    const struct rpc_client_options o = {.address = "server:80", .loop = w->loop};
    return e ? e : rpc_client_new(&o, &w->diag, &w->client);
}

static inline enum err world_open(struct world *w)
{
    *w = (struct world){0};
    slow = (struct slow){0};
    arena_init(&w->arena, 4 << 20);
    diag_init(&w->diag, &w->arena);
    return world_make(w);
}

static inline void world_note_drained(void *context)
{
    ((struct world *)context)->drained = true;
}

static inline void world_close(struct world *w)
{
    rpc_client_free(w->client);
    if (w->server) {
        served_drain(&w->served);
        rpc_server_drain(w->server, sim_now_ns(w->sim), world_note_drained, w);
        while (!w->drained)
            loop_turn(w->loop, true);
    }
    rpc_server_free(w->server);
    front_fini(&w->front);
    while (w->loop && loop_turn(w->loop, true)) {
    }
    CHECK_EQ(atomic_load(&w->keeper.open), 0);
    if (w->measure)
        keeper_fini(&w->keeper);
    pool_free(w->pool);
    if (w->loop)
        loop_free(w->loop);
    measure_free(w->measure);
    if (w->sim)
        sim_free(w->sim);
    arena_fini(&w->arena);
}

/* --- a call of the client ---------------------------------------------------------------------------------------------------- */

struct script {
    struct world *world;
    struct rpc_client_call *call;
    struct arena arena;
    struct diag diag;
    void *response; /* the newest message */
    const struct pb_method *method;
    uint32_t message_count;
    bool ended;
    unsigned status;
};

static inline void script_message(struct rpc_client_call *call, struct slice message)
{
    struct script *s = rpc_client_call_user(call);
    struct slice copy;
    s->message_count++;
    if (!arena_copy(&s->arena, message, &copy) ||
        pb_decode(s->method->output, copy, &s->arena, &pb_limits_default, &s->response))
        s->response = NULL;
}

static inline void script_end(struct rpc_client_call *call, unsigned status, const struct diag *diag)
{
    struct script *s = rpc_client_call_user(call);
    CHECK(!s->ended);
    s->ended = true;
    s->status = status;
    diag_set(&s->diag, diag->err, "%s", diag_message(diag));
}

static inline enum err script_begin_with(struct script *s, struct world *w, const struct pb_method *method,
                                         const char *ns, const void *request, uint64_t timeout_ns,
                                         struct http_header more)
{
    static const struct rpc_client_events events = {NULL, script_message, NULL, script_end};
    const struct http_header metadata[] = {{SLICE("prism-namespace"), slice_str(ns)}, more};
    const struct rpc_client_call_options o = {
        .path = method->path, .metadata = metadata, .metadata_count = more.name.size ? 2 : 1, .timeout_ns = timeout_ns};
    struct buf b;
    *s = (struct script){.world = w, .method = method};
    arena_init(&s->arena, 4 << 20);
    diag_init(&s->diag, &s->arena);
    buf_init(&b, 4 << 20);
    enum err e = pb_encode_buf(method->input, request, &b);
    if (!e)
        e = rpc_client_call(w->client, &o, &events, s, &s->call);
    if (!e) {
        rpc_client_send(s->call, buf_slice(&b));
        rpc_client_send_end(s->call);
    }
    buf_fini(&b);
    return e;
}

static inline enum err script_begin(struct script *s, struct world *w, const struct pb_method *method, const char *ns,
                                    const void *request, uint64_t timeout_ns)
{
    return script_begin_with(s, w, method, ns, request, timeout_ns, (struct http_header){0});
}

static inline void script_run(struct script *s)
{
    while (!s->ended)
        loop_turn(s->world->loop, true);
}

static inline void script_fini(struct script *s)
{
    arena_fini(&s->arena);
}

#endif
