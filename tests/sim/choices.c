/* What a seed decides. Sizes are small, so that a short run rolls segments, recycles files of the stream and moves checkpoints. */
#include "run.h"

static uint32_t between(struct sim *s, uint32_t least, uint32_t most)
{
    return least + (uint32_t)sim_choose(s, most - least + 1);
}

static bool one_in(struct sim *s, uint32_t n)
{
    return sim_choose(s, n) == 0;
}

struct choices choose_run(struct sim *s)
{
    struct choices c = {
        .partitions = between(s, 1, PARTITIONS_MAX),
        .producers = between(s, 1, PRODUCERS_MAX),
        .consumers = between(s, 1, CONSUMERS_MAX),
        .lives = between(s, 1, LIVES_MAX),
        .batches = between(s, 5, BATCHES_MAX),
        .value_bytes_max = one_in(s, 4) ? 6000 : 300,
        .segment_bytes = between(s, 1, 8) * 4096,
        .wal_file_bytes = between(s, 4, 16) * 8192,
        .wal_files = between(s, 3, 6),
        .checkpoint_ms = between(s, 2, 200),
        .delay_ms = between(s, 0, 5),
        .power = !one_in(s, 4),
    };
    for (uint32_t i = 0; i < c.partitions; i++)
        c.flush[i] = !one_in(s, 4);
    c.syncs_max = between(s, 1, PARTITIONS_MAX);
    return c;
}

/* ---- a life ------------------------------------------------------------------------------------------------------------------ */

static const enum sim_disk_call FAILING[] = {SIM_DISK_OPEN,        SIM_DISK_READ,     SIM_DISK_WRITE,  SIM_DISK_SYNC,
                                             SIM_DISK_TRUNCATE,    SIM_DISK_ALLOCATE, SIM_DISK_RENAME, SIM_DISK_UNLINK,
                                             SIM_DISK_SYNC_FOLDER, SIM_DISK_LIST};

static void choose_errors(struct sim *s, struct sim_disk_plan *plan)
{
    enum sim_disk_call call = FAILING[sim_choose(s, sizeof FAILING / sizeof *FAILING)];
    plan->errors[call] = (struct sim_disk_error){
        .at = between(s, 1, 60), .onwards = one_in(s, 3), .err = one_in(s, 3) ? ERR_DISK_FULL : ERR_IO};
    if (call == SIM_DISK_READ || call == SIM_DISK_SYNC)
        plan->errors[call].err = ERR_IO;
}

struct life choose_life(struct sim *s, const struct choices *c)
{
    struct life l = {.ms = between(s, 5, 150), .disk_bytes = UINT64_MAX, .cuts = one_in(s, 2)};
    uint64_t end = sim_choose(s, 5);
    l.death = end == 0 ? DEATH_STOP : end < 3 || !c->power ? DEATH_KILL : DEATH_POWER;
    l.plan.crash = SIM_CRASH_TEARS;
    l.plan.write_back_one_in = one_in(s, 2) ? between(s, 2, 20) : 0;
    if (c->power && one_in(s, 3))
        l.plan.power_off_at = between(s, 1, 400);
    if (one_in(s, 2))
        choose_errors(s, &l.plan);
    /* Where it stays in the cache (ext4), a process that is started again finds what a failed sync did not write, syncs it, is
     * told OK, and loses it with the power: a disk that lost data without a word. Only replication stands that. */
    l.plan.failed_sync_evicts = true;
    if (one_in(s, 4))
        l.disk_bytes = between(s, 10, 200) * 4096ull;
    return l;
}
