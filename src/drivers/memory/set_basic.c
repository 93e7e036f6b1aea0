/* Members of a set: in, out, there or not, and page by page. */
#include "prism/set/v1/set_basic.ops.h"

#include "data/set.h"
#include "drivers/memory/members.h"

static enum err members_of(struct memory *m, struct call *call, const struct pb_array *from, struct members *members)
{
    enum err e = memory_members_make(m, call->arena, from->count, members);
    for (uint32_t i = 0; !e && i < from->count; i++)
        e = memory_members_append(m, members, PB_AT(*from, struct slice, i), 0);
    return e;
}

static enum err add_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                         const void **ret_response)
{
    const struct set_add_request *r = request;
    struct set_add_response *response = arena_new(call->arena, struct set_add_response);
    struct members members = {0};
    struct members_change change;
    (void)now_ms;
    enum err e = response ? set_check_add(call, r) : ERR_NOMEM;
    if (!e)
        e = members_of(m, call, &r->members, &members);
    if (!e) {
        struct visit v = visit_begin(m, SHELF_SETS, r->key);
        e = memory_members_put(m, &v, r->key, &members, &call->diag, &change);
        visit_end(&v);
    }
    memory_members_free(&members);
    if (e)
        return e;
    response->added = change.added;
    *ret_response = response;
    return OK;
}

static void add(struct backend *backend, struct call *call, const struct set_add_request *r)
{
    memory_mutate(backend, call, r, add_once);
}

static enum err remove_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                            const void **ret_response)
{
    const struct set_remove_request *r = request;
    struct set_remove_response *response = arena_new(call->arena, struct set_remove_response);
    (void)now_ms;
    enum err e = response ? set_check_members(call, r->key, &r->members) : ERR_NOMEM;
    if (e)
        return e;
    struct visit v = visit_begin(m, SHELF_SETS, r->key);
    response->removed = memory_members_remove(m, &v, &r->members);
    visit_end(&v);
    *ret_response = response;
    return OK;
}

static void remove_members(struct backend *backend, struct call *call, const struct set_remove_request *r)
{
    memory_mutate(backend, call, r, remove_once);
}

static void contains(struct backend *backend, struct call *call, const struct set_contains_request *r)
{
    struct set_contains_response response = {.contains = false};
    enum err e = collection_check_key(r->key, &call->diag);
    if (!e)
        e = collection_check_member(r->member, &call->diag, "member");
    if (!e) {
        struct visit v = visit_begin((struct memory *)backend, SHELF_SETS, r->key);
        response.contains = v.box && memory_ranked_find(&v.box->members, r->member);
        visit_end(&v);
    }
    memory_answer(call, e, &response);
}

/* --- pages ---------------------------------------------------------------------------------------------------------------------- */

static bool is_taken(const void *context, double score, struct slice member)
{
    const struct slice *after = context;
    (void)score;
    return slice_cmp(member, *after) <= 0;
}

struct member *memory_set_from(const struct ranked *r, struct slice after)
{
    return after.size ? memory_ranked_seek(r, is_taken, &after) : ranked_first(r);
}

static enum err page_locked(struct set_walk *w, const struct ranked *r, struct slice *reached, bool *ret_full)
{
    enum err e = OK;
    *ret_full = false;
    for (struct member *m = memory_set_from(r, w->after); m; m = m->links[0].next) {
        e = set_walk_take(w, member_slice(m), ret_full);
        if (e || *ret_full)
            break;
        *reached = PB_AT(w->members, struct slice, w->members.count - 1);
    }
    return e;
}

static void get_members(struct backend *backend, struct call *call, const struct set_get_members_request *r)
{
    struct set_walk w;
    struct slice reached = SLICE_EMPTY;
    bool more = false;
    enum err e = set_walk_make(call, &w);
    if (!e) {
        struct visit v = visit_begin((struct memory *)backend, SHELF_SETS, r->key);
        if (v.box)
            e = page_locked(&w, &v.box->members, &reached, &more);
        visit_end(&v);
    }
    if (e)
        call_end(call, e);
    else
        set_walk_answer(&w, more, reached);
}

static enum err clear_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                           const void **ret_response)
{
    const struct set_clear_request *r = request;
    struct set_clear_response *response = arena_new(call->arena, struct set_clear_response);
    (void)now_ms;
    enum err e = response ? collection_check_key(r->key, &call->diag) : ERR_NOMEM;
    if (e)
        return e;
    struct visit v = visit_begin(m, SHELF_SETS, r->key);
    struct box *taken = visit_take(&v);
    visit_end(&v);
    response->removed = taken ? ranked_count(&taken->members) : 0;
    memory_box_free(v.shelf, taken);
    *ret_response = response;
    return OK;
}

static void clear(struct backend *backend, struct call *call, const struct set_clear_request *r)
{
    memory_mutate(backend, call, r, clear_once);
}

const struct set_basic_ops memory_set_basic = {
    .add = add, .remove = remove_members, .contains = contains, .get_members = get_members, .clear = clear};
