/* GetRange, GetRangeByScore, GetRangeByLex: members in their order, from a rank, a score or a member on. */
#include "data/sortedset.h"
#include "drivers/postgres/collection.h"
#include "prism/sortedset/v1/sortedset_lex.ops.h"
#include "prism/sortedset/v1/sortedset_range.ops.h"

/* Above every member: longer than any, and of the highest byte. */
static const uint8_t top[LIMIT_MEMBER_BYTES + 1] = {[0 ... LIMIT_MEMBER_BYTES] = 0xff};
#define TOP slice_of(top, sizeof top)

/* --- by rank ----------------------------------------------------------------------------------------------------------------- */

struct range_operation {
    struct postgres_operation operation;
    struct sortedset_range_answer answer;
};

static enum err put_range(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct sortedset_get_range_request *request = o->call->request;
    struct postgres_params p = postgres_key_params(u, request->key);
    postgres_put_int8(&p, request->start);
    postgres_put_int8(&p, request->end);
    postgres_put_bool(&p, request->reverse);
    postgres_put_int8(&p, LIMIT_PAGE_ITEMS);
    return postgres_put(u, STATEMENT_SORTED_RANGE, &p);
}

static enum err take_range(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    const struct sortedset_get_range_request *request = o->call->request;
    struct sortedset_range_answer *a = &((struct range_operation *)o)->answer;
    bool full = false;
    enum err e = OK;
    (void)index;
    a->response.size = (uint64_t)postgres_int8(r, 0, 2);
    for (int row = 1; row < PQntuples(r) && !e && !full; row++)
        e = sortedset_range_take(o->call, a, postgres_double(r, row, 0), postgres_bytes(r, row, 1), &full);
    struct span span = span_clamp(request->start, request->end, a->response.size);
    a->response.has_next_start = a->response.members.count < span.count;
    a->response.next_start = a->response.has_next_start ? (int64_t)(span.first + a->response.members.count) : 0;
    return e;
}

static void get_range(struct backend *backend, struct call *call, const struct sortedset_get_range_request *request)
{
    struct range_operation *range = postgres_operation_new(backend, call, sizeof *range, CLASS_HEAVY);
    if (!range)
        return;
    range->answer.page = page_largest();
    range->operation.response = &range->answer.response;
    postgres_submit_checked(&range->operation, put_range, take_range, collection_check_key(request->key, &call->diag));
}

/* --- walks ------------------------------------------------------------------------------------------------------------------- */

struct walk_operation {
    struct postgres_operation operation;
    struct sortedset_walk walk;
    bool more;
};

static struct sortedset_walk *walk_of(struct postgres_operation *o)
{
    return &((struct walk_operation *)o)->walk;
}

static void answer_walk(struct postgres_operation *o)
{
    o->answer = NULL;
    if (o->outcome)
        postgres_finish(o, o->outcome);
    else
        sortedset_walk_answer(walk_of(o), ((struct walk_operation *)o)->more);
}

static void walk(struct backend *backend, struct call *call, postgres_put_fn *put, postgres_take_fn *take)
{
    struct walk_operation *w = postgres_operation_new(backend, call, sizeof *w, CLASS_HEAVY);
    if (!w)
        return;
    w->operation.answer = answer_walk;
    postgres_submit_checked(&w->operation, put, take, sortedset_walk_make(call, &w->walk));
}

static bool is_outside(const struct sortedset_walk *w, double score, struct slice member)
{
    return score_is_before(&w->scores, score) || score_is_behind(&w->scores, score) || lex_is_before(&w->lex, member) ||
           lex_is_behind(&w->lex, member) ||
           (w->has_after && score == w->after_score && slice_eq(member, w->after_member));
}

/* Rows of score and member into the page; those outside the range are passed over. */
static enum err fill(struct postgres_operation *o, const PGresult *r, int first_row)
{
    struct sortedset_walk *w = walk_of(o);
    bool *full = &((struct walk_operation *)o)->more;
    enum err e = OK;
    for (int row = first_row; row < PQntuples(r) && !e && !*full; row++) {
        double score = postgres_double(r, row, 0);
        struct slice member = postgres_bytes(r, row, 1);
        if (!is_outside(w, score, member))
            e = sortedset_walk_take(w, score, member, full);
    }
    return e;
}

/* --- by score ---------------------------------------------------------------------------------------------------------------- */

/* The place that all members of the range lie behind, in the direction of the walk. */
static void score_start(const struct sortedset_walk *w, double *ret_score, struct slice *ret_member)
{
    bool exclusive = w->reverse ? w->scores.max_exclusive : w->scores.min_exclusive;
    *ret_score = w->reverse ? w->scores.max : w->scores.min;
    *ret_member = exclusive == w->reverse ? SLICE_EMPTY : TOP;
    if (!w->has_after)
        return;
    *ret_score = w->after_score;
    *ret_member = w->after_member;
}

/* One row more than a page holds, and those at an end that is exclusive are cut by the server's order: they come last. */
static enum err put_by_score(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct sortedset_walk *w = walk_of(o);
    double score;
    struct slice member;
    score_start(w, &score, &member);
    struct postgres_params p = postgres_key_params(u, w->key);
    postgres_put_double(&p, score);
    postgres_put_bytes(&p, member);
    postgres_put_double(&p, w->reverse ? w->scores.min : w->scores.max);
    postgres_put_bool(&p, w->reverse);
    postgres_put_int8(&p, (int64_t)w->page.items_max + 1);
    return postgres_put(u, STATEMENT_SORTED_WALK, &p);
}

static enum err take_by_score(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    (void)index;
    return fill(o, r, 0);
}

static void get_range_by_score(struct backend *backend, struct call *call,
                               const struct sortedset_get_range_by_score_request *request)
{
    (void)request;
    walk(backend, call, put_by_score, take_by_score);
}

/* --- by the bytes of members ------------------------------------------------------------------------------------------------- */

/* Where the walk begins; the place itself may be outside. */
static struct slice lex_start(const struct sortedset_walk *w)
{
    if (w->has_after)
        return w->after_member;
    if (!w->reverse)
        return w->lex.min;
    return w->lex.has_max ? w->lex.max : TOP;
}

static enum err put_by_lex(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct sortedset_walk *w = walk_of(o);
    struct postgres_params p = postgres_key_params(u, w->key);
    postgres_put_bytes(&p, lex_start(w));
    postgres_put_bool(&p, w->reverse);
    postgres_put_int8(&p, (int64_t)w->page.items_max + 2); /* the place, and one more than a page holds */
    return postgres_put(u, STATEMENT_SORTED_LEX, &p);
}

static enum err take_by_lex(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    (void)index;
    if (!PQntuples(r))
        return OK;
    double lowest = postgres_double(r, 0, 0), highest = postgres_double(r, 0, 2);
    return lowest == highest ? fill(o, r, 1) : sortedset_scores_differ(lowest, highest, &o->call->diag);
}

static void get_range_by_lex(struct backend *backend, struct call *call,
                             const struct sortedset_get_range_by_lex_request *request)
{
    (void)request;
    walk(backend, call, put_by_lex, take_by_lex);
}

const struct sortedset_range_ops postgres_sortedset_range = {.get_range = get_range,
                                                             .get_range_by_score = get_range_by_score};
const struct sortedset_lex_ops postgres_sortedset_lex = {.get_range_by_lex = get_range_by_lex};
