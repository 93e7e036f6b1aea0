/* The life of a connection, whatever carries it: states in conn_state.h. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "rt/conn_state.h"

enum {
    DIAG_BYTES = 4096,
    WASTE_BYTES = 4096, /* read at once from who lingers */
};
static const uint64_t MS_NS = 1000000;

static void schedule(struct conn *c)
{
    if (c->task_queued)
        return;
    c->task_queued = true;
    loop_defer(c->loop, &c->task);
}

void conn_update_watch(struct conn *c)
{
    bool read = !c->eof && (c->state == HANDSHAKING || c->state == LINGERING || (c->state == OPEN && c->reading));
    bool write = c->state < ENDING && conn_queued_bytes(c);
    bool lost = c->state == OPEN && !read; /* a reader finds out by itself */
    c->loop->backend->watch(c->socket,
                            (read ? SOCKET_READABLE : 0) | (write ? SOCKET_WRITABLE : 0) | (lost ? SOCKET_LOST : 0));
}

/* ---- the end ---------------------------------------------------------------------------------------------------------- */

void conn_begin_end(struct conn *c, enum err e, bool reset)
{
    if (c->state >= ENDING)
        return;
    c->state = ENDING;
    c->err = e;
    c->reset = reset;
    timer_stop(c->loop, &c->timer);
    conn_drop_output(c);
    conn_update_watch(c);
    schedule(c);
}

void conn_fail_errno(struct conn *c, int error)
{
    enum err e = error == ENOMEM ? ERR_NOMEM : ERR_CONNECTION_LOST;
    diag_set(&c->diag, e, "the connection to %s is lost: %s", c->peer, strerror(error));
    conn_begin_end(c, e, true);
}

void conn_fail_memory(struct conn *c)
{
    conn_begin_end(c, ERR_NOMEM, true);
}

static void destroy(struct conn *c)
{
    assert(!c->task_queued);
    timer_stop(c->loop, &c->timer);
    if (c->socket)
        c->loop->backend->close(c->socket, c->reset);
    if (c->next)
        c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        c->loop->conns = c->next;
    tls_session_free(c->tls);
    conn_drop_output(c);
    arena_fini(&c->arena);
    mem_free(c);
}

static void linger(struct conn *c)
{
    c->loop->backend->shutdown(c->socket);
    c->state = LINGERING;
    timer_start(c->loop, &c->timer, c->loop->now_ns + LIMIT_LINGER_MS * MS_NS);
    conn_update_watch(c);
}

static void end(struct conn *c)
{
    const struct conn_events *events = c->events;
    c->events = NULL;
    if (events)
        events->on_closed(c->context, c, c->err, c->diag.err ? &c->diag : NULL);
    if (c->accepted && !c->reset && !c->eof)
        linger(c);
    else
        destroy(c);
}

void conn_end_lingering(struct loop *l)
{
    for (struct conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        if (c->state == LINGERING)
            destroy(c);
    }
}

static void discard_input(struct conn *c)
{
    uint8_t waste[WASTE_BYTES];
    int64_t n = c->loop->backend->read(c->socket, waste, sizeof waste);
    if (n == -EAGAIN)
        return;
    c->linger_bytes += n > 0 ? (uint32_t)n : 0;
    if (n <= 0 || c->linger_bytes > LIMIT_LINGER_BYTES)
        destroy(c);
}

/* ---- events of the socket ---------------------------------------------------------------------------------------------- */

void conn_open_now(struct conn *c)
{
    timer_stop(c->loop, &c->timer);
    c->state = OPEN;
    c->last_write_ns = c->loop->now_ns;
    c->events->on_open(c->context, c);
}

static void start(struct conn *c)
{
    struct slice nothing = SLICE_EMPTY;
    if (!c->tls) {
        conn_open_now(c);
        return;
    }
    c->state = HANDSHAKING;
    conn_shake_hands(c, &nothing);
}

static void on_connected(struct conn *c)
{
    enum err e = c->loop->backend->connected(c->socket, &c->diag);
    if (e) {
        diag_wrap(&c->diag, "cannot connect to %s", c->peer);
        conn_begin_end(c, e, false);
        return;
    }
    start(c);
}

static void on_ready(struct socket *socket, unsigned events)
{
    struct conn *c = socket->user;
    if (c->state == LINGERING) {
        discard_input(c);
        return;
    }
    if (c->state == CONNECTING) {
        on_connected(c);
        events = 0;
    }
    if ((events & SOCKET_LOST) && c->state == OPEN && !c->reading)
        conn_fail_errno(c, ECONNRESET);
    if (events & SOCKET_WRITABLE)
        conn_on_writable(c);
    if ((events & SOCKET_READABLE) && (c->state == HANDSHAKING || (c->state == OPEN && c->reading)))
        conn_on_readable(c);
    conn_update_watch(c);
}

static void on_task(struct task *t)
{
    struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, task));
    c->task_queued = false;
    if (c->open_due) {
        c->open_due = false;
        if (c->state == CONNECTING)
            start(c);
        conn_update_watch(c);
    }
    if (c->state == ENDING && !c->task_queued)
        end(c);
}

static void on_flush_time(struct conn *c)
{
    uint64_t stalled_ns = c->loop->now_ns - c->last_write_ns;
    if (stalled_ns >= LIMIT_WRITE_STALL_MS * MS_NS)
        conn_begin_end(c, ERR_CONNECTION_LOST, true);
    else
        timer_start(c->loop, &c->timer, c->last_write_ns + LIMIT_WRITE_STALL_MS * MS_NS);
}

static void on_timer(struct timer *t)
{
    struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, timer));
    if (c->state == LINGERING) {
        destroy(c);
    } else if (c->state == FLUSHING) {
        on_flush_time(c);
    } else {
        enum err e = c->state == HANDSHAKING ? ERR_TLS : ERR_CONNECT_FAILED;
        diag_set(&c->diag, e, "%s %s: no answer in time",
                 c->state == HANDSHAKING ? "TLS handshake with" : "cannot connect to", c->peer);
        conn_begin_end(c, e, true);
    }
}

/* ---- making ----------------------------------------------------------------------------------------------------------- */

static struct conn *new_conn(struct loop *l, const char *peer)
{
    struct conn *c = mem_zalloc(sizeof *c);
    if (!c)
        return NULL;
    c->loop = l;
    c->state = CONNECTING;
    c->reading = true;
    c->task.run = on_task;
    c->timer.fire = on_timer;
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    conn_init_output(c);
    arena_init(&c->arena, DIAG_BYTES);
    diag_init(&c->diag, &c->arena);
    c->next = l->conns;
    if (l->conns)
        l->conns->prev = c;
    l->conns = c;
    return c;
}

static void attach(struct conn *c, struct socket *s)
{
    c->socket = s;
    s->user = c;
    s->ready = on_ready;
}

enum err conn_accept(struct loop *l, struct socket *socket, const char *peer, struct tls *tls,
                     bool (*on_accept)(void *, struct conn *, const struct conn_events **, void **), void *context)
{
    struct conn *c = new_conn(l, peer);
    if (!c) {
        l->backend->close(socket, true);
        return ERR_NOMEM;
    }
    attach(c, socket);
    c->accepted = true;
    c->reset = true;
    if (tls && tls_session_new(tls, NULL, &c->tls) != OK) {
        destroy(c);
        return ERR_NOMEM;
    }
    if (!on_accept(context, c, &c->events, &c->context)) {
        destroy(c);
        return OK;
    }
    c->reset = false;
    c->open_due = true;
    if (tls)
        timer_start(l, &c->timer, l->now_ns + LIMIT_HANDSHAKE_MS * MS_NS);
    schedule(c);
    return OK;
}

/* The name to verify: what the caller says, else the host of the address. */
static enum err dial(struct conn *c, const struct address *a, struct tls *tls, const char *server_name, struct diag *d)
{
    struct socket *s;
    enum err e = tls ? tls_session_new(tls, server_name ? server_name : a->host, &c->tls) : OK;
    if (!e)
        e = c->loop->backend->connect(c->loop, a, d, &s);
    if (e) {
        diag_wrap(d, "cannot connect to %s", c->peer);
        return e;
    }
    attach(c, s);
    return OK;
}

enum err conn_open(struct loop *l, const char *address, struct tls *tls, const char *server_name, uint32_t timeout_ms,
                   const struct conn_events *events, void *context, struct diag *d, struct conn **ret_conn)
{
    struct address a;
    enum err e = address_parse(address, d, &a);
    if (e)
        return e;
    struct conn *c = new_conn(l, address);
    if (!c)
        return ERR_NOMEM;
    e = dial(c, &a, tls, server_name, d);
    if (e) {
        destroy(c);
        return e;
    }
    c->events = events;
    c->context = context;
    timer_start(l, &c->timer, l->now_ns + timeout_ms * MS_NS);
    *ret_conn = c;
    return OK;
}

/* ---- for the user ------------------------------------------------------------------------------------------------------ */

void conn_close(struct conn *c)
{
    if (c->state < OPEN)
        conn_begin_end(c, OK, false);
    if (c->state != OPEN)
        return;
    c->state = FLUSHING;
    conn_flush(c);
    if (c->state != FLUSHING)
        return;
    if (conn_queued_bytes(c))
        timer_start(c->loop, &c->timer, c->loop->now_ns + LIMIT_WRITE_STALL_MS * MS_NS);
    else
        conn_begin_end(c, OK, false);
    conn_update_watch(c);
}

void conn_abort(struct conn *c)
{
    conn_begin_end(c, OK, true);
}

void conn_read(struct conn *c, bool on)
{
    c->reading = on;
    if (c->state == OPEN)
        conn_update_watch(c);
}

uint64_t conn_last_write_ns(const struct conn *c)
{
    return c->last_write_ns;
}

struct loop *conn_loop(const struct conn *c)
{
    return c->loop;
}

const char *conn_peer_address(const struct conn *c)
{
    return c->peer;
}

const char *conn_alpn(const struct conn *c)
{
    return c->tls ? tls_session_alpn(c->tls) : "";
}

const char *conn_peer_identity(const struct conn *c)
{
    return c->tls ? tls_session_identity(c->tls) : NULL;
}
