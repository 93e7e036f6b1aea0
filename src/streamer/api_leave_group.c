/* Up to version 2 one member leaves, and its error is the answer's; from version 3 on several, each with its own. */
#include "base/limits.h"
#include "streamer/api.h"
#include "streamer/group_call.h"

struct leave_call {
    struct group_call call; /* first */
    struct kafka_leave_group_response out;
};

static const struct kafka_leave_group_request *body_of(const struct group_call *c)
{
    return c->request->body;
}

static struct shard *owner_of(struct group_call *c, uint32_t at)
{
    (void)at;
    return shard_of_group(c->request->shard->broker, body_of(c)->group_id);
}

static enum kafka_error leave(struct group_call *c, struct group_entry *entry, struct slice member_id,
                              struct slice instance_id)
{
    return entry ? group_leave(&entry->group, member_id, instance_id, groups_now_ms(c->groups))
                 : KAFKA_UNKNOWN_MEMBER_ID;
}

static void leave_several(struct leave_call *l, struct group_entry *entry)
{
    const struct kafka_leave_group_request *in = body_of(&l->call);
    for (uint32_t i = 0; i < in->members.count; i++) {
        const struct kafka_leave_group_request_member *m = &in->members.items[i];
        l->out.members.items[i] = (struct kafka_leave_group_response_member){
            .member_id = m->member_id,
            .group_instance_id = m->group_instance_id,
            .error_code = (int16_t)leave(&l->call, entry, m->member_id, m->group_instance_id)};
    }
    l->out.members.count = in->members.count;
}

static void run(struct group_call *c)
{
    struct leave_call *l = (struct leave_call *)c;
    const struct kafka_leave_group_request *in = body_of(c);
    struct group_entry *entry = groups_find(c->groups, in->group_id);
    if (!group_id_valid(in->group_id))
        l->out.error_code = KAFKA_INVALID_GROUP_ID;
    else if (in->members.count > LIMIT_STREAM_GROUP_MEMBERS)
        l->out.error_code = KAFKA_INVALID_REQUEST;
    else if (c->groups->closing)
        l->out.error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    else if (request_version(c->request) >= 3)
        leave_several(l, entry);
    else
        l->out.error_code = (int16_t)leave(c, entry, in->member_id, SLICE_EMPTY);
    if (entry && !c->groups->closing)
        groups_touch(entry);
    group_call_done(c);
}

static void finish(struct group_call *c)
{
    request_reply(c->request, &((struct leave_call *)c)->out);
}

void api_leave_group(struct request *r)
{
    const struct kafka_leave_group_request *in = r->body;
    struct leave_call *l = arena_new(&r->arena, struct leave_call);
    if (l) {
        l->out = kafka_leave_group_response_default;
        l->out.members.items = arena_array(&r->arena, struct kafka_leave_group_response_member, in->members.count + 1);
    }
    if (l && l->out.members.items)
        group_call_begin(&l->call, r, 1, owner_of, run, finish);
    else
        request_drop(r);
}
