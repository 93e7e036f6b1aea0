/* The course of a run.
 *
 *   open ──▶ a life: clients work, the disk is as the life's plan says ──▶ stop, kill, or power lost ──▶ open …
 *      ──▶ healed: the disk is good; everything must end well ──▶ judgement
 *
 * A life that cannot begin, because its disk does not let the node open, is a short one. */
#include "run.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum {
    TURNS_A_LIFE = 20000,
    TURNS_HEALED = 200000,
    MS = 1000000,
};

/* ---- what is said ------------------------------------------------------------------------------------------------------------ */

void run_trace(struct run *r, const char *format, ...)
{
    char line[512];
    va_list arguments;
    int head = snprintf(line, sizeof line, "%10.3f ms  ", (double)sim_now_ns(r->sim) / MS);
    va_start(arguments, format);
    vsnprintf(line + head, sizeof line - (size_t)head, format, arguments);
    va_end(arguments);
    for (const char *c = line; *c; c++)
        r->trace_hash = (r->trace_hash ^ (uint8_t)*c) * 0x100000001b3u;
    r->trace_lines++;
    if (r->out)
        fprintf(r->out, "%s\n", line);
}

void run_violate(struct run *r, const char *format, ...)
{
    va_list arguments;
    if (run_failed(r))
        return;
    va_start(arguments, format);
    vsnprintf(r->violation, sizeof r->violation, format, arguments);
    va_end(arguments);
    run_trace(r, "VIOLATION: %s", r->violation);
}

void run_give_up(struct run *r, const char *why)
{
    printf("seed %" PRIu64 ": %s\nreplay: make sim SEED=%" PRIu64 "\n0 passed, 1 failed\n", r->seed, why, r->seed);
    exit(1);
}

/* ---- lives ------------------------------------------------------------------------------------------------------------------- */

struct alarm {
    struct timer timer;
    bool rung;
};

static void ring(struct timer *t)
{
    ((struct alarm *)t)->rung = true;
}

static void open_node(struct run *r, bool lost)
{
    enum err e = node_open(r, &r->node);
    run_trace(r, "open: %s", err_name(e));
    if (e == ERR_CORRUPT || e == ERR_SCHEMA_FUTURE || e == ERR_INTERNAL)
        run_violate(r, "opening says %s, though nothing was damaged", err_name(e));
    if (!e) {
        judge_opened(r->judge, lost);
        clients_connect(r->clients);
    }
}

static void cut_sometimes(struct run *r, const struct life *l)
{
    if (!l->cuts || sim_choose(r->sim, 200))
        return;
    run_trace(r, "connections are cut");
    clients_cut(r->clients);
    clients_connect(r->clients);
}

/* Until its time is over, its power is lost, or it gives up. */
static void live(struct run *r, const struct life *l)
{
    struct alarm end = {.timer.fire = ring};
    timer_start(r->loop, &end.timer, loop_now_ns(r->loop) + (uint64_t)l->ms * MS);
    for (int turns = 0; turns < TURNS_A_LIFE && !end.rung && !run_failed(r); turns++) {
        loop_turn(r->loop, true);
        if (sim_disk_is_off(r->sim) || node_is_broken(r->node))
            break;
        judge_step(r->judge);
        cut_sometimes(r, l);
    }
    timer_stop(r->loop, &end.timer);
}

static void stop(struct run *r)
{
    clients_cut(r->clients);
    enum err e = node_stop(r->node);
    run_trace(r, "stop: %s", err_name(e));
    sim_disk_restart(r->sim);
}

static void die(struct run *r, bool power)
{
    run_trace(r, power ? "power is lost" : "killed");
    clients_cut(r->clients);
    sim_disk_halt(r->sim);
    node_die(r->node);
    if (power)
        sim_crash_disk(r->sim);
    else
        sim_disk_restart(r->sim);
}

/* Whether what was not flushed may be lost. */
static bool end_life(struct run *r, const struct life *l)
{
    bool power = l->death == DEATH_POWER || sim_disk_is_off(r->sim);
    if (!r->node) { /* it never began */
        if (power)
            sim_crash_disk(r->sim);
        return power;
    }
    if (l->death == DEATH_STOP && !power && !node_is_broken(r->node))
        stop(r);
    else
        die(r, power);
    r->node = NULL;
    return power;
}

/* What a failed sync did not write is gone from the cache, too. */
static bool loses_pages(const struct life *l)
{
    return l->plan.errors[SIM_DISK_SYNC].at;
}

static void remove_stream(void *context, const char *name, bool folder)
{
    struct run *r = context;
    char path[256];
    snprintf(path, sizeof path, "/data/wal/0/%s", name);
    if (!folder)
        (void)r->env->disk->unlink(r->env, path);
}

static void cut_middle(void *context, const char *name, bool folder)
{
    struct run *r = context;
    char path[256];
    uint64_t size = 0;
    int fd;
    snprintf(path, sizeof path, "/data/logs/%s/00000000000000000000.log", name);
    if (!folder || r->env->disk->open(r->env, path, 2, 0, &fd))
        return;
    (void)r->env->disk->size(r->env, fd, &size);
    (void)r->env->disk->truncate(r->env, fd, size / 2);
    r->env->disk->close(r->env, fd);
}

/* What a recovery with a fault would do, done to it from outside. */
static void plant_before_opening(struct run *r)
{
    if (r->plant == PLANT_SKIPS_STREAM)
        (void)r->env->disk->list(r->env, "/data/wal/0", remove_stream, r);
    if (r->plant == PLANT_CUTS_MIDDLE)
        (void)r->env->disk->list(r->env, "/data/logs", cut_middle, r);
}

static void trace_choices(struct run *r)
{
    const struct choices *c = &r->choices;
    run_trace(r, "%u producers, %u consumers, %u lives, %u batches a lane, segments of %u, stream of %u files of %u",
              c->producers, c->consumers, c->lives, c->batches, c->segment_bytes, c->wal_files, c->wal_file_bytes);
    for (uint32_t i = 0; i < c->partitions; i++)
        run_trace(r, "partition %u: durability %s", i, c->flush[i] ? "flush" : "memory");
}

static void trace_life(struct run *r, const struct life *l)
{
    static const char *const names[SIM_DISK_CALLS] = {
        "open",   "read",   "write", "sync",  "truncate",         "allocate",
        "rename", "unlink", "mkdir", "rmdir", "sync of a folder", "list"};
    run_trace(r, "a life of %u ms, power goes at call %" PRIu64 ", disk of %" PRId64 " KiB", l->ms,
              l->plan.power_off_at, l->disk_bytes == UINT64_MAX ? -1 : (int64_t)(l->disk_bytes >> 10));
    for (int i = 0; i < SIM_DISK_CALLS; i++)
        if (l->plan.errors[i].at)
            run_trace(r, "%s number %" PRIu64 " fails%s: %s", names[i], l->plan.errors[i].at,
                      l->plan.errors[i].onwards ? ", and all later ones" : "", err_name(l->plan.errors[i].err));
}

static void begin_life(struct run *r, const struct life *l, bool lost)
{
    trace_life(r, l);
    plant_before_opening(r);
    sim_disk_set_size(r->sim, l->disk_bytes);
    sim_disk_set_plan(r->sim, &l->plan);
    open_node(r, lost);
}

static bool live_all(struct run *r)
{
    bool lost = false;
    for (uint32_t i = 0; i < r->choices.lives && !run_failed(r); i++) {
        struct life l = choose_life(r->sim, &r->choices);
        l.plan.syncs_lie = r->plant == PLANT_LYING_SYNC;
        begin_life(r, &l, lost);
        if (r->node) {
            live(r, &l);
            lost = false;
        }
        lost |= end_life(r, &l) || loses_pages(&l);
    }
    return lost;
}

/* ---- healing ----------------------------------------------------------------------------------------------------------------- */

static void heal(struct run *r, bool lost)
{
    struct life good = {.disk_bytes = UINT64_MAX};
    char state[256];
    run_trace(r, "healed");
    r->healed = true;
    begin_life(r, &good, lost);
    if (!r->node) {
        run_violate(r, "does not open although its disk is good");
        return;
    }
    for (int turns = 0; turns < TURNS_HEALED && !clients_done(r->clients) && !run_failed(r); turns++) {
        loop_turn(r->loop, true);
        if (node_is_broken(r->node))
            run_violate(r, "gives up although its disk is good");
        judge_step(r->judge);
    }
    clients_describe(r->clients, state, sizeof state);
    if (!clients_done(r->clients))
        run_violate(r, "does not finish although its disk is good: %s", state);
}

/* What it left is read again by one that has nothing to recover. */
static void end_healed(struct run *r)
{
    if (!run_failed(r))
        stop(r);
    else
        die(r, false);
    r->node = NULL;
    if (!run_failed(r))
        open_node(r, false);
    if (!r->node)
        return;
    judge_end(r->judge);
    stop(r);
    r->node = NULL;
    if (!run_failed(r))
        rot_and_check(r);
    if (r->node)
        die(r, false);
}

/* ---- a run ------------------------------------------------------------------------------------------------------------------- */

static enum err make_run(struct run *r)
{
    enum err e = sim_new(r->seed, &r->sim);
    if (e)
        return e;
    r->env = sim_env(r->sim);
    r->choices = choose_run(r->sim);
    e = loop_new(r->env, 0, &r->loop);
    if (!e)
        e = judge_new(r, &r->judge);
    return e ? e : clients_new(r, &r->clients);
}

static void end_run(struct run *r)
{
    clients_free(r->clients);
    judge_free(r->judge);
    loop_free(r->loop);
    sim_free(r->sim);
}

bool run_seed(uint64_t seed, enum plant plant, struct pool *pool, FILE *out, struct run *ret_run)
{
    struct run *r = ret_run;
    int64_t live_before = mem_live();
    *r = (struct run){.seed = seed, .plant = plant, .pool = pool, .out = out, .trace_hash = 0xcbf29ce484222325u};
    if (make_run(r) != OK) {
        snprintf(r->violation, sizeof r->violation, "out of memory");
    } else {
        trace_choices(r);
        bool lost = live_all(r);
        if (!run_failed(r))
            heal(r, lost);
        if (r->node)
            end_healed(r);
    }
    end_run(r);
    if (!run_failed(r) && mem_live() != live_before)
        snprintf(r->violation, sizeof r->violation, "%lld blocks of memory are left",
                 (long long)(mem_live() - live_before));
    return !run_failed(r);
}
