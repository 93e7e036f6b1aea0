/* Members of a sorted set and their scores. */
#include "prism/sortedset/v1/sortedset_basic.ops.h"

#include "data/sortedset.h"
#include "drivers/memory/members.h"

static enum err members_of(struct memory *m, struct call *call, const struct pb_array *from, struct members *members)
{
    enum err e = memory_members_make(m, call->arena, from->count, members);
    for (uint32_t i = 0; !e && i < from->count; i++) {
        const struct sortedset_scored_member *one = PB_AT(*from, const struct sortedset_scored_member *, i);
        e = memory_members_append(m, members, one->member, one->score);
    }
    return e;
}

static enum err add_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                         const void **ret_response)
{
    const struct sortedset_add_request *r = request;
    struct sortedset_add_response *response = arena_new(call->arena, struct sortedset_add_response);
    struct members members = {0};
    struct members_change change;
    (void)now_ms;
    enum err e = response ? sortedset_check_add(call, r) : ERR_NOMEM;
    if (!e)
        e = members_of(m, call, &r->members, &members);
    if (!e) {
        struct visit v = visit_begin(m, SHELF_SORTEDSETS, r->key);
        e = memory_members_put(m, &v, r->key, &members, &call->diag, &change);
        visit_end(&v);
    }
    memory_members_free(&members);
    if (e)
        return e;
    response->added = change.added;
    response->updated = change.updated;
    *ret_response = response;
    return OK;
}

static void add(struct backend *backend, struct call *call, const struct sortedset_add_request *r)
{
    memory_mutate(backend, call, r, add_once);
}

static enum err remove_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                            const void **ret_response)
{
    const struct sortedset_remove_request *r = request;
    struct sortedset_remove_response *response = arena_new(call->arena, struct sortedset_remove_response);
    (void)now_ms;
    enum err e = response ? sortedset_check_remove(call, r) : ERR_NOMEM;
    if (e)
        return e;
    struct visit v = visit_begin(m, SHELF_SORTEDSETS, r->key);
    response->removed = memory_members_remove(m, &v, &r->members);
    visit_end(&v);
    *ret_response = response;
    return OK;
}

static void remove_members(struct backend *backend, struct call *call, const struct sortedset_remove_request *r)
{
    memory_mutate(backend, call, r, remove_once);
}

static void get_score(struct backend *backend, struct call *call, const struct sortedset_get_score_request *r)
{
    struct sortedset_get_score_response response = {.found = false};
    enum err e = sortedset_check_member(call, r->key, r->member);
    if (!e) {
        struct visit v = visit_begin((struct memory *)backend, SHELF_SORTEDSETS, r->key);
        const struct member *one = v.box ? memory_ranked_find(&v.box->members, r->member) : NULL;
        if (one)
            response = (struct sortedset_get_score_response){.found = true, .score = one->score};
        visit_end(&v);
    }
    memory_answer(call, e, &response);
}

static enum err clear_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                           const void **ret_response)
{
    const struct sortedset_clear_request *r = request;
    struct sortedset_clear_response *response = arena_new(call->arena, struct sortedset_clear_response);
    (void)now_ms;
    enum err e = response ? collection_check_key(r->key, &call->diag) : ERR_NOMEM;
    if (e)
        return e;
    struct visit v = visit_begin(m, SHELF_SORTEDSETS, r->key);
    struct box *taken = visit_take(&v);
    visit_end(&v);
    response->removed = taken ? ranked_count(&taken->members) : 0;
    memory_box_free(v.shelf, taken);
    *ret_response = response;
    return OK;
}

static void clear(struct backend *backend, struct call *call, const struct sortedset_clear_request *r)
{
    memory_mutate(backend, call, r, clear_once);
}

const struct sortedset_basic_ops memory_sortedset_basic = {
    .add = add, .remove = remove_members, .get_score = get_score, .clear = clear};
