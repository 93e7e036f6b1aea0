/* The metrics port: /health, /ready and /metrics for machines, ProxyAdmin, health and reflection for tools. It runs on the control
 * loop, so it answers whatever the workers are busy with, and until the very end of a drain. */
#include <stdio.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "proxy/access_log.h"
#include "proxy/condition.h"
#include "proxy/internal.h"

/* --- pages ------------------------------------------------------------------------------------------------------------------- */

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

static void put_namespace(const struct namespace *ns, enum condition condition, const char *reason, struct json *j)
{
    json_object(j);
    json_key(j, "name");
    json_text(j, ns->name);
    json_key(j, "backend");
    json_text(j, ns->backend_name);
    json_key(j, "status");
    json_text(j, condition_name(condition));
    json_key(j, "reason");
    json_text(j, reason);
    json_end_object(j);
}

/* The namespaces that are in a condition, each with its reason: objects for machines, or sentences. Whether there is any. */
static bool put_namespaces(const struct snapshot *s, enum condition wanted, bool objects, struct json *j)
{
    bool any = false;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct namespace *ns = &s->namespaces[i].ns;
        struct diag diag;
        diag_init(&diag, &arena);
        if (namespace_condition(ns, &diag) != wanted)
            continue;
        any = true;
        if (objects) {
            put_namespace(ns, wanted, diag_message(&diag), j);
            continue;
        }
        char *reason = arena_printf(&arena, "namespace %s: %s", ns->name, diag_message(&diag));
        json_text(j, reason ? reason : ns->name);
    }
    arena_fini(&arena);
    return any;
}

/* Alive as long as this loop turns; namespaces that are not well are named. */
static void health_page(void *context, struct http_exchange *x)
{
    struct proxy *p = context;
    struct buf body, list;
    buf_init(&body, 4 << 20);
    buf_init(&list, 4 << 20);
    struct json j = json_to(&list);
    json_array(&j);
    bool degraded = put_namespaces(p->snapshot, CONDITION_DEGRADED, true, &j);
    degraded |= put_namespaces(p->snapshot, CONDITION_DOWN, true, &j);
    json_end_array(&j);
    if (degraded)
        buf_printf(&body, "{\"status\":\"degraded\",\"namespaces\":%.*s}\n", SLICE_ARG(buf_slice(&list)));
    else
        buf_puts(&body, "{\"status\":\"ok\"}\n");
    answer(x, 200, SLICE("application/json"), &body);
    buf_fini(&list);
    buf_fini(&body);
}

/* Whether traffic should come here: a remote backend that is out of reach is no reason against it. */
static void ready_page(void *context, struct http_exchange *x)
{
    struct proxy *p = context;
    struct buf body, reasons;
    buf_init(&body, 4 << 20);
    buf_init(&reasons, 4 << 20);
    struct json j = json_to(&reasons);
    json_array(&j);
    if (p->state != PROXY_SERVING)
        json_text(&j, "draining");
    bool down = put_namespaces(p->snapshot, CONDITION_DOWN, false, &j) || p->state != PROXY_SERVING;
    json_end_array(&j);
    buf_printf(&body, "{\"ready\":%s,\"reasons\":%.*s}\n", down ? "false" : "true", SLICE_ARG(buf_slice(&reasons)));
    answer(x, down ? 503 : 200, SLICE("application/json"), &body);
    buf_fini(&reasons);
    buf_fini(&body);
}

/* --- /metrics: the workers are asked for their figures first ------------------------------------------------------------------ */

struct scrape {
    struct proxy *proxy;
    struct http_exchange *exchange;
    uint32_t left;
    struct rpc_server_stats sum;
    struct worker_task tasks[];
};

static void add_stats(struct rpc_server_stats *sum, const struct rpc_server_stats *s)
{
    sum->connections_accepted += s->connections_accepted;
    sum->connections_open += s->connections_open;
    sum->connections_refused += s->connections_refused;
    sum->calls_started += s->calls_started;
    sum->calls_in_flight += s->calls_in_flight;
    sum->streams_reset_by_peer += s->streams_reset_by_peer;
    sum->goaways_sent += s->goaways_sent;
    sum->abuse_closed += s->abuse_closed;
    sum->connections_over_share += s->connections_over_share;
    sum->calls_over_share += s->calls_over_share;
    sum->keepalive_closed += s->keepalive_closed;
    sum->bytes_in += s->bytes_in;
    sum->bytes_out += s->bytes_out;
}

static void write_metrics(struct proxy *p, struct http_exchange *x)
{
    struct buf body;
    buf_init(&body, LIMIT_METRICS_PAGE_BYTES);
    const struct measure_page page = {.snapshot = p->snapshot,
                                      .data = &p->data_stats,
                                      .metrics = rpc_server_stats(p->server),
                                      .version = p->options.version,
                                      .started_ms = p->started_ms};
    measure_write(p->measure, &page, &body);
    answer(x, 200, SLICE("text/plain; version=0.0.4; charset=utf-8"), &body);
    buf_fini(&body);
}

static void heard(struct worker_task *t)
{
    struct scrape *s = t->context;
    struct proxy *p = s->proxy;
    add_stats(&s->sum, &t->stats);
    if (--s->left)
        return;
    p->data_stats = s->sum;
    write_metrics(p, s->exchange);
    mem_free(s);
    proxy_less_busy(p);
}

/* While workers are going the last figures are shown: a worker whose loop has ended does not answer. */
static void metrics_page(void *context, struct http_exchange *x)
{
    struct proxy *p = context;
    size_t size = sizeof(struct scrape) + p->worker_count * sizeof(struct worker_task);
    struct scrape *s = p->state == PROXY_SERVING ? mem_zalloc(size) : NULL;
    if (!s) {
        write_metrics(p, x);
        return;
    }
    s->proxy = p;
    s->exchange = x;
    s->left = p->worker_count;
    p->busy++;
    for (uint32_t i = 0; i < p->worker_count; i++) {
        s->tasks[i] = (struct worker_task){.worker = p->workers[i], .control = p->loop, .done = heard, .context = s};
        worker_stats(&s->tasks[i]);
    }
}

/* --- the server -------------------------------------------------------------------------------------------------------------- */

static void on_finished(void *context, struct rpc_call *rpc, enum err e, uint64_t bytes_in, uint64_t bytes_out)
{
    struct proxy *p = context;
    measure_call(p->measure, rpc, NULL, e, bytes_in, bytes_out);
    access_log(p->options.log, p->snapshot, rpc, NULL, e);
}

static enum err add_pages(struct proxy *p)
{
    static const struct {
        const char *path;
        void (*page)(void *context, struct http_exchange *);
    } pages[] = {{"/health", health_page}, {"/ready", ready_page}, {"/metrics", metrics_page}};
    enum err e = OK;
    for (size_t i = 0; i < sizeof pages / sizeof *pages && !e; i++)
        e = rpc_server_route(p->server, "GET", pages[i].path, pages[i].page, p);
    return e;
}

enum err operations_new(struct proxy *p)
{
    const struct rpc_server_options options = {.loop = p->loop,
                                               .message_bytes_max = LIMIT_MESSAGE_BYTES,
                                               .on_finished = on_finished,
                                               .context = p,
                                               .connections_max = LIMIT_OPERATIONS_CONNECTIONS};
    enum err e = rpc_server_new(&options, &p->server);
    if (!e)
        e = add_pages(p);
    if (!e)
        e = admin_serve(p);
    if (!e)
        e = health_serve(&p->served, p->server);
    if (!e)
        e = reflection_serve(&p->served, p->server);
    return e;
}
