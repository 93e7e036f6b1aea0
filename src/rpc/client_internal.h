/* The gRPC client inside: client.c is the client, client_connection.c a connection of it, client_call.c a call, client_retry.c
 * what may be made again, client_unary.c the blocking call of programs. Thread: the client's loop. */
#ifndef PRISM_RPC_CLIENT_INTERNAL_H
#define PRISM_RPC_CLIENT_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "rpc/batch.h"
#include "rpc/client.h"
#include "rpc/grpc_frame.h"
#include "rpc/gzip.h"
#include "rpc/h2mem.h"

/*   connecting ──▶ open ──GOAWAY, or a stream refused──▶ leaving ──its last call ends──▶ closing ──▶ gone
 *        └───────────┴──────────────────── loss, rpc_client_free ───────────────────────────▲
 * It is open when the server's SETTINGS have come: what a listener has taken and its server never saw is not taken for a
 * connection, and no call is sent that might be lost with it.
 * Invariant: at most one connection is connecting or open, client->current; new calls go over it alone. */
enum connection_state { CONNECTION_CONNECTING, CONNECTION_OPEN, CONNECTION_LEAVING, CONNECTION_CLOSING };

struct client_connection {
    struct rpc_client *client;
    enum connection_state state;
    struct conn *conn;
    nghttp2_session *session; /* from on_open on */
    struct timer greeting;    /* the server's SETTINGS are due */
    bool greeted;
    uint32_t call_count; /* submitted, and not closed by nghttp2 */
    struct client_connection *next;
};

struct rpc_client {
    struct rpc_client_options options;
    struct loop *loop;
    const char *authority; /* host:port, or what TLS verifies */
    bool freed;            /* by its user; memory goes with the connections and the flush */
    bool flush_due;
    struct client_connection *current; /* NULL: the next call connects */
    struct client_connection *connections;
    struct timer backoff; /* active: the next attempt to connect waits */
    uint32_t backoff_ms;  /* of the last one; 0: there was a connection since */
    struct diag failure;  /* of the last one, where calls wait; OK: there was a connection since */
    struct arena failure_arena;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    struct h2mem h2mem;
    struct task flush;
    struct rpc_client_call *calls;
    struct rpc_client_call *dirty, **dirty_end; /* something to submit, in order */
    struct batch output;
    struct gzip gzip;
    struct buf scratch; /* what was inflated or deflated */
    struct arena arena; /* address, authority */
};

struct client_field {
    struct http_header header;
    struct client_field *next;
};

/*   made ──▶ submitted ──▶ ended (on_end has been) and closed (nghttp2 has let go): freed
 *     ▲          │
 *     └──────────┘ the server has not seen it, or says that it has not processed it (client_retry.c)
 * Invariant: on_end is called once, from the loop, never inside a call of the user. */
struct rpc_client_call {
    struct rpc_client *client;
    struct rpc_client_events events;
    void *user;
    struct arena arena;
    struct client_connection *connection; /* NULL: not submitted */
    int32_t id;
    bool is_dirty, request_sent, closed, ended, cancelled, send_ended, held, gzip;
    bool got_headers, inflates, trailers_only;
    bool keeps;     /* what is sent stays in out, so that it can be sent again */
    bool retried;   /* after it had reached a server */
    uint16_t depth; /* events of the user that have not returned */
    nghttp2_nv *request;
    size_t request_count;
    nghttp2_nv *timeout; /* of request; NULL: none */
    struct buf out;      /* framed messages: from out_sent on those that nghttp2 has not taken */
    size_t out_sent;
    struct grpc_reader reader;
    struct client_field *headers, *trailers;
    uint32_t field_count, field_bytes;
    unsigned http_status;
    struct timer deadline;
    struct diag diag;
    struct rpc_client_call *next, *prev, *next_dirty;
};

/* client.c */
void client_schedule_flush(struct rpc_client *);
void client_mark_dirty(struct rpc_client_call *);
/* All that wait for a connection, the oldest first. */
void client_mark_waiting_dirty(struct rpc_client *);
/* Connects where that is not done or under way. */
enum err client_connect(struct rpc_client *, struct diag *) __attribute__((warn_unused_result));
void client_connection_gone(struct client_connection *, enum err, const struct diag *);

/* client_connection.c */
enum err client_make_callbacks(struct rpc_client *) __attribute__((warn_unused_result));
enum err client_connection_open(struct rpc_client *, struct diag *) __attribute__((warn_unused_result));
/* Writes what there is to write. */
void client_connection_flush(struct client_connection *);
/* No new calls; closes when those that it has have ended. */
void client_connection_leave(struct client_connection *);
void client_connection_close(struct client_connection *);

/* client_call.c */
void client_call_delist(struct rpc_client_call *); /* twice is fine */
void client_call_submit(struct rpc_client_call *);
bool client_call_field(struct rpc_client_call *, struct slice name, struct slice value,
                       bool trailers); /* false: no memory */
void client_call_headers(struct rpc_client_call *, bool end);
void client_call_data(struct rpc_client_call *, struct slice);
void client_call_end(struct rpc_client_call *, unsigned status);
/* nghttp2 has let go of the stream. */
void client_call_closed(struct rpc_client_call *, uint32_t error_code);
/* The connection is gone or was never made. */
void client_call_lost(struct rpc_client_call *, enum err, const struct diag *);
struct slice client_call_take(struct rpc_client_call *, size_t size);
void client_call_wake(struct rpc_client_call *);
void client_call_leave(struct rpc_client_call *);

/* client_retry.c */
/* After bytes of out have been sent, or headers have come: forgets what will not be sent again. */
void client_call_forget(struct rpc_client_call *);
/* Of a call whose stream has closed with this code. */
bool client_call_may_repeat(const struct rpc_client_call *, uint32_t error_code);
/* Over the next connection, as if it had not been submitted. */
void client_call_repeat(struct rpc_client_call *);
/* The calls that wait for their turn on this connection go over the next one. */
void client_calls_pass_over(struct client_connection *);

/* client_unary.c: words and details into another diag, whose arena keeps them. */
void client_copy_diag(struct diag *to, const struct diag *from);

#endif
