/* GetRange, GetRangeByScore, GetRangeByLex: members in their order, from a rank, a score or a member on. */
#include "drivers/sqlite/sortedset.h"
#include "prism/sortedset/v1/sortedset_lex.ops.h"
#include "prism/sortedset/v1/sortedset_range.ops.h"

/* Above every member: longer than any, and of the highest byte. */
static const uint8_t top[LIMIT_MEMBER_BYTES + 1] = {[0 ... LIMIT_MEMBER_BYTES] = 0xff};
#define TOP slice_of(top, sizeof top)

/* --- by rank -------------------------------------------------------------------------------------------------------------------- */

enum err sqlite_sorted_from(struct sqlite_connection *c, const struct sqlite_collection *set, bool reverse,
                            uint64_t rank, sqlite3_stmt **ret_statement)
{
    enum err e =
        sqlite_prepare_for(c, reverse ? STATEMENT_SORTED_RANGE_BACK : STATEMENT_SORTED_RANGE, set, ret_statement);
    if (!e)
        sqlite3_bind_int64(*ret_statement, 2, (int64_t)rank);
    return e;
}

static enum err read_span(struct sqlite_operation *o, sqlite3_stmt *s, uint64_t count,
                          struct sortedset_range_answer *answer)
{
    bool row, full = false;
    enum err e = OK;
    for (uint64_t i = 0; i < count && !e && !full; i++) {
        e = sqlite_step(o->connection, s, &row);
        if (!e && !row)
            e = ERR_CORRUPT;
        if (!e)
            e = sortedset_range_take(o->call, answer, sqlite3_column_double(s, 0), sqlite_column_slice(s, 1), &full);
    }
    sqlite_reset(s);
    return e;
}

static enum err read_range(struct sqlite_operation *o, const struct sortedset_get_range_request *request,
                           const struct sqlite_collection *set, struct sortedset_range_answer *answer)
{
    struct span span = span_clamp(request->start, request->end, set->size);
    struct sortedset_get_range_response *response = &answer->response;
    sqlite3_stmt *s;
    if (!span.count)
        return OK;
    enum err e = sqlite_sorted_from(o->connection, set, request->reverse, span.first, &s);
    if (!e)
        e = read_span(o, s, span.count, answer);
    response->has_next_start = response->members.count < span.count;
    if (response->has_next_start)
        response->next_start = (int64_t)(span.first + response->members.count);
    return e;
}

static enum err run_get_range(struct sqlite_operation *o)
{
    const struct sortedset_get_range_request *request = o->call->request;
    struct sortedset_range_answer *answer = arena_new(o->call->arena, struct sortedset_range_answer);
    struct sqlite_collection set;
    if (!answer)
        return ERR_NOMEM;
    answer->page = page_largest();
    o->response = &answer->response;
    enum err e = sqlite_sorted_find(o, request->key, &set);
    answer->response.size = e ? 0 : set.size;
    return e ? e : read_range(o, request, &set, answer);
}

static void get_range(struct backend *backend, struct call *call, const struct sortedset_get_range_request *request)
{
    struct sqlite_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_get_range);
    if (!o)
        return;
    o->heavy = true;
    sqlite_read_checked(o, collection_check_key(request->key, &call->diag));
}

/* --- pages ------------------------------------------------------------------------------------------------------------------------ */

static void answer_walk(struct sqlite_operation *o)
{
    struct sqlite_sorted_walk *w = (struct sqlite_sorted_walk *)o;
    if (o->outcome)
        sqlite_refuse(o, o->outcome);
    else
        sortedset_walk_answer(&w->walk, w->more);
}

void sqlite_sorted_walk(struct backend *backend, struct call *call, sqlite_run_fn *run)
{
    struct sqlite_sorted_walk *w = sqlite_operation_new(backend, call, sizeof *w, run);
    if (!w)
        return;
    w->operation.heavy = true;
    w->operation.answer = answer_walk;
    sqlite_read_checked(&w->operation, sortedset_walk_make(call, &w->walk));
}

typedef bool outside_fn(const struct sortedset_walk *, double score, struct slice member);

/* Members from the statement into the page: those before the range are passed over, one behind it ends the walk. */
static enum err fill(struct sqlite_sorted_walk *w, sqlite3_stmt *s, outside_fn *is_before, outside_fn *is_behind)
{
    bool row;
    enum err e;
    for (w->more = false;;) {
        e = sqlite_step(w->operation.connection, s, &row);
        if (e || !row)
            break;
        double score = sqlite3_column_double(s, 0);
        struct slice member = sqlite_column_slice(s, 1);
        if (is_behind(&w->walk, score, member))
            break;
        if (is_before(&w->walk, score, member))
            continue;
        e = sortedset_walk_take(&w->walk, score, member, &w->more);
        if (e || w->more)
            break;
    }
    sqlite_reset(s);
    return e;
}

/* --- by score -------------------------------------------------------------------------------------------------------------------- */

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

static bool score_before(const struct sortedset_walk *w, double score, struct slice member)
{
    (void)member;
    return w->reverse ? score_is_behind(&w->scores, score) : score_is_before(&w->scores, score);
}

static bool score_behind(const struct sortedset_walk *w, double score, struct slice member)
{
    (void)member;
    return w->reverse ? score_is_before(&w->scores, score) : score_is_behind(&w->scores, score);
}

static enum err run_by_score(struct sqlite_operation *o)
{
    struct sqlite_sorted_walk *w = (struct sqlite_sorted_walk *)o;
    struct sqlite_collection set;
    double score;
    struct slice member;
    sqlite3_stmt *s;
    score_start(&w->walk, &score, &member);
    enum err e = sqlite_sorted_find(o, w->walk.key, &set);
    if (e || !set.id)
        return e;
    e = sqlite_sorted_at(o->connection, w->walk.reverse ? STATEMENT_SORTED_WALK_BACK : STATEMENT_SORTED_WALK, &set,
                         score, member, &s);
    return e ? e : fill(w, s, score_before, score_behind);
}

static void get_range_by_score(struct backend *backend, struct call *call,
                               const struct sortedset_get_range_by_score_request *request)
{
    (void)request;
    sqlite_sorted_walk(backend, call, run_by_score);
}

/* --- by the bytes of members ------------------------------------------------------------------------------------------------------ */

/* Where the walk begins; the place itself may be outside. */
static struct slice lex_start(const struct sortedset_walk *w)
{
    if (w->has_after)
        return w->after_member;
    if (!w->reverse)
        return w->lex.min;
    return w->lex.has_max ? w->lex.max : TOP;
}

static bool lex_before(const struct sortedset_walk *w, double score, struct slice member)
{
    (void)score;
    if (w->has_after && slice_eq(member, w->after_member))
        return true;
    return w->reverse ? lex_is_behind(&w->lex, member) : lex_is_before(&w->lex, member);
}

static bool lex_behind(const struct sortedset_walk *w, double score, struct slice member)
{
    (void)score;
    return w->reverse ? lex_is_before(&w->lex, member) : lex_is_behind(&w->lex, member);
}

static enum err score_at_end(struct sqlite_connection *c, const struct sqlite_collection *set, bool reverse,
                             double *ret_score)
{
    sqlite3_stmt *s;
    bool row;
    enum err e = sqlite_sorted_from(c, set, reverse, 0, &s);
    if (e)
        return e;
    e = sqlite_step(c, s, &row);
    if (!e)
        *ret_score = sqlite3_column_double(s, 0);
    sqlite_reset(s);
    return e;
}

static enum err check_one_score(struct sqlite_operation *o, const struct sqlite_collection *set)
{
    double lowest, highest;
    enum err e = score_at_end(o->connection, set, false, &lowest);
    if (!e)
        e = score_at_end(o->connection, set, true, &highest);
    return e || lowest == highest ? e : sortedset_scores_differ(lowest, highest, &o->call->diag);
}

static enum err run_by_lex(struct sqlite_operation *o)
{
    struct sqlite_sorted_walk *w = (struct sqlite_sorted_walk *)o;
    struct sqlite_collection set;
    sqlite3_stmt *s;
    enum err e = sqlite_sorted_find(o, w->walk.key, &set);
    if (e || !set.id)
        return e;
    e = check_one_score(o, &set);
    if (!e)
        e = sqlite_sorted_at(o->connection, w->walk.reverse ? STATEMENT_SORTED_LEX_BACK : STATEMENT_SORTED_LEX, &set, 0,
                             lex_start(&w->walk), &s);
    return e ? e : fill(w, s, lex_before, lex_behind);
}

static void get_range_by_lex(struct backend *backend, struct call *call,
                             const struct sortedset_get_range_by_lex_request *request)
{
    (void)request;
    sqlite_sorted_walk(backend, call, run_by_lex);
}

const struct sortedset_range_ops sqlite_sortedset_range = {.get_range = get_range,
                                                           .get_range_by_score = get_range_by_score};
const struct sortedset_lex_ops sqlite_sortedset_lex = {.get_range_by_lex = get_range_by_lex};
