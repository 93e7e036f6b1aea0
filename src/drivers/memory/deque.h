/* A list in memory: values in chunks that are linked both ways. Both ends are pushed and popped in constant time; a position is found
 * chunk by chunk from the nearer end.
 *
 * Invariants: no chunk is empty; length is the sum of the chunks' counts; a chunk's values lie at [first, first + count).
 * Thread: under the lock of whoever owns it. Values are the deque's from the moment they are in it. */
#ifndef PRISM_DRIVERS_MEMORY_DEQUE_H
#define PRISM_DRIVERS_MEMORY_DEQUE_H

#include "data/list.h"

enum { CHUNK_VALUES = 60 };

struct value {
    uint32_t size;
    uint8_t bytes[];
};

struct chunk {
    struct chunk *next, *prev;
    uint16_t first, count;
    struct value *values[CHUNK_VALUES];
};

struct deque {
    struct chunk *first, *last;
    uint64_t length;
};

/* A position on the way through a deque. */
struct deque_at {
    struct chunk *chunk; /* NULL: behind the end */
    unsigned offset;
};

struct value *memory_value_new(struct slice bytes); /* NULL: out of memory */
/* What a value takes, with its share of a chunk. */
size_t memory_value_cost(size_t size);

static inline struct slice value_slice(const struct value *v)
{
    return slice_of(v->bytes, v->size);
}

/* One after the other: the last of them ends up at the end. All or none: ERR_NOMEM. */
enum err memory_deque_push(struct deque *, enum list_end, struct value *const *values, uint32_t count);
/* The value is the caller's. The deque is not empty. */
struct value *memory_deque_pop(struct deque *, enum list_end);
/* The position is below length. */
struct deque_at memory_deque_at(const struct deque *, uint64_t position);
struct deque_at memory_deque_next(struct deque_at);
static inline struct value **deque_value(struct deque_at at)
{
    return &at.chunk->values[at.chunk->first + at.offset];
}
/* The position is at most length. ERR_NOMEM. */
enum err memory_deque_insert(struct deque *, uint64_t position, struct value *);
/* Takes one out; it is the caller's. */
struct value *memory_deque_take(struct deque *, uint64_t position);
/* Takes count values off an end: whole chunks go to garbage, to be freed without the lock; the rest is freed at once, and its cost
 * answered. */
size_t memory_deque_cut(struct deque *, enum list_end, uint64_t count, struct deque *garbage);
/* Frees those that equal bytes, but for the first skip of them, most at the most. Returns how many. */
uint64_t memory_deque_drop_equal(struct deque *, struct slice bytes, uint64_t skip, uint64_t most);
uint64_t memory_deque_count_equal(const struct deque *, struct slice bytes);
/* Frees all values and chunks. Returns their cost. */
size_t memory_deque_free(struct deque *);

#endif
