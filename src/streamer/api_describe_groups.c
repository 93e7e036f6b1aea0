/* State and members of groups. One that is not there is Dead, without an error, as Kafka has it up to version 5. */
#include "streamer/api.h"
#include "streamer/group_call.h"

/* READ, DELETE, DESCRIBE of Kafka's AclOperation: what can be done with a group; nobody is kept from any of it yet. */
enum { ALL_OPERATIONS = 1 << 3 | 1 << 6 | 1 << 8 };

struct describe_call {
    struct group_call call; /* first */
    struct kafka_describe_groups_response out;
    bool failed; /* out of memory */
};

static const struct kafka_describe_groups_request *body_of(const struct group_call *c)
{
    return c->request->body;
}

static struct shard *owner_of(struct group_call *c, uint32_t at)
{
    return shard_of_group(c->request->shard->broker, body_of(c)->groups.items[at]);
}

/* What members say and have is told only when it is settled. */
static bool tell_member(struct group_call *c, const struct group *g, const struct group_member *m,
                        struct kafka_describe_groups_response_member *to)
{
    bool settled = g->state == GROUP_STABLE;
    *to = kafka_describe_groups_response_member_default;
    return group_call_copy(c, m->id, &to->member_id) && group_call_copy(c, m->instance_id, &to->group_instance_id) &&
           group_call_copy(c, m->client_id, &to->client_id) && group_call_copy(c, m->client_host, &to->client_host) &&
           (!settled || (group_call_copy(c, group_member_metadata(g, m), &to->member_metadata) &&
                         group_call_copy(c, m->assignment, &to->member_assignment)));
}

static bool tell_group(struct group_call *c, const struct group *g, struct kafka_describe_groups_response_group *to)
{
    to->group_state = slice_str(group_state_name(g->state));
    to->members.items =
        arena_array(&c->request->arena, struct kafka_describe_groups_response_member, g->member_count + 1);
    bool fits = to->members.items && group_call_copy(c, g->protocol_type, &to->protocol_type) &&
                (g->state != GROUP_STABLE || group_call_copy(c, g->protocol, &to->protocol_data));
    for (const struct group_member *m = g->members; m && fits; m = m->next)
        fits = tell_member(c, g, m, &to->members.items[to->members.count++]);
    return fits;
}

static void run(struct group_call *c)
{
    struct describe_call *d = (struct describe_call *)c;
    struct slice id = body_of(c)->groups.items[c->at];
    struct group_entry *entry = groups_find(c->groups, id);
    struct kafka_describe_groups_response_group *to = &d->out.groups.items[c->at];
    *to = kafka_describe_groups_response_group_default;
    to->group_id = id;
    to->group_state = slice_str(group_state_name(GROUP_DEAD));
    to->members.items = KAFKA_EMPTY;
    if (body_of(c)->include_authorized_operations)
        to->authorized_operations = ALL_OPERATIONS;
    if (!group_id_valid(id))
        to->error_code = KAFKA_INVALID_GROUP_ID;
    else if (c->groups->closing)
        to->error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    else if (entry)
        d->failed |= !tell_group(c, &entry->group, to);
    group_call_done(c);
}

static void finish(struct group_call *c)
{
    struct describe_call *d = (struct describe_call *)c;
    d->out.groups.count = c->count;
    if (d->failed)
        request_drop(c->request);
    else
        request_reply(c->request, &d->out);
}

void api_describe_groups(struct request *r)
{
    const struct kafka_describe_groups_request *in = r->body;
    struct describe_call *d = arena_new(&r->arena, struct describe_call);
    if (d) {
        d->out = kafka_describe_groups_response_default;
        d->out.groups.items = arena_array(&r->arena, struct kafka_describe_groups_response_group, in->groups.count + 1);
    }
    if (d && d->out.groups.items)
        group_call_begin(&d->call, r, in->groups.count, owner_of, run, finish);
    else
        request_drop(r);
}
