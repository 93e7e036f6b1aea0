#include <assert.h>

#include "base/limits.h"
#include "streamer/api.h"
#include "streamer/group_call.h"

struct sync_call {
    struct group_call call; /* first */
    struct kafka_sync_group_response out;
};

static const struct kafka_sync_group_request *body_of(const struct group_call *c)
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
    request_reply(c->request, &((struct sync_call *)c)->out);
}

static void refuse(struct sync_call *s, enum kafka_error e)
{
    s->out = kafka_sync_group_response_default;
    s->out.error_code = (int16_t)e;
    group_call_done(&s->call);
}

void sync_group_answer(void *context, struct group *g, void *waiter, enum kafka_error e, const struct group_member *m)
{
    (void)context;
    struct sync_call *s = waiter;
    if (e) {
        refuse(s, e);
        return;
    }
    s->out = kafka_sync_group_response_default;
    if (group_call_copy(&s->call, g->protocol_type, &s->out.protocol_type) &&
        group_call_copy(&s->call, g->protocol, &s->out.protocol_name) &&
        group_call_copy(&s->call, m->assignment, &s->out.assignment))
        group_call_done(&s->call);
    else
        refuse(s, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

static void abandoned(struct group_call *c)
{
    struct group_entry *entry = groups_find(c->groups, body_of(c)->group_id);
    if (entry) {
        group_abandon(&entry->group, c, groups_now_ms(c->groups));
        groups_touch(entry);
    }
    refuse((struct sync_call *)c, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

static void run(struct group_call *c)
{
    const struct kafka_sync_group_request *in = body_of(c);
    struct group_entry *entry = groups_find(c->groups, in->group_id);
    if (!entry || c->groups->closing) {
        refuse((struct sync_call *)c, entry                          ? KAFKA_COORDINATOR_NOT_AVAILABLE
                                      : group_id_valid(in->group_id) ? KAFKA_UNKNOWN_MEMBER_ID
                                                                     : KAFKA_INVALID_GROUP_ID);
        return;
    }
    if (in->assignments.count > LIMIT_STREAM_GROUP_MEMBERS) {
        refuse((struct sync_call *)c, KAFKA_INVALID_REQUEST);
        return;
    }
    struct group_sync sync = {
        .member_id = in->member_id,
        .instance_id = in->group_instance_id,
        .generation = in->generation_id,
        .protocol_type = in->protocol_type,
        .protocol = in->protocol_name,
        .assignments = (const struct group_assignment *)in->assignments.items,
        .assignment_count = in->assignments.count,
    };
    static_assert(sizeof(struct group_assignment) == sizeof(struct kafka_sync_group_request_assignment), "the same");
    group_sync(&entry->group, &sync, groups_now_ms(c->groups), c);
    groups_touch(entry);
}

void api_sync_group(struct request *r)
{
    struct sync_call *s = arena_new(&r->arena, struct sync_call);
    if (!s) {
        request_drop(r);
        return;
    }
    s->call.abandoned = abandoned;
    group_call_begin(&s->call, r, 1, owner_of, run, finish);
}
