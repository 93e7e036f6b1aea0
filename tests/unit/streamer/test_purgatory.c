/* Against a model that looks at everybody: who shall wake, wakes, and nobody else. */
#include "../harness.h"
#include "base/hash.h"
#include "rt/sim/sim.h"
#include "streamer/purgatory.h"

enum { PLACES = 5, REQUESTS = 60, WATCHES = 3 };

struct waiter {
    struct delayed delayed; /* first */
    struct watch watches[WATCHES];
    unsigned count;
    bool waits;
    uint64_t due_ns; /* 0: no time limit */
    unsigned ready, late;
};

struct world {
    struct sim *sim;
    struct loop *loop;
    struct growing places[PLACES];
    struct waiter waiters[REQUESTS];
    uint64_t dice;
};

static uint64_t roll(struct world *w, uint64_t sides)
{
    return hash_mix(++w->dice) % sides;
}

static void wake(struct delayed *d, enum delayed_why why)
{
    struct waiter *x = (struct waiter *)d;
    CHECK(x->waits);
    x->waits = false;
    *(why == DELAYED_READY ? &x->ready : &x->late) += 1;
}

static void world_init(struct world *w)
{
    *w = (struct world){0};
    CHECK_ERR(sim_new(1, &w->sim), OK);
    CHECK_ERR(loop_new(sim_env(w->sim), 0, &w->loop), OK);
}

static void world_fini(struct world *w)
{
    loop_free(w->loop);
    sim_free(w->sim);
}

static void start_waiting(struct world *w, struct waiter *x)
{
    delayed_init(&x->delayed, w->loop, wake);
    x->count = 1 + (unsigned)roll(w, WATCHES);
    for (unsigned i = 0; i < x->count; i++)
        delayed_watch(&x->delayed, &x->watches[i], &w->places[roll(w, PLACES)], 1 + roll(w, 1000));
    x->due_ns = 0;
    if (roll(w, 2) == 0) {
        x->due_ns = loop_now_ns(w->loop) + (1 + roll(w, 50)) * 1000000;
        delayed_start(&x->delayed, x->due_ns);
    }
    x->waits = true;
}

/* Whether one of its places has reached what it waits for; and so, after the turn, whether it may still wait. */
static bool is_due(const struct waiter *x)
{
    for (unsigned i = 0; i < x->count; i++)
        if (x->watches[i].due <= x->watches[i].place->bytes)
            return true;
    return false;
}

static void turn(struct world *w)
{
    sim_advance(w->sim, roll(w, 3) * 1000000);
    loop_turn(w->loop, false);
    for (int i = 0; i < REQUESTS; i++) {
        struct waiter *x = &w->waiters[i];
        if (x->waits) {
            CHECK(!is_due(x));
            CHECK(!x->due_ns || x->due_ns > loop_now_ns(w->loop));
        }
    }
}

static void one_step(struct world *w)
{
    struct waiter *x = &w->waiters[roll(w, REQUESTS)];
    unsigned woken = x->ready + x->late;
    if (!x->waits) {
        start_waiting(w, x);
    } else if (roll(w, 4) == 0) {
        CHECK(delayed_cancel(&x->delayed));
        x->waits = false;
    }
    turn(w);
    growing_add(&w->places[roll(w, PLACES)], roll(w, 100));
    turn(w);
    CHECK(x->ready + x->late <= woken + 1);
}

TEST(purgatory_wakes_who_is_due_and_nobody_else)
{
    struct world w;
    world_init(&w);
    for (int i = 0; i < 30000; i++)
        one_step(&w);
    unsigned ready = 0, late = 0;
    for (int i = 0; i < REQUESTS; i++) {
        ready += w.waiters[i].ready;
        late += w.waiters[i].late;
        if (w.waiters[i].waits)
            CHECK(delayed_cancel(&w.waiters[i].delayed));
    }
    CHECK(ready > 1000 && late > 100);
    for (int i = 0; i < PLACES; i++)
        CHECK(!w.places[i].first);
    world_fini(&w);
}

TEST(purgatory_wakes_after_the_callback_once_and_lets_several_wait_for_one_byte)
{
    struct world w;
    world_init(&w);
    for (int i = 0; i < 3; i++) {
        delayed_init(&w.waiters[i].delayed, w.loop, wake);
        delayed_watch(&w.waiters[i].delayed, &w.waiters[i].watches[0], &w.places[0], 1);
        delayed_watch(&w.waiters[i].delayed, &w.waiters[i].watches[1], &w.places[1], 1);
        w.waiters[i].waits = true;
    }
    growing_add(&w.places[0], 1);
    CHECK(w.waiters[0].waits);
    CHECK(!delayed_cancel(&w.waiters[0].delayed));
    growing_add(&w.places[1], 1);
    loop_turn(w.loop, false);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(w.waiters[i].ready, 1);
    world_fini(&w);
}

TEST(purgatory_wakes_all_of_a_place_that_goes)
{
    struct world w;
    world_init(&w);
    for (int i = 0; i < REQUESTS; i++) {
        delayed_init(&w.waiters[i].delayed, w.loop, wake);
        delayed_watch(&w.waiters[i].delayed, &w.waiters[i].watches[0], &w.places[i % 2], UINT64_MAX);
        w.waiters[i].waits = true;
    }
    growing_add(&w.places[0], UINT64_MAX / 2);
    growing_wake_all(&w.places[1]);
    loop_turn(w.loop, false);
    for (int i = 0; i < REQUESTS; i++) {
        CHECK_EQ(w.waiters[i].waits, i % 2 == 0);
        if (w.waiters[i].waits)
            CHECK(delayed_cancel(&w.waiters[i].delayed));
    }
    world_fini(&w);
}
