/* Sending. A plain connection offers its queue to the socket as it lies: memory by one gathering write, ranges of files by the
 * kernel. Under TLS the queue is encrypted piece by piece, never far ahead of the socket, so that a large range costs no memory.
 *
 *   plain:  output ─────────────────────────▶ socket
 *   TLS:    output ──▶ tls_session ──▶ cipher ──▶ socket
 */
#include <errno.h>

#include "base/limits.h"
#include "rt/conn_state.h"

enum {
    SLICES = 64,
    SMALL_FILE_BYTES = 16 << 10,  /* from 32 KiB on sendfile costs no more (50 ranges over loopback) */
    PIECE_BYTES = 16 << 10,       /* of a file, read at once; a TLS record */
    CIPHER_AHEAD = 64 << 10,      /* encrypted before the socket takes it */
    CIPHER_KEEP_BYTES = 64 << 10, /* of an empty buffer */
};

static size_t cipher_queued(const struct conn *c)
{
    return c->cipher.size - c->cipher_sent;
}

size_t conn_queued_bytes(const struct conn *c)
{
    return c->output.size + cipher_queued(c);
}

void conn_init_output(struct conn *c)
{
    output_init(&c->output);
    buf_init(&c->cipher, LIMIT_OUTPUT_QUEUE_BYTES_MAX);
}

void conn_drop_output(struct conn *c)
{
    output_fini(&c->output);
    buf_fini(&c->cipher);
    c->cipher_sent = 0;
}

/* ---- the socket -------------------------------------------------------------------------------------------------------- */

/* Bytes that it took. */
static size_t taken(struct conn *c, int64_t n)
{
    if (n < 0 && n != -EAGAIN)
        conn_fail_errno(c, (int)-n);
    if (n <= 0)
        return 0;
    c->last_write_ns = c->loop->now_ns;
    return (size_t)n;
}

static size_t write_memory(struct conn *c, const struct slice *parts, size_t count, bool more)
{
    return taken(c, c->loop->backend->write(c->socket, parts, count, more));
}

/* ---- ranges of files ----------------------------------------------------------------------------------------------------- */

static void fail_file(struct conn *c, enum err e)
{
    diag_set(&c->diag, e, "what was to be sent to %s cannot be read", c->peer);
    conn_begin_end(c, e, true);
}

/* The next bytes of a range. 0: the connection ends. */
static size_t read_file(struct conn *c, const struct conn_file *f, uint8_t *to, size_t room)
{
    const struct env *env = c->loop->env;
    size_t size = 0, wanted = f->size < room ? f->size : room;
    enum err e = env->disk->pread(env, f->fd, to, wanted, f->offset, &size);
    if (!e && size == wanted)
        return size;
    fail_file(c, e ? e : ERR_IO);
    return 0;
}

static size_t write_file_piece(struct conn *c, const struct conn_file *f, size_t max, size_t *ret_offered)
{
    uint8_t piece[PIECE_BYTES];
    struct slice read = slice_of(piece, read_file(c, f, piece, max < sizeof piece ? max : sizeof piece));
    *ret_offered = read.size;
    return read.size ? write_memory(c, &read, 1, f->size > read.size) : 0;
}

/* By the kernel where it can. */
static size_t write_file(struct conn *c, const struct conn_file *f, size_t max, size_t *ret_offered)
{
    size_t size = f->size < max ? f->size : max;
    int64_t n = c->loop->backend->send_file(c->socket, f->fd, f->offset, size);
    if (n == -EINVAL || n == -ENOSYS)
        return write_file_piece(c, f, max, ret_offered);
    *ret_offered = size;
    if (n == 0 || n == -EIO)
        fail_file(c, ERR_IO);
    return n == 0 || n == -EIO ? 0 : taken(c, n);
}

/* ---- plain ------------------------------------------------------------------------------------------------------------- */

static size_t total_of(const struct slice *parts, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += parts[i].size;
    return total;
}

/* Of what is first in the queue, memory or a range. Bytes taken. */
static size_t write_next(struct conn *c, size_t max, size_t *ret_offered)
{
    struct slice parts[SLICES];
    const struct conn_file *f = output_file(&c->output);
    if (f)
        return write_file(c, f, max, ret_offered);
    size_t count = output_memory(&c->output, parts, SLICES);
    *ret_offered = total_of(parts, count);
    return write_memory(c, parts, count, *ret_offered < c->output.size);
}

/* While the socket takes all that it is offered there is more to offer. */
static void flush_plain(struct conn *c)
{
    for (size_t sent = 0; c->output.size && sent < LIMIT_OUTPUT_TURN_BYTES;) {
        size_t offered = 0, n = write_next(c, LIMIT_OUTPUT_TURN_BYTES - sent, &offered);
        if (c->state >= ENDING)
            return;
        output_sent(&c->output, n);
        sent += n;
        if (n < offered)
            return;
    }
}

/* ---- TLS --------------------------------------------------------------------------------------------------------------- */

/* The next bytes to encrypt, in place or read into `piece`. Empty: the connection ends. */
static struct slice next_plain(struct conn *c, uint8_t piece[PIECE_BYTES])
{
    struct slice next = SLICE_EMPTY;
    const struct conn_file *f = output_file(&c->output);
    if (f)
        return slice_of(piece, read_file(c, f, piece, PIECE_BYTES));
    output_memory(&c->output, &next, 1);
    return slice_take(next, PIECE_BYTES);
}

static void encrypt_some(struct conn *c)
{
    uint8_t piece[PIECE_BYTES];
    while (c->output.size && cipher_queued(c) < CIPHER_AHEAD) {
        struct slice plain = next_plain(c, piece);
        if (!plain.size)
            return;
        if (tls_session_write(c->tls, plain, &c->cipher) != OK) {
            conn_fail_memory(c);
            return;
        }
        output_sent(&c->output, plain.size);
    }
    if (c->state == FLUSHING && !c->output.size && !c->goodbye) {
        c->goodbye = true;
        tls_session_shutdown(c->tls, &c->cipher);
    }
}

/* Room at the front is used again once it is the larger part. */
static void trim_cipher(struct conn *c)
{
    if (!cipher_queued(c)) {
        c->cipher_sent = 0;
        if (c->cipher.capacity > CIPHER_KEEP_BYTES)
            buf_fini(&c->cipher);
        else
            buf_reset(&c->cipher);
    } else if (c->cipher_sent > c->cipher.size / 2) {
        buf_consume(&c->cipher, c->cipher_sent);
        c->cipher_sent = 0;
    }
}

static void flush_tls(struct conn *c)
{
    for (size_t sent = 0; sent < LIMIT_OUTPUT_TURN_BYTES;) {
        encrypt_some(c);
        if (c->state >= ENDING || !cipher_queued(c))
            return;
        struct slice rest = slice_skip(buf_slice(&c->cipher), c->cipher_sent);
        size_t n = write_memory(c, &rest, 1, false);
        if (c->state >= ENDING)
            return;
        c->cipher_sent += n;
        sent += n;
        trim_cipher(c);
        if (n < rest.size)
            return;
    }
}

/* ---- both -------------------------------------------------------------------------------------------------------------- */

static void note_above(struct conn *c)
{
    if (conn_queued_bytes(c) > LIMIT_OUTPUT_QUEUE_BYTES)
        c->above = true;
}

void conn_flush(struct conn *c)
{
    if (c->state >= ENDING)
        return;
    if (c->tls)
        flush_tls(c);
    else
        flush_plain(c);
    note_above(c);
}

/* Keeps what is left after the first `skip` bytes. */
static void keep_bytes(struct conn *c, const struct slice *parts, size_t count, size_t skip)
{
    for (size_t i = 0; i < count; i++) {
        size_t done = skip < parts[i].size ? skip : parts[i].size;
        skip -= done;
        if (parts[i].size > done)
            output_put_bytes(&c->output, slice_skip(parts[i], done));
    }
}

static void write_plain(struct conn *c, const struct slice *parts, size_t count)
{
    size_t n = c->output.size ? 0 : write_memory(c, parts, count, false);
    if (c->state == OPEN)
        keep_bytes(c, parts, count, n);
}

/* Behind what waits to be encrypted, or at once. */
static void write_tls(struct conn *c, const struct slice *parts, size_t count)
{
    if (c->output.size) {
        keep_bytes(c, parts, count, 0);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size && tls_session_write(c->tls, parts[i], &c->cipher) != OK) {
            conn_fail_memory(c);
            return;
        }
    }
    conn_flush(c);
}

/* After a write of the user's: what could not be kept ends the connection. */
static void settle_write(struct conn *c)
{
    if (c->state != OPEN)
        return;
    if (c->output.err) {
        conn_fail_memory(c);
        return;
    }
    note_above(c);
    if (conn_queued_bytes(c))
        conn_update_watch(c);
}

/* From the first byte kept on the peer is expected to read. */
static void begin_write(struct conn *c)
{
    if (!conn_queued_bytes(c))
        c->last_write_ns = c->loop->now_ns;
}

void conn_write(struct conn *c, const struct slice *parts, size_t count)
{
    if (c->state != OPEN)
        return;
    begin_write(c);
    if (c->tls)
        write_tls(c, parts, count);
    else
        write_plain(c, parts, count);
    settle_write(c);
}

static void release_file(const struct conn_file *f)
{
    if (f->release)
        f->release(f->owner);
}

/* Small ones are read at once, while little waits: one write of many pieces is cheaper than a call for each. */
static void put_file(struct conn *c, const struct conn_file *f)
{
    uint8_t piece[SMALL_FILE_BYTES];
    if (f->size > sizeof piece || c->output.size > LIMIT_OUTPUT_QUEUE_BYTES) {
        output_put_file(&c->output, f);
        return;
    }
    size_t size = f->size ? read_file(c, f, piece, sizeof piece) : 0;
    output_put_bytes(&c->output, slice_of(piece, size));
    release_file(f);
}

static void put_part(struct conn *c, const struct conn_part *p)
{
    if (p->kind == CONN_FILE)
        put_file(c, &p->file);
    else if (p->kind == CONN_BLOCK)
        output_put_block(&c->output, p->block, p->bytes);
    else
        output_put_bytes(&c->output, p->bytes);
}

static void release_parts(const struct conn_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (parts[i].kind == CONN_FILE)
            release_file(&parts[i].file);
}

/* A range that cannot be read ends the connection: what is behind it is not put any more. */
void conn_write_parts(struct conn *c, const struct conn_part *parts, size_t count)
{
    size_t put = 0;
    bool waiting = conn_queued_bytes(c);
    if (c->state == OPEN)
        begin_write(c);
    for (; c->state == OPEN && put < count; put++)
        put_part(c, &parts[put]);
    release_parts(parts + put, count - put);
    if (c->state == OPEN && !c->output.err && !waiting)
        conn_flush(c);
    settle_write(c);
}

void conn_on_writable(struct conn *c)
{
    bool was_above = c->above;
    conn_flush(c);
    if (c->state == FLUSHING && !conn_queued_bytes(c))
        conn_begin_end(c, OK, false);
    if (c->state >= ENDING)
        return;
    if (was_above && conn_queued_bytes(c) <= LIMIT_OUTPUT_QUEUE_BYTES / 2) {
        c->above = false;
        if (c->state == OPEN && c->events->on_drained)
            c->events->on_drained(c->context, c);
    }
}
