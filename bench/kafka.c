/* Nanoseconds a message for Kafka's wire format, GB/s of CRC32C: make bench-kafka. Best of several rounds, one core, warm. */
#include <stdio.h>
#include <time.h>

#include "base/crc32c.h"
#include "kafka/batch.h"
#include "kafka/header.h"

enum { ROUNDS = 9, CALLS = 100000, RECORDS = 100, VALUE_BYTES = 100, BYTES_MAX = 1 << 20, PARTITIONS = 10 };

struct bench {
    struct arena arena;
    struct kafka_out out;
    struct slice body; /* what is decoded */
    const struct kafka_message *message;
    int16_t version;
    const void *in; /* what is encoded */
    uint8_t *batch; /* body, to be stamped */
    struct buf built;
    const uint8_t *bytes;
    size_t size;   /* of the checksum */
    uint64_t kept; /* of the results: nothing may be optimized away */
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double measure(struct bench *b, void (*call)(struct bench *))
{
    double best = 1e30;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns();
        for (int i = 0; i < CALLS; i++)
            call(b);
        double each = (now_ns() - start) / CALLS;
        best = each < best ? each : best;
    }
    return best;
}

static void decode(struct bench *b)
{
    _Alignas(16) uint8_t message[1024];
    arena_reset(&b->arena);
    if (kafka_decode(b->message, b->version, b->body, &b->arena, message, NULL) == OK)
        b->kept += message[0];
}

static void encode(struct bench *b)
{
    kafka_out_reset(&b->out);
    if (kafka_encode(b->message, b->version, b->in, &b->out) == OK)
        b->kept += b->out.buf.size;
}

static void checksum(struct bench *b)
{
    b->kept += crc32c((uint32_t)b->kept, b->bytes, b->size);
}

static struct slice hundred_records(struct buf *to)
{
    static const uint8_t value[VALUE_BYTES];
    struct batch_builder builder;
    batch_begin(&builder, to, 0);
    for (int i = 0; i < RECORDS; i++)
        batch_add(&builder, 1700000000000 + i, SLICE_EMPTY, slice_of(value, sizeof value), NULL, 0);
    return batch_end(&builder, BATCH_NO_PRODUCER) == OK ? buf_slice(to) : SLICE_EMPTY;
}

/* What the broker does with a batch before it is stored. */
static void take_batch(struct bench *b)
{
    struct batch_header h;
    if (batch_read(b->body, &h) == KAFKA_NONE && batch_check_produced(&h) == KAFKA_NONE && batch_crc_ok(b->body))
        b->kept += h.record_count;
    batch_stamp(b->batch, (int64_t)b->kept, 0);
}

static void read_records(struct bench *b)
{
    struct batch_header h;
    struct batch_records it;
    struct batch_record r;
    if (batch_read(b->body, &h))
        return;
    batch_records_init(&it, &h, batch_payload(b->body));
    while (batch_next_record(&it, &r))
        b->kept += r.value.size;
}

static void build_batch(struct bench *b)
{
    buf_reset(&b->built);
    b->kept += hundred_records(&b->built).size;
}

static void report(struct bench *b, const char *what, void (*call)(struct bench *))
{
    printf("%-34s v%-3d %8.1f ns\n", what, b->version, measure(b, call));
}

/* --- messages --------------------------------------------------------------------------------------------------------------- */

static void produce_requests(struct bench *b, struct slice batch)
{
    struct kafka_produce_request_partition partition = {.index = 3, .records = {.bytes = batch}};
    struct kafka_produce_request_topic topic = {.name = SLICE("orders"), .partition_data = {&partition, 1}};
    struct kafka_produce_request request = {.acks = 1, .timeout_ms = 30000, .topic_data = {&topic, 1}};
    static const int16_t versions[] = {7, 9};
    for (int i = 0; i < 2; i++) {
        struct kafka_out body;
        kafka_out_init(&body, BYTES_MAX);
        b->message = &kafka_produce_request_message;
        b->version = versions[i];
        if (kafka_encode(b->message, b->version, &request, &body) == OK) {
            b->body = buf_slice(&body.buf);
            report(b, "decode Produce, one batch of 100", decode);
        }
        kafka_out_fini(&body);
    }
}

static void produce_responses(struct bench *b)
{
    struct kafka_produce_response_partition partition = kafka_produce_response_partition_default;
    partition.base_offset = 123456789;
    struct kafka_produce_response_topic topic = {.name = SLICE("orders"), .partition_responses = {&partition, 1}};
    struct kafka_produce_response response = {.responses = {&topic, 1}};
    b->message = &kafka_produce_response_message;
    b->in = &response;
    b->version = 7;
    report(b, "encode Produce's response", encode);
    b->version = 9;
    report(b, "encode Produce's response", encode);
}

static void fetch_responses(struct bench *b)
{
    struct kafka_fetch_response_partition partitions[PARTITIONS];
    static const char file[1];
    for (int i = 0; i < PARTITIONS; i++) {
        partitions[i] = kafka_fetch_response_partition_default;
        partitions[i].partition_index = i;
        partitions[i].records = (struct kafka_records){.source = file, .size = 1 << 20};
    }
    struct kafka_fetch_response_topic topic = {.topic = SLICE("orders"), .partitions = {partitions, PARTITIONS}};
    struct kafka_fetch_response response = {.responses = {&topic, 1}};
    b->message = &kafka_fetch_response_message;
    b->in = &response;
    b->version = 11;
    report(b, "encode Fetch's response, 10 ranges", encode);
    b->version = 12;
    report(b, "encode Fetch's response, 10 ranges", encode);
}

static void batches(struct bench *b, struct buf *batch)
{
    b->body = buf_slice(batch);
    b->batch = batch->data;
    printf("%-38s %8.1f ns\n", "read, check, stamp a batch of 100", measure(b, take_batch));
    printf("%-38s %8.1f ns\n", "read its records, each", measure(b, read_records) / RECORDS);
    printf("%-38s %8.1f ns\n", "build such a batch, each", measure(b, build_batch) / RECORDS);
}

static void checksums(struct bench *b)
{
    static const size_t sizes[] = {100, 1 << 10, 16 << 10, 64 << 10};
    static uint8_t bytes[64 << 10];
    b->bytes = bytes;
    for (int i = 0; i < 4; i++) {
        b->size = sizes[i];
        printf("CRC32C of %6zu bytes               %8.1f GB/s\n", sizes[i], (double)sizes[i] / measure(b, checksum));
    }
}

int main(void)
{
    struct bench b = {.kept = 0};
    struct buf batch;
    arena_init(&b.arena, BYTES_MAX);
    kafka_out_init(&b.out, BYTES_MAX);
    buf_init(&batch, BYTES_MAX);
    buf_init(&b.built, BYTES_MAX);
    produce_requests(&b, hundred_records(&batch));
    batches(&b, &batch);
    produce_responses(&b);
    fetch_responses(&b);
    checksums(&b);
    buf_fini(&batch);
    buf_fini(&b.built);
    kafka_out_fini(&b.out);
    arena_fini(&b.arena);
    return b.kept == 0;
}
