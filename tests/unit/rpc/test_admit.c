/* Who is let in and who stays: shares of clients at the server (abuse catalogue 2), keepalive, age. Every peer of the twin comes
 * from one address; the client of the world is one connection of it. */
#include "raw.h"

enum { OUTPUT_BYTES = 10 << 20 };

static struct raw r;
static struct rpc_shares *shares;

static void start(uint32_t connections, uint32_t calls)
{
    static const struct hash_key key = {1, 2};
    CHECK_ERR(
        rpc_shares_new(&key, 1, &(struct rpc_share_limits){connections, connections, calls, OUTPUT_BYTES}, &shares),
        OK);
    raw_open_with(&r, shares);
}

static void finish(void)
{
    CHECK_EQ(raw_stats(&r)->calls_in_flight, 0);
    raw_close(&r);
    rpc_shares_free(shares);
    shares = NULL;
}

static unsigned call_status(const char *reason)
{
    struct script s;
    CHECK_ERR(script_begin(&s, &r.world, "EmptyCall", NULL), OK);
    rpc_client_send(s.call, SLICE_EMPTY);
    rpc_client_send_end(s.call);
    script_run(&s);
    unsigned status = s.status;
    if (reason)
        CHECK(strstr(diag_message(&s.diag), reason));
    script_fini(&s);
    return status;
}

static void drop_peer(void)
{
    raw_run(&r, 1);
    uint64_t before = raw_stats(&r)->connections_open;
    conn_abort(r.conn);
    while (raw_stats(&r)->connections_open == before)
        loop_turn(r.world.loop, true);
}

TEST(a_client_over_its_share_is_told_so_by_goaway)
{
    start(1, 100);
    drop_peer();
    CHECK_EQ(call_status(NULL), 0); /* the one connection stays open */
    raw_connect(&r);
    raw_greet(&r);
    raw_run(&r, 1000);
    CHECK(r.goaway && r.closed);
    CHECK_EQ(r.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK_STR(r.goaway_text, "The client has as many connections as one client may.");
    CHECK_EQ(raw_stats(&r)->connections_over_share, 1);
    CHECK_EQ(raw_stats(&r)->abuse_closed, 0);
    CHECK_STR(r.world.offence, "connections of one address");
    CHECK_EQ(call_status(NULL), 0); /* and serves on */
    finish();
}

TEST(a_request_over_the_refused_connection_is_not_begun)
{
    start(1, 100);
    drop_peer();
    CHECK_EQ(call_status(NULL), 0);
    uint64_t before = raw_stats(&r)->calls_started;
    raw_connect(&r);
    raw_greet(&r);
    raw_call(&r, 1, NULL);
    raw_run(&r, 1000);
    CHECK(r.closed);
    CHECK_EQ(raw_stats(&r)->calls_started, before);
    finish();
}

TEST(over_http1_it_is_told_by_a_status)
{
    start(1, 100);
    drop_peer();
    CHECK_EQ(call_status(NULL), 0);
    raw_connect(&r);
    buf_puts(&r.out, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    raw_run(&r, 1000);
    CHECK(r.closed);
    CHECK(slice_starts_with(buf_slice(&r.in), SLICE("HTTP/1.1 429 ")));
    buf_reset(&r.in);
    finish();
}

TEST(one_that_is_refused_and_says_nothing_does_not_stay)
{
    start(1, 100);
    drop_peer();
    CHECK_EQ(call_status(NULL), 0);
    raw_connect(&r);
    raw_run(&r, LIMIT_REFUSAL_MS + 1500);
    CHECK(r.closed);
    CHECK_EQ(raw_stats(&r)->connections_open, 1);
    finish();
}

TEST(a_connection_that_is_gone_makes_room)
{
    start(1, 100);
    raw_greet(&r);
    raw_run(&r, 10);
    CHECK_EQ(call_status(NULL), 14); /* UNAVAILABLE: it is refused */
    drop_peer();
    CHECK_EQ(call_status(NULL), 0);
    finish();
}

TEST(calls_past_the_share_of_a_client_are_refused)
{
    static const struct raw_request endless = {.path = "/grpc.testing.TestService/FullDuplexCall"};
    start(9, 3);
    raw_greet(&r);
    for (uint32_t i = 0; i < 3; i++)
        raw_headers(&r, 2 * i + 1, &endless, false);
    raw_run(&r, 10);
    CHECK_EQ(call_status("3 calls in flight"), 8); /* RESOURCE_EXHAUSTED, over another connection */
    CHECK_EQ(raw_stats(&r)->calls_over_share, 1);
    raw_data(&r, 1, SLICE_EMPTY, true);
    raw_run(&r, 10);
    CHECK_EQ(r.answers[1].grpc_status, 0);
    CHECK_EQ(call_status(NULL), 0);
    drop_peer();
    finish();
}

/* ---- answers that nobody takes (abuse catalogue 11) ------------------------------------------------------------------------- */

enum { ANSWER_BYTES = 1 << 20, ASKED = 40 };

static void ask_with_no_window(int32_t interval_us)
{
    start(9, 100);
    raw_greet(&r);
    raw_frame(&r, NGHTTP2_SETTINGS, 0, 0, SLICE("\0\4\0\0\0\0"));
    raw_run(&r, 10);
    for (uint32_t i = 0; i < ASKED; i++)
        raw_ask(&r, 2 * i + 1, ANSWER_BYTES, interval_us);
}

TEST(answers_that_are_not_taken_keep_their_client_from_asking_for_more)
{
    uint32_t refused = 0;
    ask_with_no_window(0);
    raw_run(&r, 100);
    for (uint32_t i = 0; i < ASKED; i++)
        refused += r.answers[2 * i + 1].grpc_status == 8;
    CHECK_EQ(refused, ASKED - OUTPUT_BYTES / ANSWER_BYTES);
    CHECK_EQ(raw_stats(&r)->calls_over_share, refused);
    for (uint32_t i = 0; i < ASKED - refused; i++)
        raw_u32(&r, NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, 2 * ANSWER_BYTES);
    raw_u32(&r, NGHTTP2_WINDOW_UPDATE, 0, 0, 100 * ANSWER_BYTES);
    raw_run(&r, 1000);
    CHECK_EQ(r.answers[1].grpc_status, 0);
    CHECK_EQ(call_status(NULL), 0);
    drop_peer();
    finish();
}

/* All are let in, and make their answers later. */
TEST(answers_that_are_not_taken_end_the_connection_at_twice_the_share)
{
    ask_with_no_window(100000);
    raw_run(&r, 50);
    CHECK_EQ(raw_stats(&r)->calls_in_flight, ASKED);
    raw_run(&r, 1000);
    CHECK(r.closed);
    CHECK_EQ(raw_stats(&r)->abuse_closed, 1);
    CHECK_STR(r.world.offence, "answers that it does not take");
    CHECK_EQ(call_status(NULL), 0);
    finish();
}

/* ---- keepalive and age ------------------------------------------------------------------------------------------------------ */

static const struct raw_request endless = {.path = "/grpc.testing.TestService/FullDuplexCall"};

static void start_with(const struct rpc_keepalive *keepalive)
{
    start(9, 100);
    rpc_server_keepalive(r.world.server, keepalive);
    raw_greet(&r);
    raw_headers(&r, 1, &endless, false);
    raw_run(&r, 10);
}

TEST(a_silent_peer_is_asked_and_stays_where_it_answers)
{
    start_with(&(struct rpc_keepalive){.interval_ms = 20000, .timeout_ms = 5000});
    raw_run(&r, 110000);
    CHECK(r.pings >= 4 && r.pings <= 6);
    CHECK(!r.closed && !r.goaway);
    CHECK_EQ(raw_stats(&r)->keepalive_closed, 0);
    drop_peer();
    finish();
}

TEST(a_dead_peer_is_closed_and_its_calls_end)
{
    start_with(&(struct rpc_keepalive){.interval_ms = 20000, .timeout_ms = 5000});
    r.deaf = true;
    raw_run(&r, 24000);
    CHECK_EQ(r.pings, 1);
    CHECK(!r.closed);
    raw_run(&r, 5000);
    CHECK(r.closed);
    CHECK_EQ(raw_stats(&r)->keepalive_closed, 1);
    CHECK_EQ(raw_stats(&r)->calls_in_flight, 0);
    finish();
}

TEST(a_peer_that_speaks_is_not_asked)
{
    start_with(&(struct rpc_keepalive){.interval_ms = 20000, .timeout_ms = 5000});
    for (int i = 0; i < 10; i++) {
        raw_data(&r, 1, SLICE("\0\0\0\0\0"), false);
        raw_run(&r, 10000);
    }
    CHECK_EQ(r.pings, 0);
    CHECK(!r.closed);
    drop_peer();
    finish();
}

/* We do not read it either: it is busy, not dead. */
TEST(a_slow_reader_is_not_taken_for_dead)
{
    start_with(&(struct rpc_keepalive){.interval_ms = 5000, .timeout_ms = 2000});
    raw_u32(&r, NGHTTP2_WINDOW_UPDATE, 0, 0, 8 * ANSWER_BYTES);
    raw_frame(&r, NGHTTP2_SETTINGS, 0, 0, SLICE("\0\4\0\x20\0\0")); /* windows of 2 MiB */
    for (uint32_t i = 1; i <= 4; i++)
        raw_ask(&r, 2 * i + 1, ANSWER_BYTES, 0);
    conn_read(r.conn, false);
    raw_run(&r, 30000);
    CHECK(!r.closed);
    CHECK_EQ(raw_stats(&r)->keepalive_closed, 0);
    conn_read(r.conn, true);
    raw_run(&r, 4000);
    for (uint32_t i = 1; i <= 4; i++)
        CHECK_EQ(r.answers[2 * i + 1].grpc_status, 0);
    drop_peer();
    finish();
}

/* The age is that of the next connections: the one of this test is made after it is set. */
TEST(an_old_connection_is_asked_to_leave_and_its_calls_end_first)
{
    start_with(&(struct rpc_keepalive){.age_ms = 60000});
    drop_peer();
    raw_connect(&r);
    raw_greet(&r);
    raw_headers(&r, 1, &endless, false);
    raw_run(&r, 50000);
    CHECK(!r.goaway);
    raw_run(&r, 20000);
    CHECK(r.goaway && !r.closed);
    CHECK_EQ(r.goaway_code, NGHTTP2_NO_ERROR);
    raw_data(&r, 1, SLICE_EMPTY, true);
    raw_run(&r, 2000);
    CHECK_EQ(r.answers[1].grpc_status, 0);
    CHECK(r.closed);
    finish();
}
