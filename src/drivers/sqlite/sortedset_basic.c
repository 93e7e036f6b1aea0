/* Add, Remove, GetScore, Clear; GetRank and GetReverseRank. A rank counts the members before it in the index. */
#include "drivers/sqlite/sortedset.h"
#include "prism/sortedset/v1/sortedset_basic.ops.h"
#include "prism/sortedset/v1/sortedset_rank.ops.h"

enum err sqlite_sorted_find(struct sqlite_operation *o, struct slice key, struct sqlite_collection *ret_set)
{
    return sqlite_collection_find(o->connection, SQLITE_SORTED_SET, key, ret_set);
}

enum err sqlite_sorted_at(struct sqlite_connection *c, enum sqlite_statement which, const struct sqlite_collection *set,
                          double score, struct slice member, sqlite3_stmt **ret_statement)
{
    enum err e = sqlite_prepare_for(c, which, set, ret_statement);
    if (e)
        return e;
    sqlite3_bind_double(*ret_statement, 2, score);
    sqlite_bind_slice(*ret_statement, 3, member);
    return OK;
}

enum err sqlite_sorted_score(struct sqlite_connection *c, const struct sqlite_collection *set, struct slice member,
                             bool *ret_found, double *ret_score)
{
    sqlite3_stmt *s;
    *ret_found = false;
    if (!set->id)
        return OK;
    enum err e = sqlite_sorted_at(c, STATEMENT_SORTED_GET, set, 0, member, &s);
    if (e)
        return e;
    e = sqlite_step(c, s, ret_found);
    if (!e && *ret_found)
        *ret_score = sqlite3_column_double(s, 0);
    sqlite_reset(s);
    return e;
}

/* --- add ------------------------------------------------------------------------------------------------------------------------ */

static enum err add_one(struct sqlite_connection *c, const struct sqlite_collection *set,
                        const struct sortedset_scored_member *m, struct sortedset_add_response *response)
{
    sqlite3_stmt *s;
    bool found;
    double old, score = score_kept(m->score);
    enum err e = sqlite_sorted_score(c, set, m->member, &found, &old);
    if (e || (found && old == score))
        return e;
    response->added += !found;
    response->updated += found;
    e = sqlite_sorted_at(c, STATEMENT_SORTED_PUT, set, score, m->member, &s);
    return e ? e : sqlite_finish(c, s);
}

static enum err run_add(struct sqlite_operation *o)
{
    const struct sortedset_add_request *request = o->call->request;
    struct sortedset_add_response *response = arena_new(o->call->arena, struct sortedset_add_response);
    struct sqlite_collection set;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_collection_make(o->connection, SQLITE_SORTED_SET, request->key, &set);
    for (uint32_t i = 0; i < request->members.count && !e; i++)
        e = add_one(o->connection, &set, PB_AT(request->members, const struct sortedset_scored_member *, i), response);
    return e ? e : sqlite_collection_resize(o->connection, &set, set.size + response->added);
}

/* --- remove, clear -------------------------------------------------------------------------------------------------------------- */

static enum err remove_all(struct sqlite_connection *c, const struct sqlite_collection *set,
                           const struct pb_array *members, uint64_t *ret_removed)
{
    uint64_t removed = 0, one;
    enum err e = OK;
    for (uint32_t i = 0; i < members->count && !e; i++) {
        sqlite3_stmt *s;
        e = sqlite_sorted_at(c, STATEMENT_SORTED_REMOVE, set, 0, PB_AT(*members, struct slice, i), &s);
        if (!e)
            e = sqlite_change(c, s, &one);
        removed += e ? 0 : one;
    }
    *ret_removed = removed;
    return e;
}

static enum err run_remove(struct sqlite_operation *o)
{
    const struct sortedset_remove_request *request = o->call->request;
    struct sortedset_remove_response *response = arena_new(o->call->arena, struct sortedset_remove_response);
    struct sqlite_collection set;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_sorted_find(o, request->key, &set);
    if (e || !set.id)
        return e;
    e = remove_all(o->connection, &set, &request->members, &response->removed);
    return e ? e : sqlite_collection_resize(o->connection, &set, set.size - response->removed);
}

static enum err run_clear(struct sqlite_operation *o)
{
    const struct sortedset_clear_request *request = o->call->request;
    struct sortedset_clear_response *response = arena_new(o->call->arena, struct sortedset_clear_response);
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    return sqlite_collection_clear(o->connection, SQLITE_SORTED_SET, STATEMENT_SORTED_CLEAR, request->key,
                                   &response->removed);
}

/* --- of one member -------------------------------------------------------------------------------------------------------------- */

static enum err run_get_score(struct sqlite_operation *o)
{
    const struct sortedset_get_score_request *request = o->call->request;
    struct sortedset_get_score_response *response = arena_new(o->call->arena, struct sortedset_get_score_response);
    struct sqlite_collection set;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_sorted_find(o, request->key, &set);
    return e ? e : sqlite_sorted_score(o->connection, &set, request->member, &response->found, &response->score);
}

static enum err rank_of(struct sqlite_connection *c, enum sqlite_statement which, const struct sqlite_collection *set,
                        double score, struct slice member, uint64_t *ret_rank)
{
    sqlite3_stmt *s;
    bool row;
    enum err e = sqlite_sorted_at(c, which, set, score, member, &s);
    if (e)
        return e;
    e = sqlite_step(c, s, &row);
    if (!e)
        *ret_rank = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite_reset(s);
    return e;
}

/* Both directions. Their requests have one layout (data/sortedset.c), and their answers too. */
_Static_assert(sizeof(struct sortedset_get_rank_response) == sizeof(struct sortedset_get_reverse_rank_response) &&
                   offsetof(struct sortedset_get_rank_response, score) ==
                       offsetof(struct sortedset_get_reverse_rank_response, score),
               "taken for each other");
static enum err run_rank(struct sqlite_operation *o)
{
    const struct sortedset_get_rank_request *request = o->call->request;
    struct sortedset_get_rank_response *response = arena_new(o->call->arena, struct sortedset_get_rank_response);
    bool reverse = o->call->method->pb->input == &sortedset_get_reverse_rank_request_pb;
    struct sqlite_collection set;
    if (!response)
        return ERR_NOMEM;
    o->response = response;
    enum err e = sqlite_sorted_find(o, request->key, &set);
    if (!e)
        e = sqlite_sorted_score(o->connection, &set, request->member, &response->found, &response->score);
    if (e || !response->found)
        return e;
    return rank_of(o->connection, reverse ? STATEMENT_SORTED_RANK_BACK : STATEMENT_SORTED_RANK, &set, response->score,
                   request->member, &response->rank);
}

/* --- the interfaces ------------------------------------------------------------------------------------------------------------- */

static void add(struct backend *backend, struct call *call, const struct sortedset_add_request *request)
{
    sqlite_write_plain(backend, call, run_add, sortedset_check_add(call, request));
}

static void remove_members(struct backend *backend, struct call *call, const struct sortedset_remove_request *request)
{
    sqlite_write_plain(backend, call, run_remove, sortedset_check_remove(call, request));
}

static void get_score(struct backend *backend, struct call *call, const struct sortedset_get_score_request *request)
{
    sqlite_read_plain(backend, call, run_get_score, sortedset_check_member(call, request->key, request->member));
}

static void clear(struct backend *backend, struct call *call, const struct sortedset_clear_request *request)
{
    sqlite_write_plain(backend, call, run_clear, collection_check_key(request->key, &call->diag));
}

static void read_rank(struct backend *backend, struct call *call, struct slice key, struct slice member)
{
    struct sqlite_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_rank);
    if (!o)
        return;
    o->heavy = true;
    sqlite_read_checked(o, sortedset_check_member(call, key, member));
}

static void get_rank(struct backend *backend, struct call *call, const struct sortedset_get_rank_request *request)
{
    read_rank(backend, call, request->key, request->member);
}

static void get_reverse_rank(struct backend *backend, struct call *call,
                             const struct sortedset_get_reverse_rank_request *request)
{
    read_rank(backend, call, request->key, request->member);
}

const struct sortedset_basic_ops sqlite_sortedset_basic = {
    .add = add, .remove = remove_members, .get_score = get_score, .clear = clear};
const struct sortedset_rank_ops sqlite_sortedset_rank = {.get_rank = get_rank, .get_reverse_rank = get_reverse_rank};
