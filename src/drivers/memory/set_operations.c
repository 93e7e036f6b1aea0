/* Union, Intersection, Difference of sets: one page, with the locks of all of them.
 *
 * A union is a merge of the sets in the order of their members; the others walk one set (the smallest, or the first) and look each
 * member up in the rest. A page looks at LOOKS members at the most, so that locks are held some milliseconds and no longer: what is
 * left over is the next page's, which begins behind the last member that was looked at. */
#include "prism/set/v1/set_operations.ops.h"

#include "data/set.h"
#include "drivers/memory/internal.h"

enum { LOOKS = LIMIT_OPERATION_MEMBERS };

struct operation {
    struct set_walk walk;
    const struct ranked *sets[LIMIT_OPERATION_KEYS]; /* NULL: there is no such set */
    struct member *at[LIMIT_OPERATION_KEYS];         /* of a union: the next member of each */
    uint32_t looks;
    struct slice reached; /* looked at last; copied into the arena at the end */
};

/* --- union ---------------------------------------------------------------------------------------------------------------------- */

/* The first member that any set has next; NULL: all have ended. */
static struct member *lowest(const struct operation *o)
{
    struct member *lowest = NULL;
    for (uint32_t i = 0; i < o->walk.key_count; i++)
        if (o->at[i] && (!lowest || slice_cmp(member_slice(o->at[i]), member_slice(lowest)) < 0))
            lowest = o->at[i];
    return lowest;
}

static void pass(struct operation *o, struct slice member)
{
    for (uint32_t i = 0; i < o->walk.key_count; i++)
        if (o->at[i] && slice_eq(member_slice(o->at[i]), member))
            o->at[i] = o->at[i]->links[0].next;
}

static enum err unite(struct operation *o, bool *ret_more)
{
    struct member *m;
    for (uint32_t i = 0; i < o->walk.key_count; i++)
        o->at[i] = o->sets[i] ? memory_set_from(o->sets[i], o->walk.after) : NULL;
    while ((m = lowest(o)) != NULL) {
        enum err e = o->looks < LOOKS ? set_walk_take(&o->walk, member_slice(m), ret_more) : OK;
        *ret_more |= o->looks >= LOOKS;
        if (e || *ret_more)
            return e;
        o->looks += o->walk.key_count;
        o->reached = member_slice(m);
        pass(o, o->reached);
    }
    return OK;
}

/* --- intersection and difference ------------------------------------------------------------------------------------------------ */

/* Which set is walked. An intersection with a set that is not there is empty: NULL. */
static uint32_t walked(const struct operation *o)
{
    uint32_t smallest = 0;
    for (uint32_t i = 0; o->walk.operator== SET_INTERSECTION && i<o->walk.key_count; i++) {
        if (!o->sets[i])
            return i;
        if (ranked_count(o->sets[i]) < ranked_count(o->sets[smallest]))
            smallest = i;
    }
    return smallest;
}

/* Whether the member of set number own belongs to the result. */
static bool belongs(struct operation *o, uint32_t own, struct slice member)
{
    bool wanted = o->walk.operator== SET_INTERSECTION;
    for (uint32_t i = 0; i < o->walk.key_count; i++) {
        if (i == own)
            continue;
        o->looks++;
        bool there = o->sets[i] && memory_ranked_find(o->sets[i], member);
        if (there != wanted)
            return false;
    }
    return true;
}

static enum err sift(struct operation *o, bool *ret_more)
{
    uint32_t own = walked(o);
    struct member *m = o->sets[own] ? memory_set_from(o->sets[own], o->walk.after) : NULL;
    enum err e = OK;
    for (; m && !e; m = m->links[0].next) {
        *ret_more = o->looks >= LOOKS;
        if (!*ret_more && belongs(o, own, member_slice(m)))
            e = set_walk_take(&o->walk, member_slice(m), ret_more);
        if (*ret_more)
            break;
        o->looks++;
        o->reached = member_slice(m);
    }
    return e;
}

/* -------------------------------------------------------------------------------------------------------------------------------- */

static enum err page_locked(struct memory *m, struct operation *o, bool *ret_more)
{
    struct shelf *shelf = &m->shelves[SHELF_SETS];
    for (uint32_t i = 0; i < o->walk.key_count; i++) {
        struct slice key = o->walk.keys[i];
        struct box *box = memory_box_find(&shelf->bays[memory_bay_number(shelf, key)], key);
        o->sets[i] = box ? &box->members : NULL;
    }
    enum err e = o->walk.operator== SET_UNION ? unite(o, ret_more) : sift(o, ret_more);
    if (!e && *ret_more && !arena_copy(o->walk.call->arena, o->reached, &o->reached))
        e = ERR_NOMEM;
    return e;
}

static void operate(struct backend *backend, struct call *call)
{
    struct memory *m = (struct memory *)backend;
    struct operation *o = arena_new(call->arena, struct operation);
    bool more = false;
    enum err e = o ? set_walk_make(call, &o->walk) : ERR_NOMEM;
    if (!e) {
        uint32_t bays = memory_bays_lock(&m->shelves[SHELF_SETS], o->walk.keys, o->walk.key_count);
        e = page_locked(m, o, &more);
        memory_bays_unlock(&m->shelves[SHELF_SETS], bays);
    }
    if (e)
        call_end(call, e);
    else
        set_walk_answer(&o->walk, more, o->reached);
}

static void unite_sets(struct backend *backend, struct call *call, const struct set_union_request *r)
{
    (void)r;
    operate(backend, call);
}

static void intersect_sets(struct backend *backend, struct call *call, const struct set_intersection_request *r)
{
    (void)r;
    operate(backend, call);
}

static void subtract_sets(struct backend *backend, struct call *call, const struct set_difference_request *r)
{
    (void)r;
    operate(backend, call);
}

const struct set_operations_ops memory_set_operations = {
    .union_ = unite_sets, .intersection = intersect_sets, .difference = subtract_sets};
