/* Union and Intersection on a reader's thread; the loop sorts the results and answers a page of them.
 *
 * A union reads all members of the sets and joins them by their bytes. An intersection reads the smallest set alone and looks its
 * members up in the others. */
#include "drivers/sqlite/sortedset.h"
#include "prism/sortedset/v1/sortedset_operations.ops.h"

struct join_operation {
    struct sqlite_operation operation;
    struct sortedset_operation what;
    struct sqlite_collection *sets; /* size 0: there is no such set */
    struct scored *results;
    uint32_t count;
    struct map by_member; /* of results, while a union runs */
};

static enum err add_result(struct join_operation *o, double score, struct slice member)
{
    struct scored *result = &o->results[o->count];
    if (!arena_copy(o->operation.call->arena, member, &result->member))
        return ERR_NOMEM;
    result->score = score;
    o->count++;
    return OK;
}

/* The members of a set one after the other, in its order. */
typedef enum err join_member_fn(struct join_operation *, uint32_t index, double score, struct slice member);

static enum err for_each_member(struct join_operation *o, uint32_t index, join_member_fn *fn)
{
    struct sqlite_connection *c = o->operation.connection;
    sqlite3_stmt *s;
    bool row = true;
    enum err e = sqlite_sorted_from(c, &o->sets[index], false, 0, &s);
    if (e)
        return e;
    for (uint64_t left = o->sets[index].size; left && !e; left--) {
        e = sqlite_step(c, s, &row);
        if (!e && !row)
            e = ERR_CORRUPT;
        if (!e)
            e = fn(o, index, sqlite3_column_double(s, 0), sqlite_column_slice(s, 1));
    }
    sqlite_reset(s);
    return e;
}

/* --- union, on a reader's thread -------------------------------------------------------------------------------------------------- */

static enum err unite(struct join_operation *o, uint32_t index, double score, struct slice member)
{
    struct scored *there = map_get(&o->by_member, member);
    score = score_weigh(score, o->what.weights[index]);
    if (there) {
        there->score = score_join(o->what.aggregate, there->score, score);
        return OK;
    }
    there = &o->results[o->count];
    enum err e = add_result(o, score, member);
    return e ? e : map_put(&o->by_member, there->member, there, NULL);
}

static enum err unite_all(struct join_operation *o)
{
    struct hash_key secret;
    const struct env *env = o->operation.store->env;
    enum err e = OK;
    env->random(env, &secret, sizeof secret);
    map_init(&o->by_member, LIMIT_OPERATION_MEMBERS, &secret);
    for (uint32_t i = 0; i < o->what.key_count && !e; i++)
        if (o->sets[i].id)
            e = for_each_member(o, i, unite);
    map_fini(&o->by_member);
    return e;
}

/* --- intersection, on a reader's thread ------------------------------------------------------------------------------------------- */

static uint32_t smallest(const struct join_operation *o)
{
    uint32_t smallest = 0;
    for (uint32_t i = 1; i < o->what.key_count; i++)
        if (o->sets[i].size < o->sets[smallest].size)
            smallest = i;
    return smallest;
}

/* Joins the member's scores in the order of the keys, as a union does. */
static enum err intersect(struct join_operation *o, uint32_t index, double own_score, struct slice member)
{
    bool found = true;
    double joined = 0;
    enum err e = OK;
    for (uint32_t i = 0; i < o->what.key_count && found && !e; i++) {
        double score = own_score;
        if (i != index)
            e = sqlite_sorted_score(o->operation.connection, &o->sets[i], member, &found, &score);
        if (e || !found)
            break;
        score = score_weigh(score, o->what.weights[i]);
        joined = i ? score_join(o->what.aggregate, joined, score) : score;
    }
    return e || !found ? e : add_result(o, joined, member);
}

/* ---------------------------------------------------------------------------------------------------------------------------------- */

/* Finds the sets; how many members there will be to look at. */
static enum err find_sets(struct join_operation *o, uint64_t *ret_members)
{
    uint64_t total = 0;
    enum err e = OK;
    for (uint32_t i = 0; i < o->what.key_count && !e; i++) {
        e = sqlite_sorted_find(&o->operation, o->what.keys[i], &o->sets[i]);
        total += e ? 0 : o->sets[i].size;
    }
    if (!e)
        *ret_members = o->what.intersection ? o->sets[smallest(o)].size : total;
    return e;
}

static enum err run_join(struct sqlite_operation *operation)
{
    struct join_operation *o = (struct join_operation *)operation;
    struct arena *arena = operation->call->arena;
    uint64_t members;
    o->sets = arena_array(arena, struct sqlite_collection, o->what.key_count);
    enum err e = o->sets ? find_sets(o, &members) : ERR_NOMEM;
    if (e || !members)
        return e;
    if (members > LIMIT_OPERATION_MEMBERS)
        return sortedset_operation_too_large(&operation->call->diag);
    o->results = arena_array(arena, struct scored, members);
    if (!o->results)
        return ERR_NOMEM;
    return o->what.intersection ? for_each_member(o, smallest(o), intersect) : unite_all(o);
}

static void answer_join(struct sqlite_operation *operation)
{
    struct join_operation *o = (struct join_operation *)operation;
    if (operation->outcome)
        sqlite_refuse(operation, operation->outcome);
    else
        sortedset_operation_answer(&o->what, o->results, o->count);
}

static void operate(struct backend *backend, struct call *call)
{
    struct join_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_join);
    if (!o)
        return;
    o->operation.heavy = true;
    o->operation.answer = answer_join;
    sqlite_read_checked(&o->operation, sortedset_operation_make(call, &o->what));
}

static void unite_sets(struct backend *backend, struct call *call, const struct sortedset_union_request *request)
{
    (void)request;
    operate(backend, call);
}

static void intersect_sets(struct backend *backend, struct call *call,
                           const struct sortedset_intersection_request *request)
{
    (void)request;
    operate(backend, call);
}

const struct sortedset_operations_ops sqlite_sortedset_operations = {.union_ = unite_sets,
                                                                     .intersection = intersect_sets};
