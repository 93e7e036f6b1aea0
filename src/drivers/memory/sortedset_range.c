/* Members of a sorted set in a row: by rank, by score, by bytes. The last two are one walk over the same order. */
#include "prism/sortedset/v1/sortedset_lex.ops.h"
#include "prism/sortedset/v1/sortedset_range.ops.h"

#include "data/sortedset.h"
#include "drivers/memory/internal.h"

/* --- by rank -------------------------------------------------------------------------------------------------------------------- */

static struct member *next_of(const struct member *m, bool reverse)
{
    return reverse ? m->prev : m->links[0].next;
}

static enum err copy_ranks(struct call *call, const struct ranked *r, struct span span, bool reverse,
                           struct sortedset_range_answer *a)
{
    uint32_t first = (uint32_t)(reverse ? ranked_count(r) - 1 - span.first : span.first);
    struct member *m = memory_ranked_at(r, first);
    uint64_t taken = 0;
    bool full = false;
    enum err e = OK;
    for (; !e && taken < span.count; m = next_of(m, reverse)) {
        e = sortedset_range_take(call, a, m->score, member_slice(m), &full);
        if (full)
            break;
        taken++;
    }
    a->response.has_next_start = full;
    a->response.next_start = full ? (int64_t)(span.first + taken) : 0;
    return e;
}

static void get_range(struct backend *backend, struct call *call, const struct sortedset_get_range_request *r)
{
    struct sortedset_range_answer a = {.page = page_largest()};
    enum err e = collection_check_key(r->key, &call->diag);
    if (!e) {
        struct visit v = visit_begin((struct memory *)backend, SHELF_SORTEDSETS, r->key);
        a.response.size = v.box ? ranked_count(&v.box->members) : 0;
        struct span span = span_clamp(r->start, r->end, a.response.size);
        if (span.count)
            e = copy_ranks(call, &v.box->members, span, r->reverse, &a);
        visit_end(&v);
    }
    memory_answer(call, e, &a.response);
}

/* --- by score and by bytes ------------------------------------------------------------------------------------------------------ */

/* Where a walk begins: whether a member lies before that, in the order of the set. */
static bool is_before_start(const void *context, double score, struct slice member)
{
    const struct sortedset_walk *w = context;
    if (w->has_after && place_cmp(score, member, w->after_score, w->after_member) <= 0)
        return true;
    return score_is_before(&w->scores, score) || lex_is_before(&w->lex, member);
}

/* The same for a walk back: members for which this is false lie behind its start. */
static bool is_before_end(const void *context, double score, struct slice member)
{
    const struct sortedset_walk *w = context;
    if (w->has_after && place_cmp(score, member, w->after_score, w->after_member) >= 0)
        return false;
    return !score_is_behind(&w->scores, score) && !lex_is_behind(&w->lex, member);
}

static struct member *start_of(const struct sortedset_walk *w, const struct ranked *r)
{
    if (!w->reverse)
        return memory_ranked_seek(r, is_before_start, w);
    struct member *behind = memory_ranked_seek(r, is_before_end, w);
    return behind ? behind->prev : r->last;
}

static bool has_left(const struct sortedset_walk *w, const struct member *m)
{
    struct slice member = member_slice(m);
    return w->reverse ? score_is_before(&w->scores, m->score) || lex_is_before(&w->lex, member)
                      : score_is_behind(&w->scores, m->score) || lex_is_behind(&w->lex, member);
}

static enum err fill_page(struct sortedset_walk *w, const struct ranked *r, bool *ret_more)
{
    enum err e = OK;
    for (struct member *m = start_of(w, r); !e && m && !has_left(w, m); m = next_of(m, w->reverse)) {
        e = sortedset_walk_take(w, m->score, member_slice(m), ret_more);
        if (*ret_more)
            break;
    }
    return e;
}

/* The order of bytes is the order of the set only where all scores are one. */
static enum err check_scores(const struct sortedset_walk *w, const struct ranked *r)
{
    double lowest = ranked_first(r)->score, highest = r->last->score;
    return lowest < highest ? sortedset_scores_differ(lowest, highest, &w->call->diag) : OK;
}

static void walk(struct backend *backend, struct call *call, bool by_lex)
{
    struct sortedset_walk w;
    bool more = false;
    enum err e = sortedset_walk_make(call, &w);
    if (!e) {
        struct visit v = visit_begin((struct memory *)backend, SHELF_SORTEDSETS, w.key);
        if (v.box && by_lex)
            e = check_scores(&w, &v.box->members);
        if (v.box && !e)
            e = fill_page(&w, &v.box->members, &more);
        visit_end(&v);
    }
    if (e)
        call_end(call, e);
    else
        sortedset_walk_answer(&w, more);
}

static void get_range_by_score(struct backend *backend, struct call *call,
                               const struct sortedset_get_range_by_score_request *r)
{
    (void)r;
    walk(backend, call, false);
}

static void get_range_by_lex(struct backend *backend, struct call *call,
                             const struct sortedset_get_range_by_lex_request *r)
{
    (void)r;
    walk(backend, call, true);
}

const struct sortedset_range_ops memory_sortedset_range = {.get_range = get_range,
                                                           .get_range_by_score = get_range_by_score};
const struct sortedset_lex_ops memory_sortedset_lex = {.get_range_by_lex = get_range_by_lex};
