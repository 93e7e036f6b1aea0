/* Timers, tasks, messages between threads, pools, signals. */
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "../harness.h"
#include "base/mem.h"
#include "rt/loop.h"

static const uint64_t MS = 1000000;

struct counter {
    struct task task;
    struct timer timer;
    struct work work;
    struct loop *loop;
    int runs;
    int order;
    pthread_t thread;
    struct counter *then;
};

static int clock_of_order;

static void count_task(struct task *t)
{
    struct counter *c = (struct counter *)((char *)t - offsetof(struct counter, task));
    c->runs++;
    c->order = ++clock_of_order;
    if (c->then)
        loop_defer(c->loop, &c->then->task);
}

static void count_timer(struct timer *t)
{
    struct counter *c = (struct counter *)((char *)t - offsetof(struct counter, timer));
    c->runs++;
    c->order = ++clock_of_order;
    if (c->then)
        loop_defer(c->loop, &c->then->task);
}

static struct loop *new_loop(void)
{
    struct loop *l;
    CHECK_ERR(loop_new(env_real(), 7, &l), OK);
    CHECK_EQ(loop_id(l), 7);
    return l;
}

TEST(timers_fire_in_time_and_once)
{
    struct loop *l = new_loop();
    struct counter a = {.timer.fire = count_timer}, b = a, c = a;
    uint64_t begin = loop_now_ns(l);
    timer_start(l, &a.timer, begin + 20 * MS);
    timer_start(l, &b.timer, begin + 5 * MS);
    timer_start(l, &c.timer, begin + 10 * MS);
    timer_stop(l, &c.timer);
    CHECK(!timer_active(&c.timer));
    while (loop_turn(l, true)) {
    }
    CHECK_EQ(a.runs, 1);
    CHECK_EQ(b.runs, 1);
    CHECK_EQ(c.runs, 0);
    CHECK(b.order < a.order);
    CHECK(loop_now_ns(l) >= begin + 20 * MS);
    loop_free(l);
}

TEST(a_started_timer_moves)
{
    struct loop *l = new_loop();
    struct counter a = {.timer.fire = count_timer};
    uint64_t begin = loop_now_ns(l);
    timer_start(l, &a.timer, begin + 60000 * MS);
    timer_start(l, &a.timer, begin + 2 * MS);
    while (loop_turn(l, true)) {
    }
    CHECK_EQ(a.runs, 1);
    CHECK(loop_now_ns(l) < begin + 10000 * MS);
    loop_free(l);
}

TEST(deferred_tasks_run_in_the_same_turn)
{
    struct loop *l = new_loop();
    struct counter b = {.task.run = count_task}, a = {.timer.fire = count_timer, .loop = l, .then = &b};
    timer_start(l, &a.timer, loop_now_ns(l));
    while (!a.runs)
        loop_turn(l, true);
    CHECK_EQ(b.runs, 1);
    loop_free(l);
}

TEST(a_turn_that_begins_with_deferred_tasks_does_not_wait)
{
    struct loop *l = new_loop();
    struct counter far = {.timer.fire = count_timer}, soon = {.task.run = count_task};
    timer_start(l, &far.timer, loop_now_ns(l) + 3000 * MS);
    loop_turn(l, false);
    loop_defer(l, &soon.task);
    loop_turn(l, true);
    CHECK_EQ(soon.runs, 1);
    CHECK(loop_now_ns(l) < far.timer.due_ns - 1000 * MS); /* it has not waited for the timer */
    timer_stop(l, &far.timer);
    loop_free(l);
}

TEST(a_turn_without_anything_active_does_not_wait)
{
    struct loop *l = new_loop();
    CHECK(!loop_turn(l, true));
    loop_free(l);
}

enum { POSTS = 20000, THREADS = 4 };

struct poster {
    struct loop *loop;
    struct counter posts[POSTS];
    pthread_t thread;
};

static void *post_all(void *argument)
{
    struct poster *p = argument;
    for (int i = 0; i < POSTS; i++)
        loop_post(p->loop, &p->posts[i].task);
    return NULL;
}

TEST(posts_of_many_threads_arrive_once_and_in_order)
{
    struct loop *l = new_loop();
    struct poster *p = mem_zalloc(THREADS * sizeof *p);
    for (int t = 0; t < THREADS; t++) {
        p[t].loop = l;
        for (int i = 0; i < POSTS; i++)
            p[t].posts[i].task.run = count_task;
        pthread_create(&p[t].thread, NULL, post_all, &p[t]);
    }
    clock_of_order = 0;
    while (clock_of_order < THREADS * POSTS)
        loop_turn(l, true);
    for (int t = 0; t < THREADS; t++) {
        pthread_join(p[t].thread, NULL);
        for (int i = 0; i < POSTS; i++) {
            CHECK_EQ(p[t].posts[i].runs, 1);
            CHECK(i == 0 || p[t].posts[i].order > p[t].posts[i - 1].order);
        }
    }
    mem_free(p);
    loop_free(l);
}

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

TEST(another_thread_stops_a_loop_that_waits)
{
    struct loop *l = new_loop();
    pthread_t thread;
    pthread_create(&thread, NULL, run_loop, l);
    loop_stop(l);
    pthread_join(thread, NULL);
    loop_free(l);
}

static void work_run(struct work *w)
{
    struct counter *c = (struct counter *)((char *)w - offsetof(struct counter, work));
    c->thread = pthread_self();
}

static void work_done(struct work *w)
{
    struct counter *c = (struct counter *)((char *)w - offsetof(struct counter, work));
    c->runs++;
}

TEST(work_runs_elsewhere_and_is_done_here)
{
    struct loop *l = new_loop();
    struct pool *p;
    struct counter c[50] = {0};
    CHECK_ERR(pool_new(3, &p), OK);
    for (int i = 0; i < 50; i++) {
        c[i].work = (struct work){.run = work_run, .done = work_done};
        pool_submit(p, l, &c[i].work);
    }
    while (loop_turn(l, true)) {
    }
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(c[i].runs, 1);
        CHECK(!pthread_equal(c[i].thread, pthread_self()));
    }
    pool_free(p);
    loop_free(l);
}

static void on_signal(void *context, int number)
{
    *(int *)context = number;
}

TEST(signals_come_through_the_loop)
{
    struct loop *l = new_loop();
    int got = 0, other = 0;
    CHECK_ERR(loop_on_signal(l, SIGUSR1, on_signal, &other), OK);
    CHECK_ERR(loop_on_signal(l, SIGUSR1, on_signal, &got), OK);
    kill(getpid(), SIGUSR1);
    for (int i = 0; i < 1000 && !got; i++)
        loop_turn(l, false);
    CHECK_EQ(got, SIGUSR1);
    CHECK_EQ(other, 0);
    loop_free(l);
}

SCENARIO(making_a_loop_and_a_pool)
{
    struct loop *l;
    struct pool *p;
    enum err e = loop_new(env_real(), 0, &l);
    if (e)
        return e;
    e = pool_new(2, &p);
    if (!e)
        pool_free(p);
    loop_free(l);
    return e;
}

TEST(the_disk_keeps_what_is_written)
{
    const struct env *env = env_real();
    char folder[64], path[96], other[96];
    int fd;
    uint64_t size;
    size_t got;
    uint8_t bytes[8];
    snprintf(folder, sizeof folder, "/tmp/prism-test-%d/a/b", (int)getpid());
    snprintf(path, sizeof path, "%s/x", folder);
    snprintf(other, sizeof other, "%s/y", folder);
    CHECK_ERR(env->disk->mkdir(env, folder, 0700), OK);
    CHECK_ERR(env->disk->open(env, path, 0102, 0600, &fd), OK); /* O_RDWR | O_CREAT */
    CHECK_ERR(env->disk->pwrite(env, fd, SLICE("hello"), 2), OK);
    CHECK_ERR(env->disk->sync(env, fd), OK);
    CHECK_ERR(env->disk->size(env, fd, &size), OK);
    CHECK_EQ(size, 7);
    CHECK_ERR(env->disk->pread(env, fd, bytes, sizeof bytes, 2, &got), OK);
    CHECK_SLICE(slice_of(bytes, got), SLICE("hello"));
    CHECK_ERR(env->disk->truncate(env, fd, 3), OK);
    env->disk->close(env, fd);
    CHECK_ERR(env->disk->rename(env, path, other), OK);
    CHECK_ERR(env->disk->open(env, path, 0, 0, &fd), ERR_NOT_FOUND);
    CHECK_ERR(env->disk->unlink(env, other), OK);
    rmdir(folder);
}
