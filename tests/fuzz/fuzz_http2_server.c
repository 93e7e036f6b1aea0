/* Bytes that a stranger sends to the server after the preface, in the deterministic twin: nothing may break, every call that was
 * started ends, and nothing is left behind. */
#include "base/mem.h"
#include "rpc/testing/test_service.h"
#include "rt/sim/sim.h"

struct peer {
    struct conn *conn;
    bool closed;
};

static void require(bool condition)
{
    if (!condition)
        __builtin_trap();
}

static void on_open(void *context, struct conn *conn)
{
    (void)context, (void)conn;
}

static void on_data(void *context, struct conn *conn, struct block *block, struct slice data)
{
    (void)context, (void)conn, (void)block, (void)data;
}

static void on_closed(void *context, struct conn *conn, enum err e, const struct diag *diag)
{
    (void)conn, (void)e, (void)diag;
    struct peer *p = context;
    p->closed = true;
}

static void on_drained(void *context)
{
    *(bool *)context = true;
}

static void attack(struct sim *sim, struct loop *loop, struct slice input)
{
    enum { TURNS = 200 };
    static const struct conn_events events = {
        .on_open = on_open, .on_data = on_data, .on_drained = on_open, .on_closed = on_closed};
    static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    struct slice parts[] = {slice_of(hello, sizeof hello), input};
    struct peer peer = {0};
    require(conn_open(loop, "server:80", NULL, NULL, 1000, &events, &peer, NULL, &peer.conn) == OK);
    for (int i = 0; i < 20 && !peer.closed; i++)
        loop_turn(loop, false), sim_advance(sim, 100000);
    if (!peer.closed)
        conn_write(peer.conn, parts, 2);
    for (int i = 0; i < TURNS && !peer.closed; i++)
        loop_turn(loop, false), sim_advance(sim, 100000);
    if (!peer.closed)
        conn_abort(peer.conn);
    while (!peer.closed)
        loop_turn(loop, true);
}

static void serve(struct sim *sim, struct loop *loop, struct slice input)
{
    bool drained = false;
    struct rpc_server *server;
    struct rpc_server_options o = {.loop = loop, .message_bytes_max = 1 << 20};
    require(rpc_server_new(&o, &server) == OK);
    require(test_service_add(server) == OK);
    require(rpc_server_listen(server, "server:80", NULL, false, NULL) == OK);
    attack(sim, loop, input);
    rpc_server_drain(server, sim_now_ns(sim), on_drained, &drained);
    while (!drained)
        loop_turn(loop, true);
    require(rpc_server_stats(server)->calls_in_flight == 0);
    rpc_server_free(server);
    while (loop_turn(loop, true)) {
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim *sim;
    struct loop *loop;
    int64_t live = mem_live();
    require(sim_new(1, &sim) == OK);
    require(loop_new(sim_env(sim), 0, &loop) == OK);
    sim_set_delay(sim, 1000, 1000);
    serve(sim, loop, slice_of(data, size));
    loop_free(loop);
    sim_free(sim);
    require(mem_live() == live);
    return 0;
}
