#include <assert.h>

#include "base/mem.h"
#include "drivers/memory/expiry.h"
#include "drivers/memory/store.h"

enum { MALLOC_OVERHEAD_BYTES = 16 };

static size_t block_size(size_t bytes, bool timed)
{
    return sizeof(struct version) + bytes + (timed ? sizeof(struct expiry) : 0);
}

static struct version *allocate(size_t bytes, bool timed)
{
    uint8_t *block = mem_alloc(block_size(bytes, timed));
    if (!block)
        return NULL;
    struct version *v = (struct version *)(block + (timed ? sizeof(struct expiry) : 0));
    *v = (struct version){.refs = 1, .timed = timed, .end_seq = SEQ_OPEN};
    if (timed)
        *version_expiry(v) = (struct expiry){0};
    return v;
}

struct version *memory_version_new(struct slice value, struct slice tags, int64_t expires_ms)
{
    if (value.size > UINT32_MAX || tags.size > UINT32_MAX)
        return NULL;
    struct version *v = allocate(value.size + tags.size, expires_ms != KV_NEVER);
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

struct version *memory_version_copy(const struct version *from, int64_t expires_ms)
{
    struct version *v = allocate((size_t)from->value_size + from->tags_size, true);
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
    mem_free(v->timed ? (void *)version_expiry(v) : v);
}

size_t memory_version_cost(const struct version *v)
{
    return block_size((size_t)v->value_size + v->tags_size, v->timed) + MALLOC_OVERHEAD_BYTES;
}
