/* Union and Intersection: all members of the sets are read and joined by their bytes on a reader's thread; the loop sorts the
 * results and answers a page of them. */
#include "drivers/sqlite/sortedset.h"
#include "prism/sortedset/v1/sortedset_operations.ops.h"

struct joined {
    struct scored scored; /* the first member */
    uint32_t sets;        /* it has been found in so many */
};

struct join_operation {
    struct sqlite_operation operation;
    struct sortedset_operation what;
    struct joined *items;
    uint32_t count;
    struct map by_member; /* of items, while it runs */
};

/* --- joining, on a reader's thread ------------------------------------------------------------------------------------------------ */

static enum err add_new(struct join_operation *o, double score, struct slice member)
{
    struct joined *item = &o->items[o->count];
    if (!arena_copy(o->operation.call->arena, member, &item->scored.member))
        return ERR_NOMEM;
    item->scored.score = score;
    item->sets = 1;
    o->count++;
    return map_put(&o->by_member, item->scored.member, item, NULL);
}

static enum err join(struct join_operation *o, uint32_t index, double score, struct slice member)
{
    struct joined *item = map_get(&o->by_member, member);
    score = score_weigh(score, o->what.weights[index]);
    if (!item)
        return o->what.intersection && index ? OK : add_new(o, score, member);
    item->scored.score = score_join(o->what.aggregate, item->scored.score, score);
    item->sets++;
    return OK;
}

static enum err join_set(struct join_operation *o, uint32_t index, const struct sqlite_collection *set)
{
    struct sqlite_connection *c = o->operation.connection;
    sqlite3_stmt *s;
    bool row = true;
    enum err e = sqlite_sorted_from(c, set, false, 0, &s);
    if (e)
        return e;
    for (uint64_t left = set->size; left && !e; left--) {
        e = sqlite_step(c, s, &row);
        if (!e && !row)
            e = ERR_CORRUPT;
        if (!e)
            e = join(o, index, sqlite3_column_double(s, 0), sqlite_column_slice(s, 1));
    }
    sqlite_reset(s);
    return e;
}

static enum err join_all(struct join_operation *o, const struct sqlite_collection *sets, uint64_t total)
{
    struct hash_key secret;
    const struct env *env = o->operation.store->env;
    o->items = arena_array(o->operation.call->arena, struct joined, total);
    if (!o->items)
        return ERR_NOMEM;
    env->random(env, &secret, sizeof secret);
    map_init(&o->by_member, LIMIT_OPERATION_MEMBERS, &secret);
    enum err e = OK;
    for (uint32_t i = 0; i < o->what.key_count && !e; i++)
        if (sets[i].id)
            e = join_set(o, i, &sets[i]);
    map_fini(&o->by_member);
    return e;
}

static enum err find_sets(struct join_operation *o, struct sqlite_collection *sets, uint64_t *ret_total)
{
    uint64_t total = 0;
    enum err e = OK;
    for (uint32_t i = 0; i < o->what.key_count && !e; i++) {
        e = sqlite_sorted_find(&o->operation, o->what.keys[i], &sets[i]);
        total += e ? 0 : sets[i].size;
    }
    *ret_total = total;
    if (!e && total > LIMIT_OPERATION_MEMBERS)
        e = sortedset_operation_too_large(&o->operation.call->diag);
    return e;
}

static enum err run_join(struct sqlite_operation *operation)
{
    struct join_operation *o = (struct join_operation *)operation;
    struct sqlite_collection *sets = arena_array(operation->call->arena, struct sqlite_collection, o->what.key_count);
    uint64_t total;
    if (!sets)
        return ERR_NOMEM;
    enum err e = find_sets(o, sets, &total);
    return e || !total ? e : join_all(o, sets, total);
}

/* --- answering, on the loop ------------------------------------------------------------------------------------------------------- */

/* Those that belong to the result move together at the front. */
static struct scored *results_of(struct join_operation *o, size_t *ret_count)
{
    struct scored *results = arena_array(o->operation.call->arena, struct scored, o->count);
    size_t count = 0;
    for (uint32_t i = 0; results && i < o->count; i++)
        if (!o->what.intersection || o->items[i].sets == o->what.key_count)
            results[count++] = o->items[i].scored;
    *ret_count = count;
    return results;
}

static void answer_join(struct sqlite_operation *operation)
{
    struct join_operation *o = (struct join_operation *)operation;
    struct scored *results = NULL;
    size_t count = 0;
    if (!operation->outcome && o->count && !(results = results_of(o, &count)))
        operation->outcome = ERR_NOMEM;
    if (operation->outcome)
        sqlite_refuse(operation, operation->outcome);
    else
        sortedset_operation_answer(&o->what, results, count);
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

static void unite(struct backend *backend, struct call *call, const struct sortedset_union_request *request)
{
    (void)request;
    operate(backend, call);
}

static void intersect(struct backend *backend, struct call *call, const struct sortedset_intersection_request *request)
{
    (void)request;
    operate(backend, call);
}

const struct sortedset_operations_ops sqlite_sortedset_operations = {.union_ = unite, .intersection = intersect};
