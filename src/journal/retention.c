/* What is removed: segments that are too old, too many or below the start, and logs that are deleted. Files are removed by the
 * pool; who reads them holds their descriptors open.
 *
 *   cut from the log ──▶ waiting for a checkpoint that has the new start ──▶ unlinked, the log first, then its index
 *
 * So what a crash brings back lies below the start, or is an index without a log, and the next opening removes it; a segment that is
 * missing elsewhere is damage. On a full disk no checkpoint may be possible before something is removed: then it is not waited for. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "journal/internal.h"

struct removal {
    struct work work;
    struct removal *next;
    uint64_t generation; /* of the checkpoint that it waits for */
    struct journal *journal;
    struct journal_key key;
    bool folder;
    uint32_t count;
    int64_t bases[];
};

static void unlink_one(const struct removal *r, int64_t base, const char *suffix)
{
    char path[JOURNAL_PATH_BYTES];
    const struct env *env = r->journal->env;
    if (layout_log_path(path, r->journal->store->folder, &r->key, base, suffix))
        (void)env->disk->unlink(env, path); /* what stays is removed by the next opening or look */
}

static void run(struct work *work)
{
    struct removal *r = (struct removal *)work;
    char path[JOURNAL_PATH_BYTES];
    for (uint32_t i = 0; i < r->count; i++) {
        unlink_one(r, r->bases[i], ".log");
        unlink_one(r, r->bases[i], ".index");
    }
    if (r->folder && layout_log_folder(path, r->journal->store->folder, &r->key))
        (void)r->journal->env->disk->rmdir(r->journal->env, path);
}

static void done(struct work *work)
{
    struct removal *r = (struct removal *)work;
    struct journal *j = r->journal;
    mem_free(r);
    j->jobs--;
    journal_step_close(j);
}

static struct removal *removal_of(struct journal_log *log, uint32_t segments)
{
    struct removal *r = mem_alloc(sizeof *r + segments * sizeof r->bases[0]);
    if (!r)
        return NULL;
    *r = (struct removal){
        .work = {.run = run, .done = done}, .journal = log->journal, .key = log->key, .count = segments};
    for (uint32_t i = 0; i < segments; i++)
        r->bases[i] = log->segments[i].base;
    return r;
}

static void submit(struct removal *r)
{
    r->journal->jobs++;
    pool_submit(r->journal->options.pool, r->journal->options.loop, &r->work);
}

void removals_submit(struct journal *j, uint64_t finished)
{
    struct removal **link = &j->removals;
    while (*link) {
        struct removal *r = *link;
        if (r->generation > finished) {
            link = &r->next;
            continue;
        }
        *link = r->next;
        submit(r);
    }
}

/* What was not removed lies below the start: the next opening does it. */
void removals_forget(struct journal *j)
{
    for (struct removal *r = j->removals, *next; r; r = next) {
        next = r->next;
        mem_free(r);
    }
    j->removals = NULL;
}

static void wait_for_checkpoint(struct removal *r)
{
    struct journal *j = r->journal;
    r->generation = j->checkpoint.generation + 1;
    r->next = j->removals;
    j->removals = r;
    if (!j->closing)
        checkpoint_want(j);
}

/* Without memory they stay until the next look. */
void log_remove_below(struct journal_log *log, uint32_t segments)
{
    struct removal *r = removal_of(log, segments);
    assert(segments < log->segment_count);
    if (!r)
        return;
    for (uint32_t i = 0; i < segments; i++)
        file_drop(log->segments[i].file);
    log->segment_count -= segments;
    memmove(log->segments, log->segments + segments, log->segment_count * sizeof *log->segments);
    log->synced_segments_from -= log->synced_segments_from < segments ? log->synced_segments_from : segments;
    if (log->start < log->segments[0].base)
        log->start = log->segments[0].base;
    log_dirty(log);
    wait_for_checkpoint(r);
}

/* ---- by time and size --------------------------------------------------------------------------------------------------------- */

static bool expired(const struct journal_log *log, const struct segment *s, int64_t now_ms)
{
    return log->options.retention_ms > 0 && s->max_time_ms > INT64_MIN &&
           s->max_time_ms < now_ms - log->options.retention_ms;
}

static uint32_t too_old(const struct journal_log *log, int64_t now_ms)
{
    uint32_t count = 0;
    while (count + 1 < log->segment_count && expired(log, &log->segments[count], now_ms))
        count++;
    return count;
}

static uint32_t too_many(const struct journal_log *log)
{
    uint64_t bytes = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < log->segment_count; i++)
        bytes += log->segments[i].bytes;
    while (log->options.retention_bytes > 0 && count + 1 < log->segment_count &&
           bytes - log->segments[count].bytes >= (uint64_t)log->options.retention_bytes)
        bytes -= log->segments[count++].bytes;
    return count;
}

/* What nobody was told of yet is not removed: the newest that may go is the one before that where stable lies. */
static uint32_t removable(const struct journal_log *log, uint32_t count)
{
    while (count && log->segments[count].base > log->stable)
        count--;
    return count;
}

/* The last segment goes too once all of it is too old: a new one takes its place. */
static void retire_active(struct journal_log *log, int64_t now_ms)
{
    const struct segment *s = log_active(log);
    if (!s || s->bytes == 0 || !expired(log, s, now_ms) || log->stable != log->end || log->failed ||
        log->journal->status.failed || tail_reserve(log))
        return;
    if (log_roll(log) == OK)
        log_dirty(log);
}

void log_retain(struct journal_log *log, int64_t now_ms)
{
    retire_active(log, now_ms);
    uint32_t old = too_old(log, now_ms), many = too_many(log), below = 0;
    while (below + 1 < log->segment_count && log->segments[below + 1].base <= log->start)
        below++;
    uint32_t count = old > many ? old : many;
    count = removable(log, count > below ? count : below);
    if (count)
        log_remove_below(log, count);
}

/* ---- whole logs --------------------------------------------------------------------------------------------------------------- */

static void unlist(struct journal_log **list, struct journal_log *log, size_t link)
{
    while (*list && *list != log)
        list = (struct journal_log **)((char *)*list + link);
    if (*list)
        *list = *(struct journal_log **)((char *)log + link);
}

void log_forget_dirty(struct journal_log *log)
{
    if (log->dirty)
        unlist(&log->journal->dirty, log, offsetof(struct journal_log, next_dirty));
    log->dirty = false;
}

/* With the last of its appends. */
void log_release_deleted(struct journal_log *log)
{
    if (!log->deleted || log->pending || log->in_gathering || log->held)
        return;
    struct removal *r = removal_of(log, log->segment_count);
    if (r) {
        r->folder = true;
        submit(r); /* otherwise the next opening removes what nobody opens */
    }
    log_free(log);
}

void journal_log_delete(struct journal_log *log)
{
    struct journal *j = log->journal;
    bool waits = log->gathered.first;
    log->deleted = true;
    map_remove(&j->logs, slice_of(log->key_bytes, sizeof log->key_bytes));
    log_forget_dirty(log);
    log_fail_gathered(log, ERR_CANCELLED);
    if (waits && !log->in_gathering)
        journal_schedule_turn(j);
    log_release_deleted(log);
}
