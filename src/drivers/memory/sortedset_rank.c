/* Where a member stands in a sorted set. */
#include "prism/sortedset/v1/sortedset_rank.ops.h"

#include <stddef.h>

#include "data/sortedset.h"
#include "drivers/memory/internal.h"

_Static_assert(sizeof(struct sortedset_get_rank_response) == sizeof(struct sortedset_get_reverse_rank_response) &&
                   offsetof(struct sortedset_get_rank_response, rank) ==
                       offsetof(struct sortedset_get_reverse_rank_response, rank),
               "taken for each other");

static void answer_rank(struct memory *m, struct call *call, struct slice key, struct slice member, bool reverse)
{
    struct sortedset_get_rank_response response = {.found = false};
    enum err e = sortedset_check_member(call, key, member);
    if (!e) {
        struct visit v = visit_begin(m, SHELF_SORTEDSETS, key);
        const struct member *one = v.box ? memory_ranked_find(&v.box->members, member) : NULL;
        if (one) {
            uint32_t rank = memory_ranked_rank(&v.box->members, one);
            response.found = true;
            response.rank = reverse ? ranked_count(&v.box->members) - 1 - rank : rank;
            response.score = one->score;
        }
        visit_end(&v);
    }
    memory_answer(call, e, &response);
}

static void get_rank(struct backend *backend, struct call *call, const struct sortedset_get_rank_request *r)
{
    answer_rank((struct memory *)backend, call, r->key, r->member, false);
}

static void get_reverse_rank(struct backend *backend, struct call *call,
                             const struct sortedset_get_reverse_rank_request *r)
{
    answer_rank((struct memory *)backend, call, r->key, r->member, true);
}

const struct sortedset_rank_ops memory_sortedset_rank = {.get_rank = get_rank, .get_reverse_rank = get_reverse_rank};
