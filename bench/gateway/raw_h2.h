/* One HTTP/2 connection of the raw client: bytes in, bytes out, no sockets and no clock of its own. It sends one request again
 * and again, encoded once, and reads answers by their frame headers, so that it costs a small part of what the server does.
 *
 * What it checks of each answer, although it is quick:
 *   :status 200 and grpc-status 0     by HPACK's table (see raw_h2.c), never by trust
 *   DATA                              one whole gRPC message; as many bytes as the answer before it
 *   END_STREAM                        with the trailers, once
 * Anything else is a failed call; what breaks the protocol is an error of the connection.
 *
 *   stream:  free ──raw_send──▶ open ──HEADERS──▶ begun ──DATA…──▶ begun ──trailers──▶ answered: free
 *
 * Memory of one run, freed by raw_peer_free. Source: RFC 9113, RFC 7541. */
#ifndef PRISM_BENCH_RAW_H2_H
#define PRISM_BENCH_RAW_H2_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RAW_RING = 512, /* stream ids that may be open at a time, from the oldest to the newest */
    RAW_DIGITS = 6,
    RAW_REQUEST_MAX = 16384, /* bytes of headers and message: one frame each */
    RAW_FRAME_MAX = 16384 + 9,
    RAW_TABLE = 128, /* entries of HPACK's tables: 61 fixed ones and what 4,096 bytes hold */
};

/* A request as it goes over the wire: headers that fill the server's table, and those that refer to it. */
struct raw_request {
    uint8_t first[RAW_REQUEST_MAX], next[RAW_REQUEST_MAX];
    size_t first_size, next_size;
    size_t first_data, next_data; /* where the DATA frame begins */
    uint32_t message_size;
    uint32_t keys;   /* 0: every message is the same */
    uint32_t digits; /* else where in the message the number of a key stands */
    uint32_t sequence;
};
/* keys above 0: the first RAW_DIGITS zeros in the message become a number below it, another one with each call.
 * false: too long, or there are no such zeros. message: with gRPC's five bytes in front. */
bool raw_request_make(struct raw_request *, const char *path, const char *name_space, const void *message, size_t size,
                      uint32_t keys);

enum raw_header { RAW_OTHER, RAW_STATUS_200, RAW_STATUS_BAD, RAW_GRPC_OK, RAW_GRPC_BAD };

struct raw_stream {
    uint64_t from_ns; /* latency counts from here; 0: free */
    uint32_t data_bytes;
    bool status_ok, bad;
};

struct raw_peer {
    struct raw_request *request;
    void (*on_answer)(void *user, uint64_t from_ns, bool fine);
    void *user;
    const char *error;     /* what broke the connection; NULL: nothing */
    uint32_t answer_bytes; /* DATA of an answer; 0: the first one tells */
    uint32_t open, streams_max;
    uint32_t next_id;
    int64_t send_window; /* of the connection, what the server lets us send */
    uint32_t unacked;    /* bytes of DATA since our last WINDOW_UPDATE */
    bool greeted;
    nghttp2_hd_inflater *inflater;
    uint8_t table[RAW_TABLE]; /* enum raw_header of each index */
    unsigned table_size;
    uint8_t control[256]; /* frames that wait to go out */
    size_t control_size;
    uint8_t rest[RAW_FRAME_MAX]; /* the beginning of a frame that has not come whole */
    size_t rest_size;
    struct raw_stream ring[RAW_RING];
};

/* NULL: out of memory. on_answer: called from raw_feed, once a call. */
struct raw_peer *raw_peer_new(struct raw_request *, uint32_t streams,
                              void (*on_answer)(void *user, uint64_t from_ns, bool fine), void *user);
void raw_peer_free(struct raw_peer *); /* NULL is fine */
/* Whether another call may begin now. */
bool raw_can_send(const struct raw_peer *);
/* Begins a call: raw_can_send. Appends at most raw_bytes_max bytes, and says how many. */
size_t raw_send(struct raw_peer *, uint64_t from_ns, uint8_t *to);
size_t raw_bytes_max(const struct raw_peer *);
/* What the connection itself has to say: preface, SETTINGS, acknowledgements. At most sizeof control + 100. */
size_t raw_control(struct raw_peer *, uint8_t *to);
/* Bytes that came; false: error tells. The first room bytes before `bytes` are writable, room at least rest_size. */
bool raw_feed(struct raw_peer *, uint8_t *bytes, size_t size);

#endif
