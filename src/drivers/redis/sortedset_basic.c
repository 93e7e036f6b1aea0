/* Add, Remove, GetScore, Clear; GetRank, GetReverseRank. */
#include "data/sortedset.h"
#include "drivers/redis/operation.h"
#include "prism/sortedset/v1/sortedset_basic.ops.h"
#include "prism/sortedset/v1/sortedset_rank.ops.h"

static uint64_t number(const struct resp *result, uint32_t index)
{
    return (uint64_t)resp_at(result, index)->integer;
}

/* --- add, remove, clear --------------------------------------------------------------------------------------------------------- */

static void add_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct sortedset_add_response){.added = number(result, 0), .updated = number(result, 1)});
}

static void add(struct backend *backend, struct call *call, const struct sortedset_add_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, add_answered);
    if (!o)
        return;
    enum err e = sortedset_check_add(call, r);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_SORTEDSET, "add", r->key);
    for (uint32_t i = 0; p && i < r->members.count; i++) {
        const struct sortedset_scored_member *m = PB_AT(r->members, const struct sortedset_scored_member *, i);
        redis_put_score(&p->command->words, score_kept(m->score));
        resp_put(&p->command->words, m->member);
    }
    redis_part_send(o, p, e);
}

static void remove_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct sortedset_remove_response){.removed = number(result, 0)});
}

static void remove_members(struct backend *backend, struct call *call, const struct sortedset_remove_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, remove_answered);
    if (!o)
        return;
    enum err e = sortedset_check_remove(call, r);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_SORTEDSET, "remove", r->key);
    for (uint32_t i = 0; p && i < r->members.count; i++)
        resp_put(&p->command->words, PB_AT(r->members, struct slice, i));
    redis_part_send(o, p, e);
}

static void clear_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct sortedset_clear_response){.removed = number(result, 0)});
}

static void clear(struct backend *backend, struct call *call, const struct sortedset_clear_request *r)
{
    struct redis_operation *o = redis_mutation_new(backend, call, sizeof *o, clear_answered);
    if (o)
        redis_method_send(o, REDIS_SORTEDSET, "clear", r->key, collection_check_key(r->key, &call->diag));
}

/* --- one member ----------------------------------------------------------------------------------------------------------------- */

static void score_answered(struct redis_operation *o)
{
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct sortedset_get_score_response){.found = result->count,
                                                                   .score = redis_score(resp_at(result, 0)->text)});
}

static void get_score(struct backend *backend, struct call *call, const struct sortedset_get_score_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, score_answered);
    if (!o)
        return;
    enum err e = sortedset_check_member(call, r->key, r->member);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_SORTEDSET, "score", r->key);
    if (p)
        resp_put(&p->command->words, r->member);
    redis_part_send(o, p, e);
}

/* Both answers are of one layout. */
static void rank_answered(struct redis_operation *o)
{
    _Static_assert(sizeof(struct sortedset_get_rank_response) == sizeof(struct sortedset_get_reverse_rank_response),
                   "taken for each other");
    const struct resp *result = redis_method_result(o);
    if (result)
        call_reply(o->call, &(struct sortedset_get_rank_response){.found = result->count,
                                                                  .rank = number(result, 0),
                                                                  .score = redis_score(resp_at(result, 1)->text)});
}

static void send_rank(struct backend *backend, struct call *call, struct slice key, struct slice member,
                      struct slice command)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, rank_answered);
    if (!o)
        return;
    enum err e = sortedset_check_member(call, key, member);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_SORTEDSET, "rank", key);
    if (p) {
        resp_put(&p->command->words, command);
        resp_put(&p->command->words, member);
    }
    redis_part_send(o, p, e);
}

static void get_rank(struct backend *backend, struct call *call, const struct sortedset_get_rank_request *r)
{
    send_rank(backend, call, r->key, r->member, SLICE("ZRANK"));
}

static void get_reverse_rank(struct backend *backend, struct call *call,
                             const struct sortedset_get_reverse_rank_request *r)
{
    send_rank(backend, call, r->key, r->member, SLICE("ZREVRANK"));
}

const struct sortedset_basic_ops redis_sortedset_basic = {
    .add = add, .remove = remove_members, .get_score = get_score, .clear = clear};
const struct sortedset_rank_ops redis_sortedset_rank = {.get_rank = get_rank, .get_reverse_rank = get_reverse_rank};
