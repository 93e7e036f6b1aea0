/* Looking at tables and at messages through them: what decoder, encoder, JSON and everybody else share. */
#include "pb/pb.h"

#include "base/limits.h"

enum { ARRAY_CAPACITY_MIN = 4 };

const uint8_t pb_item_sizes[] = {
    [PB_DOUBLE] = 8,
    [PB_FLOAT] = 4,
    [PB_INT64] = 8,
    [PB_UINT64] = 8,
    [PB_INT32] = 4,
    [PB_FIXED64] = 8,
    [PB_FIXED32] = 4,
    [PB_BOOL] = sizeof(bool),
    [PB_STRING] = sizeof(struct slice),
    [PB_GROUP] = sizeof(void *),
    [PB_MESSAGE] = sizeof(void *),
    [PB_BYTES] = sizeof(struct slice),
    [PB_UINT32] = 4,
    [PB_ENUM] = 4,
    [PB_SFIXED32] = 4,
    [PB_SFIXED64] = 8,
    [PB_SINT32] = 4,
    [PB_SINT64] = 8,
};

const struct pb_limits pb_limits_default = {.depth = LIMIT_PB_DEPTH};

const struct pb_field *pb_field_by_number(const struct pb_message *t, uint32_t number)
{
    if (number < t->dense_count)
        return t->dense[number] ? &t->fields[t->dense[number] - 1] : NULL;
    uint32_t low = 0, high = t->field_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (t->fields[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->field_count && t->fields[low].number == number ? &t->fields[low] : NULL;
}

static bool named(const char *candidate, const char *name, size_t size)
{
    return strncmp(candidate, name, size) == 0 && candidate[size] == 0;
}

const struct pb_field *pb_field_by_name(const struct pb_message *t, const char *name, size_t size)
{
    if (memchr(name, 0, size))
        return NULL;
    for (uint32_t i = 0; i < t->field_count; i++)
        if (named(t->fields[i].json_name, name, size) || named(t->fields[i].name, name, size))
            return &t->fields[i];
    return NULL;
}

const char *pb_enum_name(const struct pb_enum *e, int32_t number)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (e->values[i].number == number)
            return e->values[i].name;
    return NULL;
}

const struct pb_enum_value *pb_enum_by_name(const struct pb_enum *e, const char *name, size_t size)
{
    if (memchr(name, 0, size))
        return NULL;
    for (uint32_t i = 0; i < e->count; i++)
        if (named(e->values[i].name, name, size))
            return &e->values[i];
    return NULL;
}

/* Whether a value differs from its type's default. A double's -0.0 does. */
static inline bool is_set(const struct pb_field *f, const void *value)
{
    if (f->type == PB_STRING || f->type == PB_BYTES)
        return ((const struct slice *)value)->size != 0;
    uint64_t bits = 0;
    switch (pb_item_size(f)) {
    case 8:
        memcpy(&bits, value, 8);
        return bits != 0;
    case 4:
        memcpy(&bits, value, 4);
        return bits != 0;
    default:
        return *(const uint8_t *)value != 0;
    }
}

bool pb_has(const struct pb_field *f, const void *message)
{
    const uint8_t *base = message;
    switch ((enum pb_card)f->card) {
    case PB_OPTIONAL:
        return *(const bool *)(base + f->presence);
    case PB_ONEOF:
        return *(const uint32_t *)(const void *)(base + f->presence) == f->number;
    case PB_REPEATED:
    case PB_MAP:
        return ((const struct pb_array *)(const void *)(base + f->offset))->count != 0;
    case PB_SINGULAR:
        break;
    }
    return is_set(f, base + f->offset);
}

void *pb_new(const struct pb_message *t, struct arena *a)
{
    return arena_zalloc(a, t->size);
}

void *pb_array_add(struct pb_array *array, size_t item_size, struct arena *a)
{
    if (array->count >= array->capacity) {
        if (array->count > UINT32_MAX / 4)
            return NULL;
        uint32_t capacity = array->count < ARRAY_CAPACITY_MIN ? ARRAY_CAPACITY_MIN : array->count * 2;
        void *items = arena_grow(a, array->items, array->count * item_size, capacity * item_size);
        if (!items)
            return NULL;
        array->items = items;
        array->capacity = capacity;
    }
    void *item = (uint8_t *)array->items + array->count++ * item_size;
    memset(item, 0, item_size);
    return item;
}

const struct pb_message *pb_find_message(const char *full_name, size_t size)
{
    uint32_t low = 0, high = pb_message_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = slice_cmp(slice_str(pb_messages[middle]->name), slice_of(full_name, size));
        if (order == 0)
            return pb_messages[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
