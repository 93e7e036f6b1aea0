#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

static _Thread_local uint64_t thread_count;
static _Thread_local uint64_t fail_at; /* value of thread_count at which to fail; 0: never */
static _Thread_local bool fail_forever;
static _Thread_local bool has_failed;
static atomic_int_fast64_t live;

static bool refuse(void)
{
    thread_count++;
    if (FAULT("mem.alloc"))
        return true;
    if (__builtin_expect(fail_at == 0, 1))
        return false;
    bool hit = thread_count == fail_at || (fail_forever && thread_count > fail_at);
    has_failed |= hit;
    return hit;
}

void *mem_alloc(size_t size)
{
    if (refuse())
        return NULL;
    void *block = malloc(size ? size : 1);
    if (block)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return block;
}

void *mem_zalloc(size_t size)
{
    if (refuse())
        return NULL;
    void *block = calloc(1, size ? size : 1);
    if (block)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return block;
}

void *mem_realloc(void *old, size_t size)
{
    if (!old)
        return mem_alloc(size);
    if (refuse())
        return NULL;
    return realloc(old, size ? size : 1);
}

void mem_free(void *block)
{
    if (!block)
        return;
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free(block);
}

char *mem_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = mem_alloc(size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

uint64_t mem_thread_count(void)
{
    return thread_count;
}

int64_t mem_live(void)
{
    return atomic_load_explicit(&live, memory_order_relaxed);
}

void mem_fail_at(uint64_t n, bool forever)
{
    fail_at = n ? thread_count + n : 0;
    fail_forever = forever;
    has_failed = false;
}

bool mem_failed(void)
{
    return has_failed;
}
