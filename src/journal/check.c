/* Every byte of a data folder against what the README says that it is. */
#include "journal/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "journal/internal.h"

/* ---- one segment -------------------------------------------------------------------------------------------------------------- */

struct reader {
    const struct env *env;
    const struct journal_format *format;
    int fd;
    uint64_t position, size;
    int64_t expected; /* below 0: any */
    uint8_t *bytes;
    size_t capacity;
};

static enum err reserve(struct reader *r, size_t size)
{
    if (size <= r->capacity)
        return OK;
    uint8_t *more = mem_realloc(r->bytes, size);
    if (!more)
        return ERR_NOMEM;
    r->bytes = more;
    r->capacity = size;
    return OK;
}

static enum err read_at(struct reader *r, size_t size)
{
    size_t got;
    enum err e = reserve(r, size);
    if (!e)
        e = r->env->disk->pread(r->env, r->fd, r->bytes, size, r->position, &got);
    return !e && got < size ? ERR_CORRUPT : e;
}

/* ERR_CORRUPT: nothing here says where the next entry begins. */
static enum err next(struct reader *r, struct journal_dumped *d)
{
    const struct journal_format *f = r->format;
    uint64_t left = r->size - r->position;
    enum err e = left < f->header_bytes ? ERR_CORRUPT : read_at(r, f->header_bytes);
    if (e)
        return e;
    if (!f->measure(r->bytes, &d->entry) || d->entry.size < f->header_bytes || d->entry.size > f->entry_bytes_max ||
        d->entry.size > left || d->entry.last_offset < d->entry.first_offset)
        return ERR_CORRUPT;
    e = read_at(r, d->entry.size);
    if (e)
        return e;
    d->position = r->position;
    d->bytes = slice_of(r->bytes, d->entry.size);
    d->whole = f->verify(d->bytes);
    d->dense = r->expected < 0 || d->entry.first_offset == r->expected;
    r->position += d->entry.size;
    r->expected = d->entry.last_offset + 1;
    return OK;
}

static enum err open_reader(struct reader *r, const char *path)
{
    enum err e = r->env->disk->open(r->env, path, O_RDONLY, 0, &r->fd);
    if (e)
        return e;
    e = r->env->disk->size(r->env, r->fd, &r->size);
    if (e)
        r->env->disk->close(r->env, r->fd);
    return e;
}

static void close_reader(struct reader *r)
{
    r->env->disk->close(r->env, r->fd);
    mem_free(r->bytes);
    r->bytes = NULL;
    r->capacity = 0;
}

enum err journal_dump(const struct env *env, const char *path, const struct journal_format *format, int64_t base,
                      void (*visit)(void *, const struct journal_dumped *), void *context, uint64_t *ret_end,
                      uint64_t *ret_size)
{
    struct reader r = {.env = env, .format = format, .expected = base};
    struct journal_dumped d;
    enum err e = open_reader(&r, path);
    if (e)
        return e;
    while (r.position < r.size && !(e = next(&r, &d)))
        visit(context, &d);
    close_reader(&r);
    if (e && e != ERR_CORRUPT)
        return e;
    *ret_end = r.position;
    *ret_size = r.size;
    return OK;
}

int64_t journal_base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    uint64_t base;
    return layout_number_of(slash ? slash + 1 : path, ".log", &base) ? (int64_t)base : -1;
}

/* ---- a log ---------------------------------------------------------------------------------------------------------------------- */

struct look {
    struct journal_store store; /* what its functions need: nothing of it is open */
    struct journal_check *check;
    struct journal_key key;
    const struct checkpoint_entry *checkpoint; /* NULL: none */
    char path[JOURNAL_PATH_BYTES];
};

static void tell(struct look *l, enum journal_finding finding, uint64_t position, int64_t offset, const char *what)
{
    struct journal_problem p = {
        .finding = finding, .path = l->path, .position = position, .offset = offset, .what = what};
    *(finding == JOURNAL_DAMAGED ? &l->check->damaged : &l->check->other) += 1;
    if (l->check->problem)
        l->check->problem(l->check->context, &p);
}

/* Below the checkpoint everything has been synced once. */
static enum journal_finding finding_at(const struct look *l, int64_t base, uint64_t position)
{
    const struct checkpoint_entry *c = l->checkpoint;
    return c && (base < c->base || (base == c->base && position < c->position)) ? JOURNAL_DAMAGED : JOURNAL_TORN;
}

static enum err look_at_entries(struct look *l, struct reader *r, int64_t base)
{
    struct journal_dumped d;
    enum err e = OK;
    while (r->position < r->size) {
        uint64_t position = r->position;
        int64_t expected = r->expected;
        e = next(r, &d);
        if (e == ERR_CORRUPT)
            tell(l, finding_at(l, base, position), position, expected, "no entry begins here");
        if (e)
            break;
        if (!d.dense)
            tell(l, finding_at(l, base, position), position, expected, "another offset than the next one");
        if (!d.whole)
            tell(l, finding_at(l, base, position), position, expected, "the entry's checksum is wrong");
        l->check->entries++;
        l->check->bytes += d.entry.size;
    }
    return e == ERR_CORRUPT ? OK : e;
}

static enum err look_at_index(struct look *l, struct reader *log, int64_t base)
{
    struct reader index = {.env = log->env};
    struct index_entry entry;
    uint32_t rank = 0;
    if (!layout_log_path(l->path, l->store.folder, &l->key, base, ".index"))
        return ERR_FILE;
    enum err e = open_reader(&index, l->path);
    if (e == ERR_NOT_FOUND)
        tell(l, JOURNAL_REBUILT, 0, base, "the index is missing");
    if (e)
        return e == ERR_NOT_FOUND ? OK : e;
    for (; !e && index.size - index.position >= JOURNAL_INDEX_BYTES; rank++, index.position += JOURNAL_INDEX_BYTES) {
        e = read_at(&index, JOURNAL_INDEX_BYTES);
        if (e)
            break;
        if (!layout_index_decode(index.bytes, &l->key, base, rank, &entry)) {
            tell(l, JOURNAL_REBUILT, index.position, -1, "an entry of the index is damaged");
            continue;
        }
        log->position = entry.position;
        if (entry.seal == 0 || read_at(log, log->format->header_bytes))
            continue;
        if (layout_seal(&l->key, base, entry.position, slice_of(log->bytes, log->format->header_bytes)) != entry.seal)
            tell(l, finding_at(l, base, entry.position), index.position, entry.offset,
                 "the entry there is not the one that was written: a misdirected or stale block");
    }
    close_reader(&index);
    return e;
}

static enum err look_at_segment(struct look *l, int64_t base, int64_t *ret_next)
{
    struct reader r = {.env = l->store.env, .format = l->store.options.format, .expected = base};
    if (!layout_log_path(l->path, l->store.folder, &l->key, base, ".log"))
        return ERR_FILE;
    enum err e = open_reader(&r, l->path);
    if (e)
        return e;
    l->check->segments++;
    e = look_at_entries(l, &r, base);
    *ret_next = r.expected;
    if (l->checkpoint && l->checkpoint->base == base && r.size < l->checkpoint->position)
        tell(l, JOURNAL_DAMAGED, r.size, r.expected, "the file is shorter than what was synced");
    if (!e)
        e = look_at_index(l, &r, base);
    close_reader(&r);
    return e;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static enum err look_at_segments(struct look *l, const int64_t *bases, uint32_t count)
{
    int64_t expected = -1;
    enum err e = OK;
    for (uint32_t i = 0; !e && i < count; i++) {
        if (i + 1 < count && l->checkpoint && bases[i + 1] <= l->checkpoint->start &&
            bases[i + 1] <= l->checkpoint->base)
            continue; /* below the start: the next opening removes it */
        if (expected >= 0 && bases[i] != expected &&
            layout_log_path(l->path, l->store.folder, &l->key, bases[i], ".log"))
            tell(l, finding_at(l, bases[i], 0), 0, expected, "a segment is missing before this one");
        e = look_at_segment(l, bases[i], &expected);
    }
    return e;
}

static enum err look_at_log(struct look *l)
{
    struct names names;
    uint64_t number;
    uint32_t count = 0;
    const struct found_log *found = store_found(&l->store, &l->key);
    l->checkpoint = found && found->checkpointed ? &found->checkpoint : NULL;
    if (!layout_log_folder(l->path, l->store.folder, &l->key))
        return ERR_FILE;
    enum err e = names_of(l->store.env, l->path, &names);
    int64_t *bases = e ? NULL : mem_alloc((names.count + 1) * sizeof *bases);
    if (!e && !bases)
        e = ERR_NOMEM;
    for (uint32_t i = 0; !e && i < names.count; i++)
        if (layout_number_of(names.items[i], ".log", &number))
            bases[count++] = (int64_t)number;
        else if (!layout_number_of(names.items[i], ".index", &number))
            tell(l, JOURNAL_STRAY, 0, -1, "a file of another name lies here");
    names_fini(&names);
    if (!e) {
        qsort(bases, count, sizeof *bases, by_number);
        l->check->logs++;
        e = look_at_segments(l, bases, count);
    }
    mem_free(bases);
    return e;
}

static enum err look_at_logs(struct look *l)
{
    char folder[JOURNAL_PATH_BYTES];
    struct names names;
    if (!layout_path(folder, l->store.folder, "logs"))
        return ERR_FILE;
    enum err e = names_of(l->store.env, folder, &names);
    for (uint32_t i = 0; !e && i < names.count; i++) {
        if (layout_key_of(names.items[i], &l->key))
            e = look_at_log(l);
        else if (layout_path(l->path, folder, names.items[i]))
            tell(l, JOURNAL_STRAY, 0, -1, "a folder of another name lies here");
    }
    names_fini(&names);
    return e;
}

/* ---- the folder ------------------------------------------------------------------------------------------------------------------ */

static enum err take_lock(struct look *l, struct diag *diag)
{
    struct journal_store *s = &l->store;
    if (!layout_path(l->path, s->folder, "lock"))
        return ERR_FILE;
    enum err e = s->env->disk->open(s->env, l->path, O_RDWR, 0, &s->lock_fd);
    if (e)
        return diag_set(diag, ERR_FILE, "%s is not a data folder", s->folder);
    e = s->env->disk->lock(s->env, s->lock_fd);
    return e ? diag_set(diag, ERR_FILE, "a process has the data folder %s", s->folder) : OK;
}

static enum err look_at_shards(struct look *l, struct diag *diag)
{
    uint64_t wal_first[LIMIT_WORKERS] = {0};
    void *value;
    enum err e = store_read_checkpoints(&l->store, wal_first, diag);
    if (!e)
        e = store_read_wals(&l->store, wal_first, diag);
    for (uint32_t at = 0; map_next(&l->store.found, &at, NULL, &value);)
        for (const struct wal_piece *p = ((struct found_log *)value)->pieces; p; p = p->next)
            l->check->records_in_stream++;
    if (e == ERR_CORRUPT || e == ERR_SCHEMA_FUTURE) {
        snprintf(l->path, sizeof l->path, "%s", l->store.folder);
        tell(l, JOURNAL_DAMAGED, 0, -1, diag ? diag_message(diag) : "a checkpoint or a stream is damaged");
    }
    return e;
}

enum err journal_check(const struct env *env, const char *folder, const struct journal_format *format,
                       struct journal_check *check, struct diag *diag)
{
    struct look *l = mem_zalloc(sizeof *l);
    struct hash_key secret;
    if (!l)
        return ERR_NOMEM;
    l->check = check;
    l->store = (struct journal_store){.env = env, .options = {.env = env, .format = format}, .lock_fd = -1};
    env->random(env, &secret, sizeof secret);
    map_init(&l->store.found, LIMIT_JOURNAL_LOGS, &secret);
    int size = snprintf(l->store.folder, sizeof l->store.folder, "%s", folder);
    enum err e = (size_t)size < sizeof l->store.folder ? take_lock(l, diag) : ERR_FILE, logs = OK;
    if (!e) {
        e = look_at_shards(l, diag);
        if (!e || e == ERR_CORRUPT)
            logs = look_at_logs(l);
    }
    if (l->store.lock_fd >= 0)
        env->disk->close(env, l->store.lock_fd);
    store_forget_found(&l->store);
    mem_free(l);
    return e ? e : logs;
}
