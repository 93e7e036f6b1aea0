/* Union and Intersection: the server answers the members, sorted by their bytes, with the score that each has in each sorted set; here
 * the scores of a member become one, and a page of the results is answered. */
#include "data/sortedset.h"
#include "drivers/postgres/collection.h"
#include "prism/sortedset/v1/sortedset_operations.ops.h"

struct join_operation {
    struct postgres_operation operation;
    struct sortedset_operation what;
    struct scored *results;
    size_t count;
};

static struct join_operation *join_of(struct postgres_operation *o)
{
    return (struct join_operation *)o;
}

static enum err put_join(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct sortedset_operation *what = &join_of(o)->what;
    struct postgres_params p = postgres_keys_params(u, what->keys, what->key_count);
    postgres_put_bool(&p, what->intersection);
    postgres_put_int8(&p, LIMIT_OPERATION_MEMBERS);
    return postgres_put(u, STATEMENT_SORTED_JOIN, &p);
}

/* A row of number, score and member: rows of one member follow each other. */
static enum err join_row(struct join_operation *j, const PGresult *r, int row)
{
    const struct sortedset_operation *what = &j->what;
    int64_t n = postgres_int8(r, row, 0);
    struct slice member = postgres_bytes(r, row, 2);
    if (n < 1 || n > what->key_count)
        return ERR_BACKEND_LOST;
    double score = score_weigh(postgres_double(r, row, 1), what->weights[n - 1]);
    struct scored *last = j->count ? &j->results[j->count - 1] : NULL;
    if (last && slice_eq(last->member, member)) {
        last->score = score_join(what->aggregate, last->score, score);
        return OK;
    }
    struct scored *next = &j->results[j->count];
    if (!arena_copy(j->operation.call->arena, member, &next->member))
        return ERR_NOMEM;
    next->score = score;
    j->count++;
    return OK;
}

static enum err take_join(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    struct join_operation *j = join_of(o);
    int rows = PQntuples(r);
    enum err e = OK;
    (void)index;
    if (postgres_int8(r, 0, 3) > LIMIT_OPERATION_MEMBERS)
        return sortedset_operation_too_large(&o->call->diag);
    j->results = rows > 1 ? arena_array(o->call->arena, struct scored, (size_t)rows - 1) : NULL;
    if (rows > 1 && !j->results)
        return ERR_NOMEM;
    for (int row = 1; row < rows && !e; row++)
        e = join_row(j, r, row);
    return e;
}

static void answer_join(struct postgres_operation *o)
{
    struct join_operation *j = join_of(o);
    o->answer = NULL;
    if (o->outcome)
        postgres_finish(o, o->outcome);
    else
        sortedset_operation_answer(&j->what, j->results, j->count);
}

static void operate(struct backend *backend, struct call *call)
{
    struct join_operation *j = postgres_operation_new(backend, call, sizeof *j, CLASS_HEAVY);
    if (!j)
        return;
    j->operation.answer = answer_join;
    postgres_submit_checked(&j->operation, put_join, take_join, sortedset_operation_make(call, &j->what));
}

static void unite(struct backend *backend, struct call *call, const struct sortedset_union_request *request)
{
    (void)request;
    operate(backend, call);
}

static void intersect(struct backend *backend, struct call *call, const struct sortedset_intersection_request *request)
{
    (void)request;
    operate(backend, call);
}

const struct sortedset_operations_ops postgres_sortedset_operations = {.union_ = unite, .intersection = intersect};
