/* Histogram of a wide range with a fixed relative error: latencies from nanoseconds to an hour, each kept to three significant
 * digits (0.1 %), so that p99.99 is as exact as the median. Constant memory (about 270 KiB), adding costs a few instructions.
 *
 *   bucket of v:  v < 2048: v itself; above: the leading 11 bits of v and how far they were shifted
 *
 * Values above HDR_VALUE_MAX count as that. Thread: one at a time.
 * Source: Gil Tene's HdrHistogram, with 1,024 buckets a power of two. */
#ifndef PRISM_BASE_HDR_H
#define PRISM_BASE_HDR_H

#include "base/err.h"

#define HDR_VALUE_MAX ((UINT64_C(1) << 42) - 1) /* 73 minutes in nanoseconds */

struct hdr;

enum err hdr_new(struct hdr **ret_hdr) __attribute__((warn_unused_result)); /* ERR_NOMEM */
void hdr_free(struct hdr *);                                                /* NULL is fine */
void hdr_reset(struct hdr *);
void hdr_add(struct hdr *, uint64_t value);
void hdr_merge(struct hdr *to, const struct hdr *from);
uint64_t hdr_count(const struct hdr *);
uint64_t hdr_min(const struct hdr *); /* exact; 0 where empty, also the next ones */
uint64_t hdr_max(const struct hdr *); /* exact */
double hdr_mean(const struct hdr *);  /* exact */
/* The value that part (0 to 1) of all values are at or below, at most 0.1 % too large and never above the maximum. */
uint64_t hdr_quantile(const struct hdr *, double part);

#endif
