/* The server of the tests by foreign clients: grpc.testing.TestService for gRPC's interoperability cases, and for h2spec a
 * page at / that answers when the request has ended, so that h2spec's next frame meets a stream that is still open.
 *
 *   prism-interop-server [HOST:PORT [CERT KEY]]      prints {"event":"ready","listen":"…"}; SIGTERM drains */
#include <signal.h>
#include <stdio.h>

#include "base/limits.h"
#include "rpc/http.h"
#include "rpc/testing/test_service.h"

struct program {
    struct loop *loop;
    struct rpc_server *server;
    bool draining;
};

static void answer_page(struct http_exchange *x)
{
    struct slice text = SLICE("the request has ended\n");
    http_respond(x, 200, &(struct http_header){SLICE("content-type"), SLICE("text/plain")}, 1);
    http_write(x, &text, 1);
    http_finish(x, NULL, 0);
    http_release(x);
}

static void on_page_body(struct http_exchange *x, struct block *block, struct slice data, bool end)
{
    (void)block;
    http_consumed(x, data.size);
    if (end)
        answer_page(x);
}

static void on_page_abort(struct http_exchange *x, enum err e)
{
    (void)e;
    http_release(x);
}

static void page(void *context, struct http_exchange *x)
{
    static const struct http_events events = {.on_body = on_page_body, .on_abort = on_page_abort};
    (void)context;
    x->events = &events;
}

static enum err add_services(struct rpc_server *server)
{
    enum err e = test_service_add(server);
    if (!e)
        e = rpc_server_route(server, "GET", "/", page, NULL);
    return e ? e : rpc_server_route(server, "POST", "/", page, NULL);
}

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
        e = add_services(p->server);
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
