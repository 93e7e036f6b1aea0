/* Pages of members in bytewise order: GetMembers, Union, Intersection, Difference. An intersection walks its smallest set and a
 * difference its first one, and looks each member up in the others; how many are looked at for one page is bounded. */
#include "drivers/postgres/set.h"
#include "prism/set/v1/set_operations.ops.h"

struct walk_operation {
    struct postgres_operation operation;
    struct set_walk walk;
    bool more;
    struct slice reached; /* in the call's arena */
};

static struct walk_operation *walk_of(struct postgres_operation *o)
{
    return (struct walk_operation *)o;
}

/* One row more than a page holds tells whether there is more. */
static enum err put_walk(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct set_walk *w = &walk_of(o)->walk;
    struct postgres_params p = postgres_keys_params(u, w->keys, w->key_count);
    postgres_put_int2(&p, (int16_t)w->operator);
    postgres_put_bytes(&p, w->after);
    postgres_put_int8(&p, (int64_t)w->page.items_max + 1);
    postgres_put_int8(&p, LIMIT_OPERATION_MEMBERS);
    return postgres_put(u, STATEMENT_SET_WALK, &p);
}

static enum err take_walk(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct walk_operation *w = walk_of(o);
    struct slice reached = SLICE_EMPTY;
    enum err e = OK;
    (void)index;
    for (int row = 0; row < PQntuples(r) && !e && !w->more; row++) {
        struct slice member = postgres_bytes(r, row, 0);
        if (postgres_bool(r, row, 1))
            e = set_walk_take(&w->walk, member, &w->more);
        else
            w->more = true; /* enough has been looked at */
        if (!w->more || !postgres_bool(r, row, 1))
            reached = member;
    }
    if (!e && w->more && !arena_copy(o->call->arena, reached, &w->reached))
        e = ERR_NOMEM;
    return e;
}

static void answer_walk(struct postgres_operation *o)
{
    struct walk_operation *w = walk_of(o);
    o->answer = NULL;
    if (o->outcome)
        postgres_finish(o, o->outcome);
    else
        set_walk_answer(&w->walk, w->more, w->reached);
}

void postgres_set_walk(struct backend *backend, struct call *call)
{
    struct walk_operation *w = postgres_operation_new(backend, call, sizeof *w, CLASS_HEAVY);
    if (!w)
        return;
    w->operation.answer = answer_walk;
    postgres_submit_checked(&w->operation, put_walk, take_walk, set_walk_make(call, &w->walk));
}

static void unite(struct backend *backend, struct call *call, const struct set_union_request *request)
{
    (void)request;
    postgres_set_walk(backend, call);
}

static void intersect(struct backend *backend, struct call *call, const struct set_intersection_request *request)
{
    (void)request;
    postgres_set_walk(backend, call);
}

static void subtract(struct backend *backend, struct call *call, const struct set_difference_request *request)
{
    (void)request;
    postgres_set_walk(backend, call);
}

const struct set_operations_ops postgres_set_operations = {
    .union_ = unite, .intersection = intersect, .difference = subtract};
