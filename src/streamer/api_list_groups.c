/* All groups, shard after shard, or those in some states. Every group is of the classic type. */
#include <strings.h>

#include "streamer/api.h"
#include "streamer/group_call.h"

#define LISTED struct kafka_list_groups_response_group

struct list_call {
    struct group_call call; /* first */
    struct kafka_list_groups_response out;
    uint32_t capacity;
    bool failed; /* out of memory */
};

static const struct kafka_list_groups_request *body_of(const struct group_call *c)
{
    return c->request->body;
}

static struct shard *owner_of(struct group_call *c, uint32_t at)
{
    return broker_shard(c->request->shard->broker, at);
}

/* Nothing asked for is everything; letters may be large or small. */
static bool asked_for(const struct kafka_strings *names, const char *name)
{
    for (uint32_t i = 0; i < names->count; i++)
        if (names->items[i].size == strlen(name) &&
            strncasecmp((const char *)names->items[i].data, name, strlen(name)) == 0)
            return true;
    return names->count == 0;
}

static bool make_room(struct list_call *l, uint32_t more)
{
    struct kafka_list_groups_response *out = &l->out;
    if (out->groups.count + more <= l->capacity && l->capacity)
        return true;
    uint32_t capacity = out->groups.count + more + 1;
    LISTED *items = arena_array(&l->call.request->arena, LISTED, capacity);
    if (!items)
        return false;
    memcpy(items, out->groups.items, out->groups.count * sizeof *items);
    out->groups.items = items;
    l->capacity = capacity;
    return true;
}

static bool list(struct list_call *l, const struct group *g)
{
    LISTED *to = &l->out.groups.items[l->out.groups.count];
    const char *state = group_state_name(g->state);
    if (!asked_for(&body_of(&l->call)->states_filter, state))
        return true;
    *to = kafka_list_groups_response_group_default;
    to->group_state = slice_str(state);
    to->group_type = SLICE("classic");
    l->out.groups.count++;
    return group_call_copy(&l->call, g->id, &to->group_id) &&
           group_call_copy(&l->call, g->protocol_type, &to->protocol_type);
}

static void run(struct group_call *c)
{
    struct list_call *l = (struct list_call *)c;
    void *entry;
    if (c->groups->closing)
        l->out.error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    l->failed |= !make_room(l, c->groups->by_id.count);
    for (uint32_t at = 0; !l->failed && map_next(&c->groups->by_id, &at, NULL, &entry);)
        l->failed |= !list(l, &((struct group_entry *)entry)->group);
    group_call_done(c);
}

static void finish(struct group_call *c)
{
    struct list_call *l = (struct list_call *)c;
    if (l->failed)
        request_drop(c->request);
    else
        request_reply(c->request, &l->out);
}

void api_list_groups(struct request *r)
{
    const struct kafka_list_groups_request *in = r->body;
    struct list_call *l = arena_new(&r->arena, struct list_call);
    if (!l) {
        request_drop(r);
        return;
    }
    l->out = kafka_list_groups_response_default;
    l->out.groups.items = KAFKA_EMPTY;
    uint32_t shards = asked_for(&in->types_filter, "classic") ? broker_shards(r->shard->broker) : 0;
    group_call_begin(&l->call, r, shards, owner_of, run, finish);
}
