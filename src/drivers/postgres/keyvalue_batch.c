/* BatchSet, BatchGet, BatchDelete: one statement for the items of a call, and a status for each. A broken rule or a version that does
 * not match fails its item alone; what the server refuses fails the call and leaves none of it. */
#include <stdio.h>
#include <stdlib.h>

#include "drivers/postgres/items.h"
#include "prism/keyvalue/v1/keyvalue_batch.ops.h"

/* A result of result_size bytes for each item, in one array; pointers to them make the field. */
static void *make_results(struct arena *arena, uint32_t count, size_t result_size, struct pb_array *ret_field)
{
    uint8_t *results = arena_zalloc_array(arena, count, result_size);
    void **pointers = arena_array(arena, void *, count);
    if (!results || !pointers)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        pointers[i] = results + i * result_size;
    *ret_field = (struct pb_array){.items = pointers, .count = count, .capacity = count};
    return results;
}

/* --- set --------------------------------------------------------------------------------------------------------------------- */

struct set_item {
    struct postgres_write write;
    uint32_t index; /* in the request */
};

struct set_operation {
    struct postgres_operation operation;
    struct set_item *items; /* those that may be written */
    const struct postgres_write **writes;
    uint32_t count;
    bool in_order; /* conditions or a key twice: one after the other, as they came */
    struct keyvalue_batch_set_result *results;
    struct keyvalue_batch_set_response response;
};

static struct set_operation *set_of(struct postgres_operation *o)
{
    return (struct set_operation *)o;
}

static struct postgres_params ordered_params(const struct set_operation *s, struct postgres_unit *u)
{
    struct arena *arena = &u->lane->arena;
    struct postgres_params p = postgres_write_many_params(u, s->writes, s->count);
    size_t bytes = 0;
    for (uint32_t i = 0; i < s->count; i++)
        bytes += s->writes[i]->write.expected.bytes.size;
    struct postgres_array whats = postgres_array_new(arena, TYPE_INT2, s->count, (size_t)s->count * 2),
                          expected = postgres_array_new(arena, TYPE_BYTEA, s->count, bytes);
    for (uint32_t i = 0; i < s->count; i++) {
        postgres_array_int2(&whats, (int16_t)s->writes[i]->write.expected.what);
        postgres_array_bytes(&expected, s->writes[i]->write.expected.bytes);
    }
    postgres_put_time(&p, s->operation.now_ms);
    postgres_put_array(&p, &whats);
    postgres_put_array(&p, &expected);
    return p;
}

static enum err put_set(struct postgres_operation *o, struct postgres_unit *u)
{
    struct set_operation *s = set_of(o);
    s->response.succeeded = 0; /* it may be the second attempt */
    struct postgres_params p = s->in_order ? ordered_params(s, u) : postgres_write_many_params(u, s->writes, s->count);
    return postgres_put(u, s->in_order ? STATEMENT_WRITE_MANY : STATEMENT_SET_MANY, &p);
}

static enum err mismatch(struct set_operation *s, const struct postgres_write *w, uint32_t index, struct slice current)
{
    struct diag d;
    diag_init(&d, s->operation.call->arena);
    enum err e = kv_version_mismatch(&w->write.expected, current, &d);
    kv_batch_status_set(s->results[index].status, index, e, &d);
    return e == ERR_VERSION_MISMATCH ? OK : e;
}

static enum err take_set(struct postgres_operation *o, unsigned statement, const PGresult *r)
{
    struct set_operation *s = set_of(o);
    (void)statement;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct set_item *item = (const struct set_item *)s->writes[i];
        if (s->in_order && !postgres_bool(r, (int)i, 0)) {
            enum err e = mismatch(s, &item->write, item->index, postgres_bytes(r, (int)i, 1));
            if (e)
                return e;
            continue;
        }
        s->results[item->index].version = item->write.version;
        s->response.succeeded++;
    }
    return OK;
}

/* false: memory is out. */
static bool make_item(struct set_operation *s, const struct keyvalue_batch_set_item *asked, uint32_t index)
{
    struct postgres_operation *o = &s->operation;
    struct set_item *item = &s->items[s->count];
    struct kv_write *w = &item->write.write;
    char prefix[32];
    struct diag d;
    snprintf(prefix, sizeof prefix, "items[%u].", index);
    diag_init(&d, o->call->arena);
    enum err e = kv_write_make(o->call, asked->key, asked->value, &asked->tags, asked->ttl, o->now_ms, &d, prefix, w);
    if (!e)
        e = postgres_new_version(o, &item->write.version);
    s->results[index].status = kv_batch_status(index, e, &d, o->call->arena);
    if (e == ERR_NOMEM || !s->results[index].status)
        return false;
    if (e)
        return true;
    w->expected = kv_if_version(asked->has_if_version, asked->if_version);
    item->index = index;
    s->in_order |= asked->has_if_version;
    s->writes[s->count++] = &item->write;
    o->bytes += asked->key.size + asked->value.size;
    postgres_note_forever(o->store, w);
    return true;
}

static bool make_items(struct set_operation *s, const struct pb_array *asked)
{
    struct arena *arena = s->operation.call->arena;
    s->items = arena_array(arena, struct set_item, asked->count);
    s->writes = arena_array(arena, const struct postgres_write *, asked->count);
    s->results = make_results(arena, asked->count, sizeof *s->results, &s->response.results);
    if (!s->items || !s->writes || !s->results)
        return false;
    for (uint32_t i = 0; i < asked->count; i++)
        if (!make_item(s, PB_AT(*asked, struct keyvalue_batch_set_item *, i), i))
            return false;
    return true;
}

static int by_key(const void *a, const void *b)
{
    const struct postgres_write *x = *(struct postgres_write *const *)a, *y = *(struct postgres_write *const *)b;
    return slice_cmp(x->write.key, y->write.key);
}

static int by_index(const void *a, const void *b)
{
    const struct set_item *x = *(struct set_item *const *)a, *y = *(struct set_item *const *)b;
    return (x->index > y->index) - (x->index < y->index);
}

/* Sorted by key, so that two batches never wait for each other; unless the order matters. */
static void arrange(struct set_operation *s)
{
    if (!s->in_order)
        qsort(s->writes, s->count, sizeof *s->writes, by_key);
    for (uint32_t i = 1; i < s->count && !s->in_order; i++)
        s->in_order = slice_eq(s->writes[i - 1]->write.key, s->writes[i]->write.key);
    if (s->in_order)
        qsort(s->writes, s->count, sizeof *s->writes, by_index);
}

static void batch_set(struct backend *backend, struct call *call, const struct keyvalue_batch_set_request *request)
{
    struct set_operation *s = postgres_operation_new(backend, call, sizeof *s, CLASS_WRITE);
    if (!s)
        return;
    s->operation.response = &s->response;
    s->operation.put = put_set;
    s->operation.take = take_set;
    enum err e = kv_check_batch(request->items.count, "items", &call->diag);
    if (!e && !make_items(s, &request->items))
        e = ERR_NOMEM;
    if (e || !s->count) {
        postgres_finish(&s->operation, e);
        return;
    }
    arrange(s);
    postgres_submit(&s->operation);
}

/* --- get --------------------------------------------------------------------------------------------------------------------- */

/* Keys of a request as they are sent; an invalid one is empty, which no row has. */
struct batch_keys {
    struct slice *keys;
    enum err *errs;
    struct diag *diags;
};

static bool check_keys(struct call *call, const struct pb_array *asked, struct batch_keys *ret_keys)
{
    struct batch_keys k = {.keys = arena_array(call->arena, struct slice, asked->count),
                           .errs = arena_array(call->arena, enum err, asked->count),
                           .diags = arena_array(call->arena, struct diag, asked->count)};
    if (!k.keys || !k.errs || !k.diags)
        return false;
    for (uint32_t i = 0; i < asked->count; i++) {
        struct slice key = PB_AT(*asked, struct slice, i);
        diag_init(&k.diags[i], call->arena);
        k.errs[i] = kv_check_key(key, &k.diags[i], "keys");
        k.keys[i] = k.errs[i] ? SLICE_EMPTY : key;
    }
    *ret_keys = k;
    return true;
}

struct get_operation {
    struct postgres_operation operation;
    struct batch_keys keys;
    size_t room; /* bytes that the answer may still take */
    struct keyvalue_batch_get_result *results;
    struct keyvalue_batch_get_response response;
};

static enum err put_get(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct get_operation *g = (struct get_operation *)o;
    struct postgres_params p = postgres_keys_params(u, g->keys.keys, g->response.results.count);
    postgres_put_time(&p, o->now_ms);
    postgres_put_int8(&p, (int64_t)g->room);
    return postgres_put(u, STATEMENT_GET_BATCH, &p);
}

/* Of an item that is there. The first always fits: a namespace that stores a value can answer it. */
static enum err fill_found(struct get_operation *g, uint32_t index, const PGresult *r, int row)
{
    struct arena *arena = g->operation.call->arena;
    struct kv_item item = postgres_row_item(r, row, 1, g->keys.keys[index]);
    size_t bytes = kv_item_bytes(&item);
    bool whole = postgres_bool(r, row, 5);
    if (!whole || (bytes > g->room && g->response.found)) {
        g->keys.errs[index] = diag_set(&g->keys.diags[index], ERR_RESOURCE_EXHAUSTED,
                                       "does not fit the message limit of this answer; ask for it again");
        return OK;
    }
    g->room -= bytes < g->room ? bytes : g->room;
    g->response.found++;
    enum err e = kv_item_copy(&item, arena, &item);
    return e ? e : kv_fill_get(&item, arena, g->results[index].item);
}

static enum err make_get_results(struct get_operation *g)
{
    struct arena *arena = g->operation.call->arena;
    for (uint32_t i = 0; i < g->response.results.count; i++) {
        g->results[i].status = kv_batch_status(i, g->keys.errs[i], &g->keys.diags[i], arena);
        if (!g->results[i].status)
            return ERR_NOMEM;
        if (g->keys.errs[i])
            g->results[i].item = NULL;
    }
    return OK;
}

static enum err take_get(struct postgres_operation *o, unsigned statement, const PGresult *r)
{
    struct get_operation *g = (struct get_operation *)o;
    (void)statement;
    for (int row = 0; row < PQntuples(r); row++) {
        int64_t n = postgres_int8(r, row, 0);
        if (n < 1 || n > g->response.results.count)
            return ERR_BACKEND_LOST;
        enum err e = fill_found(g, (uint32_t)n - 1, r, row);
        if (e)
            return e;
    }
    return make_get_results(g);
}

static bool make_items_of_get(struct get_operation *g, const struct pb_array *keys)
{
    struct call *call = g->operation.call;
    g->results = make_results(call->arena, keys->count, sizeof *g->results, &g->response.results);
    struct keyvalue_get_response *items = arena_array(call->arena, struct keyvalue_get_response, keys->count);
    if (!g->results || !items || !check_keys(call, keys, &g->keys))
        return false;
    for (uint32_t i = 0; i < keys->count; i++)
        g->results[i].item = &items[i];
    return true;
}

static void batch_get(struct backend *backend, struct call *call, const struct keyvalue_batch_get_request *request)
{
    struct get_operation *g = postgres_operation_new(backend, call, sizeof *g, CLASS_HEAVY);
    if (!g)
        return;
    g->operation.response = &g->response;
    g->operation.put = put_get;
    g->operation.take = take_get;
    g->room = call->ns->message_bytes;
    enum err e = kv_check_batch(request->keys.count, "keys", &call->diag);
    if (!e && !make_items_of_get(g, &request->keys))
        e = ERR_NOMEM;
    if (e)
        postgres_finish(&g->operation, e);
    else
        postgres_submit(&g->operation);
}

/* --- delete ------------------------------------------------------------------------------------------------------------------ */

struct delete_operation {
    struct postgres_operation operation;
    struct batch_keys keys;
    uint32_t *sorted; /* indexes by key, then by place */
    struct keyvalue_batch_delete_result *results;
    struct keyvalue_batch_delete_response response;
};

static enum err put_delete(struct postgres_operation *o, struct postgres_unit *u)
{
    const struct delete_operation *d = (struct delete_operation *)o;
    struct postgres_params p = postgres_keys_params(u, d->keys.keys, d->response.results.count);
    postgres_put_time(&p, o->now_ms);
    return postgres_put(u, STATEMENT_DELETE_MANY, &p);
}

static int compare_places(const void *a, const void *b, void *keys)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = slice_cmp(((const struct slice *)keys)[x], ((const struct slice *)keys)[y]);
    return order ? order : (x > y) - (x < y);
}

/* The first place of a key that was there: it existed for the first Delete of the batch, and no longer for the next. */
static void note_existed(struct delete_operation *d, struct slice key)
{
    uint32_t low = 0, high = d->response.results.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (slice_cmp(d->keys.keys[d->sorted[middle]], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < d->response.results.count)
        d->results[d->sorted[low]].existed = true;
}

static enum err take_delete(struct postgres_operation *o, unsigned statement, const PGresult *r)
{
    struct delete_operation *d = (struct delete_operation *)o;
    (void)statement;
    for (int row = 0; row < PQntuples(r); row++)
        if (postgres_bool(r, row, 1))
            note_existed(d, postgres_bytes(r, row, 0));
    return OK;
}

static bool make_delete(struct delete_operation *d, const struct pb_array *keys)
{
    struct call *call = d->operation.call;
    uint32_t count = keys->count;
    d->results = make_results(call->arena, count, sizeof *d->results, &d->response.results);
    d->sorted = arena_array(call->arena, uint32_t, count);
    if (!d->results || !d->sorted || !check_keys(call, keys, &d->keys))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        d->sorted[i] = i;
        d->results[i].status = kv_batch_status(i, d->keys.errs[i], &d->keys.diags[i], call->arena);
        if (!d->results[i].status)
            return false;
        d->response.succeeded += !d->keys.errs[i];
    }
    qsort_r(d->sorted, count, sizeof *d->sorted, compare_places, d->keys.keys);
    return true;
}

static void batch_delete(struct backend *backend, struct call *call,
                         const struct keyvalue_batch_delete_request *request)
{
    struct delete_operation *d = postgres_operation_new(backend, call, sizeof *d, CLASS_WRITE);
    if (!d)
        return;
    d->operation.response = &d->response;
    d->operation.put = put_delete;
    d->operation.take = take_delete;
    enum err e = kv_check_batch(request->keys.count, "keys", &call->diag);
    if (!e && !make_delete(d, &request->keys))
        e = ERR_NOMEM;
    if (e)
        postgres_finish(&d->operation, e);
    else
        postgres_submit(&d->operation);
}

const struct keyvalue_batch_ops postgres_keyvalue_batch = {
    .batch_set = batch_set, .batch_get = batch_get, .batch_delete = batch_delete};
