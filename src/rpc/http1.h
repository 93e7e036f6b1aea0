/* HTTP/1.1 on a server's connection, on http_parser. Private to http1*.c:
 *   http1.c            the session: bytes in, requests, time limits, drain
 *   http1_exchange.c   the response: head, Content-Length or chunks, the end
 *
 *   request:   head ──▶ dispatched ──body*──▶ complete
 *   response:  none ──▶ responded ──▶ (head sent, in chunks) ──▶ finished ──▶ sent
 *   Both at their end and released by the user: the next request, or the connection closes.
 *
 * One request at a time: bytes of the next ones wait in their block and nothing more is read. Thread: the server's loop.
 * Source: RFC 9110, RFC 9112. */
#ifndef PRISM_RPC_HTTP1_H
#define PRISM_RPC_HTTP1_H

#include <http_parser.h>

#include "base/limits.h"
#include "rpc/internal.h"

struct h1_exchange {
    struct http_exchange exchange; /* first */
    struct h1 *h1;                 /* NULL: the connection is gone */
    bool complete;                 /* the request is */
    bool keep_alive;               /* as far as the client is concerned */
    bool http10;                   /* knows no chunks */
    bool bodiless;                 /* the answer to HEAD has only a head */
    bool responded, head_sent, chunked, finished, sent, released, held;
    unsigned status;
    uint32_t unconsumed_bytes; /* of the request body */
    struct buf head;           /* of the response, as the user gave it */
    struct buf out;            /* body that has not been sent */
};

/* Places in h1.head. */
struct h1_field {
    uint32_t name, name_size, value, value_size;
};

struct h1 {
    struct connection *connection;
    struct rpc_server *server;
    http_parser parser;
    struct task flush;
    bool flush_due;
    bool gone; /* the connection is; freed by the flush that is still due */
    bool eof, draining, reading;
    enum err refusal;            /* why the head is not acceptable; OK: it is */
    struct h1_exchange *current; /* NULL: between requests */
    struct h1_exchange *spare;   /* to use again, with its buffers */
    struct block *input;         /* what is being parsed */
    struct block *rest_block;    /* bytes of the requests to come */
    struct slice rest;
    uint64_t head_began_ns; /* 0: no head is being read */
    uint64_t idle_since_ns; /* the last response was sent, or the connection opened */
    bool seen_request;
    bool in_value; /* the field being read has got to its value */
    struct buf head;
    uint32_t url_size; /* at the front of head */
    uint32_t field_count;
    struct h1_field fields[LIMIT_HEADER_FIELDS];
};

extern const struct http_carrier h1_carrier;

/* http1.c */
void h1_schedule_flush(struct h1 *);
/* The request is answered and let go of: on to the next. */
void h1_next(struct h1 *);
void h1_update_reading(struct h1 *);

/* http1_exchange.c */
/* NULL: out of memory. */
struct h1_exchange *h1_exchange_take(struct h1 *);
/* Hands what the user has written to the connection. */
void h1_exchange_flush(struct h1_exchange *);
bool h1_exchange_is_over(const struct h1_exchange *);
void h1_exchange_recycle(struct h1_exchange *);
void h1_exchange_free(struct h1_exchange *); /* NULL is fine */
/* An answer to what never became an exchange. */
void h1_answer(struct h1 *, unsigned status, enum err, const char *message);

#endif
