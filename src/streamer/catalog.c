/* The life of a change: gathered into a draft, written, published, done. One draft at a time: what is asked for meanwhile shares
 * the next one, its one write and its one round through the shards. */
#include "streamer/catalog.h"

#include "base/base64.h"
#include "base/limits.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "streamer/catalog_internal.h"

/* A new set of topics on its way to a shard and back. */
struct publication {
    struct task task;
    struct catalog *catalog;
    struct shard *shard;
    struct topics *topics; /* a reference, for the shard */
};

static void step_later(struct catalog *);

/* --- done --------------------------------------------------------------------------------------------------------------------- */

static void arrive(struct task *task)
{
    struct catalog_request *r = (struct catalog_request *)((char *)task - offsetof(struct catalog_request, task));
    r->done(r);
}

static void finish(struct catalog *c)
{
    struct catalog_request *r = c->running;
    c->running = NULL;
    draft_fini(c);
    c->busy = false;
    while (r) {
        struct catalog_request *next = r->next;
        r->task.run = arrive;
        if (r->shard == c->shard)
            loop_defer(c->shard->loop, &r->task);
        else
            shard_post(r->shard, &r->task);
        r = next;
    }
    step_later(c);
}

static void fail_running(struct catalog *c, enum kafka_error error, const char *reason)
{
    for (struct catalog_request *r = c->running; r; r = r->next)
        for (uint32_t i = 0; i < r->count; i++) {
            struct catalog_change *change = &r->changes[i];
            if (change->error || change->validate_only)
                continue;
            topic_unref(change->topic);
            change->topic = NULL;
            change->error = error;
            change->reason = reason;
        }
}

/* --- published ---------------------------------------------------------------------------------------------------------------- */

static void published(struct catalog *c)
{
    if (--c->publications_left == 0)
        finish(c);
}

static void came_back(struct task *task)
{
    published(((struct publication *)task)->catalog);
}

/* A topic that was removed and made again is two topics. */
static void change_topic(struct shard *s, const struct topic *was, const struct topic *now)
{
    if (was && now && memcmp(&was->id, &now->id, sizeof was->id) != 0) {
        shard_topic_changed(s, was, NULL);
        shard_topic_changed(s, NULL, now);
    } else if (was || now) {
        shard_topic_changed(s, was, now);
    }
}

static void take_over(struct publication *p)
{
    const struct draft *d = &p->catalog->draft;
    const struct topics *old = p->shard->topics;
    p->shard->topics = p->topics;
    for (uint32_t i = 0; i < d->count; i++)
        change_topic(p->shard, d->changes[i].was, d->changes[i].now);
    topics_unref(old);
}

static void on_shard(struct task *task)
{
    struct publication *p = (struct publication *)task;
    take_over(p);
    task->run = came_back;
    shard_post(p->catalog->shard, task);
}

static void publish(struct catalog *c, struct topics *topics)
{
    uint32_t shards = broker_shards(c->broker);
    topics_unref(c->topics);
    c->topics = topics;
    c->publications_left = shards;
    for (uint32_t i = 0; i < shards; i++) {
        struct publication *p = &c->publications[i];
        *p = (struct publication){.task = {.run = on_shard},
                                  .catalog = c,
                                  .shard = broker_shard(c->broker, i),
                                  .topics = (struct topics *)(uintptr_t)topics_ref(topics)};
        if (p->shard != c->shard)
            shard_post(p->shard, &p->task);
    }
    take_over(&c->publications[c->shard->index]);
    published(c);
}

/* --- written ------------------------------------------------------------------------------------------------------------------ */

static enum err next_topics(struct catalog *c, struct topics **ret_topics)
{
    const struct draft *d = &c->draft;
    struct topic_change *changes = mem_alloc((d->count + 1) * sizeof *changes);
    uint32_t count = 0;
    if (!changes)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < d->count; i++)
        if (d->changes[i].was || d->changes[i].now)
            changes[count++] = d->changes[i];
    enum err e = topics_changed(c->topics, &c->secret, changes, count, ret_topics);
    mem_free(changes);
    return e;
}

static void on_written(struct ledger_append *append, enum err e)
{
    struct catalog *c = (struct catalog *)((char *)append - offsetof(struct catalog, append));
    struct topics *next = c->next;
    c->next = NULL;
    if (!e) {
        publish(c, next);
        return;
    }
    topics_unref(next);
    log_error(c->shard->log, "the catalog cannot be written", LOG_ERR(e));
    fail_running(c, KAFKA_KAFKA_STORAGE_ERROR, "the catalog cannot be written");
    finish(c);
}

/* Everything that can fail for want of memory is done before it is written. */
static enum err write_draft(struct catalog *c)
{
    enum err e = buf_err(&c->entry);
    if (!e)
        e = next_topics(c, &c->next);
    if (e)
        return e;
    c->append.done = on_written;
    e = ledger_append(c->ledger, buf_slice(&c->entry), &c->append);
    if (e) {
        topics_unref(c->next);
        c->next = NULL;
    }
    return e;
}

/* --- asked -------------------------------------------------------------------------------------------------------------------- */

/* As many as fit one draft; at least one. */
static uint32_t take_waiting(struct catalog *c)
{
    uint32_t changes = 0;
    struct catalog_request **last = &c->running;
    while (c->waiting && (!changes || changes + c->waiting->count <= LIMIT_STREAM_CHANGES)) {
        struct catalog_request *r = c->waiting;
        c->waiting = r->next;
        r->next = NULL;
        *last = r;
        last = &r->next;
        changes += r->count;
    }
    if (!c->waiting)
        c->waiting_last = &c->waiting;
    return changes;
}

static void apply_running(struct catalog *c)
{
    uint32_t changes = 0;
    for (struct catalog_request *r = c->running; r; r = r->next)
        for (uint32_t i = 0; i < r->count; i++) {
            if (++changes > LIMIT_STREAM_CHANGES) {
                r->changes[i].error = KAFKA_INVALID_REQUEST;
                r->changes[i].reason = "a request names at most 10,000 topics";
            }
            draft_apply(c, &r->changes[i]);
        }
}

static void run_draft(struct catalog *c)
{
    c->busy = true;
    enum err e = draft_init(c, take_waiting(c));
    if (!e) {
        apply_running(c);
        if (!c->draft.count) { /* all were refused, or only asked what would be */
            finish(c);
            return;
        }
        e = write_draft(c);
    }
    if (!e)
        return;
    log_error(c->shard->log, "topics cannot be changed", LOG_ERR(e));
    fail_running(c, e == ERR_NOMEM ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_KAFKA_STORAGE_ERROR,
                 "the catalog cannot be written");
    finish(c);
}

static void close_now(struct catalog *c);

static void step(struct task *task)
{
    struct catalog *c = (struct catalog *)((char *)task - offsetof(struct catalog, step));
    c->step_due = false;
    if (!c->busy && c->waiting)
        run_draft(c);
    else if (!c->busy && c->closed)
        close_now(c);
}

static void step_later(struct catalog *c)
{
    if (c->step_due)
        return;
    c->step_due = true;
    loop_defer(c->shard->loop, &c->step);
}

static void take_request(struct catalog *c, struct catalog_request *r)
{
    r->next = NULL;
    *c->waiting_last = r;
    c->waiting_last = &r->next;
    step_later(c);
}

static void asked(struct task *task)
{
    struct catalog_request *r = (struct catalog_request *)((char *)task - offsetof(struct catalog_request, task));
    take_request(broker_catalog(r->shard->broker), r);
}

void catalog_submit(struct broker *broker, struct catalog_request *r)
{
    struct catalog *c = broker_catalog(broker);
    r->task.run = asked;
    if (r->shard == c->shard)
        take_request(c, r);
    else
        shard_post(c->shard, &r->task);
}

/* --- opening ------------------------------------------------------------------------------------------------------------------ */

static void visit_cluster(void *context, const struct kafka_uuid *cluster)
{
    ((struct catalog *)context)->cluster = *cluster;
}

static enum err visit_topic(void *context, struct topic *t)
{
    struct catalog *c = context;
    const struct topic_change change = {topics_find_id(c->topics, &t->id), t};
    enum err e = topics_replay(c->topics, &change);
    topic_unref(t);
    return e;
}

static enum err visit_gone(void *context, const struct kafka_uuid *id)
{
    struct catalog *c = context;
    const struct topic_change change = {topics_find_id(c->topics, id), NULL};
    return change.was ? topics_replay(c->topics, &change) : ERR_CORRUPT;
}

static enum err apply(void *context, struct slice entry)
{
    struct catalog *c = context;
    const struct catalog_visitor visitor = {visit_cluster, visit_topic, visit_gone, c, &c->defaults};
    return catalog_read_entry(entry, &visitor);
}

static void put_snapshot_topic(struct ledger_snapshot *snapshot, const struct topic *t)
{
    uint8_t memory[2048];
    struct buf entry;
    buf_init_fixed(&entry, memory, sizeof memory);
    catalog_put_topic(&entry, t);
    ledger_snapshot_put(snapshot, buf_slice(&entry));
}

static void snapshot(void *context, struct ledger_snapshot *out)
{
    const struct catalog *c = context;
    uint8_t memory[32];
    struct buf entry;
    buf_init_fixed(&entry, memory, sizeof memory);
    catalog_put_cluster(&entry, &c->cluster);
    ledger_snapshot_put(out, buf_slice(&entry));
    for (uint32_t i = 0; i < c->topics->count; i++)
        put_snapshot_topic(out, c->topics->sorted[i]);
}

struct first_append {
    struct ledger_append append;
    bool done;
    enum err err;
};

static void first_done(struct ledger_append *append, enum err e)
{
    struct first_append *first = (struct first_append *)append;
    first->done = true;
    first->err = e;
}

/* A new data folder: the cluster gets its id, for ever. */
static enum err found_cluster(struct catalog *c)
{
    uint8_t memory[32];
    struct buf entry;
    struct first_append first = {.append = {.done = first_done}};
    const struct env *env = broker_env(c->broker);
    env->random(env, c->cluster.bytes, sizeof c->cluster.bytes);
    buf_init_fixed(&entry, memory, sizeof memory);
    catalog_put_cluster(&entry, &c->cluster);
    enum err e = ledger_append(c->ledger, buf_slice(&entry), &first.append);
    while (!e && !first.done)
        loop_turn(c->shard->loop, true);
    return e ? e : first.err;
}

static enum err open_ledger(struct catalog *c, struct diag *diag)
{
    char path[4096];
    if (!broker_path(c->broker, "meta/catalog.ledger", path, sizeof path))
        return diag_set(diag, ERR_FILE, "the path of the data folder is too long");
    const struct ledger_options options = {.env = broker_env(c->broker),
                                           .loop = c->shard->loop,
                                           .pool = c->shard->pool,
                                           .path = path,
                                           .kind = SLICE("CTLG"),
                                           .apply = apply,
                                           .snapshot = snapshot,
                                           .context = c};
    return ledger_open(&options, diag, &c->ledger);
}

static void free_catalog(struct catalog *c)
{
    topics_unref(c->topics);
    mem_free(c->publications);
    mem_free(c);
}

/* Logs that no catalogue knows would be removed as those of deleted topics. */
static enum err refuse_lost(const struct catalog *c, struct diag *diag)
{
    char path[4096];
    if (!broker_path(c->broker, "", path, sizeof path))
        path[0] = '\0';
    return diag_set(diag, ERR_FILE,
                    "%slogs holds logs, but %smeta/catalog.ledger, which says whose they are, is new: put the file "
                    "back from a copy, "
                    "or begin with an empty folder",
                    path, path);
}

static enum err load(struct catalog *c, struct diag *diag)
{
    enum err e = topics_new(&c->secret, &c->topics);
    if (!e)
        e = open_ledger(c, diag);
    if (!e)
        e = topics_replayed(c->topics);
    if (e || !kafka_uuid_is_zero(&c->cluster))
        return e;
    if (journal_store_has_logs(broker_store(c->broker)))
        return refuse_lost(c, diag);
    return found_cluster(c);
}

enum err catalog_open(struct broker *broker, struct diag *diag, struct catalog **ret_catalog)
{
    struct catalog *c = mem_zalloc(sizeof *c);
    if (!c)
        return ERR_NOMEM;
    c->broker = broker;
    c->shard = shard_of_catalog(broker);
    c->waiting_last = &c->waiting;
    c->step.run = step;
    c->defaults = c->shard->settings->topic_defaults;
    broker_env(broker)->random(broker_env(broker), &c->secret, sizeof c->secret);
    c->publications = mem_zalloc(broker_shards(broker) * sizeof *c->publications);
    *ret_catalog = c; /* to be closed even if it did not open wholly */
    enum err e = c->publications ? load(c, diag) : ERR_NOMEM;
    if (!e)
        *base64_encode(slice_of(c->cluster.bytes, sizeof c->cluster.bytes), BASE64_URL, c->cluster_text) = '\0';
    return e;
}

const struct topics *catalog_topics(const struct catalog *c)
{
    return c->topics;
}

struct slice catalog_cluster_id(const struct catalog *c)
{
    return slice_str(c->cluster_text);
}

/* --- closing ------------------------------------------------------------------------------------------------------------------ */

static void ledger_closed(void *context)
{
    struct catalog *c = context;
    void (*closed)(void *) = c->closed;
    void *closed_context = c->closed_context;
    free_catalog(c);
    closed(closed_context);
}

static void close_now(struct catalog *c)
{
    if (c->ledger)
        ledger_close(c->ledger, ledger_closed, c);
    else
        ledger_closed(c);
}

void catalog_close(struct catalog *c, void (*closed)(void *context), void *context)
{
    c->closed = closed;
    c->closed_context = context;
    step_later(c);
}
