/* A peer that speaks frames of HTTP/2, right or wrong, to a server with the test service in the deterministic twin. */
#ifndef PRISM_TESTS_RPC_RAW_H
#define PRISM_TESTS_RPC_RAW_H

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "base/limits.h"
#include "rpc/grpc_frame.h"
#include "world.h"

enum { RAW_STREAMS = 4096 };

struct raw_answer {
    unsigned http_status;
    int grpc_status; /* -1: none */
    uint32_t data_bytes;
    uint32_t reset_code;
    bool reset, ended, accepts; /* accepts: grpc-accept-encoding has come */
};

struct raw {
    struct world world;
    struct conn *conn;
    nghttp2_hd_inflater *inflater;
    struct buf in, out;
    bool open, closed, goaway;
    bool deaf; /* answers no PING */
    char goaway_text[128];
    uint32_t goaway_code, goaway_count, last_stream, pings, resets;
    struct raw_answer answers[RAW_STREAMS];
};

/* ---- frames out ------------------------------------------------------------------------------------------------------- */

static inline void raw_frame(struct raw *r, uint8_t type, uint8_t flags, uint32_t stream, struct slice payload)
{
    uint8_t head[] = {
        (uint8_t)(payload.size >> 16), (uint8_t)(payload.size >> 8), (uint8_t)payload.size,  type,           flags,
        (uint8_t)(stream >> 24),       (uint8_t)(stream >> 16),      (uint8_t)(stream >> 8), (uint8_t)stream};
    buf_put(&r->out, head, sizeof head);
    buf_put_slice(&r->out, payload);
}

static inline void raw_u32(struct raw *r, uint8_t type, uint8_t flags, uint32_t stream, uint32_t value)
{
    uint8_t bytes[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    raw_frame(r, type, flags, stream, slice_of(bytes, 4));
}

/* HPACK: a literal that is not indexed, without Huffman coding; sizes below 127. */
static inline void raw_field(struct buf *block, struct slice name, struct slice value)
{
    buf_putc(block, 0);
    buf_putc(block, (char)name.size);
    buf_put_slice(block, name);
    buf_putc(block, (char)value.size);
    buf_put_slice(block, value);
}

struct raw_request {
    const char *path;         /* NULL: EmptyCall */
    const char *method;       /* NULL: POST */
    const char *type;         /* NULL: application/grpc */
    const char *scheme;       /* NULL: http */
    struct slice name, value; /* one more field */
};

static inline void raw_block(struct buf *block, const struct raw_request *q)
{
    raw_field(block, SLICE(":method"), slice_str(q && q->method ? q->method : "POST"));
    raw_field(block, SLICE(":scheme"), slice_str(q && q->scheme ? q->scheme : "http"));
    raw_field(block, SLICE(":path"), slice_str(q && q->path ? q->path : "/grpc.testing.TestService/EmptyCall"));
    raw_field(block, SLICE(":authority"), SLICE("server"));
    raw_field(block, SLICE("content-type"), slice_str(q && q->type ? q->type : "application/grpc"));
    if (q && q->name.size)
        raw_field(block, q->name, q->value);
}

static inline void raw_headers(struct raw *r, uint32_t stream, const struct raw_request *q, bool end)
{
    struct buf block;
    buf_init(&block, 1 << 16);
    raw_block(&block, q);
    raw_frame(r, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | (end ? NGHTTP2_FLAG_END_STREAM : 0), stream,
              buf_slice(&block));
    buf_fini(&block);
}

static inline void raw_data(struct raw *r, uint32_t stream, struct slice bytes, bool end)
{
    raw_frame(r, NGHTTP2_DATA, end ? NGHTTP2_FLAG_END_STREAM : 0, stream, bytes);
}

static inline void raw_call(struct raw *r, uint32_t stream, const struct raw_request *q)
{
    raw_headers(r, stream, q, false);
    raw_data(r, stream, SLICE("\0\0\0\0\0"), true);
}

/* One message of so many bytes is asked for, to come after so many microseconds. */
static inline void raw_ask(struct raw *r, uint32_t stream, int32_t size, int32_t interval_us)
{
    struct grpc_testing_response_parameters parameters = {.size = size, .interval_us = interval_us};
    struct grpc_testing_response_parameters *items[] = {&parameters};
    struct grpc_testing_streaming_output_call_request request = {.response_parameters = {items, 1, 1}};
    struct buf body;
    buf_init(&body, 1 << 16);
    uint8_t prefix[GRPC_PREFIX_BYTES];
    grpc_prefix(prefix, false, (uint32_t)pb_encoded_size(&grpc_testing_streaming_output_call_request_pb, &request));
    buf_put(&body, prefix, sizeof prefix);
    CHECK_ERR(pb_encode_buf(&grpc_testing_streaming_output_call_request_pb, &request, &body), OK);
    raw_headers(r, stream, &(struct raw_request){.path = "/grpc.testing.TestService/StreamingOutputCall"}, false);
    raw_data(r, stream, buf_slice(&body), true);
    buf_fini(&body);
}

/* ---- frames in -------------------------------------------------------------------------------------------------------- */

static inline void raw_note_field(struct raw_answer *a, const nghttp2_nv *nv)
{
    struct slice name = slice_of(nv->name, nv->namelen);
    if (slice_eq(name, SLICE(":status")))
        a->http_status = (unsigned)atoi((const char *)nv->value);
    if (slice_eq(name, SLICE("grpc-status")))
        a->grpc_status = atoi((const char *)nv->value);
    a->accepts |= slice_eq(name, SLICE("grpc-accept-encoding"));
}

static inline void raw_inflate(struct raw *r, struct raw_answer *a, struct slice block)
{
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(r->inflater, &nv, &flags, block.data, block.size, 1);
        CHECK(used >= 0);
        block = slice_skip(block, (size_t)used);
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            raw_note_field(a, &nv);
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    nghttp2_hd_inflate_end_headers(r->inflater);
}

static inline uint32_t raw_get(struct slice s, size_t at)
{
    return s.size < at + 4 ? 0
                           : (uint32_t)s.data[at] << 24 | (uint32_t)s.data[at + 1] << 16 |
                                 (uint32_t)s.data[at + 2] << 8 | s.data[at + 3];
}

static inline void raw_note_frame(struct raw *r, uint8_t type, uint8_t flags, uint32_t stream, struct slice payload)
{
    struct raw_answer *a = &r->answers[stream % RAW_STREAMS];
    if (type == NGHTTP2_HEADERS)
        raw_inflate(r, a, payload);
    if (type == NGHTTP2_DATA)
        a->data_bytes += (uint32_t)payload.size;
    if ((type == NGHTTP2_HEADERS || type == NGHTTP2_DATA) && (flags & NGHTTP2_FLAG_END_STREAM))
        a->ended = true;
    if (type == NGHTTP2_RST_STREAM) {
        a->reset = true;
        a->reset_code = raw_get(payload, 0);
        r->resets++;
    }
    if (type == NGHTTP2_PING && !(flags & NGHTTP2_FLAG_ACK) && !r->deaf)
        raw_frame(r, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, payload);
    r->pings += type == NGHTTP2_PING;
    if (type == NGHTTP2_GOAWAY) {
        r->goaway = true;
        r->goaway_count++;
        r->last_stream = raw_get(payload, 0);
        r->goaway_code = raw_get(payload, 4);
        if (payload.size > 8)
            snprintf(r->goaway_text, sizeof r->goaway_text, "%.*s", (int)payload.size - 8,
                     (const char *)payload.data + 8);
    }
}

static inline void raw_on_data(void *context, struct conn *conn, struct block *block, struct slice data)
{
    (void)conn, (void)block;
    struct raw *r = context;
    buf_put_slice(&r->in, data);
    for (;;) {
        struct slice in = buf_slice(&r->in);
        size_t size = in.size < 9 ? 0 : (size_t)in.data[0] << 16 | (size_t)in.data[1] << 8 | in.data[2];
        if (in.size < 9 || in.size < 9 + size)
            return;
        raw_note_frame(r, in.data[3], in.data[4], raw_get(in, 5) & 0x7fffffff, slice_of(in.data + 9, size));
        buf_consume(&r->in, 9 + size);
    }
}

static inline void raw_on_open(void *context, struct conn *conn)
{
    (void)conn;
    ((struct raw *)context)->open = true;
}

static inline void raw_on_drained(void *context, struct conn *conn)
{
    (void)context, (void)conn;
}

static inline void raw_on_closed(void *context, struct conn *conn, enum err e, const struct diag *diag)
{
    (void)conn, (void)e, (void)diag;
    struct raw *r = context;
    r->closed = true;
    r->conn = NULL;
}

/* ---- running ---------------------------------------------------------------------------------------------------------- */

static inline void raw_connect(struct raw *r)
{
    static const struct conn_events events = {
        .on_open = raw_on_open, .on_data = raw_on_data, .on_drained = raw_on_drained, .on_closed = raw_on_closed};
    r->open = r->closed = false;
    CHECK_ERR(conn_open(r->world.loop, "server:80", NULL, NULL, 1000, &events, r, NULL, &r->conn), OK);
    while (!r->open)
        loop_turn(r->world.loop, true);
}

static inline void raw_open_with(struct raw *r, struct rpc_shares *shares)
{
    memset(r, 0, sizeof *r);
    for (int i = 0; i < RAW_STREAMS; i++)
        r->answers[i].grpc_status = -1;
    buf_init(&r->in, 64 << 20);
    buf_init(&r->out, 64 << 20);
    CHECK_ERR(world_open_with(&r->world, 3, shares), OK);
    CHECK_EQ(nghttp2_hd_inflate_new(&r->inflater), 0);
    raw_connect(r);
}

static inline void raw_open(struct raw *r)
{
    raw_open_with(r, NULL);
}

static inline void raw_greet(struct raw *r)
{
    buf_puts(&r->out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    raw_frame(r, NGHTTP2_SETTINGS, 0, 0, SLICE_EMPTY);
}

static inline void raw_flush(struct raw *r)
{
    struct slice out = buf_slice(&r->out);
    if (r->conn && out.size)
        conn_write(r->conn, &out, 1);
    buf_reset(&r->out);
}

static inline void raw_wake(struct timer *timer)
{
    (void)timer;
}

/* Turns the loop for so long, or until the connection is closed. */
static inline void raw_run(struct raw *r, uint64_t ms)
{
    uint64_t end = sim_now_ns(r->world.sim) + ms * 1000000;
    struct timer stop = {.fire = raw_wake};
    raw_flush(r);
    while (!r->closed && sim_now_ns(r->world.sim) < end) {
        timer_start(r->world.loop, &stop, end);
        loop_turn(r->world.loop, true);
        raw_flush(r);
    }
    timer_stop(r->world.loop, &stop);
}

static inline void raw_close(struct raw *r)
{
    if (r->conn)
        conn_abort(r->conn);
    while (!r->closed)
        loop_turn(r->world.loop, true);
    nghttp2_hd_inflate_del(r->inflater);
    buf_fini(&r->in);
    buf_fini(&r->out);
    world_close(&r->world);
}

static inline const struct rpc_server_stats *raw_stats(const struct raw *r)
{
    return rpc_server_stats(r->world.server);
}

#endif
