/* Appends: gathered while a callback of the loop runs, written a log at a time when it returns.
 *
 *   submitted ──▶ gathered ──turn──▶ written (page cache) ──────────────▶ done        not logged
 *                    │  ▲                  └──▶ stream's queue ──sync──▶ done         logged
 *                    ▼  │ room, or a checkpoint is through
 *                   held                                                 a failure: this and all behind it in the log
 *
 * Invariants: log->next is the offset behind what the segments hold, log->end that behind what was submitted; what is gathered
 * has the offsets between; a log is in the list of gathering ones or of held ones, never in both. */
#include "base/limits.h"
#include "journal/internal.h"

enum { PARTS_MAX = 256 };

/* ---- the ends of an append -------------------------------------------------------------------------------------------------- */

void append_complete(struct journal_append *a, enum err e)
{
    struct journal *j = a->log->journal;
    a->result = e;
    if (!e) {
        a->log->stable = a->last_offset + 1;
        a->log->stable_place = (struct place){.base = a->base, .position = a->position};
    }
    queue_add(&j->finished, a);
}

void append_call_finished(struct journal *j)
{
    struct append_queue finished = j->finished;
    struct journal_append *a;
    if (!finished.first)
        return;
    queue_init(&j->finished);
    while ((a = queue_take(&finished))) {
        struct journal_log *log = a->log;
        block_unref(a->block);
        a->block = NULL;
        a->done(a, a->result); /* may delete the log: it lives as long as it has an append pending */
        log->pending--;
        log_release_deleted(log);
    }
}

void log_fail_gathered(struct journal_log *log, enum err e)
{
    struct journal_append *a;
    log->end = log->next;
    while ((a = queue_take(&log->gathered)))
        append_complete(a, e);
}

/* ---- gathering -------------------------------------------------------------------------------------------------------------- */

void journal_schedule_turn(struct journal *j)
{
    if (j->turn_waiting)
        return;
    j->turn_waiting = true;
    loop_defer(j->options.loop, &j->turn);
}

void log_gather(struct journal_log *log)
{
    struct journal *j = log->journal;
    if (!log->in_gathering && !log->held) {
        log->in_gathering = true;
        log->next_gathered = NULL;
        *j->gathering_last = log;
        j->gathering_last = &log->next_gathered;
    }
    journal_schedule_turn(j);
}

static enum err refusal(const struct journal_log *log, const struct journal_append *a)
{
    if (log->journal->closing || log->deleted)
        return ERR_CANCELLED;
    if (log->journal->status.failed)
        return log->journal->status.failed;
    if (log->failed)
        return log->failed;
    if (a->first_offset != log->end || a->last_offset < a->first_offset)
        return ERR_OUT_OF_RANGE;
    return a->bytes.size > log->journal->store->options.format->entry_bytes_max * (uint64_t)a->entries ||
                   a->bytes.size > LIMIT_JOURNAL_SEGMENT_BYTES_MAX
               ? ERR_MESSAGE_TOO_LARGE
               : OK;
}

void journal_submit(struct journal_append *a)
{
    struct journal_log *log = a->log;
    enum err e = refusal(log, a);
    log->pending++;
    if (e) {
        append_complete(a, e);
        journal_schedule_turn(log->journal);
        return;
    }
    log->end = a->last_offset + 1;
    log->idle_since_ns = loop_now_ns(log->journal->options.loop);
    log->options.logged |= a->flush;
    queue_add(&log->gathered, a);
    log_gather(log);
}

static void hold(struct journal_log *log)
{
    struct journal *j = log->journal;
    log->held = true;
    log->next_held = NULL;
    *j->held_last = log;
    j->held_last = &log->next_held;
}

void journal_release_held(struct journal *j)
{
    struct journal_log *log = j->held, *next;
    j->held = NULL;
    j->held_last = &j->held;
    for (; log; log = next) {
        next = log->next_held;
        log->held = false;
        log_gather(log);
    }
}

/* ---- writing ---------------------------------------------------------------------------------------------------------------- */

static bool wants_roll(const struct journal_log *log, uint64_t size, int64_t last_offset)
{
    const struct segment *s = log_active(log);
    int64_t age_ms = s ? loop_realtime_ms(log->journal->options.loop) - s->created_ms : 0;
    if (!s || log->roll_next)
        return true;
    if (s->bytes == 0)
        return false;
    return s->bytes + size > (uint64_t)log->options.segment_bytes || last_offset - s->base > UINT32_MAX ||
           (log->options.segment_ms > 0 && age_ms >= log->options.segment_ms);
}

enum err log_prepare(struct journal_log *log, uint64_t size, int64_t last_offset)
{
    enum err e = tail_reserve(log);
    return !e && wants_roll(log, size, last_offset) ? log_roll(log) : e;
}

/* What passes by itself. Anything else says that the log's files are not what we think. */
static bool passes(enum err e)
{
    return e == ERR_DISK_FULL || e == ERR_NOMEM || e == ERR_RESOURCE_EXHAUSTED;
}

/* Bytes of a failed write must not be taken for entries by a recovery. */
static enum err undo_write(struct journal_log *log, const struct journal_file *f, enum err e)
{
    const struct env *env = log->journal->env;
    enum err undone = env->disk->truncate(env, f->fd, log_active(log)->bytes);
    return undone && passes(e) ? undone : e;
}

enum err log_put(struct journal_log *log, const struct slice *parts, size_t count)
{
    const struct env *env = log->journal->env;
    struct segment *s = log_active(log);
    struct journal_file *f;
    enum err e = segment_pin(log, s, false, &f);
    if (e)
        return e;
    e = env->disk->pwritev(env, f->fd, parts, count, s->bytes);
    if (e)
        e = undo_write(log, f, e);
    file_unpin(f);
    return e;
}

void log_note(struct journal_log *log, const struct journal_entry *entry, struct slice header)
{
    struct segment *s = log_active(log);
    tail_note(log, s->bytes, entry, header);
    s->bytes += entry->size;
    log->next = entry->last_offset + 1;
}

void log_note_all(struct journal_log *log, struct slice entries)
{
    const struct journal_format *format = log->journal->store->options.format;
    struct journal_entry entry;
    while (entries.size >= format->header_bytes && format->measure(entries.data, &entry) &&
           entry.size <= entries.size) {
        log_note(log, &entry, slice_take(entries, format->header_bytes));
        entries = slice_skip(entries, entry.size);
    }
}

static void note_append(struct journal_log *log, struct journal_append *a)
{
    const struct journal_format *format = log->journal->store->options.format;
    struct journal_entry only = {.size = (uint32_t)a->bytes.size,
                                 .first_offset = a->first_offset,
                                 .last_offset = a->last_offset,
                                 .max_time_ms = a->max_time_ms,
                                 .epoch = a->epoch};
    log->journal->status.appended_bytes += a->bytes.size;
    log->journal->status.appends++;
    if (a->entries <= 1)
        log_note(log, &only, slice_take(a->bytes, format->header_bytes));
    else
        log_note_all(log, a->bytes);
    a->base = log_active(log)->base;
    a->position = log_active(log)->bytes;
}

/* As many of the gathered ones as one write takes. */
struct plan {
    struct slice parts[PARTS_MAX];
    size_t count;
    uint64_t size, wal_size;
    enum wal_room room;
};

static void make_plan(struct journal_log *log, bool logged, struct plan *plan)
{
    const struct segment *s = log_active(log);
    plan->count = 0;
    plan->size = plan->wal_size = 0;
    plan->room = WAL_ROOM;
    for (struct journal_append *a = log->gathered.first; a && plan->count < PARTS_MAX; a = a->next) {
        if (plan->count && (s->bytes + plan->size + a->bytes.size > (uint64_t)log->options.segment_bytes ||
                            a->last_offset - s->base > UINT32_MAX))
            return;
        if (logged && (plan->room = wal_room_for(&log->journal->wal, plan->wal_size + wal_cost(a))) != WAL_ROOM)
            return;
        plan->parts[plan->count++] = a->bytes;
        plan->size += a->bytes.size;
        plan->wal_size += wal_cost(a);
    }
}

static void take_written(struct journal_log *log, size_t count, bool logged)
{
    struct journal *j = log->journal;
    while (count--) {
        struct journal_append *a = queue_take(&log->gathered);
        note_append(log, a);
        if (logged)
            wal_push(&j->wal, a);
        else
            append_complete(a, OK);
    }
    if (!logged)
        log->unsynced_generation = j->checkpoint.generation + 1;
    log_dirty(log);
}

/* What was written past the stream must be synced before the stream can tell a recovery what lies behind it. */
static enum err checkpoint_first(struct journal_log *log, bool *ret_wait)
{
    const struct checkpoint *c = &log->journal->checkpoint;
    *ret_wait = false;
    if (c->finished >= log->unsynced_generation)
        return OK;
    enum err e = checkpoint_await(log->journal);
    *ret_wait = e == OK;
    return e;
}

/* Why there is no room in the stream. */
static enum err no_room(const struct journal *j)
{
    return j->wal.make_failed ? j->wal.make_failed : j->checkpoint.result ? j->checkpoint.result : ERR_DISK_FULL;
}

/* Plans and writes; nothing planned: the log waits. */
static enum err put_some(struct journal_log *log, bool logged, struct plan *plan)
{
    const struct journal_append *first = log->gathered.first;
    bool wait = false;
    plan->count = 0;
    enum err e = log->journal->status.failed;
    if (!e && logged)
        e = checkpoint_first(log, &wait);
    if (!e && !wait)
        e = log_prepare(log, first->bytes.size, first->last_offset);
    if (e || wait)
        return e;
    make_plan(log, logged, plan);
    if (plan->count)
        return log_put(log, plan->parts, plan->count);
    return plan->room == WAL_LATER ? OK : no_room(log->journal);
}

/* One write. false: the log waits, or it has failed. */
static bool write_some(struct journal_log *log)
{
    struct plan plan;
    bool logged = log->options.logged || log->wal_pending;
    enum err e = put_some(log, logged, &plan);
    if (!e && plan.count == 0) {
        hold(log);
        return false;
    }
    log->journal->status.disk_full = e == ERR_DISK_FULL;
    if (e) {
        log->failed = passes(e) || log->journal->status.failed ? OK : e;
        log_fail_gathered(log, e);
        return false;
    }
    take_written(log, plan.count, logged);
    return true;
}

void append_turn(struct task *task)
{
    struct journal *j = (struct journal *)((char *)task - offsetof(struct journal, turn));
    struct journal_log *log = j->gathering, *next;
    j->turn_waiting = false;
    j->gathering = NULL;
    j->gathering_last = &j->gathering;
    for (; log; log = next) {
        next = log->next_gathered;
        log->in_gathering = false;
        while (log->gathered.first && write_some(log)) {
        }
        log_release_deleted(log);
    }
    wal_kick(&j->wal);
    append_call_finished(j);
    journal_step_close(j);
}
