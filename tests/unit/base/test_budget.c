#include "../harness.h"
#include "base/budget.h"

static const uint64_t MS = 1000000;

static uint32_t take_all(struct budget *b, uint64_t now_ns)
{
    uint32_t n = 0;
    while (budget_take(b, 10, 4, now_ns))
        n++;
    return n;
}

TEST(a_fresh_budget_is_full)
{
    struct budget b = {0};
    CHECK_EQ(take_all(&b, 5), 10);
    CHECK(!budget_take(&b, 10, 4, 5));
}

TEST(tokens_come_back_with_time_and_fractions_are_kept)
{
    struct budget b = {0};
    CHECK_EQ(take_all(&b, 1000 * MS), 10);
    CHECK_EQ(take_all(&b, 1249 * MS), 0);
    CHECK_EQ(take_all(&b, 1250 * MS), 1);
    CHECK_EQ(take_all(&b, 1400 * MS), 0);
    CHECK_EQ(take_all(&b, 1500 * MS), 1);
}

TEST(no_more_comes_back_than_the_burst)
{
    struct budget b = {0};
    CHECK_EQ(take_all(&b, 1000 * MS), 10);
    CHECK_EQ(take_all(&b, 3600 * 1000 * MS), 10);
}
