/* Requests about sets, and pages of their members.
 *
 * Invariant: a page's cursor names the last member that was looked at, so that a page which found nothing goes on all the same. */
#include "data/set.h"

#include <stddef.h>

_Static_assert(offsetof(struct set_union_request, cursor) == offsetof(struct set_intersection_request, cursor) &&
                   offsetof(struct set_union_request, cursor) == offsetof(struct set_difference_request, cursor) &&
                   offsetof(struct set_union_request, page_size) ==
                       offsetof(struct set_difference_request, page_size) &&
                   offsetof(struct set_union_request, page_size) ==
                       offsetof(struct set_intersection_request, page_size),
               "taken for each other");
_Static_assert(offsetof(struct set_union_response, next_cursor) ==
                       offsetof(struct set_intersection_response, next_cursor) &&
                   offsetof(struct set_union_response, next_cursor) ==
                       offsetof(struct set_difference_response, next_cursor),
               "taken for each other");
_Static_assert(offsetof(struct set_get_random_member_response, members) ==
                   offsetof(struct set_pop_random_member_response, members),
               "taken for each other");

enum err set_check_members(struct call *call, struct slice key, const struct pb_array *members)
{
    enum err e = collection_check_key(key, &call->diag);
    return e ? e : collection_check_members(members, &call->diag);
}

enum err set_check_add(struct call *call, const struct set_add_request *r)
{
    enum err e = set_check_members(call, r->key, &r->members);
    return e ? e : collection_check_keep(call->ns, &call->diag);
}

/* --- pages ---------------------------------------------------------------------------------------------------------------------- */

static enum set_operator operator_of(const struct call *call)
{
    if (call->method->pb->input == &set_intersection_request_pb)
        return SET_INTERSECTION;
    return call->method->pb->input == &set_difference_request_pb ? SET_DIFFERENCE : SET_UNION;
}

static enum err take_up(struct set_walk *w, struct slice cursor)
{
    struct walk_hash h;
    walk_hash_begin(&h, w->call);
    for (uint32_t i = 0; i < w->key_count; i++)
        walk_hash_add(&h, w->keys[i]);
    enum err e = walk_hash_end(&h, w->call->ns, &w->hash);
    return e ? e : walk_place(w->call, w->hash, cursor, &w->after);
}

static enum err make_of_one(struct set_walk *w)
{
    const struct set_get_members_request *r = w->call->request;
    w->keys = &r->key;
    w->key_count = 1;
    w->page = page_of(r->page_size);
    enum err e = collection_check_key(r->key, &w->call->diag);
    return e ? e : take_up(w, r->cursor);
}

static enum err make_of_several(struct set_walk *w)
{
    const struct set_union_request *r = w->call->request;
    w->keys = r->keys.items;
    w->key_count = r->keys.count;
    w->page = page_of(r->page_size);
    w->operator= operator_of(w->call);
    enum err e = collection_check_keys(&r->keys, &w->call->diag);
    return e ? e : take_up(w, r->cursor);
}

enum err set_walk_make(struct call *call, struct set_walk *ret_walk)
{
    struct set_walk w = {.call = call, .operator= SET_UNION };
    bool one = call->method->pb->input == &set_get_members_request_pb;
    enum err e = one ? make_of_one(&w) : make_of_several(&w);
    if (!e)
        *ret_walk = w;
    return e;
}

enum err set_walk_take(struct set_walk *w, struct slice member, bool *ret_full)
{
    *ret_full = !page_take(&w->page, member.size);
    if (*ret_full)
        return OK;
    struct slice copy;
    if (!arena_copy(w->call->arena, member, &copy))
        return ERR_NOMEM;
    struct slice *slot = pb_array_add(&w->members, sizeof *slot, w->call->arena);
    if (!slot)
        return ERR_NOMEM;
    *slot = copy;
    return OK;
}

void set_walk_answer(struct set_walk *w, bool more, struct slice reached)
{
    struct call *call = w->call;
    struct slice cursor = SLICE_EMPTY;
    enum err e = more ? walk_cursor(call, w->hash, reached, &cursor) : OK;
    if (e) {
        call_end(call, e);
        return;
    }
    struct set_get_members_response one = {.members = w->members, .next_cursor = cursor, .ordered = true};
    struct set_union_response several = {.members = w->members, .next_cursor = cursor};
    bool is_one = call->method->pb->input == &set_get_members_request_pb;
    call_reply(call, is_one ? (const void *)&one : (const void *)&several);
}

/* --- random members ------------------------------------------------------------------------------------------------------------- */

struct set_pop_random_member_response *set_random_answer(struct call *call, uint32_t members_max)
{
    struct set_pop_random_member_response *answer = arena_new(call->arena, struct set_pop_random_member_response);
    if (!answer)
        return NULL;
    answer->members.items = arena_array(call->arena, struct slice, members_max);
    answer->members.capacity = members_max;
    return answer->members.items ? answer : NULL;
}
