#include "cmd/memorystreamer/operations.h"

#include <stdio.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rpc/http.h"
#include "rpc/server.h"
#include "streamer/figures.h"

struct operations {
    struct broker *broker;
    struct loop *control;
    struct rpc_server *server;
    uint32_t asking; /* pages that wait for the shards */
    bool closing;
    uint64_t deadline_ns;
    void (*closed)(void *context);
    void *closed_context;
};

/* A page that waits for what the shards tell. */
struct page {
    struct operations *operations;
    struct http_exchange *exchange;
    struct figures *figures;
    void (*write)(const struct page *);
};

/* --- answers ------------------------------------------------------------------------------------------------------------------ */

static void answer(struct http_exchange *x, unsigned status, struct slice type, const struct buf *body)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%zu", body->size);
    const struct http_header headers[] = {{SLICE("content-type"), type},
                                          {SLICE("content-length"), slice_of(digits, (size_t)n)},
                                          {SLICE("cache-control"), SLICE("no-store")}};
    struct slice bytes = buf_slice(body);
    http_respond(x, buf_err(body) ? 500 : status, headers, 3);
    http_write(x, &bytes, 1);
    http_finish(x, NULL, 0);
    http_release(x);
}

static void answer_busy(struct http_exchange *x)
{
    struct buf body;
    buf_init(&body, 256);
    buf_puts(&body, "{\"ready\":false,\"reasons\":[\"stopping, or out of memory\"]}\n");
    answer(x, 503, SLICE("application/json"), &body);
    buf_fini(&body);
}

static void write_metrics(const struct page *p)
{
    struct buf body;
    buf_init(&body, LIMIT_METRICS_PAGE_BYTES);
    enum err e = metrics_write(broker_metrics(p->operations->broker), &body);
    if (!e)
        figures_write(p->figures, &body);
    answer(p->exchange, e ? 500 : 200, SLICE("text/plain; version=0.0.4; charset=utf-8"), &body);
    buf_fini(&body);
}

/* Alive as long as the shards answer; what is not well is said. */
static void write_health(const struct page *p)
{
    const char *trouble = figures_trouble(p->figures);
    struct buf body;
    buf_init(&body, 4096);
    buf_printf(&body, "{\"status\":\"%s\"", trouble ? "degraded" : "ok");
    if (trouble)
        buf_printf(&body, ",\"reason\":\"%s\"", trouble);
    buf_puts(&body, "}\n");
    answer(p->exchange, 200, SLICE("application/json"), &body);
    buf_fini(&body);
}

static void write_ready(const struct page *p)
{
    const char *trouble = figures_trouble(p->figures);
    struct buf body;
    buf_init(&body, 4096);
    if (trouble)
        buf_printf(&body, "{\"ready\":false,\"reasons\":[\"%s\"]}\n", trouble);
    else
        buf_puts(&body, "{\"ready\":true,\"reasons\":[]}\n");
    answer(p->exchange, trouble ? 503 : 200, SLICE("application/json"), &body);
    buf_fini(&body);
}

/* --- asking the shards -------------------------------------------------------------------------------------------------------- */

static void drain(struct operations *o)
{
    rpc_server_drain(o->server, o->deadline_ns, o->closed, o->closed_context);
}

static void heard(struct figures *figures)
{
    struct page *p = figures->context;
    struct operations *o = p->operations;
    p->write(p);
    figures_free(figures);
    mem_free(p);
    o->asking--;
    if (o->closing && !o->asking)
        drain(o);
}

static void ask(struct operations *o, struct http_exchange *x, void (*write)(const struct page *))
{
    struct page *p = o->closing ? NULL : mem_zalloc(sizeof *p);
    if (p)
        *p = (struct page){.operations = o, .exchange = x, .write = write};
    if (!p || figures_ask(o->broker, o->control, heard, p, &p->figures)) {
        mem_free(p);
        answer_busy(x);
        return;
    }
    o->asking++;
}

static void metrics_page(void *context, struct http_exchange *x)
{
    ask(context, x, write_metrics);
}

static void health_page(void *context, struct http_exchange *x)
{
    ask(context, x, write_health);
}

static void ready_page(void *context, struct http_exchange *x)
{
    ask(context, x, write_ready);
}

/* --- its life ----------------------------------------------------------------------------------------------------------------- */

static enum err serve_pages(struct operations *o)
{
    static const struct {
        const char *path;
        void (*page)(void *context, struct http_exchange *);
    } pages[] = {{"/health", health_page}, {"/ready", ready_page}, {"/metrics", metrics_page}};
    enum err e = OK;
    for (size_t i = 0; i < sizeof pages / sizeof *pages && !e; i++)
        e = rpc_server_route(o->server, "GET", pages[i].path, pages[i].page, o);
    return e;
}

enum err operations_open(struct broker *broker, struct loop *control, const char *address, struct diag *diag,
                         struct operations **ret_operations)
{
    struct operations *o = mem_zalloc(sizeof *o);
    if (!o)
        return ERR_NOMEM;
    o->broker = broker;
    o->control = control;
    const struct rpc_server_options options = {
        .loop = control, .message_bytes_max = LIMIT_MESSAGE_BYTES, .connections_max = LIMIT_OPERATIONS_CONNECTIONS};
    enum err e = rpc_server_new(&options, &o->server);
    if (!e)
        e = serve_pages(o);
    if (!e)
        e = rpc_server_listen(o->server, address, NULL, false, diag);
    if (e)
        operations_free(o);
    else
        *ret_operations = o;
    return e;
}

const char *operations_address(const struct operations *o)
{
    return rpc_server_address(o->server);
}

void operations_close(struct operations *o, uint64_t deadline_ns, void (*closed)(void *context), void *context)
{
    o->closing = true;
    o->deadline_ns = deadline_ns;
    o->closed = closed;
    o->closed_context = context;
    if (!o->asking)
        drain(o);
}

void operations_free(struct operations *o)
{
    if (o && o->server)
        rpc_server_free(o->server);
    mem_free(o);
}
