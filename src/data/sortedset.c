/* Scores, bounds, requests about sorted sets, and pages of their members. Operations on several: sortedset_operation.c.
 *
 * A place as a cursor carries it: the score's 8 bytes as IEEE bits, little-endian, then the member. */
#include "data/sortedset.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

_Static_assert(offsetof(struct sortedset_get_score_request, member) ==
                       offsetof(struct sortedset_get_rank_request, member) &&
                   offsetof(struct sortedset_get_rank_request, member) ==
                       offsetof(struct sortedset_get_reverse_rank_request, member),
               "taken for each other");

int place_cmp(double a_score, struct slice a_member, double b_score, struct slice b_member)
{
    if (a_score < b_score)
        return -1;
    return a_score > b_score ? 1 : slice_cmp(a_member, b_member);
}

/* --- checks ------------------------------------------------------------------------------------------------------------------- */

static enum err check_scored(struct diag *diag, const struct sortedset_scored_member *m, uint32_t i)
{
    char field[40];
    if (m->member.size < 1 || m->member.size > LIMIT_MEMBER_BYTES) {
        snprintf(field, sizeof field, "members[%u].member", i);
        return collection_check_member(m->member, diag, field);
    }
    if (!isnan(m->score))
        return OK;
    snprintf(field, sizeof field, "members[%u].score", i);
    return collection_invalid(diag, field, "is not a number");
}

enum err sortedset_check_add(struct call *call, const struct sortedset_add_request *r)
{
    enum err e = collection_check_key(r->key, &call->diag);
    if (!e && (r->members.count < 1 || r->members.count > LIMIT_BATCH_ITEMS))
        e = collection_invalid(&call->diag, "members", "must have 1 to 1000 items");
    for (uint32_t i = 0; !e && i < r->members.count; i++)
        e = check_scored(&call->diag, PB_AT(r->members, const struct sortedset_scored_member *, i), i);
    return e ? e : collection_check_keep(call->ns, &call->diag);
}

enum err sortedset_check_remove(struct call *call, const struct sortedset_remove_request *r)
{
    enum err e = collection_check_key(r->key, &call->diag);
    return e ? e : collection_check_members(&r->members, &call->diag);
}

enum err sortedset_check_member(struct call *call, struct slice key, struct slice member)
{
    enum err e = collection_check_key(key, &call->diag);
    return e ? e : collection_check_member(member, &call->diag, "member");
}

enum err sortedset_scores_differ(double lowest, double highest, struct diag *diag)
{
    diag_set(diag, ERR_SCORES_DIFFER,
             "the members have scores from %.17g to %.17g; a range by bytes needs one score for all", lowest, highest);
    diag_precondition(diag, "SCORES_DIFFER", "scores from %.17g to %.17g", lowest, highest);
    return ERR_SCORES_DIFFER;
}

/* --- bounds --------------------------------------------------------------------------------------------------------------------- */

bool score_is_before(const struct score_range *r, double score)
{
    return r->min_exclusive ? score <= r->min : score < r->min;
}

bool score_is_behind(const struct score_range *r, double score)
{
    return r->max_exclusive ? score >= r->max : score > r->max;
}

bool lex_is_before(const struct lex_range *r, struct slice member)
{
    int order = slice_cmp(member, r->min);
    return r->min_exclusive ? order <= 0 : order < 0;
}

bool lex_is_behind(const struct lex_range *r, struct slice member)
{
    if (!r->has_max)
        return false;
    int order = slice_cmp(member, r->max);
    return r->max_exclusive ? order >= 0 : order > 0;
}

static enum err score_bounds(const struct sortedset_get_range_by_score_request *r, struct diag *diag,
                             struct score_range *range)
{
    if (r->min && isnan(r->min->score))
        return collection_invalid(diag, "min.score", "is not a number");
    if (r->max && isnan(r->max->score))
        return collection_invalid(diag, "max.score", "is not a number");
    if (r->min)
        range->min = score_kept(r->min->score), range->min_exclusive = r->min->exclusive;
    if (r->max)
        range->max = score_kept(r->max->score), range->max_exclusive = r->max->exclusive;
    return OK;
}

static enum err lex_bounds(const struct sortedset_get_range_by_lex_request *r, struct diag *diag,
                           struct lex_range *range)
{
    if (r->min && r->min->member.size > LIMIT_MEMBER_BYTES)
        return collection_invalid(diag, "min.member", "is longer than a member may be");
    if (r->max && r->max->member.size > LIMIT_MEMBER_BYTES)
        return collection_invalid(diag, "max.member", "is longer than a member may be");
    if (r->min)
        range->min = r->min->member, range->min_exclusive = r->min->exclusive;
    if (r->max)
        range->max = r->max->member, range->max_exclusive = r->max->exclusive, range->has_max = true;
    return OK;
}

/* --- places and cursors --------------------------------------------------------------------------------------------------------- */

enum { SCORE_BYTES = 8 };

static uint64_t score_bits(double score)
{
    uint64_t bits;
    score = score_kept(score);
    memcpy(&bits, &score, sizeof bits);
    return bits;
}

static enum err encode_place(struct sortedset_walk *w, struct slice *ret_place)
{
    uint8_t *out = arena_alloc(w->call->arena, SCORE_BYTES + w->last_member.size);
    if (!out)
        return ERR_NOMEM;
    uint64_t bits = score_bits(w->last_score);
    for (int i = 0; i < SCORE_BYTES; i++)
        out[i] = (uint8_t)(bits >> (8 * i));
    memcpy(out + SCORE_BYTES, w->last_member.data, w->last_member.size);
    *ret_place = slice_of(out, SCORE_BYTES + w->last_member.size);
    return OK;
}

static enum err decode_place(struct sortedset_walk *w, struct slice place)
{
    uint64_t bits = 0;
    if (!place.size)
        return OK;
    if (place.size <= SCORE_BYTES)
        return diag_set(&w->call->diag, ERR_CURSOR_INVALID, "the cursor is damaged");
    for (int i = 0; i < SCORE_BYTES; i++)
        bits |= (uint64_t)place.data[i] << (8 * i);
    memcpy(&w->after_score, &bits, sizeof bits);
    w->after_member = slice_skip(place, SCORE_BYTES);
    w->has_after = true;
    return OK;
}

static void hash_bounds(struct walk_hash *h, const struct sortedset_walk *w)
{
    walk_hash_add(h, w->key);
    walk_hash_add_number(h, score_bits(w->scores.min));
    walk_hash_add_number(h, score_bits(w->scores.max));
    walk_hash_add(h, w->lex.min);
    walk_hash_add(h, w->lex.max);
    walk_hash_add_number(h, (uint64_t)(w->reverse | w->scores.min_exclusive << 1 | w->scores.max_exclusive << 2 |
                                       w->lex.min_exclusive << 3 | w->lex.max_exclusive << 4 | w->lex.has_max << 5));
}

enum err sortedset_walk_take_up(struct sortedset_walk *w, struct walk_hash *h, struct slice cursor)
{
    struct slice place;
    enum err e = walk_hash_end(h, w->call->ns, &w->hash);
    if (!e)
        e = walk_place(w->call, w->hash, cursor, &place);
    return e ? e : decode_place(w, place);
}

/* --- pages ---------------------------------------------------------------------------------------------------------------------- */

static enum err make_by_score(struct sortedset_walk *w, struct slice *ret_cursor)
{
    const struct sortedset_get_range_by_score_request *r = w->call->request;
    w->key = r->key;
    w->reverse = r->reverse;
    w->page = page_of(r->page_size);
    *ret_cursor = r->cursor;
    return score_bounds(r, &w->call->diag, &w->scores);
}

static enum err make_by_lex(struct sortedset_walk *w, struct slice *ret_cursor)
{
    const struct sortedset_get_range_by_lex_request *r = w->call->request;
    w->key = r->key;
    w->reverse = r->reverse;
    w->page = page_of(r->page_size);
    *ret_cursor = r->cursor;
    return lex_bounds(r, &w->call->diag, &w->lex);
}

struct sortedset_walk sortedset_walk_everything(struct call *call)
{
    return (struct sortedset_walk){.call = call, .scores = {.min = -INFINITY, .max = INFINITY}};
}

enum err sortedset_walk_make(struct call *call, struct sortedset_walk *ret_walk)
{
    struct sortedset_walk w = sortedset_walk_everything(call);
    struct slice cursor;
    bool by_lex = call->method->pb->input == &sortedset_get_range_by_lex_request_pb;
    enum err e = by_lex ? make_by_lex(&w, &cursor) : make_by_score(&w, &cursor);
    if (!e)
        e = collection_check_key(w.key, &call->diag);
    if (e)
        return e;
    struct walk_hash h;
    walk_hash_begin(&h, call);
    hash_bounds(&h, &w);
    e = sortedset_walk_take_up(&w, &h, cursor);
    if (!e)
        *ret_walk = w;
    return e;
}

/* As a message of its own in the arena, with its bytes; NULL: out of memory. */
static struct sortedset_scored_member *scored_copy(struct arena *arena, double score, struct slice member)
{
    struct sortedset_scored_member *copy = arena_new(arena, struct sortedset_scored_member);
    if (!copy || !arena_copy(arena, member, &copy->member))
        return NULL;
    copy->score = score;
    return copy;
}

static enum err add_scored(struct arena *arena, struct pb_array *members, double score, struct slice member,
                           struct slice *ret_copy)
{
    struct sortedset_scored_member *copy = scored_copy(arena, score, member);
    struct sortedset_scored_member **slot = copy ? pb_array_add(members, sizeof *slot, arena) : NULL;
    if (!slot)
        return ERR_NOMEM;
    *slot = copy;
    *ret_copy = copy->member;
    return OK;
}

static enum err add_member(struct arena *arena, struct pb_array *members, struct slice member, struct slice *ret_copy)
{
    if (!arena_copy(arena, member, ret_copy))
        return ERR_NOMEM;
    struct slice *slot = pb_array_add(members, sizeof *slot, arena);
    if (!slot)
        return ERR_NOMEM;
    *slot = *ret_copy;
    return OK;
}

enum err sortedset_walk_take(struct sortedset_walk *w, double score, struct slice member, bool *ret_full)
{
    bool by_lex = w->call->method->pb->input == &sortedset_get_range_by_lex_request_pb;
    *ret_full = !page_take(&w->page, member.size + SCORE_BYTES);
    if (*ret_full)
        return OK;
    struct slice copy;
    enum err e = by_lex ? add_member(w->call->arena, &w->members, member, &copy)
                        : add_scored(w->call->arena, &w->members, score, member, &copy);
    if (e)
        return e;
    w->last_score = score;
    w->last_member = copy;
    return OK;
}

/* All four methods answer members and a cursor in one layout. */
void sortedset_walk_answer(struct sortedset_walk *w, bool more)
{
    _Static_assert(sizeof(struct sortedset_get_range_by_score_response) == sizeof(struct sortedset_union_response) &&
                       sizeof(struct sortedset_get_range_by_lex_response) == sizeof(struct sortedset_union_response) &&
                       sizeof(struct sortedset_intersection_response) == sizeof(struct sortedset_union_response) &&
                       offsetof(struct sortedset_get_range_by_lex_response, next_cursor) ==
                           offsetof(struct sortedset_union_response, next_cursor),
                   "taken for each other");
    struct slice place, cursor = SLICE_EMPTY;
    enum err e = more ? encode_place(w, &place) : OK;
    if (!e && more)
        e = walk_cursor(w->call, w->hash, place, &cursor);
    if (e) {
        call_end(w->call, e);
        return;
    }
    struct sortedset_union_response response = {.members = w->members, .next_cursor = cursor};
    call_reply(w->call, &response);
}

enum err sortedset_range_take(struct call *call, struct sortedset_range_answer *a, double score, struct slice member,
                              bool *ret_full)
{
    struct slice copy;
    *ret_full = !page_take(&a->page, member.size + SCORE_BYTES);
    return *ret_full ? OK : add_scored(call->arena, &a->response.members, score, member, &copy);
}
