#include "drivers/postgres/collection.h"

#include "prism/list/v1/list_basic.pb.h"
#include "prism/set/v1/set_basic.pb.h"
#include "prism/sortedset/v1/sortedset_basic.pb.h"

void postgres_submit_checked(struct postgres_operation *o, postgres_put_fn *put, postgres_take_fn *take, enum err e)
{
    o->put = put;
    o->take = take;
    if (e)
        postgres_finish(o, e);
    else
        postgres_submit(o);
}

void postgres_plain(struct backend *backend, struct call *call, enum postgres_class class, size_t response_size,
                    postgres_put_fn *put, postgres_take_fn *take, enum err e)
{
    struct postgres_operation *o = postgres_operation_new(backend, call, sizeof *o, class);
    if (!o)
        return;
    o->response = arena_zalloc(call->arena, response_size);
    postgres_submit_checked(o, put, take, !e && !o->response ? ERR_NOMEM : e);
}

struct postgres_array postgres_slices(struct postgres_unit *u, const struct pb_array *slices)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < slices->count; i++)
        bytes += PB_AT(*slices, struct slice, i).size;
    struct postgres_array array = postgres_array_new(&u->lane->arena, TYPE_BYTEA, slices->count, bytes);
    for (uint32_t i = 0; i < slices->count; i++)
        postgres_array_bytes(&array, PB_AT(*slices, struct slice, i));
    return array;
}

enum err postgres_add_slice(struct postgres_operation *o, struct pb_array *array, struct slice bytes)
{
    struct slice copy, *slot;
    if (!arena_copy(o->call->arena, bytes, &copy))
        return ERR_NOMEM;
    slot = pb_array_add(array, sizeof *slot, o->call->arena);
    if (!slot)
        return ERR_NOMEM;
    *slot = copy;
    return OK;
}

/* --- clear ------------------------------------------------------------------------------------------------------------------- */

_Static_assert(sizeof(struct list_clear_response) == sizeof(struct set_clear_response) &&
                   sizeof(struct list_clear_response) == sizeof(struct sortedset_clear_response) &&
                   offsetof(struct list_clear_response, removed) == offsetof(struct set_clear_response, removed) &&
                   offsetof(struct list_clear_response, removed) == offsetof(struct sortedset_clear_response, removed),
               "taken for each other");

struct clear_operation {
    struct postgres_operation operation;
    enum postgres_model model;
    struct slice key;
    struct list_clear_response response;
};

static enum err put_clear(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct clear_operation *c = (struct clear_operation *)o;
    struct postgres_params p = postgres_key_params(u, c->key);
    postgres_put_int2(&p, (int16_t)c->model);
    return postgres_put(u, STATEMENT_COLLECTION_CLEAR, &p);
}

static enum err take_clear(struct postgres_operation *o, unsigned index, const PGresult *r)
{
    (void)index;
    ((struct clear_operation *)o)->response.removed = (uint64_t)postgres_int8(r, 0, 0);
    return OK;
}

void postgres_clear(struct backend *backend, struct call *call, enum postgres_model model, struct slice key)
{
    struct clear_operation *c = postgres_operation_new(backend, call, sizeof *c, CLASS_WRITE);
    if (!c)
        return;
    c->model = model;
    c->key = key;
    c->operation.response = &c->response;
    postgres_submit_checked(&c->operation, put_clear, take_clear, collection_check_key(key, &call->diag));
}
