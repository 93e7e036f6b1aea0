/* The decoder: one loop over tags, one switch over wire types, one table row a field.
 *
 * Invariants
 *   1. p never passes end; every length is compared with what is left before it is used.
 *   2. Memory taken is charged against the caller's limit first: two bytes of input can ask for a whole struct.
 *   3. Work is linear in the input, up to a logarithm: arrays and unknown fields grow by doubling, and maps find their
 *      repeated keys by sorting at the end (pb_map_unique), so no input makes it quadratic.
 *   4. A field whose wire type is not the table's is unknown, as in the official decoders; packed and unpacked are both taken.
 *
 * Functions return the position behind what they read, or NULL with the reason in decoder.err.
 * Source: protobuf.dev encoding specification; conformance tests of the protobuf project for the corner cases. */
#include <assert.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "pb/map.h"
#include "pb/wire.h"

enum { ARRAY_CAPACITY_MIN = 4, UNKNOWN_CAPACITY_MIN = 64 };

/* In a map's capacity while it is on decoder.maps. */
#define MAP_TOUCHED 0x80000000u

struct touched_map {
    struct pb_array *map;
    const struct pb_message *entry;
    struct touched_map *next;
};

struct decoder {
    struct arena *arena;
    size_t bytes_left; /* that may still be taken from the arena */
    enum err err;
    struct touched_map *maps;
};

static const uint8_t *decode_fields(struct decoder *, const struct pb_message *, const uint8_t *p, const uint8_t *end,
                                    uint32_t depth, uint8_t *message);

static void *fail(struct decoder *d, enum err err)
{
    d->err = err;
    return NULL;
}

static bool charge(struct decoder *d, size_t size)
{
    if (size > d->bytes_left)
        return false;
    d->bytes_left -= size;
    return true;
}

static uint8_t *new_message(struct decoder *d, const struct pb_message *t)
{
    uint8_t *message = charge(d, t->size) ? arena_zalloc(d->arena, t->size) : NULL;
    return message ? message : fail(d, ERR_NOMEM);
}

/* Makes room for more items; sizes stay below 2^31 items. */
static bool array_reserve(struct decoder *d, struct pb_array *array, size_t more, size_t item_size)
{
    uint32_t flag = array->capacity & MAP_TOUCHED;
    size_t capacity = array->capacity & ~MAP_TOUCHED;
    size_t needed = array->count + more;
    if (needed <= capacity)
        return true;
    capacity = capacity * 2 > needed ? capacity * 2 : needed;
    if (capacity < ARRAY_CAPACITY_MIN)
        capacity = ARRAY_CAPACITY_MIN;
    if (capacity >= MAP_TOUCHED || !charge(d, capacity * item_size))
        return false;
    void *items = arena_grow(d->arena, array->items, array->count * item_size, capacity * item_size);
    if (!items)
        return false;
    array->items = items;
    array->capacity = (uint32_t)capacity | flag;
    return true;
}

static void *array_add(struct decoder *d, struct pb_array *array, size_t item_size)
{
    if (array->count >= (array->capacity & ~MAP_TOUCHED) && !array_reserve(d, array, 1, item_size))
        return fail(d, ERR_NOMEM);
    return (uint8_t *)array->items + array->count++ * item_size;
}

/* Where a decoded scalar, string or enum goes; presence is noted. */
static inline void *value_slot(struct decoder *d, const struct pb_field *f, uint8_t *message)
{
    switch ((enum pb_card)f->card) {
    case PB_OPTIONAL:
        *(bool *)(message + f->presence) = true;
        break;
    case PB_ONEOF:
        *(uint32_t *)(void *)(message + f->presence) = f->number;
        break;
    case PB_REPEATED:
    case PB_MAP:
        return array_add(d, (struct pb_array *)(void *)(message + f->offset), pb_item_size(f));
    case PB_SINGULAR:
        break;
    }
    return message + f->offset;
}

static inline void store_varint(uint8_t type, void *slot, uint64_t v)
{
    switch (type) {
    case PB_BOOL:
        *(bool *)slot = v != 0;
        break;
    case PB_INT64:
    case PB_UINT64:
        *(uint64_t *)slot = v;
        break;
    case PB_SINT64:
        *(int64_t *)slot = wire_unzigzag64(v);
        break;
    case PB_SINT32:
        *(int32_t *)slot = wire_unzigzag32((uint32_t)v);
        break;
    default: /* int32, uint32, enum */
        *(uint32_t *)slot = (uint32_t)v;
        break;
    }
}

static inline const uint8_t *decode_varint(struct decoder *d, const struct pb_field *f, const uint8_t *p,
                                           const uint8_t *end, uint8_t *message)
{
    uint64_t v;
    p = wire_read_varint(p, end, &v);
    if (!p)
        return fail(d, ERR_PB_MALFORMED);
    void *slot = value_slot(d, f, message);
    if (!slot)
        return NULL;
    store_varint(f->type, slot, v);
    return p;
}

static inline const uint8_t *decode_fixed(struct decoder *d, const struct pb_field *f, size_t size, const uint8_t *p,
                                          const uint8_t *end, uint8_t *message)
{
    if ((size_t)(end - p) < size)
        return fail(d, ERR_PB_MALFORMED);
    void *slot = value_slot(d, f, message);
    if (!slot)
        return NULL;
    memcpy(slot, p, size);
    return p + size;
}

static bool touch_map(struct decoder *d, const struct pb_field *f, struct pb_array *map)
{
    if (map->capacity & MAP_TOUCHED)
        return true;
    struct touched_map *touched = charge(d, sizeof *touched) ? arena_new(d->arena, struct touched_map) : NULL;
    if (!touched)
        return fail(d, ERR_NOMEM);
    *touched = (struct touched_map){map, f->message, d->maps};
    d->maps = touched;
    map->capacity |= MAP_TOUCHED;
    return true;
}

/* The struct that a message field decodes into: a new item, or the one that is there (then the input merges into it). */
static uint8_t *sub_message(struct decoder *d, const struct pb_field *f, uint8_t *message)
{
    if (f->card == PB_MAP && !touch_map(d, f, (struct pb_array *)(void *)(message + f->offset)))
        return NULL;
    if (f->card == PB_ONEOF && *(uint32_t *)(void *)(message + f->presence) != f->number)
        *(void **)(void *)(message + f->offset) = NULL;
    void **slot = value_slot(d, f, message);
    if (!slot)
        return NULL;
    if (f->card == PB_REPEATED || f->card == PB_MAP || !*slot)
        *slot = new_message(d, f->message);
    return *slot;
}

/* An entry that came without its message value has an empty one. */
static bool complete_entry(struct decoder *d, const struct pb_message *entry_table, uint8_t *entry)
{
    const struct pb_field *value = &entry_table->fields[1];
    if (value->type != PB_MESSAGE)
        return true;
    void **slot = (void **)(void *)(entry + value->offset);
    if (!*slot)
        *slot = new_message(d, value->message);
    return *slot;
}

static const uint8_t *decode_message(struct decoder *d, const struct pb_field *f, const uint8_t *p, size_t size,
                                     uint32_t depth, uint8_t *message)
{
    if (depth == 0)
        return fail(d, ERR_PB_DEPTH);
    uint8_t *sub = sub_message(d, f, message);
    p = sub ? decode_fields(d, f->message, p, p + size, depth - 1, sub) : NULL;
    if (p && f->card == PB_MAP && !complete_entry(d, f->message, sub))
        return NULL;
    return p;
}

static inline const uint8_t *decode_len(struct decoder *d, const struct pb_field *f, const uint8_t *p,
                                        const uint8_t *end, uint32_t depth, uint8_t *message)
{
    size_t size;
    p = wire_read_length(p, end, &size);
    if (!p)
        return fail(d, ERR_PB_MALFORMED);
    if (f->type == PB_MESSAGE)
        return decode_message(d, f, p, size, depth, message);
    struct slice text = slice_of(p, size);
    if (f->type == PB_STRING && !utf8_valid(text))
        return fail(d, ERR_PB_UTF8);
    struct slice *slot = value_slot(d, f, message);
    if (!slot)
        return NULL;
    *slot = text;
    return p + size;
}

/* Varints that end in a block: bytes without the continuation bit. */
static size_t count_varints(const uint8_t *p, const uint8_t *end)
{
    size_t count = 0;
    for (; p < end; p++)
        count += *p < 0x80;
    return count;
}

static const uint8_t *unpack_varints(struct decoder *d, const struct pb_field *f, struct pb_array *array,
                                     const uint8_t *p, const uint8_t *end)
{
    size_t item_size = pb_item_size(f);
    if (!array_reserve(d, array, count_varints(p, end), item_size))
        return fail(d, ERR_NOMEM);
    while (p < end) {
        uint64_t v;
        p = wire_read_varint(p, end, &v);
        if (!p)
            return fail(d, ERR_PB_MALFORMED);
        store_varint(f->type, (uint8_t *)array->items + array->count++ * item_size, v);
    }
    return p;
}

static const uint8_t *unpack_fixed(struct decoder *d, const struct pb_field *f, struct pb_array *array,
                                   const uint8_t *p, size_t size)
{
    size_t item_size = pb_item_size(f);
    if (size % item_size)
        return fail(d, ERR_PB_MALFORMED);
    if (!array_reserve(d, array, size / item_size, item_size))
        return fail(d, ERR_NOMEM);
    memcpy((uint8_t *)array->items + array->count * item_size, p, size);
    array->count += (uint32_t)(size / item_size);
    return p + size;
}

static const uint8_t *decode_packed(struct decoder *d, const struct pb_field *f, const uint8_t *p, const uint8_t *end,
                                    uint8_t *message)
{
    size_t size;
    p = wire_read_length(p, end, &size);
    if (!p)
        return fail(d, ERR_PB_MALFORMED);
    if (size == 0)
        return p;
    struct pb_array *array = (struct pb_array *)(void *)(message + f->offset);
    if (wire_of_type[f->type] == WIRE_VARINT)
        return unpack_varints(d, f, array, p, p + size);
    return unpack_fixed(d, f, array, p, size);
}

static const uint8_t *skip_bytes(struct decoder *d, size_t size, const uint8_t *p, const uint8_t *end)
{
    return size <= (size_t)(end - p) ? p + size : fail(d, ERR_PB_MALFORMED);
}

static const uint8_t *skip_group(struct decoder *, uint32_t number, const uint8_t *p, const uint8_t *end,
                                 uint32_t depth);

/* Over the value behind a tag. */
static const uint8_t *skip_value(struct decoder *d, uint32_t tag, const uint8_t *p, const uint8_t *end, uint32_t depth)
{
    uint64_t ignored;
    size_t size;
    switch (tag & 7) {
    case WIRE_VARINT:
        p = wire_read_varint(p, end, &ignored);
        return p ? p : fail(d, ERR_PB_MALFORMED);
    case WIRE_FIXED64:
        return skip_bytes(d, 8, p, end);
    case WIRE_FIXED32:
        return skip_bytes(d, 4, p, end);
    case WIRE_LEN:
        p = wire_read_length(p, end, &size);
        return p ? p + size : fail(d, ERR_PB_MALFORMED);
    case WIRE_GROUP:
        return depth ? skip_group(d, tag >> 3, p, end, depth - 1) : fail(d, ERR_PB_DEPTH);
    default: /* an end without its group, and the wire types 6 and 7 that do not exist */
        return fail(d, ERR_PB_MALFORMED);
    }
}

static const uint8_t *skip_group(struct decoder *d, uint32_t number, const uint8_t *p, const uint8_t *end,
                                 uint32_t depth)
{
    while (p && p < end) {
        uint32_t tag;
        p = wire_read_tag(p, end, &tag);
        if (!p)
            break;
        if (tag == (number << 3 | WIRE_GROUP_END))
            return p;
        p = skip_value(d, tag, p, end, depth);
    }
    return fail(d, d->err ? d->err : ERR_PB_MALFORMED);
}

static bool unknown_reserve(struct decoder *d, struct pb_unknown *u, size_t needed)
{
    if (needed <= u->capacity)
        return true;
    size_t capacity = needed * 2 > UNKNOWN_CAPACITY_MIN ? needed * 2 : UNKNOWN_CAPACITY_MIN;
    if (capacity > UINT32_MAX || !charge(d, capacity))
        return false;
    uint8_t *joined = arena_alloc(d->arena, capacity);
    if (!joined)
        return false;
    memcpy(joined, u->data, u->size);
    u->data = joined;
    u->capacity = (uint32_t)capacity;
    return true;
}

static bool keep_unknown(struct decoder *d, struct pb_unknown *u, const uint8_t *from, size_t size)
{
    if (u->capacity == 0 && u->size == 0) {
        u->data = from;
    } else if (u->capacity != 0 || u->data + u->size != from) {
        if (!unknown_reserve(d, u, u->size + size))
            return fail(d, ERR_NOMEM);
        memcpy((uint8_t *)(uintptr_t)u->data + u->size, from, size);
    }
    u->size += (uint32_t)size;
    return true;
}

static const uint8_t *decode_unknown(struct decoder *d, uint32_t tag, const uint8_t *start, const uint8_t *p,
                                     const uint8_t *end, uint32_t depth, uint8_t *message)
{
    p = skip_value(d, tag, p, end, depth);
    if (!p || !keep_unknown(d, (struct pb_unknown *)(void *)message, start, (size_t)(p - start)))
        return NULL;
    return p;
}

static bool packable(const struct pb_field *f)
{
    return f->card == PB_REPEATED && wire_of_type[f->type] != WIRE_LEN;
}

static inline const uint8_t *decode_known(struct decoder *d, const struct pb_field *f, uint32_t wire, const uint8_t *p,
                                          const uint8_t *end, uint32_t depth, uint8_t *message)
{
    switch (wire) {
    case WIRE_VARINT:
        return decode_varint(d, f, p, end, message);
    case WIRE_FIXED64:
        return decode_fixed(d, f, 8, p, end, message);
    case WIRE_FIXED32:
        return decode_fixed(d, f, 4, p, end, message);
    default:
        assert(wire == WIRE_LEN);
        return decode_len(d, f, p, end, depth, message);
    }
}

static inline const struct pb_field *look_up(const struct pb_message *t, uint32_t number)
{
    if (number < t->dense_count)
        return t->dense[number] ? &t->fields[t->dense[number] - 1] : NULL;
    return pb_field_by_number(t, number);
}

static const uint8_t *decode_fields(struct decoder *d, const struct pb_message *t, const uint8_t *p, const uint8_t *end,
                                    uint32_t depth, uint8_t *message)
{
    while (p < end) {
        const uint8_t *start = p;
        uint32_t tag;
        p = wire_read_tag(p, end, &tag);
        if (!p)
            return fail(d, ERR_PB_MALFORMED);
        const struct pb_field *f = look_up(t, tag >> 3);
        uint32_t wire = tag & 7;
        if (f && wire == wire_of_type[f->type])
            p = decode_known(d, f, wire, p, end, depth, message);
        else if (f && wire == WIRE_LEN && packable(f))
            p = decode_packed(d, f, p, end, message);
        else
            p = decode_unknown(d, tag, start, p, end, depth, message);
        if (!p)
            return NULL;
    }
    return p;
}

/* The last entry of a key is the one that counts. */
static enum err settle_maps(struct decoder *d)
{
    enum err err = OK;
    for (struct touched_map *m = d->maps; m; m = m->next) {
        m->map->capacity &= ~MAP_TOUCHED;
        if (!err && m->map->count > 1)
            err = pb_map_unique(m->map, m->entry, d->arena);
    }
    return err;
}

enum err pb_decode_into(const struct pb_message *t, struct slice input, struct arena *a, const struct pb_limits *limits,
                        void *message)
{
    if (!limits)
        limits = &pb_limits_default;
    if (input.size > LIMIT_PB_BYTES)
        return ERR_MESSAGE_TOO_LARGE;
    struct decoder d = {.arena = a, .bytes_left = limits->bytes ? limits->bytes : SIZE_MAX};
    if (input.size && !decode_fields(&d, t, input.data, input.data + input.size, limits->depth, message))
        return d.err;
    return settle_maps(&d);
}

enum err pb_decode(const struct pb_message *t, struct slice input, struct arena *a, const struct pb_limits *limits,
                   void **ret_message)
{
    void *message = pb_new(t, a);
    if (!message)
        return ERR_NOMEM;
    enum err err = pb_decode_into(t, input, a, limits, message);
    if (err)
        return err;
    *ret_message = message;
    return OK;
}
