/* Add, Remove, Contains, Clear, GetSize, IsMember. GetMembers is a walk: set_operations.c. */
#include "drivers/sqlite/set.h"
#include "prism/set/v1/set_basic.ops.h"
#include "prism/set/v1/set_cardinality.ops.h"

static enum err find(struct sqlite_operation *o, struct slice key, struct sqlite_collection *ret_set)
{
    return sqlite_collection_find(o->connection, SQLITE_SET, key, ret_set);
}

/* One statement for each member; *ret_changed: rows in all. */
static enum err change_all(struct sqlite_connection *c, enum sqlite_statement which,
                           const struct sqlite_collection *set, const struct pb_array *members, uint64_t *ret_changed)
{
    uint64_t changed = 0, one;
    enum err e = OK;
    for (uint32_t i = 0; i < members->count && !e; i++) {
        sqlite3_stmt *s;
        e = sqlite_prepare_for(c, which, set, &s);
        if (e)
            break;
        sqlite_bind_slice(s, 2, PB_AT(*members, struct slice, i));
        e = sqlite_change(c, s, &one);
        changed += e ? 0 : one;
    }
    *ret_changed = changed;
    return e;
}

static enum err run_add(struct sqlite_operation *o)
{
    const struct set_add_request *request = o->call->request;
    struct set_add_response *response = arena_new(o->call->arena, struct set_add_response);
    struct sqlite_collection set;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_collection_make(o->connection, SQLITE_SET, request->key, &set);
    if (!e)
        e = change_all(o->connection, STATEMENT_SET_ADD, &set, &request->members, &response->added);
    return e ? e : sqlite_collection_resize(o->connection, &set, set.size + response->added);
}

static enum err run_remove(struct sqlite_operation *o)
{
    const struct set_remove_request *request = o->call->request;
    struct set_remove_response *response = arena_new(o->call->arena, struct set_remove_response);
    struct sqlite_collection set;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = find(o, request->key, &set);
    if (e || !set.id)
        return e;
    e = change_all(o->connection, STATEMENT_SET_REMOVE, &set, &request->members, &response->removed);
    return e ? e : sqlite_collection_resize(o->connection, &set, set.size - response->removed);
}

static enum err run_clear(struct sqlite_operation *o)
{
    const struct set_clear_request *request = o->call->request;
    struct set_clear_response *response = arena_new(o->call->arena, struct set_clear_response);
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    return sqlite_collection_clear(o->connection, SQLITE_SET, STATEMENT_SET_CLEAR, request->key, &response->removed);
}

static enum err run_contains(struct sqlite_operation *o)
{
    const struct set_contains_request *request = o->call->request;
    struct set_contains_response *response = arena_new(o->call->arena, struct set_contains_response);
    struct sqlite_collection set;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = find(o, request->key, &set);
    return e ? e : sqlite_set_has(o->connection, &set, request->member, &response->contains);
}

static enum err run_is_member(struct sqlite_operation *o)
{
    const struct set_is_member_request *request = o->call->request;
    struct set_is_member_response *response = arena_new(o->call->arena, struct set_is_member_response);
    bool *present = arena_array(o->call->arena, bool, request->members.count);
    struct sqlite_collection set;
    if (!response || !present)
        return ERR_NOMEM;
    o->response = response;
    response->present = (struct pb_array){.items = present, .count = request->members.count};
    enum err e = find(o, request->key, &set);
    for (uint32_t i = 0; i < request->members.count && !e; i++)
        e = sqlite_set_has(o->connection, &set, PB_AT(request->members, struct slice, i), &present[i]);
    return e;
}

static enum err run_get_size(struct sqlite_operation *o)
{
    const struct set_get_size_request *request = o->call->request;
    struct set_get_size_response *response = arena_new(o->call->arena, struct set_get_size_response);
    struct sqlite_collection set;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = find(o, request->key, &set);
    response->size = e ? 0 : set.size;
    return e;
}

/* --- the interfaces ------------------------------------------------------------------------------------------------------------- */

static void add(struct backend *backend, struct call *call, const struct set_add_request *request)
{
    sqlite_write_plain(backend, call, run_add, set_check_add(call, request));
}

static void remove_members(struct backend *backend, struct call *call, const struct set_remove_request *request)
{
    sqlite_write_plain(backend, call, run_remove, set_check_members(call, request->key, &request->members));
}

static void clear(struct backend *backend, struct call *call, const struct set_clear_request *request)
{
    sqlite_write_plain(backend, call, run_clear, collection_check_key(request->key, &call->diag));
}

static void contains(struct backend *backend, struct call *call, const struct set_contains_request *request)
{
    enum err e = collection_check_key(request->key, &call->diag);
    sqlite_read_plain(backend, call, run_contains,
                      e ? e : collection_check_member(request->member, &call->diag, "member"));
}

static void is_member(struct backend *backend, struct call *call, const struct set_is_member_request *request)
{
    sqlite_read_plain(backend, call, run_is_member, set_check_members(call, request->key, &request->members));
}

static void get_size(struct backend *backend, struct call *call, const struct set_get_size_request *request)
{
    sqlite_read_plain(backend, call, run_get_size, collection_check_key(request->key, &call->diag));
}

static void get_members(struct backend *backend, struct call *call, const struct set_get_members_request *request)
{
    (void)request;
    sqlite_set_walk(backend, call);
}

const struct set_basic_ops sqlite_set_basic = {
    .add = add, .remove = remove_members, .contains = contains, .get_members = get_members, .clear = clear};
const struct set_cardinality_ops sqlite_set_cardinality = {.get_size = get_size, .is_member = is_member};
