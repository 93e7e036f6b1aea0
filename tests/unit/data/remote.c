#include "remote.h"

#include <stdio.h>

#include "../harness.h"
#include "base/limits.h"
#include "base/mem.h"
#include "google/protobuf/timestamp.pb.h"
#include "prism/keyvalue/v1/keyvalue_basic.ops.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"

/* --- the driver -------------------------------------------------------------------------------------------------------------- */

static void reply(struct remote *r, struct call *call)
{
    struct google_protobuf_timestamp expires = {.seconds = r->expires_ms / 1000};
    struct keyvalue_get_response found = {
        .found = true, .value = SLICE("v"), .expires_at = r->expires_ms ? &expires : NULL};
    struct keyvalue_set_response written = {.version = SLICE("1")};
    call_reply(call, call->method->pb->mutation ? (void *)&written : (void *)&found);
}

static void finish(struct remote *r, struct call *call, enum err e)
{
    call->on_cancel = NULL;
    if (e)
        call_fail(call, e, "the script says %s", err_name(e));
    else
        reply(r, call);
}

static void cancelled(struct call *call)
{
    struct remote *r = (struct remote *)call->ns->backend;
    unsigned at = 0;
    while (r->waiting[at] != call)
        at++;
    memmove(&r->waiting[at], &r->waiting[at + 1], (--r->waiting_count - at) * sizeof *r->waiting);
    r->cancelled++;
    call_end(call, ERR_CANCELLED);
}

static void attempt(struct backend *backend, struct call *call)
{
    struct remote *r = (struct remote *)backend;
    unsigned n = r->attempts++;
    if (n < r->script_count) {
        finish(r, call, r->script[n]);
        return;
    }
    CHECK(r->waiting_count < REMOTE_WAITING);
    r->waiting[r->waiting_count++] = call;
    call->on_cancel = cancelled;
}

static void get(struct backend *backend, struct call *call, const struct keyvalue_get_request *request)
{
    (void)request;
    attempt(backend, call);
}

static void set(struct backend *backend, struct call *call, const struct keyvalue_set_request *request)
{
    (void)request;
    attempt(backend, call);
}

static const struct keyvalue_basic_ops ops = {.get = get, .set = set};
static const struct driver driver_remote = {
    .name = "remote", .remote = true, .implements = {[INTERFACE_KEYVALUE_BASIC] = &ops}};

void remote_answer(struct remote *r, enum err e)
{
    CHECK(r->waiting_count > 0);
    struct call *call = r->waiting[0];
    memmove(&r->waiting[0], &r->waiting[1], --r->waiting_count * sizeof *r->waiting);
    finish(r, call, e);
}

/* --- the world --------------------------------------------------------------------------------------------------------------- */

static void kept(struct namespace *ns)
{
    test_fail(__FILE__, __LINE__, "the last reference of namespace %s was let go", ns->name);
}

static const struct guard_settings settings = {
    .breaker = {.failures = 5, .open_ms = 30000, .half_open_calls = 1},
    .bulkhead = {.in_flight_max = 100, .queue_max = 100},
    .retry = {.attempts_max = 3, .budget_percent = 10},
};

enum err remote_add_loop(struct remote *r)
{
    enum err e = loop_new(sim_env(r->sim), r->loop_count, &r->loops[r->loop_count]);
    r->loop_count += !e;
    return e;
}

enum err remote_init(struct remote *r)
{
    *r = (struct remote){.backend = {.driver = &driver_remote}};
    r->ns = (struct namespace){.name = "test",
                               .backend_name = "remote",
                               .backend = &r->backend,
                               .guard_settings = settings,
                               .refs = 1,
                               .free = kept};
    enum err e = sim_new(1, &r->sim);
    if (!e)
        e = remote_add_loop(r);
    if (!e)
        e = guard_new(sim_env(r->sim), &r->ns.guard);
    if (e)
        remote_fini(r);
    return e;
}

void remote_fini(struct remote *r)
{
    guard_free(r->ns.guard);
    for (unsigned i = 0; i < r->loop_count; i++)
        loop_free(r->loops[i]);
    if (r->sim)
        sim_free(r->sim);
}

void remote_run_ms(struct remote *r, uint64_t ms)
{
    uint64_t end_ns = sim_now_ns(r->sim) + ms * 1000000;
    for (uint64_t at = 0; at <= ms; at++) {
        for (unsigned turn = 0; turn < 4; turn++)
            for (unsigned i = 0; i < r->loop_count; i++)
                loop_turn(r->loops[i], false);
        if (sim_now_ns(r->sim) < end_ns)
            sim_advance(r->sim, 1000000);
    }
}

void remote_run(struct remote *r)
{
    remote_run_ms(r, 2 * LIMIT_RETRY_BACKOFF_MS_MAX);
}

/* --- calls ------------------------------------------------------------------------------------------------------------------- */

struct made {
    struct call call; /* the first member */
    struct arena arena;
    struct remote_call *told;
};

static enum call_flow take(struct call *call, const void *message)
{
    struct remote_call *c = ((struct made *)call)->told;
    c->answers++;
    c->found = !call->method->pb->mutation && ((const struct keyvalue_get_response *)message)->found;
    return CALL_GO;
}

static void end(struct call *call, enum err e)
{
    struct made *m = (struct made *)call;
    struct remote_call *c = m->told;
    CHECK(!c->ended);
    CHECK(!call->guarded);
    c->ended = true;
    c->err = e;
    c->call = NULL;
    c->retry_after_ms = call->diag.retry_after_ms;
    snprintf(c->message, sizeof c->message, "%s", diag_message(&call->diag));
    CHECK(!e || e == ERR_CANCELLED || e == ERR_NOMEM || call->diag.err == e);
    arena_fini(&m->arena);
    mem_free(m);
}

static const struct call_sink sink = {.send = take, .end = end};

static struct made *make(struct remote *r, struct remote_call *c, unsigned loop, enum method_id id)
{
    struct made *m = mem_zalloc(sizeof *m);
    if (!m)
        return NULL;
    arena_init(&m->arena, LIMIT_CALL_ARENA_BYTES);
    m->told = c;
    m->call = (struct call){.method = &methods[id],
                            .ns = &r->ns,
                            .loop = r->loops[loop],
                            .arena = &m->arena,
                            .deadline_ns = c->deadline_ns ? c->deadline_ns : UINT64_MAX,
                            .sink = &sink};
    if (c->idempotency_key)
        m->call.idempotency_key = slice_str(c->idempotency_key);
    diag_init(&m->call.diag, &m->arena);
    *c = (struct remote_call){.call = &m->call};
    return m;
}

static enum err start(struct made *m, void *request, struct slice *key_field, const char *key)
{
    if (!request) {
        arena_fini(&m->arena);
        mem_free(m);
        return ERR_NOMEM;
    }
    *key_field = slice_str(key);
    m->call.request = request;
    guard_call(&m->call);
    return OK;
}

enum err remote_get(struct remote *r, struct remote_call *c, unsigned loop, const char *key)
{
    struct made *m = make(r, c, loop, METHOD_KEYVALUE_BASIC_GET);
    struct keyvalue_get_request *request = m ? pb_new(&keyvalue_get_request_pb, &m->arena) : NULL;
    return m ? start(m, request, request ? &request->key : NULL, key) : ERR_NOMEM;
}

enum err remote_set(struct remote *r, struct remote_call *c, unsigned loop, const char *key)
{
    struct made *m = make(r, c, loop, METHOD_KEYVALUE_BASIC_SET);
    struct keyvalue_set_request *request = m ? pb_new(&keyvalue_set_request_pb, &m->arena) : NULL;
    return m ? start(m, request, request ? &request->key : NULL, key) : ERR_NOMEM;
}
