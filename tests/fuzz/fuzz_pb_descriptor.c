/* Descriptors from a stranger: tables are refused, or they are good enough for every walk over them. The input is a
 * FileDescriptorProto with, behind a byte of its own, a message to decode by the file's first table. */
#include "pb/descriptor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 16 << 20 };

static void use(const struct pb_pool *pool, const struct pb_message *t, struct slice input)
{
    struct arena a;
    struct buf b;
    void *message;
    arena_init(&a, BYTES_MAX);
    buf_init(&b, BYTES_MAX);
    struct pb_json_options options = {.types = pool, .defaults = true, .pretty = true, .mask = true};
    if (pb_decode(t, input, &a, NULL, &message) == OK) {
        (void)pb_json_write(t, message, &options, &b);
        (void)pb_validate(t, message, NULL);
        buf_reset(&b);
        if (pb_encode_buf(t, message, &b))
            __builtin_trap();
    }
    (void)pb_json_read(t, input, &options, &a, NULL, &message);
    buf_fini(&b);
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pb_pool *pool;
    struct arena a;
    struct diag diag;
    size_t input_size = size ? data[0] : 0;
    if (size < 1 + input_size ||
        pb_pool_new(&(struct pb_pool_options){.comments = true, .extension_views = true}, &pool))
        return 0;
    arena_init(&a, BYTES_MAX);
    diag_init(&diag, &a);
    struct slice input = slice_of(data + 1, input_size), file = slice_of(data + 1 + input_size, size - 1 - input_size);
    if (pb_pool_add(pool, file, &diag) == OK) {
        uint32_t count;
        const struct pb_file *f = *pb_pool_files(pool, &count);
        for (uint32_t i = 0; f->messages[i]; i++)
            use(pool, f->messages[i], input);
    }
    arena_fini(&a);
    pb_pool_free(pool);
    return 0;
}
