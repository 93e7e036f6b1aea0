/* Union and Intersection of sorted sets: weights, how scores are joined, and a page of the sorted result.
 *
 * Source of the rules for infinities: Redis ZUNIONSTORE, where what is not a number counts as 0. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "data/sortedset.h"

_Static_assert(sizeof(struct sortedset_union_request) == sizeof(struct sortedset_intersection_request) &&
                   offsetof(struct sortedset_union_request, cursor) ==
                       offsetof(struct sortedset_intersection_request, cursor),
               "taken for each other");

double score_weigh(double score, double weight)
{
    double weighed = score * weight;
    return isnan(weighed) ? 0 : score_kept(weighed);
}

double score_join(enum sortedset_score_aggregate aggregate, double a, double b)
{
    if (aggregate == SCORE_AGGREGATE_MIN)
        return a < b ? a : b;
    if (aggregate == SCORE_AGGREGATE_MAX)
        return a > b ? a : b;
    double sum = a + b;
    return isnan(sum) ? 0 : score_kept(sum);
}

enum err sortedset_operation_too_large(struct diag *diag)
{
    diag_set(diag, ERR_OPERATION_TOO_LARGE, "the sorted sets have more members than the %d that one call looks at",
             LIMIT_OPERATION_MEMBERS);
    diag_meta(diag, "members_max", "%d", LIMIT_OPERATION_MEMBERS);
    return ERR_OPERATION_TOO_LARGE;
}

/* --- requests ------------------------------------------------------------------------------------------------------------------- */

static enum err all_weigh_1(struct sortedset_operation *o)
{
    double *weights = arena_array(o->walk.call->arena, double, o->key_count);
    if (!weights)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < o->key_count; i++)
        weights[i] = 1;
    o->weights = weights;
    return OK;
}

static enum err take_weights(struct sortedset_operation *o, const struct pb_array *weights)
{
    struct diag *diag = &o->walk.call->diag;
    if (!weights->count)
        return all_weigh_1(o);
    if (weights->count != o->key_count)
        return collection_invalid(diag, "weights", "must be none, or one for each key");
    for (uint32_t i = 0; i < weights->count; i++)
        if (isnan(PB_AT(*weights, double, i)))
            return collection_invalid(diag, "weights", "has an item that is not a number");
    o->weights = weights->items;
    return OK;
}

static enum err take_aggregate(struct sortedset_operation *o, int32_t aggregate)
{
    if (aggregate < SCORE_AGGREGATE_UNSPECIFIED || aggregate > SCORE_AGGREGATE_MAX)
        return collection_invalid(&o->walk.call->diag, "aggregate", "must be one of SUM, MIN, MAX");
    o->aggregate = aggregate ? (enum sortedset_score_aggregate)aggregate : SCORE_AGGREGATE_SUM;
    return OK;
}

static enum err take_up(struct sortedset_operation *o, struct slice cursor)
{
    struct walk_hash h;
    walk_hash_begin(&h, o->walk.call);
    walk_hash_add_number(&h, (uint64_t)o->aggregate << 1 | o->walk.reverse);
    for (uint32_t i = 0; i < o->key_count; i++) {
        uint64_t bits;
        memcpy(&bits, &o->weights[i], sizeof bits);
        walk_hash_add(&h, o->keys[i]);
        walk_hash_add_number(&h, bits);
    }
    return sortedset_walk_take_up(&o->walk, &h, cursor);
}

enum err sortedset_operation_make(struct call *call, struct sortedset_operation *ret_operation)
{
    const struct sortedset_union_request *r = call->request;
    struct sortedset_operation o = {.intersection = call->method->pb->input == &sortedset_intersection_request_pb,
                                    .keys = r->keys.items,
                                    .key_count = r->keys.count,
                                    .walk = sortedset_walk_everything(call)};
    o.walk.reverse = r->reverse;
    o.walk.page = page_of(r->page_size);
    enum err e = collection_check_keys(&r->keys, &call->diag);
    if (!e)
        e = take_weights(&o, &r->weights);
    if (!e)
        e = take_aggregate(&o, r->aggregate);
    if (!e)
        e = take_up(&o, r->cursor);
    if (!e)
        *ret_operation = o;
    return e;
}

/* --- answers -------------------------------------------------------------------------------------------------------------------- */

static int upwards(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    return place_cmp(x->score, x->member, y->score, y->member);
}

static int downwards(const void *a, const void *b)
{
    return upwards(b, a);
}

static bool is_passed(const struct sortedset_walk *w, const struct scored *s)
{
    if (!w->has_after)
        return false;
    int order = place_cmp(s->score, s->member, w->after_score, w->after_member);
    return w->reverse ? order >= 0 : order <= 0;
}

enum err sortedset_operation_page(struct sortedset_operation *o, struct scored *results, size_t count, bool *ret_more)
{
    struct sortedset_walk *w = &o->walk;
    bool full = false;
    enum err e = OK;
    if (count)
        qsort(results, count, sizeof *results, w->reverse ? downwards : upwards);
    for (size_t i = 0; !e && !full && i < count; i++)
        if (!is_passed(w, &results[i]))
            e = sortedset_walk_take(w, results[i].score, results[i].member, &full);
    if (!e)
        *ret_more = full;
    return e;
}

void sortedset_operation_answer(struct sortedset_operation *o, struct scored *results, size_t count)
{
    bool more;
    enum err e = sortedset_operation_page(o, results, count, &more);
    if (e)
        call_end(o->walk.call, e);
    else
        sortedset_walk_answer(&o->walk, more);
}
