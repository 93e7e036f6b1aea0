#include "../harness.h"
#include "base/utf8.h"

#define VALID(literal) CHECK(utf8_valid(SLICE(literal)))
#define INVALID(literal) CHECK(!utf8_valid(SLICE(literal)))

TEST(utf8_accepts_the_edges_of_each_length)
{
    CHECK(utf8_valid(SLICE_EMPTY));
    VALID("\0");
    VALID("\x7F");
    VALID("\xC2\x80");
    VALID("\xDF\xBF");
    VALID("\xE0\xA0\x80");
    VALID("\xED\x9F\xBF");
    VALID("\xEE\x80\x80");
    VALID("\xEF\xBF\xBF");
    VALID("\xF0\x90\x80\x80");
    VALID("\xF4\x8F\xBF\xBF");
    VALID("twelve bytes of ASCII, then \xE2\x82\xAC and more than eight again");
}

TEST(utf8_refuses_what_rfc_3629_refuses)
{
    INVALID("\x80");
    INVALID("\xC0\x80"); /* overlong NUL */
    INVALID("\xC1\xBF");
    INVALID("\xE0\x9F\xBF");     /* overlong */
    INVALID("\xED\xA0\x80");     /* surrogate */
    INVALID("\xF0\x8F\xBF\xBF"); /* overlong */
    INVALID("\xF4\x90\x80\x80"); /* above U+10FFFF */
    INVALID("\xF5\x80\x80\x80");
    INVALID("\xFF");
    INVALID("\xE2\x82"); /* truncated */
    INVALID("\xE2\x28\xA1");
    INVALID("\xF0\x90\x28\xBC");
    INVALID("0123456789abcdef\xFE");
}

TEST(utf8_agrees_with_the_code_points)
{
    for (uint32_t c = 0; c < 0x110000; c++) {
        uint8_t b[4] = {(uint8_t)(0xF0 | c >> 18), (uint8_t)(0x80 | (c >> 12 & 63)), (uint8_t)(0x80 | (c >> 6 & 63)),
                        (uint8_t)(0x80 | (c & 63))};
        if (c < 0x10000)
            b[1] = (uint8_t)(0xE0 | c >> 12);
        bool whole = c >= 0x10000;
        struct slice s = whole ? slice_of(b, 4) : slice_of(b + 1, 3);
        bool expected = c >= 0x800 && (c < 0xD800 || c > 0xDFFF);
        CHECK_EQ(utf8_valid(s), expected);
    }
}

TEST(utf8_is_not_cut_inside_a_character)
{
    CHECK_SLICE(utf8_truncate(SLICE("abc"), 5), SLICE("abc"));
    CHECK_SLICE(utf8_truncate(SLICE("abc"), 2), SLICE("ab"));
    CHECK_SLICE(utf8_truncate(SLICE("a\xE2\x82\xAC"), 3), SLICE("a"));
    CHECK_SLICE(utf8_truncate(SLICE("a\xE2\x82\xAC!"), 4), SLICE("a\xE2\x82\xAC"));
    CHECK_SLICE(utf8_truncate(SLICE("\x80\x80\x80\x80\x80\x80"), 5), SLICE("\x80\x80\x80\x80\x80"));
}
