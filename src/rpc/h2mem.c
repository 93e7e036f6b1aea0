#include "rpc/h2mem.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

enum { SMALLEST = 64, LARGE = H2MEM_CLASSES };

struct h2mem_block {
    uint32_t class;
    uint32_t size; /* asked for, where class is LARGE */
    struct h2mem_block *next;
    _Alignas(16) uint8_t bytes[];
};

static size_t class_size(unsigned class)
{
    return (size_t)SMALLEST << class;
}

static unsigned class_for(size_t size)
{
    unsigned class = 0;
    while (class < LARGE && class_size(class) < size)
        class ++;
    return class;
}

static struct h2mem_block *block_of(void *bytes)
{
    return (struct h2mem_block *)((uint8_t *)bytes - offsetof(struct h2mem_block, bytes));
}

static void *pool_malloc(size_t size, void *user)
{
    struct h2mem *m = user;
    unsigned class = class_for(size);
    struct h2mem_block *b = class < LARGE ? m->free[class] : NULL;
    if (b) {
        m->free[class] = b->next;
        m->free_count[class]--;
        return b->bytes;
    }
    if (size > UINT32_MAX)
        return NULL;
    b = mem_alloc(sizeof *b + (class < LARGE ? class_size(class) : size));
    if (!b)
        return NULL;
    b->class = class;
    b->size = (uint32_t)size;
    return b->bytes;
}

static void pool_free(void *bytes, void *user)
{
    struct h2mem *m = user;
    if (!bytes)
        return;
    struct h2mem_block *b = block_of(bytes);
    if (b->class == LARGE || m->free_count[b->class] >= H2MEM_KEPT) {
        mem_free(b);
        return;
    }
    b->next = m->free[b->class];
    m->free[b->class] = b;
    m->free_count[b->class]++;
}

static void *pool_calloc(size_t count, size_t size, void *user)
{
    size_t all;
    if (__builtin_mul_overflow(count, size, &all))
        return NULL;
    void *bytes = pool_malloc(all, user);
    return bytes ? memset(bytes, 0, all) : NULL;
}

static void *pool_realloc(void *old, size_t size, void *user)
{
    if (!old)
        return pool_malloc(size, user);
    struct h2mem_block *b = block_of(old);
    size_t room = b->class < LARGE ? class_size(b->class) : b->size;
    if (size <= room)
        return old;
    void *bytes = pool_malloc(size, user);
    if (!bytes)
        return NULL;
    memcpy(bytes, old, room);
    pool_free(old, user);
    return bytes;
}

void h2mem_init(struct h2mem *m)
{
    *m = (struct h2mem){0};
    m->functions = (nghttp2_mem){m, pool_malloc, pool_free, pool_calloc, pool_realloc};
}

void h2mem_fini(struct h2mem *m)
{
    for (unsigned class = 0; class < H2MEM_CLASSES; class ++) {
        while (m->free[class]) {
            struct h2mem_block *b = m->free[class];
            m->free[class] = b->next;
            mem_free(b);
        }
        m->free_count[class] = 0;
    }
}
