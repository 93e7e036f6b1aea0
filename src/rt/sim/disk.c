/* The calls of struct env_disk on the twin, and what the plan does to them. Fault points, for tests that have no plan:
 * sim.disk.read, sim.disk.write, sim.disk.sync.
 *
 * Invariant: an unlinked file lives until its last descriptor is closed. */
#include "rt/sim/disk.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fault.h"
#include "base/mem.h"
#include "rt/sim/disk_internal.h"

/* ---- space --------------------------------------------------------------------------------------------------------------- */

void sim_disk_set_size(struct sim *s, uint64_t bytes)
{
    s->drive->bytes_max = bytes;
}

static uint64_t blocks(uint64_t size)
{
    return (size + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

static uint64_t used_below(const struct sim_node *n)
{
    uint64_t used = n->folder ? 0 : blocks(n->cache.size);
    for (const struct sim_entry *e = n->entries; e; e = e->next)
        used += e->here ? used_below(e->node) : 0;
    return used;
}

uint64_t sim_disk_used(const struct sim *s)
{
    return used_below(s->drive->root);
}

/* How large the file may be. */
static uint64_t size_limit(const struct sim *s, const struct sim_node *f)
{
    if (s->drive->bytes_max == UINT64_MAX)
        return FILE_BYTES_MAX;
    uint64_t used = sim_disk_used(s), own = blocks(f->cache.size), others = used > own ? used - own : 0;
    uint64_t left = s->drive->bytes_max > others ? s->drive->bytes_max - others : 0;
    return left < FILE_BYTES_MAX ? left / BLOCK_BYTES * BLOCK_BYTES : FILE_BYTES_MAX;
}

static enum err resize(struct sim *s, struct sim_node *f, uint64_t size)
{
    return size > f->cache.size && size > size_limit(s, f) ? ERR_DISK_FULL : sim_file_resize(f, size);
}

/* ---- open files ----------------------------------------------------------------------------------------------------------- */

static int free_fd(const struct sim_disk *d)
{
    int fd = 0;
    while (fd < SIM_FDS && d->fds[fd])
        fd++;
    return fd;
}

/* A new file under that path, with a reference for its descriptor. */
static enum err create(struct sim *s, const char *path, struct sim_node **ret_node)
{
    struct sim_node *n = sim_node_new(s, false);
    enum err e = n ? sim_names_add(s, path, n) : ERR_NOMEM;
    if (e) {
        sim_node_unref(n);
        return e;
    }
    *ret_node = n;
    return OK;
}

static enum err find_or_create(struct sim *s, const char *path, int flags, struct sim_node **ret_node)
{
    struct sim_node *n = sim_names_find(s, path);
    if (!n)
        return flags & O_CREAT ? create(s, path, ret_node) : ERR_NOT_FOUND;
    if ((flags & O_CREAT) && (flags & O_EXCL))
        return ERR_ALREADY_EXISTS;
    if (n->folder)
        return ERR_FILE;
    n->refs++;
    *ret_node = n;
    return OK;
}

static enum err disk_open(const struct env *env, const char *path, int flags, mode_t mode, int *ret_fd)
{
    (void)mode;
    struct sim *s = sim_of(env);
    struct sim_node *n = NULL;
    int fd = free_fd(s->drive);
    enum err e = sim_disk_pass(s->drive, SIM_DISK_OPEN);
    if (!e)
        e = fd == SIM_FDS ? ERR_RESOURCE_EXHAUSTED : find_or_create(s, path, flags, &n);
    if (!e && (flags & O_TRUNC)) {
        e = sim_file_resize(n, 0);
        assert(e == OK); /* it does not grow */
    }
    if (e)
        return e;
    s->drive->fds[fd] = n;
    *ret_fd = fd;
    return OK;
}

static struct sim_node *file_of(const struct env *env, int fd)
{
    assert(fd >= 0 && fd < SIM_FDS && sim_of(env)->drive->fds[fd]);
    return sim_of(env)->drive->fds[fd];
}

static void disk_close(const struct env *env, int fd)
{
    struct sim_node *f = file_of(env, fd);
    sim_of(env)->drive->fds[fd] = NULL;
    f->lock_fd = f->lock_fd == fd ? -1 : f->lock_fd;
    sim_node_unref(f);
}

static enum err disk_lock(const struct env *env, int fd)
{
    struct sim_node *f = file_of(env, fd);
    if (f->lock_fd >= 0 && f->lock_fd != fd)
        return ERR_FAILED_PRECONDITION;
    f->lock_fd = fd;
    return OK;
}

/* ---- contents -------------------------------------------------------------------------------------------------------------- */

static enum err disk_pread(const struct env *env, int fd, void *to, size_t size, uint64_t offset, size_t *ret_size)
{
    struct sim_disk *d = sim_of(env)->drive;
    const struct sim_node *f = file_of(env, fd);
    enum err e = sim_disk_pass(d, SIM_DISK_READ);
    if (e || FAULT("sim.disk.read"))
        return e ? e : ERR_IO;
    struct slice all = buf_slice(&f->cache), rest = slice_take(slice_skip(all, offset), size);
    if (sim_disk_strikes(d, SIM_DISK_READ, d->plan.stale_read_at))
        rest = slice_take(slice_skip(buf_slice(&f->platter), offset), size);
    if (sim_disk_strikes(d, SIM_DISK_READ, d->plan.misdirected_read_at) && rest.size < all.size)
        rest = slice_of(all.data + (offset + BLOCK_BYTES) % (all.size - rest.size + 1), rest.size);
    if (rest.size)
        memcpy(to, rest.data, rest.size);
    *ret_size = rest.size;
    return OK;
}

/* Grows the file as far as the disk has room, and takes off the bytes for which it has not. */
static enum err make_room(struct sim *s, struct sim_node *f, uint64_t offset, struct slice *from)
{
    uint64_t end = offset + from->size, limit = size_limit(s, f);
    if (end <= f->cache.size)
        return OK;
    if (end <= limit)
        return resize(s, f, end);
    limit = limit > f->cache.size ? limit : f->cache.size;
    *from = slice_take(*from, limit > offset ? limit - offset : 0);
    enum err e = from->size ? resize(s, f, limit) : OK;
    return e ? e : ERR_DISK_FULL;
}

static enum sim_write way_of_write(struct sim_disk *d)
{
    if (sim_disk_strikes(d, SIM_DISK_WRITE, d->plan.lost_write_at))
        return SIM_WRITE_LOST;
    return sim_disk_strikes(d, SIM_DISK_WRITE, d->plan.misdirected_write_at) ? SIM_WRITE_MISDIRECTED : SIM_WRITE_GOOD;
}

static enum err write_some(struct sim *s, struct sim_node *f, struct slice from, uint64_t offset, enum sim_write how)
{
    enum err e = make_room(s, f, offset, &from);
    if (!e || e == ERR_DISK_FULL)
        sim_file_write(f, from, offset, how);
    return e;
}

/* A write that fails has written a part, unless there is no power. */
static enum err fail_write(struct sim *s, struct sim_node *f, struct slice from, uint64_t offset, enum err e)
{
    if (!s->drive->off)
        (void)write_some(s, f, slice_take(from, sim_choose(s, from.size + 1)), offset, SIM_WRITE_GOOD);
    return e;
}

static void write_back_sometimes(struct sim *s, struct sim_node *f)
{
    uint32_t one_in = s->drive->plan.write_back_one_in;
    if (one_in && sim_choose(s, one_in) == 0)
        sim_file_write_back(f);
}

/* The parts are one call for the plan, and written one after the other. */
static enum err disk_pwritev(const struct env *env, int fd, const struct slice *parts, size_t count, uint64_t offset)
{
    struct sim *s = sim_of(env);
    struct sim_node *f = file_of(env, fd);
    enum err failure = sim_disk_pass(s->drive, SIM_DISK_WRITE), e = OK;
    if (!failure && FAULT("sim.disk.write"))
        failure = ERR_DISK_FULL;
    enum sim_write how = failure ? SIM_WRITE_GOOD : way_of_write(s->drive);
    size_t fails = failure && count ? sim_choose(s, count) : count;
    if (failure && !count)
        return failure;
    for (size_t i = 0; i < count && !e; offset += parts[i++].size) {
        if (i == fails)
            return fail_write(s, f, parts[i], offset, failure);
        if (!s->drive->off)
            e = write_some(s, f, parts[i], offset, how);
    }
    write_back_sometimes(s, f);
    return e;
}

static enum err disk_pwrite(const struct env *env, int fd, struct slice from, uint64_t offset)
{
    return disk_pwritev(env, fd, &from, 1, offset);
}

static enum err disk_sync(const struct env *env, int fd)
{
    struct sim_disk *d = sim_of(env)->drive;
    struct sim_node *f = file_of(env, fd);
    enum err e = sim_disk_pass(d, SIM_DISK_SYNC);
    if (!e && FAULT("sim.disk.sync"))
        e = ERR_IO;
    if (!e && d->plan.syncs_lie)
        return OK;
    if (!e)
        sim_file_sync(f);
    else if (!d->off)
        sim_file_fail_sync(f, d->plan.failed_sync_evicts);
    return e;
}

/* Counted as a sync. One that fails has failed for each file, and brought no name to the platter. */
static enum err disk_sync_all(const struct env *env, int fd)
{
    struct sim_disk *d = sim_of(env)->drive;
    enum err e = sim_disk_pass(d, SIM_DISK_SYNC);
    (void)file_of(env, fd);
    if (!e && FAULT("sim.disk.sync"))
        e = ERR_IO;
    if (!e && d->plan.syncs_lie)
        return OK;
    if (!e)
        sim_names_sync_all(d->root);
    else if (!d->off)
        sim_names_fail_sync_all(d->root, d->plan.failed_sync_evicts);
    return e;
}

static enum err disk_truncate(const struct env *env, int fd, uint64_t size)
{
    enum err e = sim_disk_pass(sim_of(env)->drive, SIM_DISK_TRUNCATE);
    return e ? e : resize(sim_of(env), file_of(env, fd), size);
}

static enum err disk_allocate(const struct env *env, int fd, uint64_t offset, uint64_t size)
{
    struct sim_node *f = file_of(env, fd);
    enum err e = sim_disk_pass(sim_of(env)->drive, SIM_DISK_ALLOCATE);
    return e || offset + size <= f->cache.size ? e : resize(sim_of(env), f, offset + size);
}

static enum err disk_size(const struct env *env, int fd, uint64_t *ret_size)
{
    *ret_size = file_of(env, fd)->cache.size;
    return OK;
}

/* ---- names ------------------------------------------------------------------------------------------------------------------ */

static enum err disk_move(const struct env *env, const char *from, const char *to)
{
    enum err e = sim_disk_pass(sim_of(env)->drive, SIM_DISK_RENAME);
    return e ? e : sim_names_move(sim_of(env), from, to);
}

static enum err disk_rename(const struct env *env, const char *from, const char *to)
{
    struct sim *s = sim_of(env);
    enum err e = disk_move(env, from, to);
    if (!e)
        sim_names_sync(sim_names_folder_of(s, to));
    return e;
}

static enum err disk_unlink(const struct env *env, const char *path)
{
    struct sim *s = sim_of(env);
    struct sim_node *n = sim_names_find(s, path);
    enum err e = sim_disk_pass(s->drive, SIM_DISK_UNLINK);
    if (!e && n && n->folder)
        e = ERR_FILE;
    return e ? e : sim_names_remove(s, path);
}

static enum err make_folder(struct sim *s, const char *path)
{
    struct sim_node *n = sim_names_find(s, path);
    if (n)
        return n->folder ? OK : ERR_FILE;
    n = sim_node_new(s, true);
    enum err e = n ? sim_names_add(s, path, n) : ERR_NOMEM;
    sim_node_unref(n);
    return e;
}

static enum err disk_mkdir(const struct env *env, const char *path, mode_t mode)
{
    (void)mode;
    char part[4096];
    size_t size = strlen(path);
    enum err e = size < sizeof part ? sim_disk_pass(sim_of(env)->drive, SIM_DISK_MKDIR) : ERR_FILE;
    for (size_t i = 1; i <= size && !e; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        e = make_folder(sim_of(env), part);
    }
    return e;
}

static bool is_empty(const struct sim_node *folder)
{
    const struct sim_entry *e = folder->entries;
    while (e && !e->here)
        e = e->next;
    return !e;
}

static enum err disk_rmdir(const struct env *env, const char *path)
{
    struct sim *s = sim_of(env);
    struct sim_node *n = sim_names_find(s, path);
    enum err e = sim_disk_pass(s->drive, SIM_DISK_RMDIR);
    if (!e && n && !n->folder)
        e = ERR_FILE;
    if (!e && n && !is_empty(n))
        e = ERR_ALREADY_EXISTS; /* ENOTEMPTY, which may be EEXIST as well */
    return e ? e : sim_names_remove(s, path);
}

static enum err folder_at(struct sim *s, const char *path, struct sim_node **ret_folder)
{
    struct sim_node *n = sim_names_find(s, path);
    if (!n || !n->folder)
        return n ? ERR_FILE : ERR_NOT_FOUND;
    *ret_folder = n;
    return OK;
}

static enum err disk_sync_folder(const struct env *env, const char *path)
{
    struct sim_node *folder;
    enum err e = sim_disk_pass(sim_of(env)->drive, SIM_DISK_SYNC_FOLDER);
    if (!e)
        e = folder_at(sim_of(env), path, &folder);
    if (!e)
        sim_names_sync(folder);
    return e;
}

static enum err disk_list(const struct env *env, const char *path,
                          void (*entry)(void *context, const char *name, bool folder), void *context)
{
    struct sim_node *folder;
    enum err e = sim_disk_pass(sim_of(env)->drive, SIM_DISK_LIST);
    if (!e)
        e = folder_at(sim_of(env), path, &folder);
    if (e)
        return e;
    sim_names_each(folder, entry, context);
    return OK;
}

static enum err disk_space(const struct env *env, const char *path, uint64_t *ret_free)
{
    uint64_t max = sim_of(env)->drive->bytes_max, used = sim_disk_used(sim_of(env));
    if (!sim_names_find(sim_of(env), path))
        return ERR_NOT_FOUND;
    *ret_free = max > used ? max - used : 0;
    return OK;
}

/* The twin's readers look at what they read. */
static bool disk_cached(const struct env *env, int fd, uint64_t offset, uint64_t size)
{
    (void)env, (void)fd, (void)offset, (void)size;
    return false;
}

const struct env_disk sim_disk = {
    .open = disk_open,
    .close = disk_close,
    .pread = disk_pread,
    .pwrite = disk_pwrite,
    .pwritev = disk_pwritev,
    .sync = disk_sync,
    .sync_all = disk_sync_all,
    .truncate = disk_truncate,
    .allocate = disk_allocate,
    .size = disk_size,
    .lock = disk_lock,
    .rename = disk_rename,
    .move = disk_move,
    .unlink = disk_unlink,
    .mkdir = disk_mkdir,
    .rmdir = disk_rmdir,
    .sync_folder = disk_sync_folder,
    .list = disk_list,
    .space = disk_space,
    .cached = disk_cached,
};
