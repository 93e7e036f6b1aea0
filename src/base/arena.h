/* Memory that dies together. Everything made for a call, a configuration, a message lives in an arena and is freed at once.
 *
 *   struct arena a;
 *   arena_init(&a, 4 << 20);           at most 4 MiB; allocates nothing yet
 *   x = arena_new(&a, struct x);       zeroed; NULL when memory is out or the maximum is reached
 *   arena_fini(&a);                    or arena_reset(&a): keeps the first chunk for the next user
 *
 * Thread: one at a time. */
#ifndef PRISM_BASE_ARENA_H
#define PRISM_BASE_ARENA_H

#include <stdarg.h>

#include "base/slice.h"

struct arena_chunk;

struct arena {
    uint8_t *next; /* first free byte of the current chunk */
    uint8_t *end;
    struct arena_chunk *chunk; /* newest first */
    size_t used_bytes;         /* bytes of all chunks */
    size_t bytes_max;          /* born with a maximum */
};

void arena_init(struct arena *, size_t bytes_max);
void arena_fini(struct arena *);
/* Frees all but the first chunk and starts over. */
void arena_reset(struct arena *);
/* Aligned to 16 bytes, not zeroed. */
void *arena_alloc(struct arena *, size_t size) __attribute__((malloc, warn_unused_result));
void *arena_zalloc(struct arena *, size_t size) __attribute__((malloc, warn_unused_result));
/* Grows an array; in place where it is the newest allocation. On failure NULL and the old one stays valid. */
void *arena_grow(struct arena *, void *old, size_t old_size, size_t new_size) __attribute__((warn_unused_result));
/* Copies bytes and adds a NUL behind them (not counted). false: out of memory. */
bool arena_copy(struct arena *, struct slice from, struct slice *ret_copy) __attribute__((warn_unused_result));
char *arena_strdup(struct arena *, const char *text) __attribute__((malloc, warn_unused_result));
char *arena_printf(struct arena *, const char *format, ...) __attribute__((format(printf, 2, 3), warn_unused_result));
char *arena_vprintf(struct arena *, const char *format, va_list)
    __attribute__((format(printf, 2, 0), warn_unused_result));

#define arena_new(arena, type) ((type *)arena_zalloc((arena), sizeof(type)))
/* n zeroed items; NULL also where n * size would overflow. */
#define arena_array(arena, type, n) ((type *)arena_zalloc_array((arena), (n), sizeof(type)))
void *arena_zalloc_array(struct arena *, size_t count, size_t item_size) __attribute__((malloc, warn_unused_result));

#endif
