/* The data folder as a whole: who owns it, what the last owner left, and its clean end. */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "journal/internal.h"

/* ---- names --------------------------------------------------------------------------------------------------------------------- */

static void add_name(void *context, const char *name, bool folder)
{
    struct names *n = context;
    (void)folder;
    if (n->err)
        return;
    if (n->count == n->capacity) {
        uint32_t capacity = n->capacity ? n->capacity * 2 : 8;
        char **more = mem_realloc(n->items, capacity * sizeof *more);
        if (!more) {
            n->err = ERR_NOMEM;
            return;
        }
        n->items = more;
        n->capacity = capacity;
    }
    n->items[n->count] = mem_strdup(name);
    if (n->items[n->count])
        n->count++;
    else
        n->err = ERR_NOMEM;
}

enum err names_of(const struct env *env, const char *folder, struct names *ret_names)
{
    *ret_names = (struct names){0};
    enum err e = env->disk->list(env, folder, add_name, ret_names);
    if (e == ERR_NOT_FOUND)
        e = OK;
    return e ? e : ret_names->err;
}

void names_fini(struct names *n)
{
    for (uint32_t i = 0; i < n->count; i++)
        mem_free(n->items[i]);
    mem_free(n->items);
    *n = (struct names){0};
}

/* ---- what is known of logs before they are opened ------------------------------------------------------------------------------ */

struct found_log *store_found(const struct journal_store *s, const struct journal_key *key)
{
    uint8_t bytes[JOURNAL_KEY_BYTES];
    layout_key_bytes(key, bytes);
    return map_get(&s->found, slice_of(bytes, sizeof bytes));
}

struct found_log *store_find_or_add(struct journal_store *s, const struct journal_key *key)
{
    struct found_log *f = store_found(s, key);
    if (f || !(f = mem_zalloc(sizeof *f)))
        return f;
    layout_key_bytes(key, f->key_bytes);
    f->last_piece = &f->pieces;
    if (map_put(&s->found, slice_of(f->key_bytes, sizeof f->key_bytes), f, NULL) == OK)
        return f;
    mem_free(f);
    return NULL;
}

void store_forget_found(struct journal_store *s)
{
    void *value;
    for (uint32_t at = 0; map_next(&s->found, &at, NULL, &value);) {
        struct found_log *f = value;
        for (struct wal_piece *p = f->pieces, *next; p; p = next) {
            next = p->next;
            mem_free(p);
        }
        mem_free(f);
    }
    map_fini(&s->found);
    for (struct found_wal *w = s->wals, *next; w; w = next) {
        next = w->next;
        mem_free(w);
    }
    s->wals = NULL;
}

/* ---- checkpoints ---------------------------------------------------------------------------------------------------------------- */

/* Two shards may tell of a log, after the number of shards has changed: both are right, and the later one tells more. */
static enum err merge(struct journal_store *s, const struct checkpoint_entry *e)
{
    struct found_log *f = store_find_or_add(s, &e->key);
    if (!f)
        return ERR_NOMEM;
    int64_t start = f->checkpointed && f->checkpoint.start > e->start ? f->checkpoint.start : e->start;
    if (!f->checkpointed || e->next >= f->checkpoint.next)
        f->checkpoint = *e;
    f->checkpoint.start = start;
    f->checkpointed = true;
    return OK;
}

static enum err read_whole(const struct journal_store *s, const char *path, uint8_t **ret_bytes, size_t *ret_size)
{
    int fd;
    uint64_t size;
    uint8_t *bytes = NULL;
    size_t got = 0;
    enum err e = s->env->disk->open(s->env, path, O_RDONLY, 0, &fd);
    if (e)
        return e;
    e = s->env->disk->size(s->env, fd, &size);
    if (!e && !(bytes = mem_alloc(size + 1)))
        e = ERR_NOMEM;
    if (!e)
        e = s->env->disk->pread(s->env, fd, bytes, size, 0, &got);
    s->env->disk->close(s->env, fd);
    if (e) {
        mem_free(bytes);
        return e;
    }
    *ret_bytes = bytes;
    *ret_size = got;
    return OK;
}

static enum err read_checkpoint(struct journal_store *s, uint32_t shard, uint64_t *ret_wal_first, struct diag *diag)
{
    char path[JOURNAL_PATH_BYTES];
    struct checkpoint_header h;
    uint8_t *bytes;
    size_t size;
    if (!layout_checkpoint_path(path, s->folder, shard, ""))
        return ERR_FILE;
    enum err e = read_whole(s, path, &bytes, &size);
    if (e)
        return diag_set(diag, e, "cannot read %s", path);
    e = layout_checkpoint_check(slice_of(bytes, size), &h);
    if (e)
        diag_set(diag, e, "%s is %s", path, e == ERR_CORRUPT ? "damaged" : "of a newer version");
    for (uint32_t i = 0; !e && i < h.count; i++) {
        struct checkpoint_entry entry;
        layout_checkpoint_get(bytes + JOURNAL_CHECKPOINT_HEADER_BYTES + (size_t)i * JOURNAL_CHECKPOINT_BYTES, &entry);
        e = merge(s, &entry);
    }
    mem_free(bytes);
    if (!e)
        *ret_wal_first = h.wal_first;
    return e;
}

/* "checkpoint-3": 3; LIMIT_WORKERS: another name. */
static uint32_t shard_of(const char *name)
{
    char again[64];
    unsigned shard;
    if (sscanf(name, "checkpoint-%u", &shard) != 1 || shard >= LIMIT_WORKERS)
        return LIMIT_WORKERS;
    snprintf(again, sizeof again, "checkpoint-%u", shard);
    return strcmp(again, name) == 0 ? shard : LIMIT_WORKERS;
}

enum err store_read_checkpoints(struct journal_store *s, uint64_t *wal_first, struct diag *diag)
{
    struct names names;
    enum err e = names_of(s->env, s->folder, &names);
    for (uint32_t i = 0; !e && i < names.count; i++) {
        uint32_t shard = shard_of(names.items[i]);
        if (shard < LIMIT_WORKERS) {
            e = read_checkpoint(s, shard, &wal_first[shard], diag);
            s->shards_found = shard + 1 > s->shards_found ? shard + 1 : s->shards_found;
        }
    }
    names_fini(&names);
    return e;
}

/* ---- opening --------------------------------------------------------------------------------------------------------------------- */

/* The folders' own names last. */
static enum err sync_names(const struct journal_store *s)
{
    char parent[sizeof s->folder];
    snprintf(parent, sizeof parent, "%s", s->folder);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = '\0';
    enum err e = s->env->disk->sync_folder(s->env, slash ? parent : ".");
    return e && e != ERR_NOT_FOUND ? e : s->env->disk->sync_folder(s->env, s->folder); /* the twin has no "." */
}

static enum err own_folder(struct journal_store *s, struct diag *diag)
{
    static const char *const folders[] = {"logs", "wal", "meta"};
    char path[JOURNAL_PATH_BYTES];
    enum err e = OK;
    for (size_t i = 0; !e && i < sizeof folders / sizeof *folders; i++)
        e = layout_path(path, s->folder, folders[i]) ? s->env->disk->mkdir(s->env, path, 0700) : ERR_FILE;
    if (!e)
        e = layout_path(path, s->folder, "lock") ? s->env->disk->open(s->env, path, O_RDWR | O_CREAT, 0600, &s->lock_fd)
                                                 : ERR_FILE;
    if (!e)
        e = sync_names(s);
    if (e)
        return diag_set(diag, e, "cannot make the data folder %s", s->folder);
    e = s->env->disk->lock(s->env, s->lock_fd);
    return e ? diag_set(diag, ERR_FILE, "another process has the data folder %s", s->folder) : OK;
}

/* From here on an end without journal_store_close is not a clean one. */
static enum err take_clean_mark(struct journal_store *s)
{
    char path[JOURNAL_PATH_BYTES];
    if (!layout_path(path, s->folder, "clean"))
        return ERR_FILE;
    enum err e = s->env->disk->unlink(s->env, path);
    s->was_clean = e == OK;
    if (e == ERR_NOT_FOUND)
        return OK;
    return e ? e : s->env->disk->sync_folder(s->env, s->folder);
}

static void store_free(struct journal_store *s)
{
    if (s->lock_fd >= 0)
        s->env->disk->close(s->env, s->lock_fd);
    store_forget_found(s);
    pthread_mutex_destroy(&s->journals_lock);
    mem_free(s);
}

enum err journal_store_open(const struct journal_store_options *options, struct diag *diag,
                            struct journal_store **ret_store)
{
    uint64_t wal_first[LIMIT_WORKERS] = {0};
    struct journal_store *s = mem_zalloc(sizeof *s);
    struct hash_key secret;
    if (!s)
        return ERR_NOMEM;
    assert(options->format->header_bytes <= LIMIT_JOURNAL_HEADER_BYTES);
    s->env = options->env;
    s->options = *options;
    s->lock_fd = -1;
    pthread_mutex_init(&s->journals_lock, NULL);
    s->env->random(s->env, &secret, sizeof secret);
    map_init(&s->found, LIMIT_JOURNAL_LOGS, &secret);
    int size = snprintf(s->folder, sizeof s->folder, "%s", options->folder);
    enum err e = size > 0 && (size_t)size < sizeof s->folder
                     ? own_folder(s, diag)
                     : diag_set(diag, ERR_FILE, "the data folder's name is too long");
    if (!e)
        e = take_clean_mark(s);
    if (!e)
        e = store_read_checkpoints(s, wal_first, diag);
    if (!e)
        e = store_read_wals(s, wal_first, diag);
    if (e) {
        store_free(s);
        return e;
    }
    *ret_store = s;
    return OK;
}

bool journal_store_was_clean(const struct journal_store *s)
{
    return s->was_clean;
}

/* ---- the end of the recovery ----------------------------------------------------------------------------------------------------- */

static struct journal *journal_of_shard(const struct journal_store *s, uint32_t shard)
{
    struct journal *j = s->journals;
    while (j && j->options.shard != shard)
        j = j->next;
    return j;
}

/* From now on the shard's old files hold nothing that is needed: they are used again. */
static enum err sync_recovered(struct journal_store *s)
{
    enum err e = OK;
    for (const struct found_wal *w = s->wals; w; w = w->next) {
        struct journal *j = journal_of_shard(s, w->shard);
        if (j && w->number > j->wal.last_number)
            j->wal.last_number = w->number;
    }
    for (struct journal *j = s->journals; !e && j; j = j->next)
        e = checkpoint_now(j);
    return e;
}

static void drop_wal(struct journal_store *s, const struct found_wal *w)
{
    enum { WORTH_KEEPING = 16 };
    char path[JOURNAL_PATH_BYTES];
    struct journal *j = journal_of_shard(s, w->shard);
    bool keep = j && w->size >= j->options.wal_file_bytes / WORTH_KEEPING && w->size % JOURNAL_WAL_ALIGN == 0 &&
                w->size <= 4 * j->options.wal_file_bytes;
    if (keep && journal_adopt_wal(j, w->number, w->size) == OK)
        return;
    if (layout_wal_path(path, s->folder, w->shard, w->number))
        (void)s->env->disk->unlink(s->env, path);
}

static void drop_checkpoints(struct journal_store *s)
{
    char path[JOURNAL_PATH_BYTES];
    for (uint32_t shard = 0; shard < s->shards_found; shard++)
        if (!journal_of_shard(s, shard) && layout_checkpoint_path(path, s->folder, shard, ""))
            (void)s->env->disk->unlink(s->env, path);
}

static bool is_open(const struct journal_store *s, const struct journal_key *key)
{
    uint8_t bytes[JOURNAL_KEY_BYTES];
    layout_key_bytes(key, bytes);
    for (const struct journal *j = s->journals; j; j = j->next)
        if (map_get(&j->logs, slice_of(bytes, sizeof bytes)))
            return true;
    return false;
}

static void drop_folder(struct journal_store *s, const struct journal_key *key)
{
    char folder[JOURNAL_PATH_BYTES], path[JOURNAL_PATH_BYTES];
    struct names names;
    if (!layout_log_folder(folder, s->folder, key))
        return;
    if (names_of(s->env, folder, &names) == OK)
        for (uint32_t i = 0; i < names.count; i++)
            if (layout_path(path, folder, names.items[i]))
                (void)s->env->disk->unlink(s->env, path);
    names_fini(&names);
    (void)s->env->disk->rmdir(s->env, folder);
}

static void drop_unknown_logs(struct journal_store *s)
{
    char path[JOURNAL_PATH_BYTES];
    struct journal_key key;
    struct names names;
    if (!layout_path(path, s->folder, "logs"))
        return;
    if (names_of(s->env, path, &names) == OK)
        for (uint32_t i = 0; i < names.count; i++)
            if (layout_key_of(names.items[i], &key) && !is_open(s, &key))
                drop_folder(s, &key);
    names_fini(&names);
}

bool journal_store_has_logs(const struct journal_store *s)
{
    char path[JOURNAL_PATH_BYTES];
    struct journal_key key;
    struct names names;
    bool has = false;
    if (!layout_path(path, s->folder, "logs"))
        return false;
    if (names_of(s->env, path, &names) == OK)
        for (uint32_t i = 0; i < names.count && !has; i++)
            has = layout_key_of(names.items[i], &key);
    names_fini(&names);
    return has;
}

/* What cannot be removed now stays until the next opening. */
enum err journal_store_recovered(struct journal_store *s, struct diag *diag)
{
    assert(!s->recovered);
    if (s->unopened)
        return diag_set(diag, s->unopened, "a log in %s could not be opened: nothing was changed there", s->folder);
    enum err e = sync_recovered(s);
    if (e)
        return diag_set(diag, e, "cannot make durable what was recovered in %s", s->folder);
    for (const struct found_wal *w = s->wals; w; w = w->next)
        drop_wal(s, w);
    drop_checkpoints(s);
    drop_unknown_logs(s);
    store_forget_found(s);
    s->recovered = true;
    for (struct journal *j = s->journals; j; j = j->next)
        journal_start(j);
    return OK;
}

static enum err put_clean_mark(const struct journal_store *s)
{
    char path[JOURNAL_PATH_BYTES];
    int fd;
    if (!layout_path(path, s->folder, "clean"))
        return ERR_FILE;
    enum err e = s->env->disk->open(s->env, path, O_RDWR | O_CREAT, 0600, &fd);
    if (e)
        return e;
    e = s->env->disk->sync(s->env, fd);
    s->env->disk->close(s->env, fd);
    return e ? e : s->env->disk->sync_folder(s->env, s->folder);
}

void journal_store_close(struct journal_store *s)
{
    if (!s)
        return;
    assert(!s->journals);
    if (s->recovered && !s->bad_end)
        (void)put_clean_mark(s); /* without it the next opening looks closer */
    store_free(s);
}
