/* The rules of changes: what a change may do to the topics as those before it in the same draft have left them. */
#include "base/limits.h"
#include "base/mem.h"
#include "streamer/catalog_internal.h"

enum err draft_init(struct catalog *c, uint32_t changes_max)
{
    struct draft *d = &c->draft;
    *d = (struct draft){.partitions = c->topics->partitions, .topics = c->topics->count};
    map_init(&d->by_name, changes_max + 1, &c->secret);
    buf_init(&c->entry, LIMIT_LEDGER_ENTRY_BYTES);
    d->changes = mem_alloc((changes_max ? changes_max : 1) * sizeof *d->changes);
    return d->changes ? OK : ERR_NOMEM;
}

void draft_fini(struct catalog *c)
{
    struct draft *d = &c->draft;
    for (uint32_t i = 0; i < d->count; i++) {
        topic_unref(d->changes[i].was);
        topic_unref(d->changes[i].now);
    }
    mem_free(d->changes);
    map_fini(&d->by_name);
    buf_fini(&c->entry);
    *d = (struct draft){0};
}

static void refuse(struct catalog_change *change, enum kafka_error error, const char *reason)
{
    change->error = error;
    change->reason = reason;
}

/* As the draft has it; NULL: there is none. */
static const struct topic *current(const struct catalog *c, struct slice name)
{
    const struct topic_change *changed = map_get(&c->draft.by_name, name);
    return changed ? changed->now : topics_find(c->topics, name);
}

static const struct topic *named(const struct catalog *c, const struct catalog_change *change)
{
    if (change->name.size)
        return current(c, change->name);
    const struct topic *t = topics_find_id(c->topics, &change->id);
    return t ? current(c, t->name) : NULL;
}

/* --- into the draft ----------------------------------------------------------------------------------------------------------- */

/* `now` is a reference that the draft takes over; `name` outlives the draft. ERR_NOMEM: nothing has changed. */
static enum err note(struct catalog *c, struct slice name, const struct topic *was, const struct topic *now)
{
    struct draft *d = &c->draft;
    struct topic_change *change = map_get(&d->by_name, name);
    if (change) {
        topic_unref(change->now);
        change->now = now;
        return OK;
    }
    change = &d->changes[d->count];
    *change = (struct topic_change){was ? topic_ref(was) : NULL, now};
    enum err e = map_put(&d->by_name, name, change, NULL);
    if (e)
        topic_unref(was);
    else
        d->count++;
    return e;
}

static void count_topics(struct catalog *c, const struct topic *was, const struct topic *now)
{
    c->draft.partitions += (now ? now->partitions : 0) - (uint64_t)(was ? was->partitions : 0);
    c->draft.topics += (now ? 1u : 0u) - (was ? 1u : 0u);
}

static void record(struct catalog *c, const struct topic *was, const struct topic *now)
{
    if (now)
        catalog_put_topic(&c->entry, now);
    else
        catalog_put_gone(&c->entry, &was->id);
    count_topics(c, was, now);
}

/* The topic becomes `now` (NULL: it goes), or would: a reference, taken over. */
static void commit(struct catalog *c, struct catalog_change *change, const struct topic *was, const struct topic *now)
{
    change->topic = topic_ref(now ? now : was);
    if (change->validate_only) {
        topic_unref(now);
        return;
    }
    if (!note(c, was && !change->name.size ? was->name : change->name, was, now)) {
        record(c, was, now);
        return;
    }
    topic_unref(now);
    topic_unref(change->topic);
    change->topic = NULL;
    refuse(change, KAFKA_UNKNOWN_SERVER_ERROR, "the broker is out of memory");
}

static void commit_new(struct catalog *c, struct catalog_change *change, const struct topic *was, struct topic *now)
{
    if (now)
        commit(c, change, was, now);
    else
        refuse(change, KAFKA_UNKNOWN_SERVER_ERROR, "the broker is out of memory");
}

/* --- the four verbs ----------------------------------------------------------------------------------------------------------- */

static void set_all(struct catalog *c, const struct catalog_change *change, struct topic_config *config)
{
    for (uint32_t i = 0; i < change->setting_count; i++) {
        const struct catalog_setting *s = &change->settings[i];
        if (s->unset)
            topic_config_unset(config, s->setting, &c->defaults);
        else
            topic_config_set(config, s->setting, s->value);
    }
}

static bool has_room(struct catalog *c, struct catalog_change *change, uint64_t more)
{
    if (change->partitions > LIMIT_STREAM_TOPIC_PARTITIONS)
        refuse(change, KAFKA_INVALID_PARTITIONS, "a topic has at most 50,000 partitions");
    else if (c->draft.partitions + more > LIMIT_STREAM_PARTITIONS)
        refuse(change, KAFKA_POLICY_VIOLATION, "the broker has at most 200,000 partitions");
    else if (c->draft.topics >= LIMIT_STREAM_TOPICS)
        refuse(change, KAFKA_POLICY_VIOLATION, "the broker has at most 100,000 topics");
    return !change->error;
}

static void create(struct catalog *c, struct catalog_change *change)
{
    if (!topic_name_valid(change->name)) {
        refuse(change, KAFKA_INVALID_TOPIC,
               "a topic's name has 1 to 249 letters, digits, '.', '_' or '-', and is not '.' or '..'");
        return;
    }
    if (current(c, change->name)) {
        refuse(change, KAFKA_TOPIC_ALREADY_EXISTS, "there is a topic of this name");
        return;
    }
    if (!change->partitions)
        refuse(change, KAFKA_INVALID_PARTITIONS, "a topic has at least one partition");
    if (change->error || !has_room(c, change, change->partitions))
        return;
    struct topic_config config = c->defaults;
    config.given = 0;
    set_all(c, change, &config);
    struct kafka_uuid id;
    const struct env *env = broker_env(c->broker);
    env->random(env, id.bytes, sizeof id.bytes);
    commit_new(c, change, NULL, topic_new(&id, change->name, change->partitions, &config));
}

static void delete (struct catalog *c, struct catalog_change *change)
{
    const struct topic *was = named(c, change);
    if (was)
        commit(c, change, was, NULL);
    else if (change->name.size)
        refuse(change, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "there is no topic of this name");
    else
        refuse(change, KAFKA_UNKNOWN_TOPIC_ID, "there is no topic of this id");
}

static void grow(struct catalog *c, struct catalog_change *change)
{
    const struct topic *was = named(c, change);
    if (!was)
        refuse(change, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "there is no topic of this name");
    else if (change->partitions <= was->partitions)
        refuse(change, KAFKA_INVALID_PARTITIONS, "a topic can only get more partitions than it has");
    else if (has_room(c, change, change->partitions - was->partitions))
        commit_new(c, change, was, topic_new(&was->id, was->name, change->partitions, &was->config));
}

static void configure(struct catalog *c, struct catalog_change *change)
{
    const struct topic *was = named(c, change);
    if (!was) {
        refuse(change, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "there is no topic of this name");
        return;
    }
    struct topic_config config = was->config;
    if (change->replace) {
        config = c->defaults;
        config.given = 0;
    }
    set_all(c, change, &config);
    commit_new(c, change, was, topic_new(&was->id, was->name, was->partitions, &config));
}

void draft_apply(struct catalog *c, struct catalog_change *change)
{
    static void (*const verbs[])(struct catalog *, struct catalog_change *) = {
        [CATALOG_CREATE] = create,
        [CATALOG_DELETE] = delete,
        [CATALOG_PARTITIONS] = grow,
        [CATALOG_CONFIG] = configure,
    };
    change->topic = NULL;
    if (!change->error)
        verbs[change->verb](c, change);
}
