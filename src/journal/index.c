/* Indexes. The first entry that begins in a block of 4 KiB is noted: in the log's tail at once, on disk some 128 later, when the
 * segment ends, or at a checkpoint. What is lost of that by a crash is made again from the log. An entry of the index that does
 * not have its check is as one that is not there: who looks begins further ahead and walks. */
#include <assert.h>

#include "base/mem.h"
#include "journal/internal.h"

/* ---- the tail --------------------------------------------------------------------------------------------------------------- */

enum err tail_reserve(struct journal_log *log)
{
    if (!log->tail.ring)
        log->tail.ring = mem_alloc(TAIL_ENTRIES * sizeof *log->tail.ring);
    return log->tail.ring ? OK : ERR_NOMEM;
}

void tail_drop(struct journal_log *log)
{
    mem_free(log->tail.ring);
    log->tail.ring = NULL;
    log->tail.first = log->tail.count;
}

static struct tail_entry *tail_at(const struct tail *t, uint32_t rank)
{
    return &t->ring[rank % TAIL_ENTRIES];
}

/* Room for one more: the oldest goes, once it is on disk. */
static bool make_room(struct journal_log *log)
{
    struct tail *t = &log->tail;
    if (t->count - t->written >= INDEX_WRITE_ENTRIES)
        tail_write(log);
    if (t->count - t->first < TAIL_ENTRIES)
        return true;
    if (t->first == t->written) {
        t->stopped = true;
        return false;
    }
    t->first++;
    return true;
}

static bool begins_block(const struct journal_log *log, uint64_t position)
{
    const struct tail *t = &log->tail;
    if (t->count == 0)
        return true;
    uint64_t last = t->first < t->count ? tail_at(t, t->count - 1)->at.position : t->last_position;
    return position / JOURNAL_INDEX_BLOCK > last / JOURNAL_INDEX_BLOCK;
}

void tail_note(struct journal_log *log, uint64_t position, const struct journal_entry *entry, struct slice header)
{
    struct segment *s = log_active(log);
    struct tail *t = &log->tail;
    if (!t->stopped && begins_block(log, position) && make_room(log)) {
        *tail_at(t, t->count) = (struct tail_entry){
            .at = {.offset = entry->first_offset,
                   .position = (uint32_t)position,
                   .max_before = s->max_time_ms,
                   .seal = layout_seal(&log->key, s->base, (uint32_t)position, header)},
            .stamp = log->journal->status.appended_bytes + 1,
        };
        t->last_position = position;
        t->count++;
    }
    if (entry->max_time_ms > s->max_time_ms)
        s->max_time_ms = entry->max_time_ms;
}

/* A failure is met again with the next entries, or mended by the next opening: the index holds nothing of its own. */
static enum err write_entries(struct journal_log *log, const uint8_t *bytes, uint32_t rank, uint32_t count)
{
    const struct env *env = log->journal->env;
    struct journal_file *f;
    enum err e = segment_pin(log, log_active(log), false, &f);
    if (e)
        return e;
    e = env->disk->pwrite(env, f->index_fd, slice_of(bytes, (size_t)count * JOURNAL_INDEX_BYTES),
                          (uint64_t)rank * JOURNAL_INDEX_BYTES);
    file_unpin(f);
    return e;
}

void tail_write(struct journal_log *log)
{
    struct tail *t = &log->tail;
    uint8_t bytes[TAIL_ENTRIES * JOURNAL_INDEX_BYTES];
    uint32_t count = t->count - t->written;
    if (count == 0 || !t->ring)
        return;
    struct segment *s = log_active(log);
    for (uint32_t i = 0; i < count; i++)
        layout_index_encode(&tail_at(t, t->written + i)->at, &log->key, s->base, t->written + i,
                            bytes + i * JOURNAL_INDEX_BYTES);
    if (write_entries(log, bytes, t->written, count))
        return;
    t->written = t->count;
    s->index_count = t->written;
}

void tail_end_segment(struct journal_log *log)
{
    struct segment *s = log_active(log);
    struct tail *t = &log->tail;
    uint8_t bytes[JOURNAL_INDEX_BYTES];
    if (!s)
        return;
    tail_write(log);
    struct index_entry end = {.offset = log->next, .position = (uint32_t)s->bytes, .max_before = s->max_time_ms};
    layout_index_encode(&end, &log->key, s->base, t->written, bytes);
    if (t->written == t->count && !t->stopped)
        (void)write_entries(log, bytes, t->written, 1);
}

/* ---- on disk ---------------------------------------------------------------------------------------------------------------- */

enum err index_read(const struct index_view *v, uint32_t rank, struct index_entry *ret_entry)
{
    const struct env *env = v->file->journal->env;
    uint8_t bytes[JOURNAL_INDEX_BYTES];
    size_t got;
    enum err e = env->disk->pread(env, v->file->index_fd, bytes, sizeof bytes, (uint64_t)rank * sizeof bytes, &got);
    if (e)
        return e;
    return got == sizeof bytes && layout_index_decode(bytes, &v->file->key, v->file->base, rank, ret_entry)
               ? OK
               : ERR_CORRUPT;
}

/* The last entry that is not above, by a binary search in which damaged entries count as above. */
static enum err search(const struct index_view *v, bool (*above)(const struct index_entry *, int64_t), int64_t what,
                       struct index_entry *ret_entry, uint32_t *ret_rank)
{
    uint32_t low = 0, high = v->count;
    *ret_rank = UINT32_MAX;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct index_entry entry;
        enum err e = index_read(v, middle, &entry);
        if (e && e != ERR_CORRUPT)
            return e;
        if (e || above(&entry, what)) {
            high = middle;
        } else {
            low = middle + 1;
            *ret_entry = entry;
            *ret_rank = middle;
        }
    }
    return OK;
}

static bool offset_above(const struct index_entry *entry, int64_t offset)
{
    return entry->offset > offset;
}

static bool position_above(const struct index_entry *entry, int64_t position)
{
    return entry->position > position;
}

static bool time_reached(const struct index_entry *entry, int64_t time_ms)
{
    return entry->max_before >= time_ms;
}

enum err index_by_offset(const struct index_view *v, int64_t offset, struct index_entry *ret_entry, uint32_t *ret_rank)
{
    return search(v, offset_above, offset, ret_entry, ret_rank);
}

enum err index_by_position(const struct index_view *v, uint64_t position, struct index_entry *ret_entry,
                           uint32_t *ret_rank)
{
    return search(v, position_above, (int64_t)position, ret_entry, ret_rank);
}

enum err index_by_time(const struct index_view *v, int64_t time_ms, struct index_entry *ret_entry, uint32_t *ret_rank)
{
    return search(v, time_reached, time_ms, ret_entry, ret_rank);
}
