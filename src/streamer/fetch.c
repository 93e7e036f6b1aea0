#include "streamer/fetch.h"

#include <assert.h>
#include <stddef.h>

#include "base/limits.h"
#include "base/mem.h"

static struct fetch *fetch_of(struct scatter *s)
{
    return (struct fetch *)((char *)s - offsetof(struct fetch, scatter));
}

static struct fetch_item *item_of(struct scatter_item *i)
{
    return (struct fetch_item *)i; /* its first member */
}

static void let_go(struct fetch_item *i)
{
    journal_range_release(&i->range);
    i->size = 0;
}

/* Bytes that a partition gives; those of a reading that is followed by another one are taken back. */
static void count_bytes(struct fetch_item *i, struct partition *p, bool given)
{
    if (p)
        p->bytes_out = given ? p->bytes_out + i->size : p->bytes_out - i->size;
}

/* --- reading: on the partitions' shard --------------------------------------------------------------------------------------- */

static enum kafka_error check_epoch(const struct fetch_wish *wish)
{
    return wish->leader_epoch > PARTITION_EPOCH ? KAFKA_UNKNOWN_LEADER_EPOCH : KAFKA_NONE;
}

static enum kafka_error error_of(enum err e)
{
    return e == ERR_OUT_OF_RANGE ? KAFKA_OFFSET_OUT_OF_RANGE : kafka_error_of(e);
}

/* Whether bytes lie there now. What was submitted but is not stable is not there yet, though its offset may be asked for. */
static bool look_at_item(struct fetch_item *i, struct partition *p)
{
    i->end = journal_log_stable(p->log);
    i->start = journal_log_start(p->log);
    i->grown = p->readable.bytes;
    if (i->wish.offset < i->start || i->wish.offset > journal_log_end(p->log))
        i->error = KAFKA_OFFSET_OUT_OF_RANGE;
    return !i->error && i->wish.offset < i->end;
}

static void begin_item(struct fetch_item *i)
{
    assert(!i->range.file);
    i->end = i->start = -1;
    i->error = partition_error(i->part_of.partition);
    if (i->error == KAFKA_UNKNOWN_TOPIC_OR_PARTITION && !i->wish.topic.size)
        i->error = KAFKA_UNKNOWN_TOPIC_ID;
    if (!i->error)
        i->error = check_epoch(&i->wish);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* More than may go is given only by what comes first. */
static uint64_t use(struct fetch_item *i, uint64_t bytes_max, bool first)
{
    if (i->range.size <= bytes_max || first)
        return i->size = i->range.size;
    let_go(i);
    return 0;
}

static uint64_t item_bytes_max(const struct fetch_item *i, uint64_t left)
{
    return least(i->wish.bytes_max > 0 ? (uint64_t)i->wish.bytes_max : 0, left);
}

/* What was found so far, and what may still be. Of cold ranges, sizes are known later: as many bytes as they may have are left for
 * them. Each range holds a descriptor. */
struct finding {
    uint64_t left;
    uint32_t ranges;
    bool cold;
};

static bool has_room(const struct finding *f, uint64_t bytes_max)
{
    return f->ranges == 0 || (bytes_max && f->ranges < LIMIT_FETCH_RANGES);
}

static void take_range(struct finding *f, struct fetch_item *i, uint64_t bytes_max)
{
    struct partition *p = i->part_of.partition;
    if (!i->range.warm) {
        f->cold = true;
        i->partition = partition_ref(p);
        f->left -= bytes_max;
    } else {
        f->left -= least(f->left, use(i, bytes_max, f->ranges == 0));
        count_bytes(i, p, true);
    }
    f->ranges += i->range.file != NULL;
}

static void find_one(struct finding *f, struct fetch_item *i)
{
    struct partition *p = i->part_of.partition;
    uint64_t bytes_max = item_bytes_max(i, f->left);
    begin_item(i);
    if (i->error || !look_at_item(i, p) || !has_room(f, bytes_max))
        return;
    enum err e = journal_find(p->log, i->wish.offset, bytes_max, &i->range);
    bool later =
        f->ranges && (e == ERR_FILE || e == ERR_NOMEM); /* others are answered; it has its turn when it is first */
    if (!e && i->range.file)
        take_range(f, i, bytes_max);
    else if (!later)
        i->error = error_of(e);
}

/* Whether there are cold ranges. */
static bool find_all(struct fetch_part *part)
{
    struct finding f = {.left = part->fetch->bytes_max};
    for (struct scatter_item *next = part->part->items; next; next = next->next)
        find_one(&f, item_of(next));
    return f.cold;
}

/* Thread: a pool's. */
static void resolve_all(struct work *work)
{
    struct fetch_part *part = (struct fetch_part *)((char *)work - offsetof(struct fetch_part, work));
    for (struct scatter_item *next = part->part->items; next; next = next->next) {
        struct fetch_item *i = item_of(next);
        if (i->partition)
            i->error = error_of(journal_range_resolve(&i->range));
    }
}

static void resolved(struct work *work)
{
    struct fetch_part *part = (struct fetch_part *)((char *)work - offsetof(struct fetch_part, work));
    for (struct scatter_item *next = part->part->items; next; next = next->next) {
        struct fetch_item *i = item_of(next);
        if (!i->partition)
            continue;
        if (i->error && i->partition->log)
            journal_log_damaged(i->partition->log, i->wish.offset);
        if (i->error)
            let_go(i);
        else
            i->size = i->range.size;
        count_bytes(i, i->partition, true);
        partition_unref(i->partition);
        i->partition = NULL;
    }
    scatter_finished(part->part);
}

static void read_part(struct scatter_part *p)
{
    struct fetch_part *part = p->context;
    if (!find_all(part)) {
        scatter_finished(p);
        return;
    }
    part->work = (struct work){.run = resolve_all, .done = resolved};
    pool_submit(p->shard->pool, p->shard->loop, &part->work);
}

/* --- waiting: on the partitions' shard --------------------------------------------------------------------------------------- */

static void leave(struct fetch_part *part)
{
    part->waiting = false;
    for (struct scatter_item *next = part->part->items; next; next = next->next) {
        struct fetch_item *i = item_of(next);
        partition_unref(i->partition);
        i->partition = NULL;
    }
    scatter_finished(part->part);
}

static void tell_fetch(struct task *);
static void stop_part(struct task *);

/* What has happened here may be what all wait for: the fetch stops all parts, this one too. */
static void notify(struct fetch_part *part)
{
    struct shard *home = part->fetch->request->shard;
    part->tell.run = tell_fetch;
    if (part->part->shard == home)
        tell_fetch(&part->tell);
    else
        shard_post(home, &part->tell);
}

static void wake(struct delayed *d, enum delayed_why why)
{
    struct fetch_part *part = (struct fetch_part *)((char *)d - offsetof(struct fetch_part, delayed));
    (void)why; /* the fetch looks at the clock itself */
    part->waiting = false;
    if (part->stopping)
        leave(part);
    else
        notify(part);
}

static void stop_part(struct task *task)
{
    struct fetch_part *part = (struct fetch_part *)((char *)task - offsetof(struct fetch_part, stop));
    part->stopping = true;
    if (!part->waiting || delayed_cancel(&part->delayed))
        leave(part);
}

/* false: it has grown so far already, or is gone. */
static bool watch_item(struct fetch_part *part, struct fetch_item *i, uint64_t bytes)
{
    struct partition *p = i->part_of.partition;
    if (partition_error(p) || i->grown + bytes <= p->readable.bytes)
        return false;
    i->partition = partition_ref(p);
    delayed_watch(&part->delayed, &i->watch, &p->readable, i->grown + bytes - p->readable.bytes);
    return true;
}

/* Each is asked for an equal share of what is missing: see purgatory.h. */
static void wait_part(struct scatter_part *p)
{
    struct fetch_part *part = p->context;
    const struct fetch *fetch = part->fetch;
    uint64_t missing = fetch->bytes_min - fetch->found, share = (missing + fetch->count - 1) / fetch->count;
    bool watching = true;
    delayed_init(&part->delayed, p->shard->loop, wake);
    part->waiting = true;
    part->stopping = false;
    for (struct scatter_item *next = p->items; next; next = next->next) {
        count_bytes(item_of(next), next->partition, false);
        let_go(item_of(next));
        watching = watching && watch_item(part, item_of(next), share);
    }
    delayed_start(&part->delayed, watching ? fetch->due_ns : 0);
}

/* --- rounds: on the request's shard ------------------------------------------------------------------------------------------ */

static void stop_all(struct fetch *fetch)
{
    fetch->woken = true;
    for (struct scatter_part *p = fetch->scatter.parts, *next; p; p = next) {
        struct fetch_part *part = p->context;
        next = p->next;
        part->stop.run = stop_part;
        if (p->shard != fetch->request->shard)
            shard_post(p->shard, &part->stop);
    }
}

/* The part that lives here comes last: with it the round may be over. */
static void stop_here(struct fetch *fetch)
{
    struct scatter_part *here = &fetch->scatter.here;
    if (here->context)
        stop_part(&((struct fetch_part *)here->context)->stop);
}

static void tell_fetch(struct task *task)
{
    struct fetch_part *part = (struct fetch_part *)((char *)task - offsetof(struct fetch_part, tell));
    struct fetch *fetch = part->fetch;
    if (!fetch->waits || fetch->woken)
        return;
    stop_all(fetch);
    stop_here(fetch);
}

void fetch_abandon(struct fetch *fetch)
{
    if (!fetch->waits || fetch->woken)
        return;
    stop_all(fetch);
    stop_here(fetch);
}

/* Of all shards together: each has looked at the limit by itself. */
static void add_up(struct fetch *fetch)
{
    fetch->found = 0;
    fetch->failed = false;
    for (uint32_t n = 0; n < fetch->count; n++) {
        struct fetch_item *i = &fetch->items[n];
        fetch->failed = fetch->failed || i->error;
        if (i->size > fetch->bytes_max - least(fetch->found, fetch->bytes_max) && fetch->found)
            i->size = 0;
        fetch->found += i->size;
    }
}

static void wait_done(struct scatter *);

/* What waits is bounded by what it holds: past that a fetch is answered with what there is. */
static bool may_wait(const struct fetch *fetch)
{
    const struct partitions *all = fetch->request->shard->partitions;
    return all && fetch->count <= LIMIT_FETCH_WAITING_PARTITIONS - all->fetches_waiting;
}

static void begin_waiting(struct fetch *fetch)
{
    fetch->waits = true;
    fetch->woken = false;
    fetch->request->shard->partitions->fetches_waiting += fetch->count;
}

/* The shard may have closed meanwhile. */
static void end_waiting(struct fetch *fetch)
{
    fetch->waits = false;
    if (fetch->request->shard->partitions)
        fetch->request->shard->partitions->fetches_waiting -= fetch->count;
}

static void read_done(struct scatter *s)
{
    struct fetch *fetch = fetch_of(s);
    add_up(fetch);
    bool enough = fetch->failed || fetch->found >= fetch->bytes_min || !fetch->count;
    bool late = loop_now_ns(fetch->request->shard->loop) >= fetch->due_ns || request_abandoned(fetch->request);
    if (enough || late || !may_wait(fetch)) {
        fetch->done(fetch);
        return;
    }
    begin_waiting(fetch);
    s->run = wait_part;
    s->done = wait_done;
    scatter_go(s);
}

static void wait_done(struct scatter *s)
{
    struct fetch *fetch = fetch_of(s);
    end_waiting(fetch);
    if (request_abandoned(fetch->request)) {
        fetch->done(fetch);
        return;
    }
    s->run = read_part;
    s->done = read_done;
    scatter_go(s);
}

/* --- beginning and end ------------------------------------------------------------------------------------------------------- */

/* Ranges of another shard go back there. */
struct fetch_release {
    struct task task;
    uint32_t count;
    struct journal_range ranges[];
};

static void release_there(struct task *task)
{
    struct fetch_release *release = (struct fetch_release *)task; /* its first member */
    for (uint32_t i = 0; i < release->count; i++)
        journal_range_release(&release->ranges[i]);
    mem_free(release);
}

static uint32_t count_items(const struct scatter_part *p)
{
    uint32_t count = 0;
    for (struct scatter_item *i = p->items; i; i = i->next)
        count++;
    return count;
}

static bool prepare(struct fetch *fetch, struct scatter_part *p)
{
    struct fetch_part *part = arena_new(&fetch->request->arena, struct fetch_part);
    if (!part)
        return false;
    part->fetch = fetch;
    part->part = p;
    p->context = part;
    if (p->shard == fetch->request->shard)
        return true;
    part->release = mem_alloc(sizeof *part->release + count_items(p) * sizeof(struct journal_range));
    if (part->release)
        *part->release = (struct fetch_release){.task.run = release_there};
    return part->release;
}

static void release_part(struct fetch_part *part)
{
    struct fetch_release *release = part->release;
    for (struct scatter_item *next = part->part->items; next; next = next->next) {
        struct fetch_item *i = item_of(next);
        if (!release)
            journal_range_release(&i->range);
        else if (i->range.file)
            release->ranges[release->count++] = i->range;
    }
    if (release)
        shard_post(part->part->shard, &release->task);
}

void fetch_release(struct fetch *fetch)
{
    for (struct scatter_part *p = fetch->scatter.parts; p; p = p->next)
        if (p->context)
            release_part(p->context);
}

bool fetch_start(struct fetch *fetch)
{
    for (struct scatter_part *p = fetch->scatter.parts; p; p = p->next)
        if (!prepare(fetch, p))
            return false;
    fetch->scatter.run = read_part;
    fetch->scatter.done = read_done;
    scatter_go(&fetch->scatter);
    return true;
}
