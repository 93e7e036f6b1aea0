/* Replaying: records of the stream against the log that they were appended to. The stream was synced, and is right: where the log
 * behind the checkpoint holds something else, left there by a write that was undone or by a life before, it is cut there.
 *
 *   record below the checkpoint, or equal to what the log has ──▶ nothing
 *   the log has another entry at its offset ──▶ the log ends there ──▶ appended
 *   at the log's end ──▶ appended                     behind its end ──▶ damage: reported, the gap stays a gap, appended */
#include "base/mem.h"
#include "journal/internal.h"

struct replay {
    struct journal_log *log;
    uint8_t *bytes, *there;
    uint32_t capacity;
    uint32_t segment; /* where the walk is */
    struct walk walk;
};

/* ---- where the log has an offset ------------------------------------------------------------------------------------------------ */

static uint32_t segment_of(const struct journal_log *log, int64_t offset)
{
    uint32_t i = log->segment_count - 1;
    while (i > 0 && log->segments[i].base > offset)
        i--;
    return i;
}

/* The walk stands at the entry that begins with this offset; ERR_CORRUPT: none does. The file is pinned. */
static enum err seek(struct replay *r, const struct journal_file *f, int64_t offset)
{
    const struct segment *s = &r->log->segments[r->segment];
    struct index_view view = {.file = f, .count = s->index_count};
    struct index_entry begin;
    struct journal_entry entry;
    struct slice header;
    uint32_t rank;
    if (r->walk.file == f && r->walk.expected == offset && r->walk.position < s->bytes)
        return OK;
    enum err e = index_by_offset(&view, offset, &begin, &rank);
    walk_init(&r->walk, f, rank == UINT32_MAX ? 0 : begin.position, rank == UINT32_MAX ? s->base : begin.offset,
              s->bytes);
    while (!e && r->walk.expected < offset && !(e = walk_look(&r->walk, &entry, &header)))
        walk_step(&r->walk, &entry);
    return !e && r->walk.expected != offset ? ERR_CORRUPT : e;
}

static enum err is_equal(struct replay *r, const struct journal_file *f, const struct wal_record *record,
                         bool *ret_equal)
{
    const struct env *env = f->journal->env;
    size_t got;
    enum err e = seek(r, f, record->first_offset);
    *ret_equal = false;
    if (e)
        return e == ERR_CORRUPT ? OK : e;
    e = env->disk->pread(env, f->fd, r->there, record->size, r->walk.position, &got);
    if (e || got < record->size || memcmp(r->there, r->bytes, record->size) != 0)
        return e;
    r->walk.position += record->size;
    r->walk.expected = record->last_offset + 1;
    *ret_equal = true;
    return OK;
}

/* ---- cutting -------------------------------------------------------------------------------------------------------------------- */

static void drop_last_segment(struct journal_log *log)
{
    struct segment *s = log_active(log);
    char path[JOURNAL_PATH_BYTES];
    const struct env *env = log->journal->env;
    if (layout_log_path(path, log->journal->store->folder, &log->key, s->base, ".log"))
        (void)env->disk->unlink(env, path);
    if (layout_log_path(path, log->journal->store->folder, &log->key, s->base, ".index"))
        (void)env->disk->unlink(env, path);
    file_drop(s->file);
    log->segment_count--;
}

/* The active segment's file and its index end here. */
static enum err shorten(struct journal_log *log, const struct journal_file *f, uint64_t position)
{
    const struct env *env = log->journal->env;
    struct index_entry last;
    uint32_t rank = UINT32_MAX;
    enum err e = position ? index_by_position(&(struct index_view){.file = f, .count = log_active(log)->index_count},
                                              position - 1, &last, &rank)
                          : OK;
    uint32_t count = rank == UINT32_MAX ? 0 : rank + 1;
    if (!e)
        e = env->disk->truncate(env, f->fd, position);
    if (!e)
        e = env->disk->truncate(env, f->index_fd, (uint64_t)count * JOURNAL_INDEX_BYTES);
    log->tail = (struct tail){.ring = log->tail.ring, .first = count, .written = count, .count = count};
    log->tail.last_position = count ? last.position : 0;
    log_active(log)->bytes = position;
    log_active(log)->index_count = count;
    return e;
}

/* At the walk's place: the entry there is not the one of the stream. */
static enum err cut_here(struct replay *r, const struct journal_file *f, int64_t offset)
{
    struct journal_log *log = r->log;
    uint64_t position = r->walk.position;
    while (log->segment_count > r->segment + 1)
        drop_last_segment(log);
    log->synced_segments_from = log->synced_segments_from < r->segment ? log->synced_segments_from : r->segment;
    log_dirty_from_here(log);
    log->new_names = true;
    log->next = offset;
    r->walk.file = NULL;
    return shorten(log, f, position);
}

/* ---- records -------------------------------------------------------------------------------------------------------------------- */

static enum err append_entry(struct journal_log *log, struct slice whole, const struct journal_entry *entry)
{
    const struct journal_format *format = log->journal->store->options.format;
    if (entry->last_offset < log->next)
        return OK;
    if (entry->first_offset != log->next) {
        journal_log_damaged(log, log->next);
        log->next = entry->first_offset;
        log->roll_next = true;
    }
    enum err e = log_prepare(log, whole.size, entry->last_offset);
    if (!e)
        e = log_put(log, &whole, 1);
    if (e)
        return e;
    log_note(log, entry, slice_take(whole, format->header_bytes));
    log_dirty_from_here(log);
    return OK;
}

static enum err append_entries(struct journal_log *log, struct slice rest)
{
    const struct journal_format *format = log->journal->store->options.format;
    struct journal_entry entry;
    enum err e = OK;
    while (!e && rest.size) {
        if (rest.size < format->header_bytes || !format->measure(rest.data, &entry) || entry.size > rest.size ||
            entry.size < format->header_bytes)
            return ERR_CORRUPT;
        e = append_entry(log, slice_take(rest, entry.size), &entry);
        rest = slice_skip(rest, entry.size);
    }
    return e;
}

static enum err reserve(struct replay *r, uint32_t size)
{
    if (size <= r->capacity)
        return OK;
    mem_free(r->bytes);
    mem_free(r->there);
    r->bytes = mem_alloc(size);
    r->there = mem_alloc(size);
    r->capacity = r->bytes && r->there ? size : 0;
    return r->capacity ? OK : ERR_NOMEM;
}

/* The log has something at the record's offset: the same, or it goes. */
static enum err compare(struct replay *r, const struct wal_record *record)
{
    struct journal_log *log = r->log;
    struct journal_file *f;
    bool equal;
    r->segment = segment_of(log, record->first_offset);
    if (r->segment + 1 == log->segment_count)
        tail_write(log);
    enum err e = segment_pin(log, &log->segments[r->segment], false, &f);
    if (e)
        return e;
    e = is_equal(r, f, record, &equal);
    if (!e && !equal && r->walk.expected == record->first_offset)
        e = cut_here(r, f, record->first_offset);
    file_unpin(f);
    return e;
}

static enum err replay_piece(struct replay *r, const struct wal_piece *piece)
{
    const struct wal_record *record = &piece->record;
    enum err e = reserve(r, record->size);
    if (!e)
        e = store_read_piece(r->log->journal->store, piece, r->bytes);
    if (!e && record->first_offset < r->log->next && r->log->segment_count)
        e = compare(r, record);
    return e ? e : append_entries(r->log, slice_of(r->bytes, record->size));
}

enum err log_replay(struct journal_log *log, const struct wal_piece *pieces, int64_t synced)
{
    struct replay r = {.log = log};
    enum err e = OK;
    for (const struct wal_piece *p = pieces; !e && p; p = p->next)
        if (p->record.first_offset >= synced && p->record.size)
            e = replay_piece(&r, p);
    mem_free(r.bytes);
    mem_free(r.there);
    return e;
}
