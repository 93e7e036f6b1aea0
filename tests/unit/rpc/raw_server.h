/* A server that speaks frames of HTTP/2 as a test wants them, for our client, in the deterministic twin. What it does with a
 * request is said by the number of the connection that it comes on. */
#ifndef PRISM_TESTS_RPC_RAW_SERVER_H
#define PRISM_TESTS_RPC_RAW_SERVER_H

#include <nghttp2/nghttp2.h>

#include "../harness.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rpc/client.h"
#include "rt/sim/sim.h"

enum reaction {
    ANSWER,       /* status 0 and an empty message, when the request has ended */
    HOLD,         /* nothing */
    REFUSE,       /* RST_STREAM REFUSED_STREAM */
    RESET,        /* RST_STREAM INTERNAL_ERROR */
    SAY_GOODBYE,  /* GOAWAY: none of the streams has been seen */
    BEGIN_REFUSE, /* response headers, then REFUSE */
    HANG_UP,      /* closes the connection */
    TURN_AWAY,    /* closes it without a word, when it should greet */
    SAY_NOTHING,  /* never greets */
};

enum { PEERS = 16 };

struct raw_server;
struct peer {
    struct raw_server *server;
    struct conn *conn;
    struct buf in;
    size_t skipped; /* of the preface */
    enum reaction reaction;
    uint32_t request_count, data_bytes, last_stream, pongs;
    bool ended; /* the last stream's request */
    bool closed;
};

struct raw_server {
    struct sim *sim;
    struct loop *loop;
    struct listener *listener;
    struct peer peers[PEERS];
    enum reaction reactions[PEERS];
    uint32_t peer_count;
    uint32_t streams_max; /* 0: not said */
};

/* ---- frames out ------------------------------------------------------------------------------------------------------- */

static inline void peer_frame(struct peer *p, uint8_t type, uint8_t flags, uint32_t stream, struct slice payload)
{
    uint8_t head[] = {
        (uint8_t)(payload.size >> 16), (uint8_t)(payload.size >> 8), (uint8_t)payload.size,  type,           flags,
        (uint8_t)(stream >> 24),       (uint8_t)(stream >> 16),      (uint8_t)(stream >> 8), (uint8_t)stream};
    struct slice parts[] = {slice_of(head, sizeof head), payload};
    if (!p->closed)
        conn_write(p->conn, parts, 2);
}

static inline void peer_numbers(struct peer *p, uint8_t type, uint32_t stream, const uint32_t *values, size_t count)
{
    uint8_t bytes[16];
    for (size_t i = 0; i < count * 4; i++)
        bytes[i] = (uint8_t)(values[i / 4] >> (24 - i % 4 * 8));
    peer_frame(p, type, 0, stream, slice_of(bytes, count * 4));
}

static inline void peer_reset(struct peer *p, uint32_t stream, uint32_t code)
{
    peer_numbers(p, NGHTTP2_RST_STREAM, stream, &code, 1);
}

static inline void peer_goaway(struct peer *p, uint32_t last_stream)
{
    peer_numbers(p, NGHTTP2_GOAWAY, 0, (uint32_t[]){last_stream, NGHTTP2_NO_ERROR}, 2);
}

/* HPACK: literals that are not indexed; 8 is the static table's ":status 200". */
static inline void peer_begin(struct peer *p, uint32_t stream)
{
    peer_frame(p, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, stream,
               SLICE("\x88\x00\x0c"
                     "content-type\x10"
                     "application/grpc"));
}

static inline void peer_answer(struct peer *p, uint32_t stream)
{
    peer_begin(p, stream);
    peer_frame(p, NGHTTP2_DATA, 0, stream, SLICE("\0\0\0\0\0"));
    peer_frame(p, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, stream,
               SLICE("\x00\x0b"
                     "grpc-status\x01"
                     "0"));
}

/* Windows of 2^20 bytes more, and the limit of streams that the test wants. */
static inline void peer_greet(struct peer *p)
{
    static const uint8_t wide[] = {0, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0, 0x10, 0, 0};
    uint32_t max = p->server->streams_max;
    if (p->reaction == TURN_AWAY)
        conn_close(p->conn);
    if (p->reaction == TURN_AWAY || p->reaction == SAY_NOTHING)
        return;
    uint8_t limit[] = {0, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0, 0, 0, (uint8_t)max};
    peer_frame(p, NGHTTP2_SETTINGS, 0, 0, slice_of(wide, sizeof wide));
    if (max)
        peer_frame(p, NGHTTP2_SETTINGS, 0, 0, slice_of(limit, sizeof limit));
    peer_numbers(p, NGHTTP2_WINDOW_UPDATE, 0, (uint32_t[]){1 << 20}, 1);
}

/* ---- frames in -------------------------------------------------------------------------------------------------------- */

static inline void peer_react(struct peer *p, uint32_t stream, bool end)
{
    switch (p->reaction) {
    case ANSWER:
        if (end)
            peer_answer(p, stream);
        break;
    case HOLD:
    case TURN_AWAY:
    case SAY_NOTHING:
        break;
    case BEGIN_REFUSE:
        peer_begin(p, stream);
        peer_reset(p, stream, NGHTTP2_REFUSED_STREAM);
        break;
    case REFUSE:
        if (end)
            peer_reset(p, stream, NGHTTP2_REFUSED_STREAM);
        break;
    case RESET:
        peer_reset(p, stream, NGHTTP2_INTERNAL_ERROR);
        break;
    case SAY_GOODBYE:
        peer_goaway(p, 0);
        break;
    case HANG_UP:
        conn_close(p->conn);
        break;
    }
}

static inline void peer_take(struct peer *p, uint8_t type, uint8_t flags, uint32_t stream, size_t size)
{
    bool end = flags & NGHTTP2_FLAG_END_STREAM; /* of a PING: that it is the answer */
    p->pongs += type == NGHTTP2_PING && end;
    if (type == NGHTTP2_DATA)
        p->data_bytes += (uint32_t)size;
    if (type == NGHTTP2_HEADERS) {
        p->request_count++;
        p->last_stream = stream;
    }
    if ((type == NGHTTP2_DATA && end) || type == NGHTTP2_HEADERS) {
        p->ended = end;
        peer_react(p, stream, end);
    }
}

static inline void peer_on_data(void *context, struct conn *conn, struct block *block, struct slice data)
{
    enum { PREFACE = 24, HEAD = 9 };
    (void)conn, (void)block;
    struct peer *p = context;
    buf_put_slice(&p->in, data);
    if (!p->skipped && p->in.size >= PREFACE) {
        buf_consume(&p->in, p->skipped = PREFACE);
        peer_greet(p);
    }
    while (p->skipped && p->in.size >= HEAD && !p->closed) {
        const uint8_t *h = p->in.data;
        size_t size = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
        if (p->in.size < HEAD + size)
            return;
        peer_take(p, h[3], h[4], (uint32_t)h[5] << 24 | (uint32_t)h[6] << 16 | (uint32_t)h[7] << 8 | h[8], size);
        buf_consume(&p->in, HEAD + size);
    }
}

static inline void peer_on_open(void *context, struct conn *conn)
{
    (void)context, (void)conn;
}

static inline void peer_on_closed(void *context, struct conn *conn, enum err e, const struct diag *diag)
{
    (void)conn, (void)e, (void)diag;
    ((struct peer *)context)->closed = true;
}

/* ---- the server ------------------------------------------------------------------------------------------------------- */

static inline bool raw_server_accept(void *context, struct conn *conn, const struct conn_events **ret_events,
                                     void **ret_context)
{
    static const struct conn_events events = {
        .on_open = peer_on_open, .on_data = peer_on_data, .on_closed = peer_on_closed};
    struct raw_server *s = context;
    if (s->peer_count == PEERS)
        return false;
    struct peer *p = &s->peers[s->peer_count];
    *p = (struct peer){.server = s, .conn = conn, .reaction = s->reactions[s->peer_count++]};
    buf_init(&p->in, 4 << 20);
    *ret_events = &events;
    *ret_context = p;
    return true;
}

static inline enum err raw_server_listen(struct raw_server *s)
{
    struct listen_options o = {.address = "server:80", .backlog = PEERS, .on_accept = raw_server_accept, .context = s};
    return listener_open(s->loop, &o, NULL, &s->listener);
}

static inline enum err raw_server_open(struct raw_server *s)
{
    enum err e = sim_new(1, &s->sim);
    if (!e)
        e = loop_new(sim_env(s->sim), 0, &s->loop);
    return e ? e : raw_server_listen(s);
}

/* After the client is freed. */
static inline void raw_server_close(struct raw_server *s)
{
    for (uint32_t i = 0; i < s->peer_count; i++)
        if (!s->peers[i].closed)
            conn_abort(s->peers[i].conn);
    if (s->listener)
        listener_close(s->listener);
    while (s->loop && loop_turn(s->loop, true)) {
    }
    for (uint32_t i = 0; i < s->peer_count; i++)
        buf_fini(&s->peers[i].in);
    if (s->loop)
        loop_free(s->loop);
    if (s->sim)
        sim_free(s->sim);
}

#endif
