/* GetRandomMember, PopRandomMember: the server shuffles; each choice is as likely as any other. It looks at the whole set. */
#include "drivers/postgres/set.h"
#include "prism/set/v1/set_random.ops.h"

struct random_operation {
    struct postgres_operation operation;
    struct slice key;
    uint32_t count; /* at the most */
    bool pop;
};

static enum err put_random(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct random_operation *random = (struct random_operation *)o;
    struct postgres_params p = postgres_key_params(u, random->key);
    postgres_put_int8(&p, random->count);
    return postgres_put(u, random->pop ? STATEMENT_SET_POP : STATEMENT_SET_RANDOM, &p);
}

static enum err take_random(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct set_pop_random_member_response *response = postgres_response(o);
    bool pop = ((struct random_operation *)o)->pop;
    enum err e = OK;
    (void)index;
    response->members.count = 0;
    for (int row = 0; row < PQntuples(r) && !e; row++)
        e = postgres_add_slice(o, &response->members, postgres_bytes(r, row, 0));
    if (pop)
        response->size = PQntuples(r) ? (uint64_t)postgres_int8(r, 0, 1) : 0;
    return e;
}

static void choose(struct backend *backend, struct call *call, struct slice key, uint32_t count, bool pop)
{
    struct random_operation *random =
        postgres_operation_new(backend, call, sizeof *random, pop ? CLASS_WRITE : CLASS_HEAVY);
    if (!random)
        return;
    random->key = key;
    random->pop = pop;
    enum err e = collection_check_key(key, &call->diag);
    if (!e)
        e = collection_count(count, &call->diag, &random->count);
    if (!e && !(random->operation.response = set_random_answer(call, random->count)))
        e = ERR_NOMEM;
    postgres_submit_checked(&random->operation, put_random, take_random, e);
}

static void get_random(struct backend *backend, struct call *call, const struct set_get_random_member_request *request)
{
    choose(backend, call, request->key, request->count, false);
}

static void pop_random(struct backend *backend, struct call *call, const struct set_pop_random_member_request *request)
{
    choose(backend, call, request->key, request->count, true);
}

const struct set_random_ops postgres_set_random = {.get_random_member = get_random, .pop_random_member = pop_random};
