/* GetRandomMember, PopRandomMember: as many ranks as asked for are drawn, each set of ranks as likely as any other, and the members
 * that have them are read in one walk. It steps over the members before them: some 20 million of the index a second. */
#include "drivers/sqlite/set.h"
#include "prism/set/v1/set_random.ops.h"

struct random_operation {
    struct sqlite_operation operation;
    struct slice key;
    uint32_t count; /* at the most */
    bool pop;
};

/* SplitMix64 (Steele, Lea, Flood 2014), seeded by the environment for each call. */
static uint64_t next(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

/* Below n, which is not 0; each as likely as any other. */
static uint64_t below(uint64_t *state, uint64_t n)
{
    uint64_t x, bias = (0 - n) % n; /* the lowest of so many numbers would come too often */
    do
        x = next(state);
    while (x < bias);
    return x % n;
}

/* Whether the member that is next belongs to the choice: wanted of those left (Knuth, The Art of Computer Programming, volume 2,
 * 3.4.2, algorithm S). */
static bool is_chosen(uint64_t *random, uint64_t wanted, uint64_t left)
{
    return below(random, left) < wanted;
}

static enum err take(struct sqlite_operation *o, sqlite3_stmt *s, struct pb_array *members)
{
    struct slice *slot = pb_array_add(members, sizeof *slot, o->call->arena);
    return slot && arena_copy(o->call->arena, sqlite_column_slice(s, 0), slot) ? OK : ERR_NOMEM;
}

static enum err choose(struct sqlite_operation *o, const struct sqlite_collection *set, uint32_t count, sqlite3_stmt *s,
                       struct pb_array *members)
{
    uint64_t left = set->size, random;
    bool row;
    enum err e = OK;
    o->store->env->random(o->store->env, &random, sizeof random);
    for (uint64_t wanted = count < left ? count : left; wanted && !e; left--) {
        e = sqlite_step(o->connection, s, &row);
        if (!e && !row)
            e = ERR_CORRUPT;
        if (e || !is_chosen(&random, wanted, left))
            continue;
        e = take(o, s, members);
        wanted--;
    }
    return e;
}

static enum err choose_of(struct sqlite_operation *o, const struct sqlite_collection *set, uint32_t count,
                          struct pb_array *members)
{
    sqlite3_stmt *s;
    enum err e = sqlite_prepare_for(o->connection, STATEMENT_SET_WALK, set, &s);
    if (e)
        return e;
    sqlite_bind_slice(s, 2, SLICE_EMPTY);
    e = choose(o, set, count, s, members);
    sqlite_reset(s);
    return e;
}

static enum err remove_all(struct sqlite_connection *c, struct sqlite_collection *set, const struct pb_array *members)
{
    enum err e = OK;
    for (uint32_t i = 0; i < members->count && !e; i++) {
        sqlite3_stmt *s;
        e = sqlite_prepare_for(c, STATEMENT_SET_REMOVE, set, &s);
        if (e)
            break;
        sqlite_bind_slice(s, 2, PB_AT(*members, struct slice, i));
        e = sqlite_finish(c, s);
    }
    return e ? e : sqlite_collection_resize(c, set, set->size - members->count);
}

static enum err run_random(struct sqlite_operation *operation)
{
    const struct random_operation *o = (const struct random_operation *)operation;
    struct set_pop_random_member_response *response = set_random_answer(operation->call, o->count);
    struct sqlite_collection set;
    if (!response)
        return ERR_NOMEM;
    operation->response = response;
    enum err e = sqlite_collection_find(operation->connection, SQLITE_SET, o->key, &set);
    if (e || !set.id)
        return e;
    e = choose_of(operation, &set, o->count, &response->members);
    if (e || !o->pop)
        return e;
    e = remove_all(operation->connection, &set, &response->members);
    response->size = set.size;
    return e;
}

static struct random_operation *make(struct backend *backend, struct call *call, struct slice key, uint32_t count,
                                     enum err *ret_err)
{
    struct random_operation *o = sqlite_operation_new(backend, call, sizeof *o, run_random);
    if (!o)
        return NULL;
    o->key = key;
    *ret_err = collection_check_key(key, &call->diag);
    if (!*ret_err)
        *ret_err = collection_count(count, &call->diag, &o->count);
    return o;
}

static void get_random(struct backend *backend, struct call *call, const struct set_get_random_member_request *request)
{
    enum err e;
    struct random_operation *o = make(backend, call, request->key, request->count, &e);
    if (!o)
        return;
    o->operation.heavy = true;
    sqlite_read_checked(&o->operation, e);
}

static void pop_random(struct backend *backend, struct call *call, const struct set_pop_random_member_request *request)
{
    enum err e;
    struct random_operation *o = make(backend, call, request->key, request->count, &e);
    if (!o)
        return;
    o->pop = true;
    sqlite_write_checked(&o->operation, e);
}

const struct set_random_ops sqlite_set_random = {.get_random_member = get_random, .pop_random_member = pop_random};
