/* The life of a call, whatever wire it came on (call.h has the states and invariants). */
#include "rpc/call.h"

#include <assert.h>

#include "base/base64.h"
#include "base/limits.h"
#include "base/uuid.h"

static struct wire_call *call_of(const struct rpc_call *rpc)
{
    return (struct wire_call *)rpc; /* the first member */
}

/* ---- what the headers say --------------------------------------------------------------------------------------------- */

static bool is_printable(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (s.data[i] < 0x20 || s.data[i] > 0x7e)
            return false;
    return true;
}

static bool is_lower_hex(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (!((s.data[i] >= '0' && s.data[i] <= '9') || (s.data[i] >= 'a' && s.data[i] <= 'f')))
            return false;
    return true;
}

static bool is_all(struct slice s, uint8_t byte)
{
    for (size_t i = 0; i < s.size; i++)
        if (s.data[i] != byte)
            return false;
    return true;
}

/* version "-" trace-id "-" parent-id "-" flags; W3C Trace Context, 3.2.2. */
static bool is_traceparent(struct slice s)
{
    if (s.size != LIMIT_TRACEPARENT_BYTES || s.data[2] != '-' || s.data[35] != '-' || s.data[52] != '-')
        return false;
    struct slice version = slice_of(s.data, 2), trace = slice_of(s.data + 3, 32), parent = slice_of(s.data + 36, 16);
    return is_lower_hex(version) && is_lower_hex(trace) && is_lower_hex(parent) && is_lower_hex(slice_skip(s, 53)) &&
           !is_all(version, 'f') && !is_all(trace, '0') && !is_all(parent, '0');
}

static enum err make_request_id(struct wire_call *c)
{
    uint8_t random[UUID_RANDOM_BYTES];
    char *text = arena_alloc(c->rpc.arena, UUID_TEXT_BYTES + 1);
    if (!text)
        return ERR_NOMEM;
    random_fill(&c->rpc.server->random, random, sizeof random);
    uuid7_format(loop_realtime_ms(c->rpc.loop), random, text);
    c->rpc.request_id = slice_of(text, UUID_TEXT_BYTES);
    return OK;
}

static enum err make_traceparent(struct wire_call *c)
{
    uint8_t random[24];
    char *text = arena_alloc(c->rpc.arena, LIMIT_TRACEPARENT_BYTES + 1);
    if (!text)
        return ERR_NOMEM;
    random_fill(&c->rpc.server->random, random, sizeof random);
    random[0] |= 1; /* neither id may be all zeros */
    random[16] |= 1;
    memcpy(text, "00-", 3);
    char *end = hex_format(random, 16, text + 3);
    *end++ = '-';
    end = hex_format(random + 16, 8, end);
    memcpy(end, "-00", 4);
    c->rpc.traceparent = slice_of(text, LIMIT_TRACEPARENT_BYTES);
    return OK;
}

static bool is_binary(struct slice name)
{
    return name.size > 4 && memcmp(name.data + name.size - 4, "-bin", 4) == 0;
}

static void note_header(struct wire_call *c, const struct http_header *h)
{
    switch (h->name.size) {
    case 11:
        if (memcmp(h->name.data, "traceparent", 11) == 0 && is_traceparent(h->value))
            c->rpc.traceparent = h->value;
        break;
    case 15:
        if (memcmp(h->name.data, "prism-namespace", 15) == 0)
            c->rpc.namespace_name = h->value;
        break;
    case 16:
        if (memcmp(h->name.data, "prism-request-id", 16) == 0 && h->value.size > 0 &&
            h->value.size <= LIMIT_REQUEST_ID_BYTES && is_printable(h->value))
            c->rpc.request_id = h->value;
        break;
    }
}

/* How many values the binary headers hold: each may be a list joined by commas. */
static uint32_t count_values(const struct http_exchange *x)
{
    uint32_t count = x->header_count;
    for (uint32_t i = 0; i < x->header_count; i++)
        if (is_binary(x->headers[i].name))
            for (size_t k = 0; k < x->headers[i].value.size; k++)
                count += x->headers[i].value.data[k] == ',';
    return count;
}

static enum err decode_value(struct wire_call *c, struct slice text, struct slice *ret_bytes)
{
    size_t size;
    uint8_t *bytes = arena_alloc(c->rpc.arena, base64_decoded_max(text.size));
    if (!bytes)
        return ERR_NOMEM;
    if (base64_decode(text, BASE64_BARE, bytes, &size))
        return ERR_GRPC_MALFORMED;
    *ret_bytes = slice_of(bytes, size);
    return OK;
}

static enum err decode_values(struct wire_call *c, const struct http_header *from, struct http_header *list)
{
    struct slice rest = from->value;
    for (;;) {
        const uint8_t *comma = rest.size ? memchr(rest.data, ',', rest.size) : NULL;
        struct slice text = comma ? slice_of(rest.data, (size_t)(comma - rest.data)) : rest;
        struct http_header *to = &list[c->metadata_count];
        to->name = from->name;
        enum err e = decode_value(c, text, &to->value);
        if (e)
            return e == ERR_NOMEM ? e : diag_set(&c->rpc.diag, e, "metadata %.*s is not base64", SLICE_ARG(from->name));
        c->metadata_count++;
        if (!comma)
            return OK;
        rest = slice_skip(rest, text.size + 1);
    }
}

static enum err decode_binary_metadata(struct wire_call *c)
{
    const struct http_exchange *x = c->exchange;
    struct http_header *list = arena_array(c->rpc.arena, struct http_header, count_values(x));
    if (!list)
        return ERR_NOMEM;
    c->metadata = list;
    c->metadata_count = 0;
    for (uint32_t i = 0; i < x->header_count; i++) {
        if (!is_binary(x->headers[i].name)) {
            list[c->metadata_count++] = x->headers[i];
            continue;
        }
        enum err e = decode_values(c, &x->headers[i], list);
        if (e)
            return e;
    }
    return OK;
}

static enum err read_headers(struct wire_call *c)
{
    const struct http_exchange *x = c->exchange;
    bool binary = false;
    for (uint32_t i = 0; i < x->header_count; i++) {
        note_header(c, &x->headers[i]);
        binary |= is_binary(x->headers[i].name);
    }
    enum err e = c->rpc.request_id.size ? OK : make_request_id(c);
    if (!e && !c->rpc.traceparent.size)
        e = make_traceparent(c);
    if (!e && binary)
        e = decode_binary_metadata(c);
    return e;
}

/* ---- beginning -------------------------------------------------------------------------------------------------------- */

static void enlist(struct wire_call *c)
{
    struct rpc_server *s = c->rpc.server;
    c->next = s->calls;
    if (s->calls)
        s->calls->prev = c;
    s->calls = c;
    s->stats.calls_started++;
    s->stats.calls_in_flight++;
}

static void delist(struct wire_call *c)
{
    struct rpc_server *s = c->rpc.server;
    if (c->next)
        c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        s->calls = c->next;
    s->stats.calls_in_flight--;
}

static uint32_t message_limit(struct wire_call *c)
{
    const struct rpc_server_options *o = &c->rpc.server->options;
    return o->message_limit ? o->message_limit(o->context, &c->rpc) : o->message_bytes_max;
}

static void deadline_passed(struct timer *);

static void fill(struct wire_call *c, struct http_exchange *x, const struct endpoint *endpoint,
                 const struct call_wire *wire)
{
    c->wire = wire;
    c->exchange = x;
    c->handlers = endpoint->handlers;
    c->metadata = x->headers;
    c->metadata_count = x->header_count;
    c->deadline.fire = deadline_passed;
    c->rpc.method = endpoint->method;
    c->rpc.context = endpoint->context;
    c->rpc.server = x->server;
    c->rpc.loop = x->loop;
    c->rpc.arena = &x->arena;
    c->rpc.wire = wire->id;
    c->rpc.start_ns = loop_now_ns(x->loop);
    c->rpc.deadline_ns = UINT64_MAX;
    diag_init(&c->rpc.diag, &x->arena);
}

/* Copied: a call may outlive its connection. */
static enum err note_peer(struct wire_call *c)
{
    const char *identity = conn_peer_identity(c->exchange->conn);
    c->rpc.peer_address = arena_strdup(c->rpc.arena, conn_peer_address(c->exchange->conn));
    c->rpc.peer_identity = identity ? arena_strdup(c->rpc.arena, identity) : NULL;
    bool lost = !c->rpc.peer_address || (identity && !c->rpc.peer_identity);
    if (!c->rpc.peer_address)
        c->rpc.peer_address = "";
    return lost ? ERR_NOMEM : OK;
}

static enum err take_share(struct wire_call *c)
{
    enum { RETRY_AFTER_MS = 100 };
    struct rpc_share *share = c->exchange->share;
    enum err e = rpc_share_call(share);
    if (!e) {
        c->share = share;
        return OK;
    }
    c->rpc.server->stats.calls_over_share++;
    if (e == ERR_TOO_MANY_CALLS)
        diag_set(&c->rpc.diag, e, "this client has %u calls in flight, as many as one client may",
                 rpc_share_calls(share));
    else
        diag_set(&c->rpc.diag, e, "%s", err_row(e)->text);
    c->rpc.diag.retry_after_ms = RETRY_AFTER_MS;
    return e;
}

enum err rpc_call_init(struct wire_call *c, struct http_exchange *x, const struct endpoint *endpoint,
                       const struct call_wire *wire)
{
    fill(c, x, endpoint, wire);
    bool full = x->server->stats.calls_in_flight >= LIMIT_CALLS_IN_FLIGHT;
    enlist(c);
    enum err e = note_peer(c);
    if (!e)
        e = read_headers(c);
    c->message_bytes_max = message_limit(c);
    if (!e)
        e = full ? ERR_TOO_MANY_CALLS : take_share(c);
    return e;
}

/* Slow requests: one that a unary method has not got complete by then fails, whatever the client's deadline is. */
static uint64_t timer_due(const struct wire_call *c)
{
    if (c->started || c->rpc.method->client_streaming)
        return c->rpc.deadline_ns;
    uint64_t complete_ns = c->rpc.start_ns + (uint64_t)LIMIT_UNARY_REQUEST_MS * 1000000;
    return complete_ns < c->rpc.deadline_ns ? complete_ns : c->rpc.deadline_ns;
}

static void arm(struct wire_call *c)
{
    uint64_t due = timer_due(c);
    if (due == UINT64_MAX)
        timer_stop(c->rpc.loop, &c->deadline);
    else if (!timer_active(&c->deadline) || c->deadline.due_ns != due)
        timer_start(c->rpc.loop, &c->deadline, due);
}

static bool is_unary(const struct pb_method *m)
{
    return !m->client_streaming && !m->server_streaming;
}

/* UINT64_MAX: none. */
static uint64_t effective_timeout(const struct pb_method *m, bool given, uint64_t timeout_ns)
{
    uint64_t cap = is_unary(m) ? (uint64_t)LIMIT_DEADLINE_MAX_MS * 1000000 : UINT64_MAX;
    if (!given && m->timeout_ms)
        timeout_ns = (uint64_t)m->timeout_ms * 1000000;
    else if (!given)
        timeout_ns = is_unary(m) ? (uint64_t)LIMIT_DEADLINE_DEFAULT_MS * 1000000 : UINT64_MAX;
    return timeout_ns < cap ? timeout_ns : cap;
}

enum err rpc_call_set_timeout(struct wire_call *c, bool given, uint64_t timeout_ns)
{
    uint64_t timeout = effective_timeout(c->rpc.method, given, timeout_ns);
    if (timeout == 0)
        return ERR_DEADLINE_EXCEEDED;
    if (__builtin_add_overflow(c->rpc.start_ns, timeout, &c->rpc.deadline_ns))
        c->rpc.deadline_ns = UINT64_MAX;
    arm(c);
    return OK;
}

/* ---- events of the handler -------------------------------------------------------------------------------------------- */

void rpc_call_enter(struct wire_call *c)
{
    c->depth++;
}

static void let_go(struct wire_call *c)
{
    struct http_exchange *x = c->exchange;
    struct rpc_server *s = c->rpc.server;
    timer_stop(c->rpc.loop, &c->deadline);
    delist(c);
    rpc_share_call_end(c->share);
    if (s->options.on_finished)
        s->options.on_finished(s->options.context, &c->rpc, c->outcome, c->bytes_in, c->bytes_out);
    if (c->wire->discard)
        c->wire->discard(c);
    http_release(x);
    server_check_drained(s);
}

void rpc_call_leave(struct wire_call *c)
{
    assert(c->depth > 0);
    if (--c->depth == 0 && c->finished)
        let_go(c);
}

/* Whether the handler is still to be told of things. */
static bool is_listening(const struct wire_call *c)
{
    return c->started && !c->finished && !c->rpc.cancelled;
}

/* A deadline that passed while the request came, before its timer (whose ticks are milliseconds) has told so. One that is
 * nearer than that is held against the clock itself: loop time stands still within a turn. */
static bool has_expired(const struct wire_call *c)
{
    const struct env *env = loop_env(c->rpc.loop);
    bool near = c->rpc.deadline_ns - c->rpc.start_ns < 2000000;
    return (near ? env->monotonic_ns(env) : loop_now_ns(c->rpc.loop)) >= c->rpc.deadline_ns;
}

void rpc_call_start(struct wire_call *c)
{
    if (c->started || c->finished || c->answered)
        return;
    if (has_expired(c)) {
        rpc_call_fail(c, ERR_DEADLINE_EXCEEDED);
        return;
    }
    c->started = true;
    arm(c);
    if (!c->handlers->on_start)
        return;
    rpc_call_enter(c);
    c->handlers->on_start(&c->rpc);
    rpc_call_leave(c);
}

void rpc_call_message(struct wire_call *c, const struct rpc_message *message)
{
    if (!is_listening(c))
        return;
    rpc_call_enter(c);
    c->handlers->on_message(&c->rpc, message);
    rpc_call_leave(c);
}

void rpc_call_end_of_messages(struct wire_call *c)
{
    if (!is_listening(c) || !c->handlers->on_end)
        return;
    rpc_call_enter(c);
    c->handlers->on_end(&c->rpc);
    rpc_call_leave(c);
}

void rpc_call_ready(struct wire_call *c)
{
    if (!is_listening(c) || !c->handlers->on_ready)
        return;
    rpc_call_enter(c);
    c->handlers->on_ready(&c->rpc);
    rpc_call_leave(c);
}

/* ---- the end ---------------------------------------------------------------------------------------------------------- */

static void cancel_handler(struct wire_call *c, enum err e)
{
    if (!is_listening(c)) {
        c->finished |= !c->started;
        return;
    }
    c->rpc.cancelled = true;
    if (c->handlers->on_cancel)
        c->handlers->on_cancel(&c->rpc, e);
}

static void answer(struct wire_call *c, enum err e)
{
    c->answered = true;
    c->outcome = e;
    timer_stop(c->rpc.loop, &c->deadline);
    c->wire->finish(c, e);
}

void rpc_call_fail(struct wire_call *c, enum err e)
{
    if (c->answered)
        return;
    rpc_call_enter(c);
    answer(c, e);
    cancel_handler(c, e);
    rpc_call_leave(c);
}

static void fail_task(struct task *t)
{
    struct wire_call *c = (struct wire_call *)((char *)t - offsetof(struct wire_call, fail));
    rpc_call_fail(c, c->failure);
    rpc_call_leave(c);
}

void rpc_call_fail_soon(struct wire_call *c, enum err e)
{
    if (c->answered || c->failure)
        return;
    c->failure = e;
    c->fail.run = fail_task;
    rpc_call_enter(c); /* kept until the task has run */
    loop_defer(c->rpc.loop, &c->fail);
}

void rpc_call_abort(struct wire_call *c, enum err e)
{
    rpc_call_enter(c);
    if (!c->answered) {
        c->answered = true;
        c->outcome = e;
        timer_stop(c->rpc.loop, &c->deadline);
    }
    cancel_handler(c, e);
    rpc_call_leave(c);
}

static void deadline_passed(struct timer *timer)
{
    struct wire_call *c = (struct wire_call *)((char *)timer - offsetof(struct wire_call, deadline));
    if (loop_now_ns(c->rpc.loop) < c->rpc.deadline_ns)
        diag_set(&c->rpc.diag, ERR_DEADLINE_EXCEEDED, "the request was not complete within %d ms",
                 LIMIT_UNARY_REQUEST_MS);
    rpc_call_fail(c, ERR_DEADLINE_EXCEEDED);
}

void rpc_finish(struct rpc_call *rpc, enum err e)
{
    struct wire_call *c = call_of(rpc);
    assert(c->started && !c->finished);
    c->finished = true;
    if (!c->answered)
        answer(c, e ? e : c->failure);
    if (c->depth == 0)
        let_go(c);
}

/* ---- what handlers ask for -------------------------------------------------------------------------------------------- */

/* Names of the protocol, not of the application (grpc/doc/PROTOCOL-HTTP2.md). */
static bool is_reserved(struct slice name)
{
    return slice_starts_with(name, SLICE("grpc-")) || slice_eq(name, SLICE("te")) ||
           slice_eq(name, SLICE("content-type"));
}

struct slice rpc_metadata(const struct rpc_call *rpc, const char *name)
{
    const struct wire_call *c = call_of(rpc);
    struct slice wanted = slice_str(name);
    for (uint32_t i = 0; i < c->metadata_count; i++)
        if (slice_eq(c->metadata[i].name, wanted))
            return c->metadata[i].value;
    return SLICE_EMPTY;
}

bool rpc_metadata_at(const struct rpc_call *rpc, uint32_t index, struct http_header *ret_header)
{
    const struct wire_call *c = call_of(rpc);
    for (uint32_t i = 0; i < c->metadata_count; i++) {
        if (is_reserved(c->metadata[i].name))
            continue;
        if (index-- == 0) {
            *ret_header = c->metadata[i];
            return true;
        }
    }
    return false;
}

static bool copy_value(struct arena *arena, struct slice name, struct slice value, struct slice *ret_copy)
{
    if (!is_binary(name))
        return arena_copy(arena, value, ret_copy);
    size_t size = base64_encoded_size(value.size, BASE64_BARE);
    char *text = arena_alloc(arena, size + 1);
    if (!text)
        return false;
    base64_encode(value, BASE64_BARE, text);
    *ret_copy = slice_of(text, size);
    return true;
}

/* A field that does not fit into memory is left out: the status still tells how the call ended. */
static void add_field(struct wire_call *c, struct call_field **list, const char *name, struct slice value)
{
    struct call_field *f = arena_new(c->rpc.arena, struct call_field);
    if (!f || !arena_copy(c->rpc.arena, slice_str(name), &f->header.name) ||
        !copy_value(c->rpc.arena, f->header.name, value, &f->header.value))
        return;
    while (*list)
        list = &(*list)->next;
    *list = f;
}

void rpc_header_add(struct rpc_call *rpc, const char *name, struct slice value)
{
    struct wire_call *c = call_of(rpc);
    if (!c->headers_sent)
        add_field(c, &c->headers, name, value);
}

void rpc_trailer_add(struct rpc_call *rpc, const char *name, struct slice value)
{
    struct wire_call *c = call_of(rpc);
    if (!c->answered)
        add_field(c, &c->trailers, name, value);
}

void rpc_compress(struct rpc_call *rpc, bool on)
{
    call_of(rpc)->compress = on;
}

void rpc_send_headers(struct rpc_call *rpc)
{
    struct wire_call *c = call_of(rpc);
    if (!c->answered)
        c->wire->send_headers(c);
}

enum err rpc_decode(struct rpc_call *rpc, const struct rpc_message *message, void **ret_message)
{
    struct wire_call *c = call_of(rpc);
    if (!message->decoded)
        return c->wire->decode(c, message, ret_message);
    *ret_message = message->decoded;
    return OK;
}

enum flow rpc_send(struct rpc_call *rpc, const void *message)
{
    struct wire_call *c = call_of(rpc);
    return c->answered || c->failure ? FLOW_HOLD : c->wire->send(c, message);
}

enum flow rpc_send_raw(struct rpc_call *rpc, struct slice encoded)
{
    struct wire_call *c = call_of(rpc);
    return c->answered || c->failure ? FLOW_HOLD : c->wire->send_raw(c, encoded);
}

void rpc_receive(struct rpc_call *rpc)
{
    struct wire_call *c = call_of(rpc);
    if (!c->answered)
        c->wire->receive(c);
}
