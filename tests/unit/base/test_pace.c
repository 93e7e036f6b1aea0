#include "../harness.h"
#include "base/hdr.h"
#include "base/pace.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

static bool near(uint64_t a, uint64_t b, uint64_t difference)
{
    return a > b ? a - b <= difference : b - a <= difference;
}

TEST(a_constant_rate_is_evenly_spaced)
{
    struct pace p;
    pace_init(&p, 1000, 1000, 0, 5 * SECOND);
    for (uint64_t i = 0; i < 100000; i++)
        CHECK(near(pace_take(&p), 5 * SECOND + i * MS, 1));
}

/* 100/s to 300/s within 2 s: 400 calls; half of the time has seen a t + (b - a) t²/2T = 150 of them. */
TEST(a_ramp_grows_evenly_then_stays)
{
    struct pace p;
    pace_init(&p, 100, 300, 2 * SECOND, 0);
    p.taken = 150;
    CHECK(near(pace_next(&p), SECOND, 10));
    p.taken = 400;
    CHECK(near(pace_next(&p), 2 * SECOND, 10));
    p.taken = 700;
    CHECK(near(pace_next(&p), 3 * SECOND, 10));
}

TEST(a_ramp_may_fall)
{
    struct pace p;
    uint64_t before = 0;
    pace_init(&p, 300, 100, 2 * SECOND, 0);
    for (unsigned i = 0; i < 600; i++) {
        uint64_t due = pace_take(&p);
        CHECK(due >= before);
        before = due;
    }
    CHECK(near(before, 2 * SECOND + 199 * 10 * MS, 10));
}

TEST(waiting_counts_what_is_due_before_the_end)
{
    struct pace p;
    pace_init(&p, 10, 10, 0, 0);
    CHECK_EQ(pace_waiting(&p, 0, SECOND), 1);
    CHECK_EQ(pace_waiting(&p, 450 * MS, SECOND), 5);
    CHECK_EQ(pace_waiting(&p, 5 * SECOND, SECOND), 10);
    pace_take(&p);
    CHECK_EQ(pace_waiting(&p, 5 * SECOND, SECOND), 9);
}

/* A server that answers within 1 ms but stands still for the second half of each 2 s: one that measures from the sending
 * would see 1 ms nearly always. From the schedule, half of the calls wait, half a second in the mean. */
TEST(a_stall_is_seen_by_all_who_waited)
{
    struct pace p;
    struct hdr *h;
    uint64_t now = 0;
    pace_init(&p, 1000, 1000, 0, 0);
    CHECK_ERR(hdr_new(&h), OK);
    while (now < 20 * SECOND) {
        while (pace_next(&p) <= now)
            hdr_add(h, now + MS - pace_take(&p));
        now += now % (2 * SECOND) == SECOND ? SECOND : MS;
    }
    CHECK(near(hdr_count(h), 19000, 1100));
    CHECK(near(hdr_quantile(h, 0.25), MS, MS / 100));
    CHECK(near(hdr_quantile(h, 0.75), 500 * MS, 50 * MS));
    CHECK(near(hdr_quantile(h, 0.999), SECOND, 10 * MS));
    hdr_free(h);
}
