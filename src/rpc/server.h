/* The server: connections in, calls out. gRPC over HTTP/2, and the same methods as HTTP/JSON over HTTP/1.1 and HTTP/2, on one
 * port. One server a loop; services, routes and limits are given at the start.
 *
 *   call:  started ──on_message*──▶ half-closed (on_end) ──▶ rpc_finish ──▶ gone
 *            └─────────── on_cancel (reset, lost, deadline, drain time over) ──▶ rpc_finish still due ──▶ gone
 *
 * rpc_finish completes a call exactly once, from any state; after it the call is gone for its user. A unary method gets
 * exactly one on_message and then on_end, or the call fails before its handler sees it. Belongs to the loop's thread.
 * Source: gRPC over HTTP2 (grpc/doc/PROTOCOL-HTTP2.md). */
#ifndef PRISM_RPC_SERVER_H
#define PRISM_RPC_SERVER_H

#include "base/diag.h"
#include "pb/pb.h"
#include "rpc/http.h"
#include "rpc/share.h"

struct rpc_server;
struct rpc_call;

enum rpc_wire { RPC_GRPC, RPC_JSON };

/* A message as it came. gRPC: raw is set, decoded NULL. JSON: decoded is set, raw empty. Lives as long as the call; where the
 * client streams: until rpc_receive asks for the next one. What rpc_decode makes of it lives as long as it. */
struct rpc_message {
    struct slice raw;
    void *decoded;
    bool compressed; /* it was, on the wire */
};

struct rpc_handlers {
    void (*on_start)(struct rpc_call *); /* headers are there; may be NULL */
    void (*on_message)(struct rpc_call *,
                       const struct rpc_message *); /* streams: rpc_receive(call) asks for the next one */
    void (*on_end)(struct rpc_call *);              /* the peer sends no more */
    void (*on_ready)(struct rpc_call *);            /* after rpc_send said FLOW_HOLD; may be NULL */
    void (*on_cancel)(struct rpc_call *, enum err); /* the answer interests nobody any more; finish soon */
};

struct rpc_call {
    const struct pb_method *method;
    void *context; /* of the service, from rpc_server_add */
    void *user;    /* the handler's */
    struct rpc_server *server;
    struct loop *loop;
    struct arena *arena; /* of the call; the handler makes everything here */
    struct diag diag;    /* error context for rpc_finish; in arena */
    enum rpc_wire wire;
    bool cancelled;
    uint64_t start_ns;           /* loop time at the headers */
    uint64_t deadline_ns;        /* monotonic; UINT64_MAX: none */
    struct slice namespace_name; /* metadata prism-namespace, or from the path; empty: none */
    struct slice request_id;     /* given or made; echoed */
    struct slice traceparent;    /* given or made */
    const char *peer_identity;   /* of the client certificate; NULL: none */
    const char *peer_address;
};

/* Request metadata by lower-case name; -bin values decoded. Empty: none. */
struct slice rpc_metadata(const struct rpc_call *, const char *name);
/* All of one name or all: iterate from 0 until false. */
bool rpc_metadata_at(const struct rpc_call *, uint32_t index, struct http_header *ret_header);
/* Response metadata before the first message, trailers before rpc_finish. Copied; -bin values given raw. A trailer
 * grpc-status-details-bin takes the place of the details that rpc_finish would make of the diag. */
void rpc_header_add(struct rpc_call *, const char *name, struct slice value);
void rpc_trailer_add(struct rpc_call *, const char *name, struct slice value);
/* Sends the response headers now instead of with the first message. */
void rpc_send_headers(struct rpc_call *);
/* Compresses the messages sent from here on, where the client accepts that. At the start: on if the request was compressed. */
void rpc_compress(struct rpc_call *, bool on);
/* Decodes a message of the method's input type (already done for JSON). Fills diag. */
enum err rpc_decode(struct rpc_call *, const struct rpc_message *, void **ret_message);
/* Sends a message of the method's output type. FLOW_HOLD: wait for on_ready. */
enum flow rpc_send(struct rpc_call *, const void *message);
/* The same from encoded bytes. */
enum flow rpc_send_raw(struct rpc_call *, struct slice encoded);
/* Streams with client messages: the next on_message may come. (The first is asked for implicitly.) */
void rpc_receive(struct rpc_call *);
/* Ends the call: OK after the messages, else the error with call->diag as details. */
void rpc_finish(struct rpc_call *, enum err);

/* A connection that the server ends, or refuses, for what its peer does. Lent for the call. */
struct rpc_offence {
    const char *peer_address;
    const char *peer_identity; /* of the client certificate; NULL: none */
    const char *reason;        /* what there was too much of: "resets"; static */
    uint64_t frames;           /* of HTTP/2 that had come when it was noticed */
    bool refused;              /* before it has done anything */
};

/* Milliseconds; 0: not. Looked at once a second. */
struct rpc_keepalive {
    uint64_t interval_ms; /* HTTP/2: a peer that has sent nothing for so long is asked by a PING… */
    uint64_t timeout_ms;  /* …and is gone where nothing comes for so long after it */
    uint64_t age_ms;      /* a connection that is older, give or take a tenth, is asked to leave; its calls end first */
};

struct rpc_server_options {
    struct loop *loop;
    uint32_t message_bytes_max; /* of a request message; rpc_call_limit changes it for one call */
    /* The message limit of one call, asked when its headers are there; NULL: message_bytes_max for all. */
    uint32_t (*message_limit)(void *context, struct rpc_call *);
    void (*on_finished)(void *context, struct rpc_call *, enum err, uint64_t bytes_in,
                        uint64_t bytes_out);                       /* log, metrics; may be NULL */
    void (*on_offence)(void *context, const struct rpc_offence *); /* log; may be NULL */
    void *context;
    uint32_t connections_max; /* of this server */
    bool plain_status;      /* errors travel without details of ours; a handler may still add grpc-status-details-bin */
    const char *congestion; /* of its connections (rt/congestion.h); NULL: the system's. Outlives the server */
    struct rpc_shares *shares; /* what one client may take; must outlive the server. NULL: no limits by client */
    struct rpc_keepalive keepalive;
};
enum err rpc_server_new(const struct rpc_server_options *, struct rpc_server **ret_server)
    __attribute__((warn_unused_result));
/* Another one, from now on; the age of connections that come from now on. */
void rpc_server_keepalive(struct rpc_server *, const struct rpc_keepalive *);
/* Before serving. The tables must outlive the server. */
enum err rpc_server_add(struct rpc_server *, const struct pb_service *, const struct rpc_handlers *, void *context);
/* A plain HTTP page: GET /health, GET /metrics. The function answers with http_respond, http_write, http_finish, http_release. */
enum err rpc_server_route(struct rpc_server *, const char *method, const char *path,
                          void (*fn)(void *context, struct http_exchange *), void *context);
enum err rpc_server_listen(struct rpc_server *, const char *address, struct tls *, bool reuse_port, struct diag *);
const char *rpc_server_address(const struct rpc_server *); /* with the real port */
/* GOAWAY on every connection, no new ones, calls in flight end; drained is called once all have, or at the deadline (what is
 * left is cancelled with ERR_DRAINING and its connection closed). Called again it only moves the deadline. */
void rpc_server_drain(struct rpc_server *, uint64_t deadline_ns, void (*drained)(void *context), void *context);
void rpc_server_free(struct rpc_server *); /* after drained */

/* What the server has seen; for metrics. Read from its own thread. */
struct rpc_server_stats {
    uint64_t connections_accepted, connections_open, connections_refused;
    uint64_t calls_started, calls_in_flight;
    uint64_t streams_reset_by_peer, goaways_sent, abuse_closed; /* connections closed for flooding */
    uint64_t connections_over_share, calls_over_share;          /* refused: the client has its share */
    uint64_t keepalive_closed;                                  /* peers that did not answer a PING */
    uint64_t bytes_in, bytes_out;
};
const struct rpc_server_stats *rpc_server_stats(const struct rpc_server *);

#endif
