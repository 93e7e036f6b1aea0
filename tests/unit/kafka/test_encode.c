/* What the encoder adds to round trips: holes, limits, and that a failure leaves what was there. */
#include "../harness.h"
#include "kafka/errors.h"
#include "kafka/header.h"

enum { BYTES_MAX = 1 << 20, PARTITIONS = 20 };

static const char file_a[1], file_b[1];

static void fill_response(struct kafka_fetch_response_partition *p)
{
    for (int i = 0; i < PARTITIONS; i++) {
        p[i] = kafka_fetch_response_partition_default;
        p[i].partition_index = i;
        p[i].records = (struct kafka_records){.source = i % 2 ? file_b : file_a, .size = 1000u + (unsigned)i};
    }
}

/* Records of a source are not there, but counted; each hole lies where its size was written. */
SCENARIO(records_of_a_source_are_holes)
{
    struct kafka_fetch_response_partition p[PARTITIONS];
    struct kafka_fetch_response_topic topic = {.topic = SLICE("t"), .partitions = {p, PARTITIONS}};
    struct kafka_fetch_response response = {.responses = {&topic, 1}};
    const struct kafka_api *api = kafka_api_find(KAFKA_API_FETCH);
    struct kafka_out out;
    struct kafka_frame begun;
    fill_response(p);
    kafka_out_init(&out, BYTES_MAX);
    enum err err = kafka_response_begin(&out, api, 11, 1, &begun);
    if (!err)
        err = kafka_encode(api->response, 11, &response, &out);
    if (!err)
        err = kafka_frame_end(&out, &begun);
    if (!err) {
        CHECK_EQ(out.hole_count, PARTITIONS);
        CHECK_EQ(out.hole_bytes, 1000 * PARTITIONS + 190);
        CHECK_EQ(kafka_frame_size(out.buf.data), kafka_out_size(&out) - KAFKA_FRAME_SIZE_BYTES);
        CHECK_EQ(out.holes[PARTITIONS - 1].at, out.buf.size);
        for (uint32_t i = 0; i < out.hole_count; i++) {
            CHECK(out.holes[i].source == (i % 2 ? file_b : file_a));
            CHECK_EQ(kafka_frame_size(out.buf.data + out.holes[i].at - 4), out.holes[i].size);
        }
    }
    kafka_out_fini(&out);
    return err;
}

TEST(a_frame_counts_only_its_own_holes)
{
    struct kafka_fetch_response_partition p[PARTITIONS];
    struct kafka_fetch_response_topic topic = {.topic = SLICE("t"), .partitions = {p, 1}};
    struct kafka_fetch_response response = {.responses = {&topic, 1}};
    const struct kafka_api *api = kafka_api_find(KAFKA_API_FETCH);
    struct kafka_out out;
    struct kafka_frame first, second;
    fill_response(p);
    kafka_out_init(&out, BYTES_MAX);
    CHECK_ERR(kafka_response_begin(&out, api, 12, 1, &first), OK);
    CHECK_ERR(kafka_encode(api->response, 12, &response, &out), OK);
    CHECK_ERR(kafka_frame_end(&out, &first), OK);
    CHECK_ERR(kafka_response_begin(&out, api, 12, 2, &second), OK);
    CHECK_ERR(kafka_encode(api->response, 12, &response, &out), OK);
    CHECK_ERR(kafka_frame_end(&out, &second), OK);
    CHECK_EQ(kafka_frame_size(out.buf.data), kafka_frame_size(out.buf.data + second.at));
    kafka_out_reset(&out);
    CHECK_EQ(kafka_out_size(&out), 0);
    kafka_out_fini(&out);
}

TEST(what_does_not_fit_leaves_what_was_there)
{
    static uint8_t big[40000];
    struct slice names[] = {slice_of(big, sizeof big)};
    struct kafka_delete_groups_request request = {.groups_names = {names, 1}};
    struct kafka_out out;
    kafka_out_init(&out, 100);
    buf_put(&out.buf, "before", 6);
    CHECK_ERR(kafka_encode(&kafka_delete_groups_request_message, 0, &request, &out), ERR_MESSAGE_TOO_LARGE);
    CHECK_ERR(kafka_encode(&kafka_delete_groups_request_message, 2, &request, &out), ERR_MESSAGE_TOO_LARGE);
    CHECK_SLICE(buf_slice(&out.buf), SLICE("before"));
    names[0] = SLICE("g");
    CHECK_ERR(kafka_encode(&kafka_delete_groups_request_message, 0, &request, &out), OK);
    CHECK_EQ(out.buf.size, 6 + 4 + 2 + 1);
    kafka_out_fini(&out);
}

/* A tagged value of 128 bytes or more has a size of two bytes, which moves it. */
TEST(long_tagged_values_are_moved_behind_their_size)
{
    char host[200];
    memset(host, 'h', sizeof host);
    struct kafka_produce_response_node_endpoint node = {.node_id = 1, .host = slice_of(host, sizeof host), .port = 2};
    struct kafka_produce_response in = {.node_endpoints = {&node, 1}}, back;
    struct kafka_out out;
    struct arena arena;
    arena_init(&arena, BYTES_MAX);
    kafka_out_init(&out, BYTES_MAX);
    CHECK_ERR(kafka_encode(&kafka_produce_response_message, 10, &in, &out), OK);
    CHECK_ERR(kafka_decode(&kafka_produce_response_message, 10, buf_slice(&out.buf), &arena, &back, NULL), OK);
    CHECK_EQ(back.node_endpoints.count, 1);
    CHECK_SLICE(back.node_endpoints.items[0].host, node.host);
    CHECK_EQ(back.node_endpoints.items[0].port, 2);
    kafka_out_fini(&out);
    arena_fini(&arena);
}

TEST(error_codes_have_names)
{
    CHECK_STR(kafka_error_name(0), "NONE");
    CHECK_STR(kafka_error_name(6), "NOT_LEADER_OR_FOLLOWER");
    CHECK_STR(kafka_error_name(-1), "UNKNOWN_SERVER_ERROR");
    CHECK_STR(kafka_error_name(99), "UNKNOWN_CODE");
    CHECK_EQ(kafka_error_of(ERR_KAFKA_MALFORMED), KAFKA_INVALID_REQUEST);
    for (int err = 0; err < ERR_COUNT; err++)
        CHECK(strcmp(kafka_error_name((int16_t)kafka_error_of((enum err)err)), "UNKNOWN_CODE") != 0);
}
