/* HTTP/JSON: the methods of gRPC for who speaks no gRPC. The same call, another wire: ProtoJSON instead of frames, an HTTP
 * status instead of trailers. Methods that take a stream of messages are gRPC's alone.
 *
 *   one answer:      kept until rpc_finish, then status, Content-Length, gzip where it pays and the client takes it
 *   stream, ndjson:  a message a line; an error after the first one is the last line: {"error":{…}}
 *   stream, SSE:     (accept: text/event-stream) an event a message; at the end `event: end` or `event: error`; a comment
 *                    every 15 s keeps proxies from giving up
 *
 * Invariants: a handler never sees a request that is not complete and right; body and reply live as long as the call, since
 * messages borrow from them. Source: protobuf.dev ProtoJSON; WHATWG HTML, 9.2 (event streams). */
#include <stdio.h>
#include <strings.h>

#include "base/duration.h"
#include "base/limits.h"
#include "rpc/call.h"
#include "rpc/grpc_text.h"
#include "rpc/json_error.h"
#include "rpc/json_route.h"

enum {
    GZIP_MIN_BYTES = 1024,
    JSON_SLACK_BYTES = 64 << 10,                   /* names, white space */
    REPLY_BYTES_MAX = LIMIT_MESSAGE_BYTES_MAX * 2, /* a largest message in base64, and names */
    OWN_FIELDS = 6,
};

struct json_call {
    struct wire_call call; /* first */
    struct buf body;       /* of the request, as it came */
    struct buf plain;      /* inflated */
    struct buf reply;      /* one answer: all of it; stream: the message being written */
    struct arena arena;    /* of a message that is sent as bytes */
    struct timer heartbeat;
    bool inflates, accepts_gzip, events;
    uint32_t sent_count;
};

static struct json_call *json_of(struct wire_call *c)
{
    return (struct json_call *)c; /* the first member */
}

static bool is_stream(const struct wire_call *c)
{
    return c->rpc.method->server_streaming;
}

/* ---- header texts ----------------------------------------------------------------------------------------------------- */

static struct slice trimmed(struct slice s)
{
    while (s.size && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = slice_skip(s, 1);
    while (s.size && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

/* The part before c; *rest is what follows it. */
static struct slice cut(struct slice s, char c, struct slice *rest)
{
    const uint8_t *at = s.size ? memchr(s.data, c, s.size) : NULL;
    size_t size = at ? (size_t)(at - s.data) : s.size;
    *rest = slice_skip(s, at ? size + 1 : size);
    return trimmed(slice_of(s.data, size));
}

static bool is_word(struct slice s, const char *word)
{
    return s.size == strlen(word) && strncasecmp((const char *)s.data, word, s.size) == 0;
}

/* Whether "q=0" (with any zeros) stands among the parameters. */
static bool is_refused(struct slice parameters)
{
    while (parameters.size) {
        struct slice p = cut(parameters, ';', &parameters), value;
        if (!is_word(cut(p, '=', &value), "q"))
            continue;
        bool zero = value.size > 0;
        for (size_t i = 0; i < value.size; i++)
            zero &= value.data[i] == '0' || value.data[i] == '.';
        return zero;
    }
    return false;
}

/* "gzip, br;q=0.5" has gzip; "gzip;q=0" has not. RFC 9110, 12.4.2. */
static bool list_accepts(struct slice list, const char *word)
{
    while (list.size) {
        struct slice parameters, item = cut(list, ',', &list);
        if (is_word(cut(item, ';', &parameters), word))
            return !is_refused(parameters);
    }
    return false;
}

static bool is_json(struct slice content_type)
{
    struct slice parameters;
    return is_word(cut(content_type, ';', &parameters), "application/json");
}

/* ---- answers without a call -------------------------------------------------------------------------------------------- */

static void refuse(struct http_exchange *x, enum err e, const struct diag *d, const char *allow)
{
    struct buf body;
    struct slice request_id = http_header_get(x, "prism-request-id");
    struct http_header h[3] = {{SLICE("content-type"), SLICE("application/json")}};
    size_t count = 1;
    buf_init(&body, JSON_SLACK_BYTES);
    json_error_write(&body, e, d, &x->arena);
    if (e == ERR_HTTP_METHOD)
        h[count++] = (struct http_header){SLICE("allow"), slice_str(allow)};
    if (request_id.size && request_id.size <= LIMIT_REQUEST_ID_BYTES)
        h[count++] = (struct http_header){SLICE("prism-request-id"), request_id};
    struct slice text = buf_slice(&body);
    http_respond(x, err_row(e)->http, h, count);
    http_write(x, &text, 1);
    http_finish(x, NULL, 0);
    http_release(x);
    buf_fini(&body);
}

/* ---- the head of the response ------------------------------------------------------------------------------------------ */

static size_t count_fields(const struct call_field *f)
{
    size_t count = 0;
    for (; f; f = f->next)
        count++;
    return count;
}

struct head {
    struct http_header *items;
    size_t count;
};

static void put(struct head *h, struct slice name, struct slice value)
{
    h->items[h->count++] = (struct http_header){name, value};
}

static void put_fields(struct head *h, const struct call_field *f)
{
    for (; f; f = f->next)
        h->items[h->count++] = f->header;
}

/* Trailers become headers, where they are known by now. */
static void respond(struct wire_call *c, unsigned status, struct slice type, bool gzipped)
{
    struct head h = {0};
    char seconds[16];
    size_t count = OWN_FIELDS + count_fields(c->headers) + count_fields(c->trailers);
    c->headers_sent = true;
    h.items = arena_alloc(c->rpc.arena, count * sizeof *h.items);
    if (!h.items) {
        http_reset(c->exchange, ERR_NOMEM);
        return;
    }
    put(&h, SLICE("content-type"), type);
    put(&h, SLICE("prism-request-id"), c->rpc.request_id);
    if (gzipped)
        put(&h, SLICE("content-encoding"), SLICE("gzip")), put(&h, SLICE("vary"), SLICE("accept-encoding"));
    if (is_stream(c) && status == 200)
        put(&h, SLICE("cache-control"), SLICE("no-cache"));
    uint32_t wait_ms = status >= 400 ? c->rpc.diag.retry_after_ms : 0;
    if (wait_ms)
        put(&h, SLICE("retry-after"),
            slice_of(seconds, (size_t)snprintf(seconds, sizeof seconds, "%u", (wait_ms + 999) / 1000)));
    put_fields(&h, c->headers);
    put_fields(&h, c->trailers);
    http_respond(c->exchange, status, h.items, h.count);
}

static void write_body(struct wire_call *c, struct slice bytes)
{
    c->bytes_out += bytes.size;
    http_write(c->exchange, &bytes, 1);
}

static bool gzip_reply(struct wire_call *c, struct slice plain, struct slice *ret_body)
{
    struct buf *out = &c->rpc.server->scratch;
    if (!json_of(c)->accepts_gzip || plain.size < GZIP_MIN_BYTES)
        return false;
    buf_reset(out);
    out->bytes_max = LIMIT_MESSAGE_BYTES_MAX;
    if (gzip_deflate(&c->rpc.server->gzip, plain, out) != OK)
        return false;
    *ret_body = buf_slice(out);
    return true;
}

/* ---- streams ---------------------------------------------------------------------------------------------------------- */

static void send_headers(struct wire_call *c)
{
    if (c->headers_sent || !is_stream(c))
        return; /* the status of one answer is known at its end */
    respond(c, 200, json_of(c)->events ? SLICE("text/event-stream") : SLICE("application/x-ndjson"), false);
}

static void arm_heartbeat(struct json_call *j)
{
    uint64_t due_ns = loop_now_ns(j->call.rpc.loop) + (uint64_t)LIMIT_SSE_HEARTBEAT_MS * 1000000;
    if (j->events)
        timer_start(j->call.rpc.loop, &j->heartbeat, due_ns);
}

static void on_heartbeat(struct timer *t)
{
    struct json_call *j = (struct json_call *)((char *)t - offsetof(struct json_call, heartbeat));
    if (j->call.answered)
        return;
    send_headers(&j->call);
    write_body(&j->call, SLICE(": still here\n\n"));
    arm_heartbeat(j);
}

/* A message as it is framed: a line, or an event. ProtoJSON holds no line feed. */
static enum flow write_framed(struct wire_call *c, const char *event, struct slice json)
{
    bool events = json_of(c)->events;
    struct slice name = slice_str(event);
    struct slice sse[] = {SLICE("event: "), name, SLICE("\n"), SLICE("data: "), json, SLICE("\n\n")};
    struct slice line[] = {json, SLICE("\n")};
    size_t skip = event ? 0 : 3;
    c->bytes_out += json.size;
    arm_heartbeat(json_of(c));
    return events ? http_write(c->exchange, sse + skip, 6 - skip) : http_write(c->exchange, line, 2);
}

static void end_stream(struct wire_call *c, enum err e)
{
    struct json_call *j = json_of(c);
    send_headers(c);
    buf_reset(&j->reply);
    if (e)
        json_error_write(&j->reply, e, &c->rpc.diag, c->rpc.arena);
    if (e)
        write_framed(c, "error", buf_slice(&j->reply));
    else if (j->events)
        write_framed(c, "end", SLICE("{}"));
    http_finish(c->exchange, NULL, 0);
}

/* ---- messages of the response ------------------------------------------------------------------------------------------ */

static enum flow refuse_message(struct wire_call *c, enum err e)
{
    rpc_call_fail_soon(
        c, diag_set(&c->rpc.diag, e, "a message of the response could not be written as JSON: %s", err_row(e)->text));
    return FLOW_HOLD;
}

static enum flow send_message(struct wire_call *c, const void *message)
{
    static const struct pb_json_options options = {0};
    struct json_call *j = json_of(c);
    buf_reset(&j->reply);
    enum err e = pb_json_write(c->rpc.method->output, message, &options, &j->reply);
    if (e)
        return refuse_message(c, e);
    j->sent_count++;
    if (!is_stream(c))
        return FLOW_GO;
    send_headers(c);
    return write_framed(c, NULL, buf_slice(&j->reply));
}

static enum flow send_raw(struct wire_call *c, struct slice encoded)
{
    struct json_call *j = json_of(c);
    void *message;
    arena_reset(&j->arena);
    enum err e = pb_decode(c->rpc.method->output, encoded, &j->arena, &pb_limits_default, &message);
    return e ? refuse_message(c, e) : send_message(c, message);
}

static void finish_with_error(struct wire_call *c, enum err e)
{
    struct json_call *j = json_of(c);
    buf_reset(&j->reply);
    json_error_write(&j->reply, e, &c->rpc.diag, c->rpc.arena);
    respond(c, err_row(e)->http, SLICE("application/json"), false);
    write_body(c, buf_slice(&j->reply));
    http_finish(c->exchange, NULL, 0);
}

static void finish_with_reply(struct wire_call *c)
{
    struct slice body = buf_slice(&json_of(c)->reply);
    bool gzipped = gzip_reply(c, body, &body);
    respond(c, 200, SLICE("application/json"), gzipped);
    write_body(c, body);
    http_finish(c->exchange, NULL, 0);
}

static void finish(struct wire_call *c, enum err e)
{
    struct json_call *j = json_of(c);
    timer_stop(c->rpc.loop, &j->heartbeat);
    if (!e && !is_stream(c) && j->sent_count != 1)
        e = ERR_INTERNAL; /* the handler owed one answer */
    if (e && c->rpc.diag.err == OK)
        c->rpc.diag.err = e; /* fields that were added without a text */
    if (is_stream(c) && (c->headers_sent || !e))
        end_stream(c, e);
    else if (e)
        finish_with_error(c, e);
    else
        finish_with_reply(c);
}

/* ---- the request ------------------------------------------------------------------------------------------------------- */

static enum err too_large(struct json_call *j)
{
    struct diag *d = &j->call.rpc.diag;
    diag_set(d, ERR_MESSAGE_TOO_LARGE, "the message is larger than %u bytes", j->call.message_bytes_max);
    diag_meta(d, "limit_bytes", "%u", j->call.message_bytes_max);
    return ERR_MESSAGE_TOO_LARGE;
}

/* Base64 takes four characters for three bytes. */
static size_t json_bytes_max(const struct json_call *j)
{
    return (size_t)j->call.message_bytes_max / 3 * 4 + JSON_SLACK_BYTES;
}

/* A body that announces too much is not waited for. What is not a number the carrier has refused. */
static enum err check_length(struct json_call *j)
{
    struct slice text = http_header_get(j->call.exchange, "content-length");
    uint64_t size = 0;
    for (size_t i = 0; i < text.size && size <= json_bytes_max(j); i++)
        size = size * 10 + (uint64_t)(text.data[i] - '0');
    return size > json_bytes_max(j) ? too_large(j) : OK;
}

static enum err take_body(struct json_call *j, struct slice data)
{
    buf_put_slice(&j->body, data);
    enum err e = buf_err(&j->body);
    return e == ERR_MESSAGE_TOO_LARGE ? too_large(j) : e;
}

static enum err inflate_body(struct json_call *j, struct slice *json)
{
    if (!j->inflates)
        return OK;
    enum err e = gzip_inflate(&j->call.rpc.server->gzip, *json, &j->plain);
    *json = buf_slice(&j->plain);
    return e == ERR_MESSAGE_TOO_LARGE ? too_large(j) : e;
}

static enum err read_message(struct json_call *j, void **ret_message)
{
    struct wire_call *c = &j->call;
    struct slice json = buf_slice(&j->body);
    c->bytes_in = json.size;
    enum err e = inflate_body(j, &json);
    if (e)
        return e;
    if (trimmed(json).size == 0)
        json = SLICE("{}");
    e = pb_json_read(c->rpc.method->input, json, NULL, c->rpc.arena, &c->rpc.diag, ret_message);
    if (!e && pb_encoded_size(c->rpc.method->input, *ret_message) > c->message_bytes_max)
        e = too_large(j);
    return e;
}

static void on_body(struct http_exchange *x, struct block *block, struct slice data, bool end)
{
    (void)block;
    struct json_call *j = x->user;
    struct wire_call *c = &j->call;
    struct rpc_message message = {0};
    http_consumed(x, data.size);
    if (c->answered)
        return;
    rpc_call_enter(c);
    enum err e = take_body(j, data);
    if (!e && end)
        e = read_message(j, &message.decoded);
    if (e) {
        rpc_call_fail(c, e);
    } else if (end) {
        rpc_call_start(c);
        rpc_call_message(c, &message);
        rpc_call_end_of_messages(c);
    }
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

static const struct http_events json_events = {on_body, on_writable, on_abort};

/* ---- the call ---------------------------------------------------------------------------------------------------------- */

static void receive(struct wire_call *c)
{
    (void)c; /* there is one message, and it has been given */
}

static enum err decode(struct wire_call *c, const struct rpc_message *message, void **ret_message)
{
    (void)c, (void)message, (void)ret_message;
    return ERR_INTERNAL; /* messages of this wire are decoded already */
}

static void discard(struct wire_call *c)
{
    struct json_call *j = json_of(c);
    timer_stop(c->rpc.loop, &j->heartbeat);
    buf_fini(&j->body);
    buf_fini(&j->plain);
    buf_fini(&j->reply);
    arena_fini(&j->arena);
}

static const struct call_wire json_wire = {RPC_JSON, send_headers, send_message, send_raw,
                                           receive,  decode,       finish,       discard};

static enum err read_encodings(struct json_call *j)
{
    struct http_exchange *x = j->call.exchange;
    struct slice encoding = http_header_get(x, "content-encoding"), type = http_header_get(x, "content-type");
    j->accepts_gzip = list_accepts(http_header_get(x, "accept-encoding"), "gzip");
    j->events = is_stream(&j->call) && list_accepts(http_header_get(x, "accept"), "text/event-stream");
    j->inflates = is_word(encoding, "gzip");
    if (!is_json(type))
        return diag_set(&j->call.rpc.diag, ERR_HTTP_MEDIA_TYPE, "content-type \"%.*s\" is not application/json",
                        SLICE_ARG(type));
    if (encoding.size == 0 || j->inflates || is_word(encoding, "identity"))
        return OK;
    return diag_set(&j->call.rpc.diag, ERR_COMPRESSION_UNKNOWN,
                    "content-encoding %.*s is not supported; use gzip or identity", SLICE_ARG(encoding));
}

static enum err read_timeout(struct json_call *j)
{
    struct slice ours = http_header_get(j->call.exchange, "prism-timeout");
    struct slice grpc = http_header_get(j->call.exchange, "grpc-timeout");
    struct diag *d = &j->call.rpc.diag;
    uint64_t timeout_ns = 0;
    int64_t parsed_ns = 0;
    if (ours.size && duration_parse(ours, &parsed_ns) != OK)
        return diag_set(d, ERR_INVALID_ARGUMENT, "prism-timeout \"%.*s\" is not a duration like 250ms",
                        SLICE_ARG(ours));
    if (!ours.size && grpc.size && !grpc_timeout_parse(grpc, &timeout_ns))
        return diag_set(d, ERR_INVALID_ARGUMENT, "grpc-timeout \"%.*s\" is malformed", SLICE_ARG(grpc));
    return rpc_call_set_timeout(&j->call, ours.size || grpc.size, ours.size ? (uint64_t)parsed_ns : timeout_ns);
}

static enum err check_method(struct json_call *j)
{
    const struct pb_method *m = j->call.rpc.method;
    if (!m->client_streaming)
        return OK;
    return diag_set(&j->call.rpc.diag, ERR_UNIMPLEMENTED, "%s takes a stream of messages: call it by gRPC", m->name);
}

/* Path and header may both name the namespace; then they agree. */
static enum err check_namespace(struct json_call *j, struct slice from_path)
{
    struct slice *name = &j->call.rpc.namespace_name;
    if (from_path.size && !slice_eq(*name, from_path))
        return diag_set(&j->call.rpc.diag, ERR_INVALID_ARGUMENT,
                        "the path names the namespace \"%.*s\", prism-namespace \"%.*s\"", SLICE_ARG(from_path),
                        SLICE_ARG(*name));
    return OK;
}

static enum err begin(struct json_call *j, struct http_exchange *x, const struct json_route *route)
{
    j->call.rpc.namespace_name = route->namespace_name; /* before the limits of the namespace are asked for */
    enum err e = rpc_call_init(&j->call, x, route->endpoint, &json_wire);
    buf_init(&j->body, json_bytes_max(j));
    buf_init(&j->plain, json_bytes_max(j));
    buf_init(&j->reply, REPLY_BYTES_MAX);
    arena_init(&j->arena, (size_t)LIMIT_CALL_ARENA_BYTES);
    j->heartbeat.fire = on_heartbeat;
    if (!e)
        e = check_method(j);
    if (!e)
        e = read_encodings(j);
    if (!e)
        e = check_namespace(j, route->namespace_name);
    if (!e)
        e = check_length(j);
    return e ? e : read_timeout(j);
}

static void start_call(struct http_exchange *x, const struct json_route *route)
{
    struct json_call *j = arena_new(&x->arena, struct json_call);
    if (!j) {
        refuse(x, ERR_NOMEM, NULL, NULL);
        return;
    }
    x->user = j;
    x->events = &json_events;
    rpc_call_enter(&j->call);
    enum err e = begin(j, x, route);
    if (e)
        rpc_call_fail(&j->call, e);
    else
        arm_heartbeat(j);
    rpc_call_leave(&j->call);
}

void json_start(struct http_exchange *x)
{
    struct json_route route;
    struct diag d;
    const char *allow;
    diag_init(&d, &x->arena);
    enum err e = json_route_find(x, &d, &route, &allow);
    if (e)
        refuse(x, e, &d, allow);
    else
        start_call(x, &route);
}
