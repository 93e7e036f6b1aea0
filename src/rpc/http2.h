/* HTTP/2 on a server's connection, on nghttp2. Private to http2*.c:
 *   http2.c          the session: bytes in, frames, bytes out, drain, time limits
 *   http2_stream.c   the stream as an exchange: request headers, response, output buffer
 *   http2_limit.c    what a peer may ask of us: the budgets of the abuse catalogue, 2.1
 *   http2_walk.c     the heads of frames, before nghttp2 sees the bytes
 *
 * Thread: the server's loop. Source: RFC 9113. */
#ifndef PRISM_RPC_HTTP2_H
#define PRISM_RPC_HTTP2_H

#include <nghttp2/nghttp2.h>

#include "base/budget.h"
#include "rpc/internal.h"

enum h2_drain {
    H2_SERVING,
    H2_NOTICED /* GOAWAY 2^31-1 and a PING are out */,
    H2_LAST_DUE /* the PING is answered: the next flush tells the last stream */,
    H2_LAST_TOLD /* GOAWAY with the last stream */
};

enum { H2_HEAD_BYTES = 9 }; /* of a frame: length 24, type 8, flags 8, stream 32 bits */

/* What has come of DATA frames. The numbers wrap; only differences are looked at. */
struct h2_data_count {
    uint32_t frames;
    uint32_t empty; /* of them: no payload, and not the last */
    uint64_t bytes;
};

/* Where in a frame the input is; a session begins with the preface. */
struct h2_walk {
    uint8_t head[H2_HEAD_BYTES];
    uint8_t head_bytes;
    uint32_t payload_left;
    uint64_t frames; /* all that have come */
    struct h2_data_count data;
};

struct h2_accounts {
    const char *reason;         /* why a budget was exceeded; NULL: none was */
    struct h2_data_count heard; /* DATA that nghttp2 has told of */
    uint64_t late_bytes;        /* DATA that may still be on its way to streams that we have reset */
    struct budget resets;       /* streams that the peer reset, or made us reset */
    struct budget glitches;     /* frames that carry nothing */
    uint32_t earned;            /* glitches that our own DATA and HEADERS made legitimate: window updates, BDP pings */
    uint32_t block_bytes;       /* of the header block being read, as encoded */
    uint32_t continuations;
    uint64_t block_began_ns; /* 0: no header block is being read */
    uint64_t last_ping_ns;
    uint32_t ping_strikes;
    bool sent_since_ping;      /* HEADERS or DATA: a PING after them is no strike */
    uint64_t stalled_since_ns; /* output waits and hardly moves since then */
    uint32_t moved_bytes;      /* since stalled_since_ns */
};

struct h2 {
    struct connection *connection;
    struct rpc_server *server;
    nghttp2_session *session;
    struct task flush;
    bool flush_due;
    bool gone;      /* the connection is; freed by the flush that is still due */
    bool condemned; /* GOAWAY with an error is on its way: input is dropped */
    bool reading;
    bool seen_request;
    enum h2_drain drain;
    uint64_t drain_since_ns;
    uint64_t idle_since_ns;    /* no stream since then */
    uint64_t received_ns;      /* the peer's last bytes */
    uint64_t asked_ns;         /* our keepalive PING went out and nothing has come since; 0: none did */
    struct h2_stream *streams; /* nghttp2's and those whose handler still works */
    uint32_t stream_count;
    int32_t last_id;          /* the newest stream of the peer */
    int32_t last_reset_id;    /* the newest that we have reset: what was on its way to it may still come */
    struct h2_stream *recent; /* the one that frames were last about; NULL: none, or it is closed */
    bool id_is_named;         /* the name of our unique field is in the peer's table */
    struct h2_stream *dirty;  /* something to submit */
    size_t buffered_bytes;    /* output of all streams */
    bool any_held;            /* a stream's user waits for on_writable */
    struct block *input;      /* what nghttp2 reads at the moment */
    struct h2_walk walk;
    struct h2_accounts accounts;
};

/*   reading headers ──▶ dispatched ──▶ responded ──▶ submitted ──▶ response_sent
 *   carrier's part is over: closed (nghttp2 has let go of the id); user's part: released. Both, and not dirty: recycled. */
struct h2_stream {
    struct http_exchange exchange; /* first */
    struct h2 *h2;                 /* NULL: the connection is gone */
    int32_t id;
    bool dispatched, request_ended, responded, submitted, finished, response_sent;
    bool closed, released, held, is_dirty, own_reset;
    bool malformed; /* a pseudo field is wrong: the stream is reset */
    bool too_large; /* more header fields or bytes than the limits: not stored */
    uint32_t header_capacity;
    uint32_t header_bytes;      /* decoded, 32 a field included */
    uint32_t unconsumed_bytes;  /* of the request body */
    struct http_header *fields; /* exchange.headers, writable */
    nghttp2_nv *response;
    size_t response_count;
    nghttp2_nv *trailers;
    size_t trailer_count;
    struct buf out;                /* response body that nghttp2 has not taken */
    size_t out_sent;               /* bytes of out that are gone */
    struct h2_stream *next, *prev; /* of h2->streams; next: also of the server's free list */
    struct h2_stream *next_dirty;
};

/* http2.c */
void h2_schedule_flush(struct h2 *);
/* Tells the client's share how much waits. */
void h2_note_output(struct h2 *);
/* GOAWAY ENHANCE_YOUR_CALM, then closed; accounts.reason says why. */
void h2_condemn(struct h2 *);

/* http2_stream.c */
/* NULL: out of memory. */
struct h2_stream *h2_stream_open(struct h2 *, int32_t id);
/* nghttp2 has closed it. */
void h2_stream_closed(struct h2_stream *, uint32_t error_code);
/* The connection is gone. */
void h2_stream_orphan(struct h2_stream *, enum err);
/* OK, or ERR_NOMEM. */
enum err h2_stream_field(struct h2_stream *, struct slice name, struct slice value);
void h2_stream_dispatch(struct h2_stream *);
void h2_stream_body(struct h2_stream *, struct block *, struct slice data);
void h2_stream_request_end(struct h2_stream *);
/* Hands to nghttp2 what the users of the dirty streams have written since the last time. */
void h2_submit_dirty(struct h2 *);
/* Tells users that were held that there is room again. */
void h2_wake_held(struct h2 *);
/* Frames of DATA: bytes of out, then forget them. */
struct slice h2_stream_take(struct h2_stream *, size_t size);
void h2_streams_free(struct rpc_server *);
extern const nghttp2_data_source_read_callback h2_read_body;

/* http2_walk.c */
void h2_walk_init(struct h2_walk *);
/* How many of these bytes nghttp2 may see before the accounts are looked at: all, or LIMIT_HTTP2_FRAMES_AT_ONCE frames. */
size_t h2_walk(struct h2_walk *, struct slice data);
void h2_count_data(struct h2_data_count *, uint32_t length, uint8_t flags);

/* http2_limit.c: false where the peer has gone too far; the caller condemns the connection. */
bool h2_account_frame(struct h2 *, const nghttp2_frame_hd *);
/* Whether the walk has seen DATA that nghttp2 has not told of: of streams that are over. After each part of the input. */
bool h2_has_skipped(const struct h2 *);
bool h2_account_skipped(struct h2 *);
bool h2_account_received(struct h2 *, const nghttp2_frame *);
bool h2_account_sent(struct h2 *, const nghttp2_frame *);
void h2_account_data(struct h2 *, size_t size);
bool h2_account_time(struct h2 *, uint64_t now_ns);

#endif
