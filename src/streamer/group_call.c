#include "streamer/group_call.h"

#include <stddef.h>

static void step(struct group_call *);

static struct group_call *call_of(struct task *t)
{
    return (struct group_call *)((char *)t - offsetof(struct group_call, task));
}

static void run_item(struct group_call *c)
{
    c->groups = c->owner->groups;
    c->with_owner = true;
    c->run(c);
}

static void arrive(struct task *t)
{
    run_item(call_of(t));
}

/* Back on the request's thread; it goes on when a word that is still with the owner has come back too. */
static void come_back(struct group_call *c)
{
    c->back = true;
    if (c->told_gone)
        return;
    c->at++;
    step(c);
}

static void come_back_task(struct task *t)
{
    come_back(call_of(t));
}

void group_call_done(struct group_call *c)
{
    c->with_owner = false;
    if (c->owner != c->request->shard) {
        c->task.run = come_back_task;
        shard_post(c->request->shard, &c->task);
    } else if (c->inside) {
        c->returned = true;
    } else {
        come_back(c);
    }
}

/* Items of the own shard are done in a loop: however many there are, nothing recurses. */
static void step(struct group_call *c)
{
    while (c->at < c->count) {
        c->owner = c->owner_of(c, c->at);
        c->back = false;
        if (c->owner != c->request->shard) {
            c->task.run = arrive;
            shard_post(c->owner, &c->task);
            return;
        }
        c->inside = true;
        c->returned = false;
        run_item(c);
        c->inside = false;
        if (!c->returned)
            return;
        c->at++;
    }
    c->request->abandoned = NULL;
    c->finish(c);
}

/* ---- the connection has ended ----------------------------------------------------------------------------------------- */

static struct group_call *call_of_gone(struct task *t)
{
    return (struct group_call *)((char *)t - offsetof(struct group_call, gone));
}

static void gone_back(struct task *t)
{
    struct group_call *c = call_of_gone(t);
    c->told_gone = false;
    if (c->back)
        come_back(c);
}

static void gone_at_owner(struct task *t)
{
    struct group_call *c = call_of_gone(t);
    if (c->with_owner && c->abandoned)
        c->abandoned(c);
    c->gone.run = gone_back;
    shard_post(c->request->shard, &c->gone);
}

static void abandon(struct request *r)
{
    struct group_call *c = r->context;
    if (c->owner == r->shard) {
        if (c->with_owner && c->abandoned)
            c->abandoned(c);
    } else if (!c->told_gone) {
        c->told_gone = true;
        c->gone.run = gone_at_owner;
        shard_post(c->owner, &c->gone);
    }
}

void group_call_begin(struct group_call *c, struct request *r, uint32_t count,
                      struct shard *(*owner_of)(struct group_call *, uint32_t at), void (*run)(struct group_call *),
                      void (*finish)(struct group_call *))
{
    c->request = r;
    c->at = 0;
    c->count = count;
    c->owner_of = owner_of;
    c->run = run;
    c->finish = finish;
    r->context = c;
    r->abandoned = abandon;
    step(c);
}

bool group_call_copy(struct group_call *c, struct slice from, struct slice *ret_copy)
{
    if (from.data && arena_copy(&c->request->arena, from, ret_copy))
        return true;
    *ret_copy = SLICE_EMPTY;
    return !from.data;
}
