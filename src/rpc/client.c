/* The connection of a gRPC client (client_internal.h has the states). It is made with the first call, and again with the next
 * call after it was lost. Source: RFC 9113, grpc/doc/PROTOCOL-HTTP2.md. */
#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"
#include "rpc/client_internal.h"

enum { CONNECT_TIMEOUT_MS = 5000, STREAM_WINDOW_BYTES = 1 << 20, CONNECTION_WINDOW_BYTES = 4 << 20 };

static void free_client(struct rpc_client *c)
{
    if (c->session)
        nghttp2_session_del(c->session);
    nghttp2_session_callbacks_del(c->callbacks);
    nghttp2_option_del(c->option);
    h2mem_fini(&c->h2mem);
    gzip_fini(&c->gzip);
    batch_fini(&c->output);
    buf_fini(&c->scratch);
    tls_unref(c->options.tls);
    arena_fini(&c->arena);
    mem_free(c);
}

static void maybe_free(struct rpc_client *c)
{
    if (c->freed && !c->conn && !c->flush_due && !c->calls)
        free_client(c);
}

/* ---- output ----------------------------------------------------------------------------------------------------------- */

void client_schedule_flush(struct rpc_client *c)
{
    if (c->flush_due)
        return;
    c->flush_due = true;
    loop_defer(c->loop, &c->flush);
}

void client_mark_dirty(struct rpc_client_call *call)
{
    struct rpc_client *c = call->client;
    if (!call->is_dirty) {
        call->is_dirty = true;
        call->next_dirty = NULL;
        *c->dirty_end = call;
        c->dirty_end = &call->next_dirty;
    }
    client_schedule_flush(c);
}

static bool is_full(const struct rpc_client *c)
{
    return conn_queued_bytes(c->conn) >= LIMIT_OUTPUT_QUEUE_BYTES;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t length,
                        nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)frame;
    enum { FRAME_HEAD_BYTES = 9 };
    struct rpc_client *c = user;
    if (is_full(c))
        return NGHTTP2_ERR_WOULDBLOCK;
    struct slice body = client_call_take(source->ptr, length);
    batch_put(&c->output, c->conn, head, FRAME_HEAD_BYTES);
    batch_put(&c->output, c->conn, body.data, body.size);
    return 0;
}

static void start_closing(struct rpc_client *c)
{
    if (c->state != CLIENT_OPEN)
        return;
    c->state = CLIENT_CLOSING;
    conn_close(c->conn);
}

static void produce(struct rpc_client *c)
{
    const uint8_t *data;
    ssize_t size = 0;
    while (c->state == CLIENT_OPEN && !is_full(c) && (size = nghttp2_session_mem_send(c->session, &data)) > 0)
        batch_put(&c->output, c->conn, data, (size_t)size);
    if (c->state == CLIENT_OPEN)
        batch_write(&c->output, c->conn);
    if (size < 0 || (!nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session)))
        start_closing(c);
}

static void submit_dirty(struct rpc_client *c)
{
    while (c->dirty) {
        struct rpc_client_call *call = c->dirty;
        c->dirty = call->next_dirty;
        if (!c->dirty)
            c->dirty_end = &c->dirty;
        call->is_dirty = false;
        client_call_submit(call);
    }
}

static void wake_held(struct rpc_client *c)
{
    for (struct rpc_client_call *call = c->calls, *next; call; call = next) {
        next = call->next;
        client_call_wake(call);
    }
}

static void flush(struct rpc_client *c)
{
    submit_dirty(c);
    if (c->state != CLIENT_OPEN)
        return;
    produce(c);
    wake_held(c);
}

static void flush_task(struct task *task)
{
    struct rpc_client *c = (struct rpc_client *)((char *)task - offsetof(struct rpc_client, flush));
    c->flush_due = false;
    flush(c);
    maybe_free(c);
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

static int on_frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)user;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    struct rpc_client_call *call = call_of(session, frame->hd.stream_id);
    if (call && !call->ended)
        client_call_headers(call, frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
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
    (void)user;
    struct rpc_client_call *call = call_of(session, id);
    if (!call)
        return 0;
    nghttp2_session_set_stream_user_data(session, id, NULL);
    client_call_closed(call, error_code);
    return 0;
}

static enum err make_callbacks(struct rpc_client *c)
{
    if (nghttp2_session_callbacks_new(&c->callbacks) != 0 || nghttp2_option_new(&c->option) != 0)
        return ERR_NOMEM;
    nghttp2_session_callbacks_set_on_header_callback2(c->callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c->callbacks, on_frame_received);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c->callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(c->callbacks, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(c->callbacks, on_send_data);
    nghttp2_option_set_no_closed_streams(c->option, 1);
    nghttp2_option_set_max_settings(c->option, LIMIT_HTTP2_SETTINGS_ENTRIES);
    return OK;
}

/* ---- the connection --------------------------------------------------------------------------------------------------- */

static enum err open_session(struct rpc_client *c)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, LIMIT_HEADER_BYTES},
    };
    if (nghttp2_session_client_new3(&c->session, c->callbacks, c, c->option, &c->h2mem.functions) != 0)
        return ERR_NOMEM;
    bool sent =
        nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) == 0 &&
        nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES) == 0;
    return sent ? OK : ERR_NOMEM;
}

/* The oldest first: the list has the newest in front. */
static void mark_all_dirty(struct rpc_client *c)
{
    struct rpc_client_call *oldest = c->calls;
    while (oldest && oldest->next)
        oldest = oldest->next;
    for (; oldest; oldest = oldest->prev)
        client_mark_dirty(oldest);
}

static void on_open(void *context, struct conn *conn)
{
    struct rpc_client *c = context;
    if (c->state != CLIENT_CONNECTING || open_session(c) != OK) {
        c->state = CLIENT_CLOSING;
        conn_abort(conn);
        return;
    }
    c->state = CLIENT_OPEN;
    mark_all_dirty(c);
    client_schedule_flush(c);
}

static void on_data(void *context, struct conn *conn, struct block *block, struct slice data)
{
    (void)block;
    struct rpc_client *c = context;
    if (c->state != CLIENT_OPEN)
        return;
    if (nghttp2_session_mem_recv(c->session, data.data, data.size) >= 0) {
        client_schedule_flush(c);
        return;
    }
    c->state = CLIENT_CLOSING;
    conn_abort(conn);
}

static void on_drained(void *context, struct conn *conn)
{
    (void)conn;
    client_schedule_flush(context);
}

static void clear_dirty(struct rpc_client *c)
{
    for (struct rpc_client_call *call = c->dirty; call; call = call->next_dirty)
        call->is_dirty = false;
    c->dirty = NULL;
    c->dirty_end = &c->dirty;
}

/* Splits off the calls that go down with the connection. Those that the server has not seen stay for the next one, unless no
 * connection could be made at all. */
static struct rpc_client_call *take_lost(struct rpc_client *c, bool connected)
{
    struct rpc_client_call *lost = NULL;
    for (struct rpc_client_call *call = c->calls, *next; call; call = next) {
        next = call->next;
        if (connected && !call->submitted && !call->ended && !c->freed)
            continue;
        client_call_delist(call);
        call->next = lost;
        lost = call;
    }
    return lost;
}

static void lose(struct rpc_client_call *lost, enum err e, const struct diag *diag)
{
    while (lost) {
        struct rpc_client_call *call = lost;
        lost = call->next;
        call->next = NULL;
        client_call_lost(call, e, diag);
    }
}

static void reconnect(struct rpc_client *c)
{
    if (!c->calls || c->freed)
        return;
    enum err e = client_connect(c, NULL);
    if (e)
        lose(take_lost(c, false), e, NULL);
}

static void on_closed(void *context, struct conn *conn, enum err e, const struct diag *diag)
{
    (void)conn;
    struct rpc_client *c = context;
    bool connected = c->session;
    if (c->session)
        nghttp2_session_del(c->session);
    c->session = NULL;
    c->conn = NULL;
    c->state = CLIENT_IDLE;
    c->output.size = 0;
    clear_dirty(c);
    lose(take_lost(c, connected), e ? e : connected ? ERR_CONNECTION_LOST : ERR_CONNECT_FAILED, diag);
    reconnect(c);
    maybe_free(c);
}

static const struct conn_events client_events = {on_open, on_data, on_drained, NULL, on_closed};

enum err client_connect(struct rpc_client *c, struct diag *diag)
{
    if (c->state != CLIENT_IDLE)
        return OK;
    const struct rpc_client_options *o = &c->options;
    enum err e = conn_open(c->loop, o->address, o->tls, o->server_name, o->connect_timeout_ms, &client_events, c, diag,
                           &c->conn);
    if (!e)
        c->state = CLIENT_CONNECTING;
    return e;
}

/* ---- the client ------------------------------------------------------------------------------------------------------- */

static enum err copy_options(struct rpc_client *c, const struct rpc_client_options *o)
{
    c->options = *o;
    if (o->tls)
        tls_ref(o->tls);
    c->options.address = arena_strdup(&c->arena, o->address);
    c->options.server_name = o->server_name ? arena_strdup(&c->arena, o->server_name) : NULL;
    if (!c->options.connect_timeout_ms)
        c->options.connect_timeout_ms = CONNECT_TIMEOUT_MS;
    if (!c->options.message_bytes_max)
        c->options.message_bytes_max = LIMIT_MESSAGE_BYTES_MAX;
    bool unix_path = strncmp(o->address, "unix:", 5) == 0;
    c->authority = o->server_name ? c->options.server_name : unix_path ? "localhost" : c->options.address;
    return c->options.address && c->authority ? OK : ERR_NOMEM;
}

static enum err init(struct rpc_client *c, const struct rpc_client_options *o)
{
    c->loop = o->loop;
    c->flush.run = flush_task;
    c->dirty_end = &c->dirty;
    arena_init(&c->arena, 1 << 20);
    gzip_init(&c->gzip);
    h2mem_init(&c->h2mem);
    buf_init(&c->scratch, LIMIT_MESSAGE_BYTES_MAX);
    enum err e = copy_options(c, o);
    if (!e)
        e = batch_init(&c->output);
    return e ? e : make_callbacks(c);
}

enum err rpc_client_new(const struct rpc_client_options *options, struct diag *diag, struct rpc_client **ret_client)
{
    struct rpc_client *c = mem_zalloc(sizeof *c);
    enum err e = c ? init(c, options) : ERR_NOMEM;
    if (e) {
        if (c)
            free_client(c);
        return diag_set(diag, e, "no memory for a client of %s", options->address);
    }
    *ret_client = c;
    return OK;
}

void rpc_client_free(struct rpc_client *c)
{
    if (!c)
        return;
    assert(!c->freed);
    c->freed = true;
    for (struct rpc_client_call *call = c->calls, *next; call; call = next) {
        next = call->next;
        client_call_end(call, err_row(ERR_CANCELLED)->grpc); /* its memory goes with the connection */
    }
    if (c->conn && c->state != CLIENT_CLOSING) {
        c->state = CLIENT_CLOSING;
        conn_close(c->conn);
    }
    maybe_free(c);
}
