/* The circuit breaker: its way through the states, and its invariants over every sequence of events up to a length. */
#include "data/breaker.h"

#include "../harness.h"

enum { MS = 1000000 };

static const struct breaker_settings three = {.failures = 3, .open_ms = 1000, .half_open_calls = 2};

struct run {
    struct breaker b;
    uint64_t now_ns;
};

static bool admit(struct run *r, const struct breaker_settings *s, uint64_t *ret_ticket)
{
    uint32_t wait_ms = 0;
    bool admitted = breaker_admit(&r->b, s, r->now_ns, ret_ticket, &wait_ms);
    CHECK(admitted || wait_ms > 0);
    return admitted;
}

static bool pass(struct run *r, const struct breaker_settings *s, enum breaker_verdict v)
{
    uint64_t ticket;
    CHECK(admit(r, s, &ticket));
    return breaker_report(&r->b, s, ticket, v, r->now_ns);
}

static void open_it(struct run *r)
{
    for (uint32_t i = 0; i < three.failures; i++)
        pass(r, &three, BREAKER_FAILURE);
    CHECK_EQ(r->b.state, BREAKER_OPEN);
}

TEST(opens_after_failures_in_a_row)
{
    struct run r = {0};
    CHECK(!pass(&r, &three, BREAKER_FAILURE));
    CHECK(!pass(&r, &three, BREAKER_FAILURE));
    CHECK(!pass(&r, &three, BREAKER_SUCCESS)); /* begins again */
    CHECK(!pass(&r, &three, BREAKER_FAILURE));
    CHECK(!pass(&r, &three, BREAKER_NEUTRAL)); /* does not */
    CHECK(!pass(&r, &three, BREAKER_FAILURE));
    CHECK(pass(&r, &three, BREAKER_FAILURE));
    CHECK_EQ(r.b.state, BREAKER_OPEN);
    CHECK_EQ(r.b.opened, 1);
}

TEST(says_how_long_it_stays_open)
{
    struct run r = {.now_ns = 5 * MS};
    uint64_t ticket;
    uint32_t wait_ms = 0;
    open_it(&r);
    r.now_ns += 400 * MS - 1;
    CHECK(!breaker_admit(&r.b, &three, r.now_ns, &ticket, &wait_ms));
    CHECK_EQ(wait_ms, 601); /* rounded up: earlier is too early */
    CHECK(breaker_is_open(&r.b, &three, r.now_ns, &wait_ms));
    CHECK(!breaker_is_open(&r.b, &three, r.now_ns + 601 * MS, &wait_ms));
}

TEST(half_open_takes_few_and_closes_when_they_succeed)
{
    struct run r = {0};
    uint64_t a, b, c;
    open_it(&r);
    r.now_ns += 1000 * MS;
    CHECK(admit(&r, &three, &a));
    CHECK(admit(&r, &three, &b));
    CHECK(!admit(&r, &three, &c));
    breaker_report(&r.b, &three, a, BREAKER_SUCCESS, r.now_ns);
    CHECK(!admit(&r, &three, &c)); /* one has succeeded, one is on its way */
    breaker_report(&r.b, &three, b, BREAKER_NEUTRAL, r.now_ns);
    CHECK(admit(&r, &three, &c)); /* nothing was learned of b: another tries */
    breaker_report(&r.b, &three, c, BREAKER_SUCCESS, r.now_ns);
    CHECK_EQ(r.b.state, BREAKER_CLOSED);
}

TEST(half_open_opens_again_at_one_failure)
{
    struct run r = {0};
    uint64_t a, b;
    open_it(&r);
    r.now_ns += 1000 * MS;
    CHECK(admit(&r, &three, &a));
    CHECK(admit(&r, &three, &b));
    CHECK(breaker_report(&r.b, &three, a, BREAKER_FAILURE, r.now_ns));
    CHECK_EQ(r.b.state, BREAKER_OPEN);
    CHECK_EQ(r.b.opened, 2);
    CHECK(!breaker_report(&r.b, &three, b, BREAKER_SUCCESS, r.now_ns)); /* too late */
    CHECK_EQ(r.b.state, BREAKER_OPEN);
}

TEST(calls_of_an_earlier_state_change_nothing)
{
    struct run r = {0};
    uint64_t late[3];
    for (int i = 0; i < 3; i++)
        CHECK(admit(&r, &three, &late[i]));
    open_it(&r);
    r.now_ns += 1000 * MS;
    uint64_t try;
    CHECK(admit(&r, &three, &try));
    for (int i = 0; i < 3; i++)
        CHECK(!breaker_report(&r.b, &three, late[i], BREAKER_FAILURE, r.now_ns));
    CHECK_EQ(r.b.state, BREAKER_HALF_OPEN);
    CHECK_EQ(r.b.trying, 1);
}

TEST(new_settings_count_at_once)
{
    const struct breaker_settings off = {.failures = 0, .open_ms = 1000, .half_open_calls = 1};
    struct run r = {0};
    open_it(&r);
    CHECK(!pass(&r, &off, BREAKER_FAILURE));
    CHECK_EQ(r.b.state, BREAKER_CLOSED);
    for (int i = 0; i < 100; i++)
        CHECK(!pass(&r, &off, BREAKER_FAILURE));
}

/* --- every sequence ---------------------------------------------------------------------------------------------------------- */

enum event { ADMIT, SUCCEED, FAIL, LEARN_NOTHING, WAIT, EVENTS };
enum { DEPTH = 12, CALLS = DEPTH };

/* What is known without looking into the breaker. */
struct world {
    struct run r;
    uint64_t tickets[CALLS];
    unsigned first, last; /* calls on their way: answered in the order in which they were sent */
};

static void check_change(const struct breaker *before, const struct breaker *after)
{
    if (before->state == after->state)
        return;
    static const enum breaker_state from[] = {BREAKER_HALF_OPEN, BREAKER_CLOSED, BREAKER_OPEN};
    bool reopened = before->state == BREAKER_HALF_OPEN && after->state == BREAKER_OPEN;
    CHECK(before->state == from[after->state] || reopened);
}

static void check_invariants(const struct world *w)
{
    const struct breaker *b = &w->r.b;
    CHECK(b->trying <= w->last - w->first);
    CHECK(b->state != BREAKER_CLOSED || b->failed < three.failures);
    CHECK(b->state != BREAKER_HALF_OPEN || b->trying + b->succeeded <= three.half_open_calls);
    CHECK(b->state != BREAKER_HALF_OPEN || b->succeeded < three.half_open_calls);
    CHECK(b->state != BREAKER_OPEN || (!b->trying && !b->succeeded));
}

static bool step(struct world *w, enum event event)
{
    if (event == WAIT) {
        w->r.now_ns += 500 * MS;
        return true;
    }
    if (event == ADMIT) {
        w->last += admit(&w->r, &three, &w->tickets[w->last]);
        return true;
    }
    if (w->first == w->last)
        return false;
    breaker_report(&w->r.b, &three, w->tickets[w->first++], (enum breaker_verdict)(event - SUCCEED), w->r.now_ns);
    return true;
}

static uint64_t explore(const struct world *w, unsigned depth)
{
    uint64_t seen = 1;
    for (enum event e = 0; e < EVENTS && depth < DEPTH; e++) {
        struct world next = *w;
        if (!step(&next, e))
            continue;
        check_change(&w->r.b, &next.r.b);
        check_invariants(&next);
        seen += explore(&next, depth + 1);
    }
    return seen;
}

TEST(every_sequence_keeps_the_invariants)
{
    struct world closed = {0};
    CHECK(explore(&closed, 0) > 100000);
    struct world opened = {0};
    open_it(&opened.r);
    CHECK(explore(&opened, 0) > 100000);
}
