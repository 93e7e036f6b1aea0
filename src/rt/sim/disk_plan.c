/* What the plan decides, and what happens to the disk from outside: rot, the end of a process, a crash. */
#include "rt/sim/disk.h"

#include "base/mem.h"
#include "rt/sim/disk_internal.h"

enum err sim_disk_init(struct sim *s)
{
    s->drive = mem_zalloc(sizeof *s->drive);
    if (!s->drive)
        return ERR_NOMEM;
    s->drive->bytes_max = UINT64_MAX;
    s->drive->root = sim_node_new(s, true);
    return s->drive->root ? OK : ERR_NOMEM;
}

/* ---- the plan ------------------------------------------------------------------------------------------------------------ */

void sim_disk_set_plan(struct sim *s, const struct sim_disk_plan *plan)
{
    struct sim_disk *d = s->drive;
    d->plan = *plan;
    memset(d->counts, 0, sizeof d->counts);
    d->count_all = d->faults = 0;
}

uint64_t sim_disk_count(const struct sim *s, enum sim_disk_call call)
{
    return s->drive->counts[call];
}

uint64_t sim_disk_count_all(const struct sim *s)
{
    return s->drive->count_all;
}

uint64_t sim_disk_faults(const struct sim *s)
{
    return s->drive->faults;
}

bool sim_disk_is_off(const struct sim *s)
{
    return s->drive->off;
}

static bool power_fails(struct sim_disk *d)
{
    d->count_all++;
    if (!d->off && d->plan.power_off_at && d->count_all >= d->plan.power_off_at) {
        d->off = true;
        d->faults++;
    }
    return d->off;
}

/* Counts the call. OK: it may do its work. */
enum err sim_disk_pass(struct sim_disk *d, enum sim_disk_call call)
{
    const struct sim_disk_error *e = &d->plan.errors[call];
    uint64_t n = ++d->counts[call];
    if (power_fails(d))
        return ERR_IO;
    if (!e->at || !(n == e->at || (n > e->at && e->onwards)))
        return OK;
    d->faults++;
    return e->err ? e->err : ERR_IO;
}

/* Whether the plan means this pass of the call. */
bool sim_disk_strikes(struct sim_disk *d, enum sim_disk_call call, uint64_t at)
{
    bool now = at && d->counts[call] == at;
    d->faults += now;
    return now;
}

/* ---- from outside -------------------------------------------------------------------------------------------------------- */

enum err sim_disk_rot(struct sim *s, const char *path, uint64_t offset, uint8_t bits)
{
    struct sim_node *f = sim_names_find(s, path);
    if (!f || f->folder)
        return ERR_NOT_FOUND;
    if (offset >= f->cache.size)
        return ERR_OUT_OF_RANGE;
    f->cache.data[offset] ^= bits;
    if (offset < f->platter.size)
        f->platter.data[offset] ^= bits;
    return OK;
}

static void evict_below(struct sim_node *n)
{
    if (!n->folder)
        sim_file_evict(n);
    for (struct sim_entry *e = n->entries; e; e = e->next)
        if (e->here)
            evict_below(e->node);
}

void sim_disk_evict(struct sim *s)
{
    evict_below(s->drive->root);
}

static void close_all(struct sim *s)
{
    for (int fd = 0; fd < SIM_FDS; fd++)
        if (s->drive->fds[fd])
            sim_disk.close(&s->env, fd);
}

void sim_disk_halt(struct sim *s)
{
    s->drive->off = true;
}

void sim_disk_restart(struct sim *s)
{
    close_all(s);
    s->drive->off = false;
    s->drive->plan.power_off_at = 0;
}

void sim_crash_disk(struct sim *s)
{
    sim_disk_restart(s);
    sim_names_crash(s->drive->root, &s->drive->plan);
}

void sim_disk_fini(struct sim *s)
{
    if (!s->drive)
        return;
    if (s->drive->root)
        close_all(s);
    sim_node_unref(s->drive->root);
    mem_free(s->drive);
}
