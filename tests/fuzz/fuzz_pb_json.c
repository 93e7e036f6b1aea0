/* The JSON reader and writer. What is read can be written, and comes back as the same bytes. */
#include "pb/pb.h"
#include "prism/test/v1/kinds.pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_MAX = 16 << 20 };

static void check(struct arena *a, const void *message)
{
    struct buf json, first, second;
    void *again;
    buf_init(&json, ARENA_MAX);
    buf_init(&first, ARENA_MAX);
    buf_init(&second, ARENA_MAX);
    /* Not everything that can be read has one form to be written in: a FieldMask with odd paths does not. */
    if (pb_json_write(&test_everything_pb, message, NULL, &json) == OK &&
        pb_json_read(&test_everything_pb, buf_slice(&json), NULL, a, NULL, &again) == OK) {
        if (pb_encode_buf(&test_everything_pb, message, &first) || pb_encode_buf(&test_everything_pb, again, &second) ||
            !slice_eq(buf_slice(&first), buf_slice(&second)))
            __builtin_trap();
    }
    buf_fini(&json);
    buf_fini(&first);
    buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct diag diag;
    void *message;
    arena_init(&a, ARENA_MAX);
    diag_init(&diag, &a);
    struct pb_json_options options = {.ignore_unknown = size && data[0] == ' '};
    if (pb_json_read(&test_everything_pb, slice_of(data, size), &options, &a, &diag, &message) == OK)
        check(&a, message);
    arena_fini(&a);
    return 0;
}
