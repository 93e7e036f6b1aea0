/* HTTP/1.1: framing, limits, keep-alive, pipelining, time limits, drain. */
#include "web.h"

#define GET "/v1/namespaces/orders/keyvalue_basic/Get"
#define HEALTH "GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
#define JSON "host: x\r\ncontent-type: application/json\r\n"
#define HOLD "POST " GET " HTTP/1.1\r\n" JSON "content-length: 18\r\n\r\n{\"key\":\"aG9sZA==\"}"

TEST(a_page_is_served_and_the_connection_kept)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    for (int i = 0; i < 3; i++) {
        const char *r = web_say(&w, HEALTH);
        CHECK_HAS(r, "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:01 GMT\r\n");
        CHECK_HAS(r, "content-length: 5\r\n\r\nfine\n");
        CHECK(!has(r, "connection:"));
        CHECK(!w.closed);
    }
    web_free(&w);
}

TEST(head_has_the_length_but_no_body)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_say(&w, "HEAD /health HTTP/1.1\r\nhost: x\r\n\r\n");
    CHECK_HAS(r, "content-length: 5\r\n\r\n");
    CHECK(!has(r, "fine"));
    web_free(&w);
}

TEST(old_clients_get_what_they_understand)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    CHECK_HAS(web_say(&w, "GET /health HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"), "connection: keep-alive\r\n");
    CHECK(!w.closed);
    CHECK_HAS(web_say(&w, "GET /health HTTP/1.0\r\n\r\n"), "connection: close\r\n");
    CHECK(w.closed);
    CHECK_ERR(web_connect(&w), OK);
    const char *r = web_say(&w, "POST /v1/namespaces/n/keyvalue_scan/Scan HTTP/1.0\r\n" JSON
                                "accept: text/event-stream\r\ncontent-length: 22\r\n\r\n{\"prefix\":\"aG9sZA==\"}\n");
    CHECK_STR(r, "");
    web_wait(&w, 16000);
    CHECK(w.held);
    rpc_finish(w.held, OK);
    web_wait(&w, 100);
    CHECK(!has(web_heard(&w), "chunked"));
    CHECK_HAS(web_heard(&w), "\r\n\r\n: still here\n\nevent: end\ndata: {}\n\n");
    CHECK(w.closed);
    web_free(&w);
}

TEST(pipelined_requests_are_answered_in_order)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_say(&w, HOLD HEALTH "GET /health?x=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    CHECK_STR(r, "");
    CHECK(w.held);
    struct keyvalue_get_response answer = {.found = true};
    rpc_send(w.held, &answer);
    rpc_finish(w.held, OK);
    web_wait(&w, 100);
    r = web_heard(&w);
    CHECK_EQ(count_of(r, "HTTP/1.1 200 OK\r\n"), 3);
    CHECK(strstr(r, "{\"found\":true}") < strstr(r, "fine"));
    CHECK_EQ(count_of(r, "connection: close\r\n"), 1);
    CHECK(w.closed);
    web_free(&w);
}

TEST(a_request_in_pieces_is_the_same_request)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct web w;
        CHECK_ERR(web_new(&w, seed), OK);
        const char *request = "\r\nPOST " GET " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                              "X-Empty:\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "5;a=b\r\n{\"key\r\nA\r\n\":\"YWI=\" }\r\n0\r\ntrailer: x\r\n\r\n";
        for (const char *at = request; *at;) {
            size_t left = strlen(at), n = 1 + sim_choose(w.sim, 7);
            n = n < left ? n : left;
            web_send(&w, slice_of(at, n));
            at += n;
            loop_turn(w.loop, true);
        }
        web_wait(&w, 100);
        CHECK_HAS(web_heard(&w), "{\"found\":true,\"value\":\"YWI=\"");
        CHECK_HAS(web_say(&w, HEALTH), " 200 ");
        web_free(&w);
    }
}

TEST(a_long_answer_comes_in_chunks)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    web_post(&w, "/v1/namespaces/n/keyvalue_scan/Scan", "", "{\"limit\":2,\"prefix\":\"aG9sZA==\"}");
    buf_reset(&w.in);
    CHECK(w.held);
    struct keyvalue_scan_response page = {.ordered = true};
    rpc_send(w.held, &page);
    web_wait(&w, 100);
    CHECK_STR(web_heard(&w), "11\r\n{\"ordered\":true}\n\r\n");
    buf_reset(&w.in);
    rpc_finish(w.held, OK);
    web_wait(&w, 100);
    CHECK_STR(web_heard(&w), "0\r\n\r\n");
    CHECK_HAS(web_say(&w, HEALTH), " 200 ");
    web_free(&w);
}

TEST(a_client_that_waits_is_told_to_go_on)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_say(&w, "POST " GET " HTTP/1.1\r\n" JSON "expect: 100-continue\r\ncontent-length: 14\r\n\r\n");
    CHECK_STR(r, "HTTP/1.1 100 Continue\r\n\r\n");
    CHECK_HAS(web_say(&w, "{\"key\":\"YWI=\"}"), "HTTP/1.1 200 OK\r\n");
    r = web_say(&w, "POST " GET " HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 14\r\n\r\n");
    CHECK_HAS(r, "HTTP/1.1 415 ");
    CHECK(!has(r, "100 Continue"));
    CHECK_HAS(r, "connection: close\r\n");
    CHECK(w.closed);
    web_free(&w);
}

static void refused(const char *request, const char *status)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_say(&w, request);
    if (!has(r, status) || !has(r, "connection: close\r\n") || !has(r, "{\"error\":{\"code\":"))
        test_fail(__FILE__, __LINE__, "expected %s, closed, for:\n%s\ngot:\n%s", status, request, r);
    CHECK(w.closed);
    CHECK_STR(w.seen, "");
    web_free(&w);
}

TEST(malformed_requests_end_the_connection)
{
    refused("nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n");
    refused("GET /health HTTP/3.0\r\nhost: x\r\n\r\n", " 400 ");
    refused("GET /health HTTP/1.1\r\n\r\n", " 400 ");
    refused("GET /health HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", " 400 ");
    refused("GET /health HTTP/1.1\r\nhost: x\r\nbad header: y\r\n\r\n", " 400 ");
    refused("GET /health HTTP/1.1\r\nhost: x\r\nx: a\x01z\r\n\r\n", " 400 ");
    refused("CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n", " 405 ");
}

TEST(ambiguous_lengths_are_refused)
{
    refused("POST " GET " HTTP/1.1\r\n" JSON "content-length: 2\r\ncontent-length: 3\r\n\r\n{}", " 400 ");
    refused("POST " GET " HTTP/1.1\r\n" JSON "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            " 400 ");
    refused("POST " GET " HTTP/1.1\r\n" JSON "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n", " 400 ");
    refused("POST " GET " HTTP/1.1\r\n" JSON "content-length: -1\r\n\r\n", " 400 ");
    refused("POST " GET " HTTP/1.1\r\n" JSON "transfer-encoding: chunked\r\n\r\nxyz\r\n", " 400 ");
}

TEST(too_many_or_too_large_headers_are_refused)
{
    static char request[40000];
    char *at = request + sprintf(request, "GET /health HTTP/1.1\r\nhost: x\r\n");
    for (int i = 0; i < LIMIT_HEADER_FIELDS; i++)
        at += sprintf(at, "a: b\r\n");
    sprintf(at, "\r\n");
    refused(request, "HTTP/1.1 431 ");
    at = request + sprintf(request, "GET /health HTTP/1.1\r\nhost: x\r\nlong: ");
    memset(at, 'a', LIMIT_HEADER_VALUE_BYTES + 1);
    strcpy(at + LIMIT_HEADER_VALUE_BYTES + 1, "\r\n\r\n");
    refused(request, "HTTP/1.1 431 ");
    at = request + sprintf(request, "GET /");
    memset(at, 'a', LIMIT_HEADER_BYTES);
    strcpy(at + LIMIT_HEADER_BYTES, " HTTP/1.1\r\nhost: x\r\n\r\n");
    refused(request, "HTTP/1.1 431 ");
}

TEST(a_broken_body_ends_its_call)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    web_say(&w, "POST " GET " HTTP/1.1\r\n" JSON "transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n");
    CHECK_EQ(rpc_server_stats(w.server)->calls_in_flight, 1);
    CHECK_HAS(web_say(&w, "zz\r\n"), "HTTP/1.1 400 ");
    CHECK_EQ(rpc_server_stats(w.server)->calls_in_flight, 0);
    CHECK(w.closed);
    web_free(&w);
}

TEST(slow_heads_and_idle_connections_are_closed)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    web_wait(&w, LIMIT_FIRST_REQUEST_MS - 1000);
    CHECK(!w.closed);
    web_wait(&w, 3000);
    CHECK(w.closed);
    CHECK_ERR(web_connect(&w), OK);
    web_say(&w, "GET /health HTTP/1.1\r\nho");
    web_wait(&w, LIMIT_HEADERS_MS + 2000);
    CHECK_HAS(web_heard(&w), "HTTP/1.1 408 Request Timeout\r\n");
    CHECK(w.closed);
    CHECK_ERR(web_connect(&w), OK);
    web_say(&w, HEALTH);
    web_wait(&w, LIMIT_HTTP1_IDLE_MS - 1000);
    CHECK(!w.closed);
    web_wait(&w, 4000);
    CHECK(w.closed);
    web_free(&w);
}

TEST(a_body_that_never_comes_is_given_up)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    web_say(&w, "POST " GET " HTTP/1.1\r\n" JSON "content-length: 100\r\n\r\n{");
    web_wait(&w, LIMIT_UNARY_REQUEST_MS + 1000);
    CHECK_HAS(web_heard(&w), "HTTP/1.1 504 ");
    CHECK(w.closed);
    web_free(&w);
}

TEST(a_lost_client_cancels_its_call)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    web_say(&w, HOLD);
    CHECK(w.held);
    conn_abort(w.client);
    web_wait(&w, 100);
    CHECK_EQ(w.cancelled, 1);
    web_free(&w);
}

TEST(a_client_that_has_closed_its_side_is_answered)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    web_say(&w, HOLD);
    CHECK(w.held);
    web_send(&w, SLICE("GET /health HTTP/1.1\r\nho")); /* never to be completed */
    rpc_finish(w.held, ERR_NOT_FOUND);
    web_wait(&w, 100);
    CHECK_HAS(web_heard(&w), "HTTP/1.1 404 ");
    web_free(&w);
}

TEST(draining_ends_idle_connections_and_waits_for_calls)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    web_say(&w, HOLD);
    rpc_server_drain(w.server, loop_now_ns(w.loop) + 30000000000, web_drained, &w);
    web_wait(&w, 1000);
    CHECK(!w.drained && !w.closed);
    rpc_finish(w.held, ERR_NOT_FOUND);
    web_wait(&w, 100);
    CHECK_HAS(web_heard(&w), "HTTP/1.1 404 ");
    CHECK_HAS(web_heard(&w), "connection: close\r\n");
    CHECK(w.drained && w.closed);
    w.listening = false;
    web_free(&w);
}

TEST(draining_gives_up_at_its_deadline)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    web_say(&w, HOLD);
    rpc_server_drain(w.server, loop_now_ns(w.loop) + 1000000000, web_drained, &w);
    web_wait(&w, 1500);
    CHECK_HAS(web_heard(&w), "\"reason\":\"DRAINING\"");
    CHECK_EQ(w.cancelled, 1);
    CHECK(w.drained);
    w.listening = false;
    web_free(&w);
}

static void ask_for_8_mb_and_do_not_read(struct web *w)
{
    char body[600] = "{\"responseParameters\":[";
    for (int i = 0; i < 20; i++)
        sprintf(body + strlen(body), "%s{\"size\":400000}", i ? "," : "");
    strcat(body, "]}");
    conn_read(w->client, false);
    web_post(w, "/grpc.testing.TestService/StreamingOutputCall", "", body);
}

TEST(a_slow_reader_holds_the_stream_back)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    ask_for_8_mb_and_do_not_read(&w);
    web_wait(&w, 5000);
    uint64_t early = rpc_server_stats(w.server)->bytes_out;
    CHECK(early > 500000 && early < 3000000);
    conn_read(w.client, true);
    web_wait(&w, 5000);
    CHECK_EQ(count_of(web_heard(&w), "\"payload\""), 20);
    web_free(&w);
}

TEST(a_client_that_reads_nothing_is_closed_after_a_minute)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    ask_for_8_mb_and_do_not_read(&w);
    web_wait(&w, LIMIT_WRITE_STALL_MS - 5000);
    CHECK_EQ(rpc_server_stats(w.server)->connections_open, 1);
    web_wait(&w, 8000);
    CHECK_EQ(rpc_server_stats(w.server)->connections_open, 0);
    CHECK_EQ(rpc_server_stats(w.server)->calls_in_flight, 0);
    web_free(&w);
}

SCENARIO(requests_survive_failing_allocations)
{
    struct web w;
    enum err e = web_new(&w, 3);
    if (!e)
        e = has(web_say(&w, HEALTH HEALTH), "fine") ? OK : ERR_NOMEM;
    if (!e && w.client)
        e = has(web_say(&w, "GET / HTTP/1.1\r\n\r\n"), " 400 ") ? OK : ERR_NOMEM;
    web_free(&w);
    return e;
}
