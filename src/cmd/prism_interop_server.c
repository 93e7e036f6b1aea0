/* The server of the gRPC interoperability tests: grpc.testing.TestService on 127.0.0.1, for tests only.
 *
 *   prism-interop-server [HOST:PORT [CERT KEY]]      prints {"event":"ready","listen":"…"}; SIGTERM drains */
#include <signal.h>
#include <stdio.h>

#include "base/limits.h"
#include "rpc/testing/test_service.h"

struct program {
    struct loop *loop;
    struct rpc_server *server;
    bool draining;
};

static void on_drained(void *context)
{
    struct program *p = context;
    loop_stop(p->loop);
}

static void on_signal(void *context, int signal)
{
    (void)signal;
    struct program *p = context;
    if (p->draining)
        return;
    p->draining = true;
    rpc_server_drain(p->server, loop_now_ns(p->loop) + (uint64_t)LIMIT_DRAIN_MS * 1000000, on_drained, p);
}

static enum err listen_on(struct program *p, int argc, char **argv, struct diag *diag)
{
    struct tls *tls = NULL;
    struct tls_options o = {.cert_file = argc > 3 ? argv[2] : NULL, .key_file = argc > 3 ? argv[3] : NULL};
    enum err e = argc > 3 ? tls_server_new(&o, diag, &tls) : OK;
    if (!e)
        e = rpc_server_listen(p->server, argc > 1 ? argv[1] : "127.0.0.1:0", tls, false, diag);
    tls_unref(tls);
    return e;
}

static enum err run(struct program *p, int argc, char **argv, struct diag *diag)
{
    enum err e = loop_new(env_real(), 0, &p->loop);
    if (e)
        return e;
    struct rpc_server_options o = {.loop = p->loop, .message_bytes_max = LIMIT_MESSAGE_BYTES};
    e = rpc_server_new(&o, &p->server);
    if (!e)
        e = test_service_add(p->server);
    if (!e)
        e = listen_on(p, argc, argv, diag);
    if (!e)
        e = loop_on_signal(p->loop, SIGTERM, on_signal, p);
    if (e)
        return e;
    printf("{\"event\":\"ready\",\"listen\":\"%s\"}\n", rpc_server_address(p->server));
    fflush(stdout);
    loop_run(p->loop);
    rpc_server_free(p->server);
    loop_free(p->loop);
    return OK;
}

int main(int argc, char **argv)
{
    struct arena arena;
    struct diag diag;
    struct program p = {0};
    arena_init(&arena, 1 << 20);
    diag_init(&diag, &arena);
    enum err e = run(&p, argc, argv, &diag);
    if (e)
        fprintf(stderr, "prism-interop-server: %s\n", diag.err ? diag_message(&diag) : err_row(e)->text);
    arena_fini(&arena);
    return err_row(e)->exit_code;
}
