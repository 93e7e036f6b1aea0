/* The machine as it is. */
#include "rt/env.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "rt/internal.h"

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t monotonic_ns(const struct env *env)
{
    (void)env;
    return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t realtime_ns(const struct env *env)
{
    (void)env;
    return clock_ns(CLOCK_REALTIME);
}

/* Nothing can be done without unpredictable bytes; the kernel does not refuse them once it has booted. */
static void random_bytes(const struct env *env, void *out, size_t size)
{
    (void)env;
    for (size_t done = 0; done < size;) {
        ssize_t n = getrandom((uint8_t *)out + done, size - done, 0);
        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR)
            abort();
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------------ */

static enum err file_error(void)
{
    return err_from_errno(errno);
}

static enum err disk_open(const struct env *env, const char *path, int flags, mode_t mode, int *ret_fd)
{
    (void)env;
    int fd = open(path, flags | O_CLOEXEC, mode);
    if (fd < 0)
        return file_error();
    *ret_fd = fd;
    return OK;
}

static void disk_close(const struct env *env, int fd)
{
    (void)env;
    close(fd);
}

static enum err disk_pread(const struct env *env, int fd, void *to, size_t size, uint64_t offset, size_t *ret_size)
{
    (void)env;
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, (uint8_t *)to + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno != EINTR)
            return file_error();
        if (n == 0)
            break;
        done += n > 0 ? (size_t)n : 0;
    }
    *ret_size = done;
    return OK;
}

static enum err disk_pwrite(const struct env *env, int fd, struct slice from, uint64_t offset)
{
    (void)env;
    while (from.size) {
        ssize_t n = pwrite(fd, from.data, from.size, (off_t)offset);
        if (n < 0 && errno != EINTR)
            return file_error();
        if (n > 0) {
            from = slice_skip(from, (size_t)n);
            offset += (uint64_t)n;
        }
    }
    return OK;
}

/* The kernel has taken the first bytes: the parts that are left, at most parts_max of them. */
static size_t parts_behind(const struct slice *parts, size_t count, size_t taken, struct iovec *left, size_t left_max)
{
    size_t n = 0;
    for (size_t i = 0; i < count && n < left_max; i++) {
        size_t skip = taken < parts[i].size ? taken : parts[i].size;
        taken -= skip;
        if (skip < parts[i].size)
            left[n++] = (struct iovec){(void *)(uintptr_t)(parts[i].data + skip), parts[i].size - skip};
    }
    return n;
}

static enum err disk_pwritev(const struct env *env, int fd, const struct slice *parts, size_t count, uint64_t offset)
{
    (void)env;
    enum { AT_ONCE = 256 };
    struct iovec left[AT_ONCE];
    size_t taken = 0, n;
    while ((n = parts_behind(parts, count, taken, left, AT_ONCE))) {
        ssize_t done = pwritev(fd, left, (int)n, (off_t)(offset + taken));
        if (done < 0 && errno != EINTR)
            return file_error();
        taken += done > 0 ? (size_t)done : 0;
    }
    return OK;
}

static enum err disk_sync(const struct env *env, int fd)
{
    (void)env;
    return fdatasync(fd) == 0 ? OK : file_error();
}

static enum err disk_truncate(const struct env *env, int fd, uint64_t size)
{
    (void)env;
    return ftruncate(fd, (off_t)size) == 0 ? OK : file_error();
}

static enum err disk_size(const struct env *env, int fd, uint64_t *ret_size)
{
    (void)env;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return file_error();
    *ret_size = (uint64_t)st.st_size;
    return OK;
}

static enum err disk_sync_folder(const struct env *env, const char *path)
{
    (void)env;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_error();
    enum err e = fsync(fd) == 0 ? OK : file_error();
    close(fd);
    return e;
}

/* The folder that path lies in: a name in it is durable only when the folder is. */
static enum err sync_folder_of(const struct env *env, const char *path)
{
    char folder[4096] = ".";
    const char *slash = strrchr(path, '/');
    if (slash && (size_t)(slash - path) >= sizeof folder)
        return ERR_FILE;
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return disk_sync_folder(env, folder);
}

static enum err disk_rename(const struct env *env, const char *from, const char *to)
{
    return rename(from, to) == 0 ? sync_folder_of(env, to) : file_error();
}

static enum err disk_unlink(const struct env *env, const char *path)
{
    (void)env;
    return unlink(path) == 0 ? OK : file_error();
}

static enum err disk_mkdir(const struct env *env, const char *path, mode_t mode)
{
    (void)env;
    char part[4096];
    size_t size = strlen(path);
    if (size >= sizeof part)
        return ERR_FILE;
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        if (mkdir(part, mode) != 0 && errno != EEXIST)
            return file_error();
    }
    return OK;
}

static enum err disk_rmdir(const struct env *env, const char *path)
{
    (void)env;
    return rmdir(path) == 0 ? OK : file_error();
}

static enum err disk_list(const struct env *env, const char *path, void (*visit)(void *, const char *), void *context)
{
    (void)env;
    const struct dirent *entry;
    DIR *folder = opendir(path);
    if (!folder)
        return file_error();
    while (errno = 0, (entry = readdir(folder)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            visit(context, entry->d_name);
    enum err e = errno ? file_error() : OK;
    closedir(folder);
    return e;
}

static enum err disk_lock(const struct env *env, int fd)
{
    (void)env;
    return flock(fd, LOCK_EX | LOCK_NB) == 0 ? OK : errno == EWOULDBLOCK ? ERR_FILE : file_error();
}

static const struct env_disk real_disk = {
    .open = disk_open,
    .close = disk_close,
    .pread = disk_pread,
    .pwrite = disk_pwrite,
    .pwritev = disk_pwritev,
    .sync = disk_sync,
    .truncate = disk_truncate,
    .size = disk_size,
    .rename = disk_rename,
    .unlink = disk_unlink,
    .mkdir = disk_mkdir,
    .rmdir = disk_rmdir,
    .list = disk_list,
    .sync_folder = disk_sync_folder,
    .lock = disk_lock,
};

const struct env *env_real(void)
{
    static const struct env real = {
        .monotonic_ns = monotonic_ns,
        .realtime_ns = realtime_ns,
        .random = random_bytes,
        .disk = &real_disk,
        .loop = &uv_backend,
    };
    return &real;
}
