/* The gRPC client inside: client.c is the connection, client_call.c a call, client_unary.c the blocking call of programs.
 * Thread: the client's loop. */
#ifndef PRISM_RPC_CLIENT_INTERNAL_H
#define PRISM_RPC_CLIENT_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "rpc/batch.h"
#include "rpc/client.h"
#include "rpc/grpc_frame.h"
#include "rpc/gzip.h"
#include "rpc/h2mem.h"

/*   idle ──first call──▶ connecting ──▶ open ──GOAWAY, loss──▶ idle (calls in flight end; what was
 * not yet sent goes over the next connection)  */
enum client_state { CLIENT_IDLE, CLIENT_CONNECTING, CLIENT_OPEN, CLIENT_CLOSING };

struct rpc_client {
    struct rpc_client_options options;
    struct loop *loop;
    const char *authority; /* host:port, or what TLS verifies */
    enum client_state state;
    bool freed; /* by its user; memory goes with the connection and the flush */
    bool flush_due;
    struct conn *conn;        /* not NULL between conn_open and on_closed */
    nghttp2_session *session; /* while open */
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
 * Invariant: on_end is called once, from the loop, never inside a call of the user. */
struct rpc_client_call {
    struct rpc_client *client;
    struct rpc_client_events events;
    void *user;
    struct arena arena;
    int32_t id; /* 0: not submitted */
    bool is_dirty, submitted, closed, ended, cancelled, send_ended, held, gzip;
    bool got_headers, inflates, trailers_only;
    uint16_t depth; /* events of the user that have not returned */
    nghttp2_nv *request;
    size_t request_count;
    struct buf out; /* framed messages that nghttp2 has not taken */
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
/* Connects where that is not done or under way. */
enum err client_connect(struct rpc_client *, struct diag *) __attribute__((warn_unused_result));

/* client_call.c */
void client_call_delist(struct rpc_client_call *); /* twice is fine */
void client_call_submit(struct rpc_client_call *);
bool client_call_field(struct rpc_client_call *, struct slice name, struct slice value,
                       bool trailers); /* false: no memory */
void client_call_headers(struct rpc_client_call *, bool end);
void client_call_data(struct rpc_client_call *, struct slice);
/* nghttp2 has closed the stream, or it will never have one. */
void client_call_closed(struct rpc_client_call *, uint32_t error_code);
/* Ends the call for its user, where that has not been. */
void client_call_end(struct rpc_client_call *, unsigned status);
/* The connection is gone or was never made. */
void client_call_lost(struct rpc_client_call *, enum err, const struct diag *);
struct slice client_call_take(struct rpc_client_call *, size_t size);
void client_call_wake(struct rpc_client_call *);
void client_call_leave(struct rpc_client_call *);

/* client_unary.c: words and details into another diag, whose arena keeps them. */
void client_copy_diag(struct diag *to, const struct diag *from);

#endif
