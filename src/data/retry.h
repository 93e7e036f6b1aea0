/* When a failed call may be sent again, and after how long. Pure.
 *
 * A budget keeps retries a small part of all calls, however many callers there are: each call puts a part of a token into a
 * bucket, each retry takes a whole one. When everything fails, retries add budget_percent to the load and no more, where retries
 * without a budget would multiply it. The bucket begins full, so that a seldom used namespace has its retries too.
 * The wait is a random part of an exponentially growing time, so that calls that failed together do not come back together.
 *
 * Thread: one at a time. Sources: gRFC A6 (retry throttling); Brooker, "Exponential Backoff And Jitter" (full jitter);
 * "The Site Reliability Workbook", Google, Managing Load (retry budgets). */
#ifndef PRISM_DATA_RETRY_H
#define PRISM_DATA_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct retry_settings {
    uint32_t attempts_max;   /* of one call, the first included; 1: no retries */
    uint32_t budget_percent; /* retries by calls */
};

enum { RETRY_TOKENS_MAX = 10, RETRY_TOKEN = 100 };

/* Hundredths of a retry that may be made. Zeroed: full. */
struct retry_budget {
    uint32_t spent; /* 0 … RETRY_TOKENS_MAX * RETRY_TOKEN */
};

/* A call, not a retry, is being sent. */
void retry_budget_earn(struct retry_budget *, const struct retry_settings *);
/* Takes one retry out, if it is there. */
bool retry_budget_take(struct retry_budget *);

/* What a retry would do to the caller's data. */
enum retry_safety {
    RETRY_UNSAFE, /* a second execution differs from one */
    RETRY_SAFE,   /* a read, idempotent, or with an idempotency key */
};
/* Whether sending the call again can do no harm and may help: what outcome.h says, and nothing of an answer is out yet. */
bool retry_allowed(enum err, enum retry_safety, bool answered_partly);

/* Wait before attempt number `attempt` (2: the first retry); random is uniform over 64 bits. */
uint64_t retry_backoff_ns(uint32_t attempt, uint64_t random);

#endif
