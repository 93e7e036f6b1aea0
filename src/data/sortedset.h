/* Rules of the sorted set interfaces that every driver shares. Source of the semantics: proto/prism/sortedset/v1.
 *
 * Order: by score, members of one score bytewise. A `place` is a score and a member; a walk goes on behind one, whether or not a
 * member stands there still. */
#ifndef PRISM_DATA_SORTEDSET_H
#define PRISM_DATA_SORTEDSET_H

#include "data/collection.h"
#include "prism/sortedset/v1/sortedset_basic.pb.h"
#include "prism/sortedset/v1/sortedset_lex.pb.h"
#include "prism/sortedset/v1/sortedset_operations.pb.h"
#include "prism/sortedset/v1/sortedset_range.pb.h"
#include "prism/sortedset/v1/sortedset_rank.pb.h"

/* As it is kept: -0 is 0. */
static inline double score_kept(double score)
{
    return score == 0 ? 0 : score;
}
/* <0, 0, >0. Scores are not NaN. */
int place_cmp(double a_score, struct slice a_member, double b_score, struct slice b_member);

/* Checks an Add: key, members, scores (ERR_FIELD_INVALID for NaN), and that the namespace lets data stay. */
enum err sortedset_check_add(struct call *, const struct sortedset_add_request *);
enum err sortedset_check_remove(struct call *, const struct sortedset_remove_request *);
/* Key and member of GetScore, GetRank, GetReverseRank (one layout). */
enum err sortedset_check_member(struct call *, struct slice key, struct slice member);

/* Bounds in bytes or scores, ready for comparing. */
struct score_range {
    double min, max; /* -inf, inf where the caller gave none */
    bool min_exclusive, max_exclusive;
};
struct lex_range {
    struct slice min, max;
    bool has_max;
    bool min_exclusive, max_exclusive;
};
bool score_is_before(const struct score_range *, double score); /* below the range */
bool score_is_behind(const struct score_range *, double score);
bool lex_is_before(const struct lex_range *, struct slice member);
bool lex_is_behind(const struct lex_range *, struct slice member);

/* A page of GetRangeByScore, GetRangeByLex, Union or Intersection on its way. */
struct sortedset_walk {
    struct call *call;
    struct slice key;          /* of the ranges */
    struct score_range scores; /* everything where the method is not GetRangeByScore */
    struct lex_range lex;      /* the same for GetRangeByLex */
    bool reverse;
    struct page page;
    bool has_after; /* members behind this place (in the direction of the walk) are wanted */
    double after_score;
    struct slice after_member;
    uint64_t hash;
    struct pb_array members; /* taken so far: struct sortedset_scored_member *, or struct slice for GetRangeByLex */
    double last_score;       /* of the member taken last */
    struct slice last_member;
};
/* Checks the request of the ranges, takes up its cursor. ERR_FIELD_INVALID for NaN, ERR_CURSOR_INVALID, ERR_CURSOR_OTHER_SCAN. */
enum err sortedset_walk_make(struct call *, struct sortedset_walk *ret_walk);
/* Copies a member into the page. *ret_full: the page was full, the member was not taken. ERR_NOMEM. */
enum err sortedset_walk_take(struct sortedset_walk *, double score, struct slice member, bool *ret_full);
/* Completes the call with the page; more: a member follows that did not fit. */
void sortedset_walk_answer(struct sortedset_walk *, bool more);
/* For sortedset_operation.c: a walk over everything, and the end of what its cursors belong to. */
struct sortedset_walk sortedset_walk_everything(struct call *);
enum err sortedset_walk_take_up(struct sortedset_walk *, struct walk_hash *, struct slice cursor);
/* ERR_SCORES_DIFFER, of GetRangeByLex. */
enum err sortedset_scores_differ(double lowest, double highest, struct diag *);

/* Union and Intersection as one; data/sortedset_operation.c. */
struct sortedset_operation {
    bool intersection;
    const struct slice *keys; /* borrowed from the request */
    uint32_t key_count;
    const double *weights; /* one for each key */
    enum sortedset_score_aggregate aggregate;
    struct sortedset_walk walk;
};
/* ERR_FIELD_INVALID: keys, weights (number, NaN), an aggregate that is not known; cursors as above. */
enum err sortedset_operation_make(struct call *, struct sortedset_operation *ret_operation);
/* score * weight, 0 where that is NaN. */
double score_weigh(double score, double weight);
/* Two weighted scores of a member as one. */
double score_join(enum sortedset_score_aggregate, double a, double b);
/* ERR_OPERATION_TOO_LARGE, of Union and Intersection over more than LIMIT_OPERATION_MEMBERS members. */
enum err sortedset_operation_too_large(struct diag *);
/* Sorts the results of an operation, passes over those that are not behind the walk's place, and fills a page of the walk with the
 * rest; sortedset_walk_answer(&operation->walk, *ret_more) completes the call. Members borrow until this returns. ERR_NOMEM. */
struct scored {
    double score;
    struct slice member;
};
enum err sortedset_operation_page(struct sortedset_operation *, struct scored *results, size_t count, bool *ret_more);
/* Both in one, for drivers that hold no lock meanwhile. */
void sortedset_operation_answer(struct sortedset_operation *, struct scored *results, size_t count);

/* An answer of GetRange with one page of members. */
struct sortedset_range_answer {
    struct sortedset_get_range_response response;
    struct page page;
};
/* Copies a member into the answer. *ret_full as above. */
enum err sortedset_range_take(struct call *, struct sortedset_range_answer *, double score, struct slice member,
                              bool *ret_full);

#endif
