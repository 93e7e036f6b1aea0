/* Our client against our server: all kinds of calls, every way for them to end. */
#include "base/limits.h"
#include "world.h"

enum {
    CANCELLED = 1,
    UNKNOWN = 2,
    DEADLINE_EXCEEDED = 4,
    RESOURCE_EXHAUSTED = 8,
    UNIMPLEMENTED = 12,
    INTERNAL = 13,
    UNAVAILABLE = 14
};

static void open_world(struct world *w)
{
    CHECK_ERR(world_open(w, 1), OK);
}

static void simple_call(struct script *s, struct world *w, const char *method,
                        const struct grpc_testing_simple_request *request, const struct rpc_client_call_options *more)
{
    CHECK_ERR(script_begin(s, w, method, more), OK);
    CHECK_ERR(script_send(s, &grpc_testing_simple_request_pb, request), OK);
    rpc_client_send_end(s->call);
    script_run(s);
}

TEST(a_unary_call_gets_one_answer)
{
    struct world w;
    struct script s;
    struct grpc_testing_simple_request request = {.response_size = 314159};
    open_world(&w);
    simple_call(&s, &w, "UnaryCall", &request, NULL);
    CHECK_EQ(s.status, 0);
    CHECK_EQ(s.message_count, 1);
    CHECK_EQ(s.sizes[0], 314159);
    CHECK_EQ(s.headers_count, 1);
    CHECK_EQ(w.finished_count, 1);
    CHECK_ERR(w.finished_err, OK);
    script_fini(&s);
    world_close(&w);
}

TEST(a_blocking_call_gives_the_response)
{
    struct world w;
    struct slice response;
    struct rpc_client_call_options o = {.path = "/grpc.testing.TestService/EmptyCall"};
    open_world(&w);
    CHECK_ERR(rpc_client_unary(w.client, &o, SLICE_EMPTY, &w.arena, &w.diag, &response), OK);
    CHECK_EQ(response.size, 0);
    o.path = "/grpc.testing.TestService/UnimplementedCall";
    CHECK_ERR(rpc_client_unary(w.client, &o, SLICE_EMPTY, &w.arena, &w.diag, &response), ERR_UNIMPLEMENTED);
    CHECK_STR(diag_message(&w.diag), err_row(ERR_UNIMPLEMENTED)->text);
    o.path = "/no.such.Service/Method";
    CHECK_EQ(err_row(rpc_client_unary(w.client, &o, SLICE_EMPTY, &w.arena, &w.diag, &response))->grpc, UNIMPLEMENTED);
    world_close(&w);
}

TEST(a_request_of_many_messages_gets_one_answer)
{
    static const int32_t sizes[] = {27182, 8, 1828, 45904};
    static uint8_t zeros[45904];
    struct world w;
    struct script s;
    open_world(&w);
    CHECK_ERR(script_begin(&s, &w, "StreamingInputCall", NULL), OK);
    for (int i = 0; i < 4; i++) {
        struct grpc_testing_payload payload = {.body = slice_of(zeros, (size_t)sizes[i])};
        struct grpc_testing_streaming_input_call_request request = {.payload = &payload};
        CHECK_ERR(script_send(&s, &grpc_testing_streaming_input_call_request_pb, &request), OK);
    }
    rpc_client_send_end(s.call);
    script_run(&s);
    CHECK_EQ(s.status, 0);
    CHECK_EQ(s.message_count, 1);
    script_fini(&s);
    world_close(&w);
}

TEST(one_request_gets_a_stream_of_answers)
{
    static const int32_t sizes[] = {31415, 9, 2653, 58979, 1 << 20};
    struct world w;
    struct script s;
    open_world(&w);
    CHECK_ERR(script_begin(&s, &w, "StreamingOutputCall", NULL), OK);
    CHECK_ERR(script_ask(&s, sizes, 5, 0), OK);
    rpc_client_send_end(s.call);
    script_run(&s);
    CHECK_EQ(s.status, 0);
    CHECK_EQ(s.message_count, 5);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(s.sizes[i], sizes[i]);
    script_fini(&s);
    world_close(&w);
}

TEST(a_conversation_goes_back_and_forth)
{
    static const int32_t sizes[] = {31415, 9, 2653};
    struct world w;
    struct script s;
    open_world(&w);
    CHECK_ERR(script_begin(&s, &w, "FullDuplexCall", NULL), OK);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_ERR(script_ask(&s, &sizes[i], 1, 0), OK);
        while (s.message_count <= i)
            loop_turn(w.loop, true);
        CHECK_EQ(s.sizes[i], sizes[i]);
    }
    CHECK(!s.ended);
    rpc_client_send_end(s.call);
    script_run(&s);
    CHECK_EQ(s.status, 0);
    script_fini(&s);
    world_close(&w);
}

TEST(many_messages_sent_at_once_wait_for_their_turn)
{
    enum { MESSAGES = 2000 };
    static const int32_t size = 100;
    struct world w;
    struct script s;
    open_world(&w);
    CHECK_ERR(script_begin(&s, &w, "FullDuplexCall", NULL), OK);
    for (int i = 0; i < MESSAGES; i++)
        CHECK_ERR(script_ask(&s, &size, 1, 10), OK);
    rpc_client_send_end(s.call);
    script_run(&s);
    CHECK_EQ(s.status, 0);
    CHECK_EQ(s.message_count, MESSAGES);
    script_fini(&s);
    world_close(&w);
}

TEST(metadata_travels_both_ways)
{
    static const struct http_header metadata[] = {
        {SLICE("x-grpc-test-echo-initial"), SLICE("test_initial_metadata_value")},
        {SLICE("x-grpc-test-echo-trailing-bin"), SLICE("\xab\x00\xab\xff")}};
    struct world w;
    struct script s;
    struct grpc_testing_simple_request request = {0};
    struct rpc_client_call_options o = {.metadata = metadata, .metadata_count = 2};
    open_world(&w);
    simple_call(&s, &w, "UnaryCall", &request, &o);
    CHECK_SLICE(s.header, metadata[0].value);
    CHECK_SLICE(s.trailer, metadata[1].value);
    script_fini(&s);
    world_close(&w);
}

TEST(a_failed_call_keeps_its_headers_and_trailers_apart)
{
    static const struct http_header metadata[] = {{SLICE("x-grpc-test-echo-initial"), SLICE("first")},
                                                  {SLICE("x-grpc-test-echo-trailing-bin"), SLICE("last")}};
    struct world w;
    struct script s;
    struct grpc_testing_echo_status status = {.code = UNKNOWN};
    struct grpc_testing_simple_request request = {.response_status = &status};
    struct rpc_client_call_options o = {.metadata = metadata, .metadata_count = 2};
    open_world(&w);
    simple_call(&s, &w, "UnaryCall", &request, &o);
    CHECK_EQ(s.status, UNKNOWN);
    CHECK_EQ(s.headers_count, 1);
    CHECK_SLICE(s.header, SLICE("first"));
    CHECK_SLICE(s.trailer, SLICE("last"));
    script_fini(&s);
    simple_call(&s, &w, "UnaryCall", &request, NULL);
    CHECK_EQ(s.status, UNKNOWN);
    CHECK_EQ(s.headers_count, 0); /* nothing to keep apart: the status is in the only headers */
    script_fini(&s);
    world_close(&w);
}

TEST(messages_are_compressed_both_ways)
{
    struct world w;
    struct script s;
    struct grpc_testing_bool_value yes = {.value = true};
    struct grpc_testing_simple_request request = {.response_size = 100000, .expect_compressed = &yes};
    struct rpc_client_call_options o = {.gzip = true};
    open_world(&w);
    simple_call(&s, &w, "UnaryCall", &request, &o);
    CHECK_EQ(s.status, 0);
    CHECK_EQ(s.sizes[0], 100000);
    CHECK(rpc_server_stats(w.server)->bytes_out < 10000);
    script_fini(&s);
    simple_call(&s, &w, "UnaryCall", &request, NULL);
    CHECK_ERR(s.diag.err, ERR_INVALID_ARGUMENT);
    script_fini(&s);
    world_close(&w);
}

TEST(a_status_comes_with_its_words)
{
    struct world w;
    struct script s;
    struct grpc_testing_echo_status status = {.code = UNKNOWN, .message = SLICE("\twith Unicode \xe2\x98\xba\n")};
    struct grpc_testing_simple_request request = {.response_status = &status};
    open_world(&w);
    simple_call(&s, &w, "UnaryCall", &request, NULL);
    CHECK_EQ(s.status, UNKNOWN);
    CHECK_STR(diag_message(&s.diag), "\twith Unicode \xe2\x98\xba\n");
    script_fini(&s);
    world_close(&w);
}

TEST(a_message_above_the_limit_is_refused_with_its_exact_error)
{
    static uint8_t large[5 << 20];
    struct world w;
    struct script s;
    struct grpc_testing_payload payload = {.body = slice_of(large, sizeof large)};
    struct grpc_testing_simple_request request = {.payload = &payload};
    open_world(&w);
    simple_call(&s, &w, "UnaryCall", &request, NULL);
    CHECK_EQ(s.status, RESOURCE_EXHAUSTED);
    CHECK_ERR(s.diag.err, ERR_MESSAGE_TOO_LARGE);
    script_fini(&s);
    world_close(&w);
}

TEST(a_deadline_is_kept_by_both_sides)
{
    static const int32_t size = 1;
    struct world w;
    struct script s;
    struct rpc_client_call_options o = {.timeout_ns = 50000000};
    open_world(&w);
    uint64_t began = sim_now_ns(w.sim);
    CHECK_ERR(script_begin(&s, &w, "FullDuplexCall", &o), OK);
    CHECK_ERR(script_ask(&s, &size, 1, 5000000), OK);
    script_run(&s);
    CHECK_EQ(s.status, DEADLINE_EXCEEDED);
    CHECK(sim_now_ns(w.sim) - began < 60000000);
    while (rpc_server_stats(w.server)->calls_in_flight)
        loop_turn(w.loop, true);
    CHECK(sim_now_ns(w.sim) - began < 60000000);
    script_fini(&s);
    world_close(&w);
}

TEST(a_call_that_is_cancelled_ends_on_both_sides)
{
    static const int32_t sizes[] = {100, 100, 100};
    struct world w;
    struct script s;
    open_world(&w);
    CHECK_ERR(script_begin(&s, &w, "FullDuplexCall", NULL), OK);
    s.cancel_after = 1;
    CHECK_ERR(script_ask(&s, sizes, 3, 1000), OK);
    script_run(&s);
    CHECK_EQ(s.status, CANCELLED);
    while (w.finished_count == 0)
        loop_turn(w.loop, true);
    CHECK_ERR(w.finished_err, ERR_CANCELLED);
    CHECK_EQ(rpc_server_stats(w.server)->calls_in_flight, 0);
    script_fini(&s);
    world_close(&w);
}

TEST(a_lost_connection_ends_its_calls_and_the_next_call_connects_again)
{
    struct world w;
    struct script s, next;
    struct grpc_testing_simple_request request = {0};
    open_world(&w);
    CHECK_ERR(script_begin(&s, &w, "FullDuplexCall", NULL), OK);
    while (rpc_server_stats(w.server)->calls_in_flight == 0)
        loop_turn(w.loop, true);
    sim_cut(w.sim);
    script_run(&s);
    CHECK_EQ(s.status, UNAVAILABLE);
    simple_call(&next, &w, "UnaryCall", &request, NULL);
    CHECK_EQ(next.status, 0);
    CHECK_EQ(rpc_server_stats(w.server)->connections_accepted, 2);
    CHECK_EQ(rpc_server_stats(w.server)->calls_in_flight, 0);
    script_fini(&s);
    script_fini(&next);
    world_close(&w);
}

TEST(nobody_at_the_address_is_unavailable)
{
    struct world w;
    struct script s;
    struct rpc_client_options o = {.address = "nobody:80"};
    open_world(&w);
    rpc_client_free(w.client);
    o.loop = w.loop;
    CHECK_ERR(rpc_client_new(&o, &w.diag, &w.client), OK);
    CHECK_ERR(script_begin(&s, &w, "FullDuplexCall", NULL), OK);
    script_run(&s);
    CHECK_EQ(s.status, UNAVAILABLE);
    script_fini(&s);
    world_close(&w);
}

TEST(draining_lets_calls_in_flight_end)
{
    static const int32_t sizes[] = {10, 10};
    struct world w;
    struct script s;
    open_world(&w);
    CHECK_ERR(script_begin(&s, &w, "StreamingOutputCall", NULL), OK);
    CHECK_ERR(script_ask(&s, sizes, 2, 100000), OK);
    rpc_client_send_end(s.call);
    while (s.message_count == 0)
        loop_turn(w.loop, true);
    world_drain(&w, 30000000000);
    script_run(&s);
    CHECK_EQ(s.status, 0);
    CHECK_EQ(s.message_count, 2);
    while (!w.drained)
        loop_turn(w.loop, true);
    CHECK(rpc_server_stats(w.server)->goaways_sent >= 2);
    script_fini(&s);
    world_close(&w);
}

TEST(draining_ends_calls_at_its_deadline)
{
    struct world w;
    struct script s;
    open_world(&w);
    CHECK_ERR(script_begin(&s, &w, "FullDuplexCall", NULL), OK);
    while (rpc_server_stats(w.server)->calls_in_flight == 0)
        loop_turn(w.loop, true);
    uint64_t began = sim_now_ns(w.sim);
    world_drain(&w, 1000000000);
    script_run(&s);
    CHECK_EQ(s.status, UNAVAILABLE);
    CHECK_ERR(s.diag.err, ERR_DRAINING);
    while (!w.drained)
        loop_turn(w.loop, true);
    CHECK(sim_now_ns(w.sim) - began < 1100000000);
    script_fini(&s);
    world_close(&w);
}

TEST(freeing_the_client_ends_its_calls)
{
    struct world w;
    struct script s, queued;
    open_world(&w);
    CHECK_ERR(script_begin(&s, &w, "FullDuplexCall", NULL), OK);
    while (rpc_server_stats(w.server)->calls_in_flight == 0)
        loop_turn(w.loop, true);
    CHECK_ERR(script_begin(&queued, &w, "FullDuplexCall", NULL), OK);
    rpc_client_free(w.client);
    w.client = NULL;
    CHECK(s.ended && queued.ended);
    CHECK_EQ(s.status, CANCELLED);
    while (rpc_server_stats(w.server)->connections_open)
        loop_turn(w.loop, true);
    CHECK_EQ(rpc_server_stats(w.server)->calls_in_flight, 0);
    script_fini(&s);
    script_fini(&queued);
    world_close(&w);
}

TEST(a_warm_unary_call_makes_no_allocation)
{
    struct world w;
    struct script s;
    struct grpc_testing_simple_request request = {.response_size = 100};
    open_world(&w);
    for (int i = 0; i < 5; i++) {
        simple_call(&s, &w, "UnaryCall", &request, NULL);
        CHECK_EQ(s.status, 0);
        script_fini(&s);
    }
    CHECK_EQ(w.allocations, 0);
    world_close(&w);
}

/* Bytes arrive in other pieces and at other times with each seed; in every second one the connection is lost on the way. */
TEST(streams_survive_any_order_of_events)
{
    enum { SEEDS = 60, MESSAGES = 50 };
    static const int32_t sizes[] = {3, 20000};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world w;
        struct script s;
        CHECK_ERR(world_open(&w, seed), OK);
        CHECK_ERR(script_begin(&s, &w, "FullDuplexCall", NULL), OK);
        for (int i = 0; i < MESSAGES; i++)
            CHECK_ERR(script_ask(&s, sizes, 2, (int32_t)sim_choose(w.sim, 200)), OK);
        rpc_client_send_end(s.call);
        uint32_t cut_at = seed % 2 ? (uint32_t)sim_choose(w.sim, 2 * MESSAGES) : UINT32_MAX;
        while (!s.ended) {
            loop_turn(w.loop, true);
            if (s.message_count >= cut_at && !s.ended) {
                sim_cut(w.sim);
                cut_at = UINT32_MAX;
            }
        }
        if (s.status)
            CHECK_EQ(s.status, UNAVAILABLE);
        else
            CHECK_EQ(s.message_count, 2 * MESSAGES);
        CHECK(s.status == 0 || seed % 2);
        script_fini(&s);
        world_close(&w);
    }
}

/* Whatever fails, calls end once, and what was taken is given back. */
static enum err outcome(const struct script *s)
{
    return s->status == 0 ? OK : mem_failed() ? ERR_NOMEM : s->diag.err ? s->diag.err : ERR_INTERNAL;
}

static enum err talk(struct world *w)
{
    static const int32_t sizes[] = {1000, 70000};
    struct script s;
    struct rpc_client_call_options o = {.gzip = true, .timeout_ns = 10000000000};
    enum err e = script_begin(&s, w, "FullDuplexCall", &o);
    if (!e) {
        enum err sent = script_ask(&s, sizes, 2, 0);
        rpc_client_send_end(s.call);
        script_run(&s);
        e = sent ? sent : outcome(&s);
    }
    script_fini(&s);
    return e;
}

SCENARIO(calls_survive_without_memory)
{
    struct world w;
    enum err e = world_open(&w, 7);
    if (!e)
        e = talk(&w);
    if (!e)
        e = talk(&w);
    world_close(&w);
    return e && mem_failed() ? ERR_NOMEM : e;
}
