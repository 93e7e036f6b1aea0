/* HTTP/JSON: paths, statuses, encodings, streams. */
#include <zlib.h>

#include "web.h"

#define GET "/v1/namespaces/orders/keyvalue_basic/Get"
#define SCAN "/v1/namespaces/orders/keyvalue_scan/Scan"

TEST(a_method_is_called_by_its_path)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_post(&w, GET, "prism-request-id: r-1\r\n", "{\"key\":\"YWI=\"}");
    CHECK_HAS(r, "HTTP/1.1 200 OK\r\n");
    CHECK_HAS(r, "content-type: application/json\r\n");
    CHECK_HAS(r, "prism-request-id: r-1\r\n");
    CHECK_HAS(r, "content-length: 46\r\n");
    CHECK_HAS(r, "\r\n\r\n{\"found\":true,\"value\":\"YWI=\",\"version\":\"djE=\"}");
    CHECK_STR(w.seen, "orders ab");
    CHECK(!has(r, "\r\nx-evil"));
    CHECK_HAS(r, "x-test: yes  x-evil: 1\r\n");
    web_free(&w);
}

TEST(segments_are_percent_decoded)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    CHECK_HAS(web_post(&w, "/v1/namespaces/a%2Fb%20c/keyvalue%5fbasic/Get", "", "{\"key\":\"YQ==\"}"), " 200 ");
    CHECK_STR(w.seen, "a/b c a");
    CHECK_HAS(web_post(&w, "/v1/namespaces/a%2/keyvalue_basic/Get", "", "{}"), " 400 ");
    CHECK_HAS(web_post(&w, "/v1/namespaces/%zz/keyvalue_basic/Get", "", "{}"), "percent sign");
    web_free(&w);
}

TEST(a_service_without_namespace_is_called_by_its_name)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_post(&w, "/grpc.testing.TestService/UnaryCall", "", "{\"responseSize\":3}");
    CHECK_HAS(r, "{\"payload\":{\"body\":\"AAAA\"}}");
    CHECK_HAS(web_post(&w, "/grpc.testing.TestService/EmptyCall", "", ""), "\r\n\r\n{}");
    web_free(&w);
}

TEST(errors_have_the_status_and_details_of_the_table)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_post(&w, GET, "", "{\"key\":\"ZmFpbA==\"}");
    CHECK_HAS(r, "HTTP/1.1 404 Not Found\r\n");
    CHECK_HAS(r, "retry-after: 2\r\n");
    CHECK_HAS(r, "{\"error\":{\"code\":5,\"status\":\"NOT_FOUND\",\"reason\":\"NAMESPACE_UNKNOWN\","
                 "\"message\":\"there is no namespace \\\"x\\\"\",\"details\":[{\"@type\":\"type.googleapis.com/"
                 "google.rpc.ErrorInfo\"");
    CHECK_HAS(r, "\"fieldViolations\":[{\"field\":\"key\",\"description\":\"is not liked\"}]");
    CHECK_HAS(r, "\"retryDelay\":\"1.500s\"");
    CHECK_ERR(w.outcome, ERR_NAMESPACE_UNKNOWN);
    web_free(&w);
}

TEST(bad_requests_say_what_is_wrong)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    CHECK_HAS(web_post(&w, GET, "", "{\"key\":"), "\"reason\":\"JSON_MALFORMED\"");
    CHECK_HAS(web_post(&w, GET, "", "{\"nokey\":1}"), "nokey");
    CHECK_HAS(web_post(&w, GET, "prism-namespace: other\r\n", "{}"), "the path names the namespace");
    CHECK_HAS(web_post(&w, GET, "prism-timeout: soon\r\n", "{}"), "is not a duration like 250ms");
    CHECK_HAS(web_post(&w, GET, "prism-timeout: 0s\r\n", "{}"), "HTTP/1.1 504 ");
    CHECK_HAS(web_post(&w, "/grpc.testing.TestService/StreamingInputCall", "", "{}"), "HTTP/1.1 501 ");
    CHECK_STR(w.seen, "");
    web_free(&w);
}

TEST(unknown_paths_name_what_is_nearby)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_post(&w, "/v1/namespaces/n/keyvalue_basic/Gte", "", "{}");
    CHECK_HAS(r, "HTTP/1.1 404 ");
    CHECK_HAS(r, "keyvalue_basic has no method \\\"Gte\\\"; it has Delete, Exists, Get, Set");
    r = web_post(&w, "/v1/namespaces/n/keyvalue/Get", "", "{}");
    CHECK_HAS(r, "there is no interface \\\"keyvalue\\\"; there are keyvalue_basic, keyvalue_scan");
    CHECK_HAS(web_post(&w, "/nothing", "", "{}"), "there is nothing at /nothing");
    CHECK_HAS(web_post(&w, "/a.B/C", "", "{}"), "HTTP/1.1 404 ");
    CHECK_HAS(web_post(&w, "/v1/namespaces//keyvalue_basic/Get", "", "{}"), "NAMESPACE_MISSING");
    web_free(&w);
}

TEST(other_http_methods_are_refused_with_allow)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_say(&w, "GET " GET " HTTP/1.1\r\nhost: x\r\n\r\n");
    CHECK_HAS(r, "HTTP/1.1 405 Method Not Allowed\r\n");
    CHECK_HAS(r, "allow: POST\r\n");
    r = web_post(&w, "/health", "", "{}");
    CHECK_HAS(r, "HTTP/1.1 405 ");
    CHECK_HAS(r, "allow: GET\r\n");
    web_free(&w);
}

TEST(other_media_types_are_refused)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r =
        web_say(&w, "POST " GET " HTTP/1.1\r\nhost: x\r\ncontent-type: text/xml\r\ncontent-length: 2\r\n\r\n{}");
    CHECK_HAS(r, "HTTP/1.1 415 ");
    r = web_say(&w, "POST " GET " HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}");
    CHECK_HAS(r, "HTTP/1.1 415 ");
    r = web_say(&w, "POST " GET " HTTP/1.1\r\nhost: x\r\ncontent-type: Application/JSON; charset=utf-8\r\n"
                    "content-length: 2\r\n\r\n{}");
    CHECK_HAS(r, "HTTP/1.1 200 ");
    CHECK_HAS(web_post(&w, GET, "content-encoding: br\r\n", "{}"), "HTTP/1.1 415 ");
    web_free(&w);
}

TEST(the_message_limit_holds_for_what_the_json_means)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    struct buf b;
    buf_init(&b, 8 << 20);
    buf_puts(&b,
             "POST " GET
             " HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1500000\r\n\r\n{\"key\":\"");
    size_t begin = b.size - 8;
    while (b.size - begin < 1500000)
        buf_putc(&b, 'A');
    web_send(&w, buf_slice(&b));
    web_wait(&w, 1000);
    CHECK_HAS(web_heard(&w), "HTTP/1.1 413 ");
    CHECK_HAS(web_heard(&w), "\"limit_bytes\":\"1048576\"");
    buf_fini(&b);
    web_free(&w);
}

TEST(a_body_that_announces_too_much_is_not_waited_for)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_say(&w, "POST " GET " HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                                "expect: 100-continue\r\ncontent-length: 99999999999999\r\n\r\n");
    CHECK_HAS(r, "HTTP/1.1 413 ");
    CHECK(!has(r, "100 Continue"));
    CHECK(w.closed);
    web_free(&w);
}

static struct slice gzip(const char *text, uint8_t *out, size_t room)
{
    z_stream z = {
        .next_in = (Bytef *)(uintptr_t)text, .avail_in = (uInt)strlen(text), .next_out = out, .avail_out = (uInt)room};
    deflateInit2(&z, 6, Z_DEFLATED, 31, 8, 0);
    deflate(&z, Z_FINISH);
    size_t size = z.total_out;
    deflateEnd(&z);
    return slice_of(out, size);
}

TEST(a_compressed_request_is_read)
{
    struct web w;
    uint8_t bytes[256];
    char head[256];
    CHECK_ERR(web_new(&w, 1), OK);
    struct slice body = gzip("{\"key\":\"YWI=\"}", bytes, sizeof bytes);
    snprintf(head, sizeof head,
             "POST " GET " HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n"
             "content-length: %zu\r\n\r\n",
             body.size);
    web_send(&w, slice_str(head));
    web_send(&w, body);
    web_wait(&w, 100);
    CHECK_STR(w.seen, "orders ab");
    CHECK_HAS(web_post(&w, GET, "content-encoding: gzip\r\n", "{}"), "COMPRESSION_CORRUPT");
    web_free(&w);
}

TEST(a_large_answer_is_compressed_where_it_is_accepted)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_post(&w, GET, "accept-encoding: br, gzip;q=0.5\r\n", "{\"key\":\"Ymln\"}");
    CHECK_HAS(r, "content-encoding: gzip\r\n");
    CHECK_HAS(r, "vary: accept-encoding\r\n");
    CHECK(w.in.size < 3000);
    CHECK(!has(web_post(&w, GET, "accept-encoding: gzip;q=0\r\n", "{\"key\":\"Ymln\"}"), "content-encoding"));
    CHECK(w.in.size > 130000);
    CHECK(!has(web_post(&w, GET, "accept-encoding: gzip\r\n", "{\"key\":\"YQ==\"}"), "content-encoding"));
    web_free(&w);
}

TEST(a_stream_is_a_line_a_message)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_post(&w, SCAN, "", "{\"limit\":3}");
    CHECK_HAS(r, "HTTP/1.1 200 OK\r\n");
    CHECK_HAS(r, "content-type: application/x-ndjson\r\n");
    CHECK_EQ(count_of(r, "{\"nextCursor\":\"bmV4dA==\"}\n"), 3);
    CHECK(!has(r, "error"));
    r = web_post(&w, SCAN, "", "{\"limit\":1,\"prefix\":\"ZmFpbA==\"}");
    CHECK_HAS(r, "HTTP/1.1 200 OK\r\n");
    CHECK_HAS(r, "{\"nextCursor\":\"bmV4dA==\"}\n{\"error\":{\"code\":14,\"status\":\"UNAVAILABLE\",\"reason\":\"IO\"");
    r = web_post(&w, SCAN, "", "{\"prefix\":\"ZmFpbA==\"}");
    CHECK_HAS(r, "HTTP/1.1 503 ");
    r = web_post(&w, SCAN, "", "{}");
    CHECK_HAS(r, "HTTP/1.1 200 OK\r\n");
    CHECK_HAS(r, "content-length: 0\r\n");
    web_free(&w);
}

TEST(a_stream_comes_as_events_where_they_are_accepted)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_post(&w, SCAN, "accept: text/event-stream\r\n", "{\"limit\":2}");
    CHECK_HAS(r, "content-type: text/event-stream\r\n");
    CHECK_HAS(r, "cache-control: no-cache\r\n");
    CHECK_HAS(r,
              "data: {\"nextCursor\":\"bmV4dA==\"}\n\ndata: {\"nextCursor\":\"bmV4dA==\"}\n\nevent: end\ndata: {}\n\n");
    r = web_post(&w, SCAN, "accept: text/event-stream\r\n", "{\"limit\":1,\"prefix\":\"ZmFpbA==\"}");
    CHECK_HAS(r, "\n\nevent: error\ndata: {\"error\":{\"code\":14,");
    web_free(&w);
}

TEST(a_silent_event_stream_beats_every_15_seconds_and_ends_with_its_client)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_post(&w, SCAN, "accept: text/event-stream\r\n", "{\"prefix\":\"aG9sZA==\"}");
    CHECK_STR(r, "");
    buf_reset(&w.in);
    web_wait(&w, 46000);
    CHECK_HAS(web_heard(&w), "content-type: text/event-stream\r\n");
    CHECK_EQ(count_of(web_heard(&w), ": still here\n\n"), 3);
    conn_abort(w.client);
    web_wait(&w, 100);
    CHECK_EQ(w.cancelled, 1);
    CHECK_EQ(w.finished, 1);
    web_free(&w);
}

TEST(the_deadline_of_the_client_is_kept)
{
    struct web w;
    CHECK_ERR(web_new(&w, 1), OK);
    const char *r = web_post(&w, GET, "prism-timeout: 50ms\r\n", "{\"key\":\"aG9sZA==\"}");
    CHECK_HAS(r, "HTTP/1.1 504 Gateway Timeout\r\n");
    CHECK_HAS(r, "\"reason\":\"DEADLINE_EXCEEDED\"");
    CHECK_EQ(w.cancelled, 1);
    CHECK_HAS(web_post(&w, GET, "grpc-timeout: 20m\r\n", "{\"key\":\"aG9sZA==\"}"), "HTTP/1.1 504 ");
    web_free(&w);
}

static enum err call_once(void)
{
    struct web w;
    enum err e = web_new(&w, 3);
    if (!e) {
        const char *r = web_post(&w, GET, "accept-encoding: gzip\r\n", "{\"key\":\"Ymln\"}");
        e = has(r, " 200 OK") ? OK : ERR_NOMEM;
    }
    if (!e && w.client) {
        const char *r = web_post(&w, SCAN, "", "{\"limit\":2}");
        e = has(r, " 200 OK") ? OK : ERR_NOMEM;
    }
    web_free(&w);
    return e;
}

SCENARIO(calls_survive_failing_allocations)
{
    return call_once();
}
