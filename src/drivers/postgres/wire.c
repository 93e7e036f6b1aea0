#include "drivers/postgres/wire.h"

#include <assert.h>
#include <endian.h>

#include "data/keyvalue.h"

/* 2000-01-01 UTC: where PostgreSQL's times begin. */
static const int64_t epoch_ms = INT64_C(946684800000);

/* --- parameters ------------------------------------------------------------------------------------------------------------- */

static void put(struct postgres_params *p, const void *value, size_t length)
{
    assert(p->count < POSTGRES_PARAMS_MAX && length <= INT32_MAX);
    p->bytes[p->count] = value;
    p->lengths[p->count] = (int)length;
    p->formats[p->count] = 1;
    p->count++;
}

static void put_number(struct postgres_params *p, const void *big_endian, size_t length)
{
    assert(p->count < POSTGRES_PARAMS_MAX);
    memcpy(p->numbers[p->count], big_endian, length);
    put(p, NULL, length);
}

const char *const *postgres_values(const struct postgres_params *p, const char *values[POSTGRES_PARAMS_MAX])
{
    for (int i = 0; i < p->count; i++)
        values[i] = p->bytes[i] || !p->lengths[i] ? p->bytes[i] : (const char *)p->numbers[i];
    return values;
}

void postgres_put_null(struct postgres_params *p)
{
    put(p, NULL, 0);
}

void postgres_put_bool(struct postgres_params *p, bool value)
{
    put_number(p, &(uint8_t){value}, 1);
}

void postgres_put_int2(struct postgres_params *p, int16_t value)
{
    put_number(p, &(uint16_t){htobe16((uint16_t)value)}, 2);
}

void postgres_put_int4(struct postgres_params *p, int32_t value)
{
    put_number(p, &(uint32_t){htobe32((uint32_t)value)}, 4);
}

void postgres_put_int8(struct postgres_params *p, int64_t value)
{
    put_number(p, &(uint64_t){htobe64((uint64_t)value)}, 8);
}

static uint64_t double_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return htobe64(bits);
}

void postgres_put_double(struct postgres_params *p, double value)
{
    put_number(p, &(uint64_t){double_bits(value)}, 8);
}

void postgres_put_bytes(struct postgres_params *p, struct slice bytes)
{
    put(p, bytes.size ? (const void *)bytes.data : "", bytes.size);
}

static int64_t time_of(int64_t utc_ms)
{
    return (utc_ms - epoch_ms) * 1000;
}

void postgres_put_time(struct postgres_params *p, int64_t utc_ms)
{
    if (utc_ms == KV_NEVER)
        postgres_put_null(p);
    else
        postgres_put_int8(p, time_of(utc_ms));
}

/* --- arrays ----------------------------------------------------------------------------------------------------------------- */

static void array_put(struct postgres_array *a, const void *bytes, size_t size)
{
    if (!a->data)
        return;
    assert((size_t)(a->at - a->data) + size <= a->size);
    if (size)
        memcpy(a->at, bytes, size);
    a->at += size;
}

static void array_int4(struct postgres_array *a, int32_t value)
{
    array_put(a, &(uint32_t){htobe32((uint32_t)value)}, 4);
}

struct postgres_array postgres_array_new(struct arena *arena, enum postgres_type type, uint32_t count, size_t bytes)
{
    size_t size = 20 + 4 * (size_t)count + bytes;
    struct postgres_array a = {.data = arena_alloc(arena, size), .size = size};
    a.at = a.data;
    array_int4(&a, 1); /* dimensions */
    array_int4(&a, 1); /* there may be NULLs */
    array_int4(&a, (int32_t)type);
    array_int4(&a, (int32_t)count);
    array_int4(&a, 1); /* lower bound */
    return a;
}

void postgres_array_bytes(struct postgres_array *a, struct slice bytes)
{
    array_int4(a, (int32_t)bytes.size);
    array_put(a, bytes.data, bytes.size);
}

void postgres_array_bytes_or_null(struct postgres_array *a, struct slice bytes)
{
    if (bytes.size)
        postgres_array_bytes(a, bytes);
    else
        array_int4(a, -1);
}

void postgres_array_time(struct postgres_array *a, int64_t utc_ms)
{
    if (utc_ms == KV_NEVER) {
        array_int4(a, -1);
        return;
    }
    array_int4(a, 8);
    array_put(a, &(uint64_t){htobe64((uint64_t)time_of(utc_ms))}, 8);
}

void postgres_array_int2(struct postgres_array *a, int16_t value)
{
    array_int4(a, 2);
    array_put(a, &(uint16_t){htobe16((uint16_t)value)}, 2);
}

void postgres_array_double(struct postgres_array *a, double value)
{
    array_int4(a, 8);
    array_put(a, &(uint64_t){double_bits(value)}, 8);
}

void postgres_put_array(struct postgres_params *p, const struct postgres_array *a)
{
    p->failed |= !a->data;
    put(p, a->data, (size_t)(a->at - a->data));
}

/* --- columns ---------------------------------------------------------------------------------------------------------------- */

bool postgres_is_null(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column);
}

struct slice postgres_bytes(const PGresult *r, int row, int column)
{
    return slice_of(PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column));
}

bool postgres_bool(const PGresult *r, int row, int column)
{
    return PQgetlength(r, row, column) == 1 && PQgetvalue(r, row, column)[0];
}

int32_t postgres_int4(const PGresult *r, int row, int column)
{
    uint32_t x = 0;
    if (PQgetlength(r, row, column) == sizeof x)
        memcpy(&x, PQgetvalue(r, row, column), sizeof x);
    return (int32_t)be32toh(x);
}

int64_t postgres_int8(const PGresult *r, int row, int column)
{
    uint64_t x = 0;
    if (PQgetlength(r, row, column) == sizeof x)
        memcpy(&x, PQgetvalue(r, row, column), sizeof x);
    return (int64_t)be64toh(x);
}

double postgres_double(const PGresult *r, int row, int column)
{
    int64_t bits = postgres_int8(r, row, column);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int64_t postgres_time_ms(const PGresult *r, int row, int column)
{
    if (PQgetisnull(r, row, column))
        return KV_NEVER;
    int64_t us = postgres_int8(r, row, column);
    return us / 1000 - (us % 1000 < 0) + epoch_ms;
}
