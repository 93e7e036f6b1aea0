/* Names and packed values (layout.h). */
#include "drivers/redis/layout.h"

#include <assert.h>

#include "data/siphash.h"
#include "drivers/redis/resp.h"

enum { FORM = 1, VERSION_AT = 1, EXPIRY_AT = 17, TAGS_AT = 25 };

/* No secret: it only spreads keys. Never changes, as it decides where they lie. */
static const uint8_t bucket_key[16] = "prism-redis-buck";

/* --- slots and buckets ------------------------------------------------------------------------------------------------------- */

static uint16_t crc16(struct slice bytes)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= (uint16_t)(bytes.data[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

uint16_t redis_slot_of(struct slice name)
{
    const uint8_t *open = name.size ? memchr(name.data, '{', name.size) : NULL;
    if (open) {
        struct slice rest = slice_skip(name, (size_t)(open - name.data) + 1);
        const uint8_t *close = rest.size ? memchr(rest.data, '}', rest.size) : NULL;
        if (close && close > rest.data)
            name = slice_take(rest, (size_t)(close - rest.data));
    }
    return crc16(name) % REDIS_SLOTS;
}

static enum err make_bucket(struct arena *arena, const char *prefix, const char *name, uint32_t number, uint32_t count,
                            struct redis_bucket *bucket)
{
    const char *root = count == 1 ? arena_printf(arena, "{%s:%s}", prefix, name)
                                  : arena_printf(arena, "{%s:%s:%u}", prefix, name, number);
    const char *index = root ? arena_printf(arena, "%s:i", root) : NULL;
    const char *snapshots = index ? arena_printf(arena, "%s:t", root) : NULL;
    if (!snapshots)
        return ERR_NOMEM;
    *bucket =
        (struct redis_bucket){slice_str(root), slice_str(index), slice_str(snapshots), redis_slot_of(slice_str(root))};
    return OK;
}

enum err redis_layout_make(struct arena *arena, const char *prefix, const char *namespace_name, uint32_t count,
                           struct redis_layout *ret_layout)
{
    struct redis_bucket *buckets = arena_array(arena, struct redis_bucket, count);
    struct redis_bucket home;
    enum err e = buckets ? make_bucket(arena, prefix, namespace_name, 0, 1, &home) : ERR_NOMEM;
    for (uint32_t i = 0; i < count && !e; i++)
        e = make_bucket(arena, prefix, namespace_name, i, count, &buckets[i]);
    if (!e)
        *ret_layout = (struct redis_layout){home, count, buckets};
    return e;
}

uint32_t redis_bucket_of(const struct redis_layout *layout, struct slice key)
{
    return layout->count == 1 ? 0 : (uint32_t)(siphash24(bucket_key, key) % layout->count);
}

enum err redis_value_name(const struct redis_layout *layout, struct slice key, struct arena *arena,
                          struct slice *ret_name)
{
    struct slice root = layout->buckets[redis_bucket_of(layout, key)].root;
    uint8_t *out = arena_alloc(arena, root.size + 3 + key.size);
    if (!out)
        return ERR_NOMEM;
    memcpy(out, root.data, root.size);
    memcpy(out + root.size, ":k:", 3);
    memcpy(out + root.size + 3, key.data, key.size);
    *ret_name = slice_of(out, root.size + 3 + key.size);
    return OK;
}

/* --- values ------------------------------------------------------------------------------------------------------------------ */

static void put_big(uint8_t *out, unsigned bytes, uint64_t x)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(x >> (8 * (bytes - 1 - i)));
}

static uint64_t get_big(const uint8_t *in, unsigned bytes)
{
    uint64_t x = 0;
    for (unsigned i = 0; i < bytes; i++)
        x = x << 8 | in[i];
    return x;
}

void redis_version_next(struct redis_versions *v, uint8_t out[REDIS_VERSION_BYTES])
{
    memcpy(out, v->epoch, sizeof v->epoch);
    put_big(out + sizeof v->epoch, 8, atomic_fetch_add_explicit(&v->count, 1, memory_order_relaxed) + 1);
}

void redis_stamp(int64_t expires_ms, uint8_t out[REDIS_STAMP_BYTES])
{
    put_big(out, REDIS_STAMP_BYTES, (uint64_t)expires_ms);
}

enum err redis_pack(const struct kv_write *w, const uint8_t version[REDIS_VERSION_BYTES], struct arena *arena,
                    struct slice *ret_packed)
{
    size_t size = REDIS_HEAD_BYTES + w->tags.size + w->value.size;
    uint8_t *out = arena_alloc(arena, size);
    if (!out)
        return ERR_NOMEM;
    out[0] = FORM;
    memcpy(out + VERSION_AT, version, REDIS_VERSION_BYTES);
    redis_stamp(w->expires_ms, out + EXPIRY_AT);
    put_big(out + TAGS_AT, 4, w->tags.size);
    if (w->tags.size)
        memcpy(out + REDIS_HEAD_BYTES, w->tags.data, w->tags.size);
    if (w->value.size)
        memcpy(out + REDIS_HEAD_BYTES + w->tags.size, w->value.data, w->value.size);
    *ret_packed = slice_of(out, size);
    return OK;
}

enum err redis_pack_next(struct redis_versions *versions, const struct kv_write *w, struct arena *arena,
                         struct slice *ret_packed)
{
    uint8_t version[REDIS_VERSION_BYTES];
    redis_version_next(versions, version);
    return redis_pack(w, version, arena, ret_packed);
}

struct slice redis_version_of(struct slice packed)
{
    return slice_of(packed.data + VERSION_AT, REDIS_VERSION_BYTES);
}

enum err redis_unpack(struct slice packed, struct slice key, struct kv_item *ret_item)
{
    if (packed.size < REDIS_HEAD_BYTES || packed.data[0] != FORM)
        return ERR_CORRUPT;
    size_t tags = get_big(packed.data + TAGS_AT, 4);
    struct slice rest = slice_skip(packed, REDIS_HEAD_BYTES);
    bool head_alone = !rest.size;
    if (tags > rest.size && !head_alone)
        return ERR_CORRUPT;
    *ret_item = (struct kv_item){.key = key,
                                 .value = slice_skip(rest, tags),
                                 .version = slice_of(packed.data + VERSION_AT, REDIS_VERSION_BYTES),
                                 .tags = slice_take(rest, tags),
                                 .expires_ms = (int64_t)get_big(packed.data + EXPIRY_AT, REDIS_STAMP_BYTES)};
    return OK;
}

int64_t redis_ttl_ms(int64_t expires_ms, int64_t now_ms)
{
    return expires_ms > now_ms ? expires_ms - now_ms : 1;
}

struct slice redis_ttl(int64_t expires_ms, int64_t now_ms, struct arena *arena)
{
    if (expires_ms == KV_NEVER)
        return SLICE("");
    return resp_decimal(arena, redis_ttl_ms(expires_ms, now_ms));
}
