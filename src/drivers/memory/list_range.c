/* Several values of a list in a row. */
#include "prism/list/v1/list_range.ops.h"

#include "data/list.h"
#include "drivers/memory/internal.h"

/* Copies values into the answer until it is full. Returns how many. */
static enum err copy_values(const struct deque *d, struct span span, struct arena *arena, struct pb_array *values,
                            uint64_t *ret_taken)
{
    struct page page = page_largest();
    struct deque_at at = memory_deque_at(d, span.first);
    uint64_t taken = 0;
    for (; taken < span.count; taken++, at = memory_deque_next(at)) {
        struct slice value = value_slice(*deque_value(at)), *slot;
        if (!page_take(&page, value.size))
            break;
        slot = pb_array_add(values, sizeof *slot, arena);
        if (!slot || !arena_copy(arena, value, slot))
            return ERR_NOMEM;
    }
    *ret_taken = taken;
    return OK;
}

static enum err range_locked(const struct deque *d, const struct list_get_range_request *r, struct arena *arena,
                             struct list_get_range_response *response)
{
    struct span span = span_clamp(r->start, r->end, d->length);
    uint64_t taken = 0;
    response->length = d->length;
    enum err e = span.count ? copy_values(d, span, arena, &response->values, &taken) : OK;
    response->has_next_start = taken < span.count;
    if (response->has_next_start)
        response->next_start = (int64_t)(span.first + taken);
    return e;
}

static void get_range(struct backend *backend, struct call *call, const struct list_get_range_request *r)
{
    struct list_get_range_response response = {.length = 0};
    enum err e = collection_check_key(r->key, &call->diag);
    if (!e) {
        struct visit v = visit_begin((struct memory *)backend, SHELF_LISTS, r->key);
        if (v.box)
            e = range_locked(&v.box->list, r, call->arena, &response);
        visit_end(&v);
    }
    memory_answer(call, e, &response);
}

/* Cuts off what lies before and behind the span. Returns the cost of what has been freed. */
static size_t trim_locked(struct deque *d, struct span stays, struct deque *garbage)
{
    uint64_t behind = d->length - stays.first - stays.count;
    size_t freed = memory_deque_cut(d, LIST_LEFT, stays.first, garbage);
    return freed + memory_deque_cut(d, LIST_RIGHT, behind, garbage);
}

static enum err trim_once(struct memory *m, struct call *call, const void *request, int64_t now_ms,
                          const void **ret_response)
{
    const struct list_trim_request *r = request;
    struct list_trim_response *response = arena_new(call->arena, struct list_trim_response);
    struct deque garbage = {0};
    size_t freed = 0;
    (void)now_ms;
    enum err e = response ? collection_check_key(r->key, &call->diag) : ERR_NOMEM;
    if (e)
        return e;
    struct visit v = visit_begin(m, SHELF_LISTS, r->key);
    if (v.box) {
        struct deque *d = &v.box->list;
        struct span stays = span_clamp(r->start, r->end, d->length);
        response->length = stays.count;
        response->removed = d->length - stays.count;
        freed = trim_locked(d, stays, &garbage);
    }
    visit_end(&v);
    memory_refund(&m->store, freed + memory_deque_free(&garbage));
    *ret_response = response;
    return OK;
}

static void trim(struct backend *backend, struct call *call, const struct list_trim_request *r)
{
    memory_mutate(backend, call, r, trim_once);
}

const struct list_range_ops memory_list_range = {.get_range = get_range, .trim = trim};
