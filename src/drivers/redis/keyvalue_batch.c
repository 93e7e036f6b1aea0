/* BatchSet, BatchGet, BatchDelete: a part for each bucket, and a status for each item. Items of a bucket are one step of the server;
 * where some servers do not answer, their items alone say so. */
#include "drivers/redis/operation.h"
#include "prism/keyvalue/v1/keyvalue_batch.ops.h"

#include <stdio.h>

/* An item on its way: its place in the part of its bucket, or why it was refused. */
struct batch_item {
    struct redis_part *part; /* NULL: refused */
    uint32_t place;
    enum err err;
    struct diag diag;
    struct kv_write write;
    struct slice key;
};

struct batch_operation {
    struct redis_operation operation;
    struct redis_part **by_bucket;
    struct batch_item *items;
    uint32_t count;
};

/* --- making ------------------------------------------------------------------------------------------------------------------ */

static struct batch_operation *new_batch(struct backend *backend, struct call *call, uint32_t count, const char *field,
                                         void (*answer)(struct redis_operation *))
{
    struct batch_operation *o = redis_mutation_new(backend, call, sizeof *o, answer);
    if (!o)
        return NULL;
    enum err e = kv_check_batch(count, field, &call->diag);
    o->operation.partial = true;
    o->count = count;
    o->by_bucket = arena_array(call->arena, struct redis_part *, o->operation.backend->layout.count);
    o->items = e ? NULL : arena_array(call->arena, struct batch_item, count);
    if (!e && o->by_bucket && o->items)
        return o;
    redis_operation_fail(&o->operation, e ? e : ERR_NOMEM);
    return NULL;
}

/* The part of the key's bucket, made by make where the bucket has none yet. */
static struct redis_part *part_of(struct batch_operation *o, struct slice key,
                                  struct redis_part *(*make)(struct batch_operation *, uint32_t bucket))
{
    uint32_t bucket = redis_bucket_of(&o->operation.backend->layout, key);
    if (!o->by_bucket[bucket])
        o->by_bucket[bucket] = make(o, bucket);
    if (o->by_bucket[bucket])
        o->by_bucket[bucket]->command->slow = true;
    return o->by_bucket[bucket];
}

static struct redis_part *make_apply(struct batch_operation *o, uint32_t bucket)
{
    return redis_part_apply(&o->operation, bucket, true);
}

/* Where every item was refused there is nothing to send. */
static void send_batch(struct batch_operation *o, enum err e)
{
    if (e)
        redis_operation_fail(&o->operation, e);
    else if (o->operation.parts)
        redis_operation_send(&o->operation);
    else
        o->operation.answer(&o->operation);
}

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

/* --- answering --------------------------------------------------------------------------------------------------------------- */

/* Where no server answered, the call has failed like any other. */
static bool all_failed(struct batch_operation *o)
{
    const struct redis_part *p = o->operation.parts;
    while (p && p->err)
        p = p->next;
    if (p || !o->operation.parts)
        return false;
    p = o->operation.parts;
    diag_set(&o->operation.call->diag, p->err, "%s", diag_message(&p->diag));
    redis_operation_fail(&o->operation, p->err);
    return true;
}

/* What became of an item's change: OK and result, or its error. *ret_ended: the call has been ended. */
static enum err settle(struct batch_operation *o, struct batch_item *item, const struct resp **ret_result,
                       bool *ret_ended)
{
    const struct resp *results;
    if (!item->part)
        return item->err;
    if (item->part->err)
        return diag_set(&item->diag, item->part->err, "%s", diag_message(&item->part->diag));
    *ret_ended = !redis_part_results(&o->operation, item->part, &results);
    if (*ret_ended)
        return OK;
    *ret_result = resp_at(results, item->place);
    if (resp_at(*ret_result, 0)->integer == REDIS_DONE)
        return OK;
    return redis_change_error(*ret_result, &item->write.expected, &item->diag);
}

static struct common_batch_item_status *status_of(struct batch_operation *o, uint32_t i, enum err e)
{
    return kv_batch_status(i, e, &o->items[i].diag, o->operation.call->arena);
}

/* --- set --------------------------------------------------------------------------------------------------------------------- */

static void set_answered(struct redis_operation *operation)
{
    struct batch_operation *o = (struct batch_operation *)operation;
    struct keyvalue_batch_set_response response = {0};
    struct keyvalue_batch_set_result *results =
        make_results(operation->call->arena, o->count, sizeof *results, &response.results);
    bool ended = false, complete = results;
    if (all_failed(o))
        return;
    for (uint32_t i = 0; i < o->count && complete; i++) {
        const struct resp *result = NULL;
        enum err e = settle(o, &o->items[i], &result, &ended);
        if (ended)
            return;
        results[i].status = status_of(o, i, e);
        complete = results[i].status;
        if (!e)
            results[i].version = resp_at(result, 1)->text;
        response.succeeded += !e;
    }
    if (complete)
        call_reply(operation->call, &response);
    else
        redis_operation_fail(operation, ERR_NOMEM);
}

/* An item that breaks a rule keeps its error; out of memory is the call's. */
static enum err add_set(struct batch_operation *o, const struct keyvalue_batch_set_item *asked, uint32_t i)
{
    struct batch_item *item = &o->items[i];
    char prefix[32];
    snprintf(prefix, sizeof prefix, "items[%u].", i);
    diag_init(&item->diag, o->operation.call->arena);
    item->err = kv_write_make(o->operation.call, asked->key, asked->value, &asked->tags, asked->ttl,
                              o->operation.now_ms, &item->diag, prefix, &item->write);
    if (item->err)
        return item->err == ERR_NOMEM ? ERR_NOMEM : OK;
    item->write.expected = kv_if_version(asked->has_if_version, asked->if_version);
    item->part = part_of(o, asked->key, make_apply);
    if (!item->part)
        return ERR_NOMEM;
    item->place = item->part->items;
    return redis_part_change(
        item->part, &(struct redis_change){
                        .kind = REDIS_SET, .key = asked->key, .expected = item->write.expected, .write = &item->write});
}

static void batch_set(struct backend *backend, struct call *call, const struct keyvalue_batch_set_request *r)
{
    struct batch_operation *o = new_batch(backend, call, r->items.count, "items", set_answered);
    enum err e = OK;
    for (uint32_t i = 0; o && i < o->count && !e; i++)
        e = add_set(o, PB_AT(r->items, struct keyvalue_batch_set_item *, i), i);
    if (o)
        send_batch(o, e);
}

/* --- delete ------------------------------------------------------------------------------------------------------------------ */

static void delete_answered(struct redis_operation *operation)
{
    struct batch_operation *o = (struct batch_operation *)operation;
    struct keyvalue_batch_delete_response response = {0};
    struct keyvalue_batch_delete_result *results =
        make_results(operation->call->arena, o->count, sizeof *results, &response.results);
    bool ended = false, complete = results;
    if (all_failed(o))
        return;
    for (uint32_t i = 0; i < o->count && complete; i++) {
        const struct resp *result = NULL;
        enum err e = settle(o, &o->items[i], &result, &ended);
        if (ended)
            return;
        results[i].status = status_of(o, i, e);
        complete = results[i].status;
        results[i].existed = !e && resp_at(result, 1)->integer;
        response.succeeded += !e;
    }
    if (complete)
        call_reply(operation->call, &response);
    else
        redis_operation_fail(operation, ERR_NOMEM);
}

static enum err add_delete(struct batch_operation *o, struct slice key, uint32_t i)
{
    struct batch_item *item = &o->items[i];
    diag_init(&item->diag, o->operation.call->arena);
    item->err = kv_check_key(key, &item->diag, "keys");
    if (item->err)
        return OK;
    item->part = part_of(o, key, make_apply);
    if (!item->part)
        return ERR_NOMEM;
    item->place = item->part->items;
    return redis_part_change(item->part, &(struct redis_change){.kind = REDIS_DELETE, .key = key});
}

static void batch_delete(struct backend *backend, struct call *call, const struct keyvalue_batch_delete_request *r)
{
    struct batch_operation *o = new_batch(backend, call, r->keys.count, "keys", delete_answered);
    enum err e = OK;
    for (uint32_t i = 0; o && i < o->count && !e; i++)
        e = add_delete(o, PB_AT(r->keys, struct slice, i), i);
    if (o)
        send_batch(o, e);
}

/* --- get --------------------------------------------------------------------------------------------------------------------- */

/* Together the parts read at most twice of what the answer may take, so that buckets of uneven size fill it. */
static struct redis_part *make_read(struct batch_operation *o, uint32_t bucket)
{
    uint32_t buckets = o->operation.backend->layout.count, among = o->count < buckets ? o->count : buckets;
    struct redis_part *p = redis_part_script(&o->operation, bucket, REDIS_READ);
    if (p)
        resp_put_integer(&p->command->words,
                         (int64_t)o->operation.call->ns->message_bytes * (among > 1 ? 2 : 1) / among);
    return p;
}

static enum err add_get(struct batch_operation *o, struct slice key, uint32_t i)
{
    struct batch_item *item = &o->items[i];
    diag_init(&item->diag, o->operation.call->arena);
    item->key = key;
    item->err = kv_check_key(key, &item->diag, "keys");
    if (item->err)
        return OK;
    item->part = part_of(o, key, make_read);
    if (!item->part)
        return ERR_NOMEM;
    item->place = item->part->items++;
    resp_put(&item->part->command->words, key);
    return OK;
}

static enum err too_large(struct batch_item *item)
{
    return diag_set(&item->diag, ERR_RESOURCE_EXHAUSTED,
                    "does not fit the message limit of this answer; ask for it again");
}

/* The first that is found always fits: a namespace that stores a value can answer it. */
static enum err fill_get(struct batch_operation *o, struct batch_item *item, size_t *room, uint32_t *found,
                         struct keyvalue_get_response *response)
{
    const struct resp *value;
    struct kv_item stored;
    if (!item->part)
        return item->err;
    if (item->part->err)
        return diag_set(&item->diag, item->part->err, "%s", diag_message(&item->part->diag));
    value = resp_at(&item->part->reply, item->place);
    if (value->kind == RESP_INTEGER)
        return too_large(item);
    if (!value->text.size)
        return OK;
    enum err e = redis_unpack(value->text, item->key, &stored);
    size_t bytes = e ? 0 : kv_item_bytes(&stored);
    if (!e && bytes > *room && *found)
        return too_large(item);
    if (!e)
        e = kv_fill_get(&stored, o->operation.call->arena, response);
    if (e)
        return e;
    *room -= bytes < *room ? bytes : *room;
    (*found)++;
    return OK;
}

static void get_answered(struct redis_operation *operation)
{
    struct batch_operation *o = (struct batch_operation *)operation;
    struct arena *arena = operation->call->arena;
    struct keyvalue_batch_get_response response = {0};
    struct keyvalue_batch_get_result *results = make_results(arena, o->count, sizeof *results, &response.results);
    size_t room = operation->call->ns->message_bytes;
    bool complete = results;
    if (all_failed(o))
        return;
    for (uint32_t i = 0; i < o->count && complete; i++) {
        results[i].item = arena_new(arena, struct keyvalue_get_response);
        enum err e = results[i].item ? fill_get(o, &o->items[i], &room, &response.found, results[i].item) : ERR_NOMEM;
        if (e)
            results[i].item = NULL;
        results[i].status = status_of(o, i, e);
        complete = results[i].status && e != ERR_NOMEM;
    }
    if (complete)
        call_reply(operation->call, &response);
    else
        redis_operation_fail(operation, ERR_NOMEM);
}

static void batch_get(struct backend *backend, struct call *call, const struct keyvalue_batch_get_request *r)
{
    struct batch_operation *o = new_batch(backend, call, r->keys.count, "keys", get_answered);
    enum err e = OK;
    for (uint32_t i = 0; o && i < o->count && !e; i++)
        e = add_get(o, PB_AT(r->keys, struct slice, i), i);
    if (o)
        send_batch(o, e);
}

const struct keyvalue_batch_ops redis_keyvalue_batch = {
    .batch_set = batch_set, .batch_get = batch_get, .batch_delete = batch_delete};
