/* GetMembers, Union, Intersection, Difference: pages of members in bytewise order.
 *
 *   union:                    the server gives the next members of each set; they are merged here, as far as every set has been seen
 *   intersection, difference: the server goes through the smallest set (the first), and gives what the others have (have not)
 *
 * Sets of one call lie in one bucket, so a page is read in one step. */
#include "data/set.h"
#include "drivers/redis/set.h"
#include "prism/set/v1/set_operations.ops.h"

struct walk_operation {
    struct redis_operation operation;
    struct set_walk walk;
};

static void put_start(struct resp_command *words, struct slice after)
{
    uint8_t *bound = arena_alloc(words->arena, after.size + 1);
    words->failed |= !bound;
    if (!bound)
        return;
    bound[0] = after.size ? '(' : '-';
    if (after.size)
        memcpy(bound + 1, after.data, after.size);
    resp_put(words, slice_of(bound, after.size + 1));
}

/* --- union ---------------------------------------------------------------------------------------------------------------------- */

/* A set's next members: {1: more may follow, members}. */
struct source {
    const struct resp *row;
    uint32_t next;
};

static struct slice head_of(const struct source *s)
{
    return resp_at(s->row, s->next)->text;
}

static bool is_out(const struct source *s)
{
    return s->next >= s->row->count;
}

/* The least of all heads; false: none is left, or a set whose members ended here has more than were given (*ret_more). */
static bool least_head(struct source *sources, uint32_t count, struct slice *ret_least, bool *ret_more)
{
    bool found = false;
    for (uint32_t i = 0; i < count; i++) {
        if (is_out(&sources[i])) {
            *ret_more |= resp_at(sources[i].row, 0)->integer != 0;
            continue;
        }
        if (!found || slice_cmp(head_of(&sources[i]), *ret_least) < 0)
            *ret_least = head_of(&sources[i]);
        found = true;
    }
    return found && !*ret_more;
}

static enum err merge(struct set_walk *w, struct source *sources, bool *ret_more, struct slice *ret_reached)
{
    struct slice least;
    bool full = false;
    *ret_more = false;
    while (least_head(sources, w->key_count, &least, ret_more)) {
        enum err e = set_walk_take(w, least, &full);
        *ret_more = full;
        if (e || full)
            return e;
        *ret_reached = least;
        for (uint32_t i = 0; i < w->key_count; i++)
            sources[i].next += !is_out(&sources[i]) && slice_eq(head_of(&sources[i]), least);
    }
    return OK;
}

static void union_answered(struct redis_operation *o)
{
    struct set_walk *w = &((struct walk_operation *)o)->walk;
    const struct resp *result = redis_method_result(o);
    struct slice reached = w->after;
    bool more = false;
    if (!result)
        return;
    struct source *sources = arena_array(o->call->arena, struct source, w->key_count);
    for (uint32_t i = 0; sources && i < w->key_count; i++)
        sources[i] = (struct source){.row = resp_at(result, i), .next = 1};
    enum err e = sources ? merge(w, sources, &more, &reached) : ERR_NOMEM;
    if (e)
        redis_operation_fail(o, e);
    else
        set_walk_answer(w, more, reached);
}

/* One more than the page may have, of each set; but together no more than one call looks at. */
static void send_union(struct walk_operation *o, enum err e)
{
    const struct set_walk *w = &o->walk;
    uint32_t each = e ? 0 : LIMIT_OPERATION_MEMBERS / w->key_count;
    struct redis_part *p = e ? NULL : redis_part_method(&o->operation, REDIS_SET_MODEL, "page", w->keys[0]);
    if (p) {
        put_start(&p->command->words, w->after);
        resp_put_integer(&p->command->words, w->page.items_max + 1 < each ? w->page.items_max + 1 : each);
        for (uint32_t i = 0; i < w->key_count; i++)
            resp_put(&p->command->words, w->keys[i]);
        p->command->slow = true;
    }
    redis_part_send(&o->operation, p, e);
}

void redis_set_get_members(struct backend *backend, struct call *call, const struct set_get_members_request *request)
{
    struct walk_operation *o = redis_operation_new(backend, call, sizeof *o, union_answered);
    (void)request;
    if (o)
        send_union(o, set_walk_make(call, &o->walk));
}

static struct walk_operation *begin(struct backend *backend, struct call *call,
                                    void (*answer)(struct redis_operation *), enum err *ret_err)
{
    struct walk_operation *o = redis_operation_new(backend, call, sizeof *o, answer);
    *ret_err = o ? set_walk_make(call, &o->walk) : ERR_NOMEM;
    if (!*ret_err && o->walk.key_count > 1)
        *ret_err = redis_check_one_bucket(&o->operation, "an operation on several sets");
    return o;
}

static void union_of(struct backend *backend, struct call *call, const struct set_union_request *request)
{
    enum err e;
    struct walk_operation *o = begin(backend, call, union_answered, &e);
    (void)request;
    if (o)
        send_union(o, e);
}

/* --- intersection and difference ------------------------------------------------------------------------------------------------ */

static void sift_answered(struct redis_operation *o)
{
    struct set_walk *w = &((struct walk_operation *)o)->walk;
    const struct resp *result = redis_method_result(o);
    enum err e = OK;
    bool full = false;
    if (!result)
        return;
    bool more = resp_at(result, 0)->integer;
    struct slice reached = resp_at(result, 1)->text;
    for (uint32_t i = 2; i < result->count && !e && !full; i++) {
        e = set_walk_take(w, resp_at(result, i)->text, &full);
        if (full)
            reached = i > 2 ? resp_at(result, i - 1)->text : w->after;
    }
    if (e)
        redis_operation_fail(o, e);
    else
        set_walk_answer(w, more || full, reached);
}

static void send_sift(struct walk_operation *o, bool in_all, enum err e)
{
    const struct set_walk *w = &o->walk;
    struct redis_part *p = e ? NULL : redis_part_method(&o->operation, REDIS_SET_MODEL, "sift", w->keys[0]);
    if (p) {
        put_start(&p->command->words, w->after);
        resp_put_integer(&p->command->words, w->page.items_max + 1);
        resp_put_integer(&p->command->words, LIMIT_OPERATION_MEMBERS);
        resp_put(&p->command->words, in_all ? SLICE("1") : SLICE("0"));
        for (uint32_t i = 0; i < w->key_count; i++)
            resp_put(&p->command->words, w->keys[i]);
        p->command->slow = true;
    }
    redis_part_send(&o->operation, p, e);
}

static void intersection(struct backend *backend, struct call *call, const struct set_intersection_request *request)
{
    enum err e;
    struct walk_operation *o = begin(backend, call, sift_answered, &e);
    (void)request;
    if (o)
        send_sift(o, true, e);
}

static void difference(struct backend *backend, struct call *call, const struct set_difference_request *request)
{
    enum err e;
    struct walk_operation *o = begin(backend, call, sift_answered, &e);
    (void)request;
    if (o)
        send_sift(o, false, e);
}

const struct set_operations_ops redis_set_operations = {
    .union_ = union_of, .intersection = intersection, .difference = difference};
