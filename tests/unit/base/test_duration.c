#include "../harness.h"
#include "base/bytesize.h"
#include "base/duration.h"

TEST(durations_are_read_and_written)
{
    static const struct {
        const char *text;
        int64_t ns;
        const char *written;
    } rows[] = {
        {"0", 0, "0s"},
        {"250ms", 250000000, "250ms"},
        {"1.5s", 1500000000, "1s500ms"},
        {"1h", 3600000000000, "1h"},
        {"90m", 5400000000000, "1h30m"},
        {"1h30m", 5400000000000, "1h30m"},
        {"7d", 604800000000000, "168h"},
        {"1us1ns", 1001, "1us1ns"},
        {"0.5us", 500, "500ns"},
        {"9223372036854775807ns", INT64_MAX, "2562047h47m16s854ms775us807ns"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ns = -1;
        char text[DURATION_TEXT_BYTES];
        CHECK_ERR(duration_parse(slice_str(rows[i].text), &ns), OK);
        CHECK_EQ(ns, rows[i].ns);
        CHECK_STR(duration_format(ns, text), rows[i].written);
        CHECK_ERR(duration_parse(slice_str(text), &ns), OK);
        CHECK_EQ(ns, rows[i].ns);
    }
    char text[DURATION_TEXT_BYTES];
    CHECK_STR(duration_format(INT64_MIN, text), "-2562047h47m16s854ms775us808ns");
}

TEST(what_is_not_a_duration_is_refused)
{
    static const char *const bad[] = {"",
                                      "1",
                                      "s",
                                      "-1s",
                                      "1 s",
                                      "1m1h",
                                      "1s1s",
                                      "1.s",
                                      ".5s",
                                      "1.5",
                                      "0.5ns",
                                      "1s ",
                                      "1S",
                                      "1week",
                                      "0x1s",
                                      "1e3s",
                                      "00",
                                      "+1s",
                                      "1s-1s",
                                      "1..5s",
                                      "9223372036854775808ns",
                                      "300000000000d"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ns = 42;
        if (duration_parse(slice_str(bad[i]), &ns) == OK)
            test_fail(__FILE__, __LINE__, "\"%s\" is taken for a duration", bad[i]);
        CHECK_EQ(ns, 42);
    }
    int64_t ms = 42;
    CHECK_ERR(duration_parse_ms(SLICE("500us"), &ms), ERR_INVALID_ARGUMENT);
    CHECK_ERR(duration_parse_ms(SLICE("1.5s"), &ms), OK);
    CHECK_EQ(ms, 1500);
}

TEST(sizes_are_read_and_written)
{
    static const struct {
        const char *text;
        uint64_t bytes;
        const char *written;
    } rows[] = {
        {"0", 0, "0B"},
        {"512", 512, "512B"},
        {"512B", 512, "512B"},
        {"64KiB", 65536, "64KiB"},
        {"4MiB", 4 << 20, "4MiB"},
        {"1GiB", 1 << 30, "1GiB"},
        {"10MB", 10000000, "10000000B"},
        {"2TiB", UINT64_C(2) << 40, "2TiB"},
        {"18446744073709551615", UINT64_MAX, "18446744073709551615B"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t bytes = 1;
        char text[BYTESIZE_TEXT_BYTES];
        CHECK_ERR(bytesize_parse(slice_str(rows[i].text), &bytes), OK);
        CHECK(bytes == rows[i].bytes);
        CHECK_STR(bytesize_format(bytes, text), rows[i].written);
    }
    static const char *const bad[] = {
        "", "KiB", "-1", "1 KiB", "1kib", "1K", "1.5MiB", "18446744073709551616", "16777216TiB", "1B1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t bytes;
        if (bytesize_parse(slice_str(bad[i]), &bytes) == OK)
            test_fail(__FILE__, __LINE__, "\"%s\" is taken for a size", bad[i]);
    }
}
