/* Segments: files of a log, each named after its first offset, and walks over their entries. The last one is written to. */
#include "base/limits.h"
#include "base/mem.h"
#include "journal/internal.h"

enum err segment_pin(struct journal_log *log, struct segment *s, bool create, struct journal_file **ret_file)
{
    enum err e = s->file ? OK : file_new(log->journal, &log->key, s->base, &s->file);
    if (!e)
        e = file_pin(s->file, create);
    if (!e)
        *ret_file = s->file;
    return e;
}

static enum err grow_segments(struct journal_log *log)
{
    uint32_t capacity = log->segment_capacity ? log->segment_capacity * 2 : 1;
    if (log->segment_count < log->segment_capacity)
        return OK;
    if (log->segment_count >= LIMIT_JOURNAL_SEGMENTS)
        return ERR_RESOURCE_EXHAUSTED;
    struct segment *more = mem_realloc(log->segments, capacity * sizeof *more);
    if (!more)
        return ERR_NOMEM;
    log->segments = more;
    log->segment_capacity = capacity;
    return OK;
}

enum err log_add_segment(struct journal_log *log, int64_t base, struct segment **ret_segment)
{
    enum err e = grow_segments(log);
    if (e)
        return e;
    struct segment *s = &log->segments[log->segment_count++];
    *s = (struct segment){
        .base = base, .max_time_ms = INT64_MIN, .created_ms = loop_realtime_ms(log->journal->options.loop)};
    *ret_segment = s;
    return OK;
}

static enum err make_folder(struct journal_log *log)
{
    const struct env *env = log->journal->env;
    char path[JOURNAL_PATH_BYTES];
    if (!layout_log_folder(path, log->journal->store->folder, &log->key))
        return ERR_FILE;
    enum err e = env->disk->mkdir(env, path, 0700);
    if (!e)
        log->new_folder = true;
    return e;
}

/* On failure nothing is written before it has been tried again: a file of that name may be there, and then the log goes on in it. */
enum err log_roll(struct journal_log *log)
{
    struct journal_file *f;
    struct segment *s;
    bool first = log->segment_count == 0;
    enum err e = first ? make_folder(log) : OK;
    if (!e && !first)
        tail_end_segment(log);
    if (!e)
        e = log_add_segment(log, log->next, &s);
    if (e)
        return e;
    e = segment_pin(log, s, true, &f);
    if (!e)
        file_unpin(f);
    if (e) {
        file_drop(s->file);
        log->segment_count--;
        log->roll_next = true;
    } else {
        log->tail = (struct tail){.ring = log->tail.ring};
        log->roll_next = false;
        log->new_names = true;
        log_dirty(log); /* a checkpoint speaks of it only when its name lasts */
    }
    return e;
}

/* ---- walks ------------------------------------------------------------------------------------------------------------------ */

void walk_init(struct walk *w, const struct journal_file *file, uint64_t position, int64_t offset, uint64_t limit)
{
    w->file = file;
    w->position = position;
    w->expected = offset;
    w->limit = limit;
    w->have_at = 0;
    w->have = 0;
}

static enum err fill(struct walk *w, uint32_t need)
{
    const struct env *env = w->file->journal->env;
    if (w->position >= w->have_at && w->position + need <= w->have_at + w->have)
        return OK;
    w->have_at = w->position;
    return env->disk->pread(env, w->file->fd, w->bytes, sizeof w->bytes, w->position, &w->have);
}

enum err walk_look(struct walk *w, struct journal_entry *ret_entry, struct slice *ret_header)
{
    const struct journal_format *format = w->file->journal->store->options.format;
    struct journal_entry entry;
    enum err e = fill(w, format->header_bytes);
    if (e)
        return e;
    if (w->position + format->header_bytes > w->have_at + w->have || w->position + format->header_bytes > w->limit)
        return ERR_CORRUPT;
    const uint8_t *header = w->bytes + (w->position - w->have_at);
    if (!format->measure(header, &entry) || entry.size < format->header_bytes || entry.size > format->entry_bytes_max ||
        entry.first_offset != w->expected || entry.last_offset < entry.first_offset ||
        entry.size > w->limit - w->position)
        return ERR_CORRUPT;
    *ret_entry = entry;
    *ret_header = slice_of(header, format->header_bytes);
    return OK;
}

void walk_step(struct walk *w, const struct journal_entry *entry)
{
    w->position += entry->size;
    w->expected = entry->last_offset + 1;
}
