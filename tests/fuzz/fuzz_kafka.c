/* Every request and response at every version: the first two bytes choose the API, its side and the version. What is decoded
 * must encode, decode again, and encode to the same bytes; memory stays in proportion to the input. */
#include "kafka/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Memory that a byte of input may cost: one of the smallest items is two bytes, and its struct some dozens. */
enum { ARENA_BASE = 1 << 16, ARENA_BYTES_PER_BYTE = 100, OUT_MAX = 64 << 20, MESSAGE_BYTES_MAX = 1024 };

static const struct kafka_message *choose(const uint8_t *data, int16_t *ret_version)
{
    const struct kafka_api *api = &kafka_apis[data[0] % kafka_api_count];
    const struct kafka_message *m = data[1] & 0x80 ? api->response : api->request;
    *ret_version = (int16_t)(m->version_min + (data[1] & 0x7f) % (m->version_max - m->version_min + 1));
    return m;
}

static void encode(const struct kafka_message *m, int16_t version, const void *message, struct kafka_out *out)
{
    kafka_out_init(out, OUT_MAX);
    if (kafka_encode(m, version, message, out))
        __builtin_trap();
}

static void check(const struct kafka_message *m, int16_t version, const void *message, struct arena *a)
{
    _Alignas(16) uint8_t again[MESSAGE_BYTES_MAX];
    struct kafka_out first, second;
    encode(m, version, message, &first);
    if (kafka_decode(m, version, buf_slice(&first.buf), a, again, NULL))
        __builtin_trap();
    encode(m, version, again, &second);
    if (!slice_eq(buf_slice(&first.buf), buf_slice(&second.buf)))
        __builtin_trap();
    kafka_out_fini(&first);
    kafka_out_fini(&second);
}

static void check_header(struct slice input)
{
    struct kafka_request_header h;
    struct slice body;
    struct kafka_fault fault;
    if (kafka_request_header_read(input, &h, &body, &fault) == OK && body.size > input.size)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _Alignas(16) uint8_t message[MESSAGE_BYTES_MAX];
    struct kafka_fault fault = {"", "", 0};
    int16_t version;
    struct arena a;
    if (size < 2)
        return 0;
    check_header(slice_of(data, size));
    const struct kafka_message *m = choose(data, &version);
    struct slice input = slice_of(data + 2, size - 2);
    arena_init(&a, ARENA_BASE + input.size * ARENA_BYTES_PER_BYTE);
    if (m->size > sizeof message)
        __builtin_trap();
    enum err err = kafka_decode(m, version, input, &a, message, &fault);
    if (err == ERR_NOMEM || fault.position > input.size)
        __builtin_trap();
    arena_fini(&a);
    arena_init(&a, 2 * (ARENA_BASE + input.size * ARENA_BYTES_PER_BYTE));
    if (err == OK && kafka_decode(m, version, input, &a, message, NULL) == OK)
        check(m, version, message, &a);
    arena_fini(&a);
    return 0;
}
