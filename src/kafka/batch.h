/* Record batches of magic 2: the unit in which records are sent, stored and fetched. A batch is never taken apart on its way
 * through the broker: its header is read, its checksum compared, offset and leader epoch are put in place.
 *
 *    0  base offset      int64      27  base time        int64      covered by the checksum: all from the attributes to the
 *    8  size behind it   int32      35  max time         int64      end. What the broker puts in lies before them.
 *   12  leader epoch     int32      43  producer id      int64
 *   16  magic            int8       51  producer epoch   int16
 *   17  CRC32C           uint32     53  base sequence    int32
 *   21  attributes       int16      57  records          int32
 *   23  last offset - base offset   61  records, together compressed as the attributes say
 *
 * Codecs are not here: who needs the records of a compressed batch decompresses what batch_payload gives, and reads that.
 * Source: kafka.apache.org/documentation, message format. Thread: any. */
#ifndef PRISM_KAFKA_BATCH_H
#define PRISM_KAFKA_BATCH_H

#include "base/buf.h"
#include "kafka/errors.h"

enum {
    BATCH_HEADER_BYTES = 61,
    BATCH_PREFIX_BYTES = 12,    /* base offset and size: what tells where the next batch begins */
    BATCH_RECORD_BYTES_MIN = 7, /* of one record, uncompressed */
    BATCH_MAGIC = 2,
};

enum batch_codec { BATCH_PLAIN, BATCH_GZIP, BATCH_SNAPPY, BATCH_LZ4, BATCH_ZSTD, BATCH_CODEC_COUNT };

enum {
    BATCH_CODEC_MASK = 0x07,
    BATCH_APPEND_TIME = 0x08, /* max time is the broker's, and that of all records */
    BATCH_TRANSACTIONAL = 0x10,
    BATCH_CONTROL = 0x20, /* markers of transactions, not records of users */
    BATCH_DELETE_HORIZON = 0x40,
};

struct batch_header {
    int64_t base_offset;
    int64_t base_time_ms, max_time_ms;
    int64_t producer_id; /* -1: none */
    int32_t base_sequence;
    int32_t leader_epoch;
    int32_t last_offset_delta;
    uint32_t record_count;
    uint32_t crc;
    uint32_t size; /* of the whole batch, from the base offset on */
    int16_t producer_epoch;
    uint16_t attributes;
};

static inline enum batch_codec batch_codec(const struct batch_header *h)
{
    return (enum batch_codec)(h->attributes & BATCH_CODEC_MASK);
}

static inline int64_t batch_last_offset(const struct batch_header *h)
{
    return h->base_offset + h->last_offset_delta;
}

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

/* From the BATCH_HEADER_BYTES of a batch, of which the rest need not be there. Sizes, magic, counts and codec make sense;
 * the checksum is not looked at. KAFKA_NONE; KAFKA_CORRUPT_MESSAGE; KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT: magic 0 or 1;
 * KAFKA_UNSUPPORTED_COMPRESSION_TYPE. */
enum kafka_error batch_read_header(const uint8_t *header, struct batch_header *ret_header)
    __attribute__((warn_unused_result));
/* The batch at the start of `bytes`, all of which is there: KAFKA_CORRUPT_MESSAGE also where it is cut. */
enum kafka_error batch_read(struct slice bytes, struct batch_header *ret_header) __attribute__((warn_unused_result));
/* What a producer may send, beyond that: offsets from 0 up without a gap, no control records, a producer's id, epoch and
 * sequence all or none. KAFKA_INVALID_RECORD. */
enum kafka_error batch_check_produced(const struct batch_header *) __attribute__((warn_unused_result));
/* Whole batch, exactly; it has been read. */
bool batch_crc_ok(struct slice batch);
/* The records as they lie in the batch: compressed or not. */
struct slice batch_payload(struct slice batch);

/* --- stamping, in place ----------------------------------------------------------------------------------------------------- */

void batch_stamp(uint8_t *batch, int64_t base_offset, int32_t leader_epoch);
/* The broker's time as that of all records; costs a checksum. */
void batch_stamp_time(uint8_t *batch, uint32_t size, int64_t time_ms);

/* --- records ---------------------------------------------------------------------------------------------------------------- */

struct batch_record {
    int64_t offset;
    int64_t time_ms;
    struct slice key, value; /* data NULL: null */
    struct slice headers;    /* batch_next_header */
    uint32_t header_count;
};

struct batch_records {
    struct slice rest;
    const struct batch_header *batch;
    uint32_t left;
    bool damaged;
};

/* Over `payload`, decompressed. */
void batch_records_init(struct batch_records *, const struct batch_header *, struct slice payload);
/* false: there is no further one, or `damaged`: what is there is not what the batch's header says. */
bool batch_next_record(struct batch_records *, struct batch_record *ret_record);
/* false: no further one. Headers were checked with their record. */
bool batch_next_header(struct slice *headers, struct slice *ret_key, struct slice *ret_value);

/* --- building --------------------------------------------------------------------------------------------------------------- */

struct batch_record_header {
    struct slice key, value;
};

struct batch_producer {
    int64_t id;
    int32_t base_sequence;
    int16_t epoch;
};
#define BATCH_NO_PRODUCER ((struct batch_producer){-1, -1, -1})

/* Appends one batch to a buffer. */
struct batch_builder {
    struct buf *buf;
    size_t start;
    int64_t base_time_ms, max_time_ms;
    uint32_t count;
    uint16_t attributes;
};

void batch_begin(struct batch_builder *, struct buf *, uint16_t attributes);
void batch_add(struct batch_builder *, int64_t time_ms, struct slice key, struct slice value,
               const struct batch_record_header *headers, uint32_t header_count);
/* The payload so far, for a compressor; valid until the next call. */
struct slice batch_built_payload(const struct batch_builder *);
/* Puts these bytes in its place. */
void batch_compressed(struct batch_builder *, enum batch_codec, struct slice payload);
/* Header and checksum. The buffer's error is the builder's: look at it here. */
enum err batch_end(struct batch_builder *, struct batch_producer) __attribute__((warn_unused_result));

#endif
