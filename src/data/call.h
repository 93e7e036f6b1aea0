/* A call: one operation on its way through stages to a driver and back. Network calls, calls that a pattern makes to its slots
 * and shadow traffic have this one type.
 *
 *   running ──▶ replied* ──▶ ended           completes exactly once: call_reply (unary) or call_end, also when cancelled
 *
 * A driver may complete a call before its operation returns; nothing recurses. Between the start of an operation and its
 * completion call->arena and call->diag belong to the driver, also on another thread; completion itself happens on the
 * thread of call->loop (call_hop brings one back there). After completion the call is gone.
 *
 * Cancelling (caller gone, deadline passed) sets cancelled, cancels the children and calls on_cancel once, if the driver has set
 * it; the driver still completes the call. */
#ifndef PRISM_DATA_CALL_H
#define PRISM_DATA_CALL_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/diag.h"
#include "pb/pb.h"
#include "rt/loop.h"

struct backend;
struct call;
struct child;
struct guarded;
struct method;
struct namespace;

enum call_flow { CALL_GO, CALL_HOLD };

/* Who calls, as the identify stage found it. Two calls come from the same caller if name is equal. */
struct identity {
    const char *name; /* of the client certificate…; "" : anonymous */
};

/* Where answers go. */
struct call_sink {
    enum call_flow (*send)(struct call *, const void *message);
    void (*end)(struct call *, enum err);
};

struct call {
    const struct method *method;
    struct namespace *ns; /* reference held while the call lives */
    struct identity who;
    struct loop *loop;
    struct arena *arena;          /* freed at once when the call ends */
    uint64_t deadline_ns;         /* monotonic; UINT64_MAX: none */
    const void *request;          /* decoded, in the arena, borrowing from request_raw */
    struct slice request_raw;     /* encoded bytes as they came; empty where the call came as JSON or from inside */
    struct slice idempotency_key; /* empty: none */
    struct slice request_id;
    struct slice traceparent;
    struct diag diag; /* error context */
    const struct call_sink *sink;
    void *sink_context;
    atomic_bool cancelled; /* read from any thread: long work stops early */
    bool ended;
    void (*on_cancel)(struct call *); /* the driver's; may complete the call itself */
    void (*on_resume)(struct call *); /* the driver's: after call_send said CALL_HOLD, more may be sent */
    void *driver;                     /* the driver's own */
    struct task hop_task;
    void (*hop)(struct call *);
    struct child *children;  /* calls made through slots on its behalf (slot.h); all have ended when it completes */
    struct guarded *guarded; /* guard.c: while it is on its way through a guard */
    bool *ended_while;       /* set to true when the call completes; for who must know whether it is still there */
};

/* The one answer of a unary call; completes it. */
void call_reply(struct call *, const void *response);
/* A message of a stream. CALL_HOLD: it was taken, send the next one after on_resume. */
enum call_flow call_send(struct call *, const void *message);
/* Completes: OK after call_send*, or an error with call->diag. */
void call_end(struct call *, enum err);
/* call_end with a message: return call_fail(call, ERR_X, "…") in one line. */
void call_fail(struct call *, enum err, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Runs fn on the call's loop. Thread: any; once at a time. */
void call_hop(struct call *, void (*fn)(struct call *));
/* Loop's thread: tells the driver that nobody waits any more. */
void call_cancel(struct call *);

#endif
