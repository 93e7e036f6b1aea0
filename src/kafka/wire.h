/* Numbers as they lie on the wire: big-endian, and varints of 7 bits a byte, lowest first. For src/kafka alone. */
#ifndef PRISM_KAFKA_WIRE_H
#define PRISM_KAFKA_WIRE_H

#include "base/slice.h"

enum { WIRE_UVARINT_BYTES = 5, WIRE_VARLONG_BYTES = 10 };

static inline uint16_t wire_get16(const uint8_t *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof value);
    return __builtin_bswap16(value);
}

static inline uint32_t wire_get32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return __builtin_bswap32(value);
}

static inline uint64_t wire_get64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return __builtin_bswap64(value);
}

static inline uint8_t *wire_put16(uint8_t *to, uint16_t value)
{
    value = __builtin_bswap16(value);
    memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

static inline uint8_t *wire_put32(uint8_t *to, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

static inline uint8_t *wire_put64(uint8_t *to, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

/* Bytes used; 0 where it ends too early or has more than 32 bits. */
static inline size_t wire_uvarint(const uint8_t *from, size_t size, uint32_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size && i < WIRE_UVARINT_BYTES; i++) {
        value |= (uint64_t)(from[i] & 0x7f) << (7 * i);
        if (from[i] < 0x80) {
            *ret_value = (uint32_t)value;
            return value > UINT32_MAX ? 0 : i + 1;
        }
    }
    return 0;
}

/* Room for WIRE_UVARINT_BYTES. Returns the end. */
static inline uint8_t *wire_put_uvarint(uint8_t *to, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (uint8_t)(value | 0x80);
    *to++ = (uint8_t)value;
    return to;
}

/* Signed, zigzag: 0, -1, 1, -2, … are 0, 1, 2, 3. Bytes used; 0 where it ends too early or has more than 64 bits. */
static inline size_t wire_varlong(const uint8_t *from, size_t size, int64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size && i < WIRE_VARLONG_BYTES; i++) {
        value |= (uint64_t)(from[i] & 0x7f) << (7 * i);
        if (from[i] >= 0x80)
            continue;
        *ret_value = (int64_t)(value >> 1 ^ (0 - (value & 1)));
        return i == WIRE_VARLONG_BYTES - 1 && from[i] > 1 ? 0 : i + 1;
    }
    return 0;
}

/* Room for WIRE_VARLONG_BYTES. Returns the end. */
static inline uint8_t *wire_put_varlong(uint8_t *to, int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ -(uint64_t)(value < 0);
    for (; zigzag >= 0x80; zigzag >>= 7)
        *to++ = (uint8_t)(zigzag | 0x80);
    *to++ = (uint8_t)zigzag;
    return to;
}

static inline size_t wire_varlong_size(int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ -(uint64_t)(value < 0);
    return (size_t)(63 - __builtin_clzll(zigzag | 1)) / 7 + 1;
}

#endif
