/* gRPC on an exchange: headers to call, body to messages, messages to body, status to trailers.
 *
 * A method without client streaming sees its message only when the request is complete and right. Where the client streams,
 * the handler asks for each message; what comes before it asks waits in `pending`, whose size the stream's window bounds.
 *
 *   body ──▶ pending (client streams, handler busy) ──▶ reader ──▶ inflate? ──▶ message ──▶ handler
 *        └──────────────────────────────────────────────▲
 *
 * Choices where the specification leaves one: a malformed grpc-timeout is INTERNAL; a missing te header is tolerated. A unary
 * call with any other number of messages than one is UNIMPLEMENTED (statuscodes.md, "request cardinality violation").
 * Source: grpc/doc/PROTOCOL-HTTP2.md, compression.md, statuscodes.md. */
#include <assert.h>
#include <stdio.h>

#include "base/base64.h"
#include "base/limits.h"
#include "rpc/call.h"
#include "rpc/grpc_frame.h"
#include "rpc/grpc_text.h"
#include "rpc/status.h"

/* A message up to this size is copied: that is cheaper than to keep a read block of 64 KiB from being used again. */
enum { COPY_BYTES = 1024 };

struct grpc_call {
    struct wire_call call; /* first */
    struct grpc_reader reader;
    struct buf pending;         /* body bytes that the handler has not asked for; not yet given back to the window */
    size_t pending_read;        /* bytes at its front that have been */
    struct arena message_arena; /* of the message that the handler has, where the client streams */
    struct block *block;        /* what that message borrows from */
    struct rpc_message message; /* of a method that takes one */
    struct task pump;
    uint32_t message_count; /* received */
    uint32_t sent_count;
    bool wanted; /* the handler takes a message */
    bool ended;  /* the client sends no more */
    bool pump_due;
    bool inflates, accepts_gzip, announces_gzip;
};

static struct grpc_call *grpc_of(struct wire_call *c)
{
    return (struct grpc_call *)c; /* the first member */
}

static bool client_streams(const struct grpc_call *g)
{
    return g->call.rpc.method->client_streaming;
}

/* ---- the request's messages ------------------------------------------------------------------------------------------- */

static struct arena *arena_of_message(struct grpc_call *g)
{
    return client_streams(g) ? &g->message_arena : g->call.rpc.arena;
}

static void forget_message(struct grpc_call *g)
{
    block_unref(g->block);
    g->block = NULL;
    if (client_streams(g))
        arena_reset(&g->message_arena);
}

static enum err inflate_message(struct grpc_call *g, struct slice *bytes)
{
    if (!g->inflates)
        return diag_set(&g->call.rpc.diag, ERR_GRPC_MALFORMED, "a compressed message without grpc-encoding");
    struct buf *out = &g->call.rpc.server->scratch;
    buf_reset(out);
    out->bytes_max = g->call.message_bytes_max;
    enum err e = gzip_inflate(&g->call.rpc.server->gzip, *bytes, out);
    if (e)
        return e;
    return arena_copy(arena_of_message(g), buf_slice(out), bytes) ? OK : ERR_NOMEM;
}

/* Makes the message last until the handler is done with it. block NULL: its bytes are those of `pending`. */
static enum err keep_message(struct grpc_call *g, struct block *block, const struct grpc_message *m,
                             struct slice *ret_bytes)
{
    *ret_bytes = m->bytes;
    if (m->compressed)
        return inflate_message(g, ret_bytes);
    if (!m->in_input)
        return OK; /* the reader's, which reads on when the handler asks */
    if (m->bytes.size > COPY_BYTES && block) {
        g->block = block_ref(block);
        return OK;
    }
    return arena_copy(arena_of_message(g), m->bytes, ret_bytes) ? OK : ERR_NOMEM;
}

static enum err explain_too_large(struct grpc_call *g)
{
    struct diag *d = &g->call.rpc.diag;
    diag_set(d, ERR_MESSAGE_TOO_LARGE, "a message is larger than %u bytes", g->call.message_bytes_max);
    diag_meta(d, "limit_bytes", "%u", g->call.message_bytes_max);
    return ERR_MESSAGE_TOO_LARGE;
}

static enum err read_message(struct grpc_call *g, struct block *block, struct slice *input,
                             struct rpc_message *ret_message, bool *ret_complete)
{
    struct grpc_message m;
    enum err e = grpc_read(&g->reader, input, &m, ret_complete);
    if (!e && *ret_complete) {
        g->message_count++;
        g->call.bytes_in += GRPC_PREFIX_BYTES + m.bytes.size;
        ret_message->compressed = m.compressed;
        e = keep_message(g, block, &m, &ret_message->raw);
    }
    return e == ERR_MESSAGE_TOO_LARGE ? explain_too_large(g) : e;
}

/* ---- methods that take one message ------------------------------------------------------------------------------------ */

static enum err take_single(struct grpc_call *g, struct block *block, struct slice data)
{
    struct diag *d = &g->call.rpc.diag;
    while (data.size) {
        if (g->message_count)
            return diag_set(d, ERR_UNIMPLEMENTED, "more than one message for a method that takes one");
        bool complete;
        enum err e = read_message(g, block, &data, &g->message, &complete);
        if (e)
            return e;
    }
    return OK;
}

static enum err check_single(struct grpc_call *g)
{
    struct diag *d = &g->call.rpc.diag;
    if (!grpc_reader_at_boundary(&g->reader))
        return diag_set(d, ERR_GRPC_MALFORMED, "the stream ended inside a message");
    if (g->message_count == 0)
        return diag_set(d, ERR_UNIMPLEMENTED, "no message for a method that takes one");
    return OK;
}

static void body_of_single(struct grpc_call *g, struct block *block, struct slice data, bool end)
{
    struct wire_call *c = &g->call;
    enum err e = take_single(g, block, data);
    http_consumed(c->exchange, data.size);
    if (!e && end)
        e = check_single(g);
    if (e) {
        rpc_call_fail(c, e);
    } else if (end) {
        rpc_call_start(c);
        rpc_call_message(c, &g->message);
        rpc_call_end_of_messages(c);
    }
}

/* ---- methods that take a stream --------------------------------------------------------------------------------------- */

static bool takes_more(const struct grpc_call *g)
{
    return g->wanted && !g->call.answered && !g->call.finished;
}

/* Reads one message and hands it on. Whether it made progress. */
static enum err pump_one(struct grpc_call *g, struct block *block, struct slice *input, bool *ret_delivered)
{
    struct rpc_message message = {0};
    forget_message(g);
    enum err e = read_message(g, block, input, &message, ret_delivered);
    if (e || !*ret_delivered)
        return e;
    g->wanted = false;
    rpc_call_message(&g->call, &message);
    return OK;
}

static enum err pump_input(struct grpc_call *g, struct block *block, struct slice *input)
{
    bool delivered = true;
    enum err e = OK;
    while (!e && delivered && takes_more(g))
        e = pump_one(g, block, input, &delivered);
    return e;
}

static enum err pump_pending(struct grpc_call *g)
{
    struct slice rest = slice_skip(buf_slice(&g->pending), g->pending_read);
    size_t before = rest.size;
    enum err e = pump_input(g, NULL, &rest);
    g->pending_read += before - rest.size;
    http_consumed(g->call.exchange, before - rest.size);
    if (g->pending_read == g->pending.size) {
        buf_reset(&g->pending);
        g->pending_read = 0;
    }
    return e;
}

static void end_stream(struct grpc_call *g)
{
    bool all_read = g->pending.size == 0;
    if (!g->ended || !all_read || g->call.answered)
        return;
    g->ended = false; /* told once */
    if (grpc_reader_at_boundary(&g->reader))
        rpc_call_end_of_messages(&g->call);
    else
        rpc_call_fail(&g->call, diag_set(&g->call.rpc.diag, ERR_GRPC_MALFORMED, "the stream ended inside a message"));
}

static enum err keep_pending(struct grpc_call *g, struct slice data)
{
    buf_consume(&g->pending, g->pending_read);
    g->pending_read = 0;
    buf_put_slice(&g->pending, data);
    return buf_err(&g->pending);
}

static void body_of_stream(struct grpc_call *g, struct block *block, struct slice data, bool end)
{
    struct wire_call *c = &g->call;
    struct slice rest = data;
    enum err e = g->pending.size ? OK : pump_input(g, block, &rest);
    http_consumed(c->exchange, data.size - rest.size);
    if (!e && rest.size)
        e = keep_pending(g, rest);
    g->ended |= end;
    if (e)
        rpc_call_fail(c, e);
    else
        end_stream(g);
}

static void pump_task(struct task *task)
{
    struct grpc_call *g = (struct grpc_call *)((char *)task - offsetof(struct grpc_call, pump));
    g->pump_due = false;
    if (!g->call.answered) {
        enum err e = pump_pending(g);
        if (e)
            rpc_call_fail(&g->call, e);
        else
            end_stream(g);
    }
    rpc_call_leave(&g->call);
}

/* The handler may be inside on_message, on_start, or far from here: go on from the loop. */
static void receive(struct wire_call *c)
{
    struct grpc_call *g = grpc_of(c);
    g->wanted = true;
    if (g->pump_due || !client_streams(g) || (g->pending.size == 0 && !g->ended))
        return;
    g->pump_due = true;
    rpc_call_enter(c); /* kept until the task has run */
    loop_defer(c->rpc.loop, &g->pump);
}

/* ---- the response ----------------------------------------------------------------------------------------------------- */

enum { RESPONSE_FIELDS = 6 }; /* content-type, request id, encoding; trailers-only: status, message, details */

struct field_list {
    struct http_header *items;
    size_t count;
};

static size_t count_fields(const struct call_field *f)
{
    size_t count = 0;
    for (; f; f = f->next)
        count++;
    return count;
}

static void put_field(struct field_list *list, struct slice name, struct slice value)
{
    list->items[list->count++] = (struct http_header){name, value};
}

static void put_fields(struct field_list *list, const struct call_field *f)
{
    for (; f; f = f->next)
        list->items[list->count++] = f->header;
}

static void put_head(struct grpc_call *g, struct field_list *list)
{
    put_field(list, SLICE("content-type"), SLICE("application/grpc"));
    put_field(list, SLICE("prism-request-id"), g->call.rpc.request_id);
    g->announces_gzip = g->accepts_gzip && g->call.compress;
    if (g->announces_gzip)
        put_field(list, SLICE("grpc-encoding"), SLICE("gzip"));
    put_fields(list, g->call.headers);
}

/* NULL: out of memory; the stream is reset. */
static struct http_header *new_fields(struct wire_call *c, size_t count)
{
    struct http_header *items = arena_alloc(c->rpc.arena, count * sizeof *items);
    if (!items)
        http_reset(c->exchange, ERR_NOMEM);
    return items;
}

static void send_headers(struct wire_call *c)
{
    if (c->headers_sent)
        return;
    struct field_list list = {new_fields(c, RESPONSE_FIELDS + count_fields(c->headers)), 0};
    c->headers_sent = true;
    if (!list.items)
        return;
    put_head(grpc_of(c), &list);
    http_respond(c->exchange, 200, list.items, list.count);
}

static enum flow write_message(struct wire_call *c, bool compressed, struct slice bytes)
{
    uint8_t prefix[GRPC_PREFIX_BYTES];
    struct slice parts[] = {slice_of(prefix, sizeof prefix), bytes};
    send_headers(c);
    grpc_prefix(prefix, compressed, (uint32_t)bytes.size);
    grpc_of(c)->sent_count++;
    c->bytes_out += sizeof prefix + bytes.size;
    return http_write(c->exchange, parts, 2);
}

/* A message that does not fit ends the call: the client would wait for it. */
static enum flow refuse_message(struct wire_call *c, enum err e)
{
    rpc_call_fail_soon(c,
                       diag_set(&c->rpc.diag, e, "a message of the response could not be sent: %s", err_row(e)->text));
    return FLOW_HOLD;
}

static enum flow send_raw(struct wire_call *c, struct slice encoded)
{
    if (encoded.size > LIMIT_MESSAGE_BYTES_MAX)
        return refuse_message(c, ERR_MESSAGE_TOO_LARGE);
    send_headers(c);
    if (!c->compress || !grpc_of(c)->announces_gzip)
        return write_message(c, false, encoded);
    struct buf *out = &c->rpc.server->scratch;
    buf_reset(out);
    out->bytes_max = LIMIT_MESSAGE_BYTES_MAX;
    enum err e = gzip_deflate(&c->rpc.server->gzip, encoded, out);
    return e ? refuse_message(c, e) : write_message(c, true, buf_slice(out));
}

static enum flow send_message(struct wire_call *c, const void *message)
{
    struct buf *out = &c->rpc.server->encoded;
    buf_reset(out);
    enum err e = pb_encode_buf(c->rpc.method->output, message, out);
    return e ? refuse_message(c, e) : send_raw(c, buf_slice(out));
}

/* ---- the status ------------------------------------------------------------------------------------------------------- */

/* Texts longer than this are cut: clients limit the size of trailers. */
enum { MESSAGE_BYTES = 1024, DETAILS_BYTES = 4096 };

static void put_details(struct wire_call *c, struct field_list *list, enum err e)
{
    struct slice bytes;
    if (!status_encode(c->rpc.arena, e, &c->rpc.diag, &bytes))
        return;
    if (bytes.size > DETAILS_BYTES && !status_encode(c->rpc.arena, e, NULL, &bytes))
        return;
    size_t size = base64_encoded_size(bytes.size, BASE64_BARE);
    char *text = arena_alloc(c->rpc.arena, size + 1);
    if (!text)
        return;
    base64_encode(bytes, BASE64_BARE, text);
    put_field(list, SLICE("grpc-status-details-bin"), slice_of(text, size));
}

/* What the handler has added goes before ours: a forwarder hands on what it was told. */
static bool has_details(const struct wire_call *c)
{
    for (const struct call_field *f = c->trailers; f; f = f->next)
        if (slice_eq(f->header.name, SLICE("grpc-status-details-bin")))
            return true;
    return false;
}

/* Not inside a character of UTF-8. */
static struct slice cut(struct slice text, size_t size)
{
    if (text.size <= size)
        return text;
    while (size && (text.data[size] & 0xc0) == 0x80)
        size--;
    return slice_take(text, size);
}

static void put_message(struct wire_call *c, struct field_list *list, enum err e)
{
    const struct diag *d = &c->rpc.diag;
    struct slice text = slice_str(d->err == e ? diag_message(d) : err_row(e)->text), encoded;
    if (grpc_message_encode(c->rpc.arena, cut(text, MESSAGE_BYTES), &encoded))
        put_field(list, SLICE("grpc-message"), encoded);
}

static void put_status(struct wire_call *c, struct field_list *list, enum err e)
{
    static const char codes[][3] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                    "9", "10", "11", "12", "13", "14", "15", "16"};
    put_field(list, SLICE("grpc-status"), slice_str(codes[err_row(e)->grpc]));
    if (e) {
        put_message(c, list, e);
        if (!c->rpc.server->options.plain_status && !has_details(c))
            put_details(c, list, e);
    }
    if (e == ERR_COMPRESSION_UNKNOWN)
        put_field(list, SLICE("grpc-accept-encoding"), SLICE("identity,gzip"));
    put_fields(list, c->trailers);
}

/* A diag that was only added to (diag_field without diag_set) belongs to the error that ends the call. */
static void adopt_diag(struct wire_call *c, enum err e)
{
    if (e && c->rpc.diag.err == OK)
        c->rpc.diag.err = e;
}

static enum err check_answer(const struct grpc_call *g, enum err e)
{
    bool owes_one = !g->call.rpc.method->server_streaming && g->sent_count != 1;
    return e == OK && owes_one ? ERR_INTERNAL : e;
}

static void finish(struct wire_call *c, enum err e)
{
    e = check_answer(grpc_of(c), e);
    adopt_diag(c, e);
    size_t count = RESPONSE_FIELDS + 1 + count_fields(c->headers) + count_fields(c->trailers);
    struct field_list list = {new_fields(c, count), 0};
    if (!list.items)
        return;
    if (c->headers) /* apart from the trailers, which they would become in a response without messages */
        send_headers(c);
    if (c->headers_sent) {
        put_status(c, &list, e);
        http_finish(c->exchange, list.items, list.count);
        return;
    }
    c->headers_sent = true;
    put_head(grpc_of(c), &list);
    put_status(c, &list, e);
    http_respond(c->exchange, 200, list.items, list.count);
    http_finish(c->exchange, NULL, 0);
}

/* ---- the call --------------------------------------------------------------------------------------------------------- */

static enum err decode(struct wire_call *c, const struct rpc_message *message, void **ret_message)
{
    struct pb_limits limits = {.depth = LIMIT_PB_DEPTH, .bytes = (size_t)c->message_bytes_max * LIMIT_DECODE_EXPANSION};
    enum err e = pb_decode(c->rpc.method->input, message->raw, arena_of_message(grpc_of(c)), &limits, ret_message);
    return e ? diag_set(&c->rpc.diag, e, "%s: %s", c->rpc.method->input->name, err_row(e)->text) : OK;
}

static void discard(struct wire_call *c)
{
    struct grpc_call *g = grpc_of(c);
    block_unref(g->block);
    arena_fini(&g->message_arena);
    grpc_reader_fini(&g->reader);
    buf_fini(&g->pending);
}

static const struct call_wire grpc_wire = {RPC_GRPC, send_headers, send_message, send_raw,
                                           receive,  decode,       finish,       discard};

static void on_body(struct http_exchange *x, struct block *block, struct slice data, bool end)
{
    struct grpc_call *g = x->user;
    struct wire_call *c = &g->call;
    if (c->answered) {
        http_consumed(x, data.size);
        return;
    }
    rpc_call_enter(c);
    if (client_streams(g))
        body_of_stream(g, block, data, end);
    else
        body_of_single(g, block, data, end);
    rpc_call_leave(c);
}

static void on_writable(struct http_exchange *x)
{
    rpc_call_ready(x->user);
}

static void on_abort(struct http_exchange *x, enum err e)
{
    rpc_call_abort(x->user, e);
}

static const struct http_events grpc_events = {on_body, on_writable, on_abort};

static enum err read_encodings(struct grpc_call *g)
{
    struct http_exchange *x = g->call.exchange;
    struct slice encoding = http_header_get(x, "grpc-encoding");
    g->accepts_gzip = grpc_list_has(http_header_get(x, "grpc-accept-encoding"), SLICE("gzip"));
    g->inflates = slice_eq(encoding, SLICE("gzip"));
    g->call.compress = g->inflates;
    if (encoding.size == 0 || g->inflates || slice_eq(encoding, SLICE("identity")))
        return OK;
    return diag_set(&g->call.rpc.diag, ERR_COMPRESSION_UNKNOWN,
                    "grpc-encoding %.*s is not supported; use gzip or identity", SLICE_ARG(encoding));
}

static enum err read_timeout(struct grpc_call *g)
{
    uint64_t timeout_ns = 0;
    struct slice text = http_header_get(g->call.exchange, "grpc-timeout");
    if (text.size && !grpc_timeout_parse(text, &timeout_ns))
        return diag_set(&g->call.rpc.diag, ERR_GRPC_MALFORMED, "malformed grpc-timeout");
    return rpc_call_set_timeout(&g->call, text.size > 0, timeout_ns);
}

static enum err begin(struct grpc_call *g, struct http_exchange *x, const struct endpoint *endpoint)
{
    enum err e = rpc_call_init(&g->call, x, endpoint, &grpc_wire);
    grpc_reader_init(&g->reader, g->call.message_bytes_max);
    buf_init(&g->pending, LIMIT_HTTP2_STREAM_WINDOW_BYTES);
    arena_init(&g->message_arena, (size_t)LIMIT_CALL_ARENA_BYTES);
    g->pump.run = pump_task;
    g->wanted = true;
    if (!e)
        e = read_encodings(g);
    return e ? e : read_timeout(g);
}

void grpc_start(struct http_exchange *x, const struct endpoint *endpoint)
{
    if (!endpoint || !endpoint->method) {
        http_refuse(x, ERR_METHOD_UNKNOWN);
        return;
    }
    struct grpc_call *g = arena_new(&x->arena, struct grpc_call);
    if (!g) {
        http_refuse(x, ERR_NOMEM);
        return;
    }
    x->user = g;
    x->events = &grpc_events;
    rpc_call_enter(&g->call);
    enum err e = begin(g, x, endpoint);
    if (e)
        rpc_call_fail(&g->call, e);
    else if (client_streams(g))
        rpc_call_start(&g->call);
    rpc_call_leave(&g->call);
}
