/* Logs: their life, and what is asked of them. Opening an existing one: open.c; writing: append.c; reading: find.c. */
#include "journal/internal.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

static void take_options(struct journal_log *log, const struct journal_log_options *o)
{
    int64_t bytes = o->segment_bytes > 0 ? o->segment_bytes : LIMIT_JOURNAL_SEGMENT_BYTES;
    log->options = *o;
    log->options.segment_bytes = bytes > LIMIT_JOURNAL_SEGMENT_BYTES_MAX ? LIMIT_JOURNAL_SEGMENT_BYTES_MAX : bytes;
}

void journal_log_configure(struct journal_log *log, const struct journal_log_options *options)
{
    take_options(log, options);
}

static enum err log_new(struct journal *j, const struct journal_key *key, const struct journal_log_options *options,
                        struct journal_log **ret_log)
{
    struct journal_log *log = mem_zalloc(sizeof *log);
    if (!log)
        return ERR_NOMEM;
    log->journal = j;
    log->key = *key;
    log->idle_since_ns = loop_now_ns(j->options.loop);
    log->context = options->context;
    layout_key_bytes(key, log->key_bytes);
    queue_init(&log->gathered);
    take_options(log, options);
    *ret_log = log;
    return OK;
}

static void drop_segments(struct journal_log *log)
{
    for (uint32_t i = 0; i < log->segment_count; i++)
        file_drop(log->segments[i].file);
    mem_free(log->segments);
    log->segments = NULL;
    log->segment_count = log->segment_capacity = 0;
}

void log_free(struct journal_log *log)
{
    tail_drop(log);
    drop_segments(log);
    mem_free(log);
}

enum err journal_log_open(struct journal *j, const struct journal_key *key, const struct journal_log_options *options,
                          struct journal_log **ret_log)
{
    struct journal_log *log;
    enum err e = log_new(j, key, options, &log);
    if (e)
        return e;
    if (map_get(&j->logs, slice_of(log->key_bytes, sizeof log->key_bytes)))
        e = ERR_ALREADY_EXISTS;
    else
        e = map_put(&j->logs, slice_of(log->key_bytes, sizeof log->key_bytes), log, NULL);
    if (e) {
        log_free(log);
        return e;
    }
    if (!j->store->recovered)
        e = log_recover(log, options->replay_from);
    if (e) {
        map_remove(&j->logs, slice_of(log->key_bytes, sizeof log->key_bytes));
        log_forget_dirty(log);
        log_free(log);
        j->store->unopened = e;
        return e;
    }
    *ret_log = log;
    return OK;
}

/* ---- what is asked of them -------------------------------------------------------------------------------------------------- */

const struct journal_key *journal_log_key(const struct journal_log *log)
{
    return &log->key;
}

void journal_log_set_context(struct journal_log *log, void *context)
{
    log->context = context;
}

void *journal_log_context(const struct journal_log *log)
{
    return log->context;
}

int64_t journal_log_start(const struct journal_log *log)
{
    return log->start;
}

int64_t journal_log_end(const struct journal_log *log)
{
    return log->end;
}

int64_t journal_log_stable(const struct journal_log *log)
{
    return log->stable;
}

void journal_log_damaged(struct journal_log *log, int64_t offset)
{
    if (!log->damaged)
        log->journal->status.damaged++;
    if (!log->damaged || offset < log->damaged_offset)
        log->damaged_offset = offset;
    log->damaged = true;
}

void journal_log_status(const struct journal_log *log, struct journal_log_status *ret_status)
{
    struct journal_log_status s = {.failed = log->failed ? log->failed : log->journal->status.failed,
                                   .damaged = log->damaged,
                                   .damaged_offset = log->damaged_offset,
                                   .segments = log->segment_count,
                                   .last_time_ms = -1};
    for (uint32_t i = 0; i < log->segment_count; i++) {
        s.bytes += log->segments[i].bytes;
        if (log->segments[i].max_time_ms > s.last_time_ms)
            s.last_time_ms = log->segments[i].max_time_ms;
    }
    *ret_status = s;
}

/* What is acknowledged ends at stable_place; segments before that are whole. */
uint64_t log_limit(const struct journal_log *log, uint32_t segment)
{
    const struct segment *s = &log->segments[segment];
    if (s->base < log->stable_place.base)
        return s->bytes;
    return s->base == log->stable_place.base ? log->stable_place.position : 0;
}

enum err journal_log_cut_start(struct journal_log *log, int64_t offset)
{
    uint32_t below = 0;
    if (offset > log->stable)
        return ERR_OUT_OF_RANGE;
    if (offset <= log->start)
        return OK;
    log->start = offset;
    while (below + 1 < log->segment_count && log->segments[below + 1].base <= offset)
        below++;
    if (below)
        log_remove_below(log, below);
    log_dirty(log);
    return OK;
}
