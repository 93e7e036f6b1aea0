/* groups.h tells what this is. */
#include "streamer/groups.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"

enum { NS_PER_MS = 1000000 };

uint64_t groups_now_ms(const struct groups *all)
{
    return loop_now_ns(all->shard->loop) / NS_PER_MS;
}

bool group_id_valid(struct slice id)
{
    return id.size > 0 && id.size <= LIMIT_STREAM_GROUP_ID_BYTES;
}

/* ---- one group -------------------------------------------------------------------------------------------------------- */

static void moved(void *context, struct group *g, enum group_state from, const char *why)
{
    struct group_entry *entry = context;
    entry->changed_ms = loop_realtime_ms(entry->groups->shard->loop);
    log_debug(entry->groups->shard->log, "group", LOG_STR("group", g->id), LOG_TEXT("from", group_state_name(from)),
              LOG_TEXT("to", group_state_name(g->state)), LOG_INT("generation", g->generation),
              LOG_INT("members", g->member_count), LOG_TEXT("why", why));
}

static const struct group_outlet outlet = {
    .joined = join_group_answer,
    .synced = sync_group_answer,
    .store = groups_store,
    .moved = moved,
};

static void tick(struct timer *t)
{
    struct group_entry *entry = (struct group_entry *)((char *)t - offsetof(struct group_entry, timer));
    group_tick(&entry->group, groups_now_ms(entry->groups));
    groups_touch(entry);
}

static struct group_rules rules_of(const struct shard *s)
{
    return (struct group_rules){.initial_delay_ms = s->settings->group_initial_rebalance_delay_ms,
                                .session_min_ms = s->settings->group_session_timeout_min_ms,
                                .session_max_ms = s->settings->group_session_timeout_max_ms,
                                .members_max = LIMIT_STREAM_GROUP_MEMBERS,
                                .bytes_max = LIMIT_STREAM_GROUP_BYTES};
}

static struct group_entry *entry_new(struct groups *all, struct slice id)
{
    struct group_entry *entry = mem_zalloc(sizeof *entry);
    if (!entry)
        return NULL;
    if (group_init(&entry->group, id, &outlet, entry)) {
        mem_free(entry);
        return NULL;
    }
    entry->groups = all;
    entry->timer.fire = tick;
    entry->group.rules = rules_of(all->shard);
    entry->changed_ms = loop_realtime_ms(all->shard->loop);
    offsets_init(&entry->offsets, &all->secret, &all->offsets);
    return entry;
}

static void entry_free(struct group_entry *entry)
{
    timer_stop(entry->groups->shard->loop, &entry->timer);
    offsets_fini(&entry->offsets);
    group_fini(&entry->group);
    mem_free(entry);
}

struct group_entry *groups_find(const struct groups *all, struct slice id)
{
    return map_get(&all->by_id, id);
}

enum err groups_obtain(struct groups *all, struct slice id, struct group_entry **ret_entry)
{
    struct group_entry *entry = groups_find(all, id);
    if (!entry) {
        if (!(entry = entry_new(all, id)))
            return ERR_NOMEM;
        enum err e = map_put(&all->by_id, entry->group.id, entry, NULL);
        if (e) {
            entry_free(entry);
            return e;
        }
    }
    entry->group.rules = rules_of(all->shard);
    *ret_entry = entry;
    return OK;
}

void groups_forget(struct groups *all, struct slice id)
{
    struct group_entry *entry = map_remove(&all->by_id, id);
    if (entry)
        entry_free(entry);
}

/* ---- the end of a group ----------------------------------------------------------------------------------------------- */

static bool is_left(const struct group_entry *entry)
{
    const struct group *g = &entry->group;
    return g->state != GROUP_EMPTY || g->pending || entry->offsets.by_key.count || entry->offsets.reserved ||
           entry->writes || entry->unstored_waits;
}

static void end_if_closed(struct groups *);

void groups_buried(struct group_entry *entry, enum err e)
{
    struct groups *all = entry->groups;
    if (e)
        group_revive(&entry->group);
    else
        groups_forget(all, entry->group.id);
    if (all->closing)
        end_if_closed(all);
}

enum err groups_bury(struct group_entry *entry, struct group_write *w)
{
    enum err e = group_write_gone(entry, w);
    if (!e)
        group_bury(&entry->group);
    return e;
}

static void gone_written(struct group_write *w, enum err e)
{
    struct group_entry *entry = w->entry;
    mem_free(w);
    groups_buried(entry, e); /* where it failed the next look tries again */
}

/* The ledger knows of a group that nothing is left of. It is kept for a while: members that restart find their generation. */
static void bury_later(struct group_entry *entry, int64_t now_ms)
{
    if (is_left(entry) || now_ms - entry->changed_ms < LIMIT_STREAM_OFFSETS_LOOK_MS)
        return;
    struct group_write *w = mem_zalloc(sizeof *w);
    if (!w)
        return;
    w->done = gone_written;
    if (groups_bury(entry, w))
        mem_free(w);
}

static void set_timer(struct group_entry *entry)
{
    struct loop *loop = entry->groups->shard->loop;
    uint64_t due_ms = group_due_ms(&entry->group);
    if (due_ms == UINT64_MAX)
        timer_stop(loop, &entry->timer);
    else
        timer_start(loop, &entry->timer, due_ms * NS_PER_MS);
}

void groups_touch(struct group_entry *entry)
{
    struct groups *all = entry->groups;
    if (all->closing) {
        end_if_closed(all);
        return;
    }
    if (is_left(entry) || entry->recorded)
        set_timer(entry);
    else
        groups_forget(all, entry->group.id);
}

/* ---- offsets that expire ---------------------------------------------------------------------------------------------- */

static bool expired(const struct group_entry *entry, const struct offset *o, int64_t now_ms)
{
    const struct broker_settings *s = entry->groups->shard->settings;
    if (o->expires_ms >= 0)
        return now_ms >= o->expires_ms;
    int64_t since_ms = o->committed_ms;
    if (entry->group.protocol_type.size && entry->changed_ms > since_ms)
        since_ms = entry->changed_ms; /* it had members until then */
    return s->offsets_retention_ms >= 0 && now_ms - since_ms >= s->offsets_retention_ms;
}

struct expiry {
    struct group_write write; /* first */
    uint32_t count;
    struct offset_key keys[];
};

static void expiry_written(struct group_write *w, enum err e)
{
    struct expiry *x = (struct expiry *)w;
    struct group_entry *entry = w->entry;
    for (uint32_t i = 0; i < x->count && !e; i++)
        offsets_remove(&entry->offsets, &x->keys[i]);
    mem_free(x);
    groups_touch(entry);
}

static uint32_t find_expired(const struct group_entry *entry, struct expiry *x, int64_t now_ms)
{
    const struct offset *o;
    uint32_t count = 0;
    for (uint32_t at = 0; offsets_next(&entry->offsets, &at, &o);) {
        if (!expired(entry, o, now_ms))
            continue;
        if (x)
            x->keys[count] = o->key;
        count++;
    }
    return count;
}

static enum err write_expiry(struct group_entry *entry, struct expiry *x)
{
    struct kafka_offsets_record record = {.group_id = entry->group.id};
    record.offsets.items = mem_zalloc(x->count * sizeof *record.offsets.items);
    record.offsets.count = x->count;
    if (!record.offsets.items)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < x->count; i++)
        record.offsets.items[i] = (struct kafka_offsets_record_offset){
            .topic_id = x->keys[i].topic, .partition = x->keys[i].partition, .offset = -1};
    enum err e = group_write_offsets(entry, &record, &x->write);
    mem_free(record.offsets.items);
    return e;
}

/* What fails is tried again with the next look. */
static void expire_offsets(struct group_entry *entry, int64_t now_ms)
{
    uint32_t count = find_expired(entry, NULL, now_ms);
    if (!count)
        return;
    struct expiry *x = mem_zalloc(sizeof *x + count * sizeof *x->keys);
    if (!x)
        return;
    x->write.done = expiry_written;
    x->count = find_expired(entry, x, now_ms);
    if (write_expiry(entry, x))
        mem_free(x);
}

/* Only of groups without members, and when nothing of them is under way: a commit that comes later than the expiry is written
 * behind it, and stays. */
static void look(struct timer *t)
{
    struct groups *all = (struct groups *)((char *)t - offsetof(struct groups, look));
    int64_t now_ms = loop_realtime_ms(all->shard->loop);
    struct group_entry **entries = mem_alloc((all->by_id.count + 1) * sizeof *entries);
    uint32_t count = 0;
    void *value;
    for (uint32_t at = 0; entries && map_next(&all->by_id, &at, NULL, &value);)
        entries[count++] = value;
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i]->group.state == GROUP_EMPTY && !entries[i]->writes)
            expire_offsets(entries[i], now_ms);
        bury_later(entries[i], now_ms);
    }
    mem_free(entries);
    timer_start(all->shard->loop, &all->look,
                loop_now_ns(all->shard->loop) + LIMIT_STREAM_OFFSETS_LOOK_MS * 1000000ull);
}

/* ---- topics that go ---------------------------------------------------------------------------------------------------- */

static bool is_lost(const void *context, const struct offset *o)
{
    return !topics_find_id(context, &o->key.topic);
}

/* The ledger need not know: at the next start offsets of topics that are not there are left out. */
static void forget_topic(struct group_entry *entry, const struct topic *topic)
{
    if (topic->partitions > entry->offsets.by_key.count) {
        offsets_remove_lost(&entry->offsets, is_lost, entry->groups->shard->topics);
        return;
    }
    for (uint32_t i = 0; i < topic->partitions; i++) {
        struct offset_key key = {.topic = topic->id, .partition = (int32_t)i};
        offsets_remove(&entry->offsets, &key);
    }
}

void groups_change(struct shard *s, const struct topic *was, const struct topic *now)
{
    void *entry;
    if (now || !s->groups)
        return;
    for (uint32_t at = 0; map_next(&s->groups->by_id, &at, NULL, &entry);)
        forget_topic(entry, was);
}

/* ---- opening and closing ---------------------------------------------------------------------------------------------- */

static void restored(struct groups *all)
{
    void *value;
    for (uint32_t at = 0; map_next(&all->by_id, &at, NULL, &value);) {
        struct group_entry *entry = value;
        int64_t changed_ms = entry->changed_ms;
        offsets_remove_lost(&entry->offsets, is_lost, all->shard->topics);
        group_restore(&entry->group, entry->restored_stable, groups_now_ms(all));
        entry->changed_ms = changed_ms;
        set_timer(entry);
    }
}

void groups_free(struct shard *s)
{
    struct groups *all = s->groups;
    void *entry;
    if (!all)
        return;
    for (uint32_t at = 0; map_next(&all->by_id, &at, NULL, &entry);)
        entry_free(entry);
    map_fini(&all->by_id);
    kafka_out_fini(&all->scratch);
    s->groups = NULL;
    mem_free(all);
}

enum err groups_open_at(struct shard *s, const struct env *env, const char *path, struct diag *diag)
{
    struct groups *all = mem_zalloc(sizeof *all);
    if (!all)
        return ERR_NOMEM;
    all->shard = s;
    all->look.fire = look;
    env->random(env, &all->secret, sizeof all->secret);
    map_init(&all->by_id, LIMIT_STREAM_GROUPS, &all->secret);
    kafka_out_init(&all->scratch, LIMIT_LEDGER_ENTRY_BYTES);
    const struct ledger_options options = {.env = env,
                                           .loop = s->loop,
                                           .pool = s->pool,
                                           .path = path,
                                           .kind = SLICE("GRPS"),
                                           .apply = groups_apply,
                                           .snapshot = groups_snapshot,
                                           .context = all};
    s->groups = all;
    enum err e = ledger_open(&options, diag, &all->ledger);
    if (e) {
        groups_free(s);
        return e;
    }
    restored(all);
    timer_start(s->loop, &all->look, loop_now_ns(s->loop) + LIMIT_STREAM_OFFSETS_LOOK_MS * 1000000ull);
    return OK;
}

enum err groups_open(struct shard *s, struct diag *diag)
{
    char name[64], path[4096];
    snprintf(name, sizeof name, "meta/groups-%u-of-%u.ledger", s->index, broker_shards(s->broker));
    if (!broker_path(s->broker, name, path, sizeof path))
        return diag_set(diag, ERR_FILE, "the path of the data folder is too long");
    return groups_open_at(s, broker_env(s->broker), path, diag);
}

static void ledger_closed(void *context)
{
    struct groups *all = context;
    all->closed(all->closed_context);
}

/* What was on its way to the ledger has been told. */
static void end_if_closed(struct groups *all)
{
    struct ledger *ledger = all->ledger;
    if (all->writes || !ledger)
        return;
    all->ledger = NULL;
    ledger_close(ledger, ledger_closed, all);
}

void groups_close(struct shard *s, void (*closed)(void *context), void *context)
{
    struct groups *all = s->groups;
    void *value;
    all->closing = true;
    all->closed = closed;
    all->closed_context = context;
    timer_stop(s->loop, &all->look);
    for (uint32_t at = 0; map_next(&all->by_id, &at, NULL, &value);) {
        struct group_entry *entry = value;
        timer_stop(s->loop, &entry->timer);
        group_dismiss(&entry->group, KAFKA_COORDINATOR_NOT_AVAILABLE);
    }
    end_if_closed(all);
}
