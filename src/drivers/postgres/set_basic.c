/* Add, Remove, Contains, Clear, GetSize, IsMember. GetMembers is a walk: set_operations.c. */
#include "drivers/postgres/set.h"
#include "prism/set/v1/set_basic.ops.h"
#include "prism/set/v1/set_cardinality.ops.h"

/* --- add, remove ------------------------------------------------------------------------------------------------------------- */

static enum err put_members(struct postgres_unit *u, enum postgres_statement s, struct slice key,
                            const struct pb_array *members)
{
    struct postgres_params p = postgres_key_params(u, key);
    struct postgres_array array = postgres_slices(u, members);
    postgres_put_array(&p, &array);
    return postgres_put(u, s, &p);
}

static enum err put_add(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct set_add_request *request = o->call->request;
    return put_members(u, STATEMENT_SET_ADD, request->key, &request->members);
}

static enum err take_add(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct set_add_response *response = postgres_response(o);
    (void)index;
    response->added = (uint64_t)postgres_int8(r, 0, 0);
    return OK;
}

static void add(struct backend *backend, struct call *call, const struct set_add_request *request)
{
    postgres_plain(backend, call, CLASS_WRITE, sizeof(struct set_add_response), put_add, take_add,
                   set_check_add(call, request));
}

static enum err put_remove(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct set_remove_request *request = o->call->request;
    return put_members(u, STATEMENT_SET_REMOVE, request->key, &request->members);
}

static enum err take_remove(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct set_remove_response *response = postgres_response(o);
    (void)index;
    response->removed = (uint64_t)postgres_int8(r, 0, 0);
    return OK;
}

static void remove_members(struct backend *backend, struct call *call, const struct set_remove_request *request)
{
    postgres_plain(backend, call, CLASS_WRITE, sizeof(struct set_remove_response), put_remove, take_remove,
                   set_check_members(call, request->key, &request->members));
}

static void clear(struct backend *backend, struct call *call, const struct set_clear_request *request)
{
    postgres_clear(backend, call, POSTGRES_SET, request->key);
}

/* --- of members -------------------------------------------------------------------------------------------------------------- */

static enum err put_contains(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct set_contains_request *request = o->call->request;
    struct pb_array one = {.items = (void *)&request->member, .count = 1};
    return put_members(u, STATEMENT_SET_HAS, request->key, &one);
}

static enum err take_contains(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct set_contains_response *response = postgres_response(o);
    (void)index;
    response->contains = PQntuples(r) > 0;
    return OK;
}

static void contains(struct backend *backend, struct call *call, const struct set_contains_request *request)
{
    enum err e = collection_check_key(request->key, &call->diag);
    postgres_plain(backend, call, CLASS_READ, sizeof(struct set_contains_response), put_contains, take_contains,
                   e ? e : collection_check_member(request->member, &call->diag, "member"));
}

static enum err put_is_member(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct set_is_member_request *request = o->call->request;
    return put_members(u, STATEMENT_SET_HAS, request->key, &request->members);
}

static enum err take_is_member(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    const struct set_is_member_request *request = o->call->request;
    struct set_is_member_response *response = postgres_response(o);
    bool *present = arena_array(o->call->arena, bool, request->members.count);
    (void)index;
    if (!present)
        return ERR_NOMEM;
    for (int row = 0; row < PQntuples(r); row++) {
        int64_t n = postgres_int8(r, row, 0);
        if (n < 1 || n > request->members.count)
            return ERR_BACKEND_LOST;
        present[n - 1] = true;
    }
    response->present = (struct pb_array){.items = present, .count = request->members.count};
    return OK;
}

static void is_member(struct backend *backend, struct call *call, const struct set_is_member_request *request)
{
    postgres_plain(backend, call, CLASS_READ, sizeof(struct set_is_member_response), put_is_member, take_is_member,
                   set_check_members(call, request->key, &request->members));
}

/* --- size -------------------------------------------------------------------------------------------------------------------- */

static enum err put_get_size(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct set_get_size_request *request = o->call->request;
    struct postgres_params p = postgres_key_params(u, request->key);
    postgres_put_int2(&p, POSTGRES_SET);
    return postgres_put(u, STATEMENT_COLLECTION_SIZE, &p);
}

static enum err take_get_size(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct set_get_size_response *response = postgres_response(o);
    (void)index;
    response->size = PQntuples(r) ? (uint64_t)postgres_int8(r, 0, 0) : 0;
    return OK;
}

static void get_size(struct backend *backend, struct call *call, const struct set_get_size_request *request)
{
    postgres_plain(backend, call, CLASS_READ, sizeof(struct set_get_size_response), put_get_size, take_get_size,
                   collection_check_key(request->key, &call->diag));
}

static void get_members(struct backend *backend, struct call *call, const struct set_get_members_request *request)
{
    (void)request;
    postgres_set_walk(backend, call);
}

const struct set_basic_ops postgres_set_basic = {
    .add = add, .remove = remove_members, .contains = contains, .get_members = get_members, .clear = clear};
const struct set_cardinality_ops postgres_set_cardinality = {.get_size = get_size, .is_member = is_member};
