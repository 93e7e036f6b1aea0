/* An HTTP/1.1 session of the server: bytes in, http_parser's callbacks, one exchange at a time, time limits, drain. http1.h
 * has the states.
 *
 * Invariants: http_parser runs from the loop alone (data, or the flush task), never inside a user's call; after a request is
 * complete the parser is paused until its exchange is over; whatever http_parser finds wrong ends the connection.
 * Source: RFC 9112; smuggling: 6.3, 11.2. */
#include "rpc/http1.h"

#include <stddef.h>
#include <stdio.h>

#include "base/mem.h"

enum { FIELD_OVERHEAD_BYTES = 32, STATUS_REQUEST_TIMEOUT = 408 };
static const uint64_t MS_NS = 1000000;

static uint64_t now(const struct h1 *h)
{
    return loop_now_ns(h->server->loop);
}

static bool is_late(uint64_t since_ns, uint64_t now_ns, uint64_t limit_ms)
{
    return now_ns > since_ns && now_ns - since_ns > limit_ms * MS_NS;
}

void h1_update_reading(struct h1 *h)
{
    uint32_t unconsumed = h->current ? h->current->unconsumed_bytes : 0;
    bool on = h->rest.size == 0 && unconsumed < LIMIT_HTTP2_STREAM_WINDOW_BYTES;
    if (on != h->reading && !h->connection->closing) {
        h->reading = on;
        conn_read(h->connection->conn, on);
    }
}

/* ---- the head of a request -------------------------------------------------------------------------------------------- */

static struct h1 *session_of(http_parser *p)
{
    return p->data;
}

/* What a callback returns that makes the parser stop; refusal tells why. */
static int refuse(struct h1 *h, enum err e)
{
    h->refusal = e;
    return -1;
}

/* Counted before anything is stored. */
static int put_head(struct h1 *h, const char *at, size_t size, bool lower)
{
    if (h->head.size + size + h->field_count * FIELD_OVERHEAD_BYTES > LIMIT_HEADER_BYTES)
        return refuse(h, ERR_HEADERS_TOO_LARGE);
    size_t begin = h->head.size;
    buf_put(&h->head, at, size);
    if (buf_err(&h->head))
        return refuse(h, ERR_NOMEM);
    for (size_t i = begin; lower && i < h->head.size; i++)
        if (h->head.data[i] >= 'A' && h->head.data[i] <= 'Z')
            h->head.data[i] |= 0x20;
    return 0;
}

static int on_message_begin(http_parser *p)
{
    struct h1 *h = session_of(p);
    buf_reset(&h->head);
    h->url_size = h->field_count = 0;
    h->in_value = true;
    h->head_began_ns = now(h);
    h->seen_request = true;
    return 0;
}

static int on_url(http_parser *p, const char *at, size_t size)
{
    struct h1 *h = session_of(p);
    h->url_size += (uint32_t)size;
    return put_head(h, at, size, false);
}

/* Fields behind a chunked body are read over. */
static bool is_trailer(const struct h1 *h)
{
    return h->current;
}

static int on_field(http_parser *p, const char *at, size_t size)
{
    struct h1 *h = session_of(p);
    if (is_trailer(h))
        return 0;
    if (h->in_value) {
        if (h->field_count == LIMIT_HEADER_FIELDS)
            return refuse(h, ERR_HEADERS_TOO_LARGE);
        h->fields[h->field_count++] = (struct h1_field){.name = (uint32_t)h->head.size};
        h->in_value = false;
    }
    h->fields[h->field_count - 1].name_size += (uint32_t)size;
    return put_head(h, at, size, true);
}

static int on_value(http_parser *p, const char *at, size_t size)
{
    struct h1 *h = session_of(p);
    if (is_trailer(h))
        return 0;
    struct h1_field *f = &h->fields[h->field_count - 1];
    if (!h->in_value)
        f->value = (uint32_t)h->head.size;
    h->in_value = true;
    f->value_size += (uint32_t)size;
    return f->value_size > LIMIT_HEADER_VALUE_BYTES ? refuse(h, ERR_HEADERS_TOO_LARGE) : put_head(h, at, size, false);
}

/* ---- the exchange ----------------------------------------------------------------------------------------------------- */

static bool copy_fields(const struct h1 *h, struct http_exchange *x, const uint8_t *head)
{
    struct http_header *list = arena_array(&x->arena, struct http_header, h->field_count + 1);
    if (!list)
        return false;
    for (uint32_t i = 0; i < h->field_count; i++) {
        const struct h1_field *f = &h->fields[i];
        list[i] =
            (struct http_header){slice_of(head + f->name, f->name_size), slice_of(head + f->value, f->value_size)};
    }
    x->headers = list;
    x->header_count = h->field_count;
    return true;
}

static struct slice part_of_url(const struct http_parser_url *u, enum http_parser_url_fields part, const uint8_t *url)
{
    return u->field_set & (1 << part) ? slice_of(url + u->field_data[part].off, u->field_data[part].len) : SLICE_EMPTY;
}

/* "/path?query", "http://host/path?query", or "*" (OPTIONS). */
static bool split_url(const struct h1 *h, struct http_exchange *x, const uint8_t *url)
{
    struct http_parser_url u;
    x->path = slice_of(url, h->url_size);
    if (slice_eq(x->path, SLICE("*")))
        return true;
    http_parser_url_init(&u);
    if (http_parser_parse_url((const char *)url, h->url_size, 0, &u) != 0)
        return false;
    x->path = part_of_url(&u, UF_PATH, url);
    x->query = part_of_url(&u, UF_QUERY, url);
    x->authority = part_of_url(&u, UF_HOST, url);
    if (x->path.size == 0)
        x->path = SLICE("/");
    return true;
}

/* RFC 9112, 3.2: exactly one Host field in HTTP/1.1. */
static bool take_host(struct http_exchange *x, bool required)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < x->header_count; i++) {
        if (!slice_eq(x->headers[i].name, SLICE("host")))
            continue;
        count++;
        if (x->authority.size == 0)
            x->authority = x->headers[i].value;
    }
    return count == 1 || (count == 0 && !required);
}

/* RFC 9110, 5.6.2. The parser takes a space for one of these, and "transfer-encoding : chunked" is a smuggler's spelling. */
static bool is_token(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
        if (!alphanumeric && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return name.size > 0;
}

static bool has_good_names(const struct http_exchange *x)
{
    for (uint32_t i = 0; i < x->header_count; i++)
        if (!is_token(x->headers[i].name))
            return false;
    return true;
}

static enum err fill(struct h1 *h, struct h1_exchange *x)
{
    struct http_exchange *base = &x->exchange;
    struct slice head;
    if (!arena_copy(&base->arena, buf_slice(&h->head), &head) || !copy_fields(h, base, head.data))
        return ERR_NOMEM;
    x->http10 = h->parser.http_minor == 0;
    x->keep_alive = http_should_keep_alive(&h->parser);
    x->bodiless = h->parser.method == HTTP_HEAD;
    base->method = slice_str(x->bodiless ? "GET" : http_method_str((enum http_method)h->parser.method));
    bool good = has_good_names(base) && split_url(h, base, head.data) && take_host(base, !x->http10);
    return good ? OK : ERR_HTTP_MALFORMED;
}

static bool expects_continue(const struct h1_exchange *x)
{
    struct slice e = http_header_get(&x->exchange, "expect");
    struct slice wanted = SLICE("100-continue");
    return !x->http10 && e.size == wanted.size && strncasecmp((const char *)e.data, "100-continue", e.size) == 0;
}

static void dispatch(struct h1 *h, struct h1_exchange *x)
{
    struct slice go_on = SLICE("HTTP/1.1 100 Continue\r\n\r\n");
    h->current = x;
    http_dispatch(&x->exchange);
    if (expects_continue(x) && !x->responded)
        conn_write(h->connection->conn, &go_on, 1);
}

static int on_headers_complete(http_parser *p)
{
    struct h1 *h = session_of(p);
    h->head_began_ns = 0;
    if (p->http_major != 1 || p->http_minor > 1)
        return refuse(h, ERR_HTTP_MALFORMED);
    if (p->method == HTTP_CONNECT)
        return refuse(h, ERR_HTTP_METHOD);
    struct h1_exchange *x = h1_exchange_take(h);
    if (!x)
        return refuse(h, ERR_NOMEM);
    enum err e = fill(h, x);
    if (e) {
        h1_exchange_recycle(x);
        return refuse(h, e);
    }
    dispatch(h, x);
    return 0;
}

/* ---- the body of a request --------------------------------------------------------------------------------------------- */

static void deliver(struct h1 *h, struct slice data, bool end)
{
    struct h1_exchange *x = h->current;
    if (x->finished || x->released || x->exchange.aborted || !x->exchange.events || !x->exchange.events->on_body)
        return;
    x->unconsumed_bytes += (uint32_t)data.size;
    x->exchange.events->on_body(&x->exchange, h->input, data, end);
}

static int on_body(http_parser *p, const char *at, size_t size)
{
    deliver(session_of(p), slice_of(at, size), false);
    return 0;
}

static int on_message_complete(http_parser *p)
{
    struct h1 *h = session_of(p);
    h->current->complete = true;
    deliver(h, SLICE_EMPTY, true);
    http_parser_pause(p, 1);
    return 0;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------------ */

static const http_parser_settings settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static void abort_user(struct h1_exchange *x, enum err e)
{
    bool told = x->exchange.aborted;
    x->exchange.aborted = true;
    if (!told && !x->released && x->exchange.events && x->exchange.events->on_abort)
        x->exchange.events->on_abort(&x->exchange, e);
}

/* The user of a request whose body is broken learns of it; the client gets a status where none is on its way. */
static void condemn(struct h1 *h, unsigned status, enum err e, const char *message)
{
    struct h1_exchange *x = h->current;
    bool answered = x && x->responded;
    if (x && answered)
        h1_exchange_flush(x);
    if (!answered)
        h1_answer(h, status, e, message);
    connection_close(h->connection, false);
    if (x)
        abort_user(x, e);
}

static void condemn_input(struct h1 *h)
{
    enum http_errno why = HTTP_PARSER_ERRNO(&h->parser);
    if (h->refusal)
        condemn(h, err_row(h->refusal)->http, h->refusal, NULL);
    else if (why == HPE_HEADER_OVERFLOW)
        condemn(h, err_row(ERR_HEADERS_TOO_LARGE)->http, ERR_HEADERS_TOO_LARGE, NULL);
    else
        condemn(h, err_row(ERR_HTTP_MALFORMED)->http, ERR_HTTP_MALFORMED, http_errno_description(why));
}

static void keep_rest(struct h1 *h, struct block *block, struct slice rest)
{
    h->rest = rest;
    h->rest_block = rest.size ? block_ref(block) : NULL;
    h1_update_reading(h);
}

static void parse(struct h1 *h, struct block *block, struct slice data)
{
    h->input = block;
    size_t used = http_parser_execute(&h->parser, &settings, (const char *)data.data, data.size);
    h->input = NULL;
    if (h->connection->closing)
        return;
    if (HTTP_PARSER_ERRNO(&h->parser) == HPE_PAUSED) {
        http_parser_pause(&h->parser, 0);
        keep_rest(h, block, slice_skip(data, used));
    } else if (HTTP_PARSER_ERRNO(&h->parser) != HPE_OK) {
        condemn_input(h);
    } else {
        h1_update_reading(h);
    }
}

static void on_data(void *session, struct block *block, struct slice data)
{
    struct h1 *h = session;
    if (h->current && h->current->complete)
        keep_rest(h, block, data);
    else
        parse(h, block, data);
}

static void wake_held(struct h1_exchange *x)
{
    if (!x->held || x->exchange.aborted || x->released)
        return;
    x->held = false;
    if (x->exchange.events && x->exchange.events->on_writable)
        x->exchange.events->on_writable(&x->exchange);
}

static void flush_task(struct task *task)
{
    struct h1 *h = (struct h1 *)((char *)task - offsetof(struct h1, flush));
    h->flush_due = false;
    if (h->gone) {
        mem_free(h);
        return;
    }
    if (h->connection->closing || !h->current)
        return;
    h1_exchange_flush(h->current);
    if (h1_exchange_is_over(h->current))
        h1_next(h);
    else if (conn_queued_bytes(h->connection->conn) <= LIMIT_OUTPUT_QUEUE_BYTES)
        wake_held(h->current); /* above it on_drained comes */
}

void h1_schedule_flush(struct h1 *h)
{
    if (h->flush_due || h->gone)
        return;
    h->flush_due = true;
    loop_defer(h->server->loop, &h->flush);
}

static void parse_rest(struct h1 *h)
{
    struct block *block = h->rest_block;
    struct slice rest = h->rest;
    h->rest_block = NULL;
    h->rest = SLICE_EMPTY;
    if (rest.size)
        parse(h, block, rest);
    block_unref(block);
    if (!h->connection->closing)
        h1_update_reading(h);
}

void h1_next(struct h1 *h)
{
    struct h1_exchange *x = h->current;
    bool stay = x->keep_alive && x->complete && !h->draining && !(h->eof && h->rest.size == 0);
    h->current = NULL;
    h->idle_since_ns = now(h);
    h1_exchange_recycle(x);
    if (stay)
        parse_rest(h);
    else
        connection_close(h->connection, false);
}

/* ---- the session ------------------------------------------------------------------------------------------------------ */

static enum err open_session(struct connection *c, void **ret_session)
{
    struct h1 *h = mem_zalloc(sizeof *h);
    if (!h)
        return ERR_NOMEM;
    h->connection = c;
    h->server = c->server;
    h->flush.run = flush_task;
    h->reading = true;
    h->idle_since_ns = c->opened_ns;
    buf_init(&h->head, LIMIT_HEADER_BYTES);
    http_parser_init(&h->parser, HTTP_REQUEST);
    h->parser.data = h;
    *ret_session = h;
    return OK;
}

static void on_drained(void *session)
{
    struct h1 *h = session;
    if (h->current)
        wake_held(h->current);
}

/* A client may close its side and still wait for the answer to a complete request. */
static void on_eof(void *session)
{
    struct h1 *h = session;
    h->eof = true;
    if (!h->current || !h->current->complete)
        connection_close(h->connection, false);
}

static void on_closed(void *session, enum err e)
{
    struct h1 *h = session;
    struct h1_exchange *x = h->current;
    h->current = NULL;
    if (x) {
        abort_user(x, e ? e : ERR_CANCELLED);
        x->h1 = NULL;
        if (x->released)
            h1_exchange_free(x);
    }
    h1_exchange_free(h->spare);
    block_unref(h->rest_block);
    buf_fini(&h->head);
    h->gone = true;
    if (!h->flush_due)
        mem_free(h);
}

static void sweep(void *session, uint64_t now_ns)
{
    struct h1 *h = session;
    struct conn *conn = h->connection->conn;
    connection_output(h->connection, conn_queued_bytes(conn), 0);
    uint32_t idle_ms = h->seen_request ? LIMIT_HTTP1_IDLE_MS : LIMIT_FIRST_REQUEST_MS;
    if (conn_queued_bytes(conn) && is_late(conn_last_write_ns(conn), now_ns, LIMIT_WRITE_STALL_MS))
        connection_close(h->connection, true);
    else if (h->head_began_ns && is_late(h->head_began_ns, now_ns, LIMIT_HEADERS_MS))
        condemn(h, STATUS_REQUEST_TIMEOUT, ERR_DEADLINE_EXCEEDED, "The head of the request took too long.");
    else if (!h->head_began_ns && !h->current && is_late(h->idle_since_ns, now_ns, idle_ms))
        connection_close(h->connection, false);
}

static void drain(void *session)
{
    struct h1 *h = session;
    h->draining = true;
    if (!h->current && !h->head_began_ns)
        connection_close(h->connection, false);
}

static void refuse_client(void *session)
{
    condemn(session, err_row(ERR_TOO_MANY_CONNECTIONS)->http, ERR_TOO_MANY_CONNECTIONS, NULL);
}

const struct protocol http1_protocol = {open_session, on_data, on_drained, on_eof,
                                        on_closed,    sweep,   drain,      refuse_client};
