/* The encoder writes a message from its end to its beginning: when the length of a sub-message is due, it is known. One pass
 * to size, one to write, whatever the nesting, and no sizes are kept in between.
 *
 * Output: fields in order of number, then the unknown ones; entries of maps always with key and value, as the official
 * encoders write them. Packed where the table says so. */
#include <assert.h>

#include "base/limits.h"
#include "pb/wire.h"

static const struct pb_array *array_of(const struct pb_field *f, const uint8_t *message)
{
    return (const struct pb_array *)(const void *)(message + f->offset);
}

static inline uint64_t varint_of(uint8_t type, const void *value)
{
    switch (type) {
    case PB_BOOL:
        return *(const bool *)value;
    case PB_UINT32:
        return *(const uint32_t *)value;
    case PB_SINT32:
        return wire_zigzag32(*(const int32_t *)value);
    case PB_SINT64:
        return wire_zigzag64(*(const int64_t *)value);
    case PB_INT64:
    case PB_UINT64:
        return *(const uint64_t *)value;
    default: /* int32, enum: the sign goes up to 64 bits */
        return (uint64_t)(int64_t) * (const int32_t *)value;
    }
}

static inline size_t tag_size(const struct pb_field *f)
{
    return wire_varint_size((uint64_t)f->number << 3);
}

/* --- sizes ---------------------------------------------------------------------------------------------------------------- */

static size_t value_size(const struct pb_field *f, const void *value)
{
    size_t size;
    switch (wire_of_type[f->type]) {
    case WIRE_FIXED32:
        return 4;
    case WIRE_FIXED64:
        return 8;
    case WIRE_VARINT:
        return wire_varint_size(varint_of(f->type, value));
    }
    if (f->type == PB_MESSAGE) {
        const void *sub = *(void *const *)value;
        size = sub ? pb_encoded_size(f->message, sub) : 0;
    } else {
        size = ((const struct slice *)value)->size;
    }
    return wire_varint_size(size) + size;
}

static size_t items_size(const struct pb_field *f, const struct pb_array *array)
{
    if (wire_of_type[f->type] == WIRE_FIXED32 || wire_of_type[f->type] == WIRE_FIXED64)
        return array->count * pb_item_size(f);
    size_t size = 0, item_size = pb_item_size(f);
    for (uint32_t i = 0; i < array->count; i++)
        size += value_size(f, (const uint8_t *)array->items + i * item_size);
    return size;
}

static size_t field_size(const struct pb_field *f, const uint8_t *message)
{
    if (f->card != PB_REPEATED && f->card != PB_MAP)
        return tag_size(f) + value_size(f, message + f->offset);
    const struct pb_array *array = array_of(f, message);
    size_t size = items_size(f, array);
    return f->packed ? tag_size(f) + wire_varint_size(size) + size : array->count * tag_size(f) + size;
}

size_t pb_encoded_size(const struct pb_message *t, const void *message)
{
    size_t size = ((const struct pb_unknown *)message)->size;
    for (uint32_t i = 0; i < t->field_count; i++)
        if (t->map_entry || pb_has(&t->fields[i], message))
            size += field_size(&t->fields[i], message);
    return size;
}

/* --- writing, backwards ----------------------------------------------------------------------------------------------------- */

static inline uint8_t *put_varint(uint8_t *end, uint64_t value)
{
    if (value < 0x80) {
        *--end = (uint8_t)value;
        return end;
    }
    end -= wire_varint_size(value);
    uint8_t *p = end;
    for (; value >= 0x80; value >>= 7)
        *p++ = (uint8_t)(value | 0x80);
    *p = (uint8_t)value;
    return end;
}

static inline uint8_t *put_bytes(uint8_t *end, const void *bytes, size_t size)
{
    end -= size;
    if (size)
        memcpy(end, bytes, size);
    return end;
}

static inline uint8_t *put_tag(uint8_t *end, const struct pb_field *f, enum pb_wire wire)
{
    return put_varint(end, (uint64_t)f->number << 3 | wire);
}

static uint8_t *put_len(uint8_t *end, const struct pb_field *f, const void *value)
{
    if (f->type != PB_MESSAGE) {
        const struct slice *s = value;
        return put_varint(put_bytes(end, s->data, s->size), s->size);
    }
    const void *sub = *(void *const *)value;
    uint8_t *begin = sub ? pb_encode_back(f->message, sub, end) : end;
    return put_varint(begin, (uint64_t)(end - begin));
}

static inline uint8_t *put_value(uint8_t *end, const struct pb_field *f, const void *value)
{
    switch (wire_of_type[f->type]) {
    case WIRE_FIXED32:
        return put_bytes(end, value, 4);
    case WIRE_FIXED64:
        return put_bytes(end, value, 8);
    case WIRE_VARINT:
        return put_varint(end, varint_of(f->type, value));
    default:
        return put_len(end, f, value);
    }
}

static uint8_t *put_packed(uint8_t *end, const struct pb_field *f, const struct pb_array *array)
{
    size_t item_size = pb_item_size(f);
    uint8_t *p = end;
    if (wire_of_type[f->type] == WIRE_VARINT) {
        for (uint32_t i = array->count; i > 0; i--)
            p = put_varint(p, varint_of(f->type, (const uint8_t *)array->items + (i - 1) * item_size));
    } else {
        p = put_bytes(p, array->items, array->count * item_size);
    }
    return put_tag(put_varint(p, (uint64_t)(end - p)), f, WIRE_LEN);
}

static uint8_t *put_repeated(uint8_t *end, const struct pb_field *f, const struct pb_array *array)
{
    if (f->packed)
        return put_packed(end, f, array);
    size_t item_size = pb_item_size(f);
    for (uint32_t i = array->count; i > 0; i--) {
        end = put_value(end, f, (const uint8_t *)array->items + (i - 1) * item_size);
        end = put_tag(end, f, wire_of_type[f->type]);
    }
    return end;
}

uint8_t *pb_encode_back(const struct pb_message *t, const void *message, uint8_t *end)
{
    const struct pb_unknown *unknown = message;
    const uint8_t *base = message;
    end = put_bytes(end, unknown->data, unknown->size);
    for (uint32_t i = t->field_count; i > 0; i--) {
        const struct pb_field *f = &t->fields[i - 1];
        if (!t->map_entry && !pb_has(f, message))
            continue;
        if (f->card == PB_REPEATED || f->card == PB_MAP)
            end = put_repeated(end, f, array_of(f, base));
        else
            end = put_tag(put_value(end, f, base + f->offset), f, wire_of_type[f->type]);
    }
    return end;
}

uint8_t *pb_encode(const struct pb_message *t, const void *message, uint8_t *out)
{
    size_t size = pb_encoded_size(t, message);
    uint8_t *begin = pb_encode_back(t, message, out + size);
    assert(begin == out);
    return begin + size;
}

enum err pb_encode_buf(const struct pb_message *t, const void *message, struct buf *b)
{
    size_t size = pb_encoded_size(t, message);
    if (size > LIMIT_PB_BYTES)
        return ERR_MESSAGE_TOO_LARGE;
    if (size == 0)
        return buf_err(b);
    uint8_t *out = buf_reserve(b, size);
    if (!out)
        return buf_err(b);
    if (pb_encode_back(t, message, out + size) != out)
        return ERR_INTERNAL;
    buf_advance(b, size);
    return OK;
}
