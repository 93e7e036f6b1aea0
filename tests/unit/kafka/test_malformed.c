/* What strangers send: case 57 of the abuse catalogue. */
#include "../harness.h"
#include "base/limits.h"
#include "hex.h"
#include "kafka/header.h"
#include "random.h"

enum { ARENA_MAX = 64 << 20, SMALL_ARENA = 4096 };

static struct hex storage;
static struct kafka_fault fault;

static enum err decode_in(const struct kafka_message *m, int16_t version, struct slice bytes, size_t memory_max)
{
    _Alignas(16) uint8_t out[1024];
    struct arena arena;
    CHECK(m->size <= sizeof out);
    arena_init(&arena, memory_max);
    fault = (struct kafka_fault){"", "", 0};
    enum err err = kafka_decode(m, version, bytes, &arena, out, &fault);
    arena_fini(&arena);
    return err;
}

static void check_refused(const struct kafka_message *m, int16_t version, const char *hex, const char *field,
                          const char *reason)
{
    /* The small arena would say ERR_NOMEM: memory is not taken before the count is checked. */
    CHECK_ERR(decode_in(m, version, hex_bytes(&storage, hex), SMALL_ARENA), ERR_KAFKA_MALFORMED);
    CHECK_STR(fault.field, field);
    CHECK_STR(fault.reason, reason);
}

TEST(counts_of_what_is_not_there_take_no_memory)
{
    static const char longer[] = "the array is longer than the message", negative[] = "the size is negative";
    check_refused(&kafka_metadata_request_message, 1, "7fffffff0000", "topics", "more items than are taken");
    check_refused(&kafka_metadata_request_message, 1, "00100000000000000000", "topics", longer);
    check_refused(&kafka_metadata_request_message, 1, "00000004000000000000ffff", "name",
                  "null where a value is needed");
    check_refused(&kafka_metadata_request_message, 1, "fffffffe", "topics", negative);
    check_refused(&kafka_metadata_request_message, 1, "80000000", "topics", negative);
    check_refused(&kafka_metadata_request_message, 0, "ffffffff", "topics", "null where a value is needed");
    check_refused(&kafka_metadata_request_message, 9, "ffffffff0f", "topics", "more items than are taken");
    check_refused(&kafka_metadata_request_message, 9, "ffff3f0000", "topics", longer);
    check_refused(&kafka_metadata_request_message, 9, "ffffffffff01", "topics", "the varint is longer than 32 bits");
    check_refused(&kafka_metadata_request_message, 9, "8080808080", "topics", "the varint is longer than 32 bits");
    check_refused(&kafka_metadata_request_message, 9, "80", "topics", "the message ends inside it");
}

TEST(sizes_of_strings_and_bytes_are_held_against_the_message)
{
    static const char ends[] = "the message ends inside it";
    check_refused(&kafka_delete_groups_request_message, 0, "000000017fff61", "item", ends);
    check_refused(&kafka_delete_groups_request_message, 0, "00000001fffe61", "item", "the size is negative");
    check_refused(&kafka_delete_groups_request_message, 2, "02ffffffff0f00", "item", ends);
    check_refused(&kafka_sync_group_response_message, 0, "00007fffffff00", "assignment", ends);
    check_refused(&kafka_sync_group_response_message, 0, "000080000000", "assignment", "the size is negative");
    check_refused(&kafka_produce_request_message, 0, "0001000000000000000100016100000001000000007fffffff00", "records",
                  ends);
}

TEST(tags_are_few_ascend_and_fit)
{
    const struct kafka_message *m = &kafka_heartbeat_response_message;
    CHECK_ERR(decode_in(m, 4, hex_bytes(&storage, "00000000000000"), SMALL_ARENA), OK);
    CHECK_ERR(decode_in(m, 4, hex_bytes(&storage, "000000000000020502aabb0700"), SMALL_ARENA), OK);
    check_refused(m, 4, "000000000000020502aabb0500", "tagged fields", "the tags do not ascend");
    check_refused(m, 4, "000000000000020502aabb0400", "tagged fields", "the tags do not ascend");
    check_refused(m, 4, "00000000000001057f", "tagged fields", "a tagged field is longer than the message");
    check_refused(m, 4, "000000000000ffffffff0f", "tagged fields", "more tagged fields than are taken");
    check_refused(m, 4, "00000000000041", "tagged fields", "more tagged fields than are taken");
    check_refused(m, 4, "00000000000001", "tagged fields", "the message ends inside it");
}

/* Tag 1 of ApiVersions' response is a number of 8 bytes. */
TEST(a_known_tag_has_exactly_the_bytes_that_it_says)
{
    const struct kafka_message *m = &kafka_api_versions_response_message;
    CHECK_ERR(decode_in(m, 3, hex_bytes(&storage, "00000100000000010108000000000000002a"), SMALL_ARENA), OK);
    check_refused(m, 3, "00000100000000010109000000000000002a00", "finalized_features_epoch",
                  "a tagged field is longer than its value");
    check_refused(m, 3, "00000100000000010107000000000000002a", "finalized_features_epoch",
                  "the message ends inside it");
}

TEST(bytes_behind_the_message_are_a_fault_but_for_prefixes)
{
    struct kafka_consumer_protocol_assignment out;
    struct arena arena;
    size_t size;
    struct slice bytes = hex_bytes(&storage, "00000000ffffffff0102");
    check_refused(&kafka_consumer_protocol_assignment_message, 0, "00000000ffffffff0102", "",
                  "bytes follow the message");
    CHECK_EQ(fault.position, 8);
    arena_init(&arena, SMALL_ARENA);
    CHECK_ERR(kafka_decode_prefix(&kafka_consumer_protocol_assignment_message, 3, bytes, &arena, &out, &size, NULL),
              OK);
    CHECK_EQ(size, 8);
    arena_fini(&arena);
}

/* Memory that a message asks for is bounded by the arena. */
TEST(the_arena_ends_what_the_message_may_take)
{
    static uint8_t many[1 << 20];
    memset(many, 0, sizeof many);
    many[1] = 4; /* 262,144 strings of no bytes */
    CHECK_ERR(decode_in(&kafka_delete_groups_request_message, 0, slice_of(many, 4 + 2 * 262144), SMALL_ARENA),
              ERR_NOMEM);
    CHECK_ERR(decode_in(&kafka_delete_groups_request_message, 0, slice_of(many, 4 + 2 * 262144), ARENA_MAX), OK);
}

static void check_growth(const struct kafka_program *program)
{
    for (const struct kafka_op *op = program->ops; op->code != KAFKA_CODE_END; op++) {
        bool is_array = op->code == KAFKA_CODE_ARRAY || op->code == KAFKA_CODE_ARRAY_COMPACT;
        if (is_array && op->program->item_size > 25 * op->program->bytes_min)
            test_fail(__FILE__, __LINE__, "%s: %u bytes for %u", op->field, op->program->item_size,
                      op->program->bytes_min);
        if (op->program)
            check_growth(op->program);
    }
}

/* What codec.h promises. */
TEST(an_item_takes_at_most_25_times_its_bytes)
{
    for (uint32_t i = 0; i < kafka_api_count; i++)
        for (int16_t v = 0; v <= kafka_apis[i].version_max - kafka_apis[i].version_min; v++) {
            check_growth(kafka_apis[i].request->programs[v]);
            check_growth(kafka_apis[i].response->programs[v]);
        }
}

static void cut_everywhere(struct random *r, const struct kafka_message *m, int16_t version)
{
    struct kafka_out out;
    void *in = arena_zalloc(r->arena, m->size);
    kafka_out_init(&out, ARENA_MAX);
    random_message(r, m, version, in);
    CHECK_ERR(kafka_encode(m, version, in, &out), OK);
    for (size_t size = 0; size < out.buf.size; size++)
        if (decode_in(m, version, slice_of(out.buf.data, size), ARENA_MAX) != ERR_KAFKA_MALFORMED)
            test_fail(__FILE__, __LINE__, "%s version %d cut to %zu of %zu bytes", m->name, version, size,
                      out.buf.size);
    kafka_out_fini(&out);
}

/* Each byte of a message in turn becomes something else: nothing is read outside (the sanitizers watch). */
static void damage_everywhere(struct random *r, const struct kafka_message *m, int16_t version)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    struct kafka_out out;
    void *in = arena_zalloc(r->arena, m->size);
    kafka_out_init(&out, ARENA_MAX);
    random_message(r, m, version, in);
    CHECK_ERR(kafka_encode(m, version, in, &out), OK);
    for (size_t at = 0; at < out.buf.size; at++) {
        uint8_t kept = out.buf.data[at];
        out.buf.data[at] = values[random_below(r, sizeof values)];
        enum err err = decode_in(m, version, buf_slice(&out.buf), ARENA_MAX);
        CHECK(err == OK || err == ERR_KAFKA_MALFORMED);
        CHECK(fault.position <= out.buf.size);
        out.buf.data[at] = kept;
    }
    kafka_out_fini(&out);
}

static void each_version(void (*check)(struct random *, const struct kafka_message *, int16_t version),
                         const struct kafka_message *m)
{
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct random r = {88172645463325252u, &arena, 2, false};
    for (int16_t version = m->version_min; version <= m->version_max; version++) {
        check(&r, m, version);
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

TEST(a_message_cut_anywhere_is_refused)
{
    for (uint32_t i = 0; i < kafka_api_count; i++) {
        each_version(cut_everywhere, kafka_apis[i].request);
        each_version(cut_everywhere, kafka_apis[i].response);
    }
}

TEST(a_message_damaged_anywhere_is_refused_or_read)
{
    for (uint32_t i = 0; i < kafka_api_count; i++) {
        each_version(damage_everywhere, kafka_apis[i].request);
        each_version(damage_everywhere, kafka_apis[i].response);
    }
}

/* --- headers ---------------------------------------------------------------------------------------------------------------- */

TEST(headers_cut_anywhere_are_refused)
{
    struct kafka_request_header h;
    struct slice body, frame = hex_bytes(&storage, "0012000300000009000761646d696e2d310105020102aa");
    CHECK_ERR(kafka_request_header_read(slice_take(frame, 23), &h, &body, &fault), OK);
    CHECK_EQ(body.size, 1);
    for (size_t size = 0; size < 22; size++)
        CHECK_ERR(kafka_request_header_read(slice_take(frame, size), &h, &body, &fault), ERR_KAFKA_MALFORMED);
    frame = hex_bytes(&storage, "0003000100000009fffe");
    CHECK_ERR(kafka_request_header_read(frame, &h, &body, &fault), ERR_KAFKA_MALFORMED);
    CHECK_STR(fault.reason, "the size is negative");
    frame = hex_bytes(&storage, "0003000100000009ffff");
    CHECK_ERR(kafka_request_header_read(frame, &h, &body, &fault), OK);
    CHECK(!h.client_id.data);
}

/* Who asks with what we do not have is answered by correlation id. */
TEST(unknown_apis_and_versions_are_still_named)
{
    struct kafka_request_header h;
    struct slice body;
    CHECK_ERR(kafka_request_header_read(hex_bytes(&storage, "03e7000000000009"), &h, &body, NULL), OK);
    CHECK(!h.api);
    CHECK_EQ(h.key, 999);
    CHECK_EQ(h.correlation_id, 9);
    CHECK_ERR(kafka_request_header_read(hex_bytes(&storage, "001200630000000900016101020304"), &h, &body, NULL), OK);
    CHECK_EQ(h.api->key, KAFKA_API_API_VERSIONS);
    CHECK(!kafka_api_takes(h.api, h.version));
    CHECK_EQ(body.size, 0);
    CHECK(kafka_api_find(INT16_MIN) == NULL && kafka_api_find(INT16_MAX) == NULL);
    CHECK_EQ(kafka_frame_size((const uint8_t *)"\377\377\377\377"), -1);
}

TEST(responses_have_headers_of_their_version)
{
    struct kafka_out out;
    struct kafka_frame begun;
    struct slice body;
    int32_t id = 0;
    const struct kafka_api *fetch = kafka_api_find(KAFKA_API_FETCH), *versions = kafka_api_find(KAFKA_API_API_VERSIONS);
    kafka_out_init(&out, SMALL_ARENA);
    CHECK_ERR(kafka_response_begin(&out, fetch, 12, 77, &begun), OK);
    CHECK_ERR(kafka_frame_end(&out, &begun), OK);
    CHECK_SLICE(buf_slice(&out.buf), hex_bytes(&storage, "000000050000004d00"));
    CHECK_ERR(kafka_response_header_read(slice_skip(buf_slice(&out.buf), 4), fetch, 12, &id, &body, NULL), OK);
    CHECK(id == 77 && body.size == 0);
    CHECK_ERR(kafka_response_header_read(slice_of(out.buf.data + 4, 4), fetch, 12, &id, &body, &fault),
              ERR_KAFKA_MALFORMED);
    kafka_out_reset(&out);
    CHECK_ERR(kafka_response_begin(&out, versions, 4, 77, &begun), OK);
    CHECK_ERR(kafka_frame_end(&out, &begun), OK);
    CHECK_SLICE(buf_slice(&out.buf), hex_bytes(&storage, "000000040000004d"));
    kafka_out_fini(&out);
}
