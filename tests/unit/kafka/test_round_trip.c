/* Every message at every version, there and back. */
#include "../harness.h"
#include "base/mem.h"
#include "kafka/api.h"
#include "random.h"

enum { ROUNDS = 40, ARENA_MAX = 16 << 20 };

static enum err round_trip(struct random *r, const struct kafka_message *m, int16_t version)
{
    struct kafka_out first, second;
    void *in = arena_zalloc(r->arena, m->size), *back = arena_zalloc(r->arena, m->size);
    struct kafka_fault fault = {"", "", 0};
    kafka_out_init(&first, ARENA_MAX);
    kafka_out_init(&second, ARENA_MAX);
    if (in)
        random_message(r, m, version, in);
    enum err err = r->failed || !in || !back ? ERR_NOMEM : kafka_encode(m, version, in, &first);
    if (!err)
        err = kafka_decode(m, version, buf_slice(&first.buf), r->arena, back, &fault);
    if (err && err != ERR_NOMEM)
        test_fail(__FILE__, __LINE__, "%s version %d: %s, %s: %s", m->name, version, err_name(err), fault.field,
                  fault.reason);
    if (!err && !same_message(m, in, back))
        test_fail(__FILE__, __LINE__, "%s version %d came back as another", m->name, version);
    if (!err)
        err = kafka_encode(m, version, back, &second);
    if (!err)
        CHECK_SLICE(buf_slice(&first.buf), buf_slice(&second.buf));
    kafka_out_fini(&first);
    kafka_out_fini(&second);
    return err;
}

static enum err round_trips(const struct kafka_message *m, uint32_t rounds, uint32_t items_max)
{
    enum err err = OK;
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct random r = {0x9E3779B97F4A7C15u, &arena, items_max, false};
    for (int16_t version = m->version_min; version <= m->version_max && !err; version++)
        for (uint32_t i = 0; i < rounds && !err; i++) {
            arena_reset(&arena);
            err = round_trip(&r, m, version);
        }
    arena_fini(&arena);
    return err;
}

TEST(every_message_at_every_version_comes_back)
{
    for (uint32_t i = 0; i < kafka_api_count; i++) {
        CHECK_ERR(round_trips(kafka_apis[i].request, ROUNDS, 3), OK);
        CHECK_ERR(round_trips(kafka_apis[i].response, ROUNDS, 3), OK);
    }
    CHECK_ERR(round_trips(&kafka_consumer_protocol_subscription_message, ROUNDS, 3), OK);
    CHECK_ERR(round_trips(&kafka_consumer_protocol_assignment_message, ROUNDS, 3), OK);
}

SCENARIO(fetch_responses_survive_a_lack_of_memory)
{
    return round_trips(&kafka_fetch_response_message, 1, 4);
}

SCENARIO(metadata_responses_survive_a_lack_of_memory)
{
    return round_trips(&kafka_metadata_response_message, 1, 4);
}

/* Of one version: what another one cannot say is left out, and comes back as its default. */
TEST(a_field_that_a_version_does_not_have_has_its_default)
{
    struct kafka_metadata_response in = kafka_metadata_response_default, back;
    struct kafka_out out;
    struct arena arena;
    CHECK_EQ(in.controller_id, -1);
    in.throttle_time_ms = 7;
    in.controller_id = 3;
    in.cluster_id = SLICE("c");
    arena_init(&arena, 4096);
    kafka_out_init(&out, 4096);
    CHECK_ERR(kafka_encode(&kafka_metadata_response_message, 1, &in, &out), OK);
    CHECK_EQ(out.buf.size, 12);
    CHECK_ERR(kafka_decode(&kafka_metadata_response_message, 1, buf_slice(&out.buf), &arena, &back, NULL), OK);
    CHECK_EQ(back.controller_id, 3);
    CHECK_EQ(back.throttle_time_ms, 0);
    CHECK(!back.cluster_id.data);
    CHECK_EQ(back.cluster_authorized_operations, INT32_MIN);
    CHECK_ERR(kafka_encode(&kafka_metadata_response_message, 13, &in, &out), ERR_UNIMPLEMENTED);
    CHECK_ERR(kafka_decode(&kafka_metadata_response_message, -1, buf_slice(&out.buf), &arena, &back, NULL),
              ERR_UNIMPLEMENTED);
    kafka_out_fini(&out);
    arena_fini(&arena);
}
