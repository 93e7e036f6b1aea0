/* Opening a log that exists: what its files, the checkpoint and the stream say, put together.
 *
 *   segments below the checkpoint's     ── trusted: their size is in the last entry of their index
 *   the checkpoint's, up to its place   ── only its end is looked at; damage there is reported, nothing is cut
 *   what lies behind                    ── scanned: whole, dense entries count; the first that is not one ends the log
 *   records of the stream               ── those that the log does not have are written behind it
 *
 * Nothing here is acknowledged anew before journal_store_recovered has synced it. */
#include <stdlib.h>

#include "base/mem.h"
#include "journal/internal.h"

/* ---- scanning ---------------------------------------------------------------------------------------------------------------- */

/* Up to limit, or to the entry of the offset `stop`, into the log's active segment. ERR_CORRUPT: something else lies at
 * scan->position. */
static enum err scan_to(struct journal_log *log, struct scan *s, uint64_t limit, int64_t stop)
{
    struct segment *active = log_active(log);
    struct journal_entry entry;
    struct slice header;
    enum err e = OK;
    while (s->position < limit && s->expected < stop && !(e = scan_next(s, limit, &entry, &header))) {
        active->bytes = s->position;
        log_note(log, &entry, header);
        s->position += entry.size;
        s->expected = entry.last_offset + 1;
    }
    return e;
}

/* ---- segments ------------------------------------------------------------------------------------------------------------------ */

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void unlink_file(const struct journal_log *log, int64_t base, const char *suffix)
{
    char path[JOURNAL_PATH_BYTES];
    if (layout_log_path(path, log->journal->store->folder, &log->key, base, suffix))
        (void)log->journal->env->disk->unlink(log->journal->env, path);
}

static bool has(const int64_t *bases, uint32_t count, int64_t base)
{
    return count && bsearch(&base, bases, count, sizeof base, by_number);
}

/* First offsets of the segments, in order. An index without its log was left by a removal. */
static enum err list_bases(struct journal_log *log, int64_t **ret_bases, uint32_t *ret_count)
{
    char folder[JOURNAL_PATH_BYTES];
    struct names names;
    uint64_t number;
    if (!layout_log_folder(folder, log->journal->store->folder, &log->key))
        return ERR_FILE;
    enum err e = names_of(log->journal->env, folder, &names);
    int64_t *bases = e ? NULL : mem_alloc((names.count + 1) * sizeof *bases);
    if (!e && !bases)
        e = ERR_NOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; !e && i < names.count; i++)
        if (layout_number_of(names.items[i], ".log", &number))
            bases[count++] = (int64_t)number;
    if (!e)
        qsort(bases, count, sizeof *bases, by_number);
    for (uint32_t i = 0; !e && i < names.count; i++)
        if (layout_number_of(names.items[i], ".index", &number) && !has(bases, count, (int64_t)number))
            unlink_file(log, (int64_t)number, ".index");
    names_fini(&names);
    if (e)
        return e;
    *ret_bases = bases;
    *ret_count = count;
    return OK;
}

static enum err file_size(const struct journal_log *log, int fd, uint64_t *ret_size)
{
    return log->journal->env->disk->size(log->journal->env, fd, ret_size);
}

/* The index of a closed segment is missing or damaged: made again from its log. It ends where the next one begins: what lies behind
 * was undone, and a crash has undone that. */
static enum err rebuild_closed(struct journal_log *log, struct journal_file *f, int64_t next_base)
{
    struct scan scan = {.file = f, .expected = f->base};
    uint64_t size;
    enum err e = file_size(log, f->fd, &size);
    if (!e)
        e = tail_reserve(log);
    if (!e)
        e = scan_to(log, &scan, size, next_base);
    mem_free(scan.bytes);
    if (e && e != ERR_CORRUPT)
        return e;
    if (scan.expected != next_base)
        journal_log_damaged(log, scan.expected);
    log_active(log)->bytes = scan.expected == next_base ? scan.position : size;
    log->next = next_base;
    tail_end_segment(log);
    return OK;
}

static enum err load_closed(struct journal_log *log, int64_t next_base)
{
    struct segment *s = log_active(log);
    struct index_entry end;
    struct journal_file *f;
    uint64_t index_size, size;
    enum err e = segment_pin(log, s, false, &f);
    if (e)
        return e;
    e = file_size(log, f->index_fd, &index_size);
    if (!e)
        e = file_size(log, f->fd, &size);
    uint32_t rank = e || index_size < JOURNAL_INDEX_BYTES ? 0 : (uint32_t)(index_size / JOURNAL_INDEX_BYTES) - 1;
    if (!e)
        e = index_read(&(struct index_view){.file = f, .count = rank + 1}, rank, &end);
    if (!e && end.seal == 0 && end.offset == next_base && end.position <= size) {
        s->bytes = end.position;
        s->max_time_ms = end.max_before;
        s->index_count = rank;
    } else if (!e || e == ERR_CORRUPT) {
        e = rebuild_closed(log, f, next_base);
    }
    file_unpin(f);
    log->tail = (struct tail){.ring = log->tail.ring};
    return e;
}

/* ---- the part behind the checkpoint --------------------------------------------------------------------------------------------- */

struct written { /* a segment that may hold more than is synced */
    struct journal_file *file;
    uint64_t size;   /* on disk */
    uint64_t synced; /* up to here nothing is cut… */
    int64_t next;    /* …and this is the offset there */
    int64_t max_time_ms;
};

/* Whether the entry that the index tells of lies there. */
static bool is_sealed(const struct written *w, const struct index_entry *entry)
{
    struct journal_entry there;
    struct slice header;
    struct walk walk;
    walk_init(&walk, w->file, entry->position, entry->offset, w->size);
    return entry->seal && walk_look(&walk, &there, &header) == OK &&
           layout_seal(&w->file->key, w->file->base, entry->position, header) == entry->seal;
}

/* The last entry of the index within what is synced that is true: a crash may have left others, from before the last one. */
static enum err last_sealed(const struct written *w, const struct index_view *view, struct index_entry *ret_entry,
                            uint32_t *ret_rank)
{
    *ret_rank = UINT32_MAX;
    enum err e = w->synced ? index_by_position(view, w->synced - 1, ret_entry, ret_rank) : OK;
    for (uint32_t back = 1; !e && *ret_rank != UINT32_MAX && !is_sealed(w, ret_entry); back *= 2) {
        if (*ret_rank < back) {
            *ret_rank = UINT32_MAX;
            break;
        }
        *ret_rank -= back;
        e = index_read(view, *ret_rank, ret_entry);
        if (e == ERR_CORRUPT) {
            ret_entry->seal = 0;
            e = OK;
        }
    }
    return e;
}

/* Where the scan begins. */
static enum err begin_scan(struct journal_log *log, const struct written *w, struct scan *scan)
{
    struct segment *s = log_active(log);
    struct index_entry entry;
    uint64_t index_size;
    uint32_t rank = UINT32_MAX;
    enum err e = file_size(log, w->file->index_fd, &index_size);
    if (!e)
        e = last_sealed(w, &(struct index_view){.file = w->file, .count = (uint32_t)(index_size / JOURNAL_INDEX_BYTES)},
                        &entry, &rank);
    if (e || rank == UINT32_MAX)
        return e;
    scan->position = s->bytes = entry.position;
    scan->expected = log->next = entry.offset;
    s->max_time_ms = entry.max_before;
    log->tail.first = log->tail.written = log->tail.count = s->index_count = rank;
    log->tail.last_position = entry.position / JOURNAL_INDEX_BLOCK * JOURNAL_INDEX_BLOCK - 1;
    return OK;
}

static enum err scan_synced(struct journal_log *log, const struct written *w, struct scan *scan)
{
    struct segment *s = log_active(log);
    uint64_t limit = w->size < w->synced ? w->size : w->synced;
    enum err e = scan_to(log, scan, limit, INT64_MAX);
    if (e && e != ERR_CORRUPT)
        return e;
    if (e || scan->position != w->synced || (w->synced && scan->expected != w->next))
        journal_log_damaged(log, scan->expected);
    if (w->synced) {
        scan->position = s->bytes = w->synced;
        scan->expected = log->next = w->next;
        s->max_time_ms = w->max_time_ms > s->max_time_ms ? w->max_time_ms : s->max_time_ms;
    }
    return OK;
}

/* What is not whole behind the checkpoint was not acknowledged, or is in the stream. */
static enum err scan_unsynced(struct journal_log *log, const struct written *w, struct scan *scan)
{
    struct segment *s = log_active(log);
    if (w->size < w->synced) {
        s->bytes = w->size;
        log->roll_next = true;
        return OK;
    }
    enum err e = scan_to(log, scan, w->size, INT64_MAX);
    if (e == ERR_CORRUPT) {
        s->bytes = scan->position;
        e = log->journal->env->disk->truncate(log->journal->env, w->file->fd, scan->position);
    }
    if (!e && (w->size != w->synced || scan->position != w->synced))
        log_dirty_from_here(log);
    return e;
}

/* Entries that tell of what was cut would be taken for true ones when the log has grown again. */
static enum err cut_index(struct journal_log *log, const struct written *w)
{
    uint64_t size, want = (uint64_t)log->tail.count * JOURNAL_INDEX_BYTES;
    enum err e = file_size(log, w->file->index_fd, &size);
    return e || size <= want ? e : log->journal->env->disk->truncate(log->journal->env, w->file->index_fd, want);
}

static enum err recover_written(struct journal_log *log, const struct written *w)
{
    struct scan scan = {.file = w->file, .expected = w->file->base};
    enum err e = tail_reserve(log);
    log->next = w->file->base;
    if (!e)
        e = begin_scan(log, w, &scan);
    uint32_t on_disk = log->tail.count;
    if (!e)
        e = scan_synced(log, w, &scan);
    if (!e)
        e = scan_unsynced(log, w, &scan);
    mem_free(scan.bytes);
    if (!e && !log->dirty && log->tail.count == on_disk + 1) /* the entry that the scan began with */
        log->tail.written = log_active(log)->index_count = log->tail.count;
    return e ? e : cut_index(log, w);
}

static enum err load_written(struct journal_log *log, const struct checkpoint_entry *cp)
{
    struct segment *s = log_active(log);
    struct written w = {.max_time_ms = INT64_MIN};
    enum err e = segment_pin(log, s, false, &w.file);
    if (e)
        return e;
    if (cp && cp->base == s->base) {
        w.synced = cp->position;
        w.next = cp->next;
        w.max_time_ms = cp->max_time_ms;
        s->created_ms = cp->created_ms;
    } else {
        log_dirty_from_here(log);
        log->new_folder = log->new_names = true; /* nobody says that they are durable */
    }
    e = file_size(log, w.file->fd, &w.size);
    if (!e)
        e = recover_written(log, &w);
    file_unpin(w.file);
    return e;
}

/* The folder is synced with this: a name that came back would be taken for the log's next segment. */
static void remove_behind(struct journal_log *log, int64_t base)
{
    unlink_file(log, base, ".log");
    unlink_file(log, base, ".index");
    log_dirty_from_here(log);
    log->new_names = true;
}

/* A removal that was not finished. Returns how many there were. */
static uint32_t remove_below_start(struct journal_log *log, const int64_t *bases, uint32_t count)
{
    uint32_t below = 0;
    for (; below + 1 < count && bases[below + 1] <= log->start; below++) {
        unlink_file(log, bases[below], ".log");
        unlink_file(log, bases[below], ".index");
    }
    return below;
}

/* Segments behind one that lost its end cannot be reached. */
static enum err load_segments(struct journal_log *log, const struct checkpoint_entry *cp, const int64_t *bases,
                              uint32_t count)
{
    struct segment *s;
    enum err e = OK;
    uint32_t i = remove_below_start(log, bases, count);
    for (; !e && i < count; i++) {
        if (log->segment_count && (!cp || bases[i] > cp->base)) {
            if (log->next != bases[i])
                break;
            tail_end_segment(log);
            log->tail = (struct tail){.ring = log->tail.ring};
            log->roll_next = false;
        }
        e = log_add_segment(log, bases[i], &s);
        if (!e)
            e = cp && bases[i] < cp->base && i + 1 < count ? load_closed(log, bases[i + 1]) : load_written(log, cp);
    }
    for (; !e && i < count; i++)
        remove_behind(log, bases[i]);
    return e;
}

/* The checkpoint tells of more than is there. */
static void look_for_missing(struct journal_log *log, const struct checkpoint_entry *cp)
{
    if (!cp || log->next >= cp->next)
        return;
    journal_log_damaged(log, log->next);
    log->next = cp->next;
    log->roll_next = true;
}

/* ---- whoever wants to know --------------------------------------------------------------------------------------------------------- */

static enum err tell_segment(struct journal_log *log, uint32_t i, int64_t from)
{
    const struct journal_store_options *o = &log->journal->store->options;
    struct segment *s = &log->segments[i];
    struct index_entry begin;
    struct journal_entry entry;
    struct slice header;
    struct journal_file *f;
    struct walk w;
    uint32_t rank;
    enum err e = segment_pin(log, s, false, &f);
    if (e)
        return e;
    e = index_by_offset(&(struct index_view){.file = f, .count = s->index_count}, from, &begin, &rank);
    walk_init(&w, f, rank == UINT32_MAX ? 0 : begin.position, rank == UINT32_MAX ? s->base : begin.offset, s->bytes);
    while (!e && w.position < w.limit && !(e = walk_look(&w, &entry, &header))) {
        if (entry.last_offset >= from)
            o->replayed(o->context, log, &entry, header);
        walk_step(&w, &entry);
    }
    file_unpin(f);
    return e == ERR_CORRUPT ? OK : e; /* damage: reported where it was met, and by who reads there */
}

static enum err tell(struct journal_log *log, int64_t from)
{
    enum err e = OK;
    if (!log->journal->store->options.replayed)
        return OK;
    for (uint32_t i = 0; !e && i < log->segment_count; i++)
        if (i + 1 == log->segment_count || log->segments[i + 1].base > from)
            e = tell_segment(log, i, from);
    return e;
}

static void settle(struct journal_log *log)
{
    tail_write(log);
    if (log->tail.written == log->tail.count)
        tail_drop(log);
    log->end = log->stable = log->next;
    if (log->segment_count)
        log->stable_place = (struct place){.base = log_active(log)->base, .position = log_active(log)->bytes};
    if (log->segment_count && log->start < log->segments[0].base)
        log->start = log->segments[0].base;
}

enum err log_recover(struct journal_log *log, int64_t replay_from)
{
    const struct found_log *found = store_found(log->journal->store, &log->key);
    const struct checkpoint_entry *cp = found && found->checkpointed ? &found->checkpoint : NULL;
    int64_t *bases;
    uint32_t count;
    enum err e = list_bases(log, &bases, &count);
    if (e)
        return e;
    log->start = cp ? cp->start : 0;
    e = load_segments(log, cp, bases, count);
    mem_free(bases);
    if (!e)
        look_for_missing(log, cp);
    int64_t from = replay_from >= 0 ? replay_from : cp ? cp->next : 0;
    if (!e && found)
        e = log_replay(log, found->pieces, cp ? cp->next : 0);
    if (e)
        return e;
    settle(log);
    return tell(log, from);
}
