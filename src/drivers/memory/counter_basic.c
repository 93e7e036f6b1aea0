/* Counters: a number in a box. */
#include "prism/counter/v1/counter_basic.ops.h"

#include "data/counter.h"
#include "drivers/memory/internal.h"

/* The box is made after the sum is known to fit, so that a refused addition leaves none behind. */
static enum err add_locked(struct visit *v, const struct counter_add_and_get_request *r, struct diag *diag,
                           int64_t *ret_sum)
{
    int64_t sum = 0;
    enum err e = counter_sum(v->box ? v->box->counter : 0, r->delta, diag, &sum);
    if (!e)
        e = memory_box_open(v->shelf, v->bay, r->key, &v->box);
    if (e)
        return e;
    v->box->counter = sum;
    *ret_sum = sum;
    return OK;
}

static enum err add_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                         const void **ret_response)
{
    const struct counter_add_and_get_request *r = request; /* or counter_add_request, of the same layout */
    (void)now_ms;
    enum err e = counter_check_add(call, r);
    if (e)
        return e;
    int64_t *sum;
    const void *answer = counter_answer_room(call, &sum);
    if (!answer)
        return ERR_NOMEM;
    struct visit v = visit_begin(m, SHELF_COUNTERS, r->key);
    e = add_locked(&v, r, &call->diag, sum);
    visit_end(&v);
    if (!e)
        *ret_response = answer;
    return e;
}

static void add(struct backend *backend, struct call *call, const struct counter_add_request *r)
{
    memory_mutate(backend, call, r, add_once);
}

static void add_and_get(struct backend *backend, struct call *call, const struct counter_add_and_get_request *r)
{
    memory_mutate(backend, call, r, add_once);
}

static void get(struct backend *backend, struct call *call, const struct counter_get_request *r)
{
    struct counter_get_response response = {.value = 0};
    enum err e = collection_check_key(r->key, &call->diag);
    if (!e) {
        struct visit v = visit_begin((struct memory *)backend, SHELF_COUNTERS, r->key);
        response.value = v.box ? v.box->counter : 0;
        visit_end(&v);
    }
    memory_answer(call, e, &response);
}

static enum err clear_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                           const void **ret_response)
{
    const struct counter_clear_request *r = request;
    struct counter_clear_response *response = arena_new(call->arena, struct counter_clear_response);
    (void)now_ms;
    enum err e = response ? collection_check_key(r->key, &call->diag) : ERR_NOMEM;
    if (e)
        return e;
    struct visit v = visit_begin(m, SHELF_COUNTERS, r->key);
    struct box *taken = visit_take(&v);
    visit_end(&v);
    response->value = taken ? taken->counter : 0;
    memory_box_free(v.shelf, taken);
    *ret_response = response;
    return OK;
}

static void clear(struct backend *backend, struct call *call, const struct counter_clear_request *r)
{
    memory_mutate(backend, call, r, clear_once);
}

const struct counter_basic_ops memory_counter_basic = {
    .add = add, .add_and_get = add_and_get, .get = get, .clear = clear};
