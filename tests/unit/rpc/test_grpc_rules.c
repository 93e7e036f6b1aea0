/* What the gRPC server answers to requests that only a raw peer can make (abuse catalogue 12 to 14, 16). */
#include "raw.h"
#include "rpc/grpc_frame.h"
#include "rpc/gzip.h"

enum { INVALID = 3, EXPIRED = 4, EXHAUSTED = 8, UNIMPLEMENTED = 12, INTERNAL = 13 };

static struct raw r;

/* The status of one call with this body, and one more field where name is not NULL. */
static struct raw_answer answer_to(struct slice body, const char *path, const char *name, const char *value)
{
    struct raw_request q = {.path = path, .name = slice_str(name), .value = slice_str(value)};
    raw_open(&r);
    raw_greet(&r);
    raw_headers(&r, 1, &q, false);
    raw_data(&r, 1, body, true);
    raw_call(&r, 3, NULL);
    raw_run(&r, 100);
    struct raw_answer a = r.answers[1];
    CHECK(!r.goaway && !r.closed);
    CHECK_EQ(r.answers[3].grpc_status, 0); /* the others of the connection go on */
    CHECK_EQ(raw_stats(&r)->calls_in_flight, 0);
    raw_close(&r);
    return a;
}

static int status_of(struct slice body)
{
    return answer_to(body, NULL, NULL, NULL).grpc_status;
}

TEST(a_unary_method_takes_one_whole_message)
{
    CHECK_EQ(status_of(SLICE("\0\0\0\0\0")), 0);
    CHECK_EQ(status_of(SLICE("\0\0\0\0\0\0\0\0\0\0")), UNIMPLEMENTED);
    CHECK_EQ(status_of(SLICE_EMPTY), UNIMPLEMENTED);
    CHECK_EQ(status_of(SLICE("\0\0\0")), INTERNAL);
    CHECK_EQ(status_of(SLICE("\0\0\0\0\7abc")), INTERNAL);
    CHECK_EQ(status_of(SLICE("\2\0\0\0\0")), INTERNAL);
}

TEST(a_stream_of_messages_must_end_at_a_boundary)
{
    CHECK_EQ(
        answer_to(SLICE("\0\0\0\0\0\0\0\0"), "/grpc.testing.TestService/StreamingInputCall", NULL, NULL).grpc_status,
        INTERNAL);
    CHECK_EQ(answer_to(SLICE("\0\0\0\0\0\0\0\0\0\0"), "/grpc.testing.TestService/StreamingInputCall", NULL, NULL)
                 .grpc_status,
             0);
}

TEST(a_length_of_four_gigabytes_is_refused_before_anything_is_allocated)
{
    CHECK_EQ(status_of(SLICE("\0\xff\xff\xff\xff")), EXHAUSTED);
    CHECK_EQ(status_of(SLICE("\0\0\x40\0\1")), EXHAUSTED);
}

TEST(a_compressed_message_needs_an_encoding_that_is_known_and_right)
{
    struct raw_answer a = answer_to(SLICE("\0\0\0\0\0"), NULL, "grpc-encoding", "snappy");
    CHECK_EQ(a.grpc_status, UNIMPLEMENTED);
    CHECK(a.accepts);
    CHECK_EQ(answer_to(SLICE("\1\0\0\0\3abc"), NULL, NULL, NULL).grpc_status, INTERNAL);
    CHECK_EQ(answer_to(SLICE("\1\0\0\0\3abc"), NULL, "grpc-encoding", "gzip").grpc_status, INTERNAL);
    CHECK_EQ(answer_to(SLICE("\0\0\0\0\0"), NULL, "grpc-encoding", "identity").grpc_status, 0);
}

TEST(a_bomb_is_not_inflated_beyond_the_limit)
{
    static uint8_t zeros[1 << 20];
    struct gzip g;
    struct buf body;
    gzip_init(&g);
    buf_init(&body, 1 << 20);
    uint8_t *prefix = buf_reserve(&body, GRPC_PREFIX_BYTES);
    buf_advance(&body, GRPC_PREFIX_BYTES);
    struct buf plain;
    buf_init(&plain, 8 << 20);
    for (int i = 0; i < 8; i++)
        buf_put(&plain, zeros, sizeof zeros);
    CHECK_ERR(gzip_deflate(&g, buf_slice(&plain), &body), OK);
    prefix = body.data;
    grpc_prefix(prefix, true, (uint32_t)(body.size - GRPC_PREFIX_BYTES));
    CHECK(body.size < LIMIT_HTTP2_FRAME_BYTES * 3);
    struct raw_request q = {.name = SLICE("grpc-encoding"), .value = SLICE("gzip")};
    raw_open(&r);
    raw_greet(&r);
    raw_headers(&r, 1, &q, false);
    for (size_t at = 0; at < body.size; at += LIMIT_HTTP2_FRAME_BYTES)
        raw_data(&r, 1, slice_take(slice_skip(buf_slice(&body), at), LIMIT_HTTP2_FRAME_BYTES),
                 at + LIMIT_HTTP2_FRAME_BYTES >= body.size);
    raw_run(&r, 100);
    CHECK_EQ(r.answers[1].grpc_status, EXHAUSTED);
    raw_close(&r);
    buf_fini(&plain);
    buf_fini(&body);
    gzip_fini(&g);
}

TEST(timeouts_are_read_as_the_specification_says)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {{"1S", 0},        {"99999999H", 0},  {"0n", EXPIRED},
                 {"0H", EXPIRED},  {"-1S", INTERNAL}, {"123456789n", INTERNAL},
                 {"10", INTERNAL}, {"S", INTERNAL},   {"1 S", INTERNAL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_EQ(answer_to(SLICE("\0\0\0\0\0"), NULL, "grpc-timeout", cases[i].text).grpc_status, cases[i].status);
}

TEST(binary_metadata_must_be_base64)
{
    CHECK_EQ(answer_to(SLICE("\0\0\0\0\0"), NULL, "x-bin", "!!!").grpc_status, INTERNAL);
    CHECK_EQ(answer_to(SLICE("\0\0\0\0\0"), NULL, "x-bin", "q6ur,q6s=,").grpc_status, 0);
}

TEST(a_bad_header_ends_its_stream_alone)
{
    static const char *const bad[][2] = {{"te", "gzip"},      {"X-Upper", "a"}, {"x", "a\rb"},
                                         {":scheme", "http"}, {":odd", "x"},    {"connection", "close"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct raw_answer a = answer_to(SLICE_EMPTY, NULL, bad[i][0], bad[i][1]);
        CHECK(a.reset);
        CHECK_EQ(a.reset_code, NGHTTP2_PROTOCOL_ERROR);
    }
}

static struct raw_answer http_answer(const char *method, const char *type, const char *path)
{
    struct raw_request q = {.method = method, .type = type, .path = path};
    raw_open(&r);
    raw_greet(&r);
    raw_headers(&r, 1, &q, true);
    raw_run(&r, 100);
    struct raw_answer a = r.answers[1];
    CHECK(a.ended);
    raw_close(&r);
    return a;
}

TEST(what_is_almost_grpc_gets_the_status_of_both)
{
    struct raw_answer a = http_answer("POST", "application/grpc+json", NULL);
    CHECK_EQ(a.http_status, 415);
    CHECK_EQ(a.grpc_status, UNIMPLEMENTED);
    CHECK_EQ(a.data_bytes, 0);
    a = http_answer("DELETE", "application/grpc", NULL);
    CHECK_EQ(a.http_status, 405);
    CHECK_EQ(a.grpc_status, UNIMPLEMENTED);
}

TEST(other_content_types_and_methods_are_answered_in_http)
{
    CHECK_EQ(http_answer("POST", "application/grpc+json", NULL).http_status, 415);
    CHECK_EQ(http_answer("POST", "application/grpcx", NULL).http_status, 415);
    CHECK_EQ(http_answer("POST", "text/plain", NULL).http_status, 415);
    CHECK_EQ(http_answer("GET", "application/grpc", NULL).http_status, 405);
    CHECK_EQ(http_answer("POST", "application/grpc+proto", NULL).grpc_status, UNIMPLEMENTED); /* no message */
    CHECK_EQ(http_answer("POST", "application/grpc", "/no.Service/Method").grpc_status, UNIMPLEMENTED);
    CHECK_EQ(http_answer("GET", "text/plain", "/nothing/here").http_status, 404);
}

TEST(header_fields_past_the_limit_are_refused)
{
    struct buf block;
    buf_init(&block, 1 << 16);
    raw_open(&r);
    raw_greet(&r);
    raw_block(&block, NULL);
    for (int i = 0; i < LIMIT_HEADER_FIELDS; i++)
        raw_field(&block, SLICE("cookie"), SLICE("a=b"));
    raw_frame(&r, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, buf_slice(&block));
    raw_call(&r, 3, NULL);
    raw_run(&r, 100);
    CHECK_EQ(r.answers[1].grpc_status, EXHAUSTED);
    CHECK_EQ(r.answers[3].grpc_status, 0);
    buf_fini(&block);
    raw_close(&r);
}

TEST(fields_without_a_name_or_value_count_too)
{
    struct buf block;
    buf_init(&block, 1 << 16);
    raw_open(&r);
    raw_greet(&r);
    raw_block(&block, NULL);
    for (int i = 0; i < LIMIT_HEADER_FIELDS; i++)
        raw_field(&block, SLICE("x"), SLICE_EMPTY);
    raw_frame(&r, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, buf_slice(&block));
    buf_reset(&block);
    raw_block(&block, NULL);
    raw_field(&block, SLICE_EMPTY, SLICE("v"));
    raw_frame(&r, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 3, buf_slice(&block));
    raw_call(&r, 5, NULL);
    raw_run(&r, 100);
    CHECK_EQ(r.answers[1].grpc_status, EXHAUSTED);
    CHECK_EQ(r.answers[3].reset_code, NGHTTP2_PROTOCOL_ERROR);
    CHECK_EQ(r.answers[5].grpc_status, 0);
    buf_fini(&block);
    raw_close(&r);
}

TEST(a_slow_unary_request_ends_after_its_time)
{
    raw_open(&r);
    raw_greet(&r);
    raw_headers(&r, 1, &(struct raw_request){.name = SLICE("grpc-timeout"), .value = SLICE("200S")}, false);
    raw_run(&r, LIMIT_UNARY_REQUEST_MS - 1000);
    CHECK(!r.answers[1].ended);
    raw_run(&r, 2000);
    CHECK_EQ(r.answers[1].grpc_status, EXPIRED);
    CHECK(r.answers[1].reset); /* RFC 9113 8.1: the rest of the request is not wanted */
    CHECK_EQ(r.answers[1].reset_code, NGHTTP2_NO_ERROR);
    raw_close(&r);
}
