/* The write-ahead stream: what is appended to logged logs, of all logs of the shard, one after the other.
 *
 *   queue ──▶ batch: all that waits, at most LIMIT_JOURNAL_GROUP_BYTES ──write, sync (pool)──▶ complete ──▶ next batch
 *
 *   a file:  made (zeros, synced) ──▶ ready ──▶ current ──▶ full ──checkpoint──▶ free ──renamed──▶ ready
 *
 * One batch at a time, and the next begins when it is synced: so in what a crash leaves, a batch behind a bad one tells that the
 * bad one was synced, and is damaged. A batch begins at a multiple of 4 KiB, so that no sector of a synced one is written again.
 * Files are written with zeros once and used again: a sync then has no metadata to write.
 *
 * Invariants: queued_bytes is at least what queue and batch take; numbers of files only rise; batches of a file carry its number. */
#include <assert.h>
#include <fcntl.h>

#include "base/limits.h"
#include "base/mem.h"
#include "journal/internal.h"
#include "journal/wal_file.h"

enum { RETRY_NS = 100 * 1000000, FIRST_FILE_BYTES = 4 << 20, BUFFER_BYTES_MIN = 256 << 10 };

static void write_batch(struct work *);
static void batch_written(struct work *);

void wal_init(struct wal *w, struct journal *j)
{
    *w = (struct wal){.journal = j, .fd = -1, .sequence = 1};
    queue_init(&w->queue);
    queue_init(&w->batch);
    w->work = (struct work){.run = write_batch, .done = batch_written};
}

static void free_list(struct wal_file *f)
{
    for (struct wal_file *next; f; f = next) {
        next = f->next;
        mem_free(f);
    }
}

void wal_fini(struct wal *w)
{
    const struct env *env = w->journal->env;
    if (w->fd >= 0)
        env->disk->close(env, w->fd);
    free_list(w->current);
    free_list(w->ready);
    free_list(w->full);
    free_list(w->free);
    mem_free(w->memory);
}

bool wal_idle(const struct wal *w)
{
    return !w->writing && !w->making && !w->queue.first;
}

/* ---- room ------------------------------------------------------------------------------------------------------------------- */

static uint64_t record_bytes(const struct journal_append *a)
{
    return JOURNAL_WAL_RECORD_BYTES + layout_padded(a->bytes.size, 8);
}

/* In a batch of its own. */
uint64_t wal_cost(const struct journal_append *a)
{
    return layout_padded(JOURNAL_WAL_BATCH_BYTES + record_bytes(a), JOURNAL_WAL_ALIGN);
}

static uint64_t bytes_of(const struct wal_file *f)
{
    uint64_t sum = 0;
    for (; f; f = f->next)
        sum += f->size;
    return sum;
}

uint64_t wal_bytes(const struct wal *w)
{
    return bytes_of(w->current) + bytes_of(w->ready) + bytes_of(w->full) + bytes_of(w->free);
}

static uint32_t files_in_use(const struct wal *w)
{
    uint32_t count = (w->current != NULL) + (w->ready != NULL);
    for (const struct wal_file *f = w->full; f; f = f->next)
        count++;
    return count;
}

static void wal_made(struct work *);

/* The next file: one that is free, or a new one, twice as large as the last. */
static void begin_making(struct wal *w, uint64_t need)
{
    uint64_t size = w->current ? w->current->size * 2 : FIRST_FILE_BYTES;
    struct wal_file **link = &w->free;
    size = size > w->journal->options.wal_file_bytes ? w->journal->options.wal_file_bytes : size;
    size = layout_padded(size > need ? size : need, JOURNAL_WAL_ALIGN);
    while (*link && (*link)->size < need)
        link = &(*link)->next;
    w->make_from = *link;
    if (*link)
        *link = (*link)->next;
    w->make_size = size;
    w->making = true;
    w->make_work = (struct work){.run = wal_make_run, .done = wal_made};
    pool_submit(w->journal->options.pool, w->journal->options.loop, &w->make_work);
}

/* Something is under way, or is begun, after which there may be room. */
static bool make_room(struct wal *w, uint64_t need)
{
    struct checkpoint *c = &w->journal->checkpoint;
    if (w->making || (w->full && (c->running || c->wanted)))
        return true;
    if (w->make_failed && loop_now_ns(w->journal->options.loop) < w->retry_at_ns)
        return false;
    if (files_in_use(w) >= w->journal->options.wal_files_max && w->full)
        return checkpoint_await(w->journal) == OK;
    begin_making(w, need);
    return true;
}

static uint64_t room(const struct wal *w)
{
    return (w->current ? w->current->size - w->position : 0) + bytes_of(w->ready);
}

/* The next file is made while the present one is half full, so that nobody waits for it. */
static void make_ahead(struct wal *w)
{
    if (w->current && !w->ready && !w->making && !w->make_failed &&
        w->position + w->queued_bytes > w->current->size / 2 && files_in_use(w) < w->journal->options.wal_files_max)
        begin_making(w, 0);
    if (w->full && files_in_use(w) * 2 > w->journal->options.wal_files_max)
        checkpoint_want(w->journal);
}

enum wal_room wal_room_for(struct wal *w, uint64_t bytes)
{
    if (w->queued_bytes && w->queued_bytes + bytes > LIMIT_JOURNAL_QUEUE_BYTES)
        return WAL_LATER;
    if (w->queued_bytes + bytes <= room(w))
        return WAL_ROOM;
    return make_room(w, bytes) ? WAL_LATER : WAL_FULL;
}

static void wal_made(struct work *work)
{
    struct wal *w = (struct wal *)((char *)work - offsetof(struct wal, make_work));
    w->making = false;
    w->make_failed = w->make_result;
    if (w->make_result) {
        w->retry_at_ns = loop_now_ns(w->journal->options.loop) + RETRY_NS;
        if (w->full)
            checkpoint_want(w->journal);
        if (w->queue.first && w->make_result != ERR_DISK_FULL && !w->full)
            journal_fail(w->journal, w->make_result);
    } else {
        w->last_number = w->made->number;
        struct wal_file **link = &w->ready;
        while (*link)
            link = &(*link)->next;
        *link = w->made;
    }
    wal_kick(w);
    journal_release_held(w->journal);
    append_call_finished(w->journal);
    journal_step_close(w->journal);
}

uint64_t wal_first_needed(const struct wal *w)
{
    uint64_t first = w->last_number + 1;
    for (const struct wal_file *f = w->ready; f; f = f->next)
        first = f->number < first ? f->number : first;
    return w->current ? w->current->number : first;
}

void wal_recycle(struct wal *w, uint64_t first_needed)
{
    struct wal_file **link = &w->full;
    while (*link) {
        struct wal_file *f = *link;
        if (f->number >= first_needed) {
            link = &f->next;
            continue;
        }
        *link = f->next;
        f->next = w->free;
        w->free = f;
    }
}

/* ---- batches ---------------------------------------------------------------------------------------------------------------- */

void wal_push(struct wal *w, struct journal_append *a)
{
    a->log->wal_pending++;
    w->queued_bytes += wal_cost(a);
    queue_add(&w->queue, a);
}

static void close_current(struct wal *w)
{
    const struct env *env = w->journal->env;
    if (w->fd >= 0)
        env->disk->close(env, w->fd);
    w->fd = -1;
    if (w->current) {
        w->current->next = w->full;
        w->full = w->current;
    }
    w->current = NULL;
}

/* A file with room for these bytes is current. */
static bool have_room(struct wal *w, uint64_t bytes)
{
    uint64_t need = layout_padded(JOURNAL_WAL_BATCH_BYTES + bytes, JOURNAL_WAL_ALIGN);
    if (w->current && w->position + need <= w->current->size)
        return true;
    close_current(w);
    w->current = w->ready;
    if (w->current) {
        w->ready = w->current->next;
        w->current->next = NULL;
        w->position = 0;
        if (need <= w->current->size)
            return true;
        close_current(w);
    }
    make_room(w, need);
    return false;
}

static bool have_buffer(struct wal *w, uint64_t bytes)
{
    uint64_t size = BUFFER_BYTES_MIN;
    while (size < bytes)
        size *= 2;
    if (w->buffer_size >= bytes)
        return true;
    uint8_t *memory = mem_alloc(size + JOURNAL_WAL_ALIGN);
    if (!memory)
        return false;
    mem_free(w->memory);
    w->memory = memory;
    w->buffer = (uint8_t *)layout_padded((uintptr_t)memory, JOURNAL_WAL_ALIGN);
    w->buffer_size = size;
    return true;
}

/* How many bytes of the queue go into the next batch: all that fit, at least the first. */
static uint64_t batch_bytes(const struct wal *w)
{
    uint64_t bytes = JOURNAL_WAL_BATCH_BYTES;
    for (const struct journal_append *a = w->queue.first; a; a = a->next) {
        uint64_t more = bytes + record_bytes(a);
        if (a != w->queue.first && (more > LIMIT_JOURNAL_GROUP_BYTES ||
                                    w->position + layout_padded(more, JOURNAL_WAL_ALIGN) > w->current->size))
            break;
        bytes = more;
    }
    return bytes;
}

static void take_batch(struct wal *w, uint64_t bytes)
{
    w->header = (struct wal_batch){
        .number = w->current->number, .position = w->position, .sequence = w->sequence, .bytes = (uint32_t)bytes};
    for (uint64_t taken = JOURNAL_WAL_BATCH_BYTES; taken < bytes; w->header.records++) {
        taken += record_bytes(w->queue.first);
        queue_add(&w->batch, queue_take(&w->queue));
    }
}

void wal_kick(struct wal *w)
{
    if (w->writing || !w->queue.first || w->journal->status.failed || !have_room(w, record_bytes(w->queue.first)))
        return;
    uint64_t bytes = batch_bytes(w);
    if (!have_buffer(w, layout_padded(bytes, JOURNAL_WAL_ALIGN))) {
        journal_fail(w->journal, ERR_NOMEM);
        return;
    }
    take_batch(w, bytes);
    w->writing = true;
    make_ahead(w);
    pool_submit(w->journal->options.pool, w->journal->options.loop, &w->work);
}

/* Thread: a pool's. The appends are the stream's until the batch is done. */
static void fill_batch(struct wal *w)
{
    uint8_t *to = w->buffer + JOURNAL_WAL_BATCH_BYTES;
    for (const struct journal_append *a = w->batch.first; a; a = a->next) {
        struct wal_record r = {.key = a->log->key,
                               .epoch = a->epoch,
                               .first_offset = a->first_offset,
                               .last_offset = a->last_offset,
                               .max_time_ms = a->max_time_ms,
                               .size = (uint32_t)a->bytes.size,
                               .entries = a->entries};
        size_t padding = layout_padded(a->bytes.size, 8) - a->bytes.size;
        layout_record_encode(&r, to);
        memcpy(to + JOURNAL_WAL_RECORD_BYTES, a->bytes.data, a->bytes.size);
        memset(to + JOURNAL_WAL_RECORD_BYTES + a->bytes.size, 0, padding);
        to += record_bytes(a);
    }
    layout_batch_seal(&w->header, w->buffer);
    memset(to, 0, layout_padded(w->header.bytes, JOURNAL_WAL_ALIGN) - w->header.bytes);
}

static void write_batch(struct work *work)
{
    struct wal *w = (struct wal *)((char *)work - offsetof(struct wal, work));
    const struct env *env = w->journal->env;
    uint64_t began = env->monotonic_ns(env);
    fill_batch(w);
    w->result = w->fd >= 0 ? OK : wal_file_open(w->journal, w->current->number, &w->fd);
    struct slice bytes = slice_of(w->buffer, layout_padded(w->header.bytes, JOURNAL_WAL_ALIGN));
    if (!w->result)
        w->result = env->disk->pwrite(env, w->fd, bytes, w->header.position);
    if (!w->result)
        w->result = env->disk->sync(env, w->fd);
    w->took_ns = env->monotonic_ns(env) - began;
}

void wal_give_up(struct wal *w, struct journal_append *a, enum err e)
{
    a->log->wal_pending--;
    w->queued_bytes -= wal_cost(a);
    append_complete(a, a->log->deleted ? ERR_CANCELLED : e);
}

static void complete_batch(struct wal *w)
{
    struct journal_append *a;
    while ((a = queue_take(&w->batch)))
        wal_give_up(w, a, OK);
}

/* The journal has failed, now or while the batch was written: nobody is told that it is durable. */
static void end_batches(struct wal *w, enum err e)
{
    struct journal_append *a;
    journal_fail(w->journal, e);
    while ((a = queue_take(&w->batch)) || (a = queue_take(&w->queue)))
        wal_give_up(w, a, e);
}

static void batch_written(struct work *work)
{
    struct wal *w = (struct wal *)((char *)work - offsetof(struct wal, work));
    struct journal *j = w->journal;
    uint64_t size = layout_padded(w->header.bytes, JOURNAL_WAL_ALIGN);
    w->writing = false;
    if (w->result || j->status.failed) {
        end_batches(w, w->result ? w->result : j->status.failed);
    } else {
        w->position += size;
        w->sequence++;
        j->status.flushes++;
        j->status.flushed_bytes += size;
        j->status.flush_ns += w->took_ns;
        complete_batch(w);
    }
    wal_kick(w);
    if (j->held)
        journal_release_held(j);
    append_call_finished(j);
    journal_step_close(j);
}
