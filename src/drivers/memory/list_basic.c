/* Pushes, pops and Clear of lists. */
#include "prism/list/v1/list_basic.ops.h"

#include "base/mem.h"
#include "data/list.h"
#include "drivers/memory/internal.h"

/* --- pushing -------------------------------------------------------------------------------------------------------------------- */

/* Values that are on their way into a list: made and charged before its lock is taken. */
struct load {
    struct value **values;
    uint32_t count;
    size_t cost;
};

static void load_free(struct memory *m, struct load *load)
{
    for (uint32_t i = 0; i < load->count; i++)
        mem_free(load->values[i]);
    memory_refund(&m->store, load->cost);
}

static enum err load_values(struct load *load, const struct pb_array *values)
{
    for (uint32_t i = 0; i < values->count; i++) {
        struct slice bytes = PB_AT(*values, struct slice, i);
        load->values[i] = memory_value_new(bytes);
        if (!load->values[i])
            return ERR_NOMEM;
        load->count++;
    }
    return OK;
}

static size_t cost_of(const struct pb_array *values)
{
    size_t cost = 0;
    for (uint32_t i = 0; i < values->count; i++)
        cost += memory_value_cost(PB_AT(*values, struct slice, i).size);
    return cost;
}

static enum err load_make(struct memory *m, struct call *call, const struct pb_array *values, struct load *ret_load)
{
    struct load load = {.values = arena_array(call->arena, struct value *, values->count), .cost = cost_of(values)};
    if (!load.values)
        return ERR_NOMEM;
    if (!memory_charge(&m->store, load.cost, 0))
        return ERR_STORE_FULL;
    enum err e = load_values(&load, values);
    if (e)
        load_free(m, &load);
    else
        *ret_load = load;
    return e;
}

static enum err push_locked(struct visit *v, const struct list_push *push, const struct load *load, struct diag *diag,
                            uint64_t *ret_length)
{
    enum err e = memory_box_open(v->shelf, v->bay, push->key, &v->box);
    if (!e)
        e = list_check_room(v->box->list.length, load->count, diag);
    if (!e)
        e = memory_deque_push(&v->box->list, push->end, load->values, load->count);
    if (!e)
        *ret_length = v->box->list.length;
    return e;
}

static enum err push_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                          const void **ret_response)
{
    struct list_push_left_response *response = arena_new(call->arena, struct list_push_left_response);
    struct list_push push;
    struct load load;
    (void)request, (void)now_ms;
    enum err e = response ? list_push_make(call, &push) : ERR_NOMEM;
    if (!e)
        e = load_make(m, call, push.values, &load);
    if (e)
        return e;
    struct visit v = visit_begin(m, SHELF_LISTS, push.key);
    e = push_locked(&v, &push, &load, &call->diag, &response->length);
    visit_end(&v);
    if (e) {
        load_free(m, &load);
        return e;
    }
    waiting_notify(&m->waiting, push.key);
    *ret_response = response;
    return OK;
}

static void push_left(struct backend *backend, struct call *call, const struct list_push_left_request *r)
{
    memory_mutate(backend, call, r, push_once);
}

static void push_right(struct backend *backend, struct call *call, const struct list_push_right_request *r)
{
    memory_mutate(backend, call, r, push_once);
}

/* --- popping -------------------------------------------------------------------------------------------------------------------- */

static const struct value *value_at_end(const struct deque *d, enum list_end end)
{
    const struct chunk *c = end == LIST_LEFT ? d->first : d->last;
    return end == LIST_LEFT ? c->values[c->first] : c->values[c->first + c->count - 1];
}

/* Copied first and popped after: out of memory leaves the list as it was. */
static enum err pop_one(struct memory *m, struct call *call, struct deque *d, enum list_end end, struct slice *ret_copy)
{
    if (!arena_copy(call->arena, value_slice(value_at_end(d, end)), ret_copy))
        return ERR_NOMEM;
    struct value *v = memory_deque_pop(d, end);
    memory_refund(&m->store, memory_value_cost(v->size));
    mem_free(v);
    return OK;
}

/* Memory that runs out after the first value ends the pop early, as a full page does. */
static enum err pop_locked(struct memory *m, struct call *call, struct deque *d, const struct list_pop *pop,
                           struct pb_array *values)
{
    struct page page = {.items_max = pop->count};
    enum err e = OK;
    while (!e && d->length && values->count < pop->count && page_take(&page, value_at_end(d, pop->end)->size)) {
        e = pop_one(m, call, d, pop->end, &PB_AT(*values, struct slice, values->count));
        values->count += !e;
    }
    return values->count ? OK : e;
}

enum err memory_list_pop(struct memory *m, struct call *call, const struct list_pop *pop,
                         struct list_pop_left_response *answer)
{
    enum err e = OK;
    struct visit v = visit_begin(m, SHELF_LISTS, pop->key);
    if (v.box) {
        e = pop_locked(m, call, &v.box->list, pop, &answer->values);
        answer->length = v.box->list.length;
    }
    visit_end(&v);
    return e;
}

static enum err pop_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                         const void **ret_response)
{
    struct list_pop pop;
    (void)request, (void)now_ms;
    enum err e = list_pop_make(call, &pop);
    if (e)
        return e;
    struct list_pop_left_response *answer = list_pop_answer(call, pop.count);
    e = answer ? memory_list_pop(m, call, &pop, answer) : ERR_NOMEM;
    if (!e)
        *ret_response = answer;
    return e;
}

static void pop_left(struct backend *backend, struct call *call, const struct list_pop_left_request *r)
{
    memory_mutate(backend, call, r, pop_once);
}

static void pop_right(struct backend *backend, struct call *call, const struct list_pop_right_request *r)
{
    memory_mutate(backend, call, r, pop_once);
}

/* --- clearing ------------------------------------------------------------------------------------------------------------------- */

static enum err clear_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                           const void **ret_response)
{
    const struct list_clear_request *r = request;
    struct list_clear_response *response = arena_new(call->arena, struct list_clear_response);
    (void)now_ms;
    enum err e = response ? collection_check_key(r->key, &call->diag) : ERR_NOMEM;
    if (e)
        return e;
    struct visit v = visit_begin(m, SHELF_LISTS, r->key);
    struct box *taken = visit_take(&v);
    visit_end(&v);
    response->removed = taken ? taken->list.length : 0;
    memory_box_free(v.shelf, taken);
    *ret_response = response;
    return OK;
}

static void clear(struct backend *backend, struct call *call, const struct list_clear_request *r)
{
    memory_mutate(backend, call, r, clear_once);
}

const struct list_basic_ops memory_list_basic = {
    .push_left = push_left, .push_right = push_right, .pop_left = pop_left, .pop_right = pop_right, .clear = clear};
