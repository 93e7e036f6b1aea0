/* The response of HTTP/1.1. What the user writes is noted and leaves once a callback, so that a response that was complete by
 * then has a Content-Length and goes out in one write; what takes longer goes in chunks.
 *
 * Invariant: head_sent decides the framing once: length known (chunked false), chunks, or, for HTTP/1.0, the end of the
 * connection. Source: RFC 9112, 6 and 7. */
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "rpc/http1.h"
#include "rpc/json_error.h"

enum {
    HEAD_BYTES = 64 << 10,
    OUT_MAX_BYTES = LIMIT_MESSAGE_BYTES_MAX + (1 << 20), /* as HTTP/2 */
    OUT_FLUSH_BYTES = 64 << 10,                          /* more than this does not wait for the end of the callback */
    OUT_KEPT_BYTES = 32 << 10,
};

static struct h1_exchange *exchange_of(struct http_exchange *x)
{
    return (struct h1_exchange *)x; /* the first member */
}

/* ---- life ------------------------------------------------------------------------------------------------------------- */

static struct h1_exchange *new_exchange(void)
{
    struct h1_exchange *x = mem_zalloc(sizeof *x);
    if (!x)
        return NULL;
    arena_init(&x->exchange.arena, LIMIT_CALL_ARENA_BYTES);
    buf_init(&x->head, HEAD_BYTES);
    buf_init(&x->out, OUT_MAX_BYTES);
    return x;
}

struct h1_exchange *h1_exchange_take(struct h1 *h)
{
    struct h1_exchange *x = h->spare ? h->spare : new_exchange();
    h->spare = NULL;
    if (!x)
        return NULL;
    x->h1 = h;
    x->exchange.http1 = true;
    x->exchange.conn = h->connection->conn;
    x->exchange.share = h->connection->share;
    x->exchange.loop = h->server->loop;
    x->exchange.server = h->server;
    x->exchange.carrier = &h1_carrier;
    return x;
}

void h1_exchange_free(struct h1_exchange *x)
{
    if (!x)
        return;
    arena_fini(&x->exchange.arena);
    buf_fini(&x->head);
    buf_fini(&x->out);
    mem_free(x);
}

void h1_exchange_recycle(struct h1_exchange *x)
{
    struct h1 *h = x->h1;
    arena_reset(&x->exchange.arena);
    buf_reset(&x->head);
    buf_reset(&x->out);
    if (x->out.capacity > OUT_KEPT_BYTES)
        buf_fini(&x->out);
    struct arena arena = x->exchange.arena;
    struct buf head = x->head, out = x->out;
    out.bytes_max = OUT_MAX_BYTES;
    *x = (struct h1_exchange){.exchange.arena = arena, .head = head, .out = out};
    h->spare = x;
}

bool h1_exchange_is_over(const struct h1_exchange *x)
{
    return x->sent && x->released;
}

static void release(struct http_exchange *base)
{
    struct h1_exchange *x = exchange_of(base);
    x->released = true;
    if (!x->h1)
        h1_exchange_free(x);
    else
        h1_schedule_flush(x->h1);
}

/* ---- the head --------------------------------------------------------------------------------------------------------- */

/* Bytes that would end a line are the user's mistake, or somebody's attack: they become spaces. */
static void put_text(struct buf *out, struct slice text)
{
    size_t at = out->size;
    buf_put_slice(out, text);
    for (; at < out->size; at++)
        if (out->data[at] < 0x20 || out->data[at] == 0x7f)
            out->data[at] = ' ';
}

/* Ours to say. */
static bool is_framing(struct slice name)
{
    return slice_eq(name, SLICE("content-length")) || slice_eq(name, SLICE("transfer-encoding")) ||
           slice_eq(name, SLICE("connection"));
}

static void put_date(struct buf *out, int64_t realtime_ms)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t;
    time_t seconds = realtime_ms / 1000;
    gmtime_r(&seconds, &t);
    buf_printf(out, "date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n", days + 3 * t.tm_wday, t.tm_mday,
               months + 3 * t.tm_mon, 1900 + t.tm_year, t.tm_hour, t.tm_min, t.tm_sec);
}

static void put_status_line(struct buf *out, unsigned status, int64_t realtime_ms)
{
    buf_printf(out, "HTTP/1.1 %u %s\r\n", status, http_status_str((enum http_status)status));
    put_date(out, realtime_ms);
}

static void respond(struct http_exchange *base, unsigned status, const struct http_header *headers, size_t count)
{
    struct h1_exchange *x = exchange_of(base);
    if (!x->h1 || x->responded)
        return;
    x->responded = true;
    x->status = status;
    put_status_line(&x->head, status, loop_realtime_ms(base->loop));
    for (size_t i = 0; i < count; i++) {
        if (is_framing(headers[i].name))
            continue;
        put_text(&x->head, headers[i].name);
        buf_puts(&x->head, ": ");
        put_text(&x->head, headers[i].value);
        buf_puts(&x->head, "\r\n");
    }
    h1_schedule_flush(x->h1);
}

/* Whether the client is told that this is the last response of the connection. */
static bool says_close(const struct h1_exchange *x)
{
    return !x->keep_alive || x->h1->draining || (x->finished && !x->complete);
}

static bool has_no_body(const struct h1_exchange *x)
{
    return x->status == 204 || x->status == 304 || x->status < 200;
}

static void end_head(struct h1_exchange *x)
{
    x->head_sent = true;
    x->chunked = !x->finished && !x->http10;
    if (x->http10 && !x->finished)
        x->keep_alive = false; /* the end of the connection is the end of the body */
    if (x->chunked)
        buf_puts(&x->head, "transfer-encoding: chunked\r\n");
    else if (x->finished && !has_no_body(x))
        buf_printf(&x->head, "content-length: %zu\r\n", x->out.size);
    if (says_close(x))
        buf_puts(&x->head, "connection: close\r\n");
    else if (x->http10)
        buf_puts(&x->head, "connection: keep-alive\r\n");
    buf_puts(&x->head, "\r\n");
}

/* ---- the body --------------------------------------------------------------------------------------------------------- */

/* Head where it is due, what is in out (as a chunk), the last chunk where it is due: in one write. */
static void send(struct h1_exchange *x)
{
    char size[24] = "";
    struct slice parts[4];
    size_t count = 0;
    bool body = x->out.size && !x->bodiless && !has_no_body(x);
    if (!x->head_sent) {
        end_head(x);
        parts[count++] = buf_slice(&x->head);
    }
    if (x->chunked && body)
        parts[count++] = slice_of(size, (size_t)snprintf(size, sizeof size, "%zx\r\n", x->out.size));
    if (body)
        parts[count++] = buf_slice(&x->out);
    if (x->chunked && !x->bodiless && x->finished)
        parts[count++] = body ? SLICE("\r\n0\r\n\r\n") : SLICE("0\r\n\r\n");
    else if (x->chunked && body)
        parts[count++] = SLICE("\r\n");
    if (count)
        conn_write(x->exchange.conn, parts, count);
    for (size_t i = 0; i < count; i++)
        x->exchange.server->stats.bytes_out += parts[i].size;
}

void h1_exchange_flush(struct h1_exchange *x)
{
    if (!x->responded || x->sent)
        return;
    if (buf_err(&x->out) || buf_err(&x->head)) {
        connection_close(x->h1->connection, true);
        return;
    }
    if (x->head_sent && !x->out.size && !x->finished)
        return;
    send(x);
    buf_reset(&x->out);
    connection_output(x->h1->connection, conn_queued_bytes(x->exchange.conn), 0);
    x->sent = x->finished;
}

static enum flow write_body(struct http_exchange *base, const struct slice *parts, size_t count)
{
    struct h1_exchange *x = exchange_of(base);
    if (!x->h1 || base->aborted || x->finished)
        return FLOW_GO;
    for (size_t i = 0; i < count; i++)
        buf_put_slice(&x->out, parts[i]);
    if (x->head_sent && x->out.size > OUT_FLUSH_BYTES)
        h1_exchange_flush(x);
    else
        h1_schedule_flush(x->h1);
    x->held = x->out.size + conn_queued_bytes(base->conn) > LIMIT_OUTPUT_QUEUE_BYTES;
    return x->held ? FLOW_HOLD : FLOW_GO;
}

static void finish(struct http_exchange *base, const struct http_header *trailers, size_t count)
{
    (void)trailers;
    (void)count;
    struct h1_exchange *x = exchange_of(base);
    if (!x->h1 || x->finished)
        return;
    x->finished = true;
    h1_schedule_flush(x->h1);
}

static void reset(struct http_exchange *base, enum err e)
{
    (void)e;
    struct h1_exchange *x = exchange_of(base);
    base->aborted = true;
    if (x->h1)
        connection_close(x->h1->connection, true);
}

static void consumed(struct http_exchange *base, size_t size)
{
    struct h1_exchange *x = exchange_of(base);
    x->unconsumed_bytes -= size < x->unconsumed_bytes ? (uint32_t)size : x->unconsumed_bytes;
    if (x->h1)
        h1_update_reading(x->h1);
}

const struct http_carrier h1_carrier = {respond, write_body, finish, reset, consumed, release};

void h1_answer(struct h1 *h, unsigned status, enum err e, const char *message)
{
    enum { HEAD_ROOM = 512, BODY_ROOM = 1024 };
    uint8_t head_room[HEAD_ROOM], body_room[BODY_ROOM];
    struct buf head, body;
    struct diag d = {.err = e, .message = message};
    buf_init_fixed(&head, head_room, sizeof head_room);
    buf_init_fixed(&body, body_room, sizeof body_room);
    json_error_write(&body, e, &d, NULL);
    put_status_line(&head, status, loop_realtime_ms(h->server->loop));
    buf_printf(&head, "content-type: application/json\r\ncontent-length: %zu\r\nconnection: close\r\n\r\n", body.size);
    struct slice parts[] = {buf_slice(&head), buf_slice(&body)};
    conn_write(h->connection->conn, parts, 2);
    h->server->stats.bytes_out += head.size + body.size;
}
