/* Tokens that come back with time: so many at once, so many a second in the long run.
 *
 *   struct budget b = {0};                             full
 *   if (!budget_take(&b, 200, 33, loop_now_ns(l)))     the 201st at once
 *
 * Time is the caller's, in nanoseconds, and does not go back. Thread: one at a time. */
#ifndef PRISM_BASE_BUDGET_H
#define PRISM_BASE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct budget {
    uint32_t spent;
    uint64_t since_ns; /* spent has been brought up to date then; 0: never used */
};

/* Takes a token. false: none is left. per_s is not 0. */
bool budget_take(struct budget *, uint32_t burst, uint32_t per_s, uint64_t now_ns);

#endif
