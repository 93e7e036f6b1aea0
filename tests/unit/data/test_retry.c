/* Which failures are repeated, how many, and when; and the bulkhead's counters. */
#include "data/retry.h"

#include "../harness.h"
#include "base/limits.h"
#include "data/bulkhead.h"
#include "data/outcome.h"

static const struct retry_settings tenth = {.attempts_max = 3, .budget_percent = 10};

TEST(retries_are_a_tenth_of_the_calls)
{
    struct retry_budget b = {0};
    unsigned taken = 0;
    for (int i = 0; i < 10000; i++) {
        retry_budget_earn(&b, &tenth);
        taken += retry_budget_take(&b);
    }
    CHECK_EQ(taken, 1000 + RETRY_TOKENS_MAX - 1); /* the first call found the bucket full: its tenth ran over */
}

TEST(a_quiet_namespace_has_its_retries)
{
    struct retry_budget b = {0};
    for (int i = 0; i < RETRY_TOKENS_MAX; i++)
        CHECK(retry_budget_take(&b));
    CHECK(!retry_budget_take(&b));
    for (int i = 0; i < 100; i++)
        retry_budget_earn(&b, &tenth);
    CHECK_EQ(b.spent, 0);
    retry_budget_earn(&b, &tenth); /* never more than full */
    CHECK_EQ(b.spent, 0);
}

TEST(a_budget_of_nothing_ends_with_the_first_few)
{
    const struct retry_settings none = {.attempts_max = 3, .budget_percent = 0};
    struct retry_budget b = {0};
    unsigned taken = 0;
    for (int i = 0; i < 1000; i++) {
        retry_budget_earn(&b, &none);
        taken += retry_budget_take(&b);
    }
    CHECK_EQ(taken, RETRY_TOKENS_MAX);
}

/* Over every error, both kinds of calls, with and without a part of the answer out. */
TEST(only_what_is_safe_is_repeated)
{
    for (enum err e = 0; e < ERR_COUNT; e++) {
        enum outcome o = outcome_of(e);
        CHECK(!retry_allowed(e, RETRY_SAFE, true) && !retry_allowed(e, RETRY_UNSAFE, true));
        if (o == OUTCOME_SETTLED)
            CHECK(!retry_allowed(e, RETRY_SAFE, false));
        if (o != OUTCOME_NOT_EXECUTED)
            CHECK(!retry_allowed(e, RETRY_UNSAFE, false));
        if (retry_allowed(e, RETRY_UNSAFE, false))
            CHECK(retry_allowed(e, RETRY_SAFE, false));
    }
    CHECK(retry_allowed(ERR_BACKEND_UNREACHABLE, RETRY_UNSAFE, false));
    CHECK(retry_allowed(ERR_BACKEND_REFUSED, RETRY_UNSAFE, false));
    CHECK(retry_allowed(ERR_BACKEND_LOST, RETRY_SAFE, false));
    CHECK(!retry_allowed(ERR_BACKEND_LOST, RETRY_UNSAFE, false));
    CHECK(!retry_allowed(ERR_BACKEND_DENIED, RETRY_SAFE, false));
    CHECK(!retry_allowed(ERR_DEADLINE_EXCEEDED, RETRY_SAFE, false));
}

TEST(backoff_grows_to_its_ceiling_with_full_jitter)
{
    const uint64_t ms = 1000000;
    uint64_t ceiling_ms = LIMIT_RETRY_BACKOFF_MS;
    for (uint32_t attempt = 2; attempt < 40; attempt++) {
        CHECK_EQ(retry_backoff_ns(attempt, 0), 0);
        CHECK_EQ(retry_backoff_ns(attempt, ceiling_ms * ms), ceiling_ms * ms); /* random % (ceiling + 1) */
        CHECK_EQ(retry_backoff_ns(attempt, ceiling_ms * ms + 1), 0);
        CHECK(retry_backoff_ns(attempt, UINT64_MAX) <= LIMIT_RETRY_BACKOFF_MS_MAX * ms);
        ceiling_ms = ceiling_ms * 2 < LIMIT_RETRY_BACKOFF_MS_MAX ? ceiling_ms * 2 : LIMIT_RETRY_BACKOFF_MS_MAX;
    }
}

TEST(bulkhead_lets_in_queues_and_refuses)
{
    const struct bulkhead_settings s = {.in_flight_max = 2, .queue_max = 1};
    struct bulkhead b = {0};
    CHECK_EQ(bulkhead_enter(&b, &s), BULKHEAD_ENTERED);
    CHECK_EQ(bulkhead_enter(&b, &s), BULKHEAD_ENTERED);
    CHECK_EQ(bulkhead_enter(&b, &s), BULKHEAD_QUEUED);
    CHECK_EQ(bulkhead_enter(&b, &s), BULKHEAD_FULL);
    CHECK(!bulkhead_next(&b, &s));
    bulkhead_leave(&b);
    CHECK_EQ(bulkhead_enter(&b, &s), BULKHEAD_FULL); /* not before the one that waits */
    CHECK(bulkhead_next(&b, &s));
    CHECK(!bulkhead_next(&b, &s));
    bulkhead_leave(&b);
    bulkhead_leave(&b);
    CHECK_EQ(b.in_flight + b.queued, 0);
}

TEST(bulkhead_without_a_limit)
{
    const struct bulkhead_settings s = {0};
    struct bulkhead b = {0};
    for (int i = 0; i < 100000; i++)
        CHECK_EQ(bulkhead_enter(&b, &s), BULKHEAD_ENTERED);
}
