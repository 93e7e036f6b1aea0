#include <assert.h>
#include <stdio.h>

#include "base/limits.h"
#include "streamer/api.h"
#include "streamer/group_call.h"

struct join_call {
    struct group_call call; /* first */
    struct kafka_join_group_response out;
};

static const struct kafka_join_group_request *body_of(const struct group_call *c)
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
    request_reply(c->request, &((struct join_call *)c)->out);
}

static void refuse(struct join_call *j, enum kafka_error e)
{
    j->out = kafka_join_group_response_default;
    j->out.error_code = (int16_t)e;
    j->out.member_id = body_of(&j->call)->member_id;
    group_call_done(&j->call);
}

/* ---- the answer -------------------------------------------------------------------------------------------------------- */

static bool list_members(struct join_call *j, const struct group *g)
{
    struct kafka_join_group_response *out = &j->out;
    out->members.items = arena_array(&j->call.request->arena, struct kafka_join_group_response_member, g->member_count);
    bool fits = out->members.items;
    for (const struct group_member *m = g->members; m && fits; m = m->next) {
        struct kafka_join_group_response_member *to = &out->members.items[out->members.count++];
        *to = kafka_join_group_response_member_default;
        fits = group_call_copy(&j->call, m->id, &to->member_id) &&
               group_call_copy(&j->call, m->instance_id, &to->group_instance_id) &&
               group_call_copy(&j->call, group_member_metadata(g, m), &to->metadata);
    }
    return fits;
}

static bool tell_generation(struct join_call *j, const struct group *g, const struct group_joined *answer)
{
    struct kafka_join_group_response *out = &j->out;
    out->generation_id = g->generation;
    out->skip_assignment = answer->skip_assignment;
    return group_call_copy(&j->call, g->protocol_type, &out->protocol_type) &&
           group_call_copy(&j->call, g->protocol, &out->protocol_name) &&
           group_call_copy(&j->call, answer->leader, &out->leader) && (!answer->leads || list_members(j, g));
}

void join_group_answer(void *context, struct group *g, void *waiter, const struct group_joined *answer)
{
    (void)context;
    struct join_call *j = waiter;
    j->out = kafka_join_group_response_default;
    j->out.error_code = (int16_t)answer->error;
    bool fits = group_call_copy(&j->call, answer->member_id, &j->out.member_id);
    if (fits && !answer->error)
        fits = tell_generation(j, g, answer);
    if (fits)
        group_call_done(&j->call);
    else
        refuse(j, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

/* ---- the question ------------------------------------------------------------------------------------------------------ */

static bool sizes_are_fair(const struct kafka_join_group_request *in)
{
    return in->member_id.size <= LIMIT_STREAM_GROUP_ID_BYTES &&
           in->group_instance_id.size <= LIMIT_STREAM_GROUP_ID_BYTES &&
           in->protocol_type.size <= LIMIT_STREAM_GROUP_ID_BYTES && in->protocols.count <= LIMIT_STREAM_GROUP_PROTOCOLS;
}

enum { NEW_ID_BYTES = LIMIT_STREAM_GROUP_ID_BYTES + 40 };

/* "rdkafka-0b1f…": who it is, as far as it says so, and 128 random bits. */
static struct slice new_id(const struct group_call *c, char out[NEW_ID_BYTES])
{
    const struct env *env = loop_env(c->owner->loop);
    struct slice name = body_of(c)->group_instance_id.size ? body_of(c)->group_instance_id
                                                           : slice_take(request_client_id(c->request), 255);
    uint64_t bits[2];
    env->random(env, bits, sizeof bits);
    int size = snprintf(out, NEW_ID_BYTES, "%.*s-%016llx%016llx", SLICE_ARG(name), (unsigned long long)bits[0],
                        (unsigned long long)bits[1]);
    return slice_of(out, (size_t)size);
}

static struct slice host_of(const struct request *r)
{
    const char *peer = request_peer(r), *colon = strrchr(peer, ':');
    return slice_of(peer, colon ? (size_t)(colon - peer) : strlen(peer));
}

static void join(struct join_call *j, struct group_entry *entry)
{
    const struct kafka_join_group_request *in = body_of(&j->call);
    int16_t version = request_version(j->call.request);
    char id[NEW_ID_BYTES];
    struct group_join join = {
        .member_id = in->member_id,
        .new_id = new_id(&j->call, id),
        .instance_id = in->group_instance_id,
        .client_id = slice_take(request_client_id(j->call.request), LIMIT_STREAM_GROUP_ID_BYTES),
        .client_host = host_of(j->call.request),
        .protocol_type = in->protocol_type,
        .protocols = (const struct group_protocol *)in->protocols.items,
        .protocol_count = in->protocols.count,
        .session_timeout_ms = in->session_timeout_ms,
        .rebalance_timeout_ms = in->rebalance_timeout_ms < 0 ? in->session_timeout_ms : in->rebalance_timeout_ms,
        .must_know_id = version >= 4,
        .skips = version >= 9,
    };
    static_assert(sizeof(struct group_protocol) == sizeof(struct kafka_join_group_request_protocol), "the same");
    group_join(&entry->group, &join, groups_now_ms(j->call.groups), j);
    groups_touch(entry);
}

static void abandoned(struct group_call *c)
{
    struct group_entry *entry = groups_find(c->groups, body_of(c)->group_id);
    if (entry) {
        group_abandon(&entry->group, c, groups_now_ms(c->groups));
        groups_touch(entry);
    }
    refuse((struct join_call *)c, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

static void run(struct group_call *c)
{
    struct join_call *j = (struct join_call *)c;
    const struct kafka_join_group_request *in = body_of(c);
    struct group_entry *entry = groups_find(c->groups, in->group_id);
    if (!group_id_valid(in->group_id))
        refuse(j, KAFKA_INVALID_GROUP_ID);
    else if (!sizes_are_fair(in))
        refuse(j, KAFKA_INVALID_REQUEST);
    else if (!c->groups->closing && !entry && in->member_id.size)
        refuse(j, KAFKA_UNKNOWN_MEMBER_ID);
    else if (c->groups->closing || groups_obtain(c->groups, in->group_id, &entry) != OK)
        refuse(j, KAFKA_COORDINATOR_NOT_AVAILABLE);
    else
        join(j, entry);
}

void api_join_group(struct request *r)
{
    struct join_call *j = arena_new(&r->arena, struct join_call);
    if (!j) {
        request_drop(r);
        return;
    }
    j->call.abandoned = abandoned;
    group_call_begin(&j->call, r, 1, owner_of, run, finish);
}
