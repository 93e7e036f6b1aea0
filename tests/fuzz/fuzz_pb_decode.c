/* The decoder. What it accepts must encode to as many bytes as were announced, decode again, and encode to the same bytes. */
#include "pb/pb.h"
#include "prism/test/v1/kinds.pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_MAX = 16 << 20 };

static void encode(const void *message, struct buf *b)
{
    buf_init(b, ARENA_MAX);
    if (pb_encode_buf(&test_everything_pb, message, b) || b->size != pb_encoded_size(&test_everything_pb, message))
        __builtin_trap();
}

/* The input is a message, and also a patch onto it: merging must hold as well. */
static void check(struct arena *a, void *message)
{
    struct buf first, second;
    void *again;
    encode(message, &first);
    if (pb_decode(&test_everything_pb, buf_slice(&first), a, NULL, &again) == OK) {
        encode(again, &second);
        if (!slice_eq(buf_slice(&first), buf_slice(&second)))
            __builtin_trap();
        buf_fini(&second);
    }
    buf_fini(&first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    void *message;
    arena_init(&a, ARENA_MAX);
    struct slice input = slice_of(data, size);
    if (pb_decode(&test_everything_pb, input, &a, NULL, &message) == OK) {
        check(&a, message);
        if (pb_decode_into(&test_everything_pb, input, &a, NULL, message) == OK)
            check(&a, message);
        (void)pb_validate(&test_everything_pb, message, NULL);
    }
    arena_fini(&a);
    return 0;
}
