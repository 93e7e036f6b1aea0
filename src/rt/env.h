/* The seam under it all: what a program takes from the world. It is passed, never global. env_real() is the machine; the
 * deterministic twin (rt/sim) gives the same from a seed. Allocation has its own seam: base/mem.h.
 * Thread: every function may be called from any thread in the real environment; the twin has one thread. */
#ifndef PRISM_RT_ENV_H
#define PRISM_RT_ENV_H

#include <sys/types.h>

#include "base/err.h"
#include "base/slice.h"

struct env;

/* Files. Blocking: call them from the worker pool, or while nothing is served yet; what only touches the page cache may be
 * called from a loop by who has thought about it. Calls that name a path: ERR_NOT_FOUND where there is no such file or
 * folder, ERR_FILE where it is not allowed or of the wrong kind. A new name lasts when its folder has been synced. */
struct env_disk {
    /* ERR_ALREADY_EXISTS: O_CREAT | O_EXCL, and there is one. */
    enum err (*open)(const struct env *, const char *path, int flags, mode_t mode, int *ret_fd);
    void (*close)(const struct env *, int fd);
    enum err (*pread)(const struct env *, int fd, void *to, size_t size, uint64_t offset, size_t *ret_size);
    enum err (*pwrite)(const struct env *, int fd, struct slice from, uint64_t offset); /* all of it, or an error */
    /* The parts one after the other; all of them, or an error after any number of bytes. */
    enum err (*pwritev)(const struct env *, int fd, const struct slice *parts, size_t count, uint64_t offset);
    enum err (*sync)(const struct env *, int fd); /* fdatasync */
    /* All files and names of the file system that fd lies on, whoever wrote them: for who would sync very many. An error that
     * writing any of them met since fd was opened comes here, once. */
    enum err (*sync_all)(const struct env *, int fd);
    enum err (*truncate)(const struct env *, int fd, uint64_t size);
    /* Takes the space, and makes the file at least as large as offset + size: bytes that were not there read as zero. */
    enum err (*allocate)(const struct env *, int fd, uint64_t offset, uint64_t size);
    enum err (*size)(const struct env *, int fd, uint64_t *ret_size);
    /* Alone, until fd is closed or its process ends. ERR_FAILED_PRECONDITION: another open file has it. */
    enum err (*lock)(const struct env *, int fd);
    enum err (*rename)(const struct env *, const char *from, const char *to); /* and syncs the folder of to */
    enum err (*move)(const struct env *, const char *from, const char *to);   /* rename, which syncs nothing */
    enum err (*unlink)(const struct env *, const char *path);
    enum err (*mkdir)(const struct env *, const char *path, mode_t mode); /* parents too; existing is fine */
    enum err (*rmdir)(const struct env *, const char *path);              /* an empty one */
    enum err (*sync_folder)(const struct env *, const char *path);        /* fsync: the names in it last */
    /* Calls entry for each name but . and .., in no order. The folder may be changed from inside: what is added meanwhile
     * comes or does not. */
    enum err (*list)(const struct env *, const char *path, void (*entry)(void *context, const char *name, bool folder),
                     void *context);
    enum err (*space)(const struct env *, const char *path, uint64_t *ret_free); /* bytes left for who writes there */
    /* Whether all of it lies in memory, so that reading it waits for no disk. false also where that cannot be told. */
    bool (*cached)(const struct env *, int fd, uint64_t offset, uint64_t size);
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
