#include "rpc/grpc_frame.h"

void grpc_reader_init(struct grpc_reader *r, size_t bytes_max)
{
    *r = (struct grpc_reader){0};
    buf_init(&r->gathered, bytes_max);
}

void grpc_reader_fini(struct grpc_reader *r)
{
    buf_fini(&r->gathered);
}

bool grpc_reader_at_boundary(const struct grpc_reader *r)
{
    return r->prefix_size == 0;
}

static struct slice take(struct slice *input, size_t size)
{
    struct slice head = slice_take(*input, size);
    *input = slice_skip(*input, head.size);
    return head;
}

static enum err read_prefix(struct grpc_reader *r, struct slice *input)
{
    struct slice part = take(input, GRPC_PREFIX_BYTES - (size_t)r->prefix_size);
    if (part.size)
        memcpy(r->prefix + r->prefix_size, part.data, part.size);
    r->prefix_size += (uint8_t)part.size;
    if (r->prefix_size < GRPC_PREFIX_BYTES)
        return OK;
    if (r->prefix[0] > 1)
        return ERR_GRPC_MALFORMED;
    r->compressed = r->prefix[0];
    r->length =
        (uint32_t)r->prefix[1] << 24 | (uint32_t)r->prefix[2] << 16 | (uint32_t)r->prefix[3] << 8 | r->prefix[4];
    buf_reset(&r->gathered);
    return r->length > r->gathered.bytes_max ? ERR_MESSAGE_TOO_LARGE : OK;
}

static void complete(struct grpc_reader *r, struct slice bytes, bool in_input, struct grpc_message *ret_message)
{
    *ret_message = (struct grpc_message){bytes, r->compressed, in_input};
    r->prefix_size = 0;
}

enum err grpc_read(struct grpc_reader *r, struct slice *input, struct grpc_message *ret_message, bool *ret_complete)
{
    *ret_complete = false;
    if (r->prefix_size < GRPC_PREFIX_BYTES) {
        enum err e = read_prefix(r, input);
        if (e || r->prefix_size < GRPC_PREFIX_BYTES)
            return e;
    }
    if (r->gathered.size == 0 && input->size >= r->length) {
        complete(r, take(input, r->length), true, ret_message);
        *ret_complete = true;
        return OK;
    }
    buf_put_slice(&r->gathered, take(input, r->length - r->gathered.size));
    if (!buf_err(&r->gathered) && r->gathered.size == r->length) {
        complete(r, buf_slice(&r->gathered), false, ret_message);
        *ret_complete = true;
    }
    return buf_err(&r->gathered);
}

void grpc_prefix(uint8_t out[GRPC_PREFIX_BYTES], bool compressed, uint32_t length)
{
    out[0] = compressed;
    out[1] = (uint8_t)(length >> 24);
    out[2] = (uint8_t)(length >> 16);
    out[3] = (uint8_t)(length >> 8);
    out[4] = (uint8_t)length;
}
