/* Counters, gauges and histograms with bounded label sets, written out in the Prometheus text format.
 *
 *   metrics_new(shards, &m);                                    shards: one a loop, and one for all other threads
 *   metrics_add(m, &(struct metric_desc){...}, &requests);      at start: one family a name
 *   series = metric_series(requests, labels);                   once a label set; keep the pointer
 *   metric_inc(series, loop_id(loop));                          the hot path: one load, one store, no lock
 *
 * Each series has a cell a shard, on cache lines of its own, so that loops never share one. The number of series of a family
 * is limited; past it label sets are counted together in one whose labels read "other": memory is bounded, and the sums stay
 * right. Series live as long as the metrics.
 *
 * Thread: metric_series and metrics_write from any (a lock). A cell is written by one thread at a time: shard i by loop i;
 * other threads use metric_add_shared, which pays for an atomic addition on the last shard.
 * Source: Prometheus text exposition format 0.0.4. */
#ifndef PRISM_BASE_METRICS_H
#define PRISM_BASE_METRICS_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum { METRIC_LABELS_MAX = 6, METRIC_BOUNDS_MAX = 24 };

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Static: only pointers are kept. */
struct metric_desc {
    const char *name; /* "prism_requests_total" */
    const char *help;
    enum metric_type type;
    const char *labels[METRIC_LABELS_MAX]; /* names; NULL ends */
    double bounds[METRIC_BOUNDS_MAX];      /* histogram: upper bounds, rising; 0 ends */
    double divisor;      /* what is added, divided by this, is what is written (0: 1): 1e9 for ns → seconds */
    uint32_t series_max; /* 0: LIMIT_METRIC_SERIES */
    double (*read)(void *context); /* gauge without labels: asked when written, instead of being set */
    void *context;
};

struct metrics;
struct metric_family;

/* One label set. cells[shard * stride …]: the value; of a histogram a count a bound, then +Inf, then the sum. */
struct metric {
    struct metric_family *family;
    struct metric *next;
    struct slice labels; /* as written: a="x",b="y" */
    uint32_t stride;
    uint8_t apart[64]; /* every loop reads what stands above; none writes to its line */
    atomic_int_fast64_t cells[];
};

enum err metrics_new(unsigned shards, struct metrics **ret_metrics) __attribute__((warn_unused_result));
void metrics_free(struct metrics *); /* NULL is fine */
/* ERR_NOMEM. The name must not be there yet. A family without labels has its one series from the start. */
enum err metrics_add(struct metrics *, const struct metric_desc *, struct metric_family **ret_family)
    __attribute__((warn_unused_result));
/* The series of these label values, in the order of the names; made where it is new. At the limit, or without memory, the
 * "other" series. Values are cut at LIMIT_METRIC_LABEL_BYTES. Never NULL. */
struct metric *metric_series(struct metric_family *, const struct slice *values);
/* All families in the order added, series in the order made. */
enum err metrics_write(struct metrics *, struct buf *out);

/* Sum over the shards: of a counter or gauge its value, of a histogram the number of observations. For tests and pages. */
int64_t metric_value(const struct metric *);

/* Counter: value >= 0. Gauge: either; what counts is the sum over the shards. */
static inline void metric_add(struct metric *m, unsigned shard, int64_t value)
{
    atomic_int_fast64_t *cell = &m->cells[shard * m->stride];
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + value, memory_order_relaxed);
}

static inline void metric_inc(struct metric *m, unsigned shard)
{
    metric_add(m, shard, 1);
}

/* From a thread that has no shard. */
void metric_add_shared(struct metric *, int64_t value);
/* Histogram: value in the unit before the divisor. */
void metric_observe(struct metric *, unsigned shard, int64_t value);

#endif
