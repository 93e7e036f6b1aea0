/* The journal on a hostile disk (cases 59 to 62 of the catalogue of faults): power lost at every call, and again during the recovery;
 * every call failing once and for ever; a full disk. What was acknowledged with flush is there afterwards, whole and in its place. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "rt/sim/disk.h"
#include "world.h"

enum { FLUSHED, WRITTEN, LOGS };

static void prepare(struct world *w)
{
    w->options.wal_file_bytes = 64 << 10;
    w->options.wal_files_max = 4;
    w->options.files_open_max = 3;
    w->options.checkpoint_ms = 20;
    w->options.syncs_max = 2;
    w->options.retention_ms = 15;
    w->logs[FLUSHED].options.segment_bytes = 20000;
    w->logs[FLUSHED].options.logged = true;
    w->logs[WRITTEN].options.segment_bytes = 9000;
    w->logs[WRITTEN].options.retention_bytes = 30000;
}

static void append_some(struct world *w, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t log = (uint32_t)world_choose(w, LOGS);
        w->flushes = log == FLUSHED;
        (void)world_append(w, log, ENTRY_HEADER_BYTES + (uint32_t)world_choose(w, 3000),
                           1 + (uint32_t)world_choose(w, 4));
        if (world_choose(w, 3) == 0)
            world_settle(w);
    }
    world_settle(w);
}

static void cut(struct world *w)
{
    struct world_log *l = &w->logs[FLUSHED];
    int64_t start = journal_log_start(l->log), stable = journal_log_stable(l->log);
    if (stable > start)
        CHECK_ERR(journal_log_cut_start(l->log, start + (int64_t)world_choose(w, (uint64_t)(stable - start) / 2 + 1)),
                  OK);
}

/* Appends, rolls, checkpoints, retention, a cut, a clean end, and once more behind it. */
static enum err script(struct world *w)
{
    for (int round = 0; round < 2; round++) {
        enum err e = world_open(w, LOGS);
        if (e)
            return e;
        append_some(w, 25);
        cut(w);
        sim_advance(w->sim, 60000000);
        for (int i = 0; i < 5; i++)
            loop_turn(w->loop, false);
        append_some(w, 25);
        e = world_close(w);
        if (e)
            return e;
    }
    return OK;
}

/* What was written to the page cache alone may be lost with the power, not with the process. */
static void die(struct world *w, bool power)
{
    struct sim_disk_plan none = {0};
    world_die(w, power);
    sim_disk_set_plan(w->sim, &none);
    if (power)
        w->logs[WRITTEN].acknowledged = 0;
}

static void must_be_well(struct world *w)
{
    CHECK_ERR(world_open(w, LOGS), OK);
    CHECK_ERR(world_check_all(w), OK);
    append_some(w, 10);
    CHECK_ERR(world_check_all(w), OK);
    CHECK_ERR(world_close(w), OK);
    CHECK_ERR(world_open(w, LOGS), OK);
    CHECK(journal_store_was_clean(w->store));
    world_check_whole(w, FLUSHED);
    world_check_whole(w, WRITTEN);
    CHECK_ERR(world_close(w), OK);
}

static void new_world(struct world *w, uint64_t seed)
{
    CHECK_ERR(world_new(w, seed), OK);
    prepare(w);
}

/* false: the script ended before its n-th call. */
static bool power_lost_at(uint64_t seed, uint64_t n, bool again)
{
    struct sim_disk_plan plan = {.power_off_at = n, .crash = SIM_CRASH_TEARS};
    struct world w;
    new_world(&w, seed * 1000 + n);
    sim_disk_set_plan(w.sim, &plan);
    (void)script(&w);
    bool off = sim_disk_is_off(w.sim);
    if (off) {
        die(&w, true);
        for (uint64_t m = 1; again; m += 1 + m / 4) {
            plan.power_off_at = m;
            sim_disk_set_plan(w.sim, &plan);
            (void)world_open(&w, LOGS);
            again = sim_disk_is_off(w.sim);
            die(&w, true);
        }
        must_be_well(&w);
    }
    world_free(&w);
    return off;
}

TEST(power_is_lost_at_every_call)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        for (uint64_t n = 1; power_lost_at(seed, n, false); n++) {
        }
}

TEST(power_is_lost_at_every_call_and_during_recoveries)
{
    for (uint64_t n = 1; power_lost_at(7, n, true); n += 3) {
    }
}

static bool fails_at(enum sim_disk_call call, uint64_t n, bool onwards, enum err err)
{
    struct sim_disk_plan plan = {.crash = SIM_CRASH_TEARS}, none = {.crash = SIM_CRASH_TEARS};
    struct world w;
    plan.errors[call] = (struct sim_disk_error){.at = n, .onwards = onwards, .err = err};
    new_world(&w, 100 + n);
    sim_disk_set_plan(w.sim, &plan);
    (void)script(&w);
    bool struck = sim_disk_faults(w.sim) > 0;
    sim_disk_set_plan(w.sim, &none);
    if (struck) {
        die(&w, n % 2);
        must_be_well(&w);
    }
    world_free(&w);
    return struck;
}

TEST(every_call_fails_once_and_for_ever)
{
    for (int call = 0; call < SIM_DISK_CALLS; call++)
        for (int onwards = 0; onwards <= 1; onwards++)
            for (uint64_t n = 1; fails_at((enum sim_disk_call)call, n, onwards, ERR_IO); n++) {
            }
}

TEST(writes_meet_a_full_disk)
{
    for (int onwards = 0; onwards <= 1; onwards++)
        for (uint64_t n = 1; fails_at(SIM_DISK_WRITE, n, onwards, ERR_DISK_FULL); n++) {
        }
}

/* Until the disk is full, and on when there is room again: nothing acknowledged is lost, and nothing needs to be opened anew. */
TEST(a_full_disk_comes_back)
{
    struct world w;
    struct journal_status status;
    new_world(&w, 5);
    w.logs[WRITTEN].options.retention_bytes = 0;
    CHECK_ERR(world_open(&w, LOGS), OK);
    append_some(&w, 20);
    sim_disk_set_size(w.sim, sim_disk_used(w.sim) + 30000);
    append_some(&w, 100);
    CHECK(w.done_failed > 0);
    CHECK_ERR(w.last_err, ERR_DISK_FULL);
    journal_status(w.journal, &status);
    CHECK(status.disk_full);
    CHECK_ERR(status.failed, OK);
    CHECK_ERR(world_check_all(&w), OK);
    sim_disk_set_size(w.sim, UINT64_MAX);
    uint32_t ok = w.done_ok;
    for (uint32_t i = 0; i < 50 && w.done_ok < ok + 20; i++) {
        sim_advance(w.sim, 200000000);
        append_some(&w, 10);
    }
    CHECK(w.done_ok >= ok + 20);
    journal_status(w.journal, &status);
    CHECK(!status.disk_full);
    world_check_whole(&w, FLUSHED);
    world_check_whole(&w, WRITTEN);
    CHECK_ERR(world_close(&w), OK);
    must_be_well(&w);
    world_free(&w);
}

/* A checkpoint of more files than are synced one by one. */
TEST(many_files_are_synced_at_once)
{
    struct world w;
    new_world(&w, 9);
    w.logs[WRITTEN].options.retention_bytes = 0;
    CHECK_ERR(world_open(&w, LOGS), OK);
    for (int i = 0; i < 100; i++)
        CHECK_ERR(world_append(&w, WRITTEN, 8000 + i, 1), OK);
    world_settle(&w);
    CHECK_ERR(world_close(&w), OK);
    world_die(&w, true);
    CHECK_ERR(world_open(&w, LOGS), OK);
    world_check_whole(&w, WRITTEN);
    world_free(&w);
}

/* A process that dies loses nothing, whatever the durability: the page cache has it. */
TEST(kill_loses_nothing)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world w;
        new_world(&w, seed);
        for (int life = 0; life < 5; life++) {
            CHECK_ERR(world_open(&w, LOGS), OK);
            CHECK_EQ(journal_log_end(w.logs[WRITTEN].log) >= w.logs[WRITTEN].acknowledged, true);
            CHECK_ERR(world_check_all(&w), OK);
            append_some(&w, 40);
            die(&w, false);
        }
        world_free(&w);
    }
}

static enum err memory_or(enum err e)
{
    return e && mem_failed() ? ERR_NOMEM : e;
}

SCENARIO(memory_that_runs_out)
{
    struct world w;
    enum err e = world_new(&w, 3);
    if (!e) {
        prepare(&w);
        e = script(&w);
    }
    if (!e)
        e = world_open(&w, LOGS);
    if (!e)
        e = world_check_all(&w);
    world_free(&w);
    return memory_or(e);
}

/* Any order of appends, ends and losses of power. */
TEST(random_lives)
{
    uint64_t lives = getenv("JOURNAL_SEEDS") ? strtoull(getenv("JOURNAL_SEEDS"), NULL, 10) : 60;
    for (uint64_t seed = 1; seed <= lives; seed++) {
        struct world w;
        new_world(&w, seed);
        for (int life = 0; life < 6; life++) {
            struct sim_disk_plan plan = {.crash = SIM_CRASH_TEARS, .write_back_one_in = (uint32_t)world_choose(&w, 5)};
            sim_disk_set_plan(w.sim, &plan);
            CHECK_ERR(world_open(&w, LOGS), OK);
            CHECK_ERR(world_check_all(&w), OK);
            append_some(&w, (uint32_t)world_choose(&w, 120));
            if (world_choose(&w, 4) == 0)
                CHECK_ERR(world_close(&w), OK);
            else
                die(&w, world_choose(&w, 2));
        }
        world_free(&w);
    }
}
