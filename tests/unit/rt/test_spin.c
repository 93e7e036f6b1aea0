/* Spinning: how long, and that a loop that spins misses nothing. */
#include <pthread.h>
#include <stddef.h>

#include "../harness.h"
#include "rt/loop.h"
#include "rt/spin.h"

enum { MAX_NS = 50000 };

TEST(short_waits_keep_spinning)
{
    struct spin s = spin_of(MAX_NS);
    for (int i = 0; i < 100; i++)
        spin_learn(&s, MAX_NS);
    CHECK_EQ(s.next_ns, MAX_NS);
}

TEST(an_idle_loop_stops_spinning)
{
    struct spin s = spin_of(MAX_NS);
    int waits = 0;
    while (s.next_ns && waits < 100) {
        spin_learn(&s, 1000000);
        waits++;
    }
    CHECK_EQ(s.next_ns, 0);
    CHECK_EQ(waits, 6); /* 50, 25, 12.5, 6.3, 3.1, 1.6 µs */
}

TEST(the_first_short_wait_brings_it_back)
{
    struct spin s = spin_of(MAX_NS);
    s.next_ns = 0;
    spin_learn(&s, 1000000);
    CHECK_EQ(s.next_ns, 0);
    spin_learn(&s, MAX_NS - 1);
    CHECK_EQ(s.next_ns, MAX_NS);
}

TEST(none_is_none)
{
    struct spin s = spin_of(0);
    spin_learn(&s, 0);
    CHECK_EQ(s.next_ns, 0);
}

/* --- a loop that spins ------------------------------------------------------------------------------------------------- */

struct visitor {
    struct task task;
    struct timer timer;
    struct loop *loop;
    int tasks, timers;
};

static void on_task(struct task *t)
{
    struct visitor *v = (struct visitor *)t;
    v->tasks++;
}

static void on_timer(struct timer *t)
{
    struct visitor *v = (struct visitor *)((char *)t - offsetof(struct visitor, timer));
    v->timers++;
}

static struct loop *spinning_loop(void)
{
    struct loop *l;
    CHECK_ERR(loop_new(env_real(), 0, &l), OK);
    loop_spin(l, 1000000);
    return l;
}

static void *post(void *context)
{
    struct visitor *v = context;
    loop_post(v->loop, &v->task);
    return NULL;
}

TEST(a_spinning_loop_hears_of_posts)
{
    struct visitor v = {.task.run = on_task, .loop = spinning_loop()};
    for (int i = 1; i <= 50; i++) {
        struct timer far = {.fire = on_timer};
        pthread_t thread;
        timer_start(v.loop, &far, loop_now_ns(v.loop) + UINT64_C(60000000000)); /* something to wait for */
        CHECK(pthread_create(&thread, NULL, post, &v) == 0);
        while (v.tasks < i)
            loop_turn(v.loop, true);
        pthread_join(thread, NULL);
        timer_stop(v.loop, &far);
    }
    CHECK_EQ(v.tasks, 50);
    loop_free(v.loop);
}

TEST(a_spinning_loop_keeps_its_timers)
{
    struct visitor v = {.timer.fire = on_timer, .loop = spinning_loop()};
    for (int i = 1; i <= 20; i++) {
        uint64_t due_ns = loop_now_ns(v.loop) + (uint64_t)i % 4 * 700000;
        timer_start(v.loop, &v.timer, due_ns);
        while (v.timers < i)
            loop_turn(v.loop, true);
        CHECK(loop_now_ns(v.loop) >= due_ns);
    }
    loop_free(v.loop);
}

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

TEST(a_spinning_loop_stops)
{
    struct loop *l = spinning_loop();
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run_loop, l) == 0);
    loop_stop(l);
    pthread_join(thread, NULL);
    loop_free(l);
}
