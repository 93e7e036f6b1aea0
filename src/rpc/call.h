/* A call inside src/rpc: what gRPC (grpc_server.c) and HTTP/JSON (json_server.c) have in common. A wire embeds struct wire_call
 * as its first member, in the exchange's arena, and hands in what comes; call.c keeps the order of events, deadline,
 * cancellation, statistics and the end.
 *
 *            rpc_call_init            rpc_call_message*, rpc_call_end_of_messages
 *   (none) ───────────▶ made ──────────────────────────────────▶ started ──rpc_finish──▶ finished ──▶ exchange released
 *                         │                                          │ deadline, drain, abort: on_cancel, rpc_finish is due
 *                         └── rpc_call_fail (before a handler saw it) ───┴──▶ answered by the wire at once
 *
 * Invariants: the wire's finish is called at most once (answered); rpc_finish exactly once if started; on_finished exactly
 * once for each call made; no handler is called after rpc_finish; nothing is sent after answered. */
#ifndef PRISM_RPC_CALL_H
#define PRISM_RPC_CALL_H

#include "rpc/internal.h"

struct wire_call;

/* How a wire speaks. send and finish are not called after an abort. */
struct call_wire {
    enum rpc_wire id;
    void (*send_headers)(struct wire_call *); /* may be called twice: the second time nothing is due */
    enum flow (*send)(struct wire_call *, const void *message); /* a message of the output type */
    enum flow (*send_raw)(struct wire_call *, struct slice encoded);
    void (*receive)(struct wire_call *); /* the handler wants the next message */
    enum err (*decode)(struct wire_call *, const struct rpc_message *, void **ret_message);
    void (*finish)(struct wire_call *, enum err); /* status, diag's details, trailers: the response is complete */
    void (*discard)(struct wire_call *);          /* give back what is not in the arena; may be NULL */
};

struct call_field {
    struct http_header header;
    struct call_field *next;
};

struct wire_call {
    struct rpc_call rpc; /* what handlers see */
    const struct call_wire *wire;
    struct http_exchange *exchange;
    const struct rpc_handlers *handlers;
    struct timer deadline;
    struct wire_call *next, *prev; /* of server->calls */
    struct rpc_share *share;       /* counts this call; NULL: none does */
    struct call_field *headers;    /* response metadata, newest last; -bin values are base64 already */
    struct call_field *trailers;
    const struct http_header *metadata; /* request metadata, without the protocol's own, -bin decoded; in the arena */
    uint32_t metadata_count;
    uint64_t bytes_in, bytes_out; /* messages as on the wire */
    uint32_t message_bytes_max;   /* of a request message */
    enum err outcome;             /* what on_finished is told, once answered */
    enum err failure;             /* rpc_call_fail_soon; OK: none */
    struct task fail;
    uint16_t depth; /* calls into the handler that have not returned */
    bool started, headers_sent, answered, finished;
    bool compress; /* rpc_compress */
};

/* Fills in the call: metadata, request id, trace, namespace, limit; puts it into the server's list. ERR_NOMEM,
 * ERR_GRPC_MALFORMED (a -bin value that is not base64), ERR_TOO_MANY_CALLS: the call is made all the same, and the wire ends
 * it with rpc_call_fail. */
enum err rpc_call_init(struct wire_call *, struct http_exchange *, const struct endpoint *, const struct call_wire *);
/* Deadline from now: given by the client (nanoseconds) or, without one, the default. Cap and default of unary calls: limits.h.
 * ERR_DEADLINE_EXCEEDED: it is over already. */
enum err rpc_call_set_timeout(struct wire_call *, bool given, uint64_t timeout_ns);
/* on_start, once. For unary methods call it when the request is complete, so that a handler never sees a bad one. */
void rpc_call_start(struct wire_call *);
/* Any of these may end the call; it must not be touched after rpc_call_leave, which pairs with rpc_call_enter around them. */
void rpc_call_enter(struct wire_call *);
void rpc_call_leave(struct wire_call *);
void rpc_call_message(struct wire_call *, const struct rpc_message *);
void rpc_call_end_of_messages(struct wire_call *);
void rpc_call_ready(struct wire_call *);
/* Answers now with the error. Where the handler has been started it is cancelled and still owes rpc_finish. */
void rpc_call_fail(struct wire_call *, enum err);
/* The same from inside a call of the handler's, which must not be called back there: fails after the current callback, or
 * when the handler finishes before. */
void rpc_call_fail_soon(struct wire_call *, enum err);
/* The peer is gone (http_events.on_abort): as rpc_call_fail, but nothing is sent. */
void rpc_call_abort(struct wire_call *, enum err);

#endif
