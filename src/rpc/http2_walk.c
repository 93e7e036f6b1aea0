/* The heads of frames, read before nghttp2 sees the bytes: how many there are, and how much DATA. nghttp2 passes over DATA of
 * streams that are over without telling; the difference between what was seen here and what it told of is charged by
 * http2_limit.c. And a read is handed on in parts, so that a flood ends where its budget does, not where the read does.
 *
 *   preface ──▶ head (9 bytes, perhaps in pieces) ──▶ payload ──▶ head …
 *
 * Invariant: after h2_walk has returned n, the walk stands n bytes further, as nghttp2 will once it has been given them.
 * Nothing is judged here: a length that is too large nghttp2 finds itself. Source: RFC 9113, 4.1. */
#include "base/limits.h"
#include "rpc/http2.h"

void h2_walk_init(struct h2_walk *w)
{
    *w = (struct h2_walk){.payload_left = PREFACE_BYTES};
}

void h2_count_data(struct h2_data_count *c, uint32_t length, uint8_t flags)
{
    c->frames++;
    c->bytes += length;
    c->empty += length == 0 && !(flags & NGHTTP2_FLAG_END_STREAM);
}

static void note_head(struct h2_walk *w, const uint8_t *head)
{
    w->payload_left = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
    w->frames++;
    if (head[3] == NGHTTP2_DATA)
        h2_count_data(&w->data, w->payload_left, head[4]);
}

static size_t skip_payload(struct h2_walk *w, size_t available)
{
    size_t n = available < w->payload_left ? available : w->payload_left;
    w->payload_left -= (uint32_t)n;
    return n;
}

/* A head that comes in pieces. */
static size_t gather_head(struct h2_walk *w, struct slice data)
{
    size_t missing = H2_HEAD_BYTES - (size_t)w->head_bytes, n = missing < data.size ? missing : data.size;
    memcpy(w->head + w->head_bytes, data.data, n);
    w->head_bytes += (uint8_t)n;
    if (w->head_bytes == H2_HEAD_BYTES) {
        w->head_bytes = 0;
        note_head(w, w->head);
    }
    return n;
}

size_t h2_walk(struct h2_walk *w, struct slice data)
{
    uint64_t enough = w->frames + LIMIT_HTTP2_FRAMES_AT_ONCE;
    size_t at = skip_payload(w, data.size);
    while (at < data.size && w->frames < enough) {
        if (w->head_bytes == 0 && data.size - at >= H2_HEAD_BYTES) {
            note_head(w, data.data + at);
            at += H2_HEAD_BYTES;
        } else {
            at += gather_head(w, slice_skip(data, at));
        }
        at += skip_payload(w, data.size - at);
    }
    return at;
}
