/* What clients and brokers of others said to each other: read whole, and written again as the same bytes. */
#include "../harness.h"
#include "hex.h"
#include "kafka/batch.h"
#include "kafka/header.h"

enum { ARENA_MAX = 1 << 20, MESSAGE_BYTES_MAX = 1024 };

struct captured {
    int16_t key, version;
    bool response;
    const char *hex;
};

static const struct captured frames[] = {
#define CAPTURED(key, version, response, hex) {key, version, response, hex},
#include "captured.def"
#undef CAPTURED
};

/* The body, and the beginning of the frame in `out`. */
static enum err read_header(const struct captured *c, const struct kafka_api *api, struct slice frame,
                            struct kafka_out *out, struct slice *ret_body, struct kafka_frame *ret_begun)
{
    struct kafka_request_header h;
    int32_t id;
    enum err err = c->response ? kafka_response_header_read(frame, api, c->version, &id, ret_body, NULL)
                               : kafka_request_header_read(frame, &h, ret_body, NULL);
    if (err)
        return err;
    return c->response ? kafka_response_begin(out, api, c->version, id, ret_begun)
                       : kafka_request_begin(out, api, c->version, h.correlation_id, h.client_id, ret_begun);
}

static enum err echo(const struct captured *c, const struct kafka_api *api, struct slice frame, struct arena *arena,
                     struct kafka_out *out, struct kafka_fault *fault)
{
    _Alignas(16) uint8_t message[MESSAGE_BYTES_MAX];
    const struct kafka_message *m = c->response ? api->response : api->request;
    struct kafka_frame begun;
    struct slice body;
    enum err err = read_header(c, api, frame, out, &body, &begun);
    if (!err)
        err = kafka_decode(m, c->version, body, arena, message, fault);
    if (!err)
        err = kafka_encode(m, c->version, message, out);
    return err ? err : kafka_frame_end(out, &begun);
}

TEST(captured_frames_come_back)
{
    struct arena arena;
    struct kafka_out out;
    struct hex hex;
    arena_init(&arena, ARENA_MAX);
    kafka_out_init(&out, ARENA_MAX);
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        const struct kafka_api *api = kafka_api_find(frames[i].key);
        struct kafka_fault fault = {"header", "", 0};
        struct slice frame = hex_bytes(&hex, frames[i].hex);
        CHECK(api && kafka_api_takes(api, frames[i].version));
        kafka_out_reset(&out);
        arena_reset(&arena);
        enum err err = echo(&frames[i], api, frame, &arena, &out, &fault);
        if (err)
            test_fail(__FILE__, __LINE__, "%s version %d: %s: %s", api->name, frames[i].version, fault.field,
                      fault.reason);
        CHECK_EQ(kafka_frame_size(out.buf.data), frame.size);
        CHECK_SLICE(slice_skip(buf_slice(&out.buf), KAFKA_FRAME_SIZE_BYTES), frame);
    }
    kafka_out_fini(&out);
    arena_fini(&arena);
}

static void check_batch(struct slice bytes)
{
    struct batch_header h;
    CHECK_EQ(batch_read(bytes, &h), KAFKA_NONE);
    CHECK_EQ(h.size, bytes.size);
    CHECK(batch_crc_ok(bytes));
    CHECK_EQ(batch_check_produced(&h), KAFKA_NONE);
}

TEST(captured_batches_are_sound)
{
    struct arena arena;
    struct hex hex;
    uint32_t batches = 0;
    arena_init(&arena, ARENA_MAX);
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        struct kafka_request_header h;
        struct kafka_produce_request request;
        struct slice body;
        if (frames[i].key != KAFKA_API_PRODUCE || frames[i].response)
            continue;
        CHECK_ERR(kafka_request_header_read(hex_bytes(&hex, frames[i].hex), &h, &body, NULL), OK);
        CHECK_ERR(kafka_decode(h.api->request, h.version, body, &arena, &request, NULL), OK);
        check_batch(request.topic_data.items[0].partition_data.items[0].records.bytes);
        batches++;
    }
    CHECK(batches > 0);
    arena_fini(&arena);
}
