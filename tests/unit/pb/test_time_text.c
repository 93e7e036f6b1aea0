#include "../harness.h"
#include "pb/time_text.h"

static void check_timestamp(const char *text, int64_t seconds, int32_t nanos, const char *written)
{
    int64_t s = -1;
    int32_t n = -1;
    struct buf b;
    buf_init(&b, 64);
    if (!pb_timestamp_parse(slice_str(text), &s, &n))
        test_fail(__FILE__, __LINE__, "%s is refused", text);
    CHECK_EQ(s, seconds);
    CHECK_EQ(n, nanos);
    CHECK(pb_timestamp_format(s, n, &b));
    CHECK_SLICE(buf_slice(&b), slice_str(written));
    buf_fini(&b);
}

TEST(timestamps)
{
    check_timestamp("1970-01-01T00:00:00Z", 0, 0, "1970-01-01T00:00:00Z");
    check_timestamp("0001-01-01T00:00:00Z", -62135596800, 0, "0001-01-01T00:00:00Z");
    check_timestamp("9999-12-31T23:59:59.999999999Z", 253402300799, 999999999, "9999-12-31T23:59:59.999999999Z");
    check_timestamp("1969-12-31T23:59:59.5Z", -1, 500000000, "1969-12-31T23:59:59.500Z");
    check_timestamp("2000-02-29T12:00:00.000001-08:00", 951854400, 1000, "2000-02-29T20:00:00.000001Z");
    check_timestamp("2100-03-01T00:00:00+00:00", 4107542400, 0, "2100-03-01T00:00:00Z");
}

TEST(times_that_do_not_exist_are_refused)
{
    static const char *const texts[] = {
        "",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01 00:00:00Z",
        "1970-01-01t00:00:00Z",
        "1970-01-01T00:00:00z",
        "1970-13-01T00:00:00Z",
        "1970-00-01T00:00:00Z",
        "1970-01-32T00:00:00Z",
        "1970-01-00T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:60Z",
        "0000-01-01T00:00:00Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00.1234567890Z",
        "1970-01-01T00:00:00+1:00",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+00:60",
        "1970-01-01T00:00:00Zx",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "70-01-01T00:00:00Z",
        "19x0-01-01T00:00:00Z",
        "1970-01-01T00-00:00Z",
        "1970-01-01T00:00:0",
    };
    int64_t s;
    int32_t n;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (pb_timestamp_parse(slice_str(texts[i]), &s, &n))
            test_fail(__FILE__, __LINE__, "%s is taken", texts[i]);
}

static void check_duration(const char *text, int64_t seconds, int32_t nanos, const char *written)
{
    int64_t s = -1;
    int32_t n = -1;
    struct buf b;
    buf_init(&b, 64);
    CHECK(pb_duration_parse(slice_str(text), &s, &n));
    CHECK_EQ(s, seconds);
    CHECK_EQ(n, nanos);
    CHECK(pb_duration_format(s, n, &b));
    CHECK_SLICE(buf_slice(&b), slice_str(written));
    buf_fini(&b);
}

TEST(durations)
{
    check_duration("0s", 0, 0, "0s");
    check_duration("-0.5s", 0, -500000000, "-0.500s");
    check_duration("315576000000.999999999s", 315576000000, 999999999, "315576000000.999999999s");
    check_duration("-3s", -3, 0, "-3s");
    check_duration("1.000001s", 1, 1000, "1.000001s");
    static const char *const refused[] = {"",
                                          "s",
                                          "1",
                                          "1.s",
                                          ".5s",
                                          "1.0000000001s",
                                          "315576000001s",
                                          "--1s",
                                          "+1s",
                                          "1S",
                                          "1s ",
                                          "99999999999999999999s",
                                          "1m"};
    int64_t s;
    int32_t n;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (pb_duration_parse(slice_str(refused[i]), &s, &n))
            test_fail(__FILE__, __LINE__, "%s is taken", refused[i]);
}

TEST(values_out_of_range_have_no_text)
{
    struct buf b;
    buf_init(&b, 64);
    CHECK(!pb_timestamp_format(-62135596801, 0, &b));
    CHECK(!pb_timestamp_format(253402300800, 0, &b));
    CHECK(!pb_timestamp_format(0, -1, &b));
    CHECK(!pb_timestamp_format(0, 1000000000, &b));
    CHECK(!pb_duration_format(315576000001, 0, &b));
    CHECK(!pb_duration_format(INT64_MIN, 0, &b));
    CHECK(!pb_duration_format(1, -1, &b));
    CHECK(!pb_duration_format(-1, 1, &b));
    CHECK(!pb_duration_format(0, 1000000000, &b));
    CHECK_EQ(b.size, 0);
    buf_fini(&b);
}
