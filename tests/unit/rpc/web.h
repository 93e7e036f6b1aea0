/* A server on the twin and a client that speaks bytes: for the tests of HTTP/1.1 and HTTP/JSON. */
#ifndef PRISM_TESTS_WEB_H
#define PRISM_TESTS_WEB_H

#include <stdio.h>

#include "../harness.h"
#include "base/limits.h"
#include "base/mem.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"
#include "prism/keyvalue/v1/keyvalue_scan.pb.h"
#include "rpc/server.h"
#include "rpc/testing/test_service.h"
#include "rt/sim/sim.h"

struct web {
    struct sim *sim;
    struct loop *loop;
    struct rpc_server *server;
    struct conn *client; /* NULL: gone */
    struct buf in;       /* what the server has said */
    bool opened, closed, listening, drained;
    /* What handlers saw. */
    struct rpc_call *held; /* key "hold": not finished; released by the test */
    int cancelled, finished;
    enum err outcome;
    char seen[512]; /* of the last call: namespace, key */
};

/* ---- a service that answers by the key -------------------------------------------------------------------------------- */

static inline struct web *web_of(struct rpc_call *c)
{
    return c->context;
}

static inline void web_get(struct rpc_call *c, const struct rpc_message *m)
{
    struct keyvalue_get_response r = {.found = true, .version = SLICE("v1")};
    struct web *w = web_of(c);
    void *decoded;
    if (rpc_decode(c, m, &decoded) != OK) {
        rpc_finish(c, ERR_PB_MALFORMED);
        return;
    }
    const struct keyvalue_get_request *q = decoded;
    snprintf(w->seen, sizeof w->seen, "%.*s %.*s", SLICE_ARG(c->namespace_name), SLICE_ARG(q->key));
    if (slice_eq(q->key, SLICE("hold"))) {
        w->held = c;
        return;
    }
    if (slice_eq(q->key, SLICE("fail"))) {
        diag_set(&c->diag, ERR_NAMESPACE_UNKNOWN, "there is no namespace \"x\"");
        diag_field(&c->diag, "key", "is not liked");
        c->diag.retry_after_ms = 1500;
        rpc_finish(c, ERR_NAMESPACE_UNKNOWN);
        return;
    }
    if (slice_starts_with(q->key, SLICE("big"))) {
        char *big = arena_alloc(c->arena, 100000);
        if (big)
            memset(big, 'x', 100000);
        r.value = slice_of(big, big ? 100000 : 0);
    } else {
        r.value = q->key;
    }
    rpc_header_add(c, "x-test", SLICE("yes\r\nx-evil: 1"));
    rpc_send(c, &r);
    rpc_finish(c, OK);
}

/* A page an item of the limit, then what the prefix says. */
static inline void web_scan(struct rpc_call *c, const struct rpc_message *m)
{
    const struct keyvalue_scan_request *q = m->decoded;
    struct keyvalue_scan_response r = {.next_cursor = SLICE("next")};
    for (uint64_t i = 0; i < q->limit; i++)
        rpc_send(c, &r);
    if (slice_eq(q->prefix, SLICE("hold")))
        web_of(c)->held = c;
    else if (slice_eq(q->prefix, SLICE("fail")))
        rpc_finish(c, diag_set(&c->diag, ERR_IO, "the disk is gone"));
    else
        rpc_finish(c, OK);
}

static inline void web_message(struct rpc_call *c, const struct rpc_message *m)
{
    if (strcmp(c->method->name, "Get") == 0)
        web_get(c, m);
    else if (strcmp(c->method->name, "Scan") == 0)
        web_scan(c, m);
    else
        rpc_finish(c, ERR_UNIMPLEMENTED);
}

static inline void web_cancel(struct rpc_call *c, enum err e)
{
    struct web *w = web_of(c);
    (void)e;
    w->cancelled++;
    w->held = NULL;
    rpc_finish(c, ERR_CANCELLED);
}

static inline void web_finished(void *context, struct rpc_call *c, enum err e, uint64_t in, uint64_t out)
{
    struct web *w = context;
    (void)c, (void)in, (void)out;
    w->finished++;
    w->outcome = e;
}

static inline void web_page(void *context, struct http_exchange *x)
{
    struct http_header h[] = {{SLICE("content-type"), SLICE("text/plain")}};
    struct slice body = SLICE("fine\n");
    (void)context;
    http_respond(x, 200, h, 1);
    http_write(x, &body, 1);
    http_finish(x, NULL, 0);
    http_release(x);
}

/* ---- client ----------------------------------------------------------------------------------------------------------- */

static inline void web_on_open(void *context, struct conn *c)
{
    (void)c;
    ((struct web *)context)->opened = true;
}

static inline void web_on_data(void *context, struct conn *c, struct block *b, struct slice data)
{
    (void)c, (void)b;
    buf_put_slice(&((struct web *)context)->in, data);
}

static inline void web_on_closed(void *context, struct conn *c, enum err e, const struct diag *d)
{
    struct web *w = context;
    (void)c, (void)e, (void)d;
    w->closed = true;
    w->client = NULL;
}

static inline enum err web_connect(struct web *w)
{
    static const struct conn_events events = {
        .on_open = web_on_open, .on_data = web_on_data, .on_closed = web_on_closed};
    w->opened = w->closed = false;
    buf_reset(&w->in);
    enum err e = conn_open(w->loop, rpc_server_address(w->server), NULL, NULL, 1000, &events, w, NULL, &w->client);
    while (!e && !w->opened && !w->closed)
        loop_turn(w->loop, true);
    return e ? e : w->opened ? OK : ERR_NOMEM;
}

static inline enum err web_serve(struct web *w)
{
    static const struct rpc_handlers handlers = {.on_message = web_message, .on_cancel = web_cancel};
    struct rpc_server_options o = {
        .loop = w->loop, .message_bytes_max = 1 << 20, .on_finished = web_finished, .context = w};
    enum err e = rpc_server_new(&o, &w->server);
    if (!e)
        e = rpc_server_add(w->server, &keyvalue_basic_service, &handlers, w);
    if (!e)
        e = rpc_server_add(w->server, &keyvalue_scan_service, &handlers, w);
    if (!e)
        e = test_service_add(w->server);
    if (!e)
        e = rpc_server_route(w->server, "GET", "/health", web_page, w);
    if (!e)
        e = rpc_server_listen(w->server, "127.0.0.1:0", NULL, false, NULL);
    w->listening = !e;
    return e;
}

static inline enum err web_new(struct web *w, uint64_t seed)
{
    *w = (struct web){0};
    buf_init(&w->in, 64 << 20);
    enum err e = sim_new(seed, &w->sim);
    if (!e)
        e = loop_new(sim_env(w->sim), 0, &w->loop);
    if (!e)
        e = web_serve(w);
    return e ? e : web_connect(w);
}

static inline void web_drained(void *context)
{
    ((struct web *)context)->drained = true;
}

static inline void web_free(struct web *w)
{
    if (w->client)
        conn_abort(w->client);
    if (w->listening) {
        rpc_server_drain(w->server, loop_now_ns(w->loop) + 1000000000, web_drained, w);
        while (!w->drained)
            loop_turn(w->loop, true);
    }
    rpc_server_free(w->server);
    loop_free(w->loop);
    sim_free(w->sim);
    buf_fini(&w->in);
}

struct web_alarm {
    struct timer timer;
    bool rung;
};

static inline void web_ring(struct timer *t)
{
    ((struct web_alarm *)t)->rung = true;
}

/* Lets fake time pass. */
static inline void web_wait(struct web *w, uint64_t ms)
{
    struct web_alarm a = {.timer.fire = web_ring};
    timer_start(w->loop, &a.timer, loop_now_ns(w->loop) + ms * 1000000);
    while (!a.rung)
        loop_turn(w->loop, true);
}

static inline void web_send(struct web *w, struct slice bytes)
{
    if (w->client)
        conn_write(w->client, &bytes, 1);
}

/* All that the server has said since the last web_say. */
static inline const char *web_heard(struct web *w)
{
    buf_putc(&w->in, '\0');
    if (buf_err(&w->in))
        return "";
    w->in.size--;
    return (const char *)w->in.data;
}

/* What the server says to the request within 100 ms. */
static inline const char *web_say(struct web *w, const char *request)
{
    buf_reset(&w->in);
    web_send(w, slice_str(request));
    web_wait(w, 100);
    return web_heard(w);
}

/* POST with a JSON body; more: further header lines. */
static inline const char *web_post(struct web *w, const char *path, const char *more, const char *body)
{
    char request[8192];
    snprintf(request, sizeof request,
             "POST %s HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n%scontent-length: %zu\r\n\r\n%s",
             path, more, strlen(body), body);
    return web_say(w, request);
}

static inline bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static inline int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

#define CHECK_HAS(text, part)                                                                                          \
    (has((text), (part)) ? (void)0 : test_fail(__FILE__, __LINE__, "\"%s\" is not in:\n%s", (part), (text)))

#endif
