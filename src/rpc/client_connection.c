/* A connection of the gRPC client: bytes out once a batch, nghttp2's events, its end (client_internal.h has the states).
 * Source: RFC 9113, grpc/doc/PROTOCOL-HTTP2.md. */
#include "base/limits.h"
#include "base/mem.h"
#include "rpc/client_internal.h"

enum { STREAM_WINDOW_BYTES = 1 << 20, CONNECTION_WINDOW_BYTES = 4 << 20 };

static bool is_usable(const struct client_connection *k)
{
    return k->session && k->state != CONNECTION_CLOSING;
}

/* ---- output ----------------------------------------------------------------------------------------------------------- */

static bool is_full(const struct client_connection *k)
{
    return conn_queued_bytes(k->conn) >= LIMIT_OUTPUT_QUEUE_BYTES;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t length,
                        nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)frame;
    enum { FRAME_HEAD_BYTES = 9 };
    struct client_connection *k = user;
    if (is_full(k))
        return NGHTTP2_ERR_WOULDBLOCK;
    struct slice body = client_call_take(source->ptr, length);
    batch_put(&k->client->output, k->conn, head, FRAME_HEAD_BYTES);
    batch_put(&k->client->output, k->conn, body.data, body.size);
    return 0;
}

static bool is_over(const struct client_connection *k)
{
    return (k->state == CONNECTION_LEAVING && k->call_count == 0 && !nghttp2_session_want_write(k->session)) ||
           (!nghttp2_session_want_read(k->session) && !nghttp2_session_want_write(k->session));
}

void client_connection_flush(struct client_connection *k)
{
    struct batch *output = &k->client->output;
    const uint8_t *data;
    ssize_t size = 0;
    if (!is_usable(k))
        return;
    while (!is_full(k) && (size = nghttp2_session_mem_send(k->session, &data)) > 0)
        batch_put(output, k->conn, data, (size_t)size);
    batch_write(output, k->conn);
    if (size < 0 || is_over(k))
        client_connection_close(k);
}

/* ---- nghttp2's events ------------------------------------------------------------------------------------------------- */

static struct rpc_client_call *call_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static struct slice slice_of_rcbuf(nghttp2_rcbuf *b)
{
    nghttp2_vec v = nghttp2_rcbuf_get_buf(b);
    return slice_of(v.base, v.len);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
                     uint8_t flags, void *user)
{
    (void)flags;
    (void)user;
    struct rpc_client_call *call = call_of(session, frame->hd.stream_id);
    if (!call || call->ended || frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    bool trailers = frame->headers.cat == NGHTTP2_HCAT_HEADERS && call->got_headers;
    return client_call_field(call, slice_of_rcbuf(name), slice_of_rcbuf(value), trailers)
               ? 0
               : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void be_greeted(struct client_connection *k)
{
    if (k->greeted)
        return;
    k->greeted = true;
    k->state = CONNECTION_OPEN;
    k->client->backoff_ms = 0;
    k->client->failure.err = OK;
    timer_stop(k->client->loop, &k->greeting);
    client_mark_waiting_dirty(k->client);
}

static int on_frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    if (frame->hd.type == NGHTTP2_SETTINGS)
        be_greeted(user);
    if (frame->hd.type == NGHTTP2_GOAWAY)
        client_connection_leave(user);
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    struct rpc_client_call *call = call_of(session, frame->hd.stream_id);
    if (call && !call->ended)
        client_call_headers(call, frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    return 0;
}

static bool is_request(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)user;
    struct rpc_client_call *call = is_request(frame) ? call_of(session, frame->hd.stream_id) : NULL;
    if (call)
        call->request_sent = true;
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                         void *user)
{
    (void)flags;
    (void)user;
    struct rpc_client_call *call = call_of(session, id);
    if (call && !call->ended)
        client_call_data(call, slice_of(data, size));
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error_code, void *user)
{
    struct client_connection *k = user;
    struct rpc_client_call *call = call_of(session, id);
    if (!call)
        return 0;
    nghttp2_session_set_stream_user_data(session, id, NULL);
    k->call_count--;
    client_call_closed(call, error_code);
    return 0;
}

enum err client_make_callbacks(struct rpc_client *c)
{
    if (nghttp2_session_callbacks_new(&c->callbacks) != 0 || nghttp2_option_new(&c->option) != 0)
        return ERR_NOMEM;
    nghttp2_session_callbacks_set_on_header_callback2(c->callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c->callbacks, on_frame_received);
    nghttp2_session_callbacks_set_on_frame_send_callback(c->callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c->callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(c->callbacks, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(c->callbacks, on_send_data);
    nghttp2_option_set_no_closed_streams(c->option, 1);
    nghttp2_option_set_max_settings(c->option, LIMIT_HTTP2_SETTINGS_ENTRIES);
    return OK;
}

/* ---- its life --------------------------------------------------------------------------------------------------------- */

static enum err open_session(struct client_connection *k)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, LIMIT_HEADER_BYTES},
    };
    struct rpc_client *c = k->client;
    if (nghttp2_session_client_new3(&k->session, c->callbacks, k, c->option, &c->h2mem.functions) != 0)
        return ERR_NOMEM;
    bool sent =
        nghttp2_submit_settings(k->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) == 0 &&
        nghttp2_session_set_local_window_size(k->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES) == 0;
    return sent ? OK : ERR_NOMEM;
}

static void retire(struct client_connection *k, enum connection_state state)
{
    k->state = state;
    if (k->client->current == k)
        k->client->current = NULL;
}

void client_connection_leave(struct client_connection *k)
{
    if (k->state != CONNECTION_OPEN)
        return;
    retire(k, CONNECTION_LEAVING);
    client_calls_pass_over(k);
    client_schedule_flush(k->client);
}

void client_connection_close(struct client_connection *k)
{
    if (k->state == CONNECTION_CLOSING)
        return;
    retire(k, CONNECTION_CLOSING);
    conn_close(k->conn);
}

static void abort_connection(struct client_connection *k)
{
    retire(k, CONNECTION_CLOSING);
    conn_abort(k->conn);
}

static void greeting_late(struct timer *timer)
{
    abort_connection((struct client_connection *)((char *)timer - offsetof(struct client_connection, greeting)));
}

static void on_open(void *context, struct conn *conn)
{
    (void)conn;
    struct client_connection *k = context;
    if (k->state != CONNECTION_CONNECTING)
        return;
    if (open_session(k) != OK) {
        abort_connection(k);
        return;
    }
    k->greeting.fire = greeting_late;
    timer_start(k->client->loop, &k->greeting,
                loop_now_ns(k->client->loop) + (uint64_t)k->client->options.connect_timeout_ms * 1000000);
    client_schedule_flush(k->client);
}

static void on_data(void *context, struct conn *conn, struct block *block, struct slice data)
{
    (void)conn;
    (void)block;
    struct client_connection *k = context;
    if (!is_usable(k))
        return;
    if (nghttp2_session_mem_recv(k->session, data.data, data.size) >= 0)
        client_schedule_flush(k->client);
    else
        abort_connection(k);
}

static void on_drained(void *context, struct conn *conn)
{
    (void)conn;
    client_schedule_flush(((struct client_connection *)context)->client);
}

static void on_closed(void *context, struct conn *conn, enum err e, const struct diag *diag)
{
    (void)conn;
    struct client_connection *k = context;
    retire(k, CONNECTION_CLOSING);
    timer_stop(k->client->loop, &k->greeting);
    client_calls_pass_over(k);
    nghttp2_session_del(k->session);
    client_connection_gone(k, e ? e : k->greeted ? ERR_CONNECTION_LOST : ERR_CONNECT_FAILED, diag);
}

static const struct conn_events connection_events = {
    .on_open = on_open, .on_data = on_data, .on_drained = on_drained, .on_closed = on_closed};

enum err client_connection_open(struct rpc_client *c, struct diag *diag)
{
    const struct rpc_client_options *o = &c->options;
    struct client_connection *k = mem_zalloc(sizeof *k);
    if (!k)
        return ERR_NOMEM;
    k->client = c;
    enum err e = conn_open(c->loop, o->address, o->tls, o->server_name, o->connect_timeout_ms, &connection_events, k,
                           diag, &k->conn);
    if (e) {
        mem_free(k);
        return e;
    }
    k->next = c->connections;
    c->connections = c->current = k;
    return OK;
}
