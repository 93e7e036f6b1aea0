#include "../harness.h"
#include "base/hash.h"
#include "base/wheel.h"

enum { TIMERS = 400 };

struct model {
    struct wheel wheel;
    struct wheel_timer timers[TIMERS];
    uint64_t due[TIMERS]; /* 0: inactive */
    uint64_t now;
    uint64_t dice;
};

static uint64_t roll(struct model *m, uint64_t sides)
{
    return hash_mix(++m->dice) % sides;
}

static void expire(void *context, struct wheel_timer *t)
{
    struct model *m = context;
    size_t i = (size_t)(t - m->timers);
    CHECK(m->due[i] && m->due[i] <= m->now);
    CHECK(!wheel_timer_active(t));
    m->due[i] = 0;
    if (roll(m, 4) == 0) { /* inserting from inside is allowed; due at once comes with the next advance */
        m->due[i] = m->now + roll(m, 2) * 50;
        wheel_insert(&m->wheel, t, m->due[i]);
    }
}

static uint64_t first_due(const struct model *m)
{
    uint64_t first = UINT64_MAX;
    for (int i = 0; i < TIMERS; i++)
        if (m->due[i] && m->due[i] < first)
            first = m->due[i];
    return first;
}

static void one_step(struct model *m)
{
    size_t i = roll(m, TIMERS);
    if (roll(m, 3) == 0) {
        wheel_cancel(&m->wheel, &m->timers[i]);
        m->due[i] = 0;
    } else {
        m->due[i] = m->now + roll(m, UINT64_C(1) << (1 + roll(m, 40))); /* all levels */
        wheel_insert(&m->wheel, &m->timers[i], m->due[i]);
    }
    CHECK(wheel_next(&m->wheel) <= (first_due(m) < m->now ? m->now : first_due(m)));
    if (roll(m, 5) == 0)
        m->now += roll(m, UINT64_C(1) << (1 + roll(m, 36)));
    if (roll(m, 20) == 0 && first_due(m) != UINT64_MAX && first_due(m) > m->now)
        m->now = first_due(m); /* to the tick */
}

TEST(wheel_agrees_with_a_model)
{
    static struct model m;
    m.now = 1700000000000;
    wheel_init(&m.wheel, m.now);
    for (int step = 0; step < 50000; step++) {
        one_step(&m);
        wheel_expire(&m.wheel, m.now, UINT64_MAX, expire, &m);
        uint64_t active = 0;
        for (int i = 0; i < TIMERS; i++) {
            CHECK_EQ(wheel_timer_active(&m.timers[i]), m.due[i] != 0);
            active += m.due[i] != 0;
        }
        CHECK(first_due(&m) >= m.now); /* nothing overdue is left but what was inserted during the expiry */
        CHECK_EQ(m.wheel.count, active);
    }
}

static void count(void *context, struct wheel_timer *t)
{
    (void)t;
    ++*(int *)context;
}

TEST(wheel_gives_as_many_as_asked_and_the_rest_later)
{
    struct wheel w;
    struct wheel_timer t[10] = {0};
    int seen = 0;
    wheel_init(&w, 0);
    for (int i = 0; i < 10; i++)
        wheel_insert(&w, &t[i], 5);
    CHECK_EQ(wheel_expire(&w, 4, 100, count, &seen), 0);
    CHECK_EQ(wheel_expire(&w, 5, 4, count, &seen), 4);
    CHECK_EQ(wheel_next(&w), 5);
    wheel_cancel(&w, wheel_pop(&w)); /* popped is inactive: nothing happens */
    CHECK_EQ(wheel_expire(&w, 5, 100, count, &seen), 5);
    CHECK_EQ(seen, 9);
    CHECK(wheel_next(&w) == UINT64_MAX && w.count == 0);
}

TEST(wheel_takes_times_of_the_past_and_of_the_end)
{
    struct wheel w;
    struct wheel_timer past = {0}, never = {0};
    wheel_init(&w, 1000);
    wheel_insert(&w, &past, 3);
    wheel_insert(&w, &never, UINT64_MAX);
    wheel_advance(&w, 10); /* time does not run backwards */
    CHECK_EQ(w.now, 1000);
    CHECK(wheel_pop(&w) == &past && !wheel_pop(&w));
    wheel_advance(&w, UINT64_MAX);
    CHECK(!wheel_pop(&w) && wheel_timer_active(&never));
    wheel_cancel(&w, &never);
    CHECK_EQ(w.count, 0);
}
