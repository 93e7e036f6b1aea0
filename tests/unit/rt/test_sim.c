/* The twin: the same connections as on the machine, deterministic, with lost connections, crashes and failing allocations. */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/hash.h"
#include "echo.h"
#include "rt/sim/sim.h"

struct world {
    struct sim *sim;
    struct echo echo;
};

static enum err world_new(struct world *w, uint64_t seed)
{
    *w = (struct world){0};
    enum err e = sim_new(seed, &w->sim);
    if (!e)
        e = loop_new(sim_env(w->sim), 0, &w->echo.loop);
    if (!e)
        e = echo_listen(&w->echo, "127.0.0.1:0");
    return e;
}

static void world_free(struct world *w)
{
    echo_end(&w->echo);
    sim_free(w->sim);
}

static enum err dial(struct world *w)
{
    enum err e = echo_dial(&w->echo, listener_address(w->echo.listener));
    if (e)
        return e;
    UNTIL(&w->echo, w->echo.opened || w->echo.client_closed);
    return w->echo.client_err;
}

static enum err exchange(struct world *w, uint64_t bytes)
{
    enum err e = dial(w);
    if (e)
        return e;
    echo_send(&w->echo, 0, bytes);
    UNTIL(&w->echo, w->echo.received == bytes || w->echo.client_closed);
    return w->echo.received == bytes ? OK : w->echo.client_err ? w->echo.client_err : ERR_CONNECTION_LOST;
}

TEST(echoes_the_same_as_on_the_machine)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world w;
        CHECK_ERR(world_new(&w, seed), OK);
        CHECK_ERR(exchange(&w, 3 << 20), OK);
        CHECK(!w.echo.bad_pattern);
        conn_close(w.echo.client);
        UNTIL(&w.echo, w.echo.client_closed && w.echo.server_closed);
        CHECK_ERR(w.echo.client_err, OK);
        CHECK_EQ(w.echo.eofs, 1);
        world_free(&w);
    }
}

/* What a lack of memory does to a connection: its end, or that of the dial. */
static enum err memory_or(enum err e)
{
    return e && mem_failed() ? ERR_NOMEM : e;
}

SCENARIO(echo_survives_failing_allocations)
{
    struct world w;
    enum err e = world_new(&w, 7);
    if (!e)
        e = memory_or(exchange(&w, 300000));
    if (!e)
        CHECK(!w.echo.bad_pattern);
    world_free(&w);
    return e;
}

/* When each event came, and with what, as one number. */
static uint64_t trace(uint64_t seed)
{
    struct world w;
    uint64_t hash = seed;
    CHECK_ERR(world_new(&w, 5), OK);
    CHECK_ERR(dial(&w), OK);
    if (seed != 5)
        sim_choose(w.sim, seed); /* another course of things */
    for (uint64_t sent = 0; sent < 100; sent++) {
        echo_send(&w.echo, sent * 1000, 1000);
        UNTIL(&w.echo, w.echo.received == (sent + 1) * 1000);
        hash = hash_mix(hash ^ loop_now_ns(w.echo.loop));
    }
    world_free(&w);
    return hash;
}

TEST(equal_seeds_give_equal_runs)
{
    CHECK_EQ(trace(5), trace(5));
    CHECK(trace(5) != trace(6));
}

TEST(nobody_listens)
{
    struct world w;
    CHECK_ERR(world_new(&w, 1), OK);
    CHECK_ERR(echo_dial(&w.echo, "example.com:1"), OK);
    UNTIL(&w.echo, w.echo.client_closed);
    CHECK_ERR(w.echo.client_err, ERR_CONNECT_FAILED);
    CHECK_STR(w.echo.client_reason, "cannot connect to example.com:1: Connection refused");
    world_free(&w);
}

TEST(a_refused_connection_is_reset)
{
    struct world w;
    CHECK_ERR(world_new(&w, 1), OK);
    w.echo.refuse = true;
    dial(&w);
    UNTIL(&w.echo, w.echo.client_closed);
    CHECK_ERR(w.echo.client_err, ERR_CONNECTION_LOST);
    world_free(&w);
}

TEST(a_cut_is_seen_by_both_sides)
{
    struct world w;
    CHECK_ERR(world_new(&w, 3), OK);
    CHECK_ERR(exchange(&w, 100), OK);
    sim_cut(w.sim);
    UNTIL(&w.echo, w.echo.client_closed && w.echo.server_closed);
    CHECK_ERR(w.echo.client_err, ERR_CONNECTION_LOST);
    CHECK_ERR(w.echo.server_err, ERR_CONNECTION_LOST);
    world_free(&w);
}

TEST(a_reset_is_seen_by_who_does_not_read)
{
    struct world w;
    CHECK_ERR(world_new(&w, 3), OK);
    CHECK_ERR(exchange(&w, 100), OK);
    conn_read(w.echo.server, false);
    conn_abort(w.echo.client);
    UNTIL(&w.echo, w.echo.server_closed);
    CHECK_ERR(w.echo.server_err, ERR_CONNECTION_LOST);
    world_free(&w);
}

TEST(a_peer_that_reads_nothing_is_given_up_after_a_minute)
{
    struct world w;
    CHECK_ERR(world_new(&w, 3), OK);
    CHECK_ERR(dial(&w), OK);
    conn_read(w.echo.client, false);
    echo_send(&w.echo, 0, 1 << 20);
    UNTIL(&w.echo, w.echo.server && conn_queued_bytes(w.echo.server) > 100000);
    uint64_t begin = loop_now_ns(w.echo.loop);
    conn_close(w.echo.server);
    UNTIL(&w.echo, w.echo.server_closed);
    CHECK_ERR(w.echo.server_err, ERR_CONNECTION_LOST);
    uint64_t waited_ms = (loop_now_ns(w.echo.loop) - begin) / 1000000;
    CHECK(waited_ms >= LIMIT_WRITE_STALL_MS && waited_ms < LIMIT_WRITE_STALL_MS + 1000);
    world_free(&w);
}

TEST(connecting_has_a_time_limit)
{
    struct world w;
    CHECK_ERR(world_new(&w, 3), OK);
    sim_set_delay(w.sim, 3000000000, 3000000000);
    dial(&w);
    CHECK_ERR(w.echo.client_err, ERR_CONNECT_FAILED);
    CHECK(strstr(w.echo.client_reason, "no answer in time"));
    CHECK_EQ((loop_now_ns(w.echo.loop) - 1000000000) / 1000000, 2000);
    world_free(&w);
}

struct flag_timer {
    struct timer timer;
    bool fired;
};

static void set_flag(struct timer *t)
{
    ((struct flag_timer *)t)->fired = true;
}

TEST(time_jumps_to_the_next_timer)
{
    struct world w;
    struct flag_timer t = {.timer.fire = set_flag};
    CHECK_ERR(world_new(&w, 3), OK);
    uint64_t due = loop_now_ns(w.echo.loop) + 86400ull * 1000000000;
    timer_start(w.echo.loop, &t.timer, due);
    UNTIL(&w.echo, t.fired);
    CHECK_EQ(loop_now_ns(w.echo.loop), due);
    world_free(&w);
}

struct flag_work {
    struct work work;
    int runs, dones;
};

static void run_work(struct work *w)
{
    ((struct flag_work *)w)->runs++;
}

static void work_done(struct work *w)
{
    ((struct flag_work *)w)->dones++;
}

TEST(work_runs_on_the_one_thread)
{
    struct world w;
    struct pool *p;
    struct flag_work f = {.work = {.run = run_work, .done = work_done}};
    CHECK_ERR(world_new(&w, 3), OK);
    CHECK_ERR(pool_new(1, &p), OK);
    pool_submit(p, w.echo.loop, &f.work);
    CHECK_EQ(f.runs, 0);
    UNTIL(&w.echo, f.dones);
    CHECK_EQ(f.runs, 1);
    pool_free(p);
    world_free(&w);
}

TEST(loops_of_one_twin_share_clock_and_network)
{
    struct world w;
    struct echo other = {0};
    CHECK_ERR(world_new(&w, 9), OK);
    CHECK_ERR(loop_new(sim_env(w.sim), 1, &other.loop), OK);
    CHECK_ERR(echo_dial(&other, listener_address(w.echo.listener)), OK);
    for (int i = 0; i < 1000 && !other.opened; i++) {
        loop_turn(w.echo.loop, true);
        loop_turn(other.loop, true);
    }
    echo_send(&other, 0, 5000);
    for (int i = 0; i < 1000 && other.received < 5000; i++) {
        loop_turn(w.echo.loop, true);
        loop_turn(other.loop, true);
    }
    CHECK_EQ(other.received, 5000);
    echo_end(&other);
    world_free(&w);
}

static void note_signal(void *context, int number)
{
    *(int *)context = number;
}

TEST(signals_are_delivered)
{
    struct world w;
    int got = 0;
    CHECK_ERR(world_new(&w, 3), OK);
    CHECK_ERR(loop_on_signal(w.echo.loop, 15, note_signal, &got), OK);
    sim_signal(w.sim, 15);
    loop_turn(w.echo.loop, false);
    CHECK_EQ(got, 15);
    world_free(&w);
}

static void check_file(const struct env *env, const char *path, struct slice content)
{
    uint8_t bytes[64];
    size_t size;
    int fd;
    CHECK_ERR(env->disk->open(env, path, O_RDWR, 0, &fd), OK);
    CHECK_ERR(env->disk->pread(env, fd, bytes, sizeof bytes, 0, &size), OK);
    CHECK_SLICE(slice_of(bytes, size), content);
    env->disk->close(env, fd);
}

TEST(a_crash_drops_what_was_not_synced)
{
    struct sim *s;
    int kept, lost;
    CHECK_ERR(sim_new(1, &s), OK);
    const struct env *env = sim_env(s);
    CHECK_ERR(env->disk->mkdir(env, "/d", 0700), OK);
    CHECK_ERR(env->disk->sync_folder(env, "/"), OK);
    CHECK_ERR(env->disk->open(env, "/d/kept", O_RDWR | O_CREAT, 0600, &kept), OK);
    CHECK_ERR(env->disk->sync_folder(env, "/d"), OK);
    CHECK_ERR(env->disk->open(env, "/d/lost", O_RDWR | O_CREAT, 0600, &lost), OK);
    CHECK_ERR(env->disk->pwrite(env, kept, SLICE("durable"), 0), OK);
    CHECK_ERR(env->disk->sync(env, kept), OK);
    CHECK_ERR(env->disk->pwrite(env, kept, SLICE("DURABLE and more"), 0), OK);
    CHECK_ERR(env->disk->pwrite(env, lost, SLICE("x"), 0), OK);
    sim_crash_disk(s);
    check_file(env, "/d/kept", SLICE("durable"));
    CHECK_ERR(env->disk->open(env, "/d/lost", O_RDWR, 0, &lost), ERR_NOT_FOUND);
    sim_free(s);
}

TEST(renaming_replaces_and_lasts)
{
    struct sim *s;
    int fd;
    CHECK_ERR(sim_new(1, &s), OK);
    const struct env *env = sim_env(s);
    CHECK_ERR(env->disk->open(env, "/old", O_RDWR | O_CREAT, 0600, &fd), OK);
    env->disk->close(env, fd);
    CHECK_ERR(env->disk->open(env, "/new", O_RDWR | O_CREAT, 0600, &fd), OK);
    CHECK_ERR(env->disk->pwrite(env, fd, SLICE("new"), 0), OK);
    CHECK_ERR(env->disk->sync(env, fd), OK);
    env->disk->close(env, fd);
    CHECK_ERR(env->disk->rename(env, "/new", "/old"), OK);
    sim_crash_disk(s);
    check_file(env, "/old", SLICE("new"));
    CHECK_ERR(env->disk->open(env, "/new", O_RDWR, 0, &fd), ERR_NOT_FOUND);
    sim_free(s);
}

TEST(the_disk_fails_where_it_is_told_to)
{
    struct sim *s;
    int fd;
    CHECK_ERR(sim_new(1, &s), OK);
    const struct env *env = sim_env(s);
    CHECK_ERR(env->disk->open(env, "/x", O_RDWR | O_CREAT, 0600, &fd), OK);
    CHECK_ERR(fault_arm("sim.disk.write=@2", 1), OK);
    CHECK_ERR(env->disk->pwrite(env, fd, SLICE("a"), 0), OK);
    CHECK_ERR(env->disk->pwrite(env, fd, SLICE("b"), 1), ERR_DISK_FULL);
    fault_disarm_all();
    sim_free(s);
}
