#include "../harness.h"
#include "rpc/grpc_text.h"

static uint64_t parsed(const char *text)
{
    uint64_t ns = 0;
    return grpc_timeout_parse(slice_str(text), &ns) ? ns : 42;
}

TEST(timeouts_have_up_to_eight_digits_and_a_unit)
{
    CHECK_EQ(parsed("1n"), 1);
    CHECK_EQ(parsed("250m"), 250000000);
    CHECK_EQ(parsed("3u"), 3000);
    CHECK_EQ(parsed("10S"), 10000000000);
    CHECK_EQ(parsed("2M"), 120000000000);
    CHECK_EQ(parsed("0S"), 0);
    CHECK(parsed("99999999H") == UINT64_MAX);
}

TEST(malformed_timeouts_are_refused)
{
    static const char *const bad[] = {"", "S", "1", "-1S", "+1S", "1.5S", "123456789S", "1 S", "1s", "S1", "1SS"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(parsed(bad[i]), 42);
}

TEST(a_written_timeout_is_never_shorter)
{
    static const uint64_t values[] = {
        1, 99999998, 100000001, 30000000000, 123456789012345, 999999999999999999, UINT64_MAX / 2};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[GRPC_TIMEOUT_BYTES];
        grpc_timeout_format(values[i], text);
        CHECK(parsed(text) >= values[i]);
        CHECK(parsed(text) - values[i] <= values[i] / 100 + 1);
    }
}

SCENARIO(messages_survive_percent_encoding)
{
    struct arena arena;
    struct slice text = SLICE("\t\nUnicode \xe2\x98\xba and 100%\r\n"), encoded, back = SLICE_EMPTY;
    arena_init(&arena, 1 << 16);
    bool done = grpc_message_encode(&arena, text, &encoded) && grpc_message_decode(&arena, encoded, &back);
    if (done) {
        CHECK_SLICE(encoded, SLICE("%09%0AUnicode %E2%98%BA and 100%25%0D%0A"));
        CHECK_SLICE(back, text);
    }
    arena_fini(&arena);
    return done ? OK : ERR_NOMEM;
}

TEST(broken_percent_encoding_stays_as_it_is)
{
    struct arena arena;
    struct slice text;
    arena_init(&arena, 1 << 16);
    CHECK(grpc_message_decode(&arena, SLICE("100% %4 %zz %41%"), &text));
    CHECK_SLICE(text, SLICE("100% %4 %zz A%"));
    arena_fini(&arena);
}

TEST(lists_of_encodings)
{
    CHECK(grpc_list_has(SLICE("identity, deflate , gzip"), SLICE("gzip")));
    CHECK(grpc_list_has(SLICE("gzip"), SLICE("gzip")));
    CHECK(!grpc_list_has(SLICE("gzip2,xgzip, ,"), SLICE("gzip")));
    CHECK(!grpc_list_has(SLICE_EMPTY, SLICE("gzip")));
}
