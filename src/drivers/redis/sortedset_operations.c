/* Union, Intersection: the server joins, the page is made here. */
#include "data/sortedset.h"
#include "drivers/redis/operation.h"
#include "prism/sortedset/v1/sortedset_operations.ops.h"

struct join_operation {
    struct redis_operation operation;
    struct sortedset_operation join;
};

static void answered(struct redis_operation *o)
{
    struct sortedset_operation *join = &((struct join_operation *)o)->join;
    const struct resp *result = redis_method_result(o);
    if (!result)
        return;
    if (!resp_at(result, 0)->integer) {
        redis_operation_fail(o, sortedset_operation_too_large(&o->call->diag));
        return;
    }
    uint32_t count = result->count / 2;
    struct scored *scored = arena_array(o->call->arena, struct scored, count + 1);
    if (!scored) {
        redis_operation_fail(o, ERR_NOMEM);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        scored[i] = (struct scored){score_kept(redis_score(resp_at(result, 2 * i + 2)->text)),
                                    resp_at(result, 2 * i + 1)->text};
    sortedset_operation_answer(join, scored, count);
}

static struct slice aggregate_word(enum sortedset_score_aggregate aggregate)
{
    return aggregate == SCORE_AGGREGATE_MIN   ? SLICE("MIN")
           : aggregate == SCORE_AGGREGATE_MAX ? SLICE("MAX")
                                              : SLICE("SUM");
}

static void put_join(struct resp_command *words, const struct sortedset_operation *join)
{
    resp_put(words, join->intersection ? SLICE("ZINTER") : SLICE("ZUNION"));
    resp_put_integer(words, LIMIT_OPERATION_MEMBERS);
    resp_put(words, aggregate_word(join->aggregate));
    resp_put_integer(words, join->key_count);
    for (uint32_t i = 0; i < join->key_count; i++)
        resp_put(words, join->keys[i]);
    for (uint32_t i = 0; i < join->key_count; i++)
        redis_put_score(words, join->weights[i]);
}

static void send_join(struct backend *backend, struct call *call)
{
    struct join_operation *o = redis_operation_new(backend, call, sizeof *o, answered);
    if (!o)
        return;
    enum err e = sortedset_operation_make(call, &o->join);
    if (!e && o->join.key_count > 1)
        e = redis_check_one_bucket(&o->operation, "an operation on several sorted sets");
    struct redis_part *p = e ? NULL : redis_part_method(&o->operation, REDIS_SORTEDSET, "join", o->join.keys[0]);
    if (p) {
        put_join(&p->command->words, &o->join);
        p->command->slow = true;
    }
    redis_part_send(&o->operation, p, e);
}

static void union_of(struct backend *backend, struct call *call, const struct sortedset_union_request *request)
{
    (void)request;
    send_join(backend, call);
}

static void intersection(struct backend *backend, struct call *call,
                         const struct sortedset_intersection_request *request)
{
    (void)request;
    send_join(backend, call);
}

const struct sortedset_operations_ops redis_sortedset_operations = {.union_ = union_of, .intersection = intersection};
