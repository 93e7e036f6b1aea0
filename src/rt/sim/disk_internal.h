/* What the files of the twin's disk know of each other. Private to them.
 *
 *   disk.c          calls, in the order of struct env_disk
 *   disk_plan.c     counts, faults, crashes
 *   disk_names.c    folders: names in the cache and on the platter
 *   disk_file.c     contents: cache, platter, which sectors are dirty */
#ifndef PRISM_RT_SIM_DISK_INTERNAL_H
#define PRISM_RT_SIM_DISK_INTERNAL_H

#include "base/buf.h"
#include "rt/sim/disk.h"
#include "rt/sim/internal.h"

enum { SECTOR_BYTES = 512, BLOCK_BYTES = 4096, FILE_BYTES_MAX = 1 << 30, SIM_FDS = 1024 };

/* A name in a folder: as it is, on the platter, or both; or only in a change. */
struct sim_entry {
    char *name;
    struct sim_node *node; /* a reference */
    bool here, kept;
    unsigned changes; /* that speak of it */
    struct sim_entry *next;
};

/* A change of a folder that its platter does not have. */
struct sim_change {
    struct sim_entry *removed[2], *added; /* NULL: none */
    struct sim_change *next;
};

/* A file or a folder. References: entries, descriptors. */
struct sim_node {
    unsigned refs;
    bool folder;
    struct sim *sim;
    /* Folder. */
    struct sim_entry *entries;
    struct sim_change *changes, **changes_last;
    /* File. Invariant: the platter has room for all that the cache holds, so that syncing never fails for lack of memory. */
    struct buf cache, platter;
    struct buf dirty; /* a byte a sector of the cache: 1 where the platter has to get it */
    int lock_fd;      /* -1: nobody has it */
};

struct sim_disk {
    struct sim_node *root;
    struct sim_disk_plan plan;
    uint64_t counts[SIM_DISK_CALLS], count_all, faults;
    bool off;
    uint64_t bytes_max;            /* of files that have a name */
    struct sim_node *fds[SIM_FDS]; /* NULL: free */
};

/* disk_plan.c */
/* Counts the call. OK: it may do its work. */
enum err sim_disk_pass(struct sim_disk *, enum sim_disk_call);
/* Whether the plan means this pass of the call. */
bool sim_disk_strikes(struct sim_disk *, enum sim_disk_call, uint64_t at);

/* disk_names.c */
struct sim_node *sim_node_new(struct sim *, bool folder);
void sim_node_unref(struct sim_node *); /* NULL is fine */
/* The node of a path; NULL: there is none. */
struct sim_node *sim_names_find(struct sim *, const char *path);
/* ERR_NOT_FOUND: its folder is not there; ERR_FILE: that is a file. */
enum err sim_names_add(struct sim *, const char *path, struct sim_node *);
enum err sim_names_remove(struct sim *, const char *path);
enum err sim_names_move(struct sim *, const char *from, const char *to);
/* The folder that path lies in. */
struct sim_node *sim_names_folder_of(struct sim *, const char *path);
void sim_names_sync(struct sim_node *folder);
/* With all files below. */
void sim_names_sync_all(struct sim_node *folder);
void sim_names_fail_sync_all(struct sim_node *folder, bool evicts);
/* The folder may be changed from inside. */
void sim_names_each(struct sim_node *folder, void (*entry)(void *context, const char *name, bool folder),
                    void *context);
/* All folders and files from the root on, after a crash. */
void sim_names_crash(struct sim_node *folder, const struct sim_disk_plan *);
void sim_names_forget(struct sim_node *folder); /* all that lies below */

/* disk_file.c */
void sim_file_init(struct sim_node *);
void sim_file_fini(struct sim_node *);
/* Bytes that come into being are zero. On failure the file is as it was. */
enum err sim_file_resize(struct sim_node *, uint64_t size);
enum sim_write { SIM_WRITE_GOOD, SIM_WRITE_LOST, SIM_WRITE_MISDIRECTED };
/* Inside the file. */
void sim_file_write(struct sim_node *, struct slice, uint64_t offset, enum sim_write);
void sim_file_write_back(struct sim_node *); /* one dirty page, if there is one */
void sim_file_sync(struct sim_node *);
void sim_file_fail_sync(struct sim_node *, bool evicts);
void sim_file_evict(struct sim_node *);
void sim_file_crash(struct sim_node *, const struct sim_disk_plan *);

#endif
