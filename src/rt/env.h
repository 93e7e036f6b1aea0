/* The seam under it all: what a program takes from the world. It is passed, never global. env_real() is the machine; the
 * deterministic twin (rt/sim) gives the same from a seed. Allocation has its own seam: base/mem.h.
 * Thread: every function may be called from any thread in the real environment; the twin has one thread. */
#ifndef PRISM_RT_ENV_H
#define PRISM_RT_ENV_H

#include <sys/types.h>

#include "base/err.h"
#include "base/slice.h"

struct env;

/* Files. Blocking: call them from the worker pool, or while nothing is served yet. */
struct env_disk {
    enum err (*open)(const struct env *, const char *path, int flags, mode_t mode, int *ret_fd);
    void (*close)(const struct env *, int fd);
    enum err (*pread)(const struct env *, int fd, void *to, size_t size, uint64_t offset, size_t *ret_size);
    enum err (*pwrite)(const struct env *, int fd, struct slice from, uint64_t offset); /* all of it, or an error */
    enum err (*pwritev)(const struct env *, int fd, const struct slice *parts, size_t count,
                        uint64_t offset);         /* likewise */
    enum err (*sync)(const struct env *, int fd); /* fdatasync */
    enum err (*truncate)(const struct env *, int fd, uint64_t size);
    enum err (*size)(const struct env *, int fd, uint64_t *ret_size);
    enum err (*rename)(const struct env *, const char *from, const char *to); /* and syncs the folder */
    enum err (*unlink)(const struct env *, const char *path);
    enum err (*mkdir)(const struct env *, const char *path, mode_t mode); /* parents too; existing is fine */
    enum err (*rmdir)(const struct env *, const char *path);              /* an empty one */
    /* Names in a folder, but . and .., in no order. visit must not change the folder. */
    enum err (*list)(const struct env *, const char *path, void (*visit)(void *context, const char *name),
                     void *context);
    enum err (*sync_folder)(const struct env *, const char *path); /* names in it are durable then */
    enum err (*lock)(const struct env *, int fd); /* against other processes, until closed. ERR_FILE: one has it */
};

struct env {
    uint64_t (*monotonic_ns)(const struct env *);
    uint64_t (*realtime_ns)(const struct env *);                /* since 1970-01-01 UTC */
    void (*random)(const struct env *, void *out, size_t size); /* unpredictable bytes; deterministic in the twin */
    const struct env_disk *disk;
    const struct loop_backend *loop; /* rt/internal.h; loop.h and conn.h are written on it */
};

const struct env *env_real(void);

#endif
