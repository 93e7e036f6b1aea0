/* What conn.c (life), conn_output.c (sending) and conn_input.c (reading) know of a connection. Private to them.
 *
 *   connecting ──▶ handshaking ──▶ open ──conn_close──▶ flushing ──▶ ending ──on_closed──▶ lingering ──▶ freed
 *        └──────────────┴───────────┴──── error, abort ─────────────────▲        └────────────────────────▲
 *
 * Lingering: a server has sent all and shut its side; it reads on for a moment, because closing with unread bytes makes the
 * kernel send a reset that can destroy our last bytes on their way (RFC 9112, 9.6).
 *
 * Invariants: events come from the loop alone (socket readiness, a deferred task, a timer); after on_closed none comes;
 * `output` holds what the socket did not take, under TLS what has not been encrypted, and then `cipher` what the socket did not
 * take; nothing is in them from ENDING on; the task is queued at most once. */
#ifndef PRISM_RT_CONN_STATE_H
#define PRISM_RT_CONN_STATE_H

#include "rt/internal.h"
#include "rt/output.h"
#include "rt/tls_session.h"

enum conn_state { CONNECTING, HANDSHAKING, OPEN, FLUSHING, ENDING, LINGERING };

struct conn {
    struct loop *loop;
    struct socket *socket;
    const struct conn_events *events;
    void *context;
    enum conn_state state;
    enum err err; /* why it ends */
    struct output output;
    struct tls_session *tls;
    struct buf cipher;
    size_t cipher_sent; /* of cipher */
    bool accepted;
    bool reading; /* as the user wants it */
    bool eof;     /* the peer sends no more */
    bool above;   /* the queue has been above its limit: on_drained is due */
    bool goodbye; /* TLS: it has been said */
    bool reset;   /* drop what the kernel holds */
    bool open_due;
    bool task_queued;
    uint64_t last_write_ns;
    uint32_t linger_bytes;
    struct timer timer; /* connect and handshake; flush; linger */
    struct task task;
    struct arena arena; /* of diag */
    struct diag diag;
    struct conn *next, *prev; /* of loop->conns */
    char peer[ADDRESS_TEXT_BYTES];
};

/* conn.c */
void conn_open_now(struct conn *);
void conn_begin_end(struct conn *, enum err, bool reset);
void conn_fail_errno(struct conn *, int error);
void conn_fail_memory(struct conn *);
void conn_update_watch(struct conn *);

/* conn_output.c */
void conn_init_output(struct conn *);
void conn_drop_output(struct conn *);
/* What the socket takes, LIMIT_OUTPUT_TURN_BYTES at most. May end the connection. */
void conn_flush(struct conn *);
void conn_on_writable(struct conn *);

/* conn_input.c */
void conn_on_readable(struct conn *);
/* Begins or goes on with the bytes in *in, of which it takes what it needs. Whether the connection is open. */
bool conn_shake_hands(struct conn *, struct slice *in);

#endif
