/* Connections, whatever carries them.
 *
 *   connecting ──▶ handshaking ──▶ open ──conn_close──▶ flushing ──▶ ending ──on_closed──▶ lingering ──▶ freed
 *        └──────────────┴───────────┴──── error, abort ─────────────────▲        └────────────────────────▲
 *
 * Lingering: a server has sent all and shut its side; it reads on for a moment, because closing with unread bytes makes the
 * kernel send a reset that can destroy our last bytes on their way (RFC 9112, 9.6).
 *
 * Invariants: events come from the loop alone (socket readiness, a deferred task, a timer); after on_closed none comes;
 * `output` holds what the socket did not take, from output_sent on; the task is queued at most once. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rt/internal.h"
#include "rt/tls_session.h"

enum state { CONNECTING, HANDSHAKING, OPEN, FLUSHING, ENDING, LINGERING };
enum {
    DIAG_BYTES = 4096,
    CIPHER_BYTES = 32 << 10, /* read at once under TLS */
    READ_MIN_BYTES = 4096,
    KEEP_OUTPUT_BYTES = 64 << 10, /* of an empty queue */
};
static const uint64_t MS_NS = 1000000;

struct conn {
    struct loop *loop;
    struct socket *socket;
    const struct conn_events *events;
    void *context;
    enum state state;
    enum err err; /* why it ends */
    struct tls_session *tls;
    struct buf output;
    size_t output_sent;
    bool accepted;
    bool reading; /* as the user wants it */
    bool eof;     /* the peer sends no more */
    bool above;   /* the queue has been above its limit: on_drained is due */
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

static size_t queued(const struct conn *c)
{
    return c->output.size - c->output_sent;
}

static struct slice rest_of_output(const struct conn *c)
{
    return slice_skip(buf_slice(&c->output), c->output_sent);
}

static void schedule(struct conn *c)
{
    if (c->task_queued)
        return;
    c->task_queued = true;
    loop_defer(c->loop, &c->task);
}

static void update_watch(struct conn *c)
{
    bool read = !c->eof && (c->state == HANDSHAKING || c->state == LINGERING || (c->state == OPEN && c->reading));
    bool write = c->state < ENDING && queued(c);
    bool lost = c->state == OPEN && !read; /* a reader finds out by itself */
    c->loop->backend->watch(c->socket,
                            (read ? SOCKET_READABLE : 0) | (write ? SOCKET_WRITABLE : 0) | (lost ? SOCKET_LOST : 0));
}

/* ---- the end ---------------------------------------------------------------------------------------------------------- */

static void drop_output(struct conn *c)
{
    buf_fini(&c->output);
    buf_init(&c->output, LIMIT_OUTPUT_QUEUE_BYTES_MAX);
    c->output_sent = 0;
}

static void begin_end(struct conn *c, enum err e, bool reset)
{
    if (c->state >= ENDING)
        return;
    c->state = ENDING;
    c->err = e;
    c->reset = reset;
    timer_stop(c->loop, &c->timer);
    drop_output(c);
    update_watch(c);
    schedule(c);
}

static void fail_errno(struct conn *c, int error)
{
    enum err e = error == ENOMEM ? ERR_NOMEM : ERR_CONNECTION_LOST;
    diag_set(&c->diag, e, "the connection to %s is lost: %s", c->peer, strerror(error));
    begin_end(c, e, true);
}

static void fail_memory(struct conn *c)
{
    begin_end(c, ERR_NOMEM, true);
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
    buf_fini(&c->output);
    arena_fini(&c->arena);
    mem_free(c);
}

static void linger(struct conn *c)
{
    c->loop->backend->shutdown(c->socket);
    c->state = LINGERING;
    timer_start(c->loop, &c->timer, c->loop->now_ns + LIMIT_LINGER_MS * MS_NS);
    update_watch(c);
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
    uint8_t waste[READ_MIN_BYTES];
    int64_t n = c->loop->backend->read(c->socket, waste, sizeof waste);
    if (n == -EAGAIN)
        return;
    c->linger_bytes += n > 0 ? (uint32_t)n : 0;
    if (n <= 0 || c->linger_bytes > LIMIT_LINGER_BYTES)
        destroy(c);
}

/* ---- output ----------------------------------------------------------------------------------------------------------- */

/* Bytes that the socket takes now. */
static size_t write_some(struct conn *c, const struct slice *parts, size_t count)
{
    int64_t n = c->loop->backend->write(c->socket, parts, count);
    if (n < 0 && n != -EAGAIN)
        fail_errno(c, (int)-n);
    if (n <= 0)
        return 0;
    c->last_write_ns = c->loop->now_ns;
    return (size_t)n;
}

/* Room at the front is used again once it is the larger part. */
static void compact(struct conn *c)
{
    if (queued(c) == 0) {
        c->output_sent = 0;
        if (c->output.capacity > KEEP_OUTPUT_BYTES)
            drop_output(c);
        else
            buf_reset(&c->output);
    } else if (c->output_sent > c->output.size / 2) {
        buf_consume(&c->output, c->output_sent);
        c->output_sent = 0;
    }
}

/* While the socket takes all that it is offered there is more to offer. */
static void flush(struct conn *c)
{
    while (c->state < ENDING && queued(c)) {
        struct slice rest = rest_of_output(c);
        size_t n = write_some(c, &rest, 1);
        if (c->state >= ENDING)
            return;
        c->output_sent += n;
        if (n < rest.size)
            break;
    }
    compact(c);
    if (queued(c) > LIMIT_OUTPUT_QUEUE_BYTES)
        c->above = true;
}

/* Keeps what is left after the first `taken` bytes. From the first byte kept on the peer is expected to read. */
static void keep(struct conn *c, const struct slice *parts, size_t count, size_t taken)
{
    if (!queued(c))
        c->last_write_ns = c->loop->now_ns;
    for (size_t i = 0; i < count; i++) {
        size_t skip = taken < parts[i].size ? taken : parts[i].size;
        taken -= skip;
        if (parts[i].size > skip)
            buf_put_slice(&c->output, slice_skip(parts[i], skip));
    }
}

static void write_plain(struct conn *c, const struct slice *parts, size_t count)
{
    size_t taken = queued(c) ? 0 : write_some(c, parts, count);
    if (c->state < ENDING)
        keep(c, parts, count, taken);
}

static void write_tls(struct conn *c, const struct slice *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size && tls_session_write(c->tls, parts[i], &c->output) != OK) {
            fail_memory(c);
            return;
        }
    }
    flush(c);
}

void conn_write(struct conn *c, const struct slice *parts, size_t count)
{
    if (c->state != OPEN)
        return;
    if (c->tls)
        write_tls(c, parts, count);
    else
        write_plain(c, parts, count);
    if (c->state != OPEN)
        return;
    if (buf_err(&c->output)) {
        fail_memory(c);
        return;
    }
    if (queued(c) > LIMIT_OUTPUT_QUEUE_BYTES)
        c->above = true;
    if (queued(c))
        update_watch(c);
}

static void on_writable(struct conn *c)
{
    bool was_above = c->above;
    flush(c);
    if (c->state == FLUSHING && !queued(c))
        begin_end(c, OK, false);
    if (c->state >= ENDING)
        return;
    if (was_above && queued(c) <= LIMIT_OUTPUT_QUEUE_BYTES / 2) {
        c->above = false;
        if (c->state == OPEN && c->events->on_drained)
            c->events->on_drained(c->context, c);
    }
}

/* ---- input ------------------------------------------------------------------------------------------------------------ */

static void deliver(struct conn *c, const uint8_t *bytes, size_t size)
{
    struct loop *l = c->loop;
    if (size && c->state == OPEN)
        c->events->on_data(c->context, c, l->input, slice_of(bytes, size));
    loop_input_done(l, (uint32_t)size);
}

static void on_end_of_input(struct conn *c)
{
    c->eof = true;
    if (c->state == HANDSHAKING) {
        diag_set(&c->diag, ERR_TLS, "%s closed the connection during the TLS handshake", c->peer);
        begin_end(c, ERR_TLS, false);
    } else if (c->state == OPEN && c->events->on_eof) {
        c->events->on_eof(c->context, c);
    } else if (c->state == OPEN) {
        conn_close(c);
    }
}

static void read_plain(struct conn *c)
{
    uint32_t room;
    uint8_t *to = loop_input_room(c->loop, READ_MIN_BYTES, &room);
    if (!to) {
        fail_memory(c);
        return;
    }
    int64_t n = c->loop->backend->read(c->socket, to, room);
    if (n > 0)
        deliver(c, to, (size_t)n);
    else if (n == 0)
        on_end_of_input(c);
    else if (n != -EAGAIN)
        fail_errno(c, (int)-n);
}

static void open_now(struct conn *c)
{
    timer_stop(c->loop, &c->timer);
    c->state = OPEN;
    c->last_write_ns = c->loop->now_ns;
    c->events->on_open(c->context, c);
}

static bool shake_hands(struct conn *c, struct slice *in)
{
    bool done;
    enum err e = tls_session_handshake(c->tls, in, &c->output, &c->diag, &done);
    flush(c); /* an alert, where it failed */
    if (e) {
        diag_wrap(&c->diag, "TLS handshake with %s", c->peer);
        begin_end(c, e, false);
    }
    if (!e && done && c->state == HANDSHAKING)
        open_now(c);
    return c->state == OPEN;
}

static void decrypt(struct conn *c, struct slice in)
{
    uint32_t room;
    size_t size;
    bool said_goodbye;
    uint8_t *to = loop_input_room(c->loop, (uint32_t)in.size + TLS_RECORD_BYTES, &room);
    if (!to) {
        fail_memory(c);
        return;
    }
    enum err e = tls_session_read(c->tls, &in, &c->output, to, room, &c->diag, &size, &said_goodbye);
    if (e) {
        diag_wrap(&c->diag, "the connection to %s", c->peer);
        begin_end(c, e, true);
        return;
    }
    flush(c);
    deliver(c, to, size);
    if (said_goodbye && c->state == OPEN && !c->eof)
        on_end_of_input(c);
}

static void read_tls(struct conn *c)
{
    uint8_t cipher[CIPHER_BYTES];
    int64_t n = c->loop->backend->read(c->socket, cipher, sizeof cipher);
    struct slice in = slice_of(cipher, n > 0 ? (size_t)n : 0);
    if (n == 0)
        on_end_of_input(c);
    else if (n < 0 && n != -EAGAIN)
        fail_errno(c, (int)-n);
    else if (n > 0 && (c->state == OPEN || shake_hands(c, &in)))
        decrypt(c, in);
}

/* ---- events of the socket ---------------------------------------------------------------------------------------------- */

static void start(struct conn *c)
{
    struct slice nothing = SLICE_EMPTY;
    if (!c->tls) {
        open_now(c);
        return;
    }
    c->state = HANDSHAKING;
    shake_hands(c, &nothing);
}

static void on_connected(struct conn *c)
{
    enum err e = c->loop->backend->connected(c->socket, &c->diag);
    if (e) {
        diag_wrap(&c->diag, "cannot connect to %s", c->peer);
        begin_end(c, e, false);
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
        fail_errno(c, ECONNRESET);
    if (events & SOCKET_WRITABLE)
        on_writable(c);
    if ((events & SOCKET_READABLE) && (c->state == HANDSHAKING || (c->state == OPEN && c->reading))) {
        if (c->tls)
            read_tls(c);
        else
            read_plain(c);
    }
    update_watch(c);
}

static void on_task(struct task *t)
{
    struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, task));
    c->task_queued = false;
    if (c->open_due) {
        c->open_due = false;
        if (c->state == CONNECTING)
            start(c);
        update_watch(c);
    }
    if (c->state == ENDING && !c->task_queued)
        end(c);
}

static void on_flush_time(struct conn *c)
{
    uint64_t stalled_ns = c->loop->now_ns - c->last_write_ns;
    if (stalled_ns >= LIMIT_WRITE_STALL_MS * MS_NS)
        begin_end(c, ERR_CONNECTION_LOST, true);
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
        begin_end(c, e, true);
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
    buf_init(&c->output, LIMIT_OUTPUT_QUEUE_BYTES_MAX);
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
        begin_end(c, OK, false);
    if (c->state != OPEN)
        return;
    if (c->tls)
        tls_session_shutdown(c->tls, &c->output);
    flush(c);
    if (c->state != OPEN)
        return;
    c->state = FLUSHING;
    if (queued(c))
        timer_start(c->loop, &c->timer, c->loop->now_ns + LIMIT_WRITE_STALL_MS * MS_NS);
    else
        begin_end(c, OK, false);
    update_watch(c);
}

void conn_abort(struct conn *c)
{
    begin_end(c, OK, true);
}

void conn_read(struct conn *c, bool on)
{
    c->reading = on;
    if (c->state == OPEN)
        update_watch(c);
}

size_t conn_queued_bytes(const struct conn *c)
{
    return queued(c);
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
