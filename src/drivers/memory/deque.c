/* Pushes take all memory that they need before they change anything; all else frees or moves. */
#include "drivers/memory/deque.h"

#include <assert.h>

#include "base/mem.h"

enum {
    MALLOC_OVERHEAD_BYTES = 16,
    CHUNK_SHARE_BYTES = (sizeof(struct chunk) + MALLOC_OVERHEAD_BYTES) / CHUNK_VALUES + 1
};

struct value *memory_value_new(struct slice bytes)
{
    struct value *v = mem_alloc(sizeof *v + bytes.size);
    if (!v)
        return NULL;
    v->size = (uint32_t)bytes.size;
    if (bytes.size)
        memcpy(v->bytes, bytes.data, bytes.size);
    return v;
}

size_t memory_value_cost(size_t size)
{
    return sizeof(struct value) + size + MALLOC_OVERHEAD_BYTES + CHUNK_SHARE_BYTES;
}

/* --- chunks ------------------------------------------------------------------------------------------------------------------- */

static unsigned room_left(const struct chunk *c)
{
    return c->first;
}

static unsigned room_right(const struct chunk *c)
{
    return CHUNK_VALUES - c->first - c->count;
}

static void link_chunk(struct deque *d, struct chunk *c, struct chunk *prev, struct chunk *next)
{
    c->prev = prev;
    c->next = next;
    *(prev ? &prev->next : &d->first) = c;
    *(next ? &next->prev : &d->last) = c;
}

static void unlink_chunk(struct deque *d, struct chunk *c)
{
    *(c->prev ? &c->prev->next : &d->first) = c->next;
    *(c->next ? &c->next->prev : &d->last) = c->prev;
}

static void drop_chunk(struct deque *d, struct chunk *c)
{
    unlink_chunk(d, c);
    mem_free(c);
}

static void move_values(struct chunk *c, unsigned to, unsigned from, unsigned count)
{
    memmove(&c->values[to], &c->values[from], count * sizeof c->values[0]);
}

/* --- pushing and popping -------------------------------------------------------------------------------------------------------- */

static void free_chain(struct chunk *c)
{
    while (c) {
        struct chunk *next = c->next;
        mem_free(c);
        c = next;
    }
}

/* So many empty chunks, linked by next. */
static enum err chain_new(unsigned count, struct chunk **ret_chain)
{
    struct chunk *chain = NULL;
    for (unsigned i = 0; i < count; i++) {
        struct chunk *c = mem_alloc(sizeof *c);
        if (!c) {
            free_chain(chain);
            return ERR_NOMEM;
        }
        c->next = chain;
        chain = c;
    }
    *ret_chain = chain;
    return OK;
}

static unsigned room_at(const struct deque *d, enum list_end end)
{
    if (end == LIST_LEFT)
        return d->first ? room_left(d->first) : 0;
    return d->last ? room_right(d->last) : 0;
}

/* The next empty chunk of the chain, at an end of the deque. */
static void open_chunk(struct deque *d, enum list_end end, struct chunk **chain)
{
    struct chunk *c = *chain;
    *chain = c->next;
    c->count = 0;
    c->first = end == LIST_LEFT ? CHUNK_VALUES : 0;
    link_chunk(d, c, end == LIST_LEFT ? NULL : d->last, end == LIST_LEFT ? d->first : NULL);
}

static void put_at_end(struct deque *d, enum list_end end, struct value *v)
{
    if (end == LIST_LEFT)
        d->first->values[--d->first->first] = v;
    else
        d->last->values[d->last->first + d->last->count] = v;
    (end == LIST_LEFT ? d->first : d->last)->count++;
    d->length++;
}

enum err memory_deque_push(struct deque *d, enum list_end end, struct value *const *values, uint32_t count)
{
    unsigned room = room_at(d, end);
    struct chunk *chain = NULL;
    enum err e = count > room ? chain_new((count - room + CHUNK_VALUES - 1) / CHUNK_VALUES, &chain) : OK;
    if (e)
        return e;
    for (uint32_t i = 0; i < count; i++) {
        if (!room_at(d, end))
            open_chunk(d, end, &chain);
        put_at_end(d, end, values[i]);
    }
    assert(!chain);
    return OK;
}

struct value *memory_deque_pop(struct deque *d, enum list_end end)
{
    struct chunk *c = end == LIST_LEFT ? d->first : d->last;
    struct value *v = end == LIST_LEFT ? c->values[c->first++] : c->values[c->first + c->count - 1];
    d->length--;
    if (!--c->count)
        drop_chunk(d, c);
    return v;
}

/* --- positions ------------------------------------------------------------------------------------------------------------------ */

static struct deque_at from_the_right(const struct deque *d, uint64_t from_end)
{
    struct chunk *c = d->last;
    while (from_end > c->count) {
        from_end -= c->count;
        c = c->prev;
    }
    return (struct deque_at){.chunk = c, .offset = (unsigned)(c->count - from_end)};
}

struct deque_at memory_deque_at(const struct deque *d, uint64_t position)
{
    assert(position < d->length);
    if (position > d->length / 2)
        return from_the_right(d, d->length - position);
    struct chunk *c = d->first;
    while (position >= c->count) {
        position -= c->count;
        c = c->next;
    }
    return (struct deque_at){.chunk = c, .offset = (unsigned)position};
}

struct deque_at memory_deque_next(struct deque_at at)
{
    if (++at.offset < at.chunk->count)
        return at;
    return (struct deque_at){.chunk = at.chunk->next};
}

/* The upper half of a full chunk moves to one behind it. */
static enum err split(struct deque *d, struct deque_at *at)
{
    struct chunk *c = at->chunk, *upper;
    enum err e = chain_new(1, &upper);
    if (e)
        return e;
    unsigned kept = c->count / 2;
    upper->first = 0;
    upper->count = (uint16_t)(c->count - kept);
    memcpy(upper->values, &c->values[c->first + kept], upper->count * sizeof c->values[0]);
    c->count = (uint16_t)kept;
    link_chunk(d, upper, c, c->next);
    if (at->offset > kept)
        *at = (struct deque_at){.chunk = upper, .offset = at->offset - kept};
    return OK;
}

static void insert_at(struct deque_at at, struct value *v)
{
    struct chunk *c = at.chunk;
    if (room_right(c)) {
        move_values(c, c->first + at.offset + 1, c->first + at.offset, c->count - at.offset);
    } else {
        move_values(c, c->first - 1u, c->first, at.offset);
        c->first--;
    }
    c->count++;
    *deque_value(at) = v;
}

enum err memory_deque_insert(struct deque *d, uint64_t position, struct value *v)
{
    if (position == 0 || position == d->length)
        return memory_deque_push(d, position ? LIST_RIGHT : LIST_LEFT, &v, 1);
    struct deque_at at = memory_deque_at(d, position);
    enum err e = at.chunk->count == CHUNK_VALUES ? split(d, &at) : OK;
    if (e)
        return e;
    insert_at(at, v);
    d->length++;
    return OK;
}

/* Two chunks that are half empty together become one, so that taking leaves no trail of small ones. */
static void merge_with_next(struct deque *d, struct chunk *c)
{
    struct chunk *next = c->next;
    if (!next || c->count + next->count > CHUNK_VALUES / 2)
        return;
    move_values(c, 0, c->first, c->count);
    c->first = 0;
    memcpy(&c->values[c->count], &next->values[next->first], next->count * sizeof c->values[0]);
    c->count = (uint16_t)(c->count + next->count);
    drop_chunk(d, next);
}

struct value *memory_deque_take(struct deque *d, uint64_t position)
{
    struct deque_at at = memory_deque_at(d, position);
    struct chunk *c = at.chunk;
    struct value *v = *deque_value(at);
    move_values(c, c->first + at.offset, c->first + at.offset + 1, c->count - at.offset - 1);
    d->length--;
    if (--c->count)
        merge_with_next(d, c);
    else
        drop_chunk(d, c);
    return v;
}

/* --- many at once --------------------------------------------------------------------------------------------------------------- */

static void cut_chunk(struct deque *d, struct chunk *c, struct deque *garbage)
{
    unlink_chunk(d, c);
    link_chunk(garbage, c, garbage->last, NULL);
    d->length -= c->count;
    garbage->length += c->count;
}

/* Values of a chunk of which some stay. Returns their cost. */
static size_t cut_values(struct deque *d, enum list_end end, unsigned count)
{
    size_t cost = 0;
    for (; count; count--) {
        struct value *v = memory_deque_pop(d, end);
        cost += memory_value_cost(v->size);
        mem_free(v);
    }
    return cost;
}

size_t memory_deque_cut(struct deque *d, enum list_end end, uint64_t count, struct deque *garbage)
{
    struct chunk *c;
    while (count && (c = end == LIST_LEFT ? d->first : d->last)->count <= count) {
        count -= c->count;
        cut_chunk(d, c, garbage);
    }
    return cut_values(d, end, (unsigned)count);
}

uint64_t memory_deque_count_equal(const struct deque *d, struct slice bytes)
{
    uint64_t count = 0;
    for (struct deque_at at = {.chunk = d->first}; at.chunk; at = memory_deque_next(at))
        count += slice_eq(value_slice(*deque_value(at)), bytes);
    return count;
}

/* Moves what stays together, from the first on; then the end, which nothing uses any more, is cut off. */
uint64_t memory_deque_drop_equal(struct deque *d, struct slice bytes, uint64_t skip, uint64_t most)
{
    struct deque_at to = {.chunk = d->first};
    uint64_t dropped = 0, seen = 0;
    for (struct deque_at at = to; at.chunk; at = memory_deque_next(at)) {
        struct value *v = *deque_value(at);
        if (slice_eq(value_slice(v), bytes) && seen++ >= skip && dropped < most) {
            mem_free(v);
            dropped++;
        } else {
            *deque_value(to) = v;
            to = memory_deque_next(to);
        }
    }
    for (uint64_t i = 0; i < dropped; i++)
        (void)memory_deque_pop(d, LIST_RIGHT);
    return dropped;
}

size_t memory_deque_free(struct deque *d)
{
    size_t cost = 0;
    for (struct deque_at at = {.chunk = d->first}; at.chunk; at = memory_deque_next(at)) {
        cost += memory_value_cost((*deque_value(at))->size);
        mem_free(*deque_value(at));
    }
    free_chain(d->first);
    *d = (struct deque){0};
    return cost;
}
