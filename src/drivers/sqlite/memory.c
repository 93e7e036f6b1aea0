/* SQLite's memory, from base/mem.h: counted with all other, and it fails where a test says so. SQLite asks blocks for their
 * size, so each has it in front. */
#include <sqlite3.h>

#include "base/mem.h"
#include "drivers/sqlite/sqlite.h"

/* SQLite wants addresses that 8 divides. */
struct block {
    uint64_t size;
    uint8_t bytes[];
};

static struct block *block_of(void *bytes)
{
    return (struct block *)((uint8_t *)bytes - offsetof(struct block, bytes));
}

static void *give(struct block *b, int size)
{
    if (!b)
        return NULL;
    b->size = (uint64_t)size;
    return b->bytes;
}

static void *take(int size)
{
    return give(mem_alloc(sizeof(struct block) + (size_t)size), size);
}

static void release(void *bytes)
{
    if (bytes)
        mem_free(block_of(bytes));
}

static void *resize(void *bytes, int size)
{
    return give(mem_realloc(block_of(bytes), sizeof(struct block) + (size_t)size), size);
}

static int size_of(void *bytes)
{
    return bytes ? (int)block_of(bytes)->size : 0;
}

static int round_up(int size)
{
    return (size + 7) & ~7;
}

static int start(void *context)
{
    (void)context;
    return SQLITE_OK;
}

static void stop(void *context)
{
    (void)context;
}

/* Statistics off: a lock around every allocation, and nobody reads them. */
enum err sqlite_use_base_memory(void)
{
    static const sqlite3_mem_methods own = {take, release, resize, size_of, round_up, start, stop, NULL};
    bool done = sqlite3_config(SQLITE_CONFIG_MALLOC, &own) == SQLITE_OK &&
                sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK;
    return done ? OK : ERR_INTERNAL;
}
