/* Families that calls add to. The table is also the reference page. */
#include "proxy/measure.h"

#include <stdio.h>

#include "base/mem.h"
#include "proxy/snapshot.h"

enum family { REQUESTS, DURATIONS, ERRORS, NAMESPACE_REQUESTS, REQUEST_BYTES, RESPONSE_BYTES, RELOADS, FAMILY_COUNT };

static const struct metric_desc families[FAMILY_COUNT] = {
    [REQUESTS] = {.name = "prism_requests_total",
                  .help = "Calls that have ended, by gRPC status.",
                  .type = METRIC_COUNTER,
                  .labels = {"namespace", "method", "backend", "code"}},
    [DURATIONS] = {.name = "prism_request_duration_seconds",
                   .help = "From the headers of a call to its end.",
                   .type = METRIC_HISTOGRAM,
                   .labels = {"namespace", "method", "backend"},
                   .bounds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
                              5},
                   .divisor = 1e9},
    [ERRORS] = {.name = "prism_errors_total",
                .help = "Calls that have failed, by the name of the error.",
                .type = METRIC_COUNTER,
                .labels = {"namespace", "code"}},
    [NAMESPACE_REQUESTS] = {.name = "prism_namespace_requests_total",
                            .help = "Calls of a namespace that have ended.",
                            .type = METRIC_COUNTER,
                            .labels = {"namespace"}},
    [REQUEST_BYTES] = {.name = "prism_request_bytes_total",
                       .help = "Bytes of request messages as they came.",
                       .type = METRIC_COUNTER,
                       .labels = {"namespace"}},
    [RESPONSE_BYTES] = {.name = "prism_response_bytes_total",
                        .help = "Bytes of response messages as they were sent.",
                        .type = METRIC_COUNTER,
                        .labels = {"namespace"}},
    [RELOADS] = {.name = "prism_config_reloads_total",
                 .help = "Reloads of the configuration, by result: ok or failed.",
                 .type = METRIC_COUNTER,
                 .labels = {"result"}},
};

static enum err add_families(struct measure *m)
{
    struct metric_family *reloads;
    struct metric_family **at[FAMILY_COUNT] = {
        [REQUESTS] = &m->requests,
        [DURATIONS] = &m->durations,
        [ERRORS] = &m->errors,
        [NAMESPACE_REQUESTS] = &m->namespace_requests,
        [REQUEST_BYTES] = &m->request_bytes,
        [RESPONSE_BYTES] = &m->response_bytes,
        [RELOADS] = &reloads,
    };
    for (enum family f = 0; f < FAMILY_COUNT; f++) {
        enum err e = metrics_add(m->metrics, &families[f], at[f]);
        if (e)
            return e;
    }
    m->reloads_ok = metric_series(reloads, &SLICE("ok"));
    m->reloads_failed = metric_series(reloads, &SLICE("failed"));
    return OK;
}

enum err measure_new(unsigned shards, struct measure **ret_measure)
{
    struct measure *m = mem_zalloc(sizeof *m);
    if (!m)
        return ERR_NOMEM;
    enum err e = metrics_new(shards, &m->metrics);
    if (!e)
        e = add_families(m);
    if (e)
        measure_free(m);
    else
        *ret_measure = m;
    return e;
}

void measure_free(struct measure *m)
{
    if (!m)
        return;
    metrics_free(m->metrics);
    mem_free(m);
}

/* "keyvalue_basic/Get", or "grpc.health.v1.Health/Check". */
static struct slice method_label(const struct pb_method *m, char out[static 128])
{
    const char *owner = m->service->interface_id ? m->service->interface_id : m->service->name;
    int n = snprintf(out, 128, "%s/%s", owner, m->name);
    return slice_of(out, n < 128 ? (size_t)n : 127);
}

static struct metric *find_series(struct metric_family *f, const struct pb_method *method, const struct namespace *ns,
                                  enum err e)
{
    char label[128];
    const struct slice values[] = {slice_str(ns ? ns->name : ""), method_label(method, label),
                                   slice_str(ns ? ns->backend_name : ""),
                                   slice_str(grpc_status_name(err_row(e)->grpc))};
    return metric_series(f, values);
}

/* Looked up once a slot. Two threads may do it at the same time: they find the same series. */
static struct metric *slot_series(_Atomic(struct metric *) *slot, struct metric_family *f,
                                  const struct pb_method *method, const struct namespace *ns, enum err e)
{
    struct metric *series = atomic_load_explicit(slot, memory_order_acquire);
    if (series)
        return series;
    series = find_series(f, method, ns, e);
    atomic_store_explicit(slot, series, memory_order_release);
    return series;
}

static struct metric *name_series(_Atomic(struct metric *) *slot, struct metric_family *f, const struct namespace *ns)
{
    struct metric *series = atomic_load_explicit(slot, memory_order_acquire);
    if (series)
        return series;
    struct slice name = slice_str(ns->name);
    series = metric_series(f, &name);
    atomic_store_explicit(slot, series, memory_order_release);
    return series;
}

/* With the clock of now: the loop's is that of the turn, in which a call may begin and end. */
static int64_t took_ns(const struct rpc_call *rpc)
{
    const struct env *env = loop_env(rpc->loop);
    return (int64_t)(env->monotonic_ns(env) - rpc->start_ns);
}

static uint32_t method_index(const struct pb_method *method)
{
    for (enum interface i = 0; i < INTERFACE_COUNT; i++)
        if (interfaces[i].service == method->service)
            return interfaces[i].method_first + (uint32_t)(method - method->service->methods);
    return 0;
}

/* The warm path: loads and stores of this loop's own cells. */
static void count_known(struct measure *m, const struct rpc_call *rpc, struct namespace *ns, enum err e,
                        uint64_t bytes_in, uint64_t bytes_out)
{
    struct proxy_namespace *p = (struct proxy_namespace *)ns;
    uint32_t method = method_index(rpc->method);
    unsigned shard = loop_id(rpc->loop);
    metric_inc(slot_series(&p->requests[method][err_row(e)->grpc], m->requests, rpc->method, ns, e), shard);
    metric_observe(slot_series(&p->durations[method], m->durations, rpc->method, ns, e), shard, took_ns(rpc));
    metric_inc(name_series(&p->total, m->namespace_requests, ns), shard);
    metric_add(name_series(&p->bytes_in, m->request_bytes, ns), shard, (int64_t)bytes_in);
    metric_add(name_series(&p->bytes_out, m->response_bytes, ns), shard, (int64_t)bytes_out);
}

static void count_other(struct measure *m, const struct rpc_call *rpc, enum err e)
{
    unsigned shard = loop_id(rpc->loop);
    metric_inc(find_series(m->requests, rpc->method, NULL, e), shard);
    metric_observe(find_series(m->durations, rpc->method, NULL, e), shard, took_ns(rpc));
}

void measure_call(struct measure *m, const struct rpc_call *rpc, struct namespace *ns, enum err e, uint64_t bytes_in,
                  uint64_t bytes_out)
{
    if (!m)
        return;
    if (ns)
        count_known(m, rpc, ns, e, bytes_in, bytes_out);
    else
        count_other(m, rpc, e);
    if (e) {
        const struct slice values[] = {slice_str(ns ? ns->name : ""), slice_str(err_name(e))};
        metric_inc(metric_series(m->errors, values), loop_id(rpc->loop));
    }
}

void measure_reload(struct measure *m, bool ok)
{
    if (m)
        metric_add_shared(ok ? m->reloads_ok : m->reloads_failed, 1);
}

enum err measure_write(struct measure *m, const struct measure_page *page, struct buf *out)
{
    enum err e = metrics_write(m->metrics, out);
    if (!e)
        measure_write_page(page, out);
    return e ? e : buf_err(out);
}

static void put_row(const struct metric_desc *d, struct buf *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    buf_printf(out, "| `%s` | %s |", d->name, types[d->type]);
    for (uint32_t i = 0; i < METRIC_LABELS_MAX && d->labels[i]; i++)
        buf_printf(out, "%s `%s`", i ? "," : "", d->labels[i]);
    buf_printf(out, " | %s |\n", d->help);
}

void measure_reference(struct buf *out)
{
    buf_puts(
        out,
        "# Metrics\n\nGenerated by `make docs` from the tables in `src/proxy/measure.c` and `measure_page.c`. Served "
        "at "
        "`GET /metrics` on\nthe metrics port, in the Prometheus text format. A call to a namespace that does not exist "
        "counts under `namespace=\"\"`;\npast a metric's limit of series, label values read `other`.\n\n"
        "| name | type | labels | meaning |\n|---|---|---|---|\n");
    for (enum family f = 0; f < FAMILY_COUNT; f++)
        put_row(&families[f], out);
    measure_page_reference(out);
}
