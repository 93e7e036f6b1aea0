/* The wire format's atoms: varints, tags, zigzag, fixed-width little-endian numbers. Internal to pb.
 * Readers return the position behind what they read, NULL where the bytes end or break the format.
 * Source: protobuf.dev/programming-guides/encoding. */
#ifndef PRISM_PB_WIRE_H
#define PRISM_PB_WIRE_H

#include "pb/pb.h"

enum pb_wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LEN = 2, WIRE_GROUP = 3, WIRE_GROUP_END = 4, WIRE_FIXED32 = 5 };

/* How each enum pb_type travels. */
static const uint8_t wire_of_type[19] = {
    [PB_DOUBLE] = WIRE_FIXED64, [PB_FLOAT] = WIRE_FIXED32,   [PB_INT64] = WIRE_VARINT,     [PB_UINT64] = WIRE_VARINT,
    [PB_INT32] = WIRE_VARINT,   [PB_FIXED64] = WIRE_FIXED64, [PB_FIXED32] = WIRE_FIXED32,  [PB_BOOL] = WIRE_VARINT,
    [PB_STRING] = WIRE_LEN,     [PB_GROUP] = WIRE_GROUP,     [PB_MESSAGE] = WIRE_LEN,      [PB_BYTES] = WIRE_LEN,
    [PB_UINT32] = WIRE_VARINT,  [PB_ENUM] = WIRE_VARINT,     [PB_SFIXED32] = WIRE_FIXED32, [PB_SFIXED64] = WIRE_FIXED64,
    [PB_SINT32] = WIRE_VARINT,  [PB_SINT64] = WIRE_VARINT,
};

/* 2 to 10 bytes. Bits past the 64th are dropped, as the official decoders do; an 11th byte is malformed. */
static inline const uint8_t *wire_read_long_varint(const uint8_t *p, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (p == end)
            return NULL;
        uint64_t byte = *p++;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return p;
        }
    }
    return NULL;
}

static inline const uint8_t *wire_read_varint(const uint8_t *p, const uint8_t *end, uint64_t *ret_value)
{
    if (p < end && *p < 0x80) {
        *ret_value = *p;
        return p + 1;
    }
    return wire_read_long_varint(p, end, ret_value);
}

/* Field number and wire type. A tag has at most 5 bytes and 32 bits; the number 0 is malformed. */
static inline const uint8_t *wire_read_tag(const uint8_t *p, const uint8_t *end, uint32_t *ret_tag)
{
    if (*p < 0x80 && *p >= 8) {
        *ret_tag = *p;
        return p + 1;
    }
    uint64_t tag = 0;
    const uint8_t *next = wire_read_varint(p, end, &tag);
    if (!next || next - p > 5 || tag < 8 || tag > UINT32_MAX)
        return NULL;
    *ret_tag = (uint32_t)tag;
    return next;
}

/* A length that fits into what is left. */
static inline const uint8_t *wire_read_length(const uint8_t *p, const uint8_t *end, size_t *ret_size)
{
    uint64_t size = 0;
    p = wire_read_varint(p, end, &size);
    if (!p || size > (uint64_t)(end - p))
        return NULL;
    *ret_size = (size_t)size;
    return p;
}

static inline uint32_t wire_read_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t wire_read_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline size_t wire_varint_size(uint64_t value)
{
    return ((size_t)(63 - __builtin_clzll(value | 1)) * 9 + 73) / 64;
}

static inline uint32_t wire_zigzag32(int32_t v)
{
    return ((uint32_t)v << 1) ^ (v < 0 ? UINT32_MAX : 0);
}

static inline uint64_t wire_zigzag64(int64_t v)
{
    return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static inline int32_t wire_unzigzag32(uint32_t v)
{
    return (int32_t)((v >> 1) ^ (0U - (v & 1)));
}

static inline int64_t wire_unzigzag64(uint64_t v)
{
    return (int64_t)((v >> 1) ^ (0ULL - (v & 1)));
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fixed-width fields are copied as they are");

#endif
