#include "../harness.h"
#include "hex.h"
#include "kafka/batch.h"

enum { BYTES_MAX = 1 << 20 };

/* Of python3-kafka 2.0.2: three records; the second has no key and an empty value, the third an empty key and no value. */
#define PYTHON_BATCH                                                                                                   \
    "0000000000000000000000560000000002fc09fc1c0000000000020000018bcfe568000000018bcfe56805ffffffffffffffffffffffffff" \
    "ff0000000320000000026b0a76616c756502026802310c000a0201000018000104000104026100026201"
/* Of kafka-clients 3.9.2: base offset 100, leader epoch 7, producer 5, epoch 1, sequence 10. */
#define JAVA_BATCH                                                                                                     \
    "000000000000006400000042000000070216d66df10000000000010000018bcfe568000000018bcfe5680100000000000000050001000000" \
    "0a"                                                                                                               \
    "0000000210000000026b0276000e00020201027700"
enum { SIZE_AT = 8, MAGIC_AT = 16, ATTRIBUTES_AT = 22, LAST_DELTA_AT = 23, COUNT_AT = 57 };
static const int64_t base_time_ms = 1700000000000;

static struct hex storage;

TEST(a_batch_of_java_is_read)
{
    struct slice bytes = hex_bytes(&storage, JAVA_BATCH);
    struct batch_header h;
    CHECK_EQ(batch_read(bytes, &h), KAFKA_NONE);
    CHECK_EQ(h.base_offset, 100);
    CHECK_EQ(batch_last_offset(&h), 101);
    CHECK_EQ(h.leader_epoch, 7);
    CHECK_EQ(h.producer_id, 5);
    CHECK_EQ(h.producer_epoch, 1);
    CHECK_EQ(h.base_sequence, 10);
    CHECK_EQ(h.record_count, 2);
    CHECK_EQ(h.base_time_ms, base_time_ms);
    CHECK_EQ(h.max_time_ms, base_time_ms + 1);
    CHECK_EQ(h.size, bytes.size);
    CHECK_EQ(batch_codec(&h), BATCH_PLAIN);
    CHECK(batch_crc_ok(bytes));
    CHECK_EQ(batch_check_produced(&h), KAFKA_NONE);
}

static void check_record(const struct batch_record *r, int64_t offset, int64_t time_ms, uint32_t headers)
{
    CHECK_EQ(r->offset, offset);
    CHECK_EQ(r->time_ms, time_ms);
    CHECK_EQ(r->header_count, headers);
}

TEST(records_of_python_are_read)
{
    struct slice bytes = hex_bytes(&storage, PYTHON_BATCH), key, value;
    struct batch_header h;
    struct batch_records it;
    struct batch_record r;
    CHECK_EQ(batch_read(bytes, &h), KAFKA_NONE);
    CHECK(batch_crc_ok(bytes));
    batch_records_init(&it, &h, batch_payload(bytes));
    CHECK(batch_next_record(&it, &r));
    check_record(&r, 0, base_time_ms, 1);
    CHECK_SLICE(r.key, SLICE("k"));
    CHECK_SLICE(r.value, SLICE("value"));
    CHECK(batch_next_header(&r.headers, &key, &value));
    CHECK_SLICE(key, SLICE("h"));
    CHECK_SLICE(value, SLICE("1"));
    CHECK(!batch_next_header(&r.headers, &key, &value));
    CHECK(batch_next_record(&it, &r));
    check_record(&r, 1, base_time_ms + 5, 0);
    CHECK(!r.key.data && r.value.data && r.value.size == 0);
    CHECK(batch_next_record(&it, &r));
    check_record(&r, 2, base_time_ms - 1, 2);
    CHECK(r.key.data && r.key.size == 0 && !r.value.data);
    CHECK(batch_next_header(&r.headers, &key, &value) && batch_next_header(&r.headers, &key, &value));
    CHECK(!value.data);
    CHECK(!batch_next_record(&it, &r) && !it.damaged);
}

TEST(what_is_built_is_what_others_build)
{
    struct slice python = hex_bytes(&storage, PYTHON_BATCH);
    struct batch_record_header one = {SLICE("h"), SLICE("1")},
                               two[] = {{SLICE("a"), SLICE("")}, {SLICE("b"), SLICE_EMPTY}};
    struct batch_builder b;
    struct buf buf;
    buf_init(&buf, BYTES_MAX);
    batch_begin(&b, &buf, 0);
    batch_add(&b, base_time_ms, SLICE("k"), SLICE("value"), &one, 1);
    batch_add(&b, base_time_ms + 5, SLICE_EMPTY, SLICE(""), NULL, 0);
    batch_add(&b, base_time_ms - 1, SLICE(""), SLICE_EMPTY, two, 2);
    CHECK_ERR(batch_end(&b, BATCH_NO_PRODUCER), OK);
    batch_stamp(buf.data, 0, 0);
    CHECK_SLICE(buf_slice(&buf), python);
    buf_fini(&buf);
}

TEST(stamping_leaves_the_checksum_right)
{
    struct slice bytes = hex_bytes(&storage, JAVA_BATCH);
    struct batch_header h;
    struct batch_records it;
    struct batch_record r;
    batch_stamp(storage.bytes, 1234567890123, 9);
    CHECK(batch_crc_ok(bytes));
    CHECK_EQ(batch_read(bytes, &h), KAFKA_NONE);
    CHECK_EQ(h.base_offset, 1234567890123);
    CHECK_EQ(h.leader_epoch, 9);
    batch_stamp_time(storage.bytes, h.size, 42);
    CHECK(batch_crc_ok(bytes));
    CHECK_EQ(batch_read(bytes, &h), KAFKA_NONE);
    CHECK_EQ(h.attributes, BATCH_APPEND_TIME);
    CHECK_EQ(h.max_time_ms, 42);
    batch_records_init(&it, &h, batch_payload(bytes));
    CHECK(batch_next_record(&it, &r));
    CHECK_EQ(r.time_ms, 42);
    storage.bytes[bytes.size - 1] ^= 1;
    CHECK(!batch_crc_ok(bytes));
}

static enum kafka_error read_with(size_t at, const char *bytes)
{
    struct batch_header h;
    struct hex value;
    struct slice batch = hex_bytes(&storage, JAVA_BATCH), changed = hex_bytes(&value, bytes);
    memcpy(storage.bytes + at, changed.data, changed.size);
    return batch_read(batch, &h);
}

TEST(headers_that_make_no_sense_are_named)
{
    CHECK_EQ(read_with(MAGIC_AT, "00"), KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT);
    CHECK_EQ(read_with(MAGIC_AT, "01"), KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT);
    CHECK_EQ(read_with(MAGIC_AT, "03"), KAFKA_CORRUPT_MESSAGE);
    CHECK_EQ(read_with(MAGIC_AT, "ff"), KAFKA_CORRUPT_MESSAGE);
    CHECK_EQ(read_with(SIZE_AT, "00000043"), KAFKA_CORRUPT_MESSAGE);
    CHECK_EQ(read_with(SIZE_AT, "00000041"), KAFKA_NONE); /* a batch that is shorter: the checksum will tell */
    CHECK_EQ(read_with(SIZE_AT, "00000030"), KAFKA_CORRUPT_MESSAGE);
    CHECK_EQ(read_with(SIZE_AT, "ffffffff"), KAFKA_CORRUPT_MESSAGE);
    CHECK_EQ(read_with(SIZE_AT, "7fffffff"), KAFKA_CORRUPT_MESSAGE);
    CHECK_EQ(read_with(COUNT_AT, "ffffffff"), KAFKA_CORRUPT_MESSAGE);
    CHECK_EQ(read_with(COUNT_AT, "00000003"), KAFKA_CORRUPT_MESSAGE); /* 17 bytes: two records at most */
    CHECK_EQ(read_with(LAST_DELTA_AT, "80000000"), KAFKA_CORRUPT_MESSAGE);
    CHECK_EQ(read_with(ATTRIBUTES_AT, "04"), KAFKA_NONE);
    CHECK_EQ(read_with(ATTRIBUTES_AT, "05"), KAFKA_UNSUPPORTED_COMPRESSION_TYPE);
}

TEST(a_batch_cut_anywhere_is_refused)
{
    struct slice bytes = hex_bytes(&storage, JAVA_BATCH);
    struct batch_header h;
    for (size_t size = 0; size < bytes.size; size++)
        CHECK_EQ(batch_read(slice_take(bytes, size), &h), KAFKA_CORRUPT_MESSAGE);
}

TEST(producers_may_not_send_everything)
{
    struct batch_header good, h;
    CHECK_EQ(batch_read(hex_bytes(&storage, JAVA_BATCH), &good), KAFKA_NONE);
    h = good, h.last_offset_delta = 2;
    CHECK_EQ(batch_check_produced(&h), KAFKA_INVALID_RECORD);
    h = good, h.record_count = 0;
    CHECK_EQ(batch_check_produced(&h), KAFKA_INVALID_RECORD);
    h = good, h.attributes = BATCH_CONTROL;
    CHECK_EQ(batch_check_produced(&h), KAFKA_INVALID_RECORD);
    h = good, h.base_sequence = -1;
    CHECK_EQ(batch_check_produced(&h), KAFKA_INVALID_RECORD);
    h = good, h.producer_id = -1, h.attributes = BATCH_TRANSACTIONAL;
    CHECK_EQ(batch_check_produced(&h), KAFKA_INVALID_RECORD);
    h = good, h.producer_id = -1, h.base_sequence = -1, h.producer_epoch = -1;
    CHECK_EQ(batch_check_produced(&h), KAFKA_NONE);
}

/* Each byte of the records takes each of some values: nothing is read outside, and what is read lies in the batch. */
TEST(damaged_records_are_noticed_or_read_inside_the_batch)
{
    static const uint8_t values[] = {0x00, 0x01, 0x02, 0x7f, 0x80, 0xff};
    for (size_t at = BATCH_HEADER_BYTES; at < strlen(PYTHON_BATCH) / 2; at++)
        for (size_t i = 0; i < sizeof values; i++) {
            struct slice bytes = hex_bytes(&storage, PYTHON_BATCH);
            struct batch_header h;
            struct batch_records it;
            struct batch_record r;
            storage.bytes[at] = values[i];
            CHECK_EQ(batch_read(bytes, &h), KAFKA_NONE);
            batch_records_init(&it, &h, batch_payload(bytes));
            while (batch_next_record(&it, &r)) {
                CHECK(r.key.size + r.value.size + r.headers.size <= bytes.size);
                CHECK(r.offset >= 0 && r.offset <= 2);
            }
        }
}

TEST(a_batch_with_fewer_records_than_it_says_is_damaged)
{
    struct slice bytes = hex_bytes(&storage, PYTHON_BATCH);
    struct batch_header h;
    struct batch_records it;
    struct batch_record r;
    CHECK_EQ(batch_read(bytes, &h), KAFKA_NONE);
    h.record_count = 4;
    batch_records_init(&it, &h, batch_payload(bytes));
    while (batch_next_record(&it, &r))
        ;
    CHECK(it.damaged);
    h.record_count = 2;
    batch_records_init(&it, &h, batch_payload(bytes));
    while (batch_next_record(&it, &r))
        ;
    CHECK(it.damaged);
}

/* What stands for a compressor's output takes the place of the records. */
SCENARIO(a_batch_is_built_or_memory_was_out)
{
    struct batch_builder b;
    struct batch_header h;
    struct buf buf;
    buf_init(&buf, BYTES_MAX);
    batch_begin(&b, &buf, BATCH_TRANSACTIONAL);
    for (int i = 0; i < 50; i++)
        batch_add(&b, base_time_ms + i, SLICE("key"), SLICE("a value of some bytes"), NULL, 0);
    if (!buf_err(&buf))
        CHECK_EQ(batch_built_payload(&b).size, 50 * 31);
    batch_compressed(&b, BATCH_ZSTD, SLICE("squeezed"));
    enum err err = batch_end(&b, (struct batch_producer){.id = 4, .epoch = 2, .base_sequence = 6});
    if (!err) {
        CHECK_EQ(batch_read(buf_slice(&buf), &h), KAFKA_NONE);
        CHECK_EQ(batch_codec(&h), BATCH_ZSTD);
        CHECK_EQ(h.record_count, 50);
        CHECK(h.attributes & BATCH_TRANSACTIONAL);
        CHECK_SLICE(batch_payload(buf_slice(&buf)), SLICE("squeezed"));
        CHECK(batch_crc_ok(buf_slice(&buf)));
    }
    buf_fini(&buf);
    return err;
}
