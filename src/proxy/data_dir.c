/* Lock first, then the secret: of two processes that start at once, one makes it. */
#include "proxy/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err failed(struct diag *d, const char *what, const char *path)
{
    int error = errno;
    return diag_set(d, err_from_errno(error), "%s %s: %s", what, path, strerror(error));
}

static enum err join(const char *folder, const char *name, struct diag *d, char out[static PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX)
        return OK;
    return diag_set(d, ERR_FILE, "the path of data_dir is too long");
}

/* The lock belongs to the descriptor: it goes when the process does, however that ends. */
static enum err take_lock(const char *folder, struct diag *d, int *ret_fd)
{
    char path[PATH_MAX];
    enum err e = join(folder, "lock", d, path);
    if (e)
        return e;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(d, "opening", path);
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        e = errno == EWOULDBLOCK
                ? diag_set(d, ERR_FAILED_PRECONDITION,
                           "another process uses %s; stop it, or give this one another --data-dir", folder)
                : failed(d, "locking", path);
        close(fd);
        return e;
    }
    *ret_fd = fd;
    return OK;
}

static enum err read_secret(int fd, const char *path, struct diag *d, uint8_t secret[DATA_DIR_SECRET_BYTES])
{
    ssize_t n = pread(fd, secret, DATA_DIR_SECRET_BYTES, 0);
    if (n < 0)
        return failed(d, "reading", path);
    if (n == DATA_DIR_SECRET_BYTES)
        return OK;
    return diag_set(d, ERR_CORRUPT,
                    "%s has %zd bytes instead of %d; restore it, or remove it: cursors given out become invalid", path,
                    n, DATA_DIR_SECRET_BYTES);
}

static enum err sync_folder(const char *folder, struct diag *d)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failed(d, "opening", folder);
    enum err e = fsync(fd) ? failed(d, "syncing", folder) : OK;
    close(fd);
    return e;
}

static enum err write_secret(const char *path, const uint8_t secret[DATA_DIR_SECRET_BYTES], struct diag *d)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(d, "making", path);
    bool written = write(fd, secret, DATA_DIR_SECRET_BYTES) == DATA_DIR_SECRET_BYTES && fsync(fd) == 0;
    enum err e = written ? OK : failed(d, "writing", path);
    close(fd);
    return e;
}

/* Complete under another name first: a crash in between leaves no half secret. */
static enum err make_secret(const struct env *env, const char *folder, const char *path, struct diag *d,
                            uint8_t secret[DATA_DIR_SECRET_BYTES])
{
    char new_path[PATH_MAX];
    enum err e = join(folder, "secret.new", d, new_path);
    if (e)
        return e;
    env->random(env, secret, DATA_DIR_SECRET_BYTES);
    e = write_secret(new_path, secret, d);
    if (!e && rename(new_path, path))
        e = failed(d, "renaming", new_path);
    return e ? e : sync_folder(folder, d);
}

static enum err load_secret(const struct env *env, const char *folder, struct diag *d,
                            uint8_t secret[DATA_DIR_SECRET_BYTES])
{
    char path[PATH_MAX];
    enum err e = join(folder, "secret", d, path);
    if (e)
        return e;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? make_secret(env, folder, path, d, secret) : failed(d, "opening", path);
    e = read_secret(fd, path, d, secret);
    close(fd);
    return e;
}

enum err data_dir_open(const struct env *env, const char *path, struct diag *d, struct data_dir *ret_dir)
{
    struct data_dir dir;
    enum err e = env->disk->mkdir(env, path, 0700);
    if (e)
        return diag_set(d, e, "making the data_dir %s: %s", path, strerror(errno));
    e = take_lock(path, d, &dir.lock_fd);
    if (e)
        return e;
    e = load_secret(env, path, d, dir.secret);
    if (e) {
        close(dir.lock_fd);
        return e;
    }
    *ret_dir = dir;
    return OK;
}

void data_dir_close(struct data_dir *dir)
{
    close(dir->lock_fd);
    explicit_bzero(dir->secret, sizeof dir->secret);
}
