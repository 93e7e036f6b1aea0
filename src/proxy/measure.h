/* What the proxy counts, for /metrics. Families that calls add to are in base/metrics; figures that somebody else keeps
 * (servers, drivers, the kernel) are read when the page is asked for and written behind them (measure_page.c). Labels are
 * bounded: configured namespaces, known methods, configured backends, codes; a namespace that does not exist counts as "".
 *
 * The tables here are also the reference page docs/reference/metrics.md. Thread: see base/metrics.h. */
#ifndef PRISM_PROXY_MEASURE_H
#define PRISM_PROXY_MEASURE_H

#include "base/metrics.h"
#include "data/namespace.h"
#include "rpc/server.h"

struct snapshot;

struct measure {
    struct metrics *metrics;
    struct metric_family *requests, *durations, *errors, *namespace_requests, *request_bytes, *response_bytes;
    struct metric *reloads_ok, *reloads_failed;
};

/* shards: loops and one. */
enum err measure_new(unsigned shards, struct measure **ret_measure) __attribute__((warn_unused_result));
void measure_free(struct measure *); /* NULL is fine */
/* A call has ended. Thread: its loop's. ns NULL: none, or not a data call. measure may be NULL. */
void measure_call(struct measure *, const struct rpc_call *, struct namespace *ns, enum err, uint64_t bytes_in,
                  uint64_t bytes_out);
void measure_reload(struct measure *, bool ok);

/* What /metrics shows beside the families. */
struct measure_page {
    const struct snapshot *snapshot;
    const struct rpc_server_stats *data;    /* summed over the workers */
    const struct rpc_server_stats *metrics; /* of the metrics port */
    const char *version;
    int64_t started_ms;
};
enum err measure_write(struct measure *, const struct measure_page *, struct buf *out);
/* docs/reference/metrics.md */
void measure_reference(struct buf *out);

/* measure_page.c */
void measure_write_page(const struct measure_page *, struct buf *out);
void measure_page_reference(struct buf *out);

#endif
