/* Making files of the write-ahead stream: written with zeros once, synced, then used again under higher numbers. */
#include "journal/wal_file.h"

#include <fcntl.h>

#include "base/mem.h"

enum { ZEROS_BYTES = 1 << 20 };

/* Not every file system can go past the page cache. */
static enum err open_direct(const struct journal *j, const char *path, int flags, int *ret_fd)
{
    enum err e = j->env->disk->open(j->env, path, O_RDWR | O_DIRECT | flags, 0600, ret_fd);
    return e ? j->env->disk->open(j->env, path, O_RDWR | flags, 0600, ret_fd) : OK;
}

enum err wal_file_open(const struct journal *j, uint64_t number, int *ret_fd)
{
    char path[JOURNAL_PATH_BYTES];
    return layout_wal_path(path, j->store->folder, j->options.shard, number) ? open_direct(j, path, 0, ret_fd)
                                                                             : ERR_FILE;
}

/* Past the page cache, as what comes after: pages of the zeros would have to be found and thrown away by each write. */
static enum err write_zeros(const struct env *env, int fd, uint64_t size)
{
    enum err e = OK;
    uint8_t *memory = mem_zalloc(ZEROS_BYTES + JOURNAL_WAL_ALIGN);
    if (!memory)
        return ERR_NOMEM;
    const uint8_t *zeros = (const uint8_t *)layout_padded((uintptr_t)memory, JOURNAL_WAL_ALIGN);
    for (uint64_t at = 0; !e && at < size; at += ZEROS_BYTES)
        e = env->disk->pwrite(env, fd, slice_of(zeros, size - at < ZEROS_BYTES ? size - at : ZEROS_BYTES), at);
    mem_free(memory);
    return e ? e : env->disk->sync(env, fd);
}

static enum err make_new(const struct journal *j, uint64_t number, uint64_t size)
{
    char folder[JOURNAL_PATH_BYTES], path[JOURNAL_PATH_BYTES];
    int fd;
    if (!layout_wal_folder(folder, j->store->folder, j->options.shard) ||
        !layout_wal_path(path, j->store->folder, j->options.shard, number))
        return ERR_FILE;
    enum err e = j->env->disk->mkdir(j->env, folder, 0700);
    if (!e)
        e = open_direct(j, path, O_CREAT | O_TRUNC, &fd);
    if (e)
        return e;
    e = write_zeros(j->env, fd, size);
    j->env->disk->close(j->env, fd);
    if (!e)
        e = j->env->disk->sync_folder(j->env, folder);
    if (!e && layout_path(folder, j->store->folder, "wal"))
        e = j->env->disk->sync_folder(j->env, folder);
    if (e)
        (void)j->env->disk->unlink(j->env, path);
    return e;
}

static enum err use_again(const struct journal *j, uint64_t from, uint64_t number)
{
    char old_path[JOURNAL_PATH_BYTES], path[JOURNAL_PATH_BYTES];
    if (!layout_wal_path(old_path, j->store->folder, j->options.shard, from) ||
        !layout_wal_path(path, j->store->folder, j->options.shard, number))
        return ERR_FILE;
    return j->env->disk->rename(j->env, old_path, path);
}

/* Thread: a pool's. What comes of a rename that failed is not known: that file is left alone until the next opening. */
void wal_make_run(struct work *work)
{
    struct wal *w = (struct wal *)((char *)work - offsetof(struct wal, make_work));
    uint64_t number = w->last_number + 1;
    struct wal_file *f = w->make_from;
    if (f) {
        w->make_result = use_again(w->journal, f->number, number);
    } else if ((f = mem_zalloc(sizeof *f))) {
        f->size = w->make_size;
        w->make_result = make_new(w->journal, number, w->make_size);
    } else {
        w->make_result = ERR_NOMEM;
    }
    if (w->make_result) {
        mem_free(f);
        return;
    }
    f->number = number;
    f->next = NULL;
    w->made = f;
}
