#include "../harness.h"
#include "base/limits.h"
#include "pb/pb.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"
#include "prism/test/v1/kinds.pb.h"

static struct arena arena;

/* Each test decodes into the same arena, emptied before. */
static enum err decode(const struct pb_message *t, struct slice input, void *ret)
{
    arena_fini(&arena);
    arena_init(&arena, 16 << 20);
    return pb_decode(t, input, &arena, NULL, ret);
}

static void done(void)
{
    arena_fini(&arena);
}

static void check_encodes_as(const struct pb_message *t, const void *message, struct slice expected)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    CHECK_ERR(pb_encode_buf(t, message, &b), OK);
    CHECK_SLICE(buf_slice(&b), expected);
    buf_fini(&b);
}

TEST(decodes_a_set_request_and_encodes_the_same_bytes)
{
    struct slice input = SLICE("\x0a\x01k\x12\x05value\x1a\x06\x0a\x01"
                               "a\x12\x01"
                               "b\x22\x02\x08\x05\x2a\x00");
    struct keyvalue_set_request *r;
    CHECK_ERR(decode(&keyvalue_set_request_pb, input, &r), OK);
    CHECK_SLICE(r->key, SLICE("k"));
    CHECK_SLICE(r->value, SLICE("value"));
    CHECK(r->key.data == input.data + 2);
    CHECK_EQ(r->tags.count, 1);
    CHECK_SLICE(PB_AT(r->tags, struct keyvalue_set_request_tags_entry *, 0)->value, SLICE("b"));
    CHECK_EQ(r->ttl->seconds, 5);
    CHECK(r->has_if_version && r->if_version.size == 0);
    check_encodes_as(&keyvalue_set_request_pb, r, input);
    done();
}

TEST(every_scalar_type_has_its_wire_form)
{
    struct test_scalars *s;
    struct slice input =
        SLICE("\x09\x00\x00\x00\x00\x00\x00\xf8\x3f\x15\x00\x00\x20\xc0\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
              "\x20\x80\x01\x28\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x31\x01\x00\x00\x00\x00\x00\x00\x80"
              "\x3d\x02\x00\x00\x80\x40\x01\x4a\x02hi\x62\x01\xff\x68\xff\xff\xff\xff\x0f\x70\x02"
              "\x7d\xff\xff\xff\xff\x81\x01\xfe\xff\xff\xff\xff\xff\xff\xff\x88\x01\x03\x90\x01\x04");
    CHECK_ERR(decode(&test_scalars_pb, input, &s), OK);
    CHECK(s->f_double == 1.5 && s->f_float == -2.5f);
    CHECK_EQ(s->f_int64, -1);
    CHECK_EQ(s->f_uint64, 128);
    CHECK_EQ(s->f_int32, -2);
    CHECK(s->f_fixed64 == 0x8000000000000001u && s->f_fixed32 == 0x80000002u);
    CHECK(s->f_bool);
    CHECK_SLICE(s->f_string, SLICE("hi"));
    CHECK_SLICE(s->f_bytes, SLICE("\xff"));
    CHECK(s->f_uint32 == UINT32_MAX);
    CHECK_EQ(s->f_enum, COLOR_GREEN);
    CHECK_EQ(s->f_sfixed32, -1);
    CHECK_EQ(s->f_sfixed64, -2);
    CHECK_EQ(s->f_sint32, -2);
    CHECK_EQ(s->f_sint64, 2);
    check_encodes_as(&test_scalars_pb, s, input);
    done();
}

TEST(numbers_are_cut_to_their_type_as_the_official_decoders_cut_them)
{
    struct test_scalars *s;
    CHECK_ERR(decode(&test_scalars_pb, SLICE("\x28\x81\x80\x80\x80\x10\x68\x82\x80\x80\x80\x10"), &s), OK);
    CHECK_EQ(s->f_int32, 1);
    CHECK_EQ(s->f_uint32, 2);
    CHECK_ERR(decode(&test_scalars_pb, SLICE("\x40\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), &s), OK);
    CHECK(s->f_bool);
    done();
}

TEST(malformed_bytes_are_refused)
{
    static const struct {
        const char *what;
        struct slice input;
        enum err err;
    } cases[] = {
        {"a varint without an end", SLICE("\x28\x80"), ERR_PB_MALFORMED},
        {"a varint of 11 bytes", SLICE("\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), ERR_PB_MALFORMED},
        {"a tag without a value", SLICE("\x28"), ERR_PB_MALFORMED},
        {"a cut fixed64", SLICE("\x09\x00\x00\x00"), ERR_PB_MALFORMED},
        {"a cut fixed32", SLICE("\x15\x00"), ERR_PB_MALFORMED},
        {"a length past the end", SLICE("\x4a\x05hi"), ERR_PB_MALFORMED},
        {"a length of 2^63", SLICE("\x4a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), ERR_PB_MALFORMED},
        {"field number 0", SLICE("\x02\x00"), ERR_PB_MALFORMED},
        {"a tag of 33 bits", SLICE("\xf8\xff\xff\xff\x1f\x00"), ERR_PB_MALFORMED},
        {"a tag of 6 bytes", SLICE("\x88\x80\x80\x80\x80\x00\x00"), ERR_PB_MALFORMED},
        {"wire type 6", SLICE("\x0e"), ERR_PB_MALFORMED},
        {"wire type 7", SLICE("\x0f"), ERR_PB_MALFORMED},
        {"an end without its group", SLICE("\xa4\x06"), ERR_PB_MALFORMED},
        {"a group without its end", SLICE("\xa3\x06\x08\x01"), ERR_PB_MALFORMED},
        {"a group with another's end", SLICE("\xa3\x06\xac\x06"), ERR_PB_MALFORMED},
        {"a bad tag in a group", SLICE("\xa3\x06\x00"), ERR_PB_MALFORMED},
        {"a bad varint in a group", SLICE("\xa3\x06\x08\xff"), ERR_PB_MALFORMED},
        {"an unknown length past the end", SLICE("\xa2\x06\x05"), ERR_PB_MALFORMED},
        {"an unknown fixed64, cut", SLICE("\xa1\x06\x05"), ERR_PB_MALFORMED},
        {"an unknown fixed32, cut", SLICE("\xa5\x06\x05"), ERR_PB_MALFORMED},
        {"bytes that are not UTF-8 in a string", SLICE("\x4a\x01\xff"), ERR_PB_UTF8},
        {"a surrogate in a string", SLICE("\x4a\x03\xed\xa0\x80"), ERR_PB_UTF8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *message = NULL;
        enum err err = decode(&test_scalars_pb, cases[i].input, &message);
        if (err != cases[i].err || message)
            test_fail(__FILE__, __LINE__, "%s: %s", cases[i].what, err_name(err));
    }
    done();
}

TEST(packed_fields_must_be_whole)
{
    void *message;
    CHECK_ERR(decode(&test_repeated_pb, SLICE("\x0a\x07\x00\x00\x00\x00\x00\x00\x00"), &message), ERR_PB_MALFORMED);
    CHECK_ERR(decode(&test_repeated_pb, SLICE("\x2a\x02\x01\x80"), &message), ERR_PB_MALFORMED);
    CHECK_ERR(decode(&test_repeated_pb, SLICE("\x2a\x05\x01"), &message), ERR_PB_MALFORMED);
    done();
}

TEST(packed_and_unpacked_items_are_both_taken)
{
    struct test_repeated *r;
    CHECK_ERR(decode(&test_repeated_pb, SLICE("\x2a\x03\x01\x80\x01\x28\x03\x2a\x00\x2a\x01\x04"), &r), OK);
    CHECK_EQ(r->f_int32.count, 4);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(PB_AT(r->f_int32, int32_t, i), ((int[]){1, 128, 3, 4})[i]);
    check_encodes_as(&test_repeated_pb, r, SLICE("\x2a\x05\x01\x80\x01\x03\x04"));
    CHECK_ERR(decode(&test_repeated_pb, SLICE("\xa2\x06\x02\x01\x02\xaa\x06\x08\x07\x00\x00\x00\x00\x00\x00\x00"), &r),
              OK);
    CHECK_EQ(r->unpacked.count, 2);
    check_encodes_as(&test_repeated_pb, r, SLICE("\xa0\x06\x01\xa0\x06\x02\xa9\x06\x07\x00\x00\x00\x00\x00\x00\x00"));
    CHECK_ERR(decode(&test_repeated_pb,
                     SLICE("\x0a\x10\x00\x00\x00\x00\x00\x00\xf0\x3f\x00\x00\x00\x00\x00\x00\x00\x40"), &r),
              OK);
    CHECK(r->f_double.count == 2 && PB_AT(r->f_double, double, 1) == 2.0);
    done();
}

TEST(unknown_fields_are_kept_in_order_and_written_again)
{
    struct test_scalars *s;
    CHECK_ERR(decode(&test_scalars_pb, SLICE("\xa0\x06\x01\xa2\x06\x01x"), &s), OK);
    CHECK(s->unknown.capacity == 0 && s->unknown.size == 7);
    struct slice scattered =
        SLICE("\xa0\x06\x01\x40\x01\xa3\x06\x08\x01\xa3\x07\xa4\x07\xa4\x06\x40\x00\xa5\x06\x01\x02\x03\x04"
              "\x40\x01\xa1\x06\x01\x02\x03\x04\x05\x06\x07\x08");
    CHECK_ERR(decode(&test_scalars_pb, scattered, &s), OK);
    check_encodes_as(&test_scalars_pb, s,
                     SLICE("\x40\x01\xa0\x06\x01\xa3\x06\x08\x01\xa3\x07\xa4\x07\xa4\x06\xa5\x06\x01\x02\x03\x04"
                           "\xa1\x06\x01\x02\x03\x04\x05\x06\x07\x08"));
    done();
}

TEST(a_known_field_of_another_wire_type_is_unknown)
{
    struct test_scalars *s;
    struct slice input = SLICE("\x0d\x01\x02\x03\x04\x48\x05\x2a\x01x\x43\x44");
    CHECK_ERR(decode(&test_scalars_pb, input, &s), OK);
    CHECK(!s->f_bool && s->f_double == 0 && s->f_string.size == 0);
    check_encodes_as(&test_scalars_pb, s, input);
    done();
}

TEST(the_last_of_a_singular_field_wins_and_messages_merge)
{
    struct test_everything *e;
    CHECK_ERR(decode(&test_everything_pb, SLICE("\x0a\x02\x28\x01\x0a\x04\x28\x02\x40\x01"), &e), OK);
    CHECK(e->scalars->f_int32 == 2 && e->scalars->f_bool);
    done();
}

TEST(the_last_member_of_a_oneof_wins)
{
    struct test_oneofs *o;
    CHECK_ERR(decode(&test_oneofs_pb, SLICE("\x0a\x01x\x10\x05"), &o), OK);
    CHECK_EQ(o->kind_case, TEST_ONEOFS_AN_INT);
    check_encodes_as(&test_oneofs_pb, o, SLICE("\x10\x05"));
    CHECK_ERR(decode(&test_oneofs_pb, SLICE("\x1a\x02\x28\x01\x1a\x02\x40\x01"), &o), OK);
    CHECK(o->a_message->f_int32 == 1 && o->a_message->f_bool);
    CHECK_ERR(decode(&test_oneofs_pb, SLICE("\x1a\x02\x28\x01\x10\x00\x1a\x02\x40\x01"), &o), OK);
    CHECK(o->kind_case == TEST_ONEOFS_A_MESSAGE && o->a_message->f_int32 == 0 && o->a_message->f_bool);
    CHECK_ERR(decode(&test_oneofs_pb, SLICE("\x10\x00"), &o), OK);
    check_encodes_as(&test_oneofs_pb, o, SLICE("\x10\x00"));
    done();
}

TEST(map_entries_may_lack_key_and_value_and_the_last_of_a_key_wins)
{
    struct test_maps *m;
    CHECK_ERR(decode(&test_maps_pb,
                     SLICE("\x0a\x00\x0a\x06\x0a\x01"
                           "a\x12\x01x\x0a\x06\x12\x01y\x0a\x01"
                           "a\x12\x00\x12\x02\x08\x05"),
                     &m),
              OK);
    CHECK_EQ(m->m_string.count, 2);
    CHECK_SLICE(PB_AT(m->m_string, struct test_maps_m_string_entry *, 0)->key, SLICE(""));
    CHECK_SLICE(PB_AT(m->m_string, struct test_maps_m_string_entry *, 1)->value, SLICE("y"));
    CHECK_EQ(m->m_message.count, 2);
    CHECK(PB_AT(m->m_message, struct test_maps_m_message_entry *, 0)->value != NULL);
    check_encodes_as(&test_maps_pb, m,
                     SLICE("\x0a\x04\x0a\x00\x12\x00\x0a\x06\x0a\x01"
                           "a\x12\x01y\x12\x04\x08\x00\x12\x00\x12\x04\x08\x05\x12\x00"));
    done();
}

/* More than the pairwise comparison takes: 1,000 entries of 250 keys. */
TEST(large_maps_hold_each_key_once)
{
    struct buf b;
    struct test_maps *m;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 1000; i++) {
        char entry[] = {
            0x2a, 0x0c,    0x08, (char)(0x80 | (i * 7 % 250 & 0x7f)), (char)(i * 7 % 250 >> 7), 0x11, 0, 0, 0, 0, 0,
            0,    (char)i, 0x3f};
        buf_put(&b, entry, sizeof entry);
    }
    CHECK_ERR(decode(&test_maps_pb, buf_slice(&b), &m), OK);
    CHECK_EQ(m->m_uint64.count, 250);
    for (uint32_t i = 0; i < 250; i++) {
        const struct test_maps_m_uint64_entry *e = PB_AT(m->m_uint64, void *, i);
        uint8_t bytes[8];
        memcpy(bytes, &e->value, 8);
        CHECK_EQ(e->key, (750 + i) * 7 % 250);
        CHECK_EQ(bytes[6], (750 + i) & 0xff);
    }
    buf_fini(&b);
    done();
}

/* depth messages inside of each other. */
static struct slice nested(uint32_t depth, struct buf *b)
{
    uint8_t *end = (uint8_t *)b->data + b->capacity, *p = end;
    for (uint32_t i = 0; i < depth; i++) {
        size_t size = (size_t)(end - p);
        if (size < 128) {
            *--p = (uint8_t)size;
        } else {
            *--p = (uint8_t)(size >> 7);
            *--p = (uint8_t)(size & 0x7f) | 0x80;
        }
        *--p = 0x42;
    }
    return slice_of(p, (size_t)(end - p));
}

TEST(nesting_ends_at_one_hundred)
{
    struct buf b;
    void *message;
    buf_init(&b, 4096);
    CHECK(buf_reserve(&b, 4096) != NULL);
    CHECK_ERR(decode(&test_everything_pb, nested(100, &b), &message), OK);
    CHECK_ERR(decode(&test_everything_pb, nested(101, &b), &message), ERR_PB_DEPTH);
    struct pb_limits limits = {.depth = 3};
    CHECK_ERR(pb_decode(&test_everything_pb, nested(3, &b), &arena, &limits, &message), OK);
    CHECK_ERR(pb_decode(&test_everything_pb, nested(4, &b), &arena, &limits, &message), ERR_PB_DEPTH);
    memset(b.data, 0x43, 101);
    memset(b.data + 101, 0x44, 101);
    CHECK_ERR(decode(&test_scalars_pb, slice_of(b.data + 1, 200), &message), OK);
    CHECK_ERR(decode(&test_scalars_pb, slice_of(b.data, 202), &message), ERR_PB_DEPTH);
    buf_fini(&b);
    done();
}

TEST(memory_is_charged_before_it_is_taken)
{
    uint8_t input[4000];
    void *message;
    for (size_t i = 0; i < sizeof input; i += 2) {
        input[i] = 0x4a; /* Everything.more: a struct for two bytes */
        input[i + 1] = 0;
    }
    struct pb_limits limits = {.depth = 10, .bytes = 16 * sizeof input};
    arena_init(&arena, 64 << 20);
    CHECK_ERR(pb_decode(&test_everything_pb, slice_of(input, sizeof input), &arena, &limits, &message), ERR_NOMEM);
    CHECK(arena.used_bytes < 32 * sizeof input);
    limits.bytes = 0;
    CHECK_ERR(pb_decode(&test_everything_pb, slice_of(input, sizeof input), &arena, &limits, &message), OK);
    done();
}

TEST(decoding_into_a_message_merges)
{
    struct test_everything *e;
    CHECK_ERR(decode(&test_everything_pb,
                     SLICE("\x0a\x02\x28\x01\x1a\x03\x2a\x01\x07\x22\x08\x0a\x06\x0a\x01k\x12\x01x\xa0\x06\x01"), &e),
              OK);
    CHECK_ERR(
        pb_decode_into(&test_everything_pb,
                       SLICE("\x0a\x02\x40\x01\x1a\x03\x2a\x01\x08\x22\x08\x0a\x06\x0a\x01k\x12\x01y\xa0\x06\x02"),
                       &arena, NULL, e),
        OK);
    CHECK(e->scalars->f_int32 == 1 && e->scalars->f_bool);
    CHECK_EQ(e->repeated->f_int32.count, 2);
    CHECK_EQ(PB_AT(e->repeated->f_int32, int32_t, 1), 8);
    CHECK_EQ(e->maps->m_string.count, 1);
    CHECK_SLICE(PB_AT(e->maps->m_string, struct test_maps_m_string_entry *, 0)->value, SLICE("y"));
    CHECK_SLICE(slice_of(e->unknown.data, e->unknown.size), SLICE("\xa0\x06\x01\xa0\x06\x02"));
    done();
}

TEST(an_empty_input_is_an_empty_message)
{
    struct test_everything *e;
    CHECK_ERR(decode(&test_everything_pb, SLICE_EMPTY, &e), OK);
    CHECK(!e->scalars && e->more.count == 0);
    CHECK_EQ(pb_encoded_size(&test_everything_pb, e), 0);
    check_encodes_as(&test_everything_pb, e, SLICE_EMPTY);
    CHECK_ERR(decode(&test_everything_pb, slice_of("", (size_t)LIMIT_PB_BYTES + 1), &e), ERR_MESSAGE_TOO_LARGE);
    done();
}

SCENARIO(decoding_survives_without_memory)
{
    struct arena a;
    void *message;
    arena_init(&a, 1 << 20);
    uint8_t input[600];
    size_t size = 0;
    for (int i = 0; i < 20; i++) {
        uint8_t piece[] = {0xa0, 0x06, (uint8_t)i, 0x22, 0x08, 0x0a, 0x06, 0x0a, 0x01, (uint8_t)('a' + i % 12),
                           0x12, 0x01, 'x',        0x1a, 0x03, 0x2a, 0x01, 0x07, 0x4a, 0x00,
                           0x22, 0x02, 0x12,       0x00};
        memcpy(input + size, piece, sizeof piece);
        size += sizeof piece;
    }
    enum err err = pb_decode(&test_everything_pb, slice_of(input, size), &a, NULL, &message);
    arena_fini(&a);
    return err;
}
