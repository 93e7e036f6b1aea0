#include "base/arena.h"

#include <assert.h>
#include <stdio.h>

#include "base/mem.h"

enum { ALIGN = 16, CHUNK_MIN = 4096, CHUNK_MAX = 256 * 1024 };

struct arena_chunk {
    struct arena_chunk *older;
    size_t size; /* of the bytes behind the header */
    _Alignas(ALIGN) uint8_t bytes[];
};

void arena_init(struct arena *a, size_t bytes_max)
{
    *a = (struct arena){.bytes_max = bytes_max};
}

static void use_chunk(struct arena *a, struct arena_chunk *chunk)
{
    a->next = chunk->bytes;
    a->end = chunk->bytes + chunk->size;
}

void arena_fini(struct arena *a)
{
    for (struct arena_chunk *c = a->chunk; c;) {
        struct arena_chunk *older = c->older;
        mem_free(c);
        c = older;
    }
    arena_init(a, a->bytes_max);
}

void arena_reset(struct arena *a)
{
    if (!a->chunk)
        return;
    while (a->chunk->older) {
        struct arena_chunk *newest = a->chunk;
        a->chunk = newest->older;
        a->used_bytes -= newest->size;
        mem_free(newest);
    }
    use_chunk(a, a->chunk);
}

/* The new chunk is at least twice the newest one, so that an arena of n bytes makes O(log n) calls to malloc. */
static bool add_chunk(struct arena *a, size_t size)
{
    size_t wanted = a->chunk ? a->chunk->size * 2 : CHUNK_MIN;
    if (wanted > CHUNK_MAX)
        wanted = CHUNK_MAX;
    if (wanted < size)
        wanted = size;
    if (wanted > a->bytes_max - a->used_bytes)
        wanted = size;
    if (wanted > a->bytes_max - a->used_bytes)
        return false;
    struct arena_chunk *chunk = mem_alloc(sizeof *chunk + wanted);
    if (!chunk)
        return false;
    chunk->older = a->chunk;
    chunk->size = wanted;
    a->chunk = chunk;
    a->used_bytes += wanted;
    use_chunk(a, chunk);
    return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX - ALIGN)
        return NULL;
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (size > (size_t)(a->end - a->next) && !add_chunk(a, size))
        return NULL;
    void *block = a->next;
    a->next += size;
    return block;
}

void *arena_zalloc(struct arena *a, size_t size)
{
    void *block = arena_alloc(a, size);
    if (block)
        memset(block, 0, size);
    return block;
}

void *arena_zalloc_array(struct arena *a, size_t count, size_t item_size)
{
    size_t size;
    return __builtin_mul_overflow(count, item_size, &size) ? NULL : arena_zalloc(a, size);
}

void *arena_grow(struct arena *a, void *old, size_t old_size, size_t new_size)
{
    assert(new_size >= old_size);
    size_t old_rounded = (old_size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    bool newest = old && (uint8_t *)old + old_rounded == a->next;
    if (newest && new_size <= (size_t)(a->end - (uint8_t *)old)) {
        size_t new_rounded = (new_size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
        if (new_rounded <= (size_t)(a->end - (uint8_t *)old)) {
            a->next = (uint8_t *)old + new_rounded;
            return old;
        }
    }
    void *block = arena_alloc(a, new_size);
    if (block && old_size)
        memcpy(block, old, old_size);
    return block;
}

bool arena_copy(struct arena *a, struct slice from, struct slice *ret_copy)
{
    uint8_t *bytes = from.size == SIZE_MAX ? NULL : arena_alloc(a, from.size + 1);
    if (!bytes)
        return false;
    if (from.size)
        memcpy(bytes, from.data, from.size);
    bytes[from.size] = 0;
    *ret_copy = slice_of(bytes, from.size);
    return true;
}

char *arena_strdup(struct arena *a, const char *text)
{
    struct slice copy;
    return arena_copy(a, slice_str(text), &copy) ? (char *)copy.data : NULL;
}

char *arena_vprintf(struct arena *a, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    char *text = size < 0 ? NULL : arena_alloc(a, (size_t)size + 1);
    if (text)
        vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(a, format, args);
    va_end(args);
    return text;
}
