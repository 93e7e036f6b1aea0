/* Pages of members in bytewise order: GetMembers, Union, Intersection, Difference.
 *
 * An intersection walks its smallest set and a difference its first one, and looks each member up in the others. A union steps
 * through all its sets at once: each has a head, its first member behind the last one answered, and the lowest head is next.
 * One statement serves all of them, as it is asked anew for each head. */
#include "drivers/sqlite/set.h"
#include "prism/set/v1/set_operations.ops.h"

/* Members that a page may look at without taking them. */
enum { LOOKS_MAX = LIMIT_OPERATION_MEMBERS };

struct head {
    struct sqlite_collection set; /* id 0: it has no more members */
    struct slice member;
    uint8_t bytes[LIMIT_MEMBER_BYTES];
};

struct walk_operation {
    struct sqlite_operation operation;
    struct set_walk walk;
    struct head *heads; /* one for each key of the request */
    bool more;
    struct slice reached;
    uint8_t reached_bytes[LIMIT_MEMBER_BYTES];
};

static void reach(struct walk_operation *o, struct slice member)
{
    memcpy(o->reached_bytes, member.data, member.size);
    o->reached = slice_of(o->reached_bytes, member.size);
}

/* Takes the member into the page; *ret_end: there was no room for it. */
static enum err take(struct walk_operation *o, struct slice member, bool *ret_end)
{
    enum err e = set_walk_take(&o->walk, member, ret_end);
    if (e)
        return e;
    if (*ret_end)
        o->more = true;
    else
        reach(o, member);
    return OK;
}

enum err sqlite_set_has(struct sqlite_connection *c, const struct sqlite_collection *set, struct slice member,
                        bool *ret_has)
{
    sqlite3_stmt *s;
    *ret_has = false;
    if (!set->id)
        return OK;
    enum err e = sqlite_prepare_for(c, STATEMENT_SET_HAS, set, &s);
    if (e)
        return e;
    sqlite_bind_slice(s, 2, member);
    e = sqlite_step(c, s, ret_has);
    sqlite_reset(s);
    return e;
}

/* --- one set, filtered by the others --------------------------------------------------------------------------------------------- */

static enum err belongs(struct walk_operation *o, const struct head *base, struct slice member, bool *ret_belongs)
{
    bool intersection = o->walk.operator== SET_INTERSECTION, has = intersection;
    enum err e = OK;
    for (uint32_t i = 0; i < o->walk.key_count && !e && has == intersection; i++)
        if (&o->heads[i] != base)
            e = sqlite_set_has(o->operation.connection, &o->heads[i].set, member, &has);
    *ret_belongs = has == intersection;
    return e;
}

static enum err walk_rows(struct walk_operation *o, const struct head *base, sqlite3_stmt *s)
{
    bool row, fits, end = false;
    enum err e = OK;
    for (unsigned looks = 0; !e && !end; looks++) {
        e = sqlite_step(o->operation.connection, s, &row);
        if (e || !row)
            break;
        struct slice member = sqlite_column_slice(s, 0);
        e = member.size <= sizeof o->reached_bytes ? belongs(o, base, member, &fits) : ERR_CORRUPT;
        if (!e && fits)
            e = take(o, member, &end);
        else if (!e)
            reach(o, member);
        if (looks >= LOOKS_MAX)
            end = o->more = true;
    }
    return e;
}

static enum err walk_filtered(struct walk_operation *o, const struct head *base)
{
    sqlite3_stmt *s;
    if (!base->set.id)
        return OK;
    enum err e = sqlite_prepare_for(o->operation.connection, STATEMENT_SET_WALK, &base->set, &s);
    if (e)
        return e;
    sqlite_bind_slice(s, 2, o->walk.after);
    e = walk_rows(o, base, s);
    sqlite_reset(s);
    return e;
}

/* --- all sets at once ------------------------------------------------------------------------------------------------------------- */

/* The set's first member behind another. */
static enum err advance(struct sqlite_connection *c, struct head *h, struct slice behind)
{
    sqlite3_stmt *s;
    bool row;
    enum err e = sqlite_prepare_for(c, STATEMENT_SET_WALK, &h->set, &s);
    if (e)
        return e;
    sqlite_bind_slice(s, 2, behind);
    e = sqlite_step(c, s, &row);
    if (!e && row) {
        struct slice member = sqlite_column_slice(s, 0);
        e = member.size <= sizeof h->bytes ? OK : ERR_CORRUPT;
        if (!e)
            memcpy(h->bytes, member.data, member.size);
        h->member = slice_of(h->bytes, e ? 0 : member.size);
    } else if (!e) {
        h->set.id = 0;
    }
    sqlite_reset(s);
    return e;
}

static const struct head *lowest(const struct walk_operation *o)
{
    const struct head *found = NULL;
    for (uint32_t i = 0; i < o->walk.key_count; i++)
        if (o->heads[i].set.id && (!found || slice_cmp(o->heads[i].member, found->member) < 0))
            found = &o->heads[i];
    return found;
}

/* Heads that stand at the member last reached, which may be the same in several sets. */
static enum err advance_reached(struct walk_operation *o)
{
    enum err e = OK;
    for (uint32_t i = 0; i < o->walk.key_count && !e; i++)
        if (o->heads[i].set.id && slice_eq(o->heads[i].member, o->reached))
            e = advance(o->operation.connection, &o->heads[i], o->reached);
    return e;
}

static enum err walk_union(struct walk_operation *o)
{
    const struct head *next;
    bool end = false;
    enum err e = OK;
    for (uint32_t i = 0; i < o->walk.key_count && !e; i++)
        if (o->heads[i].set.id)
            e = advance(o->operation.connection, &o->heads[i], o->walk.after);
    while (!e && !end && (next = lowest(o))) {
        e = take(o, next->member, &end);
        if (!e && !end)
            e = advance_reached(o);
    }
    return e;
}

/* --- a page ------------------------------------------------------------------------------------------------------------------------ */

static enum err find_sets(struct walk_operation *o)
{
    enum err e = OK;
    for (uint32_t i = 0; i < o->walk.key_count && !e; i++)
        e = sqlite_collection_find(o->operation.connection, SQLITE_SET, o->walk.keys[i], &o->heads[i].set);
    return e;
}

static const struct head *smallest(const struct walk_operation *o)
{
    const struct head *found = o->heads;
    for (uint32_t i = 1; i < o->walk.key_count; i++)
        if (o->heads[i].set.size < found->set.size)
            found = &o->heads[i];
    return found;
}

static enum err run_walk(struct sqlite_operation *operation)
{
    struct walk_operation *o = (struct walk_operation *)operation;
    enum err e = find_sets(o);
    if (e)
        return e;
    if (o->walk.operator== SET_INTERSECTION)
        return walk_filtered(o, smallest(o));
    if (o->walk.operator== SET_DIFFERENCE || o->walk.key_count == 1)
        return walk_filtered(o, o->heads);
    return walk_union(o);
}

static void answer_walk(struct sqlite_operation *operation)
{
    struct walk_operation *o = (struct walk_operation *)operation;
    if (operation->outcome)
        sqlite_refuse(operation, operation->outcome);
    else
        set_walk_answer(&o->walk, o->more, o->reached);
}

void sqlite_set_walk(struct backend *backend, struct call *call)
{
    struct walk_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_walk);
    if (!o)
        return;
    o->operation.heavy = true;
    o->operation.answer = answer_walk;
    enum err e = set_walk_make(call, &o->walk);
    if (!e && !(o->heads = arena_array(call->arena, struct head, o->walk.key_count)))
        e = ERR_NOMEM;
    sqlite_read_checked(&o->operation, e);
}

static void unite(struct backend *backend, struct call *call, const struct set_union_request *request)
{
    (void)request;
    sqlite_set_walk(backend, call);
}

static void intersect(struct backend *backend, struct call *call, const struct set_intersection_request *request)
{
    (void)request;
    sqlite_set_walk(backend, call);
}

static void subtract(struct backend *backend, struct call *call, const struct set_difference_request *request)
{
    (void)request;
    sqlite_set_walk(backend, call);
}

const struct set_operations_ops sqlite_set_operations = {
    .union_ = unite, .intersection = intersect, .difference = subtract};
