/* An HTTP/2 session of the server: bytes in, nghttp2's callbacks, bytes out once a batch, drain, time limits.
 *
 *   serving ──drain──▶ noticed (GOAWAY 2^31-1, PING) ──PING answered──▶ last due ──flush──▶ last told (GOAWAY with the last
 *      │                                                                                      stream) ──▶ closed
 *      └──────── a budget is exceeded, or nghttp2 finds the peer broken: condemned (GOAWAY with an error) ───────────▲
 *
 * Invariants: nghttp2's mem_send runs only in flush, never inside a user's call; no user is called from inside mem_send;
 * while the connection's output queue is above LIMIT_OUTPUT_QUEUE_BYTES nothing is produced and nothing is read; a stream
 * above the last one told is not served, for its client calls again elsewhere (RFC 9113 6.8).
 * Source: RFC 9113; drain: 6.8. */
#include "rpc/http2.h"

#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"

static struct slice slice_of_rcbuf(nghttp2_rcbuf *b)
{
    nghttp2_vec v = nghttp2_rcbuf_get_buf(b);
    return slice_of(v.base, v.len);
}

static uint64_t now(const struct h2 *h)
{
    return loop_now_ns(h->server->loop);
}

static void report(struct h2 *h, const char *reason)
{
    server_report_abuse(h->connection, reason, h->walk.frames);
}

/* The reason goes with a GOAWAY of its own: nghttp2's last one carries no text. */
static void goodbye(struct h2 *h, uint32_t code)
{
    const char *reason = h->accounts.reason;
    h->condemned = true;
    if (reason)
        nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->session), code,
                              (const uint8_t *)reason, strlen(reason));
    nghttp2_session_terminate_session(h->session, code);
    h2_schedule_flush(h);
}

static void condemn(struct h2 *h, uint32_t code)
{
    if (h->condemned || h->connection->closing)
        return;
    if (code == NGHTTP2_ENHANCE_YOUR_CALM)
        report(h, h->accounts.reason);
    goodbye(h, code);
}

void h2_condemn(struct h2 *h)
{
    condemn(h, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void keep_within(struct h2 *h, bool within)
{
    if (!within)
        h2_condemn(h);
}

/* ---- output ----------------------------------------------------------------------------------------------------------- */

static bool is_full(const struct h2 *h)
{
    return conn_queued_bytes(h->connection->conn) >= LIMIT_OUTPUT_QUEUE_BYTES;
}

/* The payload of a DATA frame goes from the stream's buffer into the batch. */
static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t length,
                        nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)frame;
    enum { FRAME_HEAD_BYTES = 9 };
    struct h2 *h = user;
    if (is_full(h))
        return NGHTTP2_ERR_WOULDBLOCK;
    struct slice body = h2_stream_take(source->ptr, length);
    batch_put(&h->server->output, h->connection->conn, head, FRAME_HEAD_BYTES);
    batch_put(&h->server->output, h->connection->conn, body.data, body.size);
    h2_account_data(h, body.size);
    return 0;
}

/* ERR_NOMEM: nghttp2 could not go on. */
static enum err produce(struct h2 *h)
{
    uint64_t before = h->server->output.written_bytes;
    while (!is_full(h)) {
        const uint8_t *data;
        ssize_t size = nghttp2_session_mem_send(h->session, &data);
        if (size < 0) {
            h->server->output.size = 0;
            return ERR_NOMEM;
        }
        if (size == 0)
            break;
        batch_put(&h->server->output, h->connection->conn, data, (size_t)size);
    }
    batch_write(&h->server->output, h->connection->conn);
    h->server->stats.bytes_out += h->server->output.written_bytes - before;
    return OK;
}

/* A peer that does not read is not read either: what it asks for would only pile up. */
static void set_reading(struct h2 *h)
{
    bool on = !is_full(h) && !h->condemned;
    if (on != h->reading) {
        h->reading = on;
        conn_read(h->connection->conn, on);
    }
}

static bool is_over(const struct h2 *h)
{
    return !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
}

static void tell_last_stream(struct h2 *h)
{
    if (h->drain != H2_LAST_DUE || h->condemned)
        return;
    h->drain = H2_LAST_TOLD;
    nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->session),
                          NGHTTP2_NO_ERROR, NULL, 0);
}

void h2_note_output(struct h2 *h)
{
    connection_output(h->connection, h->buffered_bytes + conn_queued_bytes(h->connection->conn), h->walk.frames);
}

static void flush(struct h2 *h)
{
    if (h->connection->closing)
        return;
    tell_last_stream(h);
    h2_submit_dirty(h);
    if (produce(h)) {
        connection_close(h->connection, true);
        return;
    }
    if (is_over(h)) {
        connection_close(h->connection, false);
        return;
    }
    set_reading(h);
    h2_note_output(h);
    if (!h->connection->closing)
        h2_wake_held(h);
}

static void flush_task(struct task *task)
{
    struct h2 *h = (struct h2 *)((char *)task - offsetof(struct h2, flush));
    h->flush_due = false;
    if (h->gone)
        mem_free(h);
    else
        flush(h);
}

void h2_schedule_flush(struct h2 *h)
{
    if (h->flush_due || h->gone)
        return;
    h->flush_due = true;
    loop_defer(h->server->loop, &h->flush);
}

/* ---- nghttp2's events ------------------------------------------------------------------------------------------------- */

static bool carries_message(const nghttp2_frame_hd *hd)
{
    return hd->type == NGHTTP2_HEADERS || hd->type == NGHTTP2_DATA;
}

/* HEADERS of a stream that is over, or was passed over, which the peer knew: none of an honest peer can still be on its way,
 * but to streams that we have reset (RFC 9113 5.1.1 and 5.1, closed). nghttp2 would skip them. DATA it does skip, and does
 * not tell of (h2_account_skipped). */
static bool is_after_end(const struct h2 *h, const nghttp2_frame_hd *hd)
{
    return hd->type == NGHTTP2_HEADERS && hd->stream_id <= h->last_id && hd->stream_id > h->last_reset_id &&
           !nghttp2_session_find_stream(h->session, hd->stream_id);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
    (void)session;
    struct h2 *h = user;
    if (is_after_end(h, hd))
        condemn(h, NGHTTP2_PROTOCOL_ERROR);
    keep_within(h, h2_account_frame(h, hd));
    return 0;
}

static bool is_request(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

/* nghttp2 counts the streams that are open; handlers that still work for closed ones count too (CVE-2025-8671). */
static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    if (!is_request(frame) || h->condemned || h->drain == H2_LAST_TOLD)
        return 0;
    h->seen_request = true;
    h->idle_since_ns = 0;
    h->last_id = frame->hd.stream_id;
    struct h2_stream *s = h->stream_count < LIMIT_HTTP2_STREAMS ? h2_stream_open(h, frame->hd.stream_id) : NULL;
    if (!s)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
    return 0;
}

/* Frames come in runs about one stream: looking each of them up would cost more than half of what is done with it. */
static struct h2_stream *stream_of(struct h2 *h, int32_t id)
{
    if (!h->recent || h->recent->id != id)
        h->recent = nghttp2_session_get_stream_user_data(h->session, id);
    return h->recent;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
                     uint8_t flags, void *user)
{
    (void)flags;
    (void)session;
    struct h2_stream *s = stream_of(user, frame->hd.stream_id);
    if (s && h2_stream_field(s, slice_of_rcbuf(name), slice_of_rcbuf(value)) != OK)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return 0;
}

/* A field with bytes that HTTP forbids ends its stream, not the connection. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                             nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    (void)session, (void)frame, (void)name, (void)value, (void)flags, (void)user;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* The round trip after the first GOAWAY is over: requests that were on their way have come. Which is the last of them is said
 * when all that came along has been read. */
static void end_round_trip(struct h2 *h)
{
    h->drain = H2_LAST_DUE;
    h2_schedule_flush(h);
}

static void on_request_frame(struct h2_stream *s, const nghttp2_frame *frame)
{
    if (is_request(frame))
        h2_stream_dispatch(s);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        h2_stream_request_end(s);
}

static int on_frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct h2 *h = user;
    keep_within(h, h2_account_received(h, frame));
    if (h->condemned)
        return 0;
    struct h2_stream *s = carries_message(&frame->hd) ? stream_of(h, frame->hd.stream_id) : NULL;
    if (s)
        on_request_frame(s, frame);
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) && h->drain == H2_NOTICED)
        end_round_trip(h);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t size, void *user)
{
    (void)flags;
    struct h2 *h = user;
    struct h2_stream *s = stream_of(h, id);
    if (!s || h->condemned)
        return nghttp2_session_consume(session, id, size) == NGHTTP2_ERR_NOMEM ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    h2_stream_body(s, h->input, slice_of(data, size));
    return 0;
}

/* An answer that is complete before its request: the peer need not send the rest (RFC 9113 8.1). */
static void on_response_sent(struct h2_stream *s)
{
    s->response_sent = true;
    if (!s->request_ended)
        nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
}

static void note_reset(struct h2 *h, int32_t id)
{
    if (id > h->last_reset_id)
        h->last_reset_id = id;
}

/* nghttp2 resets its stream, or ends the connection. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user)
{
    (void)session, (void)error;
    note_reset(user, frame->hd.stream_id);
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    keep_within(h, h2_account_sent(h, frame));
    h->server->stats.goaways_sent += frame->hd.type == NGHTTP2_GOAWAY;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        note_reset(h, frame->hd.stream_id);
    if (!carries_message(&frame->hd) || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s)
        on_response_sent(s);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error_code, void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = stream_of(h, id);
    h->recent = NULL;
    if (!s)
        return 0;
    nghttp2_session_set_stream_user_data(session, id, NULL);
    h2_stream_closed(s, error_code);
    return 0;
}

/* Types that nobody has defined are skipped, but nghttp2 tells of them only if it is asked to. */
static void count_unknown_frames(nghttp2_option *o)
{
    enum { FIRST_EXTENSION = 0x0a, LAST = 0xff };
    for (int type = FIRST_EXTENSION; type <= LAST; type++)
        nghttp2_option_set_user_recv_extension_type(o, (uint8_t)type);
}

static int on_extension(nghttp2_session *session, void **payload, const nghttp2_frame_hd *hd, void *user)
{
    (void)session, (void)payload, (void)hd, (void)user;
    return NGHTTP2_ERR_CANCEL;
}

static void set_callbacks(nghttp2_session_callbacks *c)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(c, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(c, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_received);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(c, on_send_data);
    nghttp2_session_callbacks_set_unpack_extension_callback(c, on_extension);
}

static void set_options(nghttp2_option *o)
{
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_settings(o, LIMIT_HTTP2_SETTINGS_ENTRIES);
    /* What http2_limit.c counts itself, by the loop's clock and in the statistics, nghttp2 need not stop before. */
    nghttp2_option_set_stream_reset_rate_limit(o, UINT32_MAX, UINT32_MAX);
    nghttp2_option_set_max_continuations(o, 2 * LIMIT_HTTP2_CONTINUATIONS);
    nghttp2_option_set_max_outbound_ack(o, 2 * LIMIT_HTTP2_CONTROL_QUEUED);
    count_unknown_frames(o);
}

enum err h2_server_init(struct rpc_server *server)
{
    h2mem_init(&server->h2mem);
    if (nghttp2_session_callbacks_new(&server->h2_callbacks) != 0 || nghttp2_option_new(&server->h2_option) != 0)
        return ERR_NOMEM;
    set_callbacks(server->h2_callbacks);
    set_options(server->h2_option);
    return OK;
}

void h2_server_fini(struct rpc_server *server)
{
    h2_streams_free(server);
    h2mem_fini(&server->h2mem);
    nghttp2_session_callbacks_del(server->h2_callbacks);
    nghttp2_option_del(server->h2_option);
}

/* ---- the protocol, as the server sees it (internal.h) ----------------------------------------------------------------- */

/* Not SETTINGS_NO_RFC7540_PRIORITIES: with it nghttp2 1.52 frees a DATA item twice when memory is out. */
static int submit_settings(struct h2 *h)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, LIMIT_HTTP2_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, LIMIT_HTTP2_STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, LIMIT_HEADER_BYTES},
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, LIMIT_HTTP2_HEADER_TABLE_BYTES},
    };
    int status = nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings);
    return status ? status
                  : nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                          LIMIT_HTTP2_CONNECTION_WINDOW_BYTES);
}

static enum err open_session(struct connection *connection, void **ret_session)
{
    struct rpc_server *server = connection->server;
    struct h2 *h = mem_zalloc(sizeof *h);
    if (!h)
        return ERR_NOMEM;
    h->connection = connection;
    h->server = server;
    h->flush.run = flush_task;
    h->reading = true;
    h->idle_since_ns = h->received_ns = now(h);
    h2_walk_init(&h->walk);
    if (nghttp2_session_server_new3(&h->session, server->h2_callbacks, h, server->h2_option,
                                    &server->h2mem.functions) != 0) {
        mem_free(h);
        return ERR_NOMEM;
    }
    if (submit_settings(h) != 0) {
        nghttp2_session_del(h->session);
        mem_free(h);
        return ERR_NOMEM;
    }
    h2_schedule_flush(h);
    *ret_session = h;
    return OK;
}

/* Resets that are on their way out explain DATA that nghttp2 has passed over: they go first. What none explains is an error
 * (RFC 9113 5.1, closed), while streams end in no other way. */
static void settle_skipped(struct h2 *h)
{
    if (h->drain == H2_SERVING) /* else the rest of the read comes first: the last GOAWAY names what is in it */
        flush(h);
    bool explained = h->accounts.late_bytes || h->drain != H2_SERVING || nghttp2_session_want_write(h->session);
    if (explained)
        keep_within(h, h2_account_skipped(h));
    else
        condemn(h, NGHTTP2_STREAM_CLOSED);
}

/* false: the connection is over. */
static bool feed_part(struct h2 *h, struct slice part)
{
    ssize_t size = nghttp2_session_mem_recv(h->session, part.data, part.size);
    if (size == NGHTTP2_ERR_FLOODED)
        report(h, "answers that it does not read");
    if (size >= 0 && h2_has_skipped(h))
        settle_skipped(h);
    return size >= 0;
}

static void feed(void *session, struct block *block, struct slice data)
{
    struct h2 *h = session;
    bool fine = true;
    if (h->condemned)
        return;
    h->received_ns = now(h);
    h->asked_ns = 0;
    h->input = block;
    while (data.size && fine && !h->condemned && !h->connection->closing) {
        size_t size = h2_walk(&h->walk, data);
        fine = feed_part(h, slice_of(data.data, size));
        data = slice_skip(data, size);
    }
    h->input = NULL;
    if (fine)
        flush(h);
    else
        connection_close(h->connection, true);
}

static void drained(void *session)
{
    h2_schedule_flush(session);
}

static void eof(void *session)
{
    struct h2 *h = session;
    connection_close(h->connection, false);
}

static void closed(void *session, enum err e)
{
    struct h2 *h = session;
    h->gone = true;
    h->dirty = NULL;
    while (h->streams)
        h2_stream_orphan(h->streams, e ? e : ERR_CONNECTION_LOST);
    nghttp2_session_del(h->session);
    if (!h->flush_due)
        mem_free(h);
}

static void drain(void *session)
{
    struct h2 *h = session;
    if (h->drain != H2_SERVING || h->condemned)
        return;
    h->drain = H2_NOTICED;
    h->drain_since_ns = now(h);
    nghttp2_submit_shutdown_notice(h->session);
    nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL);
    h2_schedule_flush(h);
}

static bool is_late(uint64_t since_ns, uint64_t now_ns, uint64_t limit_ms)
{
    return now_ns > since_ns && now_ns - since_ns > limit_ms * 1000000;
}

/* gRPC's server keepalive: a peer that is gone without a word, behind a lost link, would hold its streams for ever. */
static void ask_whether_alive(struct h2 *h)
{
    h->asked_ns = now(h);
    nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL);
    h2_schedule_flush(h);
}

/* While we do not read, silence says nothing: whether the peer takes our output does (is_stuck). */
static void excuse_silence(struct h2 *h, uint64_t now_ns)
{
    if (h->reading)
        return;
    h->received_ns = now_ns;
    h->asked_ns = 0;
}

static bool is_dead(const struct h2 *h, uint64_t now_ns)
{
    return h->asked_ns && is_late(h->asked_ns, now_ns, h->server->options.keepalive.timeout_ms);
}

static bool is_silent(const struct h2 *h, uint64_t now_ns)
{
    uint64_t interval_ms = h->server->options.keepalive.interval_ms;
    return interval_ms && !h->asked_ns && h->drain == H2_SERVING && is_late(h->received_ns, now_ns, interval_ms);
}

static bool is_idle_too_long(const struct h2 *h, uint64_t now_ns)
{
    return h->idle_since_ns &&
           is_late(h->idle_since_ns, now_ns, h->seen_request ? LIMIT_HTTP2_IDLE_MS : LIMIT_FIRST_REQUEST_MS);
}

static bool is_stuck(const struct h2 *h, uint64_t now_ns)
{
    struct conn *conn = h->connection->conn;
    return conn_queued_bytes(conn) && is_late(conn_last_write_ns(conn), now_ns, LIMIT_WRITE_STALL_MS);
}

static void sweep(void *session, uint64_t now_ns)
{
    struct h2 *h = session;
    excuse_silence(h, now_ns);
    if (is_stuck(h, now_ns) || is_dead(h, now_ns)) {
        h->server->stats.keepalive_closed += is_dead(h, now_ns);
        connection_close(h->connection, true);
        return;
    }
    h2_note_output(h);
    if (is_silent(h, now_ns))
        ask_whether_alive(h);
    keep_within(h, h2_account_time(h, now_ns));
    if (h->drain == H2_NOTICED && is_late(h->drain_since_ns, now_ns, LIMIT_DRAIN_ROUND_TRIP_MS))
        end_round_trip(h);
    else if (h->drain == H2_LAST_TOLD && h->stream_count == 0)
        connection_close(h->connection, false);
    else if (is_idle_too_long(h, now_ns))
        drain(h);
}

static void refuse(void *session)
{
    struct h2 *h = session;
    h->accounts.reason = err_row(ERR_TOO_MANY_CONNECTIONS)->text;
    goodbye(h, NGHTTP2_ENHANCE_YOUR_CALM);
}

const struct protocol http2_protocol = {open_session, feed, drained, eof, closed, sweep, drain, refuse};
