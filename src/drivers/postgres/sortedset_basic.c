/* Add, Remove, GetScore, Clear; GetRank and GetReverseRank. A rank counts the members before it in the index. */
#include "data/sortedset.h"
#include "drivers/postgres/collection.h"
#include "prism/sortedset/v1/sortedset_basic.ops.h"
#include "prism/sortedset/v1/sortedset_rank.ops.h"

/* --- add --------------------------------------------------------------------------------------------------------------------- */

static enum err put_add(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct sortedset_add_request *request = o->call->request;
    uint32_t count = request->members.count;
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += PB_AT(request->members, const struct sortedset_scored_member *, i)->member.size;
    struct postgres_array members = postgres_array_new(&u->lane->arena, TYPE_BYTEA, count, bytes),
                          scores = postgres_array_new(&u->lane->arena, TYPE_FLOAT8, count, (size_t)count * 8);
    for (uint32_t i = 0; i < count; i++) {
        const struct sortedset_scored_member *m = PB_AT(request->members, const struct sortedset_scored_member *, i);
        postgres_array_bytes(&members, m->member);
        postgres_array_double(&scores, score_kept(m->score));
    }
    struct postgres_params p = postgres_key_params(u, request->key);
    postgres_put_array(&p, &members);
    postgres_put_array(&p, &scores);
    return postgres_put(u, STATEMENT_SORTED_ADD, &p);
}

static enum err take_add(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct sortedset_add_response *response = postgres_response(o);
    (void)index;
    response->added = (uint64_t)postgres_int8(r, 0, 0);
    response->updated = (uint64_t)postgres_int8(r, 0, 1);
    return OK;
}

static void add(struct backend *backend, struct call *call, const struct sortedset_add_request *request)
{
    postgres_plain(backend, call, CLASS_WRITE, sizeof(struct sortedset_add_response), put_add, take_add,
                   sortedset_check_add(call, request));
}

/* --- remove, clear ----------------------------------------------------------------------------------------------------------- */

static enum err put_remove(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct sortedset_remove_request *request = o->call->request;
    struct postgres_params p = postgres_key_params(u, request->key);
    struct postgres_array members = postgres_slices(u, &request->members);
    postgres_put_array(&p, &members);
    return postgres_put(u, STATEMENT_SORTED_REMOVE, &p);
}

static enum err take_remove(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct sortedset_remove_response *response = postgres_response(o);
    (void)index;
    response->removed = (uint64_t)postgres_int8(r, 0, 0);
    return OK;
}

static void remove_members(struct backend *backend, struct call *call, const struct sortedset_remove_request *request)
{
    postgres_plain(backend, call, CLASS_WRITE, sizeof(struct sortedset_remove_response), put_remove, take_remove,
                   sortedset_check_remove(call, request));
}

static void clear(struct backend *backend, struct call *call, const struct sortedset_clear_request *request)
{
    postgres_clear(backend, call, POSTGRES_SORTED_SET, request->key);
}

/* --- of one member ----------------------------------------------------------------------------------------------------------- */

static enum err put_get_score(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct sortedset_get_score_request *request = o->call->request;
    struct postgres_params p = postgres_key_params(u, request->key);
    postgres_put_bytes(&p, request->member);
    return postgres_put(u, STATEMENT_SORTED_SCORE, &p);
}

static enum err take_get_score(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct sortedset_get_score_response *response = postgres_response(o);
    (void)index;
    response->found = PQntuples(r) > 0;
    response->score = response->found ? postgres_double(r, 0, 0) : 0;
    return OK;
}

static void get_score(struct backend *backend, struct call *call, const struct sortedset_get_score_request *request)
{
    postgres_plain(backend, call, CLASS_READ, sizeof(struct sortedset_get_score_response), put_get_score,
                   take_get_score, sortedset_check_member(call, request->key, request->member));
}

/* Both directions. Their requests have one layout (data/sortedset.c), and their answers too. */
_Static_assert(sizeof(struct sortedset_get_rank_response) == sizeof(struct sortedset_get_reverse_rank_response) &&
                   offsetof(struct sortedset_get_rank_response, score) ==
                       offsetof(struct sortedset_get_reverse_rank_response, score),
               "taken for each other");

static enum err put_rank(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct sortedset_get_rank_request *request = o->call->request;
    struct postgres_params p = postgres_key_params(u, request->key);
    postgres_put_bytes(&p, request->member);
    postgres_put_bool(&p, o->call->method->pb->input == &sortedset_get_reverse_rank_request_pb);
    return postgres_put(u, STATEMENT_SORTED_RANK, &p);
}

static enum err take_rank(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct sortedset_get_rank_response *response = postgres_response(o);
    (void)index;
    if (!PQntuples(r))
        return OK;
    response->found = true;
    response->rank = (uint64_t)postgres_int8(r, 0, 0);
    response->score = postgres_double(r, 0, 1);
    return OK;
}

static void get_rank(struct backend *backend, struct call *call, const struct sortedset_get_rank_request *request)
{
    postgres_plain(backend, call, CLASS_HEAVY, sizeof(struct sortedset_get_rank_response), put_rank, take_rank,
                   sortedset_check_member(call, request->key, request->member));
}

static void get_reverse_rank(struct backend *backend, struct call *call,
                             const struct sortedset_get_reverse_rank_request *request)
{
    postgres_plain(backend, call, CLASS_HEAVY, sizeof(struct sortedset_get_rank_response), put_rank, take_rank,
                   sortedset_check_member(call, request->key, request->member));
}

const struct sortedset_basic_ops postgres_sortedset_basic = {
    .add = add, .remove = remove_members, .get_score = get_score, .clear = clear};
const struct sortedset_rank_ops postgres_sortedset_rank = {.get_rank = get_rank, .get_reverse_rank = get_reverse_rank};
