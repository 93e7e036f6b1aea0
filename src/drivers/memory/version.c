#include <assert.h>

#include "base/mem.h"
#include "drivers/memory/expiry.h"
#include "drivers/memory/store.h"

enum { MALLOC_OVERHEAD_BYTES = 16 };

static size_t block_size(size_t bytes, bool timed)
{
    return sizeof(struct version) + bytes + (timed ? sizeof(struct expiry) : 0);
}

static void *block_of(struct version *v)
{
    return v->timed ? (void *)version_expiry(v) : v;
}

/* block NULL: out of memory. */
static struct version *init(uint8_t *block, bool timed)
{
    if (!block)
        return NULL;
    struct version *v = (struct version *)(block + (timed ? sizeof(struct expiry) : 0));
    *v = (struct version){.refs = 1, .timed = timed, .end_seq = SEQ_OPEN};
    if (timed)
        *version_expiry(v) = (struct expiry){0};
    return v;
}

static struct version *fill(struct version *v, struct slice value, struct slice tags, int64_t expires_ms)
{
    if (!v)
        return NULL;
    v->expires_ms = expires_ms;
    v->value_size = (uint32_t)value.size;
    v->tags_size = (uint32_t)tags.size;
    if (value.size)
        memcpy(v->bytes, value.data, value.size);
    if (tags.size)
        memcpy(v->bytes + value.size, tags.data, tags.size);
    return v;
}

struct version *memory_version_new(struct slice value, struct slice tags, int64_t expires_ms)
{
    bool timed = expires_ms != KV_NEVER;
    if (value.size > UINT32_MAX || tags.size > UINT32_MAX)
        return NULL;
    return fill(init(mem_alloc(block_size(value.size + tags.size, timed)), timed), value, tags, expires_ms);
}

struct version *memory_version_reuse(struct spares *spares, struct slice value, struct slice tags, int64_t expires_ms)
{
    bool timed = expires_ms != KV_NEVER;
    void *block = memory_spare_take(spares, block_size(value.size + tags.size, timed));
    return fill(init(block, timed), value, tags, expires_ms);
}

struct version *memory_version_copy(const struct version *from, int64_t expires_ms)
{
    struct version *v = init(mem_alloc(block_size((size_t)from->value_size + from->tags_size, true)), true);
    if (!v)
        return NULL;
    v->expires_ms = expires_ms;
    v->token = from->token;
    v->value_size = from->value_size;
    v->tags_size = from->tags_size;
    memcpy(v->bytes, from->bytes, (size_t)from->value_size + from->tags_size);
    return v;
}

struct version *memory_version_ref(struct version *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void memory_version_unref(struct version *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    assert(!v->timed || !wheel_timer_active(&version_expiry(v)->timer));
    mem_free(block_of(v));
}

bool memory_version_retire(struct spares *spares, struct version *v)
{
    return atomic_load_explicit(&v->refs, memory_order_acquire) == 1 &&
           memory_spare_put(spares, block_of(v), block_size((size_t)v->value_size + v->tags_size, v->timed));
}

size_t memory_version_cost(const struct version *v)
{
    return block_size((size_t)v->value_size + v->tags_size, v->timed) + MALLOC_OVERHEAD_BYTES;
}
