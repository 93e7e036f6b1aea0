/* Producers of a shard's partitions, saved: a ledger of {partition, what producers_save wrote; nothing: it is gone}.
 *
 * It is a cache: batches say the same, and a start that finds nothing saved reads all of them. So it is never an error that it
 * cannot be read. What is saved may be ahead of the log, whose end can be lost with the machine's power. Then it must not be there
 * any more when the log has grown past that point again: the ledger is begun anew before anything is served. */
#include <assert.h>
#include <endian.h>
#include <stddef.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "kafka/batch.h"
#include "streamer/broker.h"
#include "streamer/partition_internal.h"

#define KIND SLICE("PROD")
enum { KEY_BYTES = 20, PATH_BYTES = 4096 };

struct saved {
    struct partition_key key;
    size_t size;
    uint8_t bytes[];
};

/* --- reading what the last run saved ---------------------------------------------------------------------------------------- */

static struct slice key_slice(const struct partition_key *key)
{
    return slice_of(key, sizeof *key);
}

static struct partition_key key_from(const uint8_t *from)
{
    struct partition_key key;
    memcpy(key.topic.bytes, from, sizeof key.topic.bytes);
    memcpy(&key.index, from + sizeof key.topic.bytes, sizeof key.index);
    key.index = le32toh(key.index);
    return key;
}

static void key_to(const struct partition_key *key, struct buf *to)
{
    uint32_t index = htole32(key->index);
    buf_put(to, key->topic.bytes, sizeof key->topic.bytes);
    buf_put(to, &index, sizeof index);
}

/* The latest of a partition counts. */
static enum err take_entry(void *context, struct slice entry)
{
    struct partitions *ps = context;
    if (entry.size < KEY_BYTES)
        return ERR_CORRUPT;
    struct partition_key key = key_from(entry.data);
    struct slice bytes = slice_skip(entry, KEY_BYTES);
    mem_free(map_remove(&ps->saved, key_slice(&key)));
    if (!bytes.size)
        return OK;
    struct saved *s = mem_alloc(sizeof *s + bytes.size);
    if (!s)
        return ERR_NOMEM;
    *s = (struct saved){.key = key, .size = bytes.size};
    memcpy(s->bytes, bytes.data, bytes.size);
    enum err e = map_put(&ps->saved, key_slice(&s->key), s, NULL);
    if (e)
        mem_free(s);
    return e;
}

static void forget_saved(struct partitions *ps)
{
    struct saved *s;
    for (uint32_t at = 0; map_next(&ps->saved, &at, NULL, (void **)&s);)
        mem_free(s);
    map_fini(&ps->saved);
}

static void ledger_path(const struct partitions *ps, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/meta/producers-%u.ledger", broker_data_dir(ps->shard->broker), ps->shard->index);
}

enum err partitions_load_begin(struct partitions *ps)
{
    char path[PATH_BYTES];
    uint64_t torn;
    ledger_path(ps, path);
    map_init(&ps->saved, LIMIT_JOURNAL_LOGS, &ps->producers.secret);
    enum err e = ledger_check(loop_env(ps->shard->loop), path, KIND, take_entry, ps, NULL, &torn);
    if (e == ERR_NOMEM)
        return e;
    if (e) {
        forget_saved(ps);
        map_init(&ps->saved, LIMIT_JOURNAL_LOGS, &ps->producers.secret);
        ps->saved_ahead = true;
    }
    return OK;
}

enum err partition_load_producers(struct partition *p)
{
    const struct saved *s = map_get(&p->shard->partitions->saved, key_slice(&p->key));
    if (!s)
        return OK;
    enum err e = producers_load(&p->producers, slice_of(s->bytes, s->size), &p->replay_from);
    return e == ERR_NOMEM ? e : OK;
}

/* What a batch says of its producer. Only batches of this log, which the broker checked when they came. */
void partition_replayed(void *context, struct journal_log *log, const struct journal_entry *entry, struct slice header)
{
    (void)context;
    struct partition *p = journal_log_context(log);
    struct batch_header h;
    if (!p || entry->first_offset < p->replay_from || batch_read_header(header.data, &h))
        return;
    if (h.producer_id < 0 || h.producer_epoch < 0 || h.base_sequence < 0)
        return;
    struct producer_claim claim = {.id = h.producer_id,
                                   .epoch = h.producer_epoch,
                                   .first_sequence = h.base_sequence,
                                   .delta = h.last_offset_delta};
    int64_t time_ms = h.attributes & BATCH_APPEND_TIME ? h.max_time_ms : -1;
    enum err e = producers_learn(&p->producers, &claim, h.base_offset, time_ms, loop_realtime_ms(p->shard->loop));
    if (e)
        p->learning = e;
    partition_touched(p);
}

/* --- writing ---------------------------------------------------------------------------------------------------------------- */

struct saving {
    struct ledger_append append;
    struct partitions *partitions;
};

static void encode(const struct partition *p, struct buf *to)
{
    key_to(&p->key, to);
    if (!p->gone)
        producers_save(&p->producers, journal_log_end(p->log), to);
}

/* What a failed append has left in a log that takes no more is found by the next start, though its producers were told no: what is
 * known of them here does not say what lies below the log's end. What was saved before does. */
static bool is_telling(const struct partition *p)
{
    struct journal_log_status log;
    if (p->gone)
        return true;
    if (!p->log)
        return false;
    journal_log_status(p->log, &log);
    return !log.failed;
}

static void put_all(void *context, struct ledger_snapshot *snapshot)
{
    struct partitions *ps = context;
    struct partition *p;
    struct buf entry;
    buf_init(&entry, LIMIT_LEDGER_ENTRY_BYTES);
    for (uint32_t at = 0; map_next(&ps->by_key, &at, NULL, (void **)&p);) {
        if (!p->log)
            continue;
        if (!is_telling(p)) {
            ledger_snapshot_fail(snapshot, ERR_FAILED_PRECONDITION);
            break;
        }
        buf_reset(&entry);
        encode(p, &entry);
        ledger_snapshot_put(snapshot, buf_slice(&entry));
    }
    buf_fini(&entry);
}

static enum err ignore_entry(void *context, struct slice entry)
{
    (void)context, (void)entry;
    return OK;
}

static enum err begin_ledger(struct partitions *ps, struct diag *diag)
{
    char path[PATH_BYTES];
    const struct env *env = loop_env(ps->shard->loop);
    ledger_path(ps, path);
    if (ps->saved_ahead)
        (void)env->disk->unlink(env, path);
    struct ledger_options options = {.env = env,
                                     .loop = ps->shard->loop,
                                     .pool = ps->shard->pool,
                                     .path = path,
                                     .kind = KIND,
                                     .apply = ignore_entry,
                                     .snapshot = put_all,
                                     .context = ps};
    return ledger_open(&options, diag, &ps->ledger);
}

static void go_on_closing(struct partitions *ps);

static void saving_done(struct ledger_append *append, enum err e)
{
    struct saving *s = (struct saving *)append; /* its first member */
    struct partitions *ps = s->partitions;
    (void)e; /* the next round, or the next start, does it */
    mem_free(s);
    ps->saving--;
    go_on_closing(ps);
}

static enum err save(struct partitions *ps, const struct partition *p, struct buf *entry)
{
    buf_reset(entry);
    encode(p, entry);
    if (buf_err(entry))
        return buf_err(entry);
    struct saving *s = mem_alloc(sizeof *s);
    if (!s)
        return ERR_NOMEM;
    *s = (struct saving){.append.done = saving_done, .partitions = ps};
    enum err e = ledger_append(ps->ledger, buf_slice(entry), &s->append);
    if (e) {
        mem_free(s);
        return e;
    }
    ps->saving++;
    return OK;
}

static struct partition *take_unsaved(struct partitions *ps)
{
    struct partition *p = ps->unsaved;
    ps->unsaved = p->next_unsaved;
    p->unsaved = false;
    return p;
}

/* As many as the ledger takes now; the rest stays for the next round. */
static void save_some(struct partitions *ps)
{
    struct buf entry;
    enum err e = OK;
    buf_init(&entry, LIMIT_LEDGER_ENTRY_BYTES);
    while (ps->unsaved && e == OK) {
        struct partition *p = ps->unsaved;
        if (is_telling(p))
            e = save(ps, p, &entry);
        if (e == OK)
            partition_unref(take_unsaved(ps));
    }
    buf_fini(&entry);
}

void partition_touched(struct partition *p)
{
    struct partitions *ps = p->shard->partitions;
    if (p->unsaved)
        return;
    p->unsaved = true;
    p->next_unsaved = ps->unsaved;
    ps->unsaved = partition_ref(p);
}

static void forget_idle(struct partitions *ps)
{
    struct partition *p;
    int64_t before_ms = loop_realtime_ms(ps->shard->loop) - ps->shard->settings->producer_id_expiration_ms;
    for (uint32_t at = 0; map_next(&ps->by_key, &at, NULL, (void **)&p);)
        producers_expire(&p->producers, before_ms);
}

static void start_timer(struct partitions *ps)
{
    timer_start(ps->shard->loop, &ps->timer, loop_now_ns(ps->shard->loop) + (uint64_t)LIMIT_PRODUCER_SAVE_MS * 1000000);
}

static void on_timer(struct timer *timer)
{
    struct partitions *ps = (struct partitions *)((char *)timer - offsetof(struct partitions, timer));
    forget_idle(ps);
    if (!ps->saving)
        save_some(ps);
    start_timer(ps);
}

enum err partitions_load_end(struct partitions *ps, enum err e, struct diag *diag)
{
    forget_saved(ps);
    if (!e)
        e = begin_ledger(ps, diag);
    if (e)
        return e;
    ps->timer.fire = on_timer;
    start_timer(ps);
    return OK;
}

/* --- the end ---------------------------------------------------------------------------------------------------------------- */

void partitions_drop_unsaved(struct partitions *ps)
{
    while (ps->unsaved)
        partition_unref(take_unsaved(ps));
}

static void ledger_closed(void *context)
{
    struct partitions *ps = context;
    partitions_drop_unsaved(ps);
    ps->saved_last(ps);
}

/* Each step when the one before it is over: appends, what waits to be saved, the ledger. */
static void go_on_closing(struct partitions *ps)
{
    if (!ps->saved_last || ps->appending || ps->saving || !ps->ledger)
        return;
    save_some(ps);
    if (ps->saving)
        return;
    struct ledger *ledger = ps->ledger;
    ps->ledger = NULL;
    ledger_close(ledger, ledger_closed, ps);
}

void partitions_appending(struct partitions *ps, int change)
{
    ps->appending += (uint32_t)change;
    if (!ps->appending)
        go_on_closing(ps);
}

void partitions_save_last(struct partitions *ps, void (*saved)(struct partitions *))
{
    timer_stop(ps->shard->loop, &ps->timer);
    ps->saved_last = saved;
    go_on_closing(ps);
}
