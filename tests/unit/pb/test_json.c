#include <stdio.h>

#include "../harness.h"
#include "base/limits.h"
#include "google/protobuf/any.pb.h"
#include "pb/pb.h"
#include "prism/test/v1/kinds.pb.h"

static struct arena arena;
static struct diag diag;

static enum err read_with(const struct pb_message *t, struct slice json, const struct pb_json_options *options,
                          void *ret)
{
    arena_fini(&arena);
    arena_init(&arena, 16 << 20);
    diag_init(&diag, &arena);
    return pb_json_read(t, json, options, &arena, &diag, ret);
}

static void check_writes(const struct pb_message *t, const void *message, const struct pb_json_options *options,
                         const char *expected)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    CHECK_ERR(pb_json_write(t, message, options, &b), OK);
    CHECK_SLICE(buf_slice(&b), slice_str(expected));
    buf_fini(&b);
}

/* Reads the text, and writes the other; NULL: the same. */
static void check_json(const struct pb_message *t, const char *json, const char *expected)
{
    void *message;
    enum err err = read_with(t, slice_str(json), NULL, &message);
    if (err)
        test_fail(__FILE__, __LINE__, "%s: %s", json, diag_message(&diag));
    check_writes(t, message, NULL, expected ? expected : json);
    arena_fini(&arena);
}

static void check_refused(const struct pb_message *t, const char *json)
{
    void *message = NULL;
    enum err err = read_with(t, slice_str(json), NULL, &message);
    if (err != ERR_JSON_MALFORMED || message)
        test_fail(__FILE__, __LINE__, "%s: %s", json, err_name(err));
    arena_fini(&arena);
}

TEST(numbers_are_read_in_every_form_that_json_has)
{
    check_json(&test_scalars_pb, "{\"fInt32\":1e3,\"fUint32\":5.0,\"fSint32\":-0,\"fSfixed32\":-2147483648}",
               "{\"fInt32\":1000,\"fUint32\":5,\"fSfixed32\":-2147483648}");
    check_json(&test_scalars_pb, "{\"fInt32\":\"12\",\"fUint32\":0.5e1,\"fSint32\":1200e-2,\"fFixed32\":4294967295}",
               "{\"fInt32\":12,\"fFixed32\":4294967295,\"fUint32\":5,\"fSint32\":12}");
    check_json(&test_scalars_pb, "{\"fInt64\":-9223372036854775808,\"fUint64\":18446744073709551615}",
               "{\"fInt64\":\"-9223372036854775808\",\"fUint64\":\"18446744073709551615\"}");
    check_json(&test_scalars_pb, "{\"fInt64\":\"1.0\",\"fUint64\":100000000000000000000e-1}",
               "{\"fInt64\":\"1\",\"fUint64\":\"10000000000000000000\"}");
    check_json(&test_scalars_pb, "{\"fDouble\":\"NaN\",\"fFloat\":\"-Infinity\"}", NULL);
    check_json(&test_scalars_pb, "{\"fDouble\":\"Infinity\",\"fFloat\":\"1.5\"}",
               "{\"fDouble\":\"Infinity\",\"fFloat\":1.5}");
    check_json(&test_scalars_pb, "{\"fDouble\":0.1,\"fFloat\":0.1}", NULL);
    check_json(&test_scalars_pb, "{\"fDouble\":-0.0,\"fFloat\":-0.0}", NULL);
    check_json(&test_scalars_pb, "{\"fDouble\":5e-324,\"fFloat\":16777216}",
               "{\"fDouble\":4.94065645841247e-324,\"fFloat\":16777216}");
    check_json(&test_scalars_pb,
               "{\"fDouble\":1.00000000000000000000000000000000000000000000000000000000000000000000000000001}",
               "{\"fDouble\":1}");
    check_json(&test_scalars_pb, "{\"fInt32\":0e99999999999999999999,\"fUint32\":0.000}", "{}");
}

TEST(numbers_out_of_range_or_form_are_refused)
{
    static const char *const values[] = {
        "\"fInt32\":2147483648",
        "\"fInt32\":-2147483649",
        "\"fInt32\":1.5",
        "\"fInt32\":1e10",
        "\"fInt32\":1e-1",
        "\"fInt32\":01",
        "\"fInt32\":+1",
        "\"fInt32\":.5",
        "\"fInt32\":1.",
        "\"fInt32\":1e",
        "\"fInt32\":0x10",
        "\"fInt32\":\"\"",
        "\"fInt32\":\" 1\"",
        "\"fInt32\":\"1x\"",
        "\"fInt32\":true",
        "\"fInt32\":[1]",
        "\"fInt32\":-",
        "\"fInt32\":0.001e1",
        "\"fUint32\":-1",
        "\"fUint32\":4294967296",
        "\"fUint64\":18446744073709551616",
        "\"fUint64\":1e20",
        "\"fUint64\":99999999999999999999",
        "\"fUint64\":1000000000000000000000001",
        "\"fInt64\":9223372036854775808",
        "\"fInt64\":\"-9223372036854775809\"",
        "\"fFloat\":3.5e38",
        "\"fDouble\":1e309",
        "\"fDouble\":\"nan\"",
        "\"fDouble\":NaN",
        "\"fDouble\":\"1,5\"",
        "\"fBool\":\"true\"",
        "\"fBool\":1",
        "\"fBool\":tru",
        "\"fString\":1",
        "\"fString\":null1",
        "\"fBytes\":\"a\"",
        "\"fBytes\":\"a$==\"",
        "\"fEnum\":\"COLOR_BLUE\"",
        "\"fEnum\":1.5",
        "\"fEnum\":true",
        "\"fDouble\":{}",
    };
    char json[128];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(json, sizeof json, "{%s}", values[i]);
        check_refused(&test_scalars_pb, json);
    }
}

TEST(text_that_is_not_json_is_refused)
{
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "}",
        "[]",
        "null",
        "1",
        "{}x",
        "{} {}",
        "{\"fBool\":true,}",
        "{,}",
        "{\"fBool\" true}",
        "{\"fBool\":}",
        "{fBool:true}",
        "{'fBool':true}",
        "{\"fBool\":true \"fInt32\":1}",
        "{\"fString\":\"\n\"}",
        "{\"fString\":\"\\x\"}",
        "{\"fString\":\"\\u12g4\"}",
        "{\"fString\":\"\\u12",
        "{\"fString\":\"\\ud800\"}",
        "{\"fString\":\"\\udc00\\ud800\"}",
        "{\"fString\":\"\\ud800\\u0041\"}",
        "{\"fString\":\"\\ud800x\"}",
        "{\"fString\":\"abc",
        "{\"fString\":\"\\",
        "/**/{}",
        "{\"fString\":\"\xff\"}",
        "{\"nope\":1}",
        "{\"fBool\":true,\"fBool\":false}",
        "{\"f_bool\":null,\"fBool\":true}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_refused(&test_scalars_pb, texts[i]);
    check_refused(&test_repeated_pb, "{\"fInt32\":[1,]}");
    check_refused(&test_repeated_pb, "{\"fInt32\":[1 2]}");
    check_refused(&test_repeated_pb, "{\"fInt32\":[1");
    check_refused(&test_repeated_pb, "{\"fInt32\":[1,null]}");
    check_refused(&test_repeated_pb, "{\"fInt32\":{}}");
    check_refused(&test_repeated_pb, "{\"fInt32\":5}");
}

TEST(strings_bytes_and_enums)
{
    check_json(&test_scalars_pb, "{ \"f_string\" : \"\\u0041\\ud83d\\ude00\\u00e9\\u20ac\\n\\/\\b\\f\\r\\t\\\\\\\"\" }",
               "{\"fString\":\"A\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac\\n/\\b\\f\\r\\t\\\\\\\"\"}");
    check_json(&test_scalars_pb, "{\"fBytes\":\"-_8=\"}", "{\"fBytes\":\"+/8=\"}");
    check_json(&test_scalars_pb, "{\"fBytes\":\"+/8\"}", "{\"fBytes\":\"+/8=\"}");
    check_json(&test_scalars_pb, "{\"fEnum\":\"COLOR_BACK\"}", NULL);
    check_json(&test_scalars_pb, "{\"fEnum\":2}", "{\"fEnum\":\"COLOR_GREEN\"}");
    check_json(&test_scalars_pb, "{\"fEnum\":77}", NULL);
    struct test_scalars *s;
    CHECK_ERR(read_with(&test_scalars_pb, SLICE("{\"fString\":\"a\\u0000b\"}"), NULL, &s), OK);
    CHECK_SLICE(s->f_string, SLICE("a\0b"));
    arena_fini(&arena);
}

TEST(null_is_absence)
{
    check_json(&test_scalars_pb, "{\"fBool\":null,\"fString\":null}", "{}");
    check_json(&test_optionals_pb, "{\"fInt32\":null,\"fMessage\":null,\"fBool\":false,\"fString\":\"\"}",
               "{\"fBool\":false,\"fString\":\"\"}");
    check_json(&test_repeated_pb, "{\"fInt32\":null}", "{}");
    check_json(&test_maps_pb, "{\"mString\":null}", "{}");
    check_refused(&test_maps_pb, "{\"mString\":{\"a\":null}}");
    check_json(&test_well_known_pb, "{\"value\":null,\"wBool\":null,\"timestamp\":null,\"nullValue\":null}",
               "{\"value\":null}");
}

TEST(maps_have_keys_in_quotes)
{
    check_json(
        &test_maps_pb,
        "{\"mString\":{\"\":\"x\",\"a\":\"\"},\"mMessage\":{\"-5\":{\"fBool\":true}},\"mBool\":{\"true\":\"AQ==\","
        "\"false\":\"\"},\"mEnum\":{\"9223372036854775807\":\"COLOR_RED\"},\"mUint64\":{\"7\":0.5},"
        "\"mDuration\":{\"1\":\"1.500s\"}}",
        NULL);
    check_refused(&test_maps_pb, "{\"mBool\":{true:\"\"}}");
    check_refused(&test_maps_pb, "{\"mBool\":{\"True\":\"\"}}");
    check_refused(&test_maps_pb, "{\"mBool\":{\"\":\"\"}}");
    check_refused(&test_maps_pb, "{\"mMessage\":{\"1 \":{}}}");
    check_refused(&test_maps_pb, "{\"mMessage\":{\"2147483648\":{}}}");
    check_refused(&test_maps_pb, "{\"mString\":{\"a\":\"1\",\"b\":\"2\",\"a\":\"3\"}}");
    check_refused(&test_maps_pb, "{\"mString\":[]}");
    check_refused(&test_maps_pb, "{\"mString\":{\"a\"}}");
}

TEST(only_one_member_of_a_oneof)
{
    check_json(&test_oneofs_pb, "{\"anInt\":0,\"between\":1}", NULL);
    check_json(&test_oneofs_pb, "{\"aString\":null,\"anInt\":5}", "{\"anInt\":5}");
    check_json(&test_oneofs_pb, "{\"aNull\":null}", NULL);
    check_refused(&test_oneofs_pb, "{\"aString\":\"\",\"anInt\":5}");
    check_refused(&test_oneofs_pb, "{\"anInt\":5,\"aNull\":null}");
}

TEST(well_known_types_have_their_own_forms)
{
    check_json(&test_well_known_pb, "{\"timestamp\":\"2024-02-29T23:59:59.123456789+01:30\"}",
               "{\"timestamp\":\"2024-02-29T22:29:59.123456789Z\"}");
    check_json(&test_well_known_pb, "{\"duration\":\"-1.5s\"}", "{\"duration\":\"-1.500s\"}");
    check_json(&test_well_known_pb, "{\"struct\":{\"a\":[1,true,null,\"x\",{\"b\":{}}],\"c\":[]}}", NULL);
    check_json(&test_well_known_pb, "{\"value\":[false,{}],\"list\":[\"a\",-1.5]}", NULL);
    check_json(&test_well_known_pb, "{\"mask\":\"fooBar,baz.quxQuux\"}", NULL);
    check_json(&test_well_known_pb, "{\"mask\":\"\",\"empty\":{}}", NULL);
    check_json(&test_well_known_pb,
               "{\"wDouble\":0,\"wInt64\":\"5\",\"wBool\":true,\"wString\":\"\",\"wBytes\":\"AA==\"}", NULL);
    check_json(&test_well_known_pb, "{\"timestamps\":[\"1970-01-01T00:00:00Z\"],\"values\":[null,1]}", NULL);
    struct test_well_known *w;
    CHECK_ERR(read_with(&test_well_known_pb, SLICE("{\"mask\":\"fooBar\"}"), NULL, &w), OK);
    CHECK_SLICE(PB_AT(w->mask->paths, struct slice, 0), SLICE("foo_bar"));
    arena_fini(&arena);
}

TEST(well_known_types_refuse_other_forms)
{
    static const char *const values[] = {
        "\"timestamp\":\"2024-02-30T00:00:00Z\"",
        "\"timestamp\":0",
        "\"duration\":\"1\"",
        "\"duration\":1.5",
        "\"mask\":\"foo_bar\"",
        "\"mask\":\"a,,b\"",
        "\"mask\":\"a,\"",
        "\"mask\":[]",
        "\"struct\":[]",
        "\"list\":{}",
        "\"struct\":{\"a\":1,\"a\":2}",
        "\"empty\":1",
        "\"empty\":{\"a\":1}",
        "\"wInt64\":{}",
        "\"wBool\":\"true\"",
        "\"timestamps\":[null]",
        "\"value\":nul",
        "\"value\":\"\\ud800\"",
        "\"value\":1e999",
    };
    char json[128];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(json, sizeof json, "{%s}", values[i]);
        check_refused(&test_well_known_pb, json);
    }
}

TEST(any_holds_messages_by_name)
{
    check_json(&test_well_known_pb, "{\"any\":{\"@type\":\"t/prism.test.v1.Scalars\",\"fInt32\":5}}", NULL);
    check_json(&test_well_known_pb, "{\"any\":{\"fInt32\":5,\"@type\":\"t/prism.test.v1.Scalars\"}}",
               "{\"any\":{\"@type\":\"t/prism.test.v1.Scalars\",\"fInt32\":5}}");
    check_json(&test_well_known_pb, "{\"any\":{\"value\":\"1s\",\"@type\":\"t/google.protobuf.Duration\"}}",
               "{\"any\":{\"@type\":\"t/google.protobuf.Duration\",\"value\":\"1s\"}}");
    check_json(
        &test_well_known_pb,
        "{\"any\":{\"@type\":\"t/google.protobuf.Any\",\"value\":{\"@type\":\"t/prism.test.v1.Oneofs\",\"yes\":true}}}",
        NULL);
    check_json(&test_well_known_pb, "{\"any\":{}}", NULL);
    static const char *const values[] = {
        "{\"@type\":\"t/none.Such\"}",
        "{\"@type\":\"prism.test.v1.Scalars\"}",
        "{\"fInt32\":5}",
        "{\"@type\":5}",
        "{\"@type\":\"t",
        "{\"@type\":\"t/google.protobuf.Duration\"}",
        "{\"@type\":\"t/google.protobuf.Duration\",\"other\":1}",
        "{\"@type\":\"t/google.protobuf.Duration\",\"value\":1}",
        "{\"@type\":\"t/prism.test.v1.Scalars\",\"x\":1}",
        "[]",
        "{\"@type\":\"t/google.protobuf.Duration\",\"value\":\"1s\",\"value\":\"1s\"}",
        "{\"@type\":\"t/prism.test.v1.Scalars\",\"@type\":\"t/prism.test.v1.Scalars\"}",
    };
    char json[160];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(json, sizeof json, "{\"any\":%s}", values[i]);
        check_refused(&test_well_known_pb, json);
    }
}

TEST(errors_say_where)
{
    void *message;
    CHECK_ERR(read_with(&test_everything_pb,
                        SLICE("{\n  \"scalars\": {},\n  \"maps\": {\"mMessage\": {\"7\": {\"fInt32\": \"x\"}}}\n}"),
                        NULL, &message),
              ERR_JSON_MALFORMED);
    CHECK_STR(diag_message(&diag), "line 3, column 41, maps.mMessage.7.fInt32: expected a number");
    CHECK_STR(diag.fields->name, "maps.mMessage.7.fInt32");
    CHECK_ERR(read_with(&test_repeated_pb, SLICE("{\"fMessage\":[{},{\"nope\":1}]}"), NULL, &message),
              ERR_JSON_MALFORMED);
    CHECK_STR(diag.fields->name, "fMessage[1].nope");
    CHECK_STR(diag.fields->value, "prism.test.v1.Scalars has no such field");
    CHECK_ERR(pb_json_read(&test_repeated_pb, SLICE("{\"fMessage\":7}"), NULL, &arena, NULL, &message),
              ERR_JSON_MALFORMED);
    arena_fini(&arena);
}

TEST(unknown_keys_can_be_ignored)
{
    struct pb_json_options options = {.ignore_unknown = true};
    void *message;
    CHECK_ERR(
        read_with(
            &test_everything_pb,
            SLICE("{\"x\":{\"y\":[1,\"\\n\",true,false,null,{}]},\"scalars\":{\"fEnum\":\"COLOR_BLUE\",\"fInt32\":1},"
                  "\"repeated\":{\"fEnum\":[\"COLOR_BLUE\",\"COLOR_RED\"]},\"maps\":{\"mEnum\":{\"1\":\"COLOR_BLUE\"}},"
                  "\"wellKnown\":{\"any\":{\"@type\":\"t/google.protobuf.Duration\",\"z\":1,\"value\":\"1s\"}}}"),
            &options, &message),
        OK);
    check_writes(&test_everything_pb, message, NULL,
                 "{\"scalars\":{\"fInt32\":1},\"repeated\":{\"fEnum\":[\"COLOR_RED\"]},\"maps\":{},"
                 "\"wellKnown\":{\"any\":{\"@type\":\"t/google.protobuf.Duration\",\"value\":\"1s\"}}}");
    CHECK_ERR(read_with(&test_scalars_pb, SLICE("{\"x\":[1,}"), &options, &message), ERR_JSON_MALFORMED);
    CHECK_ERR(read_with(&test_scalars_pb, SLICE("{\"x\":{\"y\"}}"), &options, &message), ERR_JSON_MALFORMED);
    CHECK_ERR(read_with(&test_scalars_pb, SLICE("{\"x\":nope}"), &options, &message), ERR_JSON_MALFORMED);
    arena_fini(&arena);
}

TEST(writer_options)
{
    struct test_ruled r = {.email = SLICE("a@b.c"), .secret = SLICE("s"), .required_text = SLICE("t")};
    struct pb_json_options mask = {.mask = true}, names = {.proto_names = true, .pretty = true},
                           defaults = {.defaults = true};
    check_writes(&test_ruled_pb, &r, &mask, "{\"requiredText\":\"t\",\"email\":\"***\",\"secret\":\"***\"}");
    void *message;
    CHECK_ERR(
        read_with(
            &test_everything_pb,
            SLICE("{\"maps\":{\"mString\":{\"a\":\"b\"},\"mBool\":{}},\"repeated\":{\"fInt32\":[1,2]},\"awkward\":{}}"),
            NULL, &message),
        OK);
    check_writes(
        &test_everything_pb, message, &names,
        "{\n  \"repeated\": {\n    \"f_int32\": [\n      1,\n      2\n    ]\n  },\n  \"maps\": {\n    \"m_string\": {\n"
        "      \"a\": \"b\"\n    }\n  },\n  \"awkward\": {}\n}");
    CHECK_ERR(read_with(&test_awkward_pb, SLICE("{\"@other\":\"x\",\"Leading\":1,\"withTwo\":2,\"hTTPServer2\":3}"),
                        NULL, &message),
              ERR_JSON_MALFORMED);
    CHECK_ERR(read_with(&test_awkward_pb, SLICE("{\"@other\":\"x\",\"Leading\":1,\"withTwo\":2,\"HTTPServer2\":3}"),
                        NULL, &message),
              OK);
    check_writes(&test_awkward_pb, message, &defaults,
                 "{\"default\":0,\"unknown\":\"\",\"HTTPServer2\":3,\"Leading\":1,\"withTwo\":2,\"@other\":\"x\","
                 "\"level\":\"LOW\"}");
    struct test_maps none = {.m_string = {NULL, 0, 0}};
    check_writes(
        &test_maps_pb, &none, &defaults,
        "{\"mString\":{},\"mMessage\":{},\"mBool\":{},\"mEnum\":{},\"mUint64\":{},\"mSint32\":{},\"mFixed32\":{},"
        "\"mSfixed64\":{},\"mDuration\":{}}");
    arena_fini(&arena);
}

TEST(what_has_no_json_form_is_not_written)
{
    struct google_protobuf_timestamp late = {.seconds = 253402300800};
    struct google_protobuf_duration mixed = {.seconds = 1, .nanos = -1};
    struct google_protobuf_value nan = {.kind_case = GOOGLE_PROTOBUF_VALUE_NUMBER_VALUE,
                                        .number_value = __builtin_nan("")};
    struct google_protobuf_any unknown = {.type_url = SLICE("t/none.Such")},
                               broken = {.type_url = SLICE("t/prism.test.v1.Scalars"), .value = SLICE("\x0e")};
    struct slice camel[] = {SLICE("fooBar")}, trailing[] = {SLICE("foo_")};
    struct google_protobuf_field_mask mask = {.paths = {camel, 1, 0}}, mask2 = {.paths = {trailing, 1, 0}};
    struct test_well_known cases[] = {{.timestamp = &late}, {.duration = &mixed}, {.value = &nan}, {.any = &unknown},
                                      {.any = &broken},     {.mask = &mask},      {.mask = &mask2}};
    struct buf b;
    buf_init(&b, 4096);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_ERR(pb_json_write(&test_well_known_pb, &cases[i], NULL, &b), ERR_JSON_MALFORMED);
    buf_fini(&b);
    buf_init(&b, 10);
    struct test_scalars s = {.f_string = SLICE("0123456789"), .f_bytes = SLICE("0123456789")};
    CHECK_ERR(pb_json_write(&test_scalars_pb, &s, NULL, &b), ERR_MESSAGE_TOO_LARGE);
    buf_fini(&b);
}

TEST(nesting_ends_at_one_hundred)
{
    char text[2 * LIMIT_JSON_DEPTH + 4];
    void *message;
    for (size_t depth = LIMIT_JSON_DEPTH; depth <= LIMIT_JSON_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        CHECK_ERR(read_with(&google_protobuf_value_pb, slice_of(text, 2 * depth), NULL, &message),
                  depth == LIMIT_JSON_DEPTH ? OK : ERR_PB_DEPTH);
    }
    arena_fini(&arena);
}

TEST(an_any_inside_of_any_ends_too)
{
    struct arena a;
    struct buf b;
    arena_init(&a, 16 << 20);
    buf_init(&b, 16 << 20);
    struct google_protobuf_any any = {.type_url = SLICE("t/google.protobuf.Empty")};
    for (int i = 0; i < LIMIT_JSON_DEPTH + 5; i++) {
        size_t size = pb_encoded_size(&google_protobuf_any_pb, &any);
        uint8_t *bytes = arena_alloc(&a, size);
        CHECK(bytes != NULL);
        pb_encode(&google_protobuf_any_pb, &any, bytes);
        any = (struct google_protobuf_any){.type_url = SLICE("t/google.protobuf.Any"), .value = slice_of(bytes, size)};
    }
    CHECK_ERR(pb_json_write(&google_protobuf_any_pb, &any, NULL, &b), ERR_PB_DEPTH);
    buf_fini(&b);
    arena_fini(&a);
}

SCENARIO(reading_and_writing_survive_without_memory)
{
    struct arena a;
    struct buf b;
    struct diag d;
    void *message;
    arena_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    diag_init(&d, &a);
    enum err err = pb_json_read(&test_everything_pb,
                                SLICE("{\"scalars\":{\"fString\":\"a\\nb\",\"fBytes\":\"AAAA\",\"fDouble\":1},\"maps\":"
                                      "{\"mString\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\","
                                      "\"d\":\"4\",\"e\":\"5\",\"f\":\"6\",\"g\":\"7\",\"h\":\"8\",\"i\":\"9\"}},"
                                      "\"wellKnown\":{\"any\":{\"@type\":\"t/prism.test.v1.Scalars\","
                                      "\"fString\":\"x\"},\"mask\":\"aB,c\",\"value\":[1,{\"x\":null}]},\"repeated\":{"
                                      "\"fInt32\":[1,2,3,4,5,6,7,8,9]}}"),
                                NULL, &a, &d, &message);
    if (!err)
        err = pb_json_write(&test_everything_pb, message, NULL, &b);
    buf_fini(&b);
    arena_fini(&a);
    return err;
}
