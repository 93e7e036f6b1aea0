/* The files of the machine. Calls that a signal interrupts go on; short ones are completed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "rt/internal.h"

enum { WRITE_PARTS = 64 };

static enum err file_error(void)
{
    return errno == ENOENT ? ERR_NOT_FOUND : errno == EEXIST ? ERR_ALREADY_EXISTS : err_from_errno(errno);
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

/* One call's worth from the parts, without the first `skip` bytes of the first. Returns how many. */
static size_t gather(const struct slice *parts, size_t count, size_t skip, struct iovec io[WRITE_PARTS])
{
    size_t used = 0;
    for (; used < WRITE_PARTS && used < count; used++)
        io[used] = (struct iovec){(void *)(uintptr_t)parts[used].data, parts[used].size};
    io[0].iov_base = (uint8_t *)io[0].iov_base + skip;
    io[0].iov_len -= skip;
    return used;
}

static enum err disk_pwritev(const struct env *env, int fd, const struct slice *parts, size_t count, uint64_t offset)
{
    (void)env;
    struct iovec io[WRITE_PARTS];
    size_t skip = 0;
    while (count) {
        ssize_t n = pwritev(fd, io, (int)gather(parts, count, skip, io), (off_t)offset);
        if (n < 0 && errno != EINTR)
            return file_error();
        size_t left = n > 0 ? (size_t)n : 0;
        offset += left;
        for (; count && left >= parts->size - skip; count--, parts++) {
            left -= parts->size - skip;
            skip = 0;
        }
        skip += left;
    }
    return OK;
}

static enum err disk_sync(const struct env *env, int fd)
{
    (void)env;
    return fdatasync(fd) == 0 ? OK : file_error();
}

static enum err disk_sync_all(const struct env *env, int fd)
{
    (void)env;
    return syncfs(fd) == 0 ? OK : file_error();
}

static enum err disk_truncate(const struct env *env, int fd, uint64_t size)
{
    (void)env;
    return ftruncate(fd, (off_t)size) == 0 ? OK : file_error();
}

/* A file system without the call: the file grows, and a full disk shows when it is written. */
static enum err disk_allocate(const struct env *env, int fd, uint64_t offset, uint64_t size)
{
    uint64_t present = 0;
    if (fallocate(fd, 0, (off_t)offset, (off_t)size) == 0)
        return OK;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return file_error();
    enum err e = env->disk->size(env, fd, &present);
    return e || present >= offset + size ? e : env->disk->truncate(env, fd, offset + size);
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

static enum err disk_lock(const struct env *env, int fd)
{
    (void)env;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return OK;
    return errno == EWOULDBLOCK ? ERR_FAILED_PRECONDITION : file_error();
}

/* ---- names ------------------------------------------------------------------------------------------------------------ */

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

static enum err sync_folder_of(const struct env *env, const char *path)
{
    char folder[PATH_MAX] = ".";
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

static enum err disk_move(const struct env *env, const char *from, const char *to)
{
    (void)env;
    return rename(from, to) == 0 ? OK : file_error();
}

static enum err disk_unlink(const struct env *env, const char *path)
{
    (void)env;
    return unlink(path) == 0 ? OK : file_error();
}

/* Mostly only the last one is missing. */
static enum err disk_mkdir(const struct env *env, const char *path, mode_t mode)
{
    (void)env;
    if (mkdir(path, mode) == 0)
        return OK;
    char part[PATH_MAX];
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

/* Where the file system does not tell with the name. */
static bool is_folder(DIR *d, const struct dirent *entry)
{
    struct stat st;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static enum err disk_list(const struct env *env, const char *path,
                          void (*entry)(void *context, const char *name, bool folder), void *context)
{
    (void)env;
    DIR *d = opendir(path);
    if (!d)
        return file_error();
    errno = 0;
    for (const struct dirent *next; (next = readdir(d)); errno = 0)
        if (strcmp(next->d_name, ".") != 0 && strcmp(next->d_name, "..") != 0)
            entry(context, next->d_name, is_folder(d, next));
    enum err e = errno ? file_error() : OK;
    closedir(d);
    return e;
}

static enum err disk_space(const struct env *env, const char *path, uint64_t *ret_free)
{
    (void)env;
    struct statvfs fs;
    if (statvfs(path, &fs) != 0)
        return file_error();
    *ret_free = (uint64_t)fs.f_bavail * fs.f_frsize;
    return OK;
}

/* cachestat(2), since Linux 6.5; older headers do not name it. */
static bool disk_cached(const struct env *env, int fd, uint64_t offset, uint64_t size)
{
    (void)env;
    enum { CACHESTAT = 451, PAGE = 4096 };
    struct {
        uint64_t offset, size;
    } range = {offset, size};
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted; /* pages */
    } found = {0};
    uint64_t pages = (offset + size + PAGE - 1) / PAGE - offset / PAGE;
    return syscall(CACHESTAT, fd, &range, &found, 0) == 0 && found.cached >= pages;
}

const struct env_disk real_disk = {
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
