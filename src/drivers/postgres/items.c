#include "drivers/postgres/items.h"

struct postgres_params postgres_key_params(const struct postgres_unit *u, struct slice key)
{
    struct postgres_params p = {0};
    postgres_put_int4(&p, u->lane->namespace);
    postgres_put_bytes(&p, key);
    return p;
}

struct kv_item postgres_row_item(const PGresult *r, int row, int column, struct slice key)
{
    return (struct kv_item){.key = key,
                            .value = postgres_bytes(r, row, column),
                            .version = postgres_bytes(r, row, column + 1),
                            .expires_ms = postgres_time_ms(r, row, column + 2),
                            .tags = postgres_bytes(r, row, column + 3)};
}

static void put_tags(struct postgres_params *p, struct slice tags)
{
    if (tags.size)
        postgres_put_bytes(p, tags);
    else
        postgres_put_null(p);
}

struct postgres_params postgres_write_params(const struct postgres_unit *u, const struct postgres_write *w)
{
    struct postgres_params p = postgres_key_params(u, w->write.key);
    postgres_put_bytes(&p, w->write.value);
    postgres_put_bytes(&p, w->version);
    postgres_put_time(&p, w->write.expires_ms);
    put_tags(&p, w->write.tags);
    return p;
}

struct postgres_params postgres_conditional_params(const struct postgres_operation *o, const struct postgres_unit *u,
                                                   const struct postgres_write *w)
{
    struct postgres_params p = postgres_write_params(u, w);
    postgres_put_time(&p, o->now_ms);
    postgres_put_int2(&p, (int16_t)w->write.expected.what);
    postgres_put_bytes(&p, w->write.expected.bytes);
    return p;
}

struct postgres_params postgres_keys_params(struct postgres_unit *u, const struct slice *keys, uint32_t count)
{
    struct postgres_params p = {0};
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += keys[i].size;
    struct postgres_array array = postgres_array_new(&u->lane->arena, TYPE_BYTEA, count, bytes);
    for (uint32_t i = 0; i < count; i++)
        postgres_array_bytes(&array, keys[i]);
    postgres_put_int4(&p, u->lane->namespace);
    postgres_put_array(&p, &array);
    return p;
}

struct sizes {
    size_t keys, values, tags;
};

static struct sizes sizes_of(const struct postgres_write *const *writes, uint32_t count)
{
    struct sizes s = {0};
    for (uint32_t i = 0; i < count; i++) {
        s.keys += writes[i]->write.key.size;
        s.values += writes[i]->write.value.size;
        s.tags += writes[i]->write.tags.size;
    }
    return s;
}

struct postgres_params postgres_write_many_params(struct postgres_unit *u, const struct postgres_write *const *writes,
                                                  uint32_t count)
{
    struct arena *arena = &u->lane->arena;
    struct sizes s = sizes_of(writes, count);
    struct postgres_array keys = postgres_array_new(arena, TYPE_BYTEA, count, s.keys),
                          values = postgres_array_new(arena, TYPE_BYTEA, count, s.values),
                          versions =
                              postgres_array_new(arena, TYPE_BYTEA, count, (size_t)count * POSTGRES_VERSION_BYTES),
                          times = postgres_array_new(arena, TYPE_TIME, count, (size_t)count * 8),
                          tags = postgres_array_new(arena, TYPE_BYTEA, count, s.tags);
    for (uint32_t i = 0; i < count; i++) {
        const struct kv_write *w = &writes[i]->write;
        postgres_array_bytes(&keys, w->key);
        postgres_array_bytes(&values, w->value);
        postgres_array_bytes(&versions, writes[i]->version);
        postgres_array_time(&times, w->expires_ms);
        postgres_array_bytes_or_null(&tags, w->tags);
    }
    struct postgres_params p = {0};
    postgres_put_int4(&p, u->lane->namespace);
    postgres_put_array(&p, &keys);
    postgres_put_array(&p, &values);
    postgres_put_array(&p, &versions);
    postgres_put_array(&p, &times);
    postgres_put_array(&p, &tags);
    return p;
}

void postgres_note_forever(struct postgres_store *store, const struct kv_write *w)
{
    if (w->expires_ms == KV_NEVER)
        atomic_fetch_add_explicit(&store->forever, 1, memory_order_relaxed);
}
