/* GetRange, GetRangeByScore, GetRangeByLex. The server gives one member more than a page may have; what does not fit is the next
 * page's. */
#include "data/sortedset.h"
#include "drivers/redis/operation.h"
#include "prism/sortedset/v1/sortedset_lex.ops.h"
#include "prism/sortedset/v1/sortedset_range.ops.h"

/* --- by rank -------------------------------------------------------------------------------------------------------------------- */

static void range_answered(struct redis_operation *o)
{
    enum { MEMBERS_AT = 3 };
    struct sortedset_range_answer answer = {.page = page_largest()};
    const struct resp *result = redis_method_result(o);
    enum err e = OK;
    bool full = false;
    if (!result)
        return;
    for (uint32_t i = MEMBERS_AT; i + 1 < result->count && !e && !full; i += 2)
        e = sortedset_range_take(o->call, &answer, redis_score(resp_at(result, i + 1)->text), resp_at(result, i)->text,
                                 &full);
    struct sortedset_get_range_response *r = &answer.response;
    r->size = (uint64_t)resp_at(result, 0)->integer;
    r->has_next_start = r->members.count < resp_at(result, 2)->integer;
    r->next_start = r->has_next_start ? resp_at(result, 1)->integer + r->members.count : 0;
    redis_reply(o, e, r);
}

static void get_range(struct backend *backend, struct call *call, const struct sortedset_get_range_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, range_answered);
    if (!o)
        return;
    enum err e = collection_check_key(r->key, &call->diag);
    struct redis_part *p = e ? NULL : redis_part_method(o, REDIS_SORTEDSET, "range", r->key);
    if (p) {
        resp_put_integer(&p->command->words, r->start);
        resp_put_integer(&p->command->words, r->end);
        resp_put(&p->command->words, r->reverse ? SLICE("1") : SLICE("0"));
        resp_put_integer(&p->command->words, LIMIT_PAGE_ITEMS);
        p->command->slow = true;
    }
    redis_part_send(o, p, e);
}

/* --- by score ------------------------------------------------------------------------------------------------------------------- */

struct walk_operation {
    struct redis_operation operation;
    struct sortedset_walk walk;
};

static void by_score_answered(struct redis_operation *o)
{
    struct sortedset_walk *w = &((struct walk_operation *)o)->walk;
    const struct resp *result = redis_method_result(o);
    enum err e = OK;
    bool full = false;
    if (!result)
        return;
    for (uint32_t i = 0; i + 1 < result->count && !e && !full; i += 2)
        e = sortedset_walk_take(w, redis_score(resp_at(result, i + 1)->text), resp_at(result, i)->text, &full);
    if (e)
        redis_operation_fail(o, e);
    else
        sortedset_walk_answer(w, full);
}

/* A bound of ZCOUNT. */
static void put_bound(struct resp_command *words, double score, bool exclusive)
{
    char *text = arena_printf(words->arena, "%s%.17g", exclusive ? "(" : "", score);
    words->failed |= !text;
    resp_put(words, slice_str(text));
}

/* What lies below the range ends where the range begins: with an exclusive bound behind it. */
static void get_range_by_score(struct backend *backend, struct call *call,
                               const struct sortedset_get_range_by_score_request *request)
{
    struct walk_operation *o = redis_operation_new(backend, call, sizeof *o, by_score_answered);
    (void)request;
    if (!o)
        return;
    struct sortedset_walk *w = &o->walk;
    enum err e = sortedset_walk_make(call, w);
    struct redis_part *p = e ? NULL : redis_part_method(&o->operation, REDIS_SORTEDSET, "by_score", w->key);
    if (p) {
        struct resp_command *words = &p->command->words;
        put_bound(words, w->scores.min, !w->scores.min_exclusive);
        put_bound(words, w->scores.max, w->scores.max_exclusive);
        resp_put(words, w->reverse ? SLICE("1") : SLICE("0"));
        resp_put_integer(words, (int64_t)w->page.items_max + 1);
        resp_put(words, w->has_after ? SLICE("1") : SLICE("0"));
        redis_put_score(words, w->after_score);
        resp_put(words, w->after_member);
        p->command->slow = true;
    }
    redis_part_send(&o->operation, p, e);
}

/* --- by the bytes of members ---------------------------------------------------------------------------------------------------- */

static void by_lex_answered(struct redis_operation *o)
{
    struct sortedset_walk *w = &((struct walk_operation *)o)->walk;
    const struct resp *result = redis_method_result(o);
    enum err e = OK;
    bool full = false;
    if (!result)
        return;
    if (!resp_at(result, 0)->integer)
        e = sortedset_scores_differ(redis_score(resp_at(result, 1)->text), redis_score(resp_at(result, 2)->text),
                                    &o->call->diag);
    for (uint32_t i = 1; i < result->count && !e && !full; i++)
        e = sortedset_walk_take(w, 0, resp_at(result, i)->text, &full);
    if (e)
        redis_operation_fail(o, e);
    else
        sortedset_walk_answer(w, full);
}

static void put_lex(struct resp_command *words, char kind, struct slice member)
{
    uint8_t *bound = arena_alloc(words->arena, member.size + 1);
    words->failed |= !bound;
    if (!bound)
        return;
    bound[0] = (uint8_t)kind;
    if (member.size)
        memcpy(bound + 1, member.data, member.size);
    resp_put(words, slice_of(bound, member.size + 1));
}

/* The range, without what lies before the place in the direction of the walk. */
static void put_lex_bounds(struct resp_command *words, const struct sortedset_walk *w)
{
    const struct lex_range *r = &w->lex;
    if (w->has_after && !w->reverse)
        put_lex(words, '(', w->after_member);
    else
        put_lex(words, r->min_exclusive ? '(' : '[', r->min);
    if (w->has_after && w->reverse)
        put_lex(words, '(', w->after_member);
    else
        put_lex(words, !r->has_max ? '+' : r->max_exclusive ? '(' : '[', r->has_max ? r->max : SLICE_EMPTY);
}

static void get_range_by_lex(struct backend *backend, struct call *call,
                             const struct sortedset_get_range_by_lex_request *request)
{
    struct walk_operation *o = redis_operation_new(backend, call, sizeof *o, by_lex_answered);
    (void)request;
    if (!o)
        return;
    struct sortedset_walk *w = &o->walk;
    enum err e = sortedset_walk_make(call, w);
    struct redis_part *p = e ? NULL : redis_part_method(&o->operation, REDIS_SORTEDSET, "by_lex", w->key);
    if (p) {
        put_lex_bounds(&p->command->words, w);
        resp_put(&p->command->words, w->reverse ? SLICE("1") : SLICE("0"));
        resp_put_integer(&p->command->words, (int64_t)w->page.items_max + 1);
        p->command->slow = true;
    }
    redis_part_send(&o->operation, p, e);
}

const struct sortedset_range_ops redis_sortedset_range = {.get_range = get_range,
                                                          .get_range_by_score = get_range_by_score};
const struct sortedset_lex_ops redis_sortedset_lex = {.get_range_by_lex = get_range_by_lex};
