/* What requests add to: how many of each API, and how long they took. The tables here and in figures_page.c are also the reference page
 * docs/reference/memorystreamer-metrics.md. Thread: see base/metrics.h. */
#ifndef PRISM_STREAMER_STREAM_MEASURE_H
#define PRISM_STREAMER_STREAM_MEASURE_H

#include "base/metrics.h"

struct request;

struct stream_measure {
    struct metrics *metrics;
    struct metric *durations[]; /* by the place of the API in dispatch_rows */
};

enum err stream_measure_new(unsigned shards, struct stream_measure **ret_measure) __attribute__((warn_unused_result));
void stream_measure_free(struct stream_measure *); /* NULL is fine */
/* It is answered. */
void stream_measure_request(struct stream_measure *, const struct request *);
void streamer_metrics_reference(struct buf *out);

#endif
