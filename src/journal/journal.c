/* A shard's journal: its beginning and end, and what is done now and then.
 *
 *   open ──▶ taking appends ──journal_close──▶ closing: what is submitted ends ──▶ last checkpoint ──▶ closed, freed
 *                  └── a sync fails ──▶ failed: appends are refused; closing goes on without the checkpoint
 */
#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"
#include "journal/internal.h"

enum { IDLE_NS_PER_TICK = 2, MS = 1000000 };

static void tick(struct timer *);
static void checkpoint_due(struct timer *);
static void end(struct task *);

static void take_options(struct journal *j, const struct journal_options *o)
{
    j->options = *o;
    j->options.files_open_max = o->files_open_max ? o->files_open_max : LIMIT_JOURNAL_FILES_OPEN;
    j->options.wal_file_bytes = o->wal_file_bytes ? o->wal_file_bytes : LIMIT_JOURNAL_WAL_FILE_BYTES;
    j->options.wal_files_max = o->wal_files_max ? o->wal_files_max : LIMIT_JOURNAL_WAL_FILES;
    j->options.warm_bytes = o->warm_bytes ? o->warm_bytes : LIMIT_JOURNAL_WARM_BYTES;
    j->options.checkpoint_ms = o->checkpoint_ms ? o->checkpoint_ms : LIMIT_JOURNAL_CHECKPOINT_MS;
    j->options.syncs_max = o->syncs_max ? o->syncs_max : LIMIT_JOURNAL_SYNCS;
    j->options.retention_ms = o->retention_ms ? o->retention_ms : LIMIT_JOURNAL_RETENTION_MS;
}

enum err journal_open(struct journal_store *store, const struct journal_options *options, struct journal **ret_journal)
{
    struct journal *j = mem_zalloc(sizeof *j);
    struct hash_key secret;
    if (!j)
        return ERR_NOMEM;
    j->store = store;
    j->env = store->env;
    take_options(j, options);
    j->env->random(j->env, &secret, sizeof secret);
    map_init(&j->logs, LIMIT_JOURNAL_LOGS, &secret);
    j->gathering_last = &j->gathering;
    j->held_last = &j->held;
    queue_init(&j->finished);
    j->turn = (struct task){.run = append_turn};
    j->close_task = (struct task){.run = end};
    wal_init(&j->wal, j);
    j->checkpoint.timer = (struct timer){.fire = checkpoint_due};
    j->tick = (struct timer){.fire = tick};
    j->next = store->journals;
    store->journals = j;
    *ret_journal = j;
    return OK;
}

static void leave_store(struct journal *j)
{
    struct journal **link = &j->store->journals;
    pthread_mutex_lock(&j->store->journals_lock);
    while (*link != j)
        link = &(*link)->next;
    *link = j->next;
    pthread_mutex_unlock(&j->store->journals_lock);
}

void journal_free(struct journal *j)
{
    void *log;
    leave_store(j);
    for (uint32_t at = 0; map_next(&j->logs, &at, NULL, &log);)
        log_free(log);
    timer_stop(j->options.loop, &j->tick);
    timer_stop(j->options.loop, &j->checkpoint.timer);
    map_fini(&j->logs);
    wal_fini(&j->wal);
    removals_forget(j);
    assert(j->files.open == 0);
    mem_free(j);
}

enum err journal_adopt_wal(struct journal *j, uint64_t number, uint64_t size)
{
    struct wal_file *f = mem_zalloc(sizeof *f);
    if (!f)
        return ERR_NOMEM;
    *f = (struct wal_file){.number = number, .size = size, .next = j->wal.free};
    j->wal.free = f;
    return OK;
}

void journal_status(const struct journal *j, struct journal_status *ret_status)
{
    *ret_status = j->status;
    ret_status->logs = j->logs.count;
    ret_status->files_open = j->files.open;
    ret_status->wal_bytes = wal_bytes(&j->wal);
}

void journal_fail(struct journal *j, enum err e)
{
    struct journal_append *a;
    if (j->status.failed)
        return;
    j->status.failed = e;
    j->store->bad_end = true;
    while (!j->wal.writing && (a = queue_take(&j->wal.batch)))
        wal_give_up(&j->wal, a, e);
    while (!j->wal.writing && (a = queue_take(&j->wal.queue)))
        wal_give_up(&j->wal, a, e);
    journal_release_held(j);
    journal_schedule_turn(j);
}

/* ---- now and then ----------------------------------------------------------------------------------------------------------- */

static void checkpoint_due(struct timer *t)
{
    struct journal *j = (struct journal *)((char *)t - offsetof(struct journal, checkpoint.timer));
    if (!j->checkpoint.running && j->dirty)
        checkpoint_want(j);
    if (j->dirty && !j->status.failed)
        timer_start(j->options.loop, t, loop_now_ns(j->options.loop) + (uint64_t)j->options.checkpoint_ms * MS);
}

/* Of a log that nobody appends to nothing stays in memory but its table of segments. */
static void rest(struct journal_log *log, uint64_t idle_before_ns)
{
    if (log->idle_since_ns >= idle_before_ns || log->pending || !log->tail.ring)
        return;
    tail_write(log);
    if (log->tail.written == log->tail.count)
        tail_drop(log);
}

static void tick(struct timer *t)
{
    struct journal *j = (struct journal *)((char *)t - offsetof(struct journal, tick));
    uint64_t period = (uint64_t)j->options.retention_ms * MS, now = loop_now_ns(j->options.loop);
    uint64_t idle_before = now > IDLE_NS_PER_TICK * period ? now - IDLE_NS_PER_TICK * period : 0;
    void *log;
    for (uint32_t at = 0; map_next(&j->logs, &at, NULL, &log);) {
        log_retain(log, loop_realtime_ms(j->options.loop));
        rest(log, idle_before);
    }
    files_close_idle(j, idle_before);
    wal_kick(&j->wal);
    journal_release_held(j);
    timer_start(j->options.loop, t, now + period);
}

void journal_start(struct journal *j)
{
    timer_start(j->options.loop, &j->tick, loop_now_ns(j->options.loop) + (uint64_t)j->options.retention_ms * MS);
}

/* ---- the end ---------------------------------------------------------------------------------------------------------------- */

void journal_close(struct journal *j, void (*closed)(void *context, enum err), void *context)
{
    void *log;
    j->closing = true;
    j->closed = closed;
    j->closed_context = context;
    timer_stop(j->options.loop, &j->tick);
    timer_stop(j->options.loop, &j->checkpoint.timer);
    for (uint32_t at = 0; map_next(&j->logs, &at, NULL, &log);)
        if (((struct journal_log *)log)->held)
            log_fail_gathered(log, ERR_CANCELLED);
    journal_release_held(j);
    journal_schedule_turn(j);
}

static bool is_quiet(const struct journal *j)
{
    return !j->turn_waiting && !j->gathering && !j->held && !j->finished.first && wal_idle(&j->wal) &&
           !j->checkpoint.running && j->jobs == 0;
}

/* The last checkpoint is made even where nothing is dirty: it names the files of the stream that are not needed. */
void journal_step_close(struct journal *j)
{
    const struct wal *w = &j->wal;
    if (j->closing && w->queue.first && !w->writing && !w->making && !j->checkpoint.running)
        journal_fail(j, w->make_failed ? w->make_failed : ERR_CANCELLED); /* no room in the stream, and none to come */
    if (!j->closing || j->close_posted || !is_quiet(j))
        return;
    if (!j->close_synced && !j->status.failed && j->store->recovered) {
        j->close_synced = true;
        checkpoint_want(j);
        if (j->checkpoint.running)
            return;
    }
    j->close_err = j->status.failed ? j->status.failed : j->checkpoint.result;
    j->close_posted = true;
    loop_defer(j->options.loop, &j->close_task);
}

static void end(struct task *task)
{
    struct journal *j = (struct journal *)((char *)task - offsetof(struct journal, close_task));
    void (*closed)(void *, enum err) = j->closed;
    void *context = j->closed_context;
    enum err e = j->close_err;
    if (e)
        j->store->bad_end = true;
    journal_free(j);
    closed(context, e);
}
