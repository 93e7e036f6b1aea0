/* Peers that flood, stall and break rules (abuse catalogue 1 to 11): what each costs is bounded, and honest connections of the
 * same server go on. */
#include "raw.h"

static struct raw r;

static void start(void)
{
    raw_open(&r);
    raw_greet(&r);
    raw_run(&r, 10);
}

/* An honest client is served, then everything is put away. */
static void finish(void)
{
    struct script s;
    CHECK_ERR(script_begin(&s, &r.world, "EmptyCall", NULL), OK);
    rpc_client_send(s.call, SLICE_EMPTY);
    rpc_client_send_end(s.call);
    script_run(&s);
    CHECK_EQ(s.status, 0);
    script_fini(&s);
    CHECK_EQ(raw_stats(&r)->calls_in_flight, 0);
    raw_close(&r);
}

enum { FRAMES_MAX = LIMIT_HTTP2_GLITCH_BURST + 100 }; /* by which every flood has ended */

/* And whoever keeps the log was told why. */
static void check_calmed(const char *reason)
{
    CHECK(r.goaway && r.closed);
    CHECK_EQ(r.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK_EQ(raw_stats(&r)->abuse_closed, 1);
    CHECK_STR(r.world.offence, reason);
    CHECK(r.world.offence_frames <= FRAMES_MAX);
}

TEST(rapid_reset_ends_the_connection)
{
    start();
    for (uint32_t i = 0; i < 1000; i++) {
        raw_headers(&r, 2 * i + 1, NULL, false);
        raw_u32(&r, NGHTTP2_RST_STREAM, 0, 2 * i + 1, NGHTTP2_CANCEL);
    }
    raw_run(&r, 1000);
    check_calmed("resets");
    CHECK(raw_stats(&r)->calls_started <= LIMIT_HTTP2_RESET_BURST + 10);
    finish();
}

TEST(resets_at_an_honest_pace_are_fine)
{
    start();
    for (uint32_t i = 0; i < 500; i++) {
        raw_headers(&r, 2 * i + 1, NULL, false);
        raw_u32(&r, NGHTTP2_RST_STREAM, 0, 2 * i + 1, NGHTTP2_CANCEL);
        raw_run(&r, 50);
    }
    CHECK(!r.goaway && !r.closed);
    CHECK_EQ(raw_stats(&r)->calls_started, 500);
    finish();
}

/* CVE-2025-8671: the server resets, because of what the client did. */
static void made_you_reset(void (*provoke)(uint32_t stream))
{
    static const struct raw_request streaming = {.path = "/grpc.testing.TestService/FullDuplexCall"};
    start();
    for (uint32_t i = 0; i < 1000; i++) {
        raw_headers(&r, 2 * i + 1, &streaming, false);
        provoke(2 * i + 1);
        if (i % 50 == 0)
            raw_run(&r, 1);
    }
    raw_run(&r, 1000);
    CHECK(r.goaway && r.closed);
    CHECK(raw_stats(&r)->calls_started <= LIMIT_HTTP2_RESET_BURST + 100);
    CHECK(r.world.offence_frames <= FRAMES_MAX);
    finish();
}

static void zero_increment(uint32_t stream)
{
    raw_u32(&r, NGHTTP2_WINDOW_UPDATE, 0, stream, 0);
}

static void window_overflow(uint32_t stream)
{
    raw_u32(&r, NGHTTP2_WINDOW_UPDATE, 0, stream, 0x7fffffff);
}

static void data_after_end(uint32_t stream)
{
    raw_data(&r, stream, SLICE_EMPTY, true);
    raw_data(&r, stream, SLICE("x"), true);
}

static void bad_trailers(uint32_t stream)
{
    raw_headers(&r, stream, NULL, false);
}

static void priority_on_itself(uint32_t stream)
{
    raw_u32(&r, NGHTTP2_RST_STREAM, 0, stream, NGHTTP2_CANCEL);
    uint8_t payload[] = {(uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream, 1};
    raw_frame(&r, NGHTTP2_PRIORITY, 0, stream, slice_of(payload, sizeof payload));
}

static void update_of_three_bytes(uint32_t stream)
{
    raw_frame(&r, NGHTTP2_WINDOW_UPDATE, 0, stream, SLICE("\0\0\1"));
}

static void odd_scheme(uint32_t stream)
{
    raw_call(&r, stream, &(struct raw_request){.scheme = "x"});
}

TEST(resets_that_the_peer_provokes_cost_as_much)
{
    made_you_reset(odd_scheme);
    made_you_reset(zero_increment);
    made_you_reset(window_overflow);
    made_you_reset(data_after_end);
    made_you_reset(bad_trailers);
    made_you_reset(priority_on_itself);
    made_you_reset(update_of_three_bytes);
}

TEST(a_flood_of_continuations_ends_within_nine_frames)
{
    struct buf block;
    buf_init(&block, 1 << 16);
    start();
    raw_block(&block, NULL);
    raw_frame(&r, NGHTTP2_HEADERS, 0, 1, buf_slice(&block));
    for (int i = 0; i < LIMIT_HTTP2_CONTINUATIONS; i++)
        raw_frame(&r, NGHTTP2_CONTINUATION, 0, 1, SLICE_EMPTY);
    raw_run(&r, 10);
    CHECK(!r.goaway);
    raw_frame(&r, NGHTTP2_CONTINUATION, 0, 1, SLICE_EMPTY);
    raw_run(&r, 1000);
    CHECK(r.closed);
    CHECK_EQ(raw_stats(&r)->abuse_closed, 1);
    CHECK_STR(r.world.offence, "CONTINUATION frames");
    buf_fini(&block);
    finish();
}

TEST(references_to_a_large_header_are_not_stored)
{
    enum { REFERENCES = 16000 };
    static uint8_t references[REFERENCES];
    struct buf block;
    buf_init(&block, 1 << 16);
    memset(references, 0xbe, sizeof references); /* index 62: the newest entry of the dynamic table */
    start();
    raw_block(&block, NULL);
    buf_put(&block, "\x40\1x\x7e", 4); /* a literal with indexing, 126 bytes */
    for (int i = 0; i < 126; i++)
        buf_putc(&block, 'v');
    buf_put(&block, references, sizeof references - block.size);
    for (uint32_t i = 0; i < 50; i++)
        raw_frame(&r, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1, buf_slice(&block));
    int64_t before = mem_live();
    raw_run(&r, 1000);
    CHECK(mem_live() - before < 1000);
    CHECK_EQ(r.answers[1].grpc_status, 8);
    buf_fini(&block);
    finish();
}

/* HPACK integers that never end, or that say 4 GiB (RFC 7541 5.1: "MUST be treated as decoding errors"). */
static void check_not_decoded(struct slice field)
{
    start();
    raw_frame(&r, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, field);
    int64_t before = mem_live();
    raw_run(&r, 1000);
    CHECK(r.goaway && r.closed);
    CHECK_EQ(r.goaway_code, NGHTTP2_COMPRESSION_ERROR);
    CHECK(mem_live() <= before);
    finish();
}

TEST(lengths_without_end_are_not_decoded)
{
    static uint8_t zeros[LIMIT_HTTP2_FRAME_BYTES] = {0x00, 0x7f};
    memset(zeros + 2, 0x80, sizeof zeros - 2);
    check_not_decoded(slice_of(zeros, sizeof zeros));
    check_not_decoded(SLICE("\x00\x7f\xff\xff\xff\xff\x0f"));
    check_not_decoded(SLICE("\x00\x01x\x7f\xff\xff\xff\xff\x0f"));
}

enum { LONG_FLOOD = 20000 };

static void flood(void (*one)(uint32_t i), uint32_t count, const char *reason)
{
    start();
    for (uint32_t i = 0; i < count; i++)
        one(i);
    raw_run(&r, 1000);
    check_calmed(reason);
    finish();
}

static void ping(uint32_t i)
{
    (void)i;
    raw_frame(&r, NGHTTP2_PING, 0, 0, SLICE("12345678"));
}

static void settings(uint32_t i)
{
    (void)i;
    raw_frame(&r, NGHTTP2_SETTINGS, 0, 0, SLICE_EMPTY);
}

static void table_flapping(uint32_t i)
{
    raw_frame(&r, NGHTTP2_SETTINGS, 0, 0, i % 2 ? SLICE("\0\1\0\0\0\0") : SLICE("\0\1\0\1\0\0"));
}

static void priority(uint32_t i)
{
    raw_frame(&r, NGHTTP2_PRIORITY, 0, 2 * i + 1, SLICE("\0\0\0\0\1"));
}

static void window_update(uint32_t i)
{
    (void)i;
    raw_u32(&r, NGHTTP2_WINDOW_UPDATE, 0, 0, 1);
}

static void empty_data(uint32_t i)
{
    if (i == 0)
        raw_headers(&r, 1, &(struct raw_request){.path = "/grpc.testing.TestService/FullDuplexCall"}, false);
    raw_data(&r, 1, SLICE_EMPTY, false);
}

static void unknown_frame(uint32_t i)
{
    (void)i;
    raw_frame(&r, 0x77, 0, 0, SLICE("?"));
}

TEST(pings_too_early_are_too_many)
{
    flood(ping, 10, "PING frames too early");
}

TEST(a_flood_of_settings_ends_the_connection)
{
    flood(settings, LONG_FLOOD, "SETTINGS frames");
    flood(table_flapping, LONG_FLOOD, "SETTINGS frames");
}

/* What we say in answer earns the peer nothing. */
TEST(a_flood_that_is_answered_ends_the_connection_as_soon)
{
    start();
    for (uint32_t i = 0; i < LONG_FLOOD && !r.closed; i++) {
        settings(i);
        if (i % 100 == 99)
            raw_run(&r, 1);
    }
    raw_run(&r, 1000);
    check_calmed("SETTINGS frames");
    finish();
}

TEST(a_flood_of_priorities_ends_the_connection)
{
    flood(priority, LONG_FLOOD, "PRIORITY frames");
}

TEST(a_flood_of_window_updates_ends_the_connection)
{
    flood(window_update, LONG_FLOOD, "WINDOW_UPDATE frames");
}

TEST(a_flood_of_empty_data_ends_the_connection)
{
    flood(empty_data, LONG_FLOOD, "empty DATA frames");
}

TEST(a_flood_of_unknown_frames_ends_the_connection)
{
    flood(unknown_frame, LONG_FLOOD, "frames of unknown types");
}

/* The stream that DATA comes late for has been reset by us: some may have been on its way. */
static void late_empty_data(uint32_t i)
{
    if (i == 0) {
        raw_headers(&r, 1, &(struct raw_request){.path = "/no.Service/Method"}, false);
        raw_run(&r, 100);
    }
    raw_data(&r, 1, SLICE_EMPTY, false);
}

/* nghttp2 skips it without telling. */
TEST(a_flood_of_empty_data_on_a_stream_that_is_over_ends_the_connection)
{
    flood(late_empty_data, LONG_FLOOD, "DATA on streams that are over");
}

/* Answers to a peer that takes none do not pile up. */
TEST(a_flood_by_a_peer_that_does_not_read_ends_the_connection)
{
    start();
    conn_read(r.conn, false);
    int64_t before = mem_live();
    for (uint32_t i = 0; i < 20000; i++)
        settings(i);
    for (int i = 0; i < 100; i++)
        raw_run(&r, 10);
    CHECK_EQ(raw_stats(&r)->abuse_closed, 1);
    CHECK(mem_live() - before < LIMIT_OUTPUT_QUEUE_BYTES);
    finish();
}

TEST(settings_with_too_many_entries_end_the_connection)
{
    struct buf entries;
    buf_init(&entries, 1 << 16);
    start();
    for (int i = 0; i < LIMIT_HTTP2_SETTINGS_ENTRIES + 1; i++)
        buf_put(&entries, "\x7f\x7f\0\0\0\1", 6);
    raw_frame(&r, NGHTTP2_SETTINGS, 0, 0, buf_slice(&entries));
    raw_run(&r, 1000);
    CHECK(r.closed);
    buf_fini(&entries);
    finish();
}

TEST(a_peer_that_does_not_speak_is_closed)
{
    raw_open(&r);
    raw_run(&r, LIMIT_HANDSHAKE_MS - 1000);
    CHECK(!r.closed);
    raw_run(&r, 3000);
    CHECK(r.closed);
    finish();
}

TEST(a_preface_a_byte_at_a_time_is_closed)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    raw_open(&r);
    for (size_t i = 0; i < sizeof preface - 1 && !r.closed; i++) {
        buf_putc(&r.out, preface[i]);
        raw_run(&r, 1000);
    }
    CHECK(r.closed);
    finish();
}

TEST(a_preface_in_pieces_is_understood)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    raw_open(&r);
    for (size_t i = 0; i < sizeof preface - 1; i++) {
        buf_putc(&r.out, preface[i]);
        raw_run(&r, 10);
    }
    raw_frame(&r, NGHTTP2_SETTINGS, 0, 0, SLICE_EMPTY);
    raw_call(&r, 1, NULL);
    raw_run(&r, 100);
    CHECK_EQ(r.answers[1].grpc_status, 0);
    finish();
}

TEST(a_connection_without_a_request_is_asked_to_leave)
{
    start();
    raw_run(&r, LIMIT_FIRST_REQUEST_MS + 3000);
    CHECK(r.goaway && r.closed);
    CHECK_EQ(r.goaway_code, NGHTTP2_NO_ERROR);
    CHECK_EQ(raw_stats(&r)->abuse_closed, 0);
    finish();
}

TEST(a_header_block_that_does_not_end_is_closed)
{
    struct buf block;
    buf_init(&block, 1 << 16);
    start();
    raw_block(&block, NULL);
    raw_frame(&r, NGHTTP2_HEADERS, 0, 1, buf_slice(&block));
    raw_run(&r, LIMIT_HEADERS_MS + 3000);
    check_calmed("a header block that does not end");
    buf_fini(&block);
    finish();
}

TEST(a_peer_that_takes_nothing_is_closed)
{
    start();
    raw_frame(&r, NGHTTP2_SETTINGS, 0, 0, SLICE("\0\4\0\0\0\0")); /* windows of 0 bytes */
    for (uint32_t i = 0; i < 50; i++)
        raw_ask(&r, 2 * i + 1, 1 << 20, 0);
    raw_run(&r, LIMIT_WRITE_STALL_MS - 2000);
    CHECK(!r.closed);
    raw_run(&r, 5000);
    CHECK(r.closed);
    finish();
}

TEST(a_peer_that_takes_a_byte_at_a_time_is_closed)
{
    start();
    raw_frame(&r, NGHTTP2_SETTINGS, 0, 0, SLICE("\0\4\0\0\0\0"));
    raw_ask(&r, 1, 1 << 20, 0);
    for (int i = 0; i < 30 && !r.closed; i++) {
        raw_u32(&r, NGHTTP2_WINDOW_UPDATE, 0, 1, 1);
        raw_run(&r, 3000);
    }
    CHECK(r.closed);
    CHECK(r.answers[1].data_bytes > 0);
    finish();
}

TEST(streams_beyond_the_limit_are_refused)
{
    static const struct raw_request streaming = {.path = "/grpc.testing.TestService/FullDuplexCall"};
    start();
    for (uint32_t i = 0; i < LIMIT_HTTP2_STREAMS + 20; i++)
        raw_headers(&r, 2 * i + 1, &streaming, false);
    raw_run(&r, 100);
    CHECK_EQ(raw_stats(&r)->calls_in_flight, LIMIT_HTTP2_STREAMS);
    CHECK_EQ(r.resets, 20);
    CHECK_EQ(r.answers[2 * LIMIT_HTTP2_STREAMS + 1].reset_code, NGHTTP2_REFUSED_STREAM);
    conn_abort(r.conn);
    raw_run(&r, 100);
    finish();
}

TEST(pings_after_data_are_no_strikes)
{
    start();
    for (uint32_t i = 0; i < 100; i++) {
        raw_call(&r, 2 * i + 1, NULL);
        raw_run(&r, 5);
        ping(i);
        raw_run(&r, 5);
    }
    CHECK(!r.goaway);
    CHECK_EQ(r.pings, 100);
    finish();
}

TEST(garbage_is_closed)
{
    start();
    for (int i = 0; i < 100; i++)
        buf_put(&r.out, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10);
    raw_run(&r, 1000);
    CHECK(r.closed);
    finish();
}

static const struct raw_request endless = {.path = "/grpc.testing.TestService/FullDuplexCall"};

static void check_broken(void)
{
    raw_run(&r, 1000);
    CHECK(r.goaway && r.closed);
    CHECK_EQ(r.goaway_code, NGHTTP2_PROTOCOL_ERROR);
    finish();
}

TEST(headers_on_a_stream_that_has_ended_end_the_connection)
{
    start();
    raw_call(&r, 1, NULL);
    raw_run(&r, 100);
    CHECK_EQ(r.answers[1].grpc_status, 0);
    raw_headers(&r, 1, NULL, true);
    check_broken();
}

TEST(a_stream_below_the_newest_ends_the_connection)
{
    start();
    raw_headers(&r, 5, &endless, false);
    raw_headers(&r, 3, &endless, false);
    check_broken();
}

/* An answer before the request's end resets the stream: what the peer sent before it knew does no harm. */
TEST(data_on_its_way_to_a_stream_that_we_reset_is_skipped)
{
    start();
    raw_headers(&r, 1, &(struct raw_request){.path = "/no.Service/Method"}, false);
    raw_run(&r, 100);
    CHECK(r.answers[1].ended && r.answers[1].reset);
    raw_data(&r, 1, SLICE("x"), false);
    raw_headers(&r, 1, NULL, true);
    raw_call(&r, 3, NULL);
    raw_run(&r, 100);
    CHECK(!r.goaway);
    CHECK_EQ(r.answers[3].grpc_status, 0);
    finish();
}

/* What a peer that keeps to its window may have had on its way when we answered early: a byte a frame. */
TEST(much_data_on_its_way_to_a_stream_that_we_reset_is_no_flood)
{
    start();
    raw_headers(&r, 1, &(struct raw_request){.path = "/no.Service/Method"}, false);
    raw_run(&r, 100);
    CHECK(r.answers[1].reset);
    for (int i = 0; i < LIMIT_HTTP2_STREAM_WINDOW_BYTES; i++)
        raw_data(&r, 1, SLICE("x"), false);
    raw_run(&r, 1000);
    CHECK(!r.goaway);
    raw_call(&r, 3, NULL);
    raw_run(&r, 100);
    CHECK_EQ(r.answers[3].grpc_status, 0);
    raw_data(&r, 1, SLICE("x"), false);
    raw_run(&r, 1000);
    CHECK(r.goaway && r.closed);
    CHECK_EQ(r.goaway_code, NGHTTP2_STREAM_CLOSED);
    finish();
}

/* Nothing of ours explains it. */
TEST(data_on_a_stream_that_has_ended_ends_the_connection)
{
    start();
    raw_call(&r, 1, NULL);
    raw_run(&r, 100);
    CHECK_EQ(r.answers[1].grpc_status, 0);
    raw_data(&r, 1, SLICE("x"), false);
    raw_run(&r, 1000);
    CHECK(r.goaway && r.closed);
    CHECK_EQ(r.goaway_code, NGHTTP2_STREAM_CLOSED);
    finish();
}

TEST(data_behind_requests_that_are_refused_is_explained_by_their_resets)
{
    start();
    for (uint32_t i = 0; i < LIMIT_HTTP2_STREAMS + 20; i++) {
        raw_headers(&r, 2 * i + 1, &endless, false);
        raw_data(&r, 2 * i + 1, SLICE("\0\0\0\0\0"), false);
    }
    raw_run(&r, 100);
    CHECK_EQ(r.resets, 20);
    CHECK(!r.goaway);
    conn_abort(r.conn);
    raw_run(&r, 100);
    finish();
}

TEST(data_of_requests_that_come_after_the_last_goaway_is_no_flood)
{
    start();
    raw_headers(&r, 1, &endless, false);
    raw_run(&r, 10);
    world_drain(&r.world, 60000000000);
    raw_run(&r, 2000);
    CHECK_EQ(r.goaway_count, 2);
    for (uint32_t i = 1; i < 50; i++)
        for (uint32_t k = 0; k < 100; k++) {
            if (k == 0)
                raw_headers(&r, 2 * i + 1, &endless, false);
            raw_data(&r, 2 * i + 1, SLICE("x"), false);
        }
    raw_data(&r, 1, SLICE_EMPTY, true);
    raw_run(&r, 1000);
    CHECK_EQ(r.answers[1].grpc_status, 0);
    CHECK_EQ(raw_stats(&r)->abuse_closed, 0);
    raw_close(&r);
}

TEST(a_scheme_that_is_neither_http_nor_https_ends_its_stream_alone)
{
    static const char *const schemes[] = {"x", "ftp", "", "HTTP", "http:"};
    start();
    raw_headers(&r, 1, &endless, false);
    for (uint32_t i = 0; i < 5; i++)
        raw_call(&r, 3 + 2 * i, &(struct raw_request){.scheme = schemes[i]});
    raw_call(&r, 13, &(struct raw_request){.scheme = "https"});
    raw_data(&r, 1, SLICE_EMPTY, true);
    raw_run(&r, 100);
    for (uint32_t stream = 3; stream <= 11; stream += 2)
        CHECK_EQ(r.answers[stream].reset_code, NGHTTP2_PROTOCOL_ERROR);
    CHECK_EQ(raw_stats(&r)->calls_started, 2);
    CHECK_EQ(r.answers[13].grpc_status, 0);
    CHECK_EQ(r.answers[1].grpc_status, 0);
    CHECK(!r.goaway);
    finish();
}

TEST(malformed_requests_leave_the_others_of_the_connection_alone)
{
    static const struct slice values[] = {SLICE("a\0b"), SLICE("a\nb"), SLICE("a\rb")};
    start();
    raw_headers(&r, 1, &endless, false);
    for (uint32_t i = 0; i < 3; i++)
        raw_headers(&r, 3 + 2 * i, &(struct raw_request){.name = SLICE("x"), .value = values[i]}, false);
    raw_headers(&r, 9, &(struct raw_request){.name = SLICE(":path"), .value = SLICE("/other")}, false);
    raw_data(&r, 1, SLICE_EMPTY, true);
    raw_run(&r, 100);
    for (uint32_t stream = 3; stream <= 9; stream += 2)
        CHECK_EQ(r.answers[stream].reset_code, NGHTTP2_PROTOCOL_ERROR);
    CHECK_EQ(r.answers[1].grpc_status, 0);
    CHECK(!r.goaway);
    finish();
}
