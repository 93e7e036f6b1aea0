/* A table of producers as bytes: little-endian, the checksum over all before it.
 *
 *   "MSPRODUC"  version u32  count u32  offset i64
 *   count times: id i64  used_ms i64  next_sequence i32  epoch i16  batches u16, then each batch, the oldest first:
 *       first_offset i64  time_ms i64  first_sequence i32  delta i32
 *   crc32c u32
 *
 * Producers lie in the order of their last use, which therefore survives. */
#include <assert.h>
#include <endian.h>

#include "base/crc32c.h"
#include "base/limits.h"
#include "streamer/producer.h"

enum { VERSION = 1, HEAD_BYTES = 24, PRODUCER_BYTES = 24, BATCH_BYTES = 24, CRC_BYTES = 4 };
static const char magic[8] = "MSPRODUC";

/* --- writing ---------------------------------------------------------------------------------------------------------------- */

static void put16(struct buf *to, uint16_t value)
{
    value = htole16(value);
    buf_put(to, &value, sizeof value);
}

static void put32(struct buf *to, uint32_t value)
{
    value = htole32(value);
    buf_put(to, &value, sizeof value);
}

static void put64(struct buf *to, int64_t value)
{
    uint64_t little = htole64((uint64_t)value);
    buf_put(to, &little, sizeof little);
}

static void save_batch(const struct producer_batch *b, struct buf *to)
{
    put64(to, b->first_offset);
    put64(to, b->time_ms);
    put32(to, (uint32_t)b->first_sequence);
    put32(to, (uint32_t)b->delta);
}

static void save_producer(const struct producer *p, struct buf *to)
{
    put64(to, p->id);
    put64(to, p->used_ms);
    put32(to, (uint32_t)p->next_sequence);
    put16(to, (uint16_t)p->epoch);
    put16(to, p->count);
    for (unsigned age = p->count; age-- > 0;)
        save_batch(&p->batches[(p->newest + PRODUCER_BATCHES - age) % PRODUCER_BATCHES], to);
}

/* Those of which nothing was stored are not saved. */
static uint32_t count_stored(const struct producers *ps)
{
    uint32_t count = 0;
    for (const struct producer *p = ps->oldest; p; p = p->next)
        count += p->count > 0;
    return count;
}

void producers_save(const struct producers *ps, int64_t offset, struct buf *to)
{
    size_t start = to->size;
    buf_put(to, magic, sizeof magic);
    put32(to, VERSION);
    put32(to, count_stored(ps));
    put64(to, offset);
    for (const struct producer *p = ps->oldest; p; p = p->next)
        if (p->count)
            save_producer(p, to);
    if (buf_err(to) == OK)
        put32(to, crc32c(0, to->data + start, to->size - start));
}

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

static uint16_t take16(struct slice *from)
{
    uint16_t value;
    memcpy(&value, from->data, sizeof value);
    *from = slice_skip(*from, sizeof value);
    return le16toh(value);
}

static uint32_t take32(struct slice *from)
{
    uint32_t value;
    memcpy(&value, from->data, sizeof value);
    *from = slice_skip(*from, sizeof value);
    return le32toh(value);
}

static int64_t take64(struct slice *from)
{
    uint64_t value;
    memcpy(&value, from->data, sizeof value);
    *from = slice_skip(*from, sizeof value);
    return (int64_t)le64toh(value);
}

static bool whole(struct slice bytes)
{
    if (bytes.size < HEAD_BYTES + CRC_BYTES || memcmp(bytes.data, magic, sizeof magic) != 0)
        return false;
    struct slice end = slice_skip(bytes, bytes.size - CRC_BYTES);
    return take32(&end) == crc32c(0, bytes.data, bytes.size - CRC_BYTES);
}

/* The batch as the producer once sent it. */
static enum err load_batch(struct producers *ps, struct slice *from, int64_t id, int16_t epoch, int64_t used_ms)
{
    int64_t first_offset = take64(from), time_ms = take64(from);
    struct producer_claim claim = {.id = id, .epoch = epoch};
    claim.first_sequence = (int32_t)take32(from);
    claim.delta = (int32_t)take32(from);
    if (claim.first_sequence < 0 || claim.delta < 0)
        return ERR_CORRUPT;
    return producers_learn(ps, &claim, first_offset, time_ms, used_ms);
}

static enum err load_producer(struct producers *ps, struct slice *from)
{
    if (from->size < PRODUCER_BYTES)
        return ERR_CORRUPT;
    int64_t id = take64(from), used_ms = take64(from);
    int32_t next_sequence = (int32_t)take32(from);
    int16_t epoch = (int16_t)take16(from);
    uint16_t count = take16(from);
    if (id < 0 || epoch < 0 || count == 0 || count > PRODUCER_BATCHES || from->size < (size_t)count * BATCH_BYTES)
        return ERR_CORRUPT;
    enum err e = OK;
    for (unsigned i = 0; i < count && e == OK; i++)
        e = load_batch(ps, from, id, epoch, used_ms);
    struct producer *p = producers_find(ps, id);
    if (p)
        p->next_sequence = next_sequence;
    return e;
}

static enum err load_all(struct producers *ps, struct slice from, uint32_t count)
{
    enum err e = OK;
    for (uint32_t i = 0; i < count && e == OK; i++)
        e = load_producer(ps, &from);
    return e != OK ? e : from.size ? ERR_CORRUPT : OK;
}

enum err producers_load(struct producers *ps, struct slice bytes, int64_t *ret_offset)
{
    assert(!ps->oldest);
    if (!whole(bytes))
        return ERR_CORRUPT;
    struct slice from = slice_skip(slice_take(bytes, bytes.size - CRC_BYTES), sizeof magic);
    uint32_t version = take32(&from), count = take32(&from);
    int64_t offset = take64(&from);
    if (version != VERSION)
        return ERR_CORRUPT;
    enum err e = load_all(ps, from, count);
    if (e != OK) {
        producers_expire(ps, INT64_MAX);
        return e;
    }
    *ret_offset = offset;
    return OK;
}
