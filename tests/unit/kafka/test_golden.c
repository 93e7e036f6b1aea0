/* Bytes that other clients made: python3-kafka 2.0.2 for whole requests with their headers, kafka-clients 3.9.2 for flexible
 * versions. Their fields must be read right, and what is written for these must be the same bytes. */
#include "../harness.h"
#include "hex.h"
#include "kafka/header.h"

enum { ARENA_MAX = 1 << 20 };

static struct arena arena;
static struct hex storage;

static void *decoded(const struct kafka_message *m, int16_t version, struct slice bytes)
{
    struct kafka_fault fault = {"", "", 0};
    void *out = arena_zalloc(&arena, m->size);
    enum err err = kafka_decode(m, version, bytes, &arena, out, &fault);
    if (err)
        test_fail(__FILE__, __LINE__, "%s: %s: %s at %zu", err_name(err), fault.field, fault.reason, fault.position);
    struct kafka_out back;
    kafka_out_init(&back, ARENA_MAX);
    CHECK_ERR(kafka_encode(m, version, out, &back), OK);
    CHECK_SLICE(buf_slice(&back.buf), bytes);
    kafka_out_fini(&back);
    return out;
}

/* A whole request of python3-kafka's, with correlation id 5. */
static void *requested(const char *hex, int16_t key, int16_t version)
{
    struct slice frame = hex_bytes(&storage, hex), body;
    struct kafka_request_header h;
    struct kafka_out out;
    struct kafka_frame begun;
    CHECK_ERR(kafka_request_header_read(frame, &h, &body, NULL), OK);
    CHECK_EQ(h.key, key);
    CHECK_EQ(h.version, version);
    CHECK_EQ(h.correlation_id, 5);
    CHECK_SLICE(h.client_id, SLICE("kafka-python-2.0.2"));
    CHECK(h.api != NULL);
    kafka_out_init(&out, ARENA_MAX);
    void *message = decoded(h.api->request, h.version, body);
    CHECK_ERR(kafka_request_begin(&out, h.api, h.version, 5, h.client_id, &begun), OK);
    CHECK_ERR(kafka_encode(h.api->request, h.version, message, &out), OK);
    CHECK_ERR(kafka_frame_end(&out, &begun), OK);
    CHECK_EQ(kafka_frame_size(out.buf.data), frame.size);
    CHECK_SLICE(slice_skip(buf_slice(&out.buf), KAFKA_FRAME_SIZE_BYTES), frame);
    kafka_out_fini(&out);
    return message;
}

static void begin(void)
{
    arena_init(&arena, ARENA_MAX);
}

static void end(void)
{
    arena_fini(&arena);
}

#define PYTHON "0000000500126b61666b612d707974686f6e2d322e302e32"

TEST(python_asks_for_versions_and_metadata)
{
    begin();
    requested("00120000" PYTHON, 18, 0);
    const struct kafka_metadata_request *all = requested("00030001" PYTHON "ffffffff", 3, 1);
    CHECK(!all->topics.items);
    CHECK(all->allow_auto_topic_creation);
    const struct kafka_metadata_request *two =
        requested("00030001" PYTHON "0000000200066f7264657273000562696c6c73", 3, 1);
    CHECK_EQ(two->topics.count, 2);
    CHECK_SLICE(two->topics.items[1].name, SLICE("bills"));
    end();
}

TEST(python_produces)
{
    begin();
    const struct kafka_produce_request *r = requested(
        "00000007" PYTHON
        "ffff0001000075300000000100066f72646572730000000100000003000000620000000000000000000000560000000002fc09fc1c"
        "0000000000020000018bcfe568000000018bcfe56805ffffffffffffffffffffffffffff0000000320000000026b0a76616c75650202"
        "6802310c000a0201000018000104000104026100026201",
        0, 7);
    CHECK(!r->transactional_id.data);
    CHECK_EQ(r->acks, 1);
    CHECK_EQ(r->timeout_ms, 30000);
    CHECK_EQ(r->topic_data.count, 1);
    CHECK_SLICE(r->topic_data.items[0].name, SLICE("orders"));
    CHECK_EQ(r->topic_data.items[0].partition_data.count, 1);
    CHECK_EQ(r->topic_data.items[0].partition_data.items[0].index, 3);
    CHECK_EQ(r->topic_data.items[0].partition_data.items[0].records.bytes.size, 98);
    end();
}

TEST(python_fetches_and_lists_offsets)
{
    begin();
    const struct kafka_fetch_request *f =
        requested("00010004" PYTHON "ffffffff000001f40000000103200000000000000100066f7264657273000000020000000000000000"
                  "000000110010000000000001000000000000000000100000",
                  1, 4);
    CHECK_EQ(f->replica_id, -1);
    CHECK_EQ(f->max_wait_ms, 500);
    CHECK_EQ(f->max_bytes, 52428800);
    CHECK_EQ(f->session_epoch, -1);
    CHECK_EQ(f->topics.items[0].partitions.count, 2);
    CHECK_EQ(f->topics.items[0].partitions.items[0].fetch_offset, 17);
    CHECK_EQ(f->topics.items[0].partitions.items[1].partition_max_bytes, 1 << 20);
    CHECK_EQ(f->topics.items[0].partitions.items[1].current_leader_epoch, -1);
    const struct kafka_list_offsets_request *l = requested(
        "00020001" PYTHON "ffffffff0000000100066f72646572730000000200000000ffffffffffffffff00000001fffffffffffffffe", 2,
        1);
    CHECK_EQ(l->topics.items[0].partitions.items[0].timestamp, -1);
    CHECK_EQ(l->topics.items[0].partitions.items[1].timestamp, -2);
    CHECK_EQ(l->topics.items[0].partitions.items[1].max_num_offsets, 1);
    end();
}

TEST(python_joins_a_group_and_commits)
{
    begin();
    const struct kafka_join_group_request *j =
        requested("000b0002" PYTHON "00016700002710000493e000000008636f6e73756d657200000001000572616e6765000000120000"
                  "0000000100066f726465727300000000",
                  11, 2);
    CHECK_EQ(j->session_timeout_ms, 10000);
    CHECK_EQ(j->rebalance_timeout_ms, 300000);
    CHECK_SLICE(j->protocols.items[0].name, SLICE("range"));
    struct slice said = j->protocols.items[0].metadata;
    CHECK_EQ(said.size, 18);
    const struct kafka_consumer_protocol_subscription *s =
        decoded(&kafka_consumer_protocol_subscription_message, 0, slice_skip(said, 2));
    CHECK_EQ(s->topics.count, 1);
    CHECK_SLICE(s->topics.items[0], SLICE("orders"));
    CHECK(s->user_data.data && s->user_data.size == 0);
    const struct kafka_offset_commit_request *c =
        requested("00080002" PYTHON "0001670000000400036d2d31ffffffffffffffff0000000100066f726465727300000001000000000"
                  "00000000000002a00046d657461",
                  8, 2);
    CHECK_EQ(c->generation_id_or_member_epoch, 4);
    CHECK_EQ(c->retention_time_ms, -1);
    CHECK_EQ(c->topics.items[0].partitions.items[0].committed_offset, 42);
    CHECK_SLICE(c->topics.items[0].partitions.items[0].committed_metadata, SLICE("meta"));
    end();
}

TEST(python_creates_topics)
{
    begin();
    const struct kafka_create_topics_request *r = requested(
        "00130002" PYTHON "0000000100066f7264657273000000030001000000010000000000000002000000010000000200000001"
        "000c726574656e74696f6e2e6d7300043130303000003a9801",
        19, 2);
    CHECK_EQ(r->topics.items[0].num_partitions, 3);
    CHECK_EQ(r->topics.items[0].assignments.items[0].broker_ids.items[1], 2);
    CHECK_SLICE(r->topics.items[0].configs.items[0].value, SLICE("1000"));
    CHECK_EQ(r->timeout_ms, 15000);
    CHECK(r->validate_only);
    end();
}

TEST(java_asks_for_versions)
{
    struct kafka_request_header h;
    struct slice body;
    begin();
    struct slice frame = hex_bytes(&storage, "0012000400000009000761646d696e2d3100"
                                             "126170616368652d6b61666b612d6a61766106332e392e3200");
    CHECK_ERR(kafka_request_header_read(frame, &h, &body, NULL), OK);
    CHECK_EQ(h.correlation_id, 9);
    CHECK_SLICE(h.client_id, SLICE("admin-1"));
    const struct kafka_api_versions_request *r = decoded(&kafka_api_versions_request_message, 4, body);
    CHECK_SLICE(r->client_software_name, SLICE("apache-kafka-java"));
    CHECK_SLICE(r->client_software_version, SLICE("3.9.2"));
    end();
}

TEST(java_asks_for_metadata_by_id)
{
    begin();
    const struct kafka_metadata_request *r = decoded(
        &kafka_metadata_request_message, 12, hex_bytes(&storage, "020123456789abcdef11223344556677880000000000"));
    CHECK_EQ(r->topics.count, 1);
    CHECK(!r->topics.items[0].name.data);
    CHECK_EQ(r->topics.items[0].topic_id.bytes[0], 0x01);
    CHECK_EQ(r->topics.items[0].topic_id.bytes[15], 0x88);
    CHECK(!r->allow_auto_topic_creation);
    r = decoded(&kafka_metadata_request_message, 12, hex_bytes(&storage, "00010000"));
    CHECK(!r->topics.items);
    end();
}

TEST(java_fetches_as_a_replica)
{
    begin();
    const struct kafka_fetch_request *r = decoded(
        &kafka_fetch_request_message, 15,
        hex_bytes(&storage,
                  "000001f400000001000003e80000000000ffffffff010102720200020263010d00000003000000000000000400"));
    CHECK_SLICE(r->cluster_id, SLICE("c"));
    CHECK_EQ(r->replica_state.replica_id, 3);
    CHECK_EQ(r->replica_state.replica_epoch, 4);
    CHECK_EQ(r->replica_id, -1);
    CHECK_SLICE(r->rack_id, SLICE("r"));
    end();
}

TEST(java_answers_a_fetch_with_the_leader)
{
    begin();
    const struct kafka_fetch_response *r = decoded(
        &kafka_fetch_response_message, 16,
        hex_bytes(&storage, "0000000000000000004d0200000000000000010000000000000002020000000100060000000000000009000"
                            "0000000000009000000000000000201ffffffff010101090000000200000005000001000e0200000002036"
                            "832000023840000"));
    const struct kafka_fetch_response_partition *p = &r->responses.items[0].partitions.items[0];
    CHECK_EQ(r->session_id, 77);
    CHECK_EQ(p->error_code, 6);
    CHECK_EQ(p->high_watermark, 9);
    CHECK_EQ(p->log_start_offset, 2);
    CHECK_EQ(p->current_leader.leader_id, 2);
    CHECK_EQ(p->current_leader.leader_epoch, 5);
    CHECK_EQ(p->diverging_epoch.epoch, -1);
    CHECK(p->records.bytes.data && p->records.bytes.size == 0);
    CHECK(p->aborted_transactions.items && p->aborted_transactions.count == 0);
    CHECK_EQ(r->node_endpoints.count, 1);
    CHECK_SLICE(r->node_endpoints.items[0].host, SLICE("h2"));
    CHECK_EQ(r->node_endpoints.items[0].port, 9092);
    end();
}

TEST(java_answers_a_produce_with_errors)
{
    begin();
    const struct kafka_produce_response *r = decoded(
        &kafka_produce_response_message, 9,
        hex_bytes(&storage, "02076f7264657273020000000300000000000000000064ffffffffffffffffffffffffffffffff020000000"
                            "2046261640006776f72736500000000000100"));
    const struct kafka_produce_response_partition *p = &r->responses.items[0].partition_responses.items[0];
    CHECK_EQ(p->base_offset, 100);
    CHECK_EQ(p->log_append_time_ms, -1);
    CHECK_EQ(p->record_errors.items[0].batch_index, 2);
    CHECK_SLICE(p->record_errors.items[0].batch_index_error_message, SLICE("bad"));
    CHECK_SLICE(p->error_message, SLICE("worse"));
    CHECK_EQ(r->throttle_time_ms, 1);
    end();
}
