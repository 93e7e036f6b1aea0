/* Union and Intersection of sorted sets, with the locks of all of them: results borrow the members' bytes until the page has been
 * copied. */
#include "prism/sortedset/v1/sortedset_operations.ops.h"

#include "data/sortedset.h"
#include "drivers/memory/internal.h"

struct operation {
    struct sortedset_operation rules;
    const struct ranked *sets[LIMIT_OPERATION_KEYS]; /* NULL: there is no such sorted set */
    struct scored *results;
    size_t count;
};

static enum err make_results(struct operation *o, uint64_t most)
{
    struct call *call = o->rules.walk.call;
    if (most > LIMIT_OPERATION_MEMBERS)
        return sortedset_operation_too_large(&call->diag);
    o->results = arena_array(call->arena, struct scored, most ? most : 1);
    return o->results ? OK : ERR_NOMEM;
}

/* --- union ---------------------------------------------------------------------------------------------------------------------- */

static enum err add_to_union(struct operation *o, struct map *by_member, const struct member *m, double weight)
{
    struct slice bytes = member_slice(m);
    double score = score_weigh(m->score, weight);
    struct scored *there = map_get(by_member, bytes);
    if (there) {
        there->score = score_join(o->rules.aggregate, there->score, score);
        return OK;
    }
    struct scored *fresh = &o->results[o->count];
    *fresh = (struct scored){.score = score, .member = bytes};
    enum err e = map_put(by_member, bytes, fresh, NULL);
    o->count += !e;
    return e;
}

static enum err unite_all(struct operation *o, struct map *by_member)
{
    enum err e = OK;
    for (uint32_t i = 0; i < o->rules.key_count; i++) {
        struct member *m = o->sets[i] ? ranked_first(o->sets[i]) : NULL;
        for (; !e && m; m = m->links[0].next)
            e = add_to_union(o, by_member, m, o->rules.weights[i]);
    }
    return e;
}

static enum err unite(struct memory *m, struct operation *o)
{
    struct map by_member;
    uint64_t most = 0;
    for (uint32_t i = 0; i < o->rules.key_count; i++)
        most += o->sets[i] ? ranked_count(o->sets[i]) : 0;
    enum err e = make_results(o, most);
    if (e)
        return e;
    map_init(&by_member, LIMIT_OPERATION_MEMBERS, &m->store.secret);
    e = unite_all(o, &by_member);
    map_fini(&by_member);
    return e;
}

/* --- intersection --------------------------------------------------------------------------------------------------------------- */

/* NULL: one of them is not there. */
static const struct ranked *smallest(const struct operation *o)
{
    const struct ranked *smallest = o->sets[0];
    for (uint32_t i = 0; i < o->rules.key_count; i++) {
        if (!o->sets[i])
            return NULL;
        if (ranked_count(o->sets[i]) < ranked_count(smallest))
            smallest = o->sets[i];
    }
    return smallest;
}

/* Joins the member's scores in the order of the keys. false: one of the sets does not have it. */
static bool joined(const struct operation *o, struct slice bytes, double *ret_score)
{
    double score = 0;
    for (uint32_t i = 0; i < o->rules.key_count; i++) {
        const struct member *m = memory_ranked_find(o->sets[i], bytes);
        if (!m)
            return false;
        double weighed = score_weigh(m->score, o->rules.weights[i]);
        score = i ? score_join(o->rules.aggregate, score, weighed) : weighed;
    }
    *ret_score = score;
    return true;
}

static enum err intersect(struct operation *o)
{
    const struct ranked *walked = smallest(o);
    enum err e = make_results(o, walked ? ranked_count(walked) : 0);
    for (struct member *m = walked && !e ? ranked_first(walked) : NULL; m; m = m->links[0].next) {
        struct scored *fresh = &o->results[o->count];
        fresh->member = member_slice(m);
        o->count += joined(o, fresh->member, &fresh->score);
    }
    return e;
}

/* -------------------------------------------------------------------------------------------------------------------------------- */

static enum err operate_locked(struct memory *m, struct operation *o, bool *ret_more)
{
    struct shelf *shelf = &m->shelves[SHELF_SORTEDSETS];
    for (uint32_t i = 0; i < o->rules.key_count; i++) {
        struct slice key = o->rules.keys[i];
        struct box *box = memory_box_find(&shelf->bays[memory_bay_number(shelf, key)], key);
        o->sets[i] = box ? &box->members : NULL;
    }
    enum err e = o->rules.intersection ? intersect(o) : unite(m, o);
    return e ? e : sortedset_operation_page(&o->rules, o->results, o->count, ret_more);
}

static void operate(struct backend *backend, struct call *call)
{
    struct memory *m = (struct memory *)backend;
    struct operation *o = arena_new(call->arena, struct operation);
    bool more = false;
    enum err e = o ? sortedset_operation_make(call, &o->rules) : ERR_NOMEM;
    if (!e) {
        uint32_t bays = memory_bays_lock(&m->shelves[SHELF_SORTEDSETS], o->rules.keys, o->rules.key_count);
        e = operate_locked(m, o, &more);
        memory_bays_unlock(&m->shelves[SHELF_SORTEDSETS], bays);
    }
    if (e)
        call_end(call, e);
    else
        sortedset_walk_answer(&o->rules.walk, more);
}

static void unite_sets(struct backend *backend, struct call *call, const struct sortedset_union_request *r)
{
    (void)r;
    operate(backend, call);
}

static void intersect_sets(struct backend *backend, struct call *call, const struct sortedset_intersection_request *r)
{
    (void)r;
    operate(backend, call);
}

const struct sortedset_operations_ops memory_sortedset_operations = {.union_ = unite_sets,
                                                                     .intersection = intersect_sets};
