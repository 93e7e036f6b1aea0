/* A call of the gRPC client: request headers, messages both ways, the status. client_internal.h has the states. */
#include <assert.h>
#include <stdio.h>

#include "base/base64.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rpc/client_internal.h"
#include "rpc/grpc_text.h"
#include "rpc/status.h"

enum {
    OUT_HOLD_BYTES = 64 << 10,
    OUT_MAX_BYTES = LIMIT_MESSAGE_BYTES_MAX + (1 << 20),
    FIELD_OVERHEAD_BYTES = 32, /* RFC 9113 6.5.2 */
    STATUS_CANCELLED = 1,
    STATUS_UNKNOWN = 2,
    STATUS_INTERNAL = 13,
};

static size_t waiting(const struct rpc_client_call *call)
{
    return call->out.size - call->out_sent;
}

static bool is_binary(struct slice name)
{
    return name.size > 4 && memcmp(name.data + name.size - 4, "-bin", 4) == 0;
}

/* ---- life ------------------------------------------------------------------------------------------------------------- */

static void enlist(struct rpc_client_call *call)
{
    struct rpc_client *c = call->client;
    call->next = c->calls;
    if (c->calls)
        c->calls->prev = call;
    c->calls = call;
}

void client_call_delist(struct rpc_client_call *call)
{
    struct rpc_client *c = call->client;
    if (call->next)
        call->next->prev = call->prev;
    if (call->prev)
        call->prev->next = call->next;
    else if (c->calls == call)
        c->calls = call->next;
    call->next = call->prev = NULL;
}

static void free_call(struct rpc_client_call *call)
{
    timer_stop(call->client->loop, &call->deadline);
    grpc_reader_fini(&call->reader);
    buf_fini(&call->out);
    arena_fini(&call->arena);
    mem_free(call);
}

static void maybe_free(struct rpc_client_call *call)
{
    if (!call->closed || !call->ended || call->is_dirty || call->depth)
        return;
    client_call_delist(call);
    free_call(call);
}

void client_call_leave(struct rpc_client_call *call)
{
    call->depth--;
    maybe_free(call);
}

/* ---- beginning -------------------------------------------------------------------------------------------------------- */

static nghttp2_nv field(const char *name, struct slice value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value.data, strlen(name), value.size,
                        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static bool metadata_field(struct arena *arena, const struct http_header *h, nghttp2_nv *ret_field)
{
    struct slice name, value;
    if (!arena_copy(arena, h->name, &name))
        return false;
    if (is_binary(h->name)) {
        size_t size = base64_encoded_size(h->value.size, BASE64_BARE);
        char *text = arena_alloc(arena, size + 1);
        if (!text)
            return false;
        base64_encode(h->value, BASE64_BARE, text);
        value = slice_of(text, size);
    } else if (!arena_copy(arena, h->value, &value)) {
        return false;
    }
    *ret_field = field((const char *)name.data, value);
    return true;
}

static enum err put_timeout(struct rpc_client_call *call, uint64_t timeout_ns)
{
    char *text = arena_alloc(&call->arena, GRPC_TIMEOUT_BYTES);
    if (!text)
        return ERR_NOMEM;
    grpc_timeout_format(timeout_ns, text);
    call->timeout = &call->request[call->request_count++];
    *call->timeout = field("grpc-timeout", slice_str(text));
    return OK;
}

static enum err make_request(struct rpc_client_call *call, const struct rpc_client_call_options *o)
{
    enum { OWN_FIELDS = 10 };
    struct rpc_client *c = call->client;
    char *path = arena_strdup(&call->arena, o->path);
    nghttp2_nv *f = call->request = arena_array(&call->arena, nghttp2_nv, OWN_FIELDS + o->metadata_count);
    if (!path || !f)
        return ERR_NOMEM;
    f[0] = field(":method", SLICE("POST"));
    f[1] = field(":scheme", c->options.tls ? SLICE("https") : SLICE("http"));
    f[2] = field(":path", slice_str(path));
    f[3] = field(":authority", slice_str(c->authority));
    f[4] = field("te", SLICE("trailers"));
    f[5] = field("content-type", SLICE("application/grpc"));
    f[6] = field("user-agent", SLICE("prism/" PRISM_VERSION));
    f[7] = field("grpc-accept-encoding", SLICE("identity,gzip"));
    call->request_count = 8;
    if (o->gzip)
        f[call->request_count++] = field("grpc-encoding", SLICE("gzip"));
    enum err e = o->timeout_ns ? put_timeout(call, o->timeout_ns) : OK;
    for (size_t i = 0; i < o->metadata_count && !e; i++)
        e = metadata_field(&call->arena, &o->metadata[i], &f[call->request_count++]) ? OK : ERR_NOMEM;
    return e;
}

static void end_later(struct rpc_client_call *call)
{
    call->cancelled = true;
    client_mark_dirty(call);
}

static void deadline_passed(struct timer *timer)
{
    struct rpc_client_call *call =
        (struct rpc_client_call *)((char *)timer - offsetof(struct rpc_client_call, deadline));
    if (!call->connection && call->client->failure.err)
        client_copy_diag(&call->diag, &call->client->failure);
    end_later(call);
    client_call_end(call, err_row(ERR_DEADLINE_EXCEEDED)->grpc);
}

static void start_deadline(struct rpc_client_call *call, uint64_t timeout_ns)
{
    uint64_t due;
    if (timeout_ns && !__builtin_add_overflow(loop_now_ns(call->client->loop), timeout_ns, &due))
        timer_start(call->client->loop, &call->deadline, due);
}

static struct rpc_client_call *new_call(struct rpc_client *c, const struct rpc_client_events *events, void *user)
{
    struct rpc_client_call *call = mem_zalloc(sizeof *call);
    if (!call)
        return NULL;
    call->client = c;
    call->events = *events;
    call->user = user;
    call->keeps = true;
    call->deadline.fire = deadline_passed;
    arena_init(&call->arena, 4 << 20);
    buf_init(&call->out, OUT_MAX_BYTES);
    grpc_reader_init(&call->reader, c->options.message_bytes_max);
    diag_init(&call->diag, &call->arena);
    return call;
}

enum err rpc_client_call(struct rpc_client *c, const struct rpc_client_call_options *o,
                         const struct rpc_client_events *events, void *user, struct rpc_client_call **ret_call)
{
    assert(!c->freed && events->on_message && events->on_end);
    struct rpc_client_call *call = new_call(c, events, user);
    if (!call)
        return ERR_NOMEM;
    call->gzip = o->gzip;
    enum err e = make_request(call, o);
    if (!e)
        e = client_connect(c, NULL);
    if (e) {
        free_call(call);
        return e;
    }
    enlist(call);
    start_deadline(call, o->timeout_ns);
    client_mark_dirty(call);
    *ret_call = call;
    return OK;
}

void *rpc_client_call_user(const struct rpc_client_call *call)
{
    return call->user;
}

/* ---- sending ---------------------------------------------------------------------------------------------------------- */

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    (void)session, (void)id, (void)buf, (void)user;
    struct rpc_client_call *call = source->ptr;
    size_t size = waiting(call) < length ? waiting(call) : length;
    if (size == 0 && !call->send_ended)
        return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (call->send_ended && size == waiting(call))
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)size;
}

struct slice client_call_take(struct rpc_client_call *call, size_t size)
{
    struct slice bytes = slice_take(slice_skip(buf_slice(&call->out), call->out_sent), size);
    call->out_sent += size;
    client_call_forget(call);
    return bytes;
}

/* Cancelled: where there is a stream, nghttp2's close follows; where there is none it is over here. */
static void submit_cancel(struct rpc_client_call *call)
{
    if (call->connection)
        nghttp2_submit_rst_stream(call->connection->session, NGHTTP2_FLAG_NONE, call->id, NGHTTP2_CANCEL);
    call->depth++;
    client_call_end(call, STATUS_CANCELLED);
    call->closed |= !call->connection;
    client_call_leave(call);
}

static void await_connection(struct rpc_client_call *call)
{
    enum err e = client_connect(call->client, NULL);
    if (e)
        client_call_lost(call, e, NULL);
}

/* What is left of it: the call may have waited for a connection, or be made again. */
static void refresh_timeout(struct rpc_client_call *call)
{
    uint64_t now = loop_now_ns(call->client->loop), due = call->deadline.due_ns;
    if (!call->timeout || !timer_active(&call->deadline))
        return;
    char *text = (char *)call->timeout->value;
    grpc_timeout_format(due > now ? due - now : 1, text);
    call->timeout->valuelen = strlen(text);
}

static void submit_request(struct rpc_client_call *call)
{
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = read_body};
    struct client_connection *k = call->client->current;
    refresh_timeout(call);
    int32_t id = nghttp2_submit_request(k->session, NULL, call->request, call->request_count, &body, call);
    if (id > 0) {
        call->id = id;
        call->connection = k;
        k->call_count++;
    } else if (id == NGHTTP2_ERR_START_STREAM_NOT_ALLOWED || id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE) {
        client_connection_leave(k);
        await_connection(call);
    } else {
        client_call_lost(call, ERR_NOMEM, NULL);
    }
}

void client_call_submit(struct rpc_client_call *call)
{
    struct client_connection *current = call->client->current;
    if (call->cancelled || call->ended)
        submit_cancel(call);
    else if (call->connection)
        nghttp2_session_resume_data(call->connection->session,
                                    call->id); /* an error says that it is not deferred: fine */
    else if (current && current->state == CONNECTION_OPEN)
        submit_request(call);
    else
        await_connection(call);
}

static void compact(struct rpc_client_call *call)
{
    if (call->keeps || call->out_sent < OUT_HOLD_BYTES || call->out_sent < call->out.size / 2)
        return;
    buf_consume(&call->out, call->out_sent);
    call->out_sent = 0;
}

/* false: out of memory. */
static bool put_message(struct rpc_client_call *call, bool compressed, struct slice bytes)
{
    uint8_t prefix[GRPC_PREFIX_BYTES];
    grpc_prefix(prefix, compressed, (uint32_t)bytes.size);
    compact(call);
    buf_put(&call->out, prefix, sizeof prefix);
    buf_put_slice(&call->out, bytes);
    return !buf_err(&call->out);
}

static bool put_compressed(struct rpc_client_call *call, struct slice message)
{
    struct buf *out = &call->client->scratch;
    buf_reset(out);
    out->bytes_max = LIMIT_MESSAGE_BYTES_MAX;
    return gzip_deflate(&call->client->gzip, message, out) == OK && put_message(call, true, buf_slice(out));
}

enum flow rpc_client_send(struct rpc_client_call *call, struct slice message)
{
    assert(!call->send_ended);
    if (call->ended || call->cancelled)
        return FLOW_HOLD;
    if (!(call->gzip ? put_compressed(call, message) : put_message(call, false, message))) {
        diag_set(&call->diag, ERR_NOMEM, "a message could not be sent: %s", err_row(ERR_NOMEM)->text);
        end_later(call);
        return FLOW_HOLD;
    }
    client_mark_dirty(call);
    call->held = waiting(call) >= OUT_HOLD_BYTES;
    return call->held ? FLOW_HOLD : FLOW_GO;
}

void rpc_client_send_end(struct rpc_client_call *call)
{
    call->send_ended = true;
    call->held = false;
    client_mark_dirty(call);
}

void rpc_client_cancel(struct rpc_client_call *call)
{
    if (!call->ended)
        end_later(call);
}

void client_call_wake(struct rpc_client_call *call)
{
    if (!call->held || call->ended || waiting(call) > OUT_HOLD_BYTES / 2)
        return;
    call->held = false;
    call->depth++;
    if (call->events.on_writable)
        call->events.on_writable(call);
    client_call_leave(call);
}

/* ---- receiving -------------------------------------------------------------------------------------------------------- */

static bool decode_value(struct arena *arena, struct slice name, struct slice value, struct slice *ret_copy)
{
    size_t size;
    uint8_t *bytes = is_binary(name) ? arena_alloc(arena, base64_decoded_max(value.size)) : NULL;
    if (!bytes || base64_decode(value, BASE64_BARE, bytes, &size) != OK)
        return arena_copy(arena, value, ret_copy);
    *ret_copy = slice_of(bytes, size);
    return true;
}

static unsigned number(struct slice text)
{
    unsigned n = 0;
    for (size_t i = 0; i < text.size && i < 4; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return UINT32_MAX;
        n = n * 10 + (text.data[i] - '0');
    }
    return text.size ? n : UINT32_MAX;
}

bool client_call_field(struct rpc_client_call *call, struct slice name, struct slice value, bool trailers)
{
    if (slice_eq(name, SLICE(":status"))) {
        call->http_status = number(value);
        return true;
    }
    call->field_bytes += (uint32_t)(name.size + value.size + FIELD_OVERHEAD_BYTES);
    if (++call->field_count > 2 * LIMIT_HEADER_FIELDS || call->field_bytes > 2 * LIMIT_HEADER_BYTES)
        return false;
    struct client_field *f = arena_new(&call->arena, struct client_field);
    if (!f || !arena_copy(&call->arena, name, &f->header.name) ||
        !decode_value(&call->arena, name, value, &f->header.value))
        return false;
    struct client_field **list = trailers ? &call->trailers : &call->headers;
    while (*list)
        list = &(*list)->next;
    *list = f;
    return true;
}

static struct slice find(const struct client_field *list, const char *name)
{
    struct slice wanted = slice_str(name);
    for (; list; list = list->next)
        if (slice_eq(list->header.name, wanted))
            return list->header.value;
    return SLICE_EMPTY;
}

struct slice rpc_client_header(const struct rpc_client_call *call, const char *name)
{
    return find(call->headers, name);
}

struct slice rpc_client_trailer(const struct rpc_client_call *call, const char *name)
{
    return find(call->trailers_only ? call->headers : call->trailers, name);
}

void client_call_headers(struct rpc_client_call *call, bool end)
{
    enum { INFORMATIONAL = 200 };
    if (call->got_headers || call->http_status < INFORMATIONAL)
        return;
    call->got_headers = true;
    client_call_forget(call);
    call->trailers_only = end;
    call->inflates = slice_eq(rpc_client_header(call, "grpc-encoding"), SLICE("gzip"));
    call->depth++;
    if (!end && call->events.on_headers)
        call->events.on_headers(call);
    client_call_leave(call);
}

static enum err deliver(struct rpc_client_call *call, const struct grpc_message *m)
{
    struct slice bytes = m->bytes;
    struct rpc_client *c = call->client;
    if (m->compressed) {
        if (!call->inflates)
            return ERR_GRPC_MALFORMED;
        buf_reset(&c->scratch);
        c->scratch.bytes_max = c->options.message_bytes_max;
        enum err e = gzip_inflate(&c->gzip, bytes, &c->scratch);
        if (e)
            return e;
        bytes = buf_slice(&c->scratch);
    }
    call->events.on_message(call, bytes);
    return OK;
}

void client_call_data(struct rpc_client_call *call, struct slice data)
{
    enum err e = OK;
    bool complete = true;
    call->depth++;
    while (!e && complete && !call->ended && !call->cancelled) {
        struct grpc_message m;
        e = grpc_read(&call->reader, &data, &m, &complete);
        if (!e && complete)
            e = deliver(call, &m);
    }
    if (e) {
        diag_set(&call->diag, e, "a message of the server: %s", err_row(e)->text);
        end_later(call);
        client_call_end(call, err_row(e)->grpc);
    }
    client_call_leave(call);
}

/* ---- the end ---------------------------------------------------------------------------------------------------------- */

/* grpc/doc/http-grpc-status-mapping.md */
static unsigned status_of_http(unsigned http)
{
    switch (http) {
    case 400:
        return STATUS_INTERNAL;
    case 401:
        return 16;
    case 403:
        return 7;
    case 404:
        return 12;
    case 429:
    case 502:
    case 503:
    case 504:
        return 14;
    default:
        return STATUS_UNKNOWN;
    }
}

/* grpc/doc/PROTOCOL-HTTP2.md, Errors. */
static unsigned status_of_reset(uint32_t code)
{
    switch (code) {
    case NGHTTP2_REFUSED_STREAM:
        return 14;
    case NGHTTP2_CANCEL:
        return STATUS_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return 8;
    case NGHTTP2_INADEQUATE_SECURITY:
        return 7;
    default:
        return STATUS_INTERNAL;
    }
}

/* The server's own words. Details are read first: they know the exact error. */
static void read_diag(struct rpc_client_call *call, unsigned status)
{
    struct slice details = rpc_client_trailer(call, "grpc-status-details-bin"), text;
    if (details.size && status_decode(details, &call->diag) == OK && call->diag.err != OK)
        return;
    if (grpc_message_decode(&call->arena, rpc_client_trailer(call, "grpc-message"), &text))
        diag_set(&call->diag, err_from_grpc(status), "%.*s", SLICE_ARG(text));
}

static unsigned status_of_response(struct rpc_client_call *call, uint32_t error_code)
{
    struct slice text = rpc_client_trailer(call, "grpc-status");
    unsigned status = number(text);
    if (text.size) {
        status = status <= 16 ? status : STATUS_UNKNOWN;
        if (status)
            read_diag(call, status);
        return status;
    }
    if (call->got_headers && call->http_status != 200) {
        status = status_of_http(call->http_status);
        diag_set(&call->diag, err_from_grpc(status), "the server answered with HTTP status %u", call->http_status);
        return status;
    }
    status = status_of_reset(error_code);
    diag_set(&call->diag, err_from_grpc(status), "the stream ended without a status (HTTP/2 code %u)", error_code);
    return status;
}

void client_call_end(struct rpc_client_call *call, unsigned status)
{
    if (call->ended)
        return;
    call->ended = true;
    timer_stop(call->client->loop, &call->deadline);
    if (call->diag.err == OK)
        call->diag.err = err_from_grpc(status);
    call->depth++;
    call->events.on_end(call, status, &call->diag);
    client_call_leave(call);
}

void client_call_closed(struct rpc_client_call *call, uint32_t error_code)
{
    if (client_call_may_repeat(call, error_code)) {
        client_connection_leave(call->connection); /* where it was refused: others would be too */
        client_call_repeat(call);
        return;
    }
    call->connection = NULL;
    call->depth++;
    if (!call->ended)
        client_call_end(call, call->cancelled ? STATUS_CANCELLED : status_of_response(call, error_code));
    call->closed = true;
    client_call_leave(call);
}

void client_call_lost(struct rpc_client_call *call, enum err e, const struct diag *diag)
{
    call->connection = NULL;
    call->depth++;
    if (!call->ended) {
        if (diag && diag->err)
            client_copy_diag(&call->diag, diag);
        else
            diag_set(&call->diag, e, "%s", err_row(e)->text);
        client_call_end(call, err_row(ERR_UNAVAILABLE)->grpc);
    }
    call->closed = true;
    client_call_leave(call);
}
