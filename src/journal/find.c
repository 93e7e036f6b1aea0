/* Reading: where entries lie. What was appended lately is found in the log's tail without a look at the disk; for anything else the
 * segment is chosen on the loop, and journal_range_resolve does the rest in a pool.
 *
 *   offset ──▶ segment ──▶ entry of the index at or below ──walk──▶ the entry that holds it ──▶ last boundary within max_bytes */
#include "base/mem.h"
#include "journal/internal.h"

/* ---- the end of a range, by walking ------------------------------------------------------------------------------------------- */

/* To the entry that holds the offset; its first offset. */
static enum err walk_to(struct walk *w, int64_t offset, int64_t *ret_first)
{
    struct journal_entry entry;
    struct slice header;
    for (;;) {
        enum err e = walk_look(w, &entry, &header);
        if (e)
            return e;
        if (entry.last_offset >= offset) {
            *ret_first = entry.first_offset;
            return OK;
        }
        walk_step(w, &entry);
    }
}

/* Entries from here on that fit into bytes_max, at least one. */
static enum err walk_whole(struct walk *w, uint64_t bytes_max, uint64_t *ret_size)
{
    struct journal_entry entry;
    struct slice header;
    uint64_t begin = w->position;
    enum err e = OK;
    while (w->position < w->limit && !(e = walk_look(w, &entry, &header))) {
        if (w->position > begin && w->position + entry.size - begin > bytes_max)
            break;
        walk_step(w, &entry);
    }
    *ret_size = w->position - begin;
    return w->position > begin ? OK : e;
}

/* ---- the tail ----------------------------------------------------------------------------------------------------------------- */

static const struct index_entry *at(const struct tail *t, uint32_t rank)
{
    return &t->ring[rank % TAIL_ENTRIES].at;
}

/* Ranks first <= r < ret_rank are at or below. */
static uint32_t tail_by_offset(const struct tail *t, int64_t offset)
{
    uint32_t low = t->first, high = t->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (at(t, middle)->offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t tail_by_position(const struct tail *t, uint64_t position)
{
    uint32_t low = t->first, high = t->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (at(t, middle)->position <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_warm(const struct journal_log *log, uint32_t rank)
{
    uint64_t stamp = log->tail.ring[rank % TAIL_ENTRIES].stamp;
    return stamp && log->journal->status.appended_bytes - (stamp - 1) <= log->journal->options.warm_bytes;
}

/* Sets position, size and first_offset from the tail. false: it does not reach back so far. */
static bool find_in_tail(const struct journal_log *log, struct journal_range *r)
{
    const struct tail *t = &log->tail;
    uint32_t rank = tail_by_offset(t, r->offset);
    struct walk w;
    if (rank == t->first || t->stopped || !is_warm(log, rank - 1))
        return false;
    walk_init(&w, r->file, at(t, rank - 1)->position, at(t, rank - 1)->offset, r->limit);
    r->first_offset = w.expected;
    if (w.expected != r->offset && walk_to(&w, r->offset, &r->first_offset))
        return false;
    r->position = w.position;
    r->size = r->limit - r->position;
    if (r->size <= r->bytes_max)
        return true;
    uint32_t end = tail_by_position(t, r->position + r->bytes_max);
    r->size = at(t, end - 1)->position - r->position;
    return at(t, end - 1)->position > r->position || walk_whole(&w, r->bytes_max, &r->size) == OK;
}

/* ---- on the loop -------------------------------------------------------------------------------------------------------------- */

static uint32_t segment_of(const struct journal_log *log, int64_t offset)
{
    uint32_t low = 0, high = log->segment_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (log->segments[middle].base <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum err journal_find(struct journal_log *log, int64_t offset, uint64_t max_bytes, struct journal_range *ret_range)
{
    struct journal_range r = {.offset = offset, .first_offset = offset, .bytes_max = max_bytes, .warm = true};
    if (offset < log->start || offset > log->stable)
        return ERR_OUT_OF_RANGE;
    if (offset == log->stable) {
        *ret_range = r;
        return OK;
    }
    uint32_t i = segment_of(log, offset);
    if (i == 0)
        return ERR_CORRUPT;
    struct segment *s = &log->segments[i - 1];
    enum err e = segment_pin(log, s, false, &r.file);
    if (e) {
        if (e == ERR_NOT_FOUND) {
            journal_log_damaged(log, offset);
            e = ERR_CORRUPT;
        }
        return e;
    }
    r.file->refs++; /* with the pin: the range's */
    r.limit = log_limit(log, i - 1);
    r.index_count = s->index_count;
    /* Where a sync has failed, pages may have been thrown away that were never written. */
    r.trusted = !log->failed && !log->journal->status.failed;
    r.warm = r.trusted && i == log->segment_count && find_in_tail(log, &r);
    *ret_range = r;
    return OK;
}

void journal_range_release(struct journal_range *r)
{
    journal_file_unref(r->file);
    r->file = NULL;
    r->size = 0;
}

/* ---- in a pool ---------------------------------------------------------------------------------------------------------------- */

/* The header at the entry's place is the one that was written there. */
static enum err check_seal(const struct journal_file *f, const struct index_entry *entry, struct slice header)
{
    return layout_seal(&f->key, f->base, entry->position, header) == entry->seal ? OK : ERR_CORRUPT;
}

static enum err resolve_begin(struct journal_range *r, struct walk *w, uint32_t *ret_rank)
{
    struct index_view view = {.file = r->file, .count = r->index_count};
    struct index_entry entry;
    struct journal_entry there;
    struct slice header;
    enum err e = index_by_offset(&view, r->offset, &entry, ret_rank);
    if (e)
        return e;
    if (*ret_rank == UINT32_MAX) {
        walk_init(w, r->file, 0, r->file->base, r->limit);
    } else {
        walk_init(w, r->file, entry.position, entry.offset, r->limit);
        e = walk_look(w, &there, &header);
        if (!e)
            e = check_seal(r->file, &entry, header);
    }
    if (!e)
        e = walk_to(w, r->offset, &r->first_offset);
    r->position = w->position;
    return e;
}

static enum err resolve_end(struct journal_range *r, struct walk *w)
{
    struct index_view view = {.file = r->file, .count = r->index_count};
    struct index_entry entry;
    uint32_t rank;
    r->size = r->limit - r->position;
    if (r->size <= r->bytes_max)
        return OK;
    enum err e = index_by_position(&view, r->position + r->bytes_max, &entry, &rank);
    if (e)
        return e;
    if (rank == UINT32_MAX || entry.position <= r->position)
        return walk_whole(w, r->bytes_max, &r->size);
    r->size = entry.position - r->position;
    return OK;
}

/* Whether the index, from *rank on, tells of another entry at this place. */
static bool breaks_seal(const struct index_view *view, uint32_t *rank, uint64_t position, struct slice header)
{
    struct index_entry entry;
    for (; *rank < view->count; (*rank)++) {
        if (index_read(view, *rank, &entry))
            continue; /* nothing to compare with */
        if (entry.position < position)
            continue;
        return entry.position == position && check_seal(view->file, &entry, header) != OK;
    }
    return false;
}

/* What this process wrote, and the page cache still has, has not been near a disk since. */
static bool is_known_good(const struct journal_range *r)
{
    const struct env *env = r->file->journal->env;
    return r->trusted && r->file->made && env->disk->cached(env, r->file->fd, r->position, r->size);
}

/* Reads the range as a whole, which draws it into the page cache, and looks at every entry on the way; it ends before a bad one. */
static enum err verify(struct journal_range *r, uint32_t rank)
{
    struct index_view view = {.file = r->file, .count = r->index_count};
    struct scan scan = {.file = r->file, .position = r->position, .expected = r->first_offset};
    struct journal_entry entry;
    struct slice header;
    uint64_t end = r->position + r->size;
    enum err e = OK;
    rank++; /* UINT32_MAX: the first one */
    while (scan.position < end && !(e = scan_next(&scan, end, &entry, &header))) {
        if (breaks_seal(&view, &rank, scan.position, header)) {
            e = ERR_CORRUPT;
            break;
        }
        scan.position += entry.size;
        scan.expected = entry.last_offset + 1;
    }
    mem_free(scan.bytes);
    r->size = scan.position - r->position;
    return e == ERR_CORRUPT && r->size ? OK : e;
}

enum err journal_range_resolve(struct journal_range *r)
{
    struct walk w;
    uint32_t rank;
    if (r->warm || !r->file)
        return OK;
    enum err e = resolve_begin(r, &w, &rank);
    if (!e)
        e = resolve_end(r, &w);
    if (!e && !is_known_good(r))
        e = verify(r, rank);
    if (e)
        r->size = 0;
    return e;
}

enum err journal_range_read(const struct journal_range *r, uint64_t offset, void *to, size_t size, size_t *ret_size)
{
    const struct env *env = r->file->journal->env;
    uint64_t left = offset < r->size ? r->size - offset : 0;
    return env->disk->pread(env, r->file->fd, to, size < left ? size : left, r->position + offset, ret_size);
}

/* ---- by time ------------------------------------------------------------------------------------------------------------------- */

static enum err find_time_in(struct journal_log *log, uint32_t i, int64_t time_ms, int64_t *ret_offset,
                             int64_t *ret_time_ms)
{
    struct segment *s = &log->segments[i];
    struct index_entry begin;
    struct journal_entry entry;
    struct slice header;
    struct walk w;
    struct journal_file *f;
    uint32_t rank;
    enum err e = segment_pin(log, s, false, &f);
    if (e)
        return e;
    e = index_by_time(&(struct index_view){.file = f, .count = s->index_count}, time_ms, &begin, &rank);
    if (!e)
        walk_init(&w, f, rank == UINT32_MAX ? 0 : begin.position, rank == UINT32_MAX ? s->base : begin.offset,
                  log_limit(log, i));
    while (!e && w.position < w.limit && !(e = walk_look(&w, &entry, &header))) {
        if (entry.max_time_ms >= time_ms && entry.last_offset >= log->start) {
            *ret_offset = entry.first_offset;
            *ret_time_ms = entry.max_time_ms;
            break;
        }
        walk_step(&w, &entry);
    }
    file_unpin(f);
    return e;
}

enum err journal_find_time(struct journal_log *log, int64_t time_ms, int64_t *ret_offset, int64_t *ret_time_ms)
{
    int64_t offset = -1, at_ms = -1;
    enum err e = OK;
    if (log->segment_count)
        tail_write(log);
    for (uint32_t i = 0; !e && offset < 0 && i < log->segment_count; i++)
        if (log->segments[i].max_time_ms >= time_ms)
            e = find_time_in(log, i, time_ms, &offset, &at_ms);
    if (!e) {
        *ret_offset = offset;
        *ret_time_ms = at_ms;
    }
    return e;
}
