#include "../harness.h"
#include "base/json.h"

#include <math.h>

static void check_string(struct slice in, const char *expected)
{
    struct buf b;
    buf_init(&b, 4096);
    struct json j = json_to(&b);
    json_str(&j, in);
    CHECK_SLICE(buf_slice(&b), slice_str(expected));
    buf_fini(&b);
}

TEST(json_strings_are_always_valid)
{
    check_string(SLICE("plain"), "\"plain\"");
    check_string(SLICE("\"\\\b\f\n\r\t/"), "\"\\\"\\\\\\b\\f\\n\\r\\t/\"");
    check_string(SLICE("a\0b\x1F\x7F"), "\"a\\u0000b\\u001f\\u007f\"");
    check_string(SLICE("\xE2\x82\xAC"), "\"\xE2\x82\xAC\"");
    check_string(SLICE("\xFF\xE2\x82"), "\"\\ufffd\\ufffd\\ufffd\"");
}

TEST(json_doubles_read_back_the_same)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0.1, "0.1"},
                {1, "1"},
                {1.0 / 3, "0.333333333333333314829616256247"},
                {-0.0, "-0"},
                {1e300, "1e+300"},
                {NAN, "\"NaN\""},
                {INFINITY, "\"Infinity\""},
                {-INFINITY, "\"-Infinity\""}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b;
        buf_init(&b, 4096);
        struct json j = json_to(&b);
        json_double(&j, rows[i].value);
        CHECK(slice_starts_with(slice_str(rows[i].text), slice_take(buf_slice(&b), 15)));
        buf_fini(&b);
    }
}

SCENARIO(json_nests_and_survives_without_memory)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    struct json j = json_to(&b);
    json_object(&j);
    json_key(&j, "a"), json_int(&j, -1);
    json_key(&j, "b"), json_array(&j);
    for (int i = 0; i < 2; i++)
        json_object(&j), json_key(&j, "i"), json_uint(&j, UINT64_MAX), json_end_object(&j);
    json_array(&j), json_end_array(&j), json_text(&j, NULL), json_bool(&j, true), json_bool(&j, false);
    json_end_array(&j);
    json_key(&j, "c"), json_text(&j, "x");
    json_end_object(&j);
    enum err e = buf_err(&b);
    if (!e)
        CHECK_SLICE(buf_slice(&b),
                    SLICE("{\"a\":-1,\"b\":[{\"i\":18446744073709551615},{\"i\":18446744073709551615},[],"
                          "null,true,false],\"c\":\"x\"}"));
    buf_fini(&b);
    return e;
}
