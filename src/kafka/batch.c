#include "kafka/batch.h"

#include <assert.h>

#include "base/crc32c.h"
#include "base/limits.h"
#include "kafka/wire.h"

enum {
    AT_SIZE = 8,
    AT_LEADER_EPOCH = 12,
    AT_MAGIC = 16,
    AT_CRC = 17,
    AT_ATTRIBUTES = 21,
    AT_LAST_OFFSET_DELTA = 23,
    AT_BASE_TIME = 27,
    AT_MAX_TIME = 35,
    AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51,
    AT_BASE_SEQUENCE = 53,
    AT_COUNT = 57,
};

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

/* Each record takes at least some bytes; those of a compressed batch can be many more than its bytes. */
static bool counts_are_sane(const struct batch_header *h)
{
    if (h->record_count > LIMIT_KAFKA_BATCH_RECORDS || h->last_offset_delta < 0)
        return false;
    uint32_t payload = h->size - BATCH_HEADER_BYTES;
    return batch_codec(h) != BATCH_PLAIN || h->record_count <= payload / BATCH_RECORD_BYTES_MIN;
}

enum kafka_error batch_read_header(const uint8_t *b, struct batch_header *ret_header)
{
    int32_t behind = (int32_t)wire_get32(b + AT_SIZE);
    uint8_t magic = b[AT_MAGIC];
    if (magic < BATCH_MAGIC)
        return KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT;
    if (magic != BATCH_MAGIC || behind < BATCH_HEADER_BYTES - BATCH_PREFIX_BYTES ||
        behind > INT32_MAX - BATCH_PREFIX_BYTES)
        return KAFKA_CORRUPT_MESSAGE;
    struct batch_header h = {.base_offset = (int64_t)wire_get64(b),
                             .size = (uint32_t)behind + BATCH_PREFIX_BYTES,
                             .leader_epoch = (int32_t)wire_get32(b + AT_LEADER_EPOCH),
                             .crc = wire_get32(b + AT_CRC),
                             .attributes = wire_get16(b + AT_ATTRIBUTES),
                             .last_offset_delta = (int32_t)wire_get32(b + AT_LAST_OFFSET_DELTA),
                             .base_time_ms = (int64_t)wire_get64(b + AT_BASE_TIME),
                             .max_time_ms = (int64_t)wire_get64(b + AT_MAX_TIME),
                             .producer_id = (int64_t)wire_get64(b + AT_PRODUCER_ID),
                             .producer_epoch = (int16_t)wire_get16(b + AT_PRODUCER_EPOCH),
                             .base_sequence = (int32_t)wire_get32(b + AT_BASE_SEQUENCE),
                             .record_count = wire_get32(b + AT_COUNT)};
    if (batch_codec(&h) >= BATCH_CODEC_COUNT)
        return KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
    if (!counts_are_sane(&h))
        return KAFKA_CORRUPT_MESSAGE;
    *ret_header = h;
    return KAFKA_NONE;
}

enum kafka_error batch_read(struct slice bytes, struct batch_header *ret_header)
{
    struct batch_header h;
    if (bytes.size <= AT_MAGIC)
        return KAFKA_CORRUPT_MESSAGE;
    if (bytes.size < BATCH_HEADER_BYTES)
        return bytes.data[AT_MAGIC] < BATCH_MAGIC ? KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT : KAFKA_CORRUPT_MESSAGE;
    enum kafka_error error = batch_read_header(bytes.data, &h);
    if (!error && h.size > bytes.size)
        error = KAFKA_CORRUPT_MESSAGE;
    if (!error)
        *ret_header = h;
    return error;
}

enum kafka_error batch_check_produced(const struct batch_header *h)
{
    bool has_producer = h->producer_id >= 0;
    if (h->record_count == 0 || h->last_offset_delta != (int64_t)h->record_count - 1)
        return KAFKA_INVALID_RECORD;
    if (h->attributes & (BATCH_CONTROL | BATCH_DELETE_HORIZON))
        return KAFKA_INVALID_RECORD;
    if (has_producer && (h->producer_epoch < 0 || h->base_sequence < 0))
        return KAFKA_INVALID_RECORD;
    if (!has_producer && (h->attributes & BATCH_TRANSACTIONAL))
        return KAFKA_INVALID_RECORD;
    return KAFKA_NONE;
}

static uint32_t crc_of(const uint8_t *batch, size_t size)
{
    return crc32c(0, batch + AT_ATTRIBUTES, size - AT_ATTRIBUTES);
}

bool batch_crc_ok(struct slice batch)
{
    assert(batch.size >= BATCH_HEADER_BYTES);
    return crc_of(batch.data, batch.size) == wire_get32(batch.data + AT_CRC);
}

struct slice batch_payload(struct slice batch)
{
    return slice_skip(batch, BATCH_HEADER_BYTES);
}

/* --- stamping --------------------------------------------------------------------------------------------------------------- */

void batch_stamp(uint8_t *batch, int64_t base_offset, int32_t leader_epoch)
{
    wire_put64(batch, (uint64_t)base_offset);
    wire_put32(batch + AT_LEADER_EPOCH, (uint32_t)leader_epoch);
}

void batch_stamp_time(uint8_t *batch, uint32_t size, int64_t time_ms)
{
    assert(size >= BATCH_HEADER_BYTES);
    wire_put16(batch + AT_ATTRIBUTES, wire_get16(batch + AT_ATTRIBUTES) | BATCH_APPEND_TIME);
    wire_put64(batch + AT_MAX_TIME, (uint64_t)time_ms);
    wire_put32(batch + AT_CRC, crc_of(batch, size));
}

/* --- records ---------------------------------------------------------------------------------------------------------------- */

/* Kept in registers: what follows is inlined by force, since gcc makes calls of it, which take two thirds of a record's time. */
struct cursor {
    const uint8_t *at, *end;
};
#define INLINED __attribute__((always_inline)) static inline

INLINED struct cursor cursor_of(struct slice s)
{
    return (struct cursor){s.data, s.data + s.size};
}

INLINED size_t left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

INLINED int64_t unzigzag(uint32_t value)
{
    return (int32_t)(value >> 1 ^ (0 - (value & 1)));
}

/* Most are of one byte or two. */
INLINED bool take_varlong(struct cursor *c, int64_t *ret_value)
{
    size_t used = left(c) >= 1 && c->at[0] < 0x80 ? 1 : left(c) >= 2 && c->at[1] < 0x80 ? 2 : 0;
    if (used == 1)
        *ret_value = unzigzag(c->at[0]);
    else if (used == 2)
        *ret_value = unzigzag((c->at[0] & 0x7fu) | (uint32_t)c->at[1] << 7);
    else
        used = wire_varlong(c->at, left(c), ret_value);
    c->at += used;
    return used > 0;
}

/* Size and bytes; size -1 is null. */
INLINED bool take_bytes(struct cursor *c, struct slice *ret_bytes)
{
    int64_t size;
    if (!take_varlong(c, &size) || size < -1 || size > (int64_t)left(c))
        return false;
    *ret_bytes = size < 0 ? SLICE_EMPTY : slice_of(c->at, (size_t)size);
    c->at += ret_bytes->size;
    return true;
}

INLINED bool take_header(struct cursor *c, struct slice *ret_key, struct slice *ret_value)
{
    return take_bytes(c, ret_key) && ret_key->data && take_bytes(c, ret_value);
}

/* All of them are there, and nothing behind them. */
static bool headers_are_whole(struct cursor headers, int64_t count)
{
    struct slice key, value;
    for (; count > 0; count--)
        if (!take_header(&headers, &key, &value))
            return false;
    return left(&headers) == 0;
}

INLINED bool read_record(const struct batch_header *batch, struct slice bytes, struct batch_record *r)
{
    int64_t time_delta, offset_delta, header_count;
    struct cursor c = cursor_of(slice_skip(bytes, 1)); /* behind the attributes, of which none are known */
    if (!take_varlong(&c, &time_delta) || !take_varlong(&c, &offset_delta) || !take_bytes(&c, &r->key) ||
        !take_bytes(&c, &r->value) || !take_varlong(&c, &header_count))
        return false;
    if (offset_delta < 0 || offset_delta > batch->last_offset_delta || header_count < 0 ||
        header_count > (int64_t)left(&c) / 2 || !headers_are_whole(c, header_count))
        return false;
    int64_t time_ms = (int64_t)((uint64_t)batch->base_time_ms + (uint64_t)time_delta);
    r->offset = batch->base_offset + offset_delta;
    r->time_ms = batch->attributes & BATCH_APPEND_TIME ? batch->max_time_ms : time_ms;
    r->headers = slice_of(c.at, left(&c));
    r->header_count = (uint32_t)header_count;
    return true;
}

void batch_records_init(struct batch_records *it, const struct batch_header *batch, struct slice payload)
{
    *it = (struct batch_records){payload, batch, batch->record_count, false};
}

bool batch_next_record(struct batch_records *it, struct batch_record *ret_record)
{
    struct slice bytes = SLICE_EMPTY;
    if (it->damaged)
        return false;
    if (it->left == 0 || it->rest.size == 0) {
        it->damaged = it->left > 0 || it->rest.size > 0;
        return false;
    }
    struct cursor c = cursor_of(it->rest);
    it->left--;
    it->damaged = !take_bytes(&c, &bytes) || bytes.size == 0 || !read_record(it->batch, bytes, ret_record);
    it->rest = slice_of(c.at, left(&c));
    return !it->damaged;
}

bool batch_next_header(struct slice *headers, struct slice *ret_key, struct slice *ret_value)
{
    if (headers->size == 0)
        return false;
    struct cursor c = cursor_of(*headers);
    bool taken = take_header(&c, ret_key, ret_value);
    *headers = slice_of(c.at, left(&c));
    return taken;
}

/* --- building --------------------------------------------------------------------------------------------------------------- */

void batch_begin(struct batch_builder *b, struct buf *buf, uint16_t attributes)
{
    static const uint8_t header[BATCH_HEADER_BYTES];
    *b = (struct batch_builder){.buf = buf, .start = buf->size, .attributes = attributes};
    buf_put(buf, header, sizeof header);
}

static size_t bytes_size(struct slice s)
{
    return wire_varlong_size(s.data ? (int64_t)s.size : -1) + s.size;
}

static uint8_t *put_bytes(uint8_t *to, struct slice s)
{
    to = wire_put_varlong(to, s.data ? (int64_t)s.size : -1);
    if (s.size)
        memcpy(to, s.data, s.size);
    return to + s.size;
}

static size_t headers_size(const struct batch_record_header *headers, uint32_t count)
{
    size_t size = wire_varlong_size(count);
    for (uint32_t i = 0; i < count; i++)
        size += bytes_size(headers[i].key) + bytes_size(headers[i].value);
    return size;
}

void batch_add(struct batch_builder *b, int64_t time_ms, struct slice key, struct slice value,
               const struct batch_record_header *headers, uint32_t header_count)
{
    if (b->count == 0)
        b->base_time_ms = b->max_time_ms = time_ms;
    int64_t time_delta = (int64_t)((uint64_t)time_ms - (uint64_t)b->base_time_ms);
    size_t size = 1 + wire_varlong_size(time_delta) + wire_varlong_size(b->count) + bytes_size(key) +
                  bytes_size(value) + headers_size(headers, header_count);
    uint8_t *to = buf_reserve(b->buf, size + WIRE_VARLONG_BYTES);
    if (!to)
        return;
    uint8_t *start = to;
    to = wire_put_varlong(to, (int64_t)size);
    *to++ = 0;
    to = wire_put_varlong(to, time_delta);
    to = wire_put_varlong(to, b->count);
    to = put_bytes(put_bytes(to, key), value);
    to = wire_put_varlong(to, header_count);
    for (uint32_t i = 0; i < header_count; i++)
        to = put_bytes(put_bytes(to, headers[i].key), headers[i].value);
    buf_advance(b->buf, (size_t)(to - start));
    b->max_time_ms = time_ms > b->max_time_ms ? time_ms : b->max_time_ms;
    b->count++;
}

struct slice batch_built_payload(const struct batch_builder *b)
{
    return slice_skip(buf_slice(b->buf), b->start + BATCH_HEADER_BYTES);
}

void batch_compressed(struct batch_builder *b, enum batch_codec codec, struct slice payload)
{
    if (buf_err(b->buf))
        return;
    b->buf->size = b->start + BATCH_HEADER_BYTES;
    b->attributes = (uint16_t)((b->attributes & ~BATCH_CODEC_MASK) | codec);
    buf_put_slice(b->buf, payload);
}

enum err batch_end(struct batch_builder *b, struct batch_producer producer)
{
    assert(b->count > 0 || buf_err(b->buf));
    if (buf_err(b->buf))
        return buf_err(b->buf);
    uint8_t *batch = b->buf->data + b->start;
    size_t size = b->buf->size - b->start;
    if (size > INT32_MAX)
        return ERR_MESSAGE_TOO_LARGE;
    wire_put32(batch + AT_SIZE, (uint32_t)(size - BATCH_PREFIX_BYTES));
    wire_put32(batch + AT_LEADER_EPOCH, UINT32_MAX);
    batch[AT_MAGIC] = BATCH_MAGIC;
    wire_put16(batch + AT_ATTRIBUTES, b->attributes);
    wire_put32(batch + AT_LAST_OFFSET_DELTA, b->count - 1);
    wire_put64(batch + AT_BASE_TIME, (uint64_t)b->base_time_ms);
    wire_put64(batch + AT_MAX_TIME, (uint64_t)b->max_time_ms);
    wire_put64(batch + AT_PRODUCER_ID, (uint64_t)producer.id);
    wire_put16(batch + AT_PRODUCER_EPOCH, (uint16_t)producer.epoch);
    wire_put32(batch + AT_BASE_SEQUENCE, (uint32_t)producer.base_sequence);
    wire_put32(batch + AT_COUNT, b->count);
    wire_put32(batch + AT_CRC, crc_of(batch, size));
    return OK;
}
