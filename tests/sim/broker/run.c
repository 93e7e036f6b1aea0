/* The course of a run: lives with a hostile disk, each ended by a stop, a kill or a loss of power; then a good disk, on which
 * everything must finish; then the whole log is read and the history judged by tests/proof/stream.h. */
#include "tests/sim/broker/run.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { TURNS_A_LIFE = 20000, TURNS_HEALED = 200000, MS = 1000000, EVENTS_MAX = 1 << 18 };

void run_trace(struct run *r, const char *format, ...)
{
    char line[VIOLATION_BYTES + 64];
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

void run_event(struct run *r, enum stream_kind kind, uint32_t process, uint32_t partition, uint64_t value,
               int64_t offset)
{
    if (r->event_count < EVENTS_MAX)
        r->events[r->event_count++] = (struct stream_event){kind, process, partition, value, offset};
    else
        run_violate(r, "the history is too long");
}

/* ---- what a seed decides ----------------------------------------------------------------------------------------------------- */

static uint32_t between(struct sim *s, uint32_t low, uint32_t high)
{
    return low + (uint32_t)sim_choose(s, high - low + 1);
}

static struct choices choose_run(struct sim *s)
{
    return (struct choices){.workers = between(s, 1, 2),
                            .partitions = between(s, 1, PARTITIONS_MAX),
                            .producers = between(s, 1, PRODUCERS_MAX),
                            .lives = between(s, 1, LIVES_MAX),
                            .batches = between(s, 5, BATCHES_MAX),
                            .value_bytes_max = sim_choose(s, 4) ? 300 : 6000,
                            .wal_file_bytes = between(s, 8, 32) * 8192,
                            .wal_files = between(s, 3, 6),
                            .checkpoint_ms = between(s, 2, 200)};
}

static struct life choose_life(struct sim *s)
{
    static const enum sim_disk_call failing[] = {SIM_DISK_OPEN, SIM_DISK_READ, SIM_DISK_WRITE, SIM_DISK_SYNC};
    struct life l = {.ms = between(s, 5, 100), .disk_bytes = UINT64_MAX, .cuts = sim_choose(s, 2)};
    l.death = (enum death)sim_choose(s, 3);
    l.plan.crash = SIM_CRASH_TEARS;
    l.plan.failed_sync_evicts = true;
    l.plan.write_back_one_in = sim_choose(s, 2) ? between(s, 2, 20) : 0;
    if (sim_choose(s, 3) == 0)
        l.plan.power_off_at = between(s, 1, 400);
    if (sim_choose(s, 2))
        l.plan.errors[failing[sim_choose(s, 4)]] =
            (struct sim_disk_error){.at = between(s, 1, 60), .onwards = !sim_choose(s, 3), .err = ERR_IO};
    if (sim_choose(s, 4) == 0)
        l.disk_bytes = between(s, 50, 400) * 4096ull;
    return l;
}

/* ---- lives ------------------------------------------------------------------------------------------------------------------- */

static void turn(struct run *r)
{
    for (uint32_t i = 0; r->broker && i < broker_shards(r->broker); i++)
        loop_turn(broker_shard(r->broker, i)->loop, false);
    loop_turn(r->control, true);
}

static void open_broker(struct run *r)
{
    const struct broker_options options = {.env = sim_env(r->sim),
                                           .control = r->control,
                                           .data_dir = "data",
                                           .listen = BROKER_ADDRESS,
                                           .workers = r->choices.workers,
                                           .connections_max = 100,
                                           .settings = broker_settings_default};
    enum err e = broker_open(&options, NULL, &r->broker);
    run_trace(r, "open: %s", err_name(e));
    if (e == ERR_CORRUPT || e == ERR_SCHEMA_FUTURE || e == ERR_INTERNAL)
        run_violate(r, "opening says %s, though nothing was damaged", err_name(e));
    if (e)
        r->broker = NULL;
}

static void on_stopped(void *context)
{
    ((struct run *)context)->stopped = true;
}

static void end_broker(struct run *r)
{
    clients_leave(r->clients);
    while (!clients_gone(r->clients))
        turn(r);
    r->stopped = false;
    broker_stop(r->broker, sim_now_ns(r->sim) + 1000ull * MS, on_stopped, r);
    while (!r->stopped)
        turn(r);
    broker_close(r->broker);
    r->broker = NULL;
}

static void end_life(struct run *r, enum death death)
{
    bool power = death == DEATH_POWER || sim_disk_is_off(r->sim);
    run_trace(r, power ? "power is lost" : death == DEATH_KILL ? "killed" : "stopped");
    if (power || death == DEATH_KILL)
        sim_disk_halt(r->sim);
    if (r->broker)
        end_broker(r);
    if (power)
        sim_crash_disk(r->sim);
    else
        sim_disk_restart(r->sim);
}

static void live(struct run *r)
{
    struct life l = choose_life(r->sim);
    l.plan.syncs_lie = r->plant == PLANT_LYING_SYNC;
    run_trace(r, "a life of %u ms, power goes at call %" PRIu64 ", disk of %" PRId64 " KiB", l.ms, l.plan.power_off_at,
              l.disk_bytes == UINT64_MAX ? -1 : (int64_t)(l.disk_bytes >> 10));
    for (int i = 0; i < SIM_DISK_CALLS; i++)
        if (l.plan.errors[i].at)
            run_trace(r, "call of kind %d number %" PRIu64 " fails%s", i, l.plan.errors[i].at,
                      l.plan.errors[i].onwards ? ", and all later ones" : "");
    sim_disk_set_size(r->sim, l.disk_bytes);
    sim_disk_set_plan(r->sim, &l.plan);
    open_broker(r);
    uint64_t end_ns = sim_now_ns(r->sim) + (uint64_t)l.ms * MS;
    if (r->broker)
        clients_connect(r->clients);
    for (int turns = 0; r->broker && turns < TURNS_A_LIFE && sim_now_ns(r->sim) < end_ns; turns++) {
        turn(r);
        if (run_failed(r) || sim_disk_is_off(r->sim))
            break;
        if (l.cuts && !sim_choose(r->sim, 200))
            sim_cut(r->sim);
    }
    end_life(r, l.death);
}

/* ---- the end ----------------------------------------------------------------------------------------------------------------- */

static void judge(struct run *r)
{
    struct stream_report report = {0};
    char *said = NULL;
    size_t size = 0;
    FILE *say = open_memstream(&said, &size);
    clients_tell_bounds(r->clients);
    bool checked = stream_check(r->events, r->event_count, say, &report);
    fclose(say);
    if (!checked)
        run_violate(r, "the history cannot be checked");
    else if (!stream_clean(&report))
        run_violate(r, "%.*s", (int)strcspn(said, "\n"), said);
    run_trace(r, "history: %" PRIu64 " sent, %" PRIu64 " acknowledged, %" PRIu64 " polled", report.sent,
              report.acknowledged, report.polled);
    free(said);
}

static void until_done(struct run *r)
{
    for (int turns = 0; turns < TURNS_HEALED && !clients_done(r->clients) && !run_failed(r); turns++)
        turn(r);
    if (!clients_done(r->clients))
        run_violate(r, "does not finish although its disk is good");
}

static void heal(struct run *r)
{
    const struct sim_disk_plan good = {0};
    run_trace(r, "healed");
    for (int last = 0; last < 2 && !run_failed(r); last++) {
        sim_disk_set_size(r->sim, UINT64_MAX);
        sim_disk_set_plan(r->sim, &good);
        open_broker(r);
        if (!r->broker) {
            run_violate(r, "does not open although its disk is good");
            return;
        }
        if (last)
            clients_read_again(r->clients);
        else
            clients_connect(r->clients);
        until_done(r);
        end_life(r, DEATH_STOP);
    }
    if (!run_failed(r))
        judge(r);
}

static enum err make_run(struct run *r)
{
    enum err e = sim_new(r->seed, &r->sim);
    if (e)
        return e;
    r->choices = choose_run(r->sim);
    r->events = mem_zalloc(EVENTS_MAX * sizeof *r->events);
    e = r->events ? loop_new(sim_env(r->sim), 100, &r->control) : ERR_NOMEM;
    return e ? e : clients_new(r, &r->clients);
}

bool run_seed(uint64_t seed, enum plant plant, FILE *out, struct run *ret_run)
{
    struct run *r = ret_run;
    *r = (struct run){.seed = seed, .plant = plant, .out = out, .trace_hash = 0xcbf29ce484222325u};
    int64_t live_before = mem_live();
    if (make_run(r) != OK)
        abort();
    plants_set(r);
    for (uint32_t i = 0; i < r->choices.lives && !run_failed(r); i++)
        live(r);
    if (!run_failed(r))
        heal(r);
    clients_free(r->clients);
    mem_free(r->events);
    loop_free(r->control);
    sim_free(r->sim);
    if (!run_failed(r) && mem_live() != live_before)
        snprintf(r->violation, sizeof r->violation, "memory is left");
    return !run_failed(r);
}
