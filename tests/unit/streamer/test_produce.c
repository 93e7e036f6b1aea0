/* What is taken of a producer, byte for byte; kills, restarts and waits are in test_datapath.c and tests/streamer. */
#include "../harness.h"
#include "kafka/batch.h"
#include "streamer/produce.h"

enum { BYTES_MAX = 1000 };

static enum kafka_error check(struct slice records, int16_t version)
{
    struct batch_header header;
    const char *message = NULL;
    return produce_check(records, version, BYTES_MAX, &header, &message);
}

static void build(struct buf *to, uint16_t attributes, struct batch_producer producer, size_t value_bytes)
{
    static uint8_t value[2 * BYTES_MAX];
    struct batch_builder b;
    batch_begin(&b, to, attributes);
    batch_add(&b, 1000, SLICE("key"), slice_of(value, value_bytes), NULL, 0);
    batch_add(&b, 1001, SLICE("key"), SLICE("value"), NULL, 0);
    CHECK_ERR(batch_end(&b, producer), OK);
}

struct row {
    uint16_t attributes;
    struct batch_producer producer;
    size_t value_bytes;
    int16_t version;
    enum kafka_error expected;
};

TEST(produce_takes_what_kafka_takes)
{
    static const struct row rows[] = {
        {0, {-1, -1, -1}, 10, 3, KAFKA_NONE},
        {0, {5, 0, 0}, 10, 3, KAFKA_NONE},
        {BATCH_GZIP, {5, 0, 0}, 10, 3, KAFKA_NONE}, /* never opened */
        {BATCH_ZSTD, {5, 0, 0}, 10, 7, KAFKA_NONE},
        {BATCH_ZSTD, {5, 0, 0}, 10, 6, KAFKA_UNSUPPORTED_COMPRESSION_TYPE},
        {7, {5, 0, 0}, 10, 9, KAFKA_UNSUPPORTED_COMPRESSION_TYPE},
        {0, {5, 0, 0}, BYTES_MAX, 9, KAFKA_MESSAGE_TOO_LARGE},
        {0, {5, 0, 0}, 10, 2, KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT},
        {BATCH_TRANSACTIONAL, {5, 0, 0}, 10, 9, KAFKA_INVALID_TXN_STATE},
        {BATCH_CONTROL, {5, 0, 0}, 10, 9, KAFKA_INVALID_RECORD},
        {BATCH_APPEND_TIME, {5, 0, 0}, 10, 9, KAFKA_INVALID_TIMESTAMP},
        {0, {5, -1, 0}, 10, 9, KAFKA_INVALID_RECORD},
        {0, {5, 0, -1}, 10, 9, KAFKA_INVALID_RECORD},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf batch;
        buf_init(&batch, 1 << 20);
        build(&batch, rows[i].attributes, rows[i].producer, rows[i].value_bytes);
        enum kafka_error error = check(buf_slice(&batch), rows[i].version);
        if (error != rows[i].expected)
            test_fail(__FILE__, __LINE__, "row %zu: %s", i, kafka_error_name((int16_t)error));
        buf_fini(&batch);
    }
}

TEST(produce_takes_one_whole_batch)
{
    struct buf two;
    buf_init(&two, 1 << 20);
    CHECK_EQ(check(SLICE_EMPTY, 9), KAFKA_INVALID_RECORD);
    build(&two, 0, BATCH_NO_PRODUCER, 10);
    size_t size = two.size;
    build(&two, 0, BATCH_NO_PRODUCER, 10);
    CHECK_EQ(check(buf_slice(&two), 9), KAFKA_INVALID_RECORD);
    CHECK_EQ(check(slice_of(two.data, size + 1), 9), KAFKA_INVALID_RECORD);
    CHECK_EQ(check(slice_of(two.data, size), 9), KAFKA_NONE);
    for (size_t cut = 1; cut < size; cut++)
        CHECK(check(slice_of(two.data, cut), 9) != KAFKA_NONE);
    buf_fini(&two);
}

/* But for what the broker writes itself: offset, leader epoch. */
TEST(produce_takes_no_batch_with_a_changed_byte)
{
    struct buf batch;
    buf_init(&batch, 1 << 20);
    build(&batch, 0, BATCH_NO_PRODUCER, 10);
    for (size_t i = 8; i < batch.size; i++) {
        if (i >= BATCH_PREFIX_BYTES && i < BATCH_PREFIX_BYTES + 4)
            continue;
        batch.data[i] ^= 0x01;
        CHECK(check(buf_slice(&batch), 9) != KAFKA_NONE);
        batch.data[i] ^= 0x01;
    }
    CHECK_EQ(check(buf_slice(&batch), 9), KAFKA_NONE);
    buf_fini(&batch);
}
