/* Checkpoints: what was written is synced, then the shard's checkpoint file says so, then files of the stream are free.
 *
 *   wanted ──begin (loop)──▶ running: sync segments and folders, write and rename the file (pool) ──▶ finished
 *     ▲       notes how far each log is         └─ a sync fails: the journal takes no more appends
 *     └────────────────────────────────────────────┴─ anything else fails: tried again
 *
 * Invariants: the file claims no byte that was not synced before it was renamed; a log is dirty while it may hold such bytes that
 * no checkpoint under way covers. */
#include <fcntl.h>

#include "base/limits.h"
#include "base/mem.h"
#include "journal/internal.h"

enum { RETRY_NS = 100 * 1000000 };

static void checkpoint_begin(struct journal *);

void log_dirty(struct journal_log *log)
{
    struct journal *j = log->journal;
    if (log->dirty)
        return;
    log->dirty = true;
    log->next_dirty = j->dirty;
    j->dirty = log;
    if (!timer_active(&j->checkpoint.timer))
        timer_start(j->options.loop, &j->checkpoint.timer,
                    loop_now_ns(j->options.loop) + (uint64_t)j->options.checkpoint_ms * 1000000);
}

void log_dirty_from_here(struct journal_log *log)
{
    if (!log->dirty)
        log->synced_segments_from = log->segment_count ? log->segment_count - 1 : 0;
    log_dirty(log);
}

/* ---- on the loop: what is to be synced, and what can be said then ------------------------------------------------------------ */

static void put_log(uint8_t **to, const struct journal_log *log)
{
    const struct segment *s = log_active((struct journal_log *)(uintptr_t)log);
    struct checkpoint_entry e = {.key = log->key,
                                 .start = log->start,
                                 .base = s->base,
                                 .next = log->next,
                                 .position = s->bytes,
                                 .max_time_ms = s->max_time_ms,
                                 .created_ms = s->created_ms};
    layout_checkpoint_put(&e, *to);
    *to += JOURNAL_CHECKPOINT_BYTES;
}

static enum err make_image(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    uint8_t *image = mem_alloc(JOURNAL_CHECKPOINT_HEADER_BYTES + (size_t)j->logs.count * JOURNAL_CHECKPOINT_BYTES);
    void *log;
    if (!image)
        return ERR_NOMEM;
    uint8_t *to = image + JOURNAL_CHECKPOINT_HEADER_BYTES;
    for (uint32_t at = 0; map_next(&j->logs, &at, NULL, &log);)
        if (((struct journal_log *)log)->segment_count)
            put_log(&to, log);
    c->image = image;
    c->image_size = (size_t)(to - image);
    c->wal_first = wal_first_needed(&j->wal);
    return OK;
}

static uint32_t count_items(const struct journal *j)
{
    uint32_t count = 0;
    for (const struct journal_log *log = j->dirty; log; log = log->next_dirty)
        count += log->segment_count - log->synced_segments_from;
    return count;
}

static void put_items(struct checkpoint *c, struct journal_log *log)
{
    for (uint32_t i = log->synced_segments_from; i < log->segment_count; i++)
        c->items[c->item_count++] = (struct sync_item){
            .key = log->key, .base = log->segments[i].base, .folder = log->new_names && i + 1 == log->segment_count};
    c->new_folders |= log->new_folder;
    log->new_names = log->new_folder = log->dirty = false;
    log->synced_segments_from = log->segment_count ? log->segment_count - 1 : 0;
}

static enum err gather(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    for (struct journal_log *log = j->dirty; log; log = log->next_dirty)
        tail_write(log);
    enum err e = make_image(j);
    uint32_t count = count_items(j);
    c->item_count = 0;
    c->new_folders = false;
    if (!e && count && !(c->items = mem_alloc(count * sizeof *c->items)))
        e = ERR_NOMEM;
    if (e)
        return e;
    for (struct journal_log *log = j->dirty; log; log = log->next_dirty)
        put_items(c, log);
    j->dirty = NULL;
    return OK;
}

/* ---- in the pool ------------------------------------------------------------------------------------------------------------- */

/* A file that is gone has been removed meanwhile. */
static enum err sync_file(const struct journal *j, const struct sync_item *item, const char *suffix, bool *sync_failed)
{
    char path[JOURNAL_PATH_BYTES];
    int fd;
    if (!layout_log_path(path, j->store->folder, &item->key, item->base, suffix))
        return ERR_FILE;
    enum err e = j->env->disk->open(j->env, path, O_RDWR, 0600, &fd);
    if (e)
        return e == ERR_NOT_FOUND ? OK : e;
    e = j->env->disk->sync(j->env, fd);
    *sync_failed |= e != OK;
    j->env->disk->close(j->env, fd);
    return e;
}

/* The index, too: a crash could bring back a page of it from before the last recovery, with entries that are whole and tell of what
 * was cut then. */
static enum err sync_segment(const struct journal *j, const struct sync_item *item, bool *sync_failed)
{
    enum err e = sync_file(j, item, ".log", sync_failed);
    return e ? e : sync_file(j, item, ".index", sync_failed);
}

static enum err sync_item_folder(const struct journal *j, const struct sync_item *item)
{
    char path[JOURNAL_PATH_BYTES];
    if (!layout_log_folder(path, j->store->folder, &item->key))
        return ERR_FILE;
    enum err e = j->env->disk->sync_folder(j->env, path);
    return e == ERR_NOT_FOUND ? OK : e;
}

/* Each sync waits for the disk: a thousand of them take seconds where one of everything takes one. */
static enum err sync_file_system(struct journal *j)
{
    enum err e = j->env->disk->sync_all(j->env, j->store->lock_fd);
    j->checkpoint.sync_failed |= e != OK;
    return e;
}

static enum err sync_items(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    char path[JOURNAL_PATH_BYTES];
    enum err e = OK;
    if (c->item_count > j->options.syncs_max)
        return sync_file_system(j);
    for (uint32_t i = 0; !e && i < c->item_count; i++) {
        e = sync_segment(j, &c->items[i], &c->sync_failed);
        if (!e && c->items[i].folder)
            e = sync_item_folder(j, &c->items[i]);
    }
    if (!e && c->new_folders)
        e = layout_path(path, j->store->folder, "logs") ? j->env->disk->sync_folder(j->env, path) : ERR_FILE;
    return e;
}

static enum err write_image(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    struct checkpoint_header h = {
        .shard = j->options.shard,
        .wal_first = c->wal_first,
        .count = (uint32_t)((c->image_size - JOURNAL_CHECKPOINT_HEADER_BYTES) / JOURNAL_CHECKPOINT_BYTES)};
    char path[JOURNAL_PATH_BYTES], new_path[JOURNAL_PATH_BYTES];
    int fd;
    if (!layout_checkpoint_path(path, j->store->folder, h.shard, "") ||
        !layout_checkpoint_path(new_path, j->store->folder, h.shard, ".new"))
        return ERR_FILE;
    layout_checkpoint_seal(&h, c->image);
    enum err e = j->env->disk->open(j->env, new_path, O_RDWR | O_CREAT | O_TRUNC, 0600, &fd);
    if (e)
        return e;
    e = j->env->disk->pwrite(j->env, fd, slice_of(c->image, c->image_size), 0);
    if (!e)
        e = j->env->disk->sync(j->env, fd);
    j->env->disk->close(j->env, fd);
    return e ? e : j->env->disk->rename(j->env, new_path, path);
}

static struct journal *journal_of(struct work *work)
{
    return (struct journal *)((char *)work - offsetof(struct journal, checkpoint.work));
}

static void run(struct work *work)
{
    struct journal *j = journal_of(work);
    enum err e = sync_items(j);
    j->checkpoint.result = e ? e : write_image(j);
}

/* ---- back on the loop --------------------------------------------------------------------------------------------------------- */

static void dirty_again(struct journal *j, const struct sync_item *item)
{
    uint8_t key[JOURNAL_KEY_BYTES];
    layout_key_bytes(&item->key, key);
    struct journal_log *log = map_get(&j->logs, slice_of(key, sizeof key));
    if (!log)
        return;
    uint32_t i = log->segment_count;
    while (i > 0 && log->segments[i - 1].base > item->base)
        i--;
    if (i > 0 && i - 1 < log->synced_segments_from)
        log->synced_segments_from = i - 1;
    log->new_names = log->new_folder = true;
    log_dirty(log);
}

static void note_result(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    c->running = false;
    if (!c->result) {
        c->finished = c->generation;
        j->status.checkpoints++;
        wal_recycle(&j->wal, c->wal_first);
    } else {
        c->retry_at_ns = loop_now_ns(j->options.loop) + RETRY_NS;
        for (uint32_t i = 0; i < c->item_count; i++)
            dirty_again(j, &c->items[i]);
        if (c->sync_failed)
            journal_fail(j, c->result);
    }
    if (!c->result || c->result == ERR_DISK_FULL)
        removals_submit(j, c->generation);
    mem_free(c->items);
    mem_free(c->image);
    c->items = NULL;
    c->image = NULL;
}

static void done(struct work *work)
{
    struct journal *j = journal_of(work);
    note_result(j);
    if (j->checkpoint.wanted && !j->checkpoint.result)
        checkpoint_begin(j);
    j->checkpoint.wanted &= j->checkpoint.running;
    wal_kick(&j->wal);
    journal_release_held(j);
    append_call_finished(j);
    journal_step_close(j);
}

static void checkpoint_begin(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    c->wanted = false;
    c->result = gather(j);
    if (c->result) {
        c->retry_at_ns = loop_now_ns(j->options.loop) + RETRY_NS;
        mem_free(c->image);
        c->image = NULL;
        return;
    }
    c->running = true;
    c->generation++;
    c->work = (struct work){.run = run, .done = done};
    pool_submit(j->options.pool, j->options.loop, &c->work);
}

void checkpoint_want(struct journal *j)
{
    if (j->checkpoint.running)
        j->checkpoint.wanted = true;
    else if (!j->status.failed)
        checkpoint_begin(j);
}

enum err checkpoint_await(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    if (!c->running && c->result && loop_now_ns(j->options.loop) < c->retry_at_ns)
        return c->result;
    checkpoint_want(j);
    return c->running ? OK : c->result ? c->result : j->status.failed;
}

enum err checkpoint_now(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    enum err e = gather(j);
    if (e) {
        mem_free(c->image);
        c->image = NULL;
        return e;
    }
    c->generation++;
    run(&c->work);
    note_result(j);
    return c->result;
}
