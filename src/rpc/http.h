/* One HTTP exchange, whatever carries it: an HTTP/2 stream (rpc/http2.c) or an HTTP/1.1 request (rpc/http1.c). gRPC
 * (rpc/grpc_server.c) and HTTP/JSON (rpc/json_server.c) are written against this alone.
 *
 *   headers ──▶ http_dispatch chooses who answers and sets events ──▶ on_body* (last with end) ──▶ respond, write*, finish
 *                                                  any time: on_abort (reset, lost, deadline): then only http_release
 *
 * An exchange lives until the carrier and its user have both let go: the carrier after the last byte or an abort, the user by
 * http_release. Belongs to its loop's thread. Never calls back from inside a call. */
#ifndef PRISM_RPC_HTTP_H
#define PRISM_RPC_HTTP_H

#include "base/arena.h"
#include "base/block.h"
#include "rt/conn.h"

struct http_header {
    struct slice name; /* lower case */
    struct slice value;
};

struct http_exchange;

struct http_events {
    /* Bytes of the body; they lie in the block. Give the window back by http_consumed when they have been dealt with. */
    void (*on_body)(struct http_exchange *, struct block *, struct slice data, bool end);
    /* What was buffered for the peer has fallen under half of the stream's buffer after http_write said hold. */
    void (*on_writable)(struct http_exchange *);
    /* The peer reset the stream, or the connection is gone. No more events; writing is ignored from here. */
    void (*on_abort)(struct http_exchange *, enum err);
};

struct http_exchange {
    /* Request; borrowed from the arena. */
    struct slice method;
    struct slice path; /* without query */
    struct slice query;
    struct slice authority;
    const struct http_header *headers;
    uint32_t header_count;
    bool http1;
    bool aborted; /* on_abort has been, or is due */
    struct conn *conn;
    struct rpc_share *share; /* the client's; NULL: none */
    struct loop *loop;
    struct arena arena; /* of this exchange; everything about it */
    struct rpc_server *server;
    /* User. */
    const struct http_events *events;
    void *user;
    /* Carrier. */
    const struct http_carrier *carrier;
};

enum flow { FLOW_GO, FLOW_HOLD };

/* How a carrier does it. */
struct http_carrier {
    void (*respond)(struct http_exchange *, unsigned status, const struct http_header *, size_t count);
    enum flow (*write)(struct http_exchange *, const struct slice *parts, size_t count);
    void (*finish)(struct http_exchange *, const struct http_header *trailers, size_t count);
    void (*reset)(struct http_exchange *, enum err);
    void (*consumed)(struct http_exchange *, size_t size);
    void (*release)(struct http_exchange *);
};

struct slice http_header_get(const struct http_exchange *, const char *name); /* empty: none */
/* Status and headers, once. Copied. */
static inline void http_respond(struct http_exchange *x, unsigned status, const struct http_header *h, size_t n)
{
    x->carrier->respond(x, status, h, n);
}
/* Body bytes, copied or sent before it returns. FLOW_HOLD: wait for on_writable (the bytes were taken nevertheless). */
static inline enum flow http_write(struct http_exchange *x, const struct slice *parts, size_t n)
{
    return x->carrier->write(x, parts, n);
}
/* End of the response; trailers on HTTP/2, ignored on HTTP/1.1. */
static inline void http_finish(struct http_exchange *x, const struct http_header *trailers, size_t n)
{
    x->carrier->finish(x, trailers, n);
}
/* RST_STREAM with the code that fits the error; on HTTP/1.1 the connection closes. */
static inline void http_reset(struct http_exchange *x, enum err e)
{
    x->carrier->reset(x, e);
}
static inline void http_consumed(struct http_exchange *x, size_t size)
{
    x->carrier->consumed(x, size);
}
static inline void http_release(struct http_exchange *x)
{
    x->carrier->release(x);
}

/* Headers are complete: look at path and content type, set x->events and x->user. Called by carriers; implemented by the
 * server (rpc/server.c), which knows gRPC, HTTP/JSON and plain routes. */
void http_dispatch(struct http_exchange *);
/* A carrier's own answer to a request that it cannot pass on: a gRPC status where gRPC asked, else a page with the HTTP
 * status of the error. Takes the exchange over. */
void http_refuse(struct http_exchange *, enum err);

#endif
