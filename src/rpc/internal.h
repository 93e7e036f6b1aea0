/* What the server and its protocols know of each other. Private to src/rpc.
 *
 *   accept, admitted (admit.c) ──▶ sniffing ──▶ protocol (http2_protocol or http1_protocol) ──▶ closed
 *                 └─ time limit, garbage ──▶ closed
 *
 * The server owns the list of its connections and forwards their events to the protocol; a protocol owns its session and
 * the exchanges of it. Thread: the server's loop. */
#ifndef PRISM_RPC_INTERNAL_H
#define PRISM_RPC_INTERNAL_H

#include "base/map.h"
#include "rpc/batch.h"
#include "rpc/gzip.h"
#include "rpc/h2mem.h"
#include "rpc/random.h"
#include "rpc/server.h"

struct wire_call;
struct connection;
struct h2_stream;
struct nghttp2_session_callbacks;
struct nghttp2_option;

/* A language spoken on a connection. All are called from the loop; none calls back into the server but for the functions
 * at the end of this header. */
struct protocol {
    /* ERR_NOMEM: the server closes the connection. */
    enum err (*open)(struct connection *, void **ret_session);
    void (*data)(void *session, struct block *, struct slice);
    void (*drained)(void *session); /* the output queue has fallen to half */
    void (*eof)(void *session);     /* the peer sends no more */
    /* The connection is gone: abort what is in flight, free the session. The last event. */
    void (*closed)(void *session, enum err);
    /* Once a second: check time limits. */
    void (*sweep)(void *session, uint64_t now_ns);
    /* Take no new requests, close the connection when those in flight have ended. */
    void (*drain)(void *session);
    /* The client has its share: say so and close. Right after open. */
    void (*refuse)(void *session);
};
extern const struct protocol http1_protocol;
extern const struct protocol http2_protocol;

enum { PREFACE_BYTES = 24 }; /* "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", RFC 9113 3.4 */

struct connection {
    struct rpc_server *server;
    struct conn *conn;
    const struct protocol *protocol; /* NULL while sniffing */
    void *session;
    uint64_t opened_ns; /* accepted; then: handshake done */
    bool open;          /* on_open has been */
    bool closing;
    bool refused;            /* is only told so */
    struct rpc_share *share; /* of its client; NULL: none */
    size_t output_bytes;     /* that wait for the peer, as its share has been told */
    uint64_t leave_ns;       /* when it is asked to leave for its age; 0: never */
    uint8_t sniffed_count;
    uint8_t sniffed[PREFACE_BYTES];
    struct connection *next, *prev;
};

/* What a path leads to: a method of a service, or a page. */
struct endpoint {
    struct slice key;               /* "/package.Service/Method", "interface_id/Method", or "GET /path" */
    const struct pb_method *method; /* NULL: a page */
    const struct rpc_handlers *handlers;
    void (*page)(void *context, struct http_exchange *);
    void *context;
    char text[]; /* the key */
};

struct rpc_server {
    struct rpc_server_options options;
    struct rpc_server_stats stats;
    struct loop *loop;
    struct map endpoints; /* struct endpoint by its key */
    struct listener *listener;
    bool tls;
    struct connection *connections;
    uint32_t refusals;       /* connections that are refused and still open */
    struct wire_call *calls; /* in flight */
    struct timer sweep;      /* once a second while there are connections */
    /* Draining. */
    bool draining;
    uint64_t drain_deadline_ns;
    struct timer drain_timer;
    void (*drained)(void *context);
    void *drained_context;
    struct task drained_task;
    struct task close_task;
    bool drained_due;
    /* Shared by the calls of this loop, one user at a time. */
    struct random_ids random;
    struct gzip gzip;
    struct buf encoded; /* a message on its way out */
    struct buf scratch; /* a message on its way in */
    /* HTTP/2. */
    struct nghttp2_session_callbacks *h2_callbacks;
    struct nghttp2_option *h2_option;
    struct h2mem h2mem;
    struct h2_stream *h2_free; /* streams to use again, with their first arena chunk */
    uint32_t h2_free_count;
    struct batch output; /* empty between flushes; of the connection that is being flushed */
};

/* NULL: there is none. JSON: "interface_id/Method". */
const struct endpoint *server_find(const struct rpc_server *, struct slice key);
/* Closes the connection: after what is queued has been sent, or now. The protocol's closed follows. Twice is fine. */
void connection_close(struct connection *, bool now);
/* Call at most once for each connection that is closed for flooding. reason: what there was too much of; static. */
void server_report_abuse(struct connection *, const char *reason, uint64_t frames);
/* admit.c. On accept; false: close it at once. */
bool connection_admit(struct connection *);
/* The handshake is over: who the client is is known. */
void connection_identify(struct connection *);
/* So many bytes of answers wait for the peer. frames: for the report, where the connection is closed for it. */
void connection_output(struct connection *, size_t bytes, uint64_t frames);
/* It is gone. */
void connection_leave(struct connection *);
/* A connection's last call has ended, or a call has: draining may be over. */
void server_check_drained(struct rpc_server *);

/* What HTTP/2 keeps for all connections of a server. h2_server_fini: also after a failed init. */
enum err h2_server_init(struct rpc_server *);
void h2_server_fini(struct rpc_server *);

/* Who answers what http_dispatch has found. Each takes the exchange over. */
void grpc_start(struct http_exchange *, const struct endpoint *); /* endpoint NULL: UNIMPLEMENTED */
/* Any request that is neither gRPC nor a page: finds its method by path, or answers 404 as JSON (json_server.c). */
void json_start(struct http_exchange *);

#endif
