/* Descriptors of segments. Pinned: somebody reads or writes. Open and not pinned: in the journal's list, newest first; past
 * files_open_max the oldest is closed. Invariant: a file in the list is open and has no pin. */
#include <assert.h>
#include <fcntl.h>

#include "base/mem.h"
#include "journal/internal.h"

enum err file_new(struct journal *j, const struct journal_key *key, int64_t base, struct journal_file **ret_file)
{
    struct journal_file *f = mem_zalloc(sizeof *f);
    if (!f)
        return ERR_NOMEM;
    f->journal = j;
    f->key = *key;
    f->base = base;
    f->refs = 1;
    f->fd = f->index_fd = -1;
    *ret_file = f;
    return OK;
}

static void list_remove(struct file_list *list, struct journal_file *f)
{
    *(f->newer ? &f->newer->older : &list->newest) = f->older;
    *(f->older ? &f->older->newer : &list->oldest) = f->newer;
    f->newer = f->older = NULL;
}

static void list_add(struct file_list *list, struct journal_file *f)
{
    f->older = list->newest;
    f->newer = NULL;
    *(list->newest ? &list->newest->newer : &list->oldest) = f;
    list->newest = f;
}

static void close_files(struct journal_file *f)
{
    const struct env *env = f->journal->env;
    if (f->fd >= 0)
        env->disk->close(env, f->fd);
    if (f->index_fd >= 0)
        env->disk->close(env, f->index_fd);
    f->journal->files.open -= f->fd >= 0;
    f->fd = f->index_fd = -1;
}

static void close_oldest(struct journal *j)
{
    struct journal_file *f = j->files.oldest;
    list_remove(&j->files, f);
    close_files(f);
}

static enum err open_one(struct journal_file *f, const char *suffix, int flags, int *ret_fd)
{
    char path[JOURNAL_PATH_BYTES];
    const struct env *env = f->journal->env;
    if (!layout_log_path(path, f->journal->store->folder, &f->key, f->base, suffix))
        return ERR_FILE;
    return env->disk->open(env, path, flags, 0600, ret_fd);
}

/* Created: what lies there under this name was never acknowledged. */
static enum err open_both(struct journal_file *f, bool create)
{
    int create_flags = create ? O_CREAT | O_TRUNC : 0;
    enum err e = open_one(f, ".log", O_RDWR | create_flags, &f->fd);
    if (e)
        return e;
    f->journal->files.open++;
    /* An index that is missing is made anew, as one is that is damaged. */
    e = open_one(f, ".index", O_RDWR | O_CREAT | create_flags, &f->index_fd);
    if (e)
        close_files(f);
    return e;
}

enum err file_pin(struct journal_file *f, bool create)
{
    struct journal *j = f->journal;
    if (f->fd >= 0) {
        if (f->pins++ == 0)
            list_remove(&j->files, f);
        return OK;
    }
    while (j->files.open >= j->options.files_open_max && j->files.oldest)
        close_oldest(j);
    enum err e = open_both(f, create);
    while (e == ERR_RESOURCE_EXHAUSTED && j->files.oldest) { /* of the process, whatever our own limit is */
        close_oldest(j);
        e = open_both(f, create);
    }
    if (!e)
        f->pins = 1;
    f->made = f->made || (create && !e);
    return e;
}

void file_unpin(struct journal_file *f)
{
    assert(f->pins > 0);
    if (--f->pins)
        return;
    f->used_ns = loop_now_ns(f->journal->options.loop);
    list_add(&f->journal->files, f);
    while (f->journal->files.open > f->journal->options.files_open_max && f->journal->files.oldest)
        close_oldest(f->journal);
}

void files_close_idle(struct journal *j, uint64_t used_before_ns)
{
    while (j->files.oldest && j->files.oldest->used_ns < used_before_ns)
        close_oldest(j);
}

void file_drop(struct journal_file *f)
{
    if (!f || --f->refs)
        return;
    assert(f->pins == 0);
    if (f->fd >= 0)
        list_remove(&f->journal->files, f);
    close_files(f);
    mem_free(f);
}

/* A reader's reference keeps the descriptors open: a file that was removed could not be opened again. */
struct journal_file *journal_file_ref(struct journal_file *f)
{
    assert(f->pins > 0);
    f->refs++;
    f->pins++;
    return f;
}

void journal_file_unref(struct journal_file *f)
{
    if (!f)
        return;
    file_unpin(f);
    file_drop(f);
}

int journal_file_fd(const struct journal_file *f)
{
    return f->fd;
}
