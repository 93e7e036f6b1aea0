/* Offsets become visible when they are durable: checked, written to the ledger, then put in place of the ones before. Each
 * partition has its own answer; those that are in order are stored even where others are not. */
#include "base/limits.h"
#include "streamer/api.h"
#include "streamer/group_call.h"

#define TOPIC const struct kafka_offset_commit_request_topic
#define PARTITION const struct kafka_offset_commit_request_partition

struct commit_call {
    struct group_call call; /* first */
    struct group_write write;
    struct kafka_offset_commit_response out;
    struct kafka_offsets_record record;
    struct offset **offsets; /* as many as the record has */
    int64_t now_ms;
};

static const struct kafka_offset_commit_request *body_of(const struct group_call *c)
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
    request_reply(c->request, &((struct commit_call *)c)->out);
}

/* Of those that have no error of their own. */
static void fail_rest(struct commit_call *c, enum kafka_error e)
{
    for (uint32_t t = 0; t < c->out.topics.count; t++)
        for (uint32_t p = 0; p < c->out.topics.items[t].partitions.count; p++)
            if (!c->out.topics.items[t].partitions.items[p].error_code)
                c->out.topics.items[t].partitions.items[p].error_code = (int16_t)e;
}

/* ---- what is asked ----------------------------------------------------------------------------------------------------- */

static enum kafka_error check_partition(const struct topic *topic, PARTITION *p)
{
    if (!topic || p->partition_index < 0 || (uint32_t)p->partition_index >= topic->partitions)
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (p->committed_metadata.size > LIMIT_STREAM_OFFSET_METADATA_BYTES)
        return KAFKA_OFFSET_METADATA_TOO_LARGE;
    return KAFKA_NONE;
}

/* An offset below zero is none: kafkajs commits "the earliest" so where the log has no longer what it asks for. */
static void take_partition(struct commit_call *c, const struct topic *topic, PARTITION *p)
{
    int64_t retention_ms = body_of(&c->call)->retention_time_ms;
    c->record.offsets.items[c->record.offsets.count++] = (struct kafka_offsets_record_offset){
        .topic_id = topic->id,
        .partition = p->partition_index,
        .offset = p->committed_offset < 0 ? -1 : p->committed_offset,
        .leader_epoch = p->committed_leader_epoch,
        .committed_ms = c->now_ms,
        .expires_ms = retention_ms >= 0 && retention_ms < INT64_MAX - c->now_ms ? c->now_ms + retention_ms : -1,
        .metadata = p->committed_metadata,
    };
}

static void take_topic(struct commit_call *c, TOPIC *in, struct kafka_offset_commit_response_topic *out)
{
    const struct topic *topic = topics_find(c->call.owner->topics, in->name);
    for (uint32_t i = 0; i < in->partitions.count; i++) {
        PARTITION *p = &in->partitions.items[i];
        enum kafka_error e = check_partition(topic, p);
        out->partitions.items[i] = (struct kafka_offset_commit_response_partition){
            .partition_index = p->partition_index, .error_code = (int16_t)e};
        if (!e)
            take_partition(c, topic, p);
    }
}

/* Room for the answer, the record and the offsets, in the request's arena. */
static bool make_room(struct commit_call *c)
{
    struct arena *arena = &c->call.request->arena;
    const struct kafka_offset_commit_request *in = body_of(&c->call);
    size_t partitions = 0;
    c->out.topics.items = arena_array(arena, struct kafka_offset_commit_response_topic, in->topics.count + 1);
    for (uint32_t t = 0; c->out.topics.items && t < in->topics.count; t++) {
        struct kafka_offset_commit_response_topic *to = &c->out.topics.items[c->out.topics.count++];
        to->name = in->topics.items[t].name;
        to->partitions.count = in->topics.items[t].partitions.count;
        to->partitions.items =
            arena_array(arena, struct kafka_offset_commit_response_partition, to->partitions.count + 1);
        if (!to->partitions.items)
            return false;
        partitions += to->partitions.count;
    }
    c->record.offsets.items = arena_array(arena, struct kafka_offsets_record_offset, partitions + 1);
    c->offsets = arena_array(arena, struct offset *, partitions + 1);
    return c->out.topics.items && c->record.offsets.items && c->offsets;
}

/* ---- storing ----------------------------------------------------------------------------------------------------------- */

static void free_offsets(struct commit_call *c)
{
    for (uint32_t i = 0; i < c->record.offsets.count; i++)
        offset_free(c->offsets[i]);
}

static void put_none(struct offsets *offsets, struct offset *o)
{
    offsets_remove(offsets, &o->key);
    offsets_release(offsets, 1);
    offset_free(o);
}

/* A topic that is gone by now has no offsets. */
static void put(struct commit_call *c, struct group_entry *entry)
{
    for (uint32_t i = 0; i < c->record.offsets.count; i++) {
        struct offset *o = c->offsets[i];
        if (o->offset >= 0 && topics_find_id(c->call.owner->topics, &o->key.topic))
            offsets_put(&entry->offsets, o);
        else
            put_none(&entry->offsets, o);
    }
}

static void stored(struct group_write *w, enum err e)
{
    struct commit_call *c = (struct commit_call *)((char *)w - offsetof(struct commit_call, write));
    struct group_entry *entry = w->entry;
    if (e) {
        offsets_release(&entry->offsets, c->record.offsets.count);
        free_offsets(c);
        fail_rest(c, KAFKA_COORDINATOR_NOT_AVAILABLE);
    } else {
        put(c, entry);
    }
    groups_touch(entry);
    group_call_done(&c->call);
}

static bool make_offsets(struct commit_call *c)
{
    for (uint32_t i = 0; i < c->record.offsets.count; i++) {
        const struct kafka_offsets_record_offset *r = &c->record.offsets.items[i];
        struct offset as = {.key = {.topic = r->topic_id, .partition = r->partition},
                            .leader_epoch = r->leader_epoch,
                            .offset = r->offset,
                            .committed_ms = r->committed_ms,
                            .expires_ms = r->expires_ms};
        if (!(c->offsets[i] = offset_new(&as, r->metadata)))
            return false;
    }
    return true;
}

static enum err store(struct commit_call *c, struct group_entry *entry)
{
    if (!make_offsets(c))
        return ERR_NOMEM;
    enum err e = offsets_reserve(&entry->offsets, c->record.offsets.count);
    if (e)
        return e;
    c->record.group_id = body_of(&c->call)->group_id;
    c->write.done = stored;
    e = group_write_offsets(entry, &c->record, &c->write);
    if (e)
        offsets_release(&entry->offsets, c->record.offsets.count);
    return e;
}

static enum kafka_error as_kafka(enum err e)
{
    return e == ERR_MESSAGE_TOO_LARGE    ? KAFKA_INVALID_COMMIT_OFFSET_SIZE
           : e == ERR_RESOURCE_EXHAUSTED ? KAFKA_INVALID_COMMIT_OFFSET_SIZE
                                         : KAFKA_COORDINATOR_NOT_AVAILABLE;
}

static enum kafka_error admit(struct group_call *c, struct group_entry **ret_entry)
{
    const struct kafka_offset_commit_request *in = body_of(c);
    struct group_entry *entry = groups_find(c->groups, in->group_id);
    if (!group_id_valid(in->group_id))
        return KAFKA_INVALID_GROUP_ID;
    if (c->groups->closing)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (!entry && in->generation_id_or_member_epoch >= 0)
        return KAFKA_ILLEGAL_GENERATION;
    if (groups_obtain(c->groups, in->group_id, &entry) != OK)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    enum kafka_error e = group_may_commit(&entry->group, in->member_id, in->group_instance_id,
                                          in->generation_id_or_member_epoch, groups_now_ms(c->groups));
    *ret_entry = entry;
    return e;
}

static void run(struct group_call *call)
{
    struct commit_call *c = (struct commit_call *)call;
    const struct kafka_offset_commit_request *in = body_of(call);
    struct group_entry *entry = NULL;
    enum kafka_error refused = admit(call, &entry);
    c->now_ms = loop_realtime_ms(call->owner->loop);
    for (uint32_t t = 0; t < in->topics.count; t++)
        take_topic(c, &in->topics.items[t], &c->out.topics.items[t]);
    enum err e = OK;
    if (!refused && c->record.offsets.count) {
        e = store(c, entry);
        if (!e)
            return;
        free_offsets(c);
        refused = as_kafka(e);
    }
    if (refused)
        fail_rest(c, refused);
    if (entry && !call->groups->closing)
        groups_touch(entry);
    group_call_done(call);
}

void api_offset_commit(struct request *r)
{
    struct commit_call *c = arena_new(&r->arena, struct commit_call);
    if (c) {
        c->call.request = r;
        c->out = kafka_offset_commit_response_default;
    }
    if (c && make_room(c))
        group_call_begin(&c->call, r, 1, owner_of, run, finish);
    else
        request_drop(r);
}
