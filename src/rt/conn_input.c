/* Reading: what comes from the socket, decrypted where it is, is lent to the user from the loop's block. */
#include <errno.h>

#include "base/limits.h"
#include "rt/conn_state.h"

enum {
    CIPHER_BYTES = 32 << 10, /* read at once under TLS */
    READ_MIN_BYTES = 4096,
};

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
        conn_begin_end(c, ERR_TLS, false);
    } else if (c->state == OPEN && c->events->on_eof) {
        c->events->on_eof(c->context, c);
    } else if (c->state == OPEN) {
        conn_close(c);
    }
}

/* Memory of the user's, or of the loop's block. NULL: out of memory. */
static uint8_t *room_of(struct conn *c, size_t *ret_room, bool *ret_lent)
{
    uint32_t room = 0;
    uint8_t *to = c->events->on_room ? c->events->on_room(c->context, c, ret_room) : NULL;
    *ret_lent = to;
    if (to)
        return to;
    to = loop_input_room(c->loop, READ_MIN_BYTES, &room);
    *ret_room = room;
    return to;
}

static void read_plain(struct conn *c)
{
    size_t room = 0;
    bool lent;
    uint8_t *to = room_of(c, &room, &lent);
    if (!to) {
        conn_fail_memory(c);
        return;
    }
    int64_t n = c->loop->backend->read(c->socket, to, room);
    if (n > 0 && lent)
        c->events->on_data(c->context, c, NULL, slice_of(to, (size_t)n));
    else if (n > 0)
        deliver(c, to, (size_t)n);
    else if (n == 0)
        on_end_of_input(c);
    else if (n != -EAGAIN)
        conn_fail_errno(c, (int)-n);
}

bool conn_shake_hands(struct conn *c, struct slice *in)
{
    bool done;
    enum err e = tls_session_handshake(c->tls, in, &c->cipher, &c->diag, &done);
    conn_flush(c); /* an alert, where it failed */
    if (e) {
        diag_wrap(&c->diag, "TLS handshake with %s", c->peer);
        conn_begin_end(c, e, false);
    }
    if (!e && done && c->state == HANDSHAKING)
        conn_open_now(c);
    return c->state == OPEN;
}

static void decrypt(struct conn *c, struct slice in)
{
    uint32_t room;
    size_t size;
    bool said_goodbye;
    uint8_t *to = loop_input_room(c->loop, (uint32_t)in.size + TLS_RECORD_BYTES, &room);
    if (!to) {
        conn_fail_memory(c);
        return;
    }
    enum err e = tls_session_read(c->tls, &in, &c->cipher, to, room, &c->diag, &size, &said_goodbye);
    if (e) {
        diag_wrap(&c->diag, "the connection to %s", c->peer);
        conn_begin_end(c, e, true);
        return;
    }
    conn_flush(c);
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
        conn_fail_errno(c, (int)-n);
    else if (n > 0 && (c->state == OPEN || conn_shake_hands(c, &in)))
        decrypt(c, in);
}

void conn_on_readable(struct conn *c)
{
    if (c->tls)
        read_tls(c);
    else
        read_plain(c);
}
