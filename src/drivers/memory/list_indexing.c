/* Values of a list by position. */
#include "prism/list/v1/list_indexing.ops.h"

#include "base/mem.h"
#include "data/list.h"
#include "drivers/memory/internal.h"

static uint64_t length_of(const struct visit *v)
{
    return v->box ? v->box->list.length : 0;
}

static enum err get_locked(const struct visit *v, int64_t index, struct arena *arena,
                           struct list_get_response *response)
{
    uint64_t position;
    response->found = span_index(index, length_of(v), &position);
    if (!response->found)
        return OK;
    struct value *value = *deque_value(memory_deque_at(&v->box->list, position));
    return arena_copy(arena, value_slice(value), &response->value) ? OK : ERR_NOMEM;
}

static void get(struct backend *backend, struct call *call, const struct list_get_request *r)
{
    struct list_get_response response = {.found = false};
    enum err e = collection_check_key(r->key, &call->diag);
    if (!e) {
        struct visit v = visit_begin((struct memory *)backend, SHELF_LISTS, r->key);
        e = get_locked(&v, r->index, call->arena, &response);
        visit_end(&v);
    }
    memory_answer(call, e, &response);
}

/* A value made and charged before the lock is taken. */
static enum err value_make(struct memory *m, struct slice bytes, struct value **ret_value)
{
    if (!memory_charge(&m->store, memory_value_cost(bytes.size), 0))
        return ERR_STORE_FULL;
    *ret_value = memory_value_new(bytes);
    if (*ret_value)
        return OK;
    memory_refund(&m->store, memory_value_cost(bytes.size));
    return ERR_NOMEM;
}

static void value_drop(struct memory *m, struct value *v)
{
    memory_refund(&m->store, memory_value_cost(v->size));
    mem_free(v);
}

static enum err set_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                         const void **ret_response)
{
    const struct list_set_request *r = request;
    struct list_set_response *response = arena_new(call->arena, struct list_set_response);
    struct value *value; /* the new one; after it has been put in, the old one */
    uint64_t position;
    (void)now_ms;
    enum err e = response ? collection_check_key(r->key, &call->diag) : ERR_NOMEM;
    if (!e)
        e = list_check_value(call, r->value);
    if (!e)
        e = value_make(m, r->value, &value);
    if (e)
        return e;
    struct visit v = visit_begin(m, SHELF_LISTS, r->key);
    if (span_index(r->index, length_of(&v), &position)) {
        struct value **slot = deque_value(memory_deque_at(&v.box->list, position)), *old = *slot;
        *slot = value;
        value = old;
        *ret_response = response;
    } else {
        e = list_out_of_range(r->index, length_of(&v), &call->diag);
    }
    visit_end(&v);
    value_drop(m, value);
    return e;
}

static void set(struct backend *backend, struct call *call, const struct list_set_request *r)
{
    memory_mutate(backend, call, r, set_once);
}

static enum err insert_locked(struct visit *v, const struct list_insert_request *r, struct value *value,
                              struct diag *diag, uint64_t *ret_length)
{
    uint64_t position;
    enum err e = list_insert_position(r->index, length_of(v), diag, &position);
    if (!e)
        e = list_check_room(length_of(v), 1, diag);
    if (!e)
        e = memory_box_open(v->shelf, v->bay, r->key, &v->box);
    if (!e)
        e = memory_deque_insert(&v->box->list, position, value);
    if (!e)
        *ret_length = v->box->list.length;
    return e;
}

static enum err insert_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                            const void **ret_response)
{
    const struct list_insert_request *r = request;
    struct list_insert_response *response = arena_new(call->arena, struct list_insert_response);
    struct value *value;
    (void)now_ms;
    enum err e = response ? collection_check_key(r->key, &call->diag) : ERR_NOMEM;
    if (!e)
        e = list_check_value(call, r->value);
    if (!e)
        e = value_make(m, r->value, &value);
    if (e)
        return e;
    struct visit v = visit_begin(m, SHELF_LISTS, r->key);
    e = insert_locked(&v, r, value, &call->diag, &response->length);
    visit_end(&v);
    if (e) {
        value_drop(m, value);
        return e;
    }
    waiting_notify(&m->waiting, r->key);
    *ret_response = response;
    return OK;
}

static void insert(struct backend *backend, struct call *call, const struct list_insert_request *r)
{
    memory_mutate(backend, call, r, insert_once);
}

/* The value is answered, so it is copied before it goes. */
static enum err remove_index(struct memory *m, struct call *call, struct deque *d, int64_t index,
                             struct list_remove_response *response)
{
    uint64_t position;
    if (!span_index(index, d->length, &position))
        return OK;
    if (!arena_copy(call->arena, value_slice(*deque_value(memory_deque_at(d, position))), &response->value))
        return ERR_NOMEM;
    value_drop(m, memory_deque_take(d, position));
    response->removed = 1;
    return OK;
}

static void remove_equal(struct memory *m, struct deque *d, const struct list_remove *what,
                         struct list_remove_response *response)
{
    uint64_t skip = 0;
    if (what->from_last) {
        uint64_t all = memory_deque_count_equal(d, what->value);
        skip = all > what->most ? all - what->most : 0;
    }
    response->removed = memory_deque_drop_equal(d, what->value, skip, what->most);
    memory_refund(&m->store, response->removed * memory_value_cost(what->value.size));
}

static enum err remove_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                            const void **ret_response)
{
    const struct list_remove_request *r = request;
    struct list_remove_response *response = arena_new(call->arena, struct list_remove_response);
    struct list_remove what;
    (void)now_ms;
    enum err e = response ? collection_check_key(r->key, &call->diag) : ERR_NOMEM;
    if (!e)
        e = list_remove_make(r, &call->diag, &what);
    if (e)
        return e;
    struct visit v = visit_begin(m, SHELF_LISTS, r->key);
    if (v.box && what.by_index)
        e = remove_index(m, call, &v.box->list, what.index, response);
    else if (v.box)
        remove_equal(m, &v.box->list, &what, response);
    response->length = length_of(&v);
    visit_end(&v);
    if (!e)
        *ret_response = response;
    return e;
}

static void remove_values(struct backend *backend, struct call *call, const struct list_remove_request *r)
{
    memory_mutate(backend, call, r, remove_once);
}

const struct list_indexing_ops memory_list_indexing = {
    .get = get, .set = set, .insert = insert, .remove = remove_values};
