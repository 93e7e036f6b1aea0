/* What stands on the disk before SQLite sees it: the folder, the lock that keeps a second process away, and a file that is either
 * new or looks like a database. Everything is for the owner alone (0700, 0600): SQLite gives the WAL the mode of the file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "drivers/sqlite/store.h"

static const char magic[16] = "SQLite format 3";

/* --- what errno means ------------------------------------------------------------------------------------------------------- */

static enum err set_file_error(struct diag *d, const char *what, const char *path, int error)
{
    if (error == EROFS)
        return diag_set(d, ERR_READ_ONLY,
                        "%s %s: the file system is read-only; mount it writable or set sqlite.directory", what, path);
    if (error == ENOSPC || error == EDQUOT)
        return diag_set(d, ERR_DISK_FULL, "%s %s: the disk is full", what, path);
    const char *advice = error == EACCES || error == EPERM ? "; give this user access or set sqlite.directory" : "";
    return diag_set(d, ERR_FILE, "%s %s: %s%s", what, path, strerror(error), advice);
}

static enum err file_error(struct diag *d, const char *what, const char *path, int error)
{
    return sqlite_at(d, set_file_error(d, what, path, error), path);
}

/* Something that can be looked at but not changed is read-only; something that cannot be looked at lacks permissions. */
static enum err check_access(const char *path, int look, struct diag *d)
{
    if (access(path, look))
        return file_error(d, "reading", path, errno);
    if (access(path, look | W_OK) == 0)
        return OK;
    if (errno != EACCES)
        return file_error(d, "writing", path, errno);
    diag_set(d, ERR_READ_ONLY, "%s may not be written by this user; run chmod u+w or set sqlite.directory", path);
    return sqlite_at(d, ERR_READ_ONLY, path);
}

/* --- folder ----------------------------------------------------------------------------------------------------------------- */

/* Parents too. path is changed while it runs, and restored. */
static enum err make_folder(char *path, struct diag *d)
{
    for (char *at = path + 1;; at++) {
        char kept = *at;
        if (kept && kept != '/')
            continue;
        *at = 0;
        int error = mkdir(path, 0700) ? errno : 0;
        struct stat st;
        if (error == EEXIST || (error && stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
            error = 0;
        enum err e = error ? file_error(d, "making folder", path, error) : OK;
        *at = kept;
        if (e || !kept)
            return e;
    }
}

/* A new file is there after a power loss only when its folder says so. */
static enum err sync_folder(const char *folder, struct diag *d)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_error(d, "opening", folder, errno);
    int error = fsync(fd) ? errno : 0;
    close(fd);
    return error ? file_error(d, "syncing", folder, error) : OK;
}

/* --- lock ------------------------------------------------------------------------------------------------------------------- */

static enum err lock_refused(const struct sqlite_store *store, int fd, struct diag *d)
{
    char pid[32] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    pid[n > 0 ? strspn(pid, "0123456789") : 0] = 0;
    return sqlite_at(d,
                     diag_set(d, ERR_FILE,
                              "%s is in use by another prism process%s%s; stop it or give this one its own data_dir",
                              store->path, *pid ? ", pid " : "", pid),
                     store->lock_path);
}

/* For people who meet the lock. On a full disk the old one may stay: it is the lock that counts. Written before the rest is cut
 * off, so that no block is given away on the way. */
static void leave_pid(int fd)
{
    char pid[32];
    int size = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (pwrite(fd, pid, (size_t)size, 0) == size && ftruncate(fd, size))
        return; /* the rest of a longer one stays behind the line */
}

/* Held as long as the store is open; the kernel lets go of it when the process ends, however it ends. The file stays: removing
 * it would let two processes lock two files of one name. */
static enum err lock(struct sqlite_store *store, struct diag *d)
{
    int fd = open(store->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return file_error(d, "opening", store->lock_path, errno);
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        enum err e =
            errno == EWOULDBLOCK ? lock_refused(store, fd, d) : file_error(d, "locking", store->lock_path, errno);
        close(fd);
        return e;
    }
    leave_pid(fd);
    store->lock_fd = fd;
    return OK;
}

/* --- the database file ------------------------------------------------------------------------------------------------------ */

static enum err not_ours(const char *path, const char *why, struct diag *d)
{
    return sqlite_at(d,
                     diag_set(d, ERR_CORRUPT,
                              "%s %s; restore it from a backup, or move it away to begin with an empty namespace", path,
                              why),
                     path);
}

/* An empty file is a new database, unless its WAL has content: then the file was cut off. */
static enum err check_empty(const struct sqlite_store *store, struct diag *d)
{
    struct stat log;
    bool has_log = stat(store->wal_path, &log) == 0 && log.st_size > 0;
    return has_log ? not_ours(store->path, "is empty although its WAL is not", d) : OK;
}

static enum err check_header(const struct sqlite_store *store, int fd, struct diag *d)
{
    char header[sizeof magic];
    ssize_t n = pread(fd, header, sizeof header, 0);
    if (n < 0)
        return file_error(d, "reading", store->path, errno);
    if (n == 0)
        return check_empty(store, d);
    bool ours = n == (ssize_t)sizeof header && memcmp(header, magic, sizeof header) == 0;
    return ours ? OK : not_ours(store->path, "is not an SQLite database", d);
}

static enum err check_file(const struct sqlite_store *store, struct diag *d)
{
    int fd = open(store->path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return file_error(d, "opening", store->path, errno);
    struct stat st;
    enum err e = fstat(fd, &st) ? file_error(d, "reading", store->path, errno) : OK;
    if (!e && !S_ISREG(st.st_mode))
        e = diag_set(d, ERR_FILE, "%s is not a regular file", store->path);
    if (!e)
        e = check_header(store, fd, d);
    close(fd);
    return e ? e : check_access(store->path, R_OK, d);
}

enum err sqlite_files_open(struct sqlite_store *store, struct diag *d)
{
    enum err e = make_folder(store->folder, d);
    if (!e)
        e = check_access(store->folder, R_OK | X_OK, d);
    if (!e)
        e = lock(store, d);
    if (!e)
        e = check_file(store, d);
    return e ? e : sync_folder(store->folder, d);
}

void sqlite_files_close(struct sqlite_store *store)
{
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    store->lock_fd = -1;
}
