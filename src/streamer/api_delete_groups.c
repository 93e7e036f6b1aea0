/* Groups without members go, with their offsets, when that is durable. */
#include <stddef.h>

#include "streamer/api.h"
#include "streamer/group_call.h"

struct delete_call {
    struct group_call call; /* first */
    struct group_write write;
    struct kafka_delete_groups_response out;
};

static const struct kafka_delete_groups_request *body_of(const struct group_call *c)
{
    return c->request->body;
}

static struct shard *owner_of(struct group_call *c, uint32_t at)
{
    return shard_of_group(c->request->shard->broker, body_of(c)->groups_names.items[at]);
}

static void done(struct delete_call *d, enum kafka_error e)
{
    struct kafka_delete_groups_response_group *to = &d->out.results.items[d->call.at];
    to->group_id = body_of(&d->call)->groups_names.items[d->call.at];
    to->error_code = (int16_t)e;
    group_call_done(&d->call);
}

static void written(struct group_write *w, enum err e)
{
    struct delete_call *d = (struct delete_call *)((char *)w - offsetof(struct delete_call, write));
    groups_buried(w->entry, e);
    done(d, e ? KAFKA_COORDINATOR_NOT_AVAILABLE : KAFKA_NONE);
}

static enum kafka_error check(const struct group_call *c, struct slice id, const struct group_entry *entry)
{
    if (!group_id_valid(id))
        return KAFKA_INVALID_GROUP_ID;
    if (c->groups->closing)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (!entry || entry->group.state == GROUP_DEAD)
        return KAFKA_GROUP_ID_NOT_FOUND;
    return entry->group.state == GROUP_EMPTY ? KAFKA_NONE : KAFKA_NON_EMPTY_GROUP;
}

static void run(struct group_call *c)
{
    struct delete_call *d = (struct delete_call *)c;
    struct slice id = body_of(c)->groups_names.items[c->at];
    struct group_entry *entry = groups_find(c->groups, id);
    enum kafka_error e = check(c, id, entry);
    d->write = (struct group_write){.done = written};
    if (!e && groups_bury(entry, &d->write) != OK)
        e = KAFKA_COORDINATOR_NOT_AVAILABLE;
    else if (!e)
        return;
    done(d, e);
}

static void finish(struct group_call *c)
{
    struct delete_call *d = (struct delete_call *)c;
    d->out.results.count = c->count;
    request_reply(c->request, &d->out);
}

void api_delete_groups(struct request *r)
{
    const struct kafka_delete_groups_request *in = r->body;
    struct delete_call *d = arena_new(&r->arena, struct delete_call);
    if (d) {
        d->out = kafka_delete_groups_response_default;
        d->out.results.items =
            arena_array(&r->arena, struct kafka_delete_groups_response_group, in->groups_names.count + 1);
    }
    if (d && d->out.results.items)
        group_call_begin(&d->call, r, in->groups_names.count, owner_of, run, finish);
    else
        request_drop(r);
}
