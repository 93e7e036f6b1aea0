/* What a raw peer sees of a drain: two GOAWAYs around a round trip, and no call that was begun and is then disowned. */
#include "raw.h"

static struct raw r;

/* The server has begun to drain, and its first GOAWAY and PING are here; the answer to the PING lies in r.out. */
static void begin_to_drain(void)
{
    raw_open(&r);
    raw_greet(&r);
    raw_call(&r, 1, NULL);
    raw_run(&r, 10);
    world_drain(&r.world, 30000000000);
    while (r.pings == 0)
        loop_turn(r.world.loop, true);
    CHECK_EQ(r.goaway_count, 1);
    CHECK_EQ(r.last_stream, 0x7fffffff);
}

static void until_drained(void)
{
    while (!r.world.drained)
        loop_turn(r.world.loop, true);
    CHECK(r.closed);
    raw_close(&r);
}

TEST(calls_of_the_round_trip_are_served)
{
    begin_to_drain();
    buf_reset(&r.out); /* the PING is not answered yet */
    raw_call(&r, 3, NULL);
    raw_run(&r, 10);
    CHECK_EQ(r.answers[3].grpc_status, 0);
    CHECK_EQ(r.goaway_count, 1);
    raw_frame(&r, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, SLICE("\0\0\0\0\0\0\0\0"));
    raw_run(&r, 10);
    CHECK_EQ(r.goaway_count, 2);
    CHECK_EQ(r.last_stream, 3);
    until_drained();
}

/* Its client would take the GOAWAY's word that it was not processed, and write again elsewhere. */
TEST(a_call_that_comes_along_with_the_answer_is_served_too)
{
    begin_to_drain();
    raw_call(&r, 3, NULL);
    raw_run(&r, 10);
    CHECK_EQ(r.answers[3].grpc_status, 0);
    CHECK_EQ(r.last_stream, 3);
    CHECK_EQ(r.world.finished_count, 2);
    CHECK_ERR(r.world.finished_err, OK);
    until_drained();
}

TEST(a_call_after_the_last_word_is_not_begun)
{
    begin_to_drain();
    raw_headers(&r, 3, NULL, false); /* keeps the connection */
    raw_run(&r, 10);
    CHECK_EQ(r.last_stream, 3);
    raw_call(&r, 5, NULL);
    raw_data(&r, 3, SLICE("\0\0\0\0\0"), true);
    raw_run(&r, 10);
    CHECK_EQ(r.answers[3].grpc_status, 0);
    CHECK_EQ(r.answers[5].grpc_status, -1);
    CHECK_EQ(r.world.finished_count, 2);
    until_drained();
}
