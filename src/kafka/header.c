#include "kafka/header.h"

#include <assert.h>

#include "base/limits.h"
#include "kafka/wire.h"

/* Bytes of the header that are always there. */
enum { REQUEST_FIXED_BYTES = 8, RESPONSE_FIXED_BYTES = 4 };

struct cursor {
    struct slice rest;
    const uint8_t *start;
    struct kafka_fault *fault;
};

static enum err fault(const struct cursor *c, const char *field, const char *reason)
{
    if (c->fault)
        *c->fault = (struct kafka_fault){field, reason, (size_t)(c->rest.data - c->start)};
    return ERR_KAFKA_MALFORMED;
}

static enum err cut(const struct cursor *c, const char *field)
{
    return fault(c, field, "the header ends inside it");
}

int32_t kafka_frame_size(const uint8_t size[KAFKA_FRAME_SIZE_BYTES])
{
    return (int32_t)wire_get32(size);
}

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

static enum err read_client_id(struct cursor *c, struct slice *ret_client_id)
{
    if (c->rest.size < 2)
        return cut(c, "client_id");
    int16_t size = (int16_t)wire_get16(c->rest.data);
    if (size < -1)
        return fault(c, "client_id", "the size is negative");
    c->rest = slice_skip(c->rest, 2);
    if (size > (int64_t)c->rest.size)
        return cut(c, "client_id");
    *ret_client_id = size < 0 ? SLICE_EMPTY : slice_take(c->rest, (size_t)size);
    c->rest = slice_skip(c->rest, ret_client_id->size);
    return OK;
}

static enum err read_uvarint(struct cursor *c, uint32_t *ret_value)
{
    size_t used = wire_uvarint(c->rest.data, c->rest.size, ret_value);
    if (used == 0)
        return cut(c, "tagged fields");
    c->rest = slice_skip(c->rest, used);
    return OK;
}

/* No header has a tagged field that we know. */
static enum err skip_tags(struct cursor *c)
{
    uint32_t count, tag, size;
    enum err err = read_uvarint(c, &count);
    if (!err && count > LIMIT_KAFKA_TAGS)
        return fault(c, "tagged fields", "more tagged fields than are taken");
    for (; !err && count > 0; count--) {
        err = read_uvarint(c, &tag);
        if (!err)
            err = read_uvarint(c, &size);
        if (!err && size > c->rest.size)
            return cut(c, "tagged fields");
        if (!err)
            c->rest = slice_skip(c->rest, size);
    }
    return err;
}

enum err kafka_request_header_read(struct slice frame, struct kafka_request_header *ret_header, struct slice *ret_body,
                                   struct kafka_fault *ret_fault)
{
    struct cursor c = {frame, frame.data, ret_fault};
    if (frame.size < REQUEST_FIXED_BYTES)
        return cut(&c, "request header");
    struct kafka_request_header h = {.key = (int16_t)wire_get16(frame.data),
                                     .version = (int16_t)wire_get16(frame.data + 2),
                                     .correlation_id = (int32_t)wire_get32(frame.data + 4)};
    c.rest = slice_skip(frame, REQUEST_FIXED_BYTES);
    h.api = kafka_api_find(h.key);
    bool known = h.api && kafka_api_takes(h.api, h.version);
    enum err err = read_client_id(&c, &h.client_id);
    if (!err && known && h.version >= h.api->flexible)
        err = skip_tags(&c);
    if (err && known)
        return err;
    *ret_header = h;
    *ret_body = known ? c.rest : SLICE_EMPTY;
    return OK;
}

static bool response_is_flexible(const struct kafka_api *api, int16_t version)
{
    return version >= api->flexible && api->key != KAFKA_API_API_VERSIONS;
}

enum err kafka_response_header_read(struct slice frame, const struct kafka_api *api, int16_t version,
                                    int32_t *ret_correlation_id, struct slice *ret_body, struct kafka_fault *ret_fault)
{
    struct cursor c = {frame, frame.data, ret_fault};
    if (frame.size < RESPONSE_FIXED_BYTES)
        return cut(&c, "response header");
    c.rest = slice_skip(frame, RESPONSE_FIXED_BYTES);
    enum err err = response_is_flexible(api, version) ? skip_tags(&c) : OK;
    if (err)
        return err;
    *ret_correlation_id = (int32_t)wire_get32(frame.data);
    *ret_body = c.rest;
    return OK;
}

/* --- writing ---------------------------------------------------------------------------------------------------------------- */

static uint8_t *begin(struct kafka_out *out, size_t header_bytes, struct kafka_frame *ret_frame)
{
    size_t at = out->buf.size;
    uint8_t *to = buf_reserve(&out->buf, KAFKA_FRAME_SIZE_BYTES + header_bytes);
    if (!to)
        return NULL;
    *ret_frame = (struct kafka_frame){at, out->hole_bytes};
    memset(to, 0, KAFKA_FRAME_SIZE_BYTES);
    return to + KAFKA_FRAME_SIZE_BYTES;
}

/* The buffer's error does not stick: a frame that does not fit leaves room for a smaller one. */
static enum err refused(struct kafka_out *out)
{
    enum err err = buf_err(&out->buf);
    out->buf.err = OK;
    return err;
}

static enum err commit(struct kafka_out *out, const uint8_t *end)
{
    buf_advance(&out->buf, (size_t)(end - out->buf.data) - out->buf.size);
    return OK;
}

enum err kafka_request_begin(struct kafka_out *out, const struct kafka_api *api, int16_t version,
                             int32_t correlation_id, struct slice client_id, struct kafka_frame *ret_frame)
{
    if (client_id.size > INT16_MAX)
        return ERR_MESSAGE_TOO_LARGE;
    uint8_t *to = begin(out, REQUEST_FIXED_BYTES + 2 + client_id.size + 1, ret_frame);
    if (!to)
        return refused(out);
    to = wire_put16(to, (uint16_t)api->key);
    to = wire_put16(to, (uint16_t)version);
    to = wire_put32(to, (uint32_t)correlation_id);
    to = wire_put16(to, client_id.data ? (uint16_t)client_id.size : UINT16_MAX);
    if (client_id.size)
        memcpy(to, client_id.data, client_id.size);
    to += client_id.size;
    if (version >= api->flexible)
        *to++ = 0;
    return commit(out, to);
}

enum err kafka_response_begin(struct kafka_out *out, const struct kafka_api *api, int16_t version,
                              int32_t correlation_id, struct kafka_frame *ret_frame)
{
    uint8_t *to = begin(out, RESPONSE_FIXED_BYTES + 1, ret_frame);
    if (!to)
        return refused(out);
    to = wire_put32(to, (uint32_t)correlation_id);
    if (response_is_flexible(api, version))
        *to++ = 0;
    return commit(out, to);
}

enum err kafka_frame_end(struct kafka_out *out, const struct kafka_frame *frame)
{
    assert(out->buf.size >= frame->at + KAFKA_FRAME_SIZE_BYTES);
    uint64_t size = out->buf.size - frame->at - KAFKA_FRAME_SIZE_BYTES + (out->hole_bytes - frame->hole_bytes);
    if (size > INT32_MAX)
        return ERR_MESSAGE_TOO_LARGE;
    wire_put32(out->buf.data + frame->at, (uint32_t)size);
    return OK;
}
