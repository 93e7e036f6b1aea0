/* The disk of the twin: files in memory, each twice: as written and as synced. Faults: sim.disk.read, sim.disk.write,
 * sim.disk.sync. Invariant: an unlinked file lives until its last descriptor is closed. */
#include <assert.h>
#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/mem.h"
#include "rt/sim/internal.h"

enum { FILE_BYTES_MAX = 1 << 30 };

struct sim_file {
    char *path; /* NULL: unlinked */
    struct buf written, synced;
    bool durable; /* has been synced */
    unsigned open_count;
    int lock_fd; /* -1: nobody has it */
    struct sim_file *next;
};

static struct sim_file *find(const struct sim *s, const char *path)
{
    struct sim_file *f = s->files;
    while (f && !(f->path && strcmp(f->path, path) == 0))
        f = f->next;
    return f;
}

static struct sim_file *create(struct sim *s, const char *path)
{
    struct sim_file *f = mem_zalloc(sizeof *f);
    if (!f || !(f->path = mem_strdup(path))) {
        mem_free(f);
        return NULL;
    }
    f->lock_fd = -1;
    buf_init(&f->written, FILE_BYTES_MAX);
    buf_init(&f->synced, FILE_BYTES_MAX);
    f->next = s->files;
    s->files = f;
    return f;
}

/* Nothing leads to it any more. */
static void free_if_lost(struct sim *s, struct sim_file *f)
{
    struct sim_file **link = &s->files;
    if (f->path || f->open_count)
        return;
    while (*link != f)
        link = &(*link)->next;
    *link = f->next;
    buf_fini(&f->written);
    buf_fini(&f->synced);
    mem_free(f);
}

static void forget_path(struct sim *s, struct sim_file *f)
{
    mem_free(f->path);
    f->path = NULL;
    free_if_lost(s, f);
}

static int free_fd(const struct sim *s)
{
    for (int i = 0; i < SIM_FDS; i++)
        if (!s->fds[i])
            return i;
    return -1;
}

static enum err disk_open(const struct env *env, const char *path, int flags, mode_t mode, int *ret_fd)
{
    (void)mode;
    struct sim *s = sim_of(env);
    struct sim_file *f = find(s, path);
    int fd = free_fd(s);
    if (fd < 0)
        return ERR_RESOURCE_EXHAUSTED;
    if (f && (flags & O_CREAT) && (flags & O_EXCL))
        return ERR_ALREADY_EXISTS;
    if (!f && !(flags & O_CREAT))
        return ERR_NOT_FOUND;
    if (!f && !(f = create(s, path)))
        return ERR_NOMEM;
    if (flags & O_TRUNC)
        buf_reset(&f->written);
    f->open_count++;
    s->fds[fd] = f;
    *ret_fd = fd;
    return OK;
}

static struct sim_file *file_of(const struct env *env, int fd)
{
    assert(fd >= 0 && fd < SIM_FDS && sim_of(env)->fds[fd]);
    return sim_of(env)->fds[fd];
}

static void disk_close(const struct env *env, int fd)
{
    struct sim_file *f = file_of(env, fd);
    sim_of(env)->fds[fd] = NULL;
    f->lock_fd = f->lock_fd == fd ? -1 : f->lock_fd;
    f->open_count--;
    free_if_lost(sim_of(env), f);
}

static enum err disk_pread(const struct env *env, int fd, void *to, size_t size, uint64_t offset, size_t *ret_size)
{
    struct slice rest = slice_take(slice_skip(buf_slice(&file_of(env, fd)->written), offset), size);
    if (FAULT("sim.disk.read"))
        return ERR_IO;
    if (rest.size)
        memcpy(to, rest.data, rest.size);
    *ret_size = rest.size;
    return OK;
}

/* New bytes are zero. On failure the file is as it was. */
static enum err resize(struct buf *b, size_t size)
{
    if (size <= b->size) {
        b->size = size;
        return OK;
    }
    uint8_t *room = buf_reserve(b, size - b->size);
    if (!room) {
        enum err e = buf_err(b) == ERR_NOMEM ? ERR_NOMEM : ERR_DISK_FULL;
        b->err = OK;
        return e;
    }
    memset(room, 0, size - b->size);
    buf_advance(b, size - b->size);
    return OK;
}

static enum err disk_pwrite(const struct env *env, int fd, struct slice from, uint64_t offset)
{
    struct buf *b = &file_of(env, fd)->written;
    if (FAULT("sim.disk.write"))
        return ERR_DISK_FULL;
    enum err e = offset + from.size > b->size ? resize(b, offset + from.size) : OK;
    if (!e && from.size)
        memcpy(b->data + offset, from.data, from.size);
    return e;
}

static enum err disk_pwritev(const struct env *env, int fd, const struct slice *parts, size_t count, uint64_t offset)
{
    enum err e = OK;
    for (size_t i = 0; i < count && !e; offset += parts[i++].size)
        e = disk_pwrite(env, fd, parts[i], offset);
    return e;
}

static enum err disk_sync(const struct env *env, int fd)
{
    struct sim_file *f = file_of(env, fd);
    if (FAULT("sim.disk.sync"))
        return ERR_IO;
    enum err e = resize(&f->synced, f->written.size);
    if (e)
        return e;
    if (f->written.size)
        memcpy(f->synced.data, f->written.data, f->written.size);
    f->durable = true;
    return OK;
}

static enum err disk_truncate(const struct env *env, int fd, uint64_t size)
{
    return resize(&file_of(env, fd)->written, size);
}

static enum err disk_allocate(const struct env *env, int fd, uint64_t offset, uint64_t size)
{
    struct buf *b = &file_of(env, fd)->written;
    return offset + size > b->size ? resize(b, offset + size) : OK;
}

static enum err disk_lock(const struct env *env, int fd)
{
    struct sim_file *f = file_of(env, fd);
    if (f->lock_fd >= 0 && f->lock_fd != fd)
        return ERR_FAILED_PRECONDITION;
    f->lock_fd = fd;
    return OK;
}

static enum err disk_size(const struct env *env, int fd, uint64_t *ret_size)
{
    *ret_size = file_of(env, fd)->written.size;
    return OK;
}

/* Durable at once, as the real one syncs the folder. */
static enum err disk_rename(const struct env *env, const char *from, const char *to)
{
    struct sim *s = sim_of(env);
    struct sim_file *f = find(s, from), *old = find(s, to);
    if (!f)
        return ERR_NOT_FOUND;
    char *path = mem_strdup(to);
    if (!path)
        return ERR_NOMEM;
    if (old && old != f)
        forget_path(s, old);
    mem_free(f->path);
    f->path = path;
    f->durable = true;
    return OK;
}

static enum err disk_unlink(const struct env *env, const char *path)
{
    struct sim_file *f = find(sim_of(env), path);
    if (!f)
        return ERR_NOT_FOUND;
    forget_path(sim_of(env), f);
    return OK;
}

static enum err disk_mkdir(const struct env *env, const char *path, mode_t mode)
{
    (void)env;
    (void)path;
    (void)mode;
    return OK; /* any path can hold a file */
}

static enum err disk_rmdir(const struct env *env, const char *path)
{
    (void)env;
    (void)path;
    return OK;
}

static enum err disk_sync_folder(const struct env *env, const char *path)
{
    (void)env;
    (void)path;
    return OK;
}

/* What lies below the folder, without the folder: "" where nothing does. */
static const char *below(const struct sim_file *f, const char *folder)
{
    size_t size = strlen(folder);
    return f->path && strncmp(f->path, folder, size) == 0 && f->path[size] == '/' ? f->path + size + 1 : "";
}

/* Whether a newer file of the list has told of this name. */
static bool told(const struct sim *s, const struct sim_file *f, const char *folder, size_t name_size)
{
    for (const struct sim_file *other = s->files; other != f; other = other->next) {
        const char *rest = below(other, folder);
        if (strcspn(rest, "/") == name_size && strncmp(rest, below(f, folder), name_size) == 0)
            return true;
    }
    return false;
}

static enum err disk_list(const struct env *env, const char *path,
                          void (*entry)(void *context, const char *name, bool folder), void *context)
{
    for (const struct sim_file *f = sim_of(env)->files, *next; f; f = next) {
        char name[256];
        const char *rest = below(f, path);
        size_t size = strcspn(rest, "/");
        next = f->next;
        if (size == 0 || size >= sizeof name || told(sim_of(env), f, path, size))
            continue;
        memcpy(name, rest, size);
        name[size] = '\0';
        entry(context, name, rest[size] == '/');
    }
    return OK;
}

static enum err disk_space(const struct env *env, const char *path, uint64_t *ret_free)
{
    (void)env;
    (void)path;
    *ret_free = FILE_BYTES_MAX;
    return OK;
}

static void close_all(struct sim *s)
{
    for (int fd = 0; fd < SIM_FDS; fd++)
        if (s->fds[fd])
            disk_close(&s->env, fd);
}

static void lose_unsynced(struct sim *s, struct sim_file *f)
{
    if (!f->durable) {
        forget_path(s, f);
        return;
    }
    buf_reset(&f->written);
    enum err e = resize(&f->written, f->synced.size);
    assert(e == OK); /* it has been as large before, and a buffer keeps its memory */
    (void)e;
    if (f->synced.size)
        memcpy(f->written.data, f->synced.data, f->synced.size);
}

void sim_crash_disk(struct sim *s)
{
    close_all(s);
    for (struct sim_file *f = s->files, *next; f; f = next) {
        next = f->next;
        lose_unsynced(s, f);
    }
}

void sim_disk_fini(struct sim *s)
{
    close_all(s);
    while (s->files)
        forget_path(s, s->files);
}

const struct env_disk sim_disk = {
    .open = disk_open,
    .close = disk_close,
    .pread = disk_pread,
    .pwrite = disk_pwrite,
    .pwritev = disk_pwritev,
    .sync = disk_sync,
    .truncate = disk_truncate,
    .allocate = disk_allocate,
    .size = disk_size,
    .lock = disk_lock,
    .rename = disk_rename,
    .unlink = disk_unlink,
    .mkdir = disk_mkdir,
    .rmdir = disk_rmdir,
    .sync_folder = disk_sync_folder,
    .list = disk_list,
    .space = disk_space,
};
