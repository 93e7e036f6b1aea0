#include "../harness.h"
#include "base/mem.h"
#include "rpc/grpc_frame.h"

static const uint8_t two[] = {0, 0, 0, 0, 3, 'a', 'b', 'c', 1, 0, 0, 0, 0};

TEST(a_message_in_the_input_is_lent_from_there)
{
    struct grpc_reader r;
    struct grpc_message m;
    bool complete;
    struct slice input = slice_of(two, sizeof two);
    grpc_reader_init(&r, 100);
    CHECK_ERR(grpc_read(&r, &input, &m, &complete), OK);
    CHECK(complete && m.in_input && !m.compressed && m.bytes.data == two + 5);
    CHECK_SLICE(m.bytes, SLICE("abc"));
    CHECK_ERR(grpc_read(&r, &input, &m, &complete), OK);
    CHECK(complete && m.compressed && m.bytes.size == 0 && input.size == 0);
    CHECK(grpc_reader_at_boundary(&r));
    CHECK(!r.gathered.data);
    grpc_reader_fini(&r);
}

static enum err read_in_pieces(struct grpc_reader *r, size_t piece, unsigned *ret_count)
{
    struct grpc_message m;
    bool complete;
    for (size_t at = 0; at < sizeof two; at += piece) {
        size_t left = sizeof two - at;
        struct slice input = slice_of(two + at, left < piece ? left : piece);
        while (input.size) {
            enum err e = grpc_read(r, &input, &m, &complete);
            if (e)
                return e;
            if (complete && *ret_count == 0)
                CHECK_SLICE(m.bytes, SLICE("abc"));
            *ret_count += complete;
        }
    }
    return OK;
}

SCENARIO(messages_are_gathered_from_pieces)
{
    enum err e = OK;
    for (size_t piece = 1; piece <= sizeof two && !e; piece++) {
        struct grpc_reader r;
        unsigned count = 0;
        grpc_reader_init(&r, 100);
        e = read_in_pieces(&r, piece, &count);
        if (!e)
            CHECK_EQ(count, 2);
        grpc_reader_fini(&r);
    }
    return e;
}

TEST(a_length_above_the_maximum_allocates_nothing)
{
    static const uint8_t bomb[] = {0, 0xff, 0xff, 0xff, 0xff, 1};
    struct grpc_reader r;
    struct grpc_message m;
    bool complete;
    struct slice input = slice_of(bomb, sizeof bomb);
    grpc_reader_init(&r, 4 << 20);
    uint64_t before = mem_thread_count();
    CHECK_ERR(grpc_read(&r, &input, &m, &complete), ERR_MESSAGE_TOO_LARGE);
    CHECK_EQ(mem_thread_count(), before);
    grpc_reader_fini(&r);
}

TEST(memory_grows_with_bytes_and_not_with_the_announced_length)
{
    static const uint8_t head[] = {0, 0, 0x3f, 0xff, 0xff, 1, 2, 3};
    struct grpc_reader r;
    struct grpc_message m;
    bool complete;
    struct slice input = slice_of(head, sizeof head);
    grpc_reader_init(&r, 4 << 20);
    CHECK_ERR(grpc_read(&r, &input, &m, &complete), OK);
    CHECK(!complete && r.gathered.capacity < 4096);
    CHECK(!grpc_reader_at_boundary(&r));
    grpc_reader_fini(&r);
}

TEST(a_flag_that_does_not_exist_is_refused)
{
    static const uint8_t bad[] = {2, 0, 0, 0, 0};
    struct grpc_reader r;
    struct grpc_message m;
    bool complete;
    struct slice input = slice_of(bad, sizeof bad);
    grpc_reader_init(&r, 100);
    CHECK_ERR(grpc_read(&r, &input, &m, &complete), ERR_GRPC_MALFORMED);
    grpc_reader_fini(&r);
}
