/* The disk of the twin, as bad as disks are. Files have a cache (what is read) and a platter (what a crash leaves); names of a
 * folder have the same two. What has not been synced reaches the platter or not, in any order, in part.
 *
 *   sim_disk_set_plan(sim, &(struct sim_disk_plan){.errors[SIM_DISK_WRITE] = {.at = n}});
 *   ...                                       the n-th write from here on fails once
 *   if (!sim_disk_faults(sim)) break;         a loop over n ends where nothing was left to fail
 *
 * Everything that is left to chance comes from the twin's seed. Thread: the twin's. */
#ifndef PRISM_RT_SIM_DISK_H
#define PRISM_RT_SIM_DISK_H

#include "rt/sim/sim.h"

/* Kinds of calls that are counted and can fail; close, size, lock and space do not. */
enum sim_disk_call {
    SIM_DISK_OPEN,
    SIM_DISK_READ,
    SIM_DISK_WRITE,
    SIM_DISK_SYNC,
    SIM_DISK_TRUNCATE,
    SIM_DISK_ALLOCATE,
    SIM_DISK_RENAME,
    SIM_DISK_UNLINK,
    SIM_DISK_MKDIR,
    SIM_DISK_RMDIR,
    SIM_DISK_SYNC_FOLDER,
    SIM_DISK_LIST,
    SIM_DISK_CALLS,
};

/* A write that fails has written any part of its bytes. A sync that fails has brought any part of the pages to the platter; the
 * others count as clean from then on, as on Linux: the next sync says OK and does nothing for them. */
struct sim_disk_error {
    uint64_t at;  /* the n-th call of this kind, 1: the next; 0: none */
    bool onwards; /* and all later ones */
    enum err err; /* OK: ERR_IO */
};

enum sim_disk_crash {
    SIM_CRASH_DROPS, /* a crash leaves what was synced and nothing else */
    SIM_CRASH_TEARS, /* pages and names that were not synced are lost, kept, or kept in part */
};

struct sim_disk_plan {
    struct sim_disk_error errors[SIM_DISK_CALLS];
    uint64_t power_off_at; /* before the n-th call of any kind: it and all later ones fail, until sim_crash_disk */
    /* The n-th write says OK, and reads see it while it is in the cache; but the platter does not get it, or elsewhere. */
    uint64_t lost_write_at, misdirected_write_at;
    /* The n-th read sees the platter instead of the cache, or another place of the file. */
    uint64_t stale_read_at, misdirected_read_at;
    bool syncs_lie;             /* they say OK and do nothing */
    bool failed_sync_evicts;    /* what it did not write leaves the cache at once (XFS), instead of some day (ext4) */
    uint32_t write_back_one_in; /* writes after which a page goes to the platter by itself; 0: none does */
    enum sim_disk_crash crash;
    uint32_t
        page_bytes; /* what a crash loses as a whole: 512, or 4096, which may be torn at each 512; 0: one of them */
};

/* Copies it; counts start over. */
void sim_disk_set_plan(struct sim *, const struct sim_disk_plan *);
/* Calls since then. */
uint64_t sim_disk_count(const struct sim *, enum sim_disk_call);
uint64_t sim_disk_count_all(const struct sim *);
/* How often the plan has struck since then; power that is off counts once. */
uint64_t sim_disk_faults(const struct sim *);
bool sim_disk_is_off(const struct sim *);
/* For a process that is to die: from now on all its calls fail, without effect, so that whatever it does while it is taken apart
 * leaves no trace. Then sim_crash_disk, where the machine dies with it, or this: caches stay, descriptors and locks go. */
void sim_disk_halt(struct sim *);
void sim_disk_restart(struct sim *);

/* As many bytes as all files together may have, in blocks of 4 KiB; UINT64_MAX, as at first: no end. Files that have more keep
 * it. */
void sim_disk_set_size(struct sim *, uint64_t bytes);
uint64_t sim_disk_used(const struct sim *);
/* Changes bits of the byte at a place, in cache and platter. ERR_NOT_FOUND: no such file; ERR_OUT_OF_RANGE: it is shorter. */
enum err sim_disk_rot(struct sim *, const char *path, uint64_t offset, uint8_t bits);
/* Clean pages leave the cache: what a write lost or misdirected shows. */
void sim_disk_evict(struct sim *);

#endif
