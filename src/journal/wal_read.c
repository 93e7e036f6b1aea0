/* Reading the write-ahead streams at opening. The files of a shard in the order of their numbers, in each the batches one after the
 * other. What ends a file is whatever is not a batch of it: stale bytes, zeros, one that a crash tore. A batch behind that, or one
 * whose sequence is not the next, tells that a synced one is missing: damage. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "journal/internal.h"

struct reader {
    struct journal_store *store;
    uint32_t shard;
    uint64_t number, size;
    int fd;
    uint64_t sequence; /* of the last batch; 0: none yet */
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

static enum err add_piece(struct reader *r, uint64_t position, const struct wal_record *record)
{
    struct found_log *f = store_find_or_add(r->store, &record->key);
    struct wal_piece *p = f ? mem_alloc(sizeof *p) : NULL;
    if (!p)
        return ERR_NOMEM;
    *p = (struct wal_piece){.shard = r->shard, .number = r->number, .position = position, .record = *record};
    *f->last_piece = p;
    f->last_piece = &p->next;
    return OK;
}

static enum err take_records(struct reader *r, const struct wal_batch *b)
{
    struct wal_record record;
    uint64_t at = JOURNAL_WAL_BATCH_BYTES;
    enum err e = OK;
    for (uint32_t i = 0; !e && i < b->records; i++) {
        if (b->bytes - at < JOURNAL_WAL_RECORD_BYTES)
            return ERR_CORRUPT;
        layout_record_decode(r->bytes + at, &record);
        uint64_t size = JOURNAL_WAL_RECORD_BYTES + layout_padded(record.size, 8);
        if (b->bytes - at < size)
            return ERR_CORRUPT;
        e = add_piece(r, b->position + at, &record);
        at += size;
    }
    return e;
}

/* Whether a whole batch begins here; its bytes are read then. */
static enum err read_batch(struct reader *r, uint64_t position, struct wal_batch *ret_batch, bool *ret_there)
{
    const struct env *env = r->store->env;
    uint8_t head[JOURNAL_WAL_BATCH_BYTES];
    struct wal_batch b;
    size_t got;
    *ret_there = false;
    enum err e = env->disk->pread(env, r->fd, head, sizeof head, position, &got);
    if (e || got < sizeof head || !layout_batch_decode(head, r->number, position, &b) || b.bytes > r->size - position)
        return e;
    e = reserve(r, b.bytes);
    if (!e)
        e = env->disk->pread(env, r->fd, r->bytes, b.bytes, position, &got);
    if (e || got < b.bytes || !layout_batch_whole(slice_of(r->bytes, b.bytes)))
        return e;
    *ret_batch = b;
    *ret_there = true;
    return OK;
}

static enum err read_file(struct reader *r, struct diag *diag)
{
    uint64_t position = 0, ended_at = UINT64_MAX;
    enum err e = OK;
    while (!e && position < r->size) {
        struct wal_batch b;
        bool there;
        e = read_batch(r, position, &b, &there);
        if (e || !there) {
            ended_at = ended_at == UINT64_MAX ? position : ended_at;
            position += JOURNAL_WAL_ALIGN;
            continue;
        }
        if (ended_at != UINT64_MAX || (r->sequence && b.sequence != r->sequence + 1))
            return diag_set(diag, ERR_CORRUPT,
                            "file %llu of the write-ahead stream of shard %u is damaged at byte %llu",
                            (unsigned long long)r->number, (unsigned)r->shard,
                            (unsigned long long)(ended_at == UINT64_MAX ? position : ended_at));
        r->sequence = b.sequence;
        e = take_records(r, &b);
        position += layout_padded(b.bytes, JOURNAL_WAL_ALIGN);
    }
    return e;
}

static enum err open_file(const struct journal_store *s, uint32_t shard, uint64_t number, int *ret_fd)
{
    char path[JOURNAL_PATH_BYTES];
    return layout_wal_path(path, s->folder, shard, number) ? s->env->disk->open(s->env, path, O_RDONLY, 0, ret_fd)
                                                           : ERR_FILE;
}

static enum err note_file(struct reader *r)
{
    struct found_wal *w = mem_alloc(sizeof *w);
    if (!w)
        return ERR_NOMEM;
    *w = (struct found_wal){.shard = r->shard, .number = r->number, .size = r->size, .next = r->store->wals};
    r->store->wals = w;
    return OK;
}

static enum err take_file(struct reader *r, uint64_t number, bool needed, struct diag *diag)
{
    const struct env *env = r->store->env;
    r->number = number;
    enum err e = open_file(r->store, r->shard, number, &r->fd);
    if (e)
        return e;
    e = env->disk->size(env, r->fd, &r->size);
    if (!e)
        e = note_file(r);
    if (!e && needed)
        e = read_file(r, diag);
    env->disk->close(env, r->fd);
    return e;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static enum err read_shard(struct journal_store *s, uint32_t shard, uint64_t first_needed, struct diag *diag)
{
    char folder[JOURNAL_PATH_BYTES];
    struct names names;
    struct reader r = {.store = s, .shard = shard};
    uint32_t count = 0;
    if (!layout_wal_folder(folder, s->folder, shard))
        return ERR_FILE;
    enum err e = names_of(s->env, folder, &names);
    uint64_t *numbers = e ? NULL : mem_alloc((names.count + 1) * sizeof *numbers);
    if (!e && !numbers)
        e = ERR_NOMEM;
    for (uint32_t i = 0; !e && i < names.count; i++)
        count += layout_number_of(names.items[i], ".wal", &numbers[count]);
    if (!e)
        qsort(numbers, count, sizeof *numbers, by_number);
    for (uint32_t i = 0; !e && i < count; i++)
        e = take_file(&r, numbers[i], numbers[i] >= first_needed, diag);
    mem_free(numbers);
    mem_free(r.bytes);
    names_fini(&names);
    return e;
}

enum err store_read_wals(struct journal_store *s, const uint64_t *wal_first, struct diag *diag)
{
    char path[JOURNAL_PATH_BYTES], again[16];
    struct names names;
    if (!layout_path(path, s->folder, "wal"))
        return ERR_FILE;
    enum err e = names_of(s->env, path, &names);
    for (uint32_t i = 0; !e && i < names.count; i++) {
        unsigned long shard = strtoul(names.items[i], NULL, 10);
        snprintf(again, sizeof again, "%lu", shard);
        if (shard < LIMIT_WORKERS && strcmp(again, names.items[i]) == 0)
            e = read_shard(s, (uint32_t)shard, wal_first[shard], diag);
    }
    names_fini(&names);
    return e;
}

enum err store_read_piece(const struct journal_store *s, const struct wal_piece *p, uint8_t *to)
{
    int fd;
    size_t got;
    enum err e = open_file(s, p->shard, p->number, &fd);
    if (e)
        return e;
    e = s->env->disk->pread(s->env, fd, to, p->record.size, p->position + JOURNAL_WAL_RECORD_BYTES, &got);
    s->env->disk->close(s->env, fd);
    return !e && got < p->record.size ? ERR_CORRUPT : e;
}
