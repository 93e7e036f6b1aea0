/* How far groups have read. Up to version 7 one group, from then on several; inside, a request for one is a request for several.
 * Transactions are not there yet: every offset is stable. */
#include <assert.h>
#include <stdlib.h>

#include "streamer/api.h"
#include "streamer/group_call.h"

#define ASKED struct kafka_offset_fetch_request_group
#define TOLD struct kafka_offset_fetch_response_group
#define TOPIC struct kafka_offset_fetch_response_group_topic
#define PARTITION struct kafka_offset_fetch_response_group_partition

struct fetch_call {
    struct group_call call; /* first */
    ASKED *asked;           /* one a group */
    TOLD *told;
    bool failed; /* out of memory */
};

static struct shard *owner_of(struct group_call *c, uint32_t at)
{
    return shard_of_group(c->request->shard->broker, ((struct fetch_call *)c)->asked[at].group_id);
}

/* ---- what there is ----------------------------------------------------------------------------------------------------- */

static bool tell_partition(struct group_call *c, const struct offset *o, int32_t index, PARTITION *to)
{
    *to = (PARTITION){
        .partition_index = index, .committed_offset = -1, .committed_leader_epoch = -1, .metadata = SLICE("")};
    if (!o)
        return true;
    to->committed_offset = o->offset;
    to->committed_leader_epoch = o->leader_epoch;
    return !o->metadata_size || group_call_copy(c, offset_metadata(o), &to->metadata);
}

static bool tell_topic(struct group_call *c, const struct group_entry *entry,
                       const struct kafka_offset_fetch_request_group_topic *asked, TOPIC *to)
{
    const struct topic *topic = topics_find(c->owner->topics, asked->name);
    *to = (TOPIC){.name = asked->name};
    to->partitions.items = arena_array(&c->request->arena, PARTITION, asked->partition_indexes.count + 1);
    bool fits = to->partitions.items;
    for (uint32_t i = 0; i < asked->partition_indexes.count && fits; i++) {
        struct offset_key key = {.partition = asked->partition_indexes.items[i]};
        if (topic)
            key.topic = topic->id;
        const struct offset *o = topic && entry ? offsets_find(&entry->offsets, &key) : NULL;
        fits = tell_partition(c, o, key.partition, &to->partitions.items[to->partitions.count++]);
    }
    return fits;
}

static bool tell_asked(struct group_call *c, const struct group_entry *entry, const ASKED *asked, TOLD *to)
{
    to->topics.items = arena_array(&c->request->arena, TOPIC, asked->topics.count + 1);
    bool fits = to->topics.items;
    for (uint32_t i = 0; i < asked->topics.count && fits; i++)
        fits = tell_topic(c, entry, &asked->topics.items[i], &to->topics.items[to->topics.count++]);
    return fits;
}

/* Offsets of one topic, of those that the group has. */
static bool tell_all_of(struct group_call *c, const struct group_entry *entry, const struct topic *topic, TOLD *to)
{
    TOPIC *t = &to->topics.items[to->topics.count];
    *t = (TOPIC){.name = SLICE_EMPTY};
    t->partitions.items = arena_array(&c->request->arena, PARTITION, topic->partitions);
    bool fits = t->partitions.items && group_call_copy(c, topic->name, &t->name);
    for (uint32_t i = 0; i < topic->partitions && fits; i++) {
        struct offset_key key = {.topic = topic->id, .partition = (int32_t)i};
        const struct offset *o = offsets_find(&entry->offsets, &key);
        if (o)
            fits = tell_partition(c, o, key.partition, &t->partitions.items[t->partitions.count++]);
    }
    to->topics.count += t->partitions.count > 0;
    return fits;
}

static int by_place(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

/* The topics that the group has offsets of, each once, in no order. */
static uint32_t collect_topics(const struct group_call *c, const struct group_entry *entry, const struct topic **out)
{
    uint32_t count = 0, kept = 0;
    const struct offset *o;
    for (uint32_t at = 0; offsets_next(&entry->offsets, &at, &o);)
        if ((out[count] = topics_find_id(c->owner->topics, &o->key.topic)))
            count++;
    qsort(out, count, sizeof *out, by_place);
    for (uint32_t i = 0; i < count; i++)
        if (!kept || out[kept - 1] != out[i])
            out[kept++] = out[i];
    return kept;
}

static bool tell_everything(struct group_call *c, const struct group_entry *entry, TOLD *to)
{
    to->topics.items = KAFKA_EMPTY;
    if (!entry || !entry->offsets.by_key.count)
        return true;
    uint32_t most = entry->offsets.by_key.count;
    const struct topic **topics = arena_array(&c->request->arena, const struct topic *, most + 1);
    if (!topics)
        return false;
    uint32_t count = collect_topics(c, entry, topics);
    to->topics.items = arena_array(&c->request->arena, TOPIC, count + 1);
    bool fits = to->topics.items;
    for (uint32_t i = 0; i < count && fits; i++)
        fits = tell_all_of(c, entry, topics[i], to);
    return fits;
}

static void run(struct group_call *c)
{
    struct fetch_call *f = (struct fetch_call *)c;
    const ASKED *asked = &f->asked[c->at];
    TOLD *to = &f->told[c->at];
    struct group_entry *entry = groups_find(c->groups, asked->group_id);
    *to = kafka_offset_fetch_response_group_default;
    to->group_id = asked->group_id;
    to->topics.items = KAFKA_EMPTY;
    if (c->groups->closing)
        to->error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    else if (asked->topics.items)
        f->failed |= !tell_asked(c, entry, asked, to);
    else
        f->failed |= !tell_everything(c, entry, to);
    group_call_done(c);
}

/* ---- versions ---------------------------------------------------------------------------------------------------------- */

/* Before version 2 there is no place for the group's error: each partition has it. */
static void reply_one(struct fetch_call *f)
{
    struct kafka_offset_fetch_response out = kafka_offset_fetch_response_default;
    static_assert(sizeof(TOPIC) == sizeof(struct kafka_offset_fetch_response_topic), "the same");
    static_assert(sizeof(PARTITION) == sizeof(struct kafka_offset_fetch_response_partition), "the same");
    out.error_code = f->told->error_code;
    out.topics.items = (struct kafka_offset_fetch_response_topic *)f->told->topics.items;
    out.topics.count = f->told->topics.count;
    request_reply(f->call.request, &out);
}

static void finish(struct group_call *c)
{
    struct fetch_call *f = (struct fetch_call *)c;
    struct kafka_offset_fetch_response out = kafka_offset_fetch_response_default;
    if (f->failed) {
        request_drop(c->request);
    } else if (request_version(c->request) < 8) {
        reply_one(f);
    } else {
        out.groups.items = f->told;
        out.groups.count = c->count;
        request_reply(c->request, &out);
    }
}

static bool prepare(struct fetch_call *f, struct request *r)
{
    const struct kafka_offset_fetch_request *in = r->body;
    uint32_t groups = request_version(r) < 8 ? 1 : in->groups.count;
    f->asked = in->groups.items;
    f->told = arena_array(&r->arena, TOLD, groups + 1);
    f->call.count = groups;
    if (request_version(r) >= 8)
        return f->told;
    f->asked = arena_new(&r->arena, ASKED);
    if (!f->asked)
        return false;
    static_assert(sizeof *in->topics.items == sizeof *f->asked->topics.items, "the same");
    f->asked->group_id = in->group_id;
    f->asked->topics.items = (struct kafka_offset_fetch_request_group_topic *)in->topics.items;
    f->asked->topics.count = in->topics.count;
    return f->told;
}

void api_offset_fetch(struct request *r)
{
    struct fetch_call *f = arena_new(&r->arena, struct fetch_call);
    if (f && prepare(f, r))
        group_call_begin(&f->call, r, f->call.count, owner_of, run, finish);
    else
        request_drop(r);
}
