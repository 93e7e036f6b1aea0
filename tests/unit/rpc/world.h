/* A server with the test service and a client of it: in the deterministic twin, or on the machine's sockets for TLS. */
#ifndef PRISM_TESTS_RPC_WORLD_H
#define PRISM_TESTS_RPC_WORLD_H

#include <stdio.h>

#include "../harness.h"
#include "base/mem.h"
#include "grpc/testing/messages.pb.h"
#include "rpc/client.h"
#include "rpc/testing/test_service.h"
#include "rt/sim/sim.h"

struct world {
    struct sim *sim;
    struct loop *loop;
    struct rpc_server *server;
    struct rpc_client *client;
    struct rpc_shares *shares; /* NULL: no limits by client */
    struct arena arena;
    struct diag diag;
    bool drained;
    uint32_t finished_count;
    enum err finished_err;
    char identity[128];  /* of the newest call's peer */
    const char *offence; /* why the newest connection was ended or refused */
    uint64_t offence_frames;
    uint64_t allocations_at_start, allocations; /* of the newest call, between its headers and its end */
};

/* One call of the client, and what has come of it. */
struct script {
    struct world *world;
    struct rpc_client_call *call;
    struct arena arena;
    struct diag diag;
    uint32_t message_count;
    size_t message_bytes;
    uint32_t sizes[16]; /* of the payloads in responses */
    uint32_t headers_count;
    bool ended;
    unsigned status;
    uint32_t cancel_after;        /* messages; 0: never */
    struct slice header, trailer; /* the echoed ones */
};

static inline uint32_t note_start(void *context, struct rpc_call *call)
{
    (void)call;
    struct world *w = context;
    w->allocations_at_start = mem_thread_count();
    return 4 << 20;
}

static inline void note_finished(void *context, struct rpc_call *call, enum err e, uint64_t in, uint64_t out)
{
    (void)in, (void)out;
    struct world *w = context;
    snprintf(w->identity, sizeof w->identity, "%s", call->peer_identity ? call->peer_identity : "");
    w->finished_count++;
    w->finished_err = e;
    w->allocations = mem_thread_count() - w->allocations_at_start;
}

static inline void note_offence(void *context, const struct rpc_offence *offence)
{
    struct world *w = context;
    w->offence = offence->reason;
    w->offence_frames = offence->frames;
}

static inline void note_drained(void *context)
{
    ((struct world *)context)->drained = true;
}

static inline enum err world_serve(struct world *w, const char *address, struct tls *tls)
{
    struct rpc_server_options o = {.loop = w->loop,
                                   .shares = w->shares,
                                   .message_bytes_max = 4 << 20,
                                   .message_limit = note_start,
                                   .on_finished = note_finished,
                                   .on_offence = note_offence,
                                   .context = w};
    enum err e = rpc_server_new(&o, &w->server);
    if (!e)
        e = test_service_add(w->server);
    return e ? e : rpc_server_listen(w->server, address, tls, false, &w->diag);
}

static inline enum err world_open_with(struct world *w, uint64_t seed, struct rpc_shares *shares)
{
    *w = (struct world){.shares = shares};
    arena_init(&w->arena, 1 << 20);
    diag_init(&w->diag, &w->arena);
    struct rpc_client_options o = {.address = "server:80"};
    enum err e = sim_new(seed, &w->sim);
    if (!e)
        e = loop_new(sim_env(w->sim), 0, &w->loop);
    if (!e)
        e = world_serve(w, "server:80", NULL);
    o.loop = w->loop;
    return e ? e : rpc_client_new(&o, &w->diag, &w->client);
}

static inline enum err world_open(struct world *w, uint64_t seed)
{
    return world_open_with(w, seed, NULL);
}

static inline void world_drain(struct world *w, uint64_t ns)
{
    rpc_server_drain(w->server, loop_now_ns(w->loop) + ns, note_drained, w);
}

static inline void world_close(struct world *w)
{
    rpc_client_free(w->client);
    if (w->server && !w->drained) {
        world_drain(w, 0);
        while (!w->drained)
            loop_turn(w->loop, true);
    }
    rpc_server_free(w->server);
    while (w->loop && loop_turn(w->loop, true)) {
    }
    if (w->loop)
        loop_free(w->loop);
    if (w->sim)
        sim_free(w->sim);
    arena_fini(&w->arena);
}

static inline void script_message(struct rpc_client_call *call, struct slice message)
{
    struct script *s = rpc_client_call_user(call);
    void *decoded;
    if (pb_decode(&grpc_testing_streaming_output_call_response_pb, message, &s->arena, &pb_limits_default, &decoded) ==
        OK) {
        const struct grpc_testing_streaming_output_call_response *r = decoded;
        if (s->message_count < sizeof s->sizes / sizeof *s->sizes)
            s->sizes[s->message_count] = r->payload ? (uint32_t)r->payload->body.size : 0;
    }
    s->message_count++;
    s->message_bytes += message.size;
    if (s->message_count == s->cancel_after)
        rpc_client_cancel(call);
}

static inline void script_headers(struct rpc_client_call *call)
{
    ((struct script *)rpc_client_call_user(call))->headers_count++;
}

static inline void script_end(struct rpc_client_call *call, unsigned status, const struct diag *diag)
{
    struct script *s = rpc_client_call_user(call);
    struct slice copy;
    CHECK(!s->ended);
    s->ended = true;
    s->status = status;
    diag_set(&s->diag, diag->err, "%s", diag_message(diag));
    if (arena_copy(&s->arena, rpc_client_header(call, "x-grpc-test-echo-initial"), &copy))
        s->header = copy;
    if (arena_copy(&s->arena, rpc_client_trailer(call, "x-grpc-test-echo-trailing-bin"), &copy))
        s->trailer = copy;
}

static inline enum err script_begin(struct script *s, struct world *w, const char *method,
                                    const struct rpc_client_call_options *more)
{
    static const struct rpc_client_events events = {script_headers, script_message, NULL, script_end};
    struct rpc_client_call_options o = more ? *more : (struct rpc_client_call_options){0};
    char path[128] = "/grpc.testing.TestService/";
    strcat(path, method);
    o.path = path;
    *s = (struct script){.world = w};
    arena_init(&s->arena, 64 << 20);
    diag_init(&s->diag, &s->arena);
    return rpc_client_call(w->client, &o, &events, s, &s->call);
}

static inline enum err script_send(struct script *s, const struct pb_message *table, const void *message)
{
    struct buf b;
    buf_init(&b, 64 << 20);
    enum err e = pb_encode_buf(table, message, &b);
    if (!e)
        rpc_client_send(s->call, buf_slice(&b));
    buf_fini(&b);
    return e;
}

static inline enum err script_ask(struct script *s, const int32_t *sizes, unsigned count, int32_t interval_us)
{
    struct grpc_testing_response_parameters parameters[16] = {0}, *items[16];
    struct grpc_testing_streaming_output_call_request request = {.response_parameters = {items, count, count}};
    for (unsigned i = 0; i < count; i++) {
        parameters[i].size = sizes[i];
        parameters[i].interval_us = interval_us;
        items[i] = &parameters[i];
    }
    return script_send(s, &grpc_testing_streaming_output_call_request_pb, &request);
}

/* Until the call has ended. */
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
