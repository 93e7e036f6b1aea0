#include "streamer/api.h"
#include "streamer/group_call.h"

struct heartbeat_call {
    struct group_call call; /* first */
    enum kafka_error error;
};

static const struct kafka_heartbeat_request *body_of(const struct group_call *c)
{
    return c->request->body;
}

static struct shard *owner_of(struct group_call *c, uint32_t at)
{
    (void)at;
    return shard_of_group(c->request->shard->broker, body_of(c)->group_id);
}

static enum kafka_error beat(struct group_call *c)
{
    const struct kafka_heartbeat_request *in = body_of(c);
    struct group_entry *entry = groups_find(c->groups, in->group_id);
    if (!group_id_valid(in->group_id))
        return KAFKA_INVALID_GROUP_ID;
    if (!entry)
        return KAFKA_UNKNOWN_MEMBER_ID;
    /* Its timer is not moved: a session that lasts longer is found out when the timer fires. */
    return group_heartbeat(&entry->group, in->member_id, in->group_instance_id, in->generation_id,
                           groups_now_ms(c->groups));
}

static void run(struct group_call *c)
{
    ((struct heartbeat_call *)c)->error = c->groups->closing ? KAFKA_COORDINATOR_NOT_AVAILABLE : beat(c);
    group_call_done(c);
}

static void finish(struct group_call *c)
{
    struct kafka_heartbeat_response out = kafka_heartbeat_response_default;
    out.error_code = (int16_t)((struct heartbeat_call *)c)->error;
    request_reply(c->request, &out);
}

void api_heartbeat(struct request *r)
{
    struct heartbeat_call *h = arena_new(&r->arena, struct heartbeat_call);
    if (h)
        group_call_begin(&h->call, r, 1, owner_of, run, finish);
    else
        request_drop(r);
}
