/* Offsets of a group are removed, when that is durable; not those of topics that its members read just now. */
#include <stddef.h>

#include "base/limits.h"
#include "streamer/api.h"
#include "streamer/group_call.h"

struct offset_delete_call {
    struct group_call call; /* first */
    struct group_write write;
    struct kafka_offset_delete_response out;
    struct kafka_offsets_record record;
    struct map subscribed; /* topics that members read: names, borrowed from what they say */
};

static const struct kafka_offset_delete_request *body_of(const struct group_call *c)
{
    return c->request->body;
}

static struct shard *owner_of(struct group_call *c, uint32_t at)
{
    (void)at;
    return shard_of_group(c->request->shard->broker, body_of(c)->group_id);
}

static void finish(struct group_call *c)
{
    request_reply(c->request, &((struct offset_delete_call *)c)->out);
}

/* ---- what is read just now --------------------------------------------------------------------------------------------- */

/* What a member says begins with the version of what follows. What cannot be read names no topic. */
static enum err add_subscription(struct offset_delete_call *d, struct slice said)
{
    struct kafka_consumer_protocol_subscription s;
    const int16_t newest = kafka_consumer_protocol_subscription_message.version_max;
    size_t size;
    if (said.size < 2)
        return OK;
    int16_t version = (int16_t)(said.data[0] << 8 | said.data[1]);
    enum err e = kafka_decode_prefix(&kafka_consumer_protocol_subscription_message, version < newest ? version : newest,
                                     slice_skip(said, 2), &d->call.request->arena, &s, &size, NULL);
    if (e)
        return e == ERR_NOMEM ? e : OK;
    for (uint32_t i = 0; i < s.topics.count && !e; i++)
        e = map_put(&d->subscribed, s.topics.items[i], d, NULL);
    return e;
}

static enum err find_subscribed(struct offset_delete_call *d, const struct group *g)
{
    enum err e = OK;
    for (const struct group_member *m = g->members; m && !e; m = m->next)
        e = add_subscription(d, group_member_metadata(g, m));
    return e;
}

/* ---- removing ---------------------------------------------------------------------------------------------------------- */

static void take_topic(struct offset_delete_call *d, const struct kafka_offset_delete_request_topic *in,
                       struct kafka_offset_delete_response_topic *out)
{
    const struct topic *topic = topics_find(d->call.owner->topics, in->name);
    bool reads = map_get(&d->subscribed, in->name);
    for (uint32_t i = 0; i < in->partitions.count; i++) {
        int32_t index = in->partitions.items[i].partition_index;
        bool known = topic && index >= 0 && (uint32_t)index < topic->partitions;
        struct kafka_offset_delete_response_partition *to = &out->partitions.items[out->partitions.count++];
        to->partition_index = index;
        to->error_code = !known  ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION
                         : reads ? KAFKA_GROUP_SUBSCRIBED_TO_TOPIC
                                 : KAFKA_NONE;
        if (known && !reads)
            d->record.offsets.items[d->record.offsets.count++] = (struct kafka_offsets_record_offset){
                .topic_id = topic->id, .partition = index, .offset = -1, .expires_ms = -1};
    }
}

static void written(struct group_write *w, enum err e)
{
    struct offset_delete_call *d =
        (struct offset_delete_call *)((char *)w - offsetof(struct offset_delete_call, write));
    struct group_entry *entry = w->entry;
    if (e)
        d->out.error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    for (uint32_t i = 0; i < d->record.offsets.count && !e; i++) {
        struct offset_key key = {.topic = d->record.offsets.items[i].topic_id,
                                 .partition = d->record.offsets.items[i].partition};
        offsets_remove(&entry->offsets, &key);
    }
    groups_touch(entry);
    group_call_done(&d->call);
}

static enum kafka_error check(const struct group_call *c, const struct group_entry *entry)
{
    if (!group_id_valid(body_of(c)->group_id))
        return KAFKA_INVALID_GROUP_ID;
    if (c->groups->closing)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (!entry || entry->group.state == GROUP_DEAD)
        return KAFKA_GROUP_ID_NOT_FOUND;
    bool readable = entry->group.state == GROUP_EMPTY || slice_eq(entry->group.protocol_type, SLICE("consumer"));
    return readable ? KAFKA_NONE : KAFKA_NON_EMPTY_GROUP;
}

static void run(struct group_call *c)
{
    struct offset_delete_call *d = (struct offset_delete_call *)c;
    const struct kafka_offset_delete_request *in = body_of(c);
    struct group_entry *entry = groups_find(c->groups, in->group_id);
    d->out.error_code = (int16_t)check(c, entry);
    d->record.group_id = in->group_id;
    map_init(&d->subscribed, LIMIT_STREAM_TOPICS, &c->groups->secret);
    if (!d->out.error_code && find_subscribed(d, &entry->group))
        d->out.error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    for (uint32_t i = 0; i < in->topics.count && !d->out.error_code; i++)
        take_topic(d, &in->topics.items[i], &d->out.topics.items[d->out.topics.count++]);
    map_fini(&d->subscribed);
    d->write = (struct group_write){.done = written};
    if (!d->out.error_code && d->record.offsets.count) {
        if (group_write_offsets(entry, &d->record, &d->write) == OK)
            return;
        d->out.error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    group_call_done(c);
}

static bool make_room(struct offset_delete_call *d, struct request *r)
{
    const struct kafka_offset_delete_request *in = r->body;
    size_t partitions = 0;
    d->out = kafka_offset_delete_response_default;
    d->out.topics.items = arena_array(&r->arena, struct kafka_offset_delete_response_topic, in->topics.count + 1);
    for (uint32_t i = 0; d->out.topics.items && i < in->topics.count; i++) {
        struct kafka_offset_delete_response_topic *to = &d->out.topics.items[i];
        to->name = in->topics.items[i].name;
        to->partitions.items = arena_array(&r->arena, struct kafka_offset_delete_response_partition,
                                           in->topics.items[i].partitions.count + 1);
        if (!to->partitions.items)
            return false;
        partitions += in->topics.items[i].partitions.count;
    }
    d->record.offsets.items = arena_array(&r->arena, struct kafka_offsets_record_offset, partitions + 1);
    return d->out.topics.items && d->record.offsets.items;
}

void api_offset_delete(struct request *r)
{
    struct offset_delete_call *d = arena_new(&r->arena, struct offset_delete_call);
    if (d && make_room(d, r))
        group_call_begin(&d->call, r, 1, owner_of, run, finish);
    else
        request_drop(r);
}
