/* A stream of HTTP/2 as an exchange (http.h). What users write is noted in the stream and handed to nghttp2 once a batch, so
 * that headers, messages and trailers of a unary answer leave in one write. http2.h has the states.
 *
 * Invariants: fields, response and trailers lie in the exchange's arena, which lives until the stream is recycled, and that
 * is after nghttp2 has closed it; h2->buffered_bytes is the sum of what waits in out over all streams. */
#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"
#include "rpc/http2.h"

enum {
    FIELDS_FIRST = 16,
    OUT_KEPT_BYTES = 32 << 10,  /* a larger buffer is not kept for the next stream */
    OUT_NOTE_BYTES = 256 << 10, /* more than the share knows of: it is told before the flush */
    STREAMS_KEPT = 1024,
    OUT_HOLD_BYTES = LIMIT_HTTP2_STREAM_WINDOW_BYTES,
    OUT_MAX_BYTES = LIMIT_MESSAGE_BYTES_MAX + (1 << 20), /* the largest message, behind those that waited already */
    FIELD_OVERHEAD_BYTES = 32,                           /* RFC 9113 6.5.2 */
};

static const struct http_carrier h2_carrier;

static struct h2_stream *stream_of(struct http_exchange *x)
{
    return (struct h2_stream *)x;
}

static size_t waiting(const struct h2_stream *s)
{
    return s->out.size - s->out_sent;
}

/* ---- life ------------------------------------------------------------------------------------------------------------- */

static struct h2_stream *take_free(struct rpc_server *server)
{
    struct h2_stream *s = server->h2_free;
    if (s) {
        server->h2_free = s->next;
        server->h2_free_count--;
        return s;
    }
    s = mem_zalloc(sizeof *s);
    if (!s)
        return NULL;
    arena_init(&s->exchange.arena, LIMIT_CALL_ARENA_BYTES);
    buf_init(&s->out, OUT_MAX_BYTES);
    return s;
}

static void clear(struct h2_stream *s)
{
    struct arena arena = s->exchange.arena;
    struct buf out = s->out;
    *s = (struct h2_stream){.exchange.arena = arena, .out = out};
}

struct h2_stream *h2_stream_open(struct h2 *h, int32_t id)
{
    struct h2_stream *s = take_free(h->server);
    if (!s)
        return NULL;
    s->h2 = h;
    s->id = id;
    s->exchange.conn = h->connection->conn;
    s->exchange.share = h->connection->share;
    s->exchange.loop = h->server->loop;
    s->exchange.server = h->server;
    s->exchange.carrier = &h2_carrier;
    s->next = h->streams;
    if (h->streams)
        h->streams->prev = s;
    h->streams = s;
    h->stream_count++;
    return s;
}

static void unlink_from_session(struct h2_stream *s)
{
    struct h2 *h = s->h2;
    if (s->next)
        s->next->prev = s->prev;
    if (s->prev)
        s->prev->next = s->next;
    else
        h->streams = s->next;
    h->stream_count--;
    if (h->recent == s)
        h->recent = NULL;
    h->buffered_bytes -= waiting(s);
    if (h->stream_count == 0)
        h->idle_since_ns = loop_now_ns(h->server->loop);
    s->h2 = NULL;
    s->next = s->prev = NULL;
}

static void free_stream(struct h2_stream *s)
{
    arena_fini(&s->exchange.arena);
    buf_fini(&s->out);
    mem_free(s);
}

/* Carrier, user and the dirty list have let go. */
static void maybe_recycle(struct h2_stream *s)
{
    if (!s->closed || !s->released || s->is_dirty)
        return;
    struct rpc_server *server = s->exchange.server;
    if (s->h2)
        unlink_from_session(s);
    if (server->h2_free_count >= STREAMS_KEPT) {
        free_stream(s);
        return;
    }
    if (s->out.capacity > OUT_KEPT_BYTES)
        buf_fini(&s->out);
    arena_reset(&s->exchange.arena);
    buf_reset(&s->out);
    clear(s);
    s->next = server->h2_free;
    server->h2_free = s;
    server->h2_free_count++;
}

void h2_streams_free(struct rpc_server *server)
{
    while (server->h2_free) {
        struct h2_stream *s = server->h2_free;
        server->h2_free = s->next;
        free_stream(s);
    }
}

/* The user's events end here: an answer that is complete needs no abort. */
static void abort_user(struct h2_stream *s, enum err e)
{
    bool tell = s->dispatched && !s->released && !s->response_sent;
    s->exchange.aborted = true;
    if (tell && s->exchange.events && s->exchange.events->on_abort)
        s->exchange.events->on_abort(&s->exchange, e);
}

void h2_stream_closed(struct h2_stream *s, uint32_t error_code)
{
    if (s->unconsumed_bytes)
        nghttp2_session_consume_connection(s->h2->session, s->unconsumed_bytes);
    s->unconsumed_bytes = 0;
    if (!s->dispatched)
        s->released = true;
    /* closed comes last: the user may let go in on_abort, and the stream must outlive the call. */
    abort_user(s, error_code == NGHTTP2_REFUSED_STREAM ? ERR_UNAVAILABLE : ERR_CANCELLED);
    s->closed = true;
    maybe_recycle(s);
}

void h2_stream_orphan(struct h2_stream *s, enum err e)
{
    if (!s->dispatched)
        s->released = true;
    unlink_from_session(s);
    s->is_dirty = false;
    abort_user(s, e);
    s->exchange.conn = NULL;
    s->closed = true;
    maybe_recycle(s);
}

/* ---- the request ------------------------------------------------------------------------------------------------------ */

/* Counted before it is stored (CVE-2026-49975): a field past the limits costs nothing but its decoding. */
static bool fits(struct h2_stream *s, struct slice name, struct slice value)
{
    size_t bytes = s->header_bytes + name.size + value.size + FIELD_OVERHEAD_BYTES;
    s->too_large |= bytes > LIMIT_HEADER_BYTES || value.size > LIMIT_HEADER_VALUE_BYTES ||
                    s->exchange.header_count >= LIMIT_HEADER_FIELDS;
    if (!s->too_large)
        s->header_bytes = (uint32_t)bytes;
    return !s->too_large;
}

static void set_path(struct http_exchange *x, struct slice value)
{
    const uint8_t *mark = value.size ? memchr(value.data, '?', value.size) : NULL;
    x->path = mark ? slice_of(value.data, (size_t)(mark - value.data)) : value;
    x->query = mark ? slice_skip(value, x->path.size + 1) : SLICE_EMPTY;
}

/* gRPC over HTTP/2 knows these two. Others name resources that are not ours to answer for. */
static bool is_scheme(struct slice value)
{
    return slice_eq(value, SLICE("http")) || slice_eq(value, SLICE("https"));
}

static void set_pseudo(struct h2_stream *s, struct slice name, struct slice value)
{
    struct http_exchange *x = &s->exchange;
    if (slice_eq(name, SLICE(":scheme")))
        s->malformed |= !is_scheme(value);
    else if (slice_eq(name, SLICE(":method")))
        x->method = value;
    else if (slice_eq(name, SLICE(":path")))
        set_path(x, value);
    else if (slice_eq(name, SLICE(":authority")))
        x->authority = value;
}

static bool room_for_field(struct h2_stream *s)
{
    if (s->exchange.header_count < s->header_capacity)
        return true;
    uint32_t capacity = s->header_capacity ? s->header_capacity * 2 : FIELDS_FIRST;
    struct http_header *fields =
        arena_grow(&s->exchange.arena, s->fields, s->header_capacity * sizeof *fields, capacity * sizeof *fields);
    if (!fields)
        return false;
    s->fields = fields;
    s->header_capacity = capacity;
    s->exchange.headers = fields;
    return true;
}

enum err h2_stream_field(struct h2_stream *s, struct slice name, struct slice value)
{
    if (s->dispatched || !fits(s, name, value)) /* trailers of a request say nothing to us */
        return OK;
    bool pseudo = name.size && name.data[0] == ':';
    if (!pseudo && !room_for_field(s))
        return ERR_NOMEM;
    uint8_t *bytes = arena_alloc(&s->exchange.arena, name.size + value.size + 1);
    if (!bytes)
        return ERR_NOMEM;
    memcpy(bytes, name.data, name.size);
    memcpy(bytes + name.size, value.data, value.size);
    name.data = bytes;
    value.data = bytes + name.size;
    if (pseudo)
        set_pseudo(s, name, value);
    else
        s->fields[s->exchange.header_count++] = (struct http_header){name, value};
    return OK;
}

/* Nobody has seen it, nobody will. The reset is charged to the peer. */
static void drop(struct h2_stream *s)
{
    s->released = true;
    nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_PROTOCOL_ERROR);
}

void h2_stream_dispatch(struct h2_stream *s)
{
    if (s->malformed) {
        drop(s);
        return;
    }
    s->dispatched = true;
    if (s->exchange.authority.size == 0)
        s->exchange.authority = http_header_get(&s->exchange, "host");
    if (s->too_large)
        http_refuse(&s->exchange, ERR_HEADERS_TOO_LARGE);
    else
        http_dispatch(&s->exchange);
}

static bool has_reader(const struct h2_stream *s)
{
    return !s->released && !s->exchange.aborted && s->exchange.events && s->exchange.events->on_body;
}

void h2_stream_body(struct h2_stream *s, struct block *block, struct slice data)
{
    s->unconsumed_bytes += (uint32_t)data.size;
    if (has_reader(s))
        s->exchange.events->on_body(&s->exchange, block, data, false);
    else
        http_consumed(&s->exchange, data.size);
}

void h2_stream_request_end(struct h2_stream *s)
{
    s->request_ended = true;
    if (has_reader(s))
        s->exchange.events->on_body(&s->exchange, NULL, SLICE_EMPTY, true);
}

/* ---- the response: the user's side ------------------------------------------------------------------------------------ */

static void mark_dirty(struct h2_stream *s)
{
    struct h2 *h = s->h2;
    if (!s->is_dirty) {
        s->is_dirty = true;
        s->next_dirty = h->dirty;
        h->dirty = s;
    }
    h2_schedule_flush(h);
}

static void reset_stream(struct h2_stream *s, uint32_t code)
{
    if (s->exchange.aborted || s->closed)
        return;
    s->exchange.aborted = true;
    s->own_reset = true;
    nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, code);
    h2_schedule_flush(s->h2);
}

static bool is_request_id(struct slice name)
{
    return name.size == 16 && memcmp(name.data, "prism-request-id", 16) == 0;
}

/* Values that differ from call to call would only push the useful ones out of the peer's table. The first request id of a
 * connection goes in all the same: from then on its name is one byte instead of a string in Huffman code. */
static bool stays_out_of_table(struct h2 *h, struct slice name)
{
    if (!is_request_id(name))
        return slice_eq(name, SLICE("grpc-message")) || slice_eq(name, SLICE("grpc-status-details-bin"));
    bool named = h->id_is_named;
    h->id_is_named = true;
    return named;
}

static uint8_t *put_field(struct h2 *h2, nghttp2_nv *to, const struct http_header *h, uint8_t *bytes)
{
    to->name = memcpy(bytes, h->name.data, h->name.size);
    to->namelen = h->name.size;
    bytes += h->name.size;
    to->value = h->value.size ? memcpy(bytes, h->value.data, h->value.size) : bytes;
    to->valuelen = h->value.size;
    to->flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    if (stays_out_of_table(h2, h->name))
        to->flags |= NGHTTP2_NV_FLAG_NO_INDEX;
    return bytes + h->value.size;
}

/* An array with room in front of the fields, and their bytes, in one piece of the arena. NULL: out of memory. */
static nghttp2_nv *copy_fields(struct h2_stream *s, size_t front, const struct http_header *h, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += h[i].name.size + h[i].value.size;
    nghttp2_nv *list = arena_alloc(&s->exchange.arena, (front + count) * sizeof *list + bytes + 4);
    if (!list)
        return NULL;
    uint8_t *end = (uint8_t *)(list + front + count);
    for (size_t i = 0; i < count; i++)
        end = put_field(s->h2, &list[front + i], &h[i], end);
    return list;
}

static nghttp2_nv status_field(struct h2_stream *s, unsigned status)
{
    static const uint8_t ok[] = "200";
    uint8_t *text = status == 200 ? (uint8_t *)ok : (uint8_t *)arena_printf(&s->exchange.arena, "%03u", status % 1000);
    return (nghttp2_nv){(uint8_t *)":status", text, 7, text ? 3 : 0,
                        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

/* RFC 9113 7; gRPC's mapping of statuses to codes (PROTOCOL-HTTP2.md, Errors). */
static uint32_t code_for(enum err e)
{
    switch (err_row(e)->grpc) {
    case 1:
    case 4:
        return NGHTTP2_CANCEL;
    case 8:
        return NGHTTP2_ENHANCE_YOUR_CALM;
    case 14:
        return NGHTTP2_REFUSED_STREAM;
    default:
        return NGHTTP2_INTERNAL_ERROR;
    }
}

/* The caller is told that memory is short: nothing of it is wrong on this side. */
static void run_short(struct h2_stream *s)
{
    reset_stream(s, code_for(ERR_NOMEM));
}

static void respond(struct http_exchange *x, unsigned status, const struct http_header *headers, size_t count)
{
    struct h2_stream *s = stream_of(x);
    if (x->aborted)
        return;
    assert(!s->responded);
    nghttp2_nv *fields = copy_fields(s, 1, headers, count);
    if (fields)
        fields[0] = status_field(s, status);
    if (!fields || !fields[0].value) {
        run_short(s);
        return;
    }
    s->response = fields;
    s->response_count = count + 1;
    s->responded = true;
    mark_dirty(s);
}

/* Moves what waits to the front when more than half of a large buffer is gone. */
static void compact(struct h2_stream *s)
{
    if (s->out_sent < OUT_KEPT_BYTES || s->out_sent < s->out.size / 2)
        return;
    buf_consume(&s->out, s->out_sent);
    s->out_sent = 0;
}

static enum flow write_body(struct http_exchange *x, const struct slice *parts, size_t count)
{
    struct h2_stream *s = stream_of(x);
    if (x->aborted)
        return FLOW_HOLD;
    assert(s->responded && !s->finished);
    struct h2 *h = s->h2;
    size_t before = waiting(s);
    compact(s);
    for (size_t i = 0; i < count; i++)
        buf_put_slice(&s->out, parts[i]);
    if (h->buffered_bytes == 0)
        h->accounts.stalled_since_ns = loop_now_ns(x->loop);
    h->buffered_bytes += waiting(s) - before;
    if (buf_err(&s->out)) {
        run_short(s);
        return FLOW_HOLD;
    }
    mark_dirty(s);
    if (h->buffered_bytes > h->connection->output_bytes + OUT_NOTE_BYTES)
        h2_note_output(h);
    s->held = waiting(s) >= OUT_HOLD_BYTES || h->buffered_bytes >= LIMIT_OUTPUT_QUEUE_BYTES;
    h->any_held |= s->held;
    return s->held ? FLOW_HOLD : FLOW_GO;
}

static void finish(struct http_exchange *x, const struct http_header *trailers, size_t count)
{
    struct h2_stream *s = stream_of(x);
    if (x->aborted)
        return;
    assert(s->responded && !s->finished);
    if (count && !(s->trailers = copy_fields(s, 0, trailers, count))) {
        run_short(s);
        return;
    }
    s->trailer_count = count;
    s->finished = true;
    s->held = false;
    mark_dirty(s);
}

static void reset(struct http_exchange *x, enum err e)
{
    reset_stream(stream_of(x), code_for(e));
}

static void consumed(struct http_exchange *x, size_t size)
{
    struct h2_stream *s = stream_of(x);
    if (s->closed || !s->h2 || size == 0)
        return;
    assert(size <= s->unconsumed_bytes);
    s->unconsumed_bytes -= (uint32_t)size;
    nghttp2_session_consume(s->h2->session, s->id, size);
    h2_schedule_flush(s->h2);
}

static void release(struct http_exchange *x)
{
    struct h2_stream *s = stream_of(x);
    s->released = true;
    s->held = false;
    if (s->unconsumed_bytes)
        consumed(x, s->unconsumed_bytes);
    maybe_recycle(s);
}

static const struct http_carrier h2_carrier = {respond, write_body, finish, reset, consumed, release};

/* ---- the response: nghttp2's side ------------------------------------------------------------------------------------- */

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    (void)buf;
    (void)user;
    struct h2_stream *s = source->ptr;
    size_t size = waiting(s) < length ? waiting(s) : length;
    if (size == 0 && !s->finished)
        return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!s->finished || size < waiting(s))
        return (ssize_t)size;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (s->trailer_count) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(session, id, s->trailers, s->trailer_count) != 0) {
            run_short(s);
            return NGHTTP2_ERR_DEFERRED;
        }
    }
    return (ssize_t)size;
}
const nghttp2_data_source_read_callback h2_read_body = read_body;

struct slice h2_stream_take(struct h2_stream *s, size_t size)
{
    assert(size <= waiting(s));
    struct slice bytes = slice_take(slice_skip(buf_slice(&s->out), s->out_sent), size);
    s->out_sent += size;
    s->h2->buffered_bytes -= size;
    if (s->out_sent == s->out.size) {
        buf_reset(&s->out);
        s->out_sent = 0;
    }
    return bytes;
}

/* gRPC calls an answer without messages trailers-only: its headers end the stream. */
static int submit_response(struct h2_stream *s)
{
    bool headers_only = s->finished && waiting(s) == 0 && s->trailer_count == 0;
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = h2_read_body};
    s->submitted = true;
    return nghttp2_submit_response(s->h2->session, s->id, s->response, s->response_count, headers_only ? NULL : &body);
}

static void submit(struct h2_stream *s)
{
    if (s->closed || s->exchange.aborted)
        return;
    if (s->submitted)
        nghttp2_session_resume_data(s->h2->session, s->id); /* an error says that it is not deferred: fine */
    else if (submit_response(s) != 0)
        run_short(s);
}

void h2_submit_dirty(struct h2 *h)
{
    while (h->dirty) {
        struct h2_stream *s = h->dirty;
        h->dirty = s->next_dirty;
        s->is_dirty = false;
        submit(s);
        maybe_recycle(s);
    }
}

static bool may_wake(const struct h2_stream *s)
{
    return s->held && waiting(s) <= OUT_HOLD_BYTES / 2 && s->h2->buffered_bytes <= LIMIT_OUTPUT_QUEUE_BYTES / 2;
}

/* A user that is woken may end its stream, and with it its place in the list: start over after each. */
void h2_wake_held(struct h2 *h)
{
    if (!h->any_held)
        return;
    for (struct h2_stream *s = h->streams; s;) {
        if (!may_wake(s)) {
            s = s->next;
            continue;
        }
        s->held = false;
        if (s->exchange.events && s->exchange.events->on_writable)
            s->exchange.events->on_writable(&s->exchange);
        s = h->streams;
    }
    h->any_held = false;
    for (struct h2_stream *s = h->streams; s; s = s->next)
        h->any_held |= s->held;
}
