/* How many members a set has, and which of many. */
#include "prism/set/v1/set_cardinality.ops.h"

#include "data/set.h"
#include "drivers/memory/internal.h"

static void get_size(struct backend *backend, struct call *call, const struct set_get_size_request *r)
{
    struct set_get_size_response response = {.size = 0};
    enum err e = collection_check_key(r->key, &call->diag);
    if (!e) {
        struct visit v = visit_begin((struct memory *)backend, SHELF_SETS, r->key);
        response.size = v.box ? ranked_count(&v.box->members) : 0;
        visit_end(&v);
    }
    memory_answer(call, e, &response);
}

static void look_up(struct memory *m, const struct set_is_member_request *r, bool *present)
{
    struct visit v = visit_begin(m, SHELF_SETS, r->key);
    for (uint32_t i = 0; v.box && i < r->members.count; i++)
        present[i] = memory_ranked_find(&v.box->members, PB_AT(r->members, struct slice, i));
    visit_end(&v);
}

static void is_member(struct backend *backend, struct call *call, const struct set_is_member_request *r)
{
    struct set_is_member_response response = {.present = {.count = r->members.count}};
    enum err e = set_check_members(call, r->key, &r->members);
    if (!e && !(response.present.items = arena_array(call->arena, bool, r->members.count)))
        e = ERR_NOMEM;
    if (!e)
        look_up((struct memory *)backend, r, response.present.items);
    memory_answer(call, e, &response);
}

const struct set_cardinality_ops memory_set_cardinality = {.get_size = get_size, .is_member = is_member};
