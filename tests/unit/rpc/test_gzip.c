#include "../harness.h"
#include "rpc/gzip.h"

static enum err round_trip(struct gzip *g, struct slice plain)
{
    struct buf packed, back;
    buf_init(&packed, 1 << 20);
    buf_init(&back, plain.size);
    enum err e = gzip_deflate(g, plain, &packed);
    if (!e)
        e = gzip_inflate(g, buf_slice(&packed), &back);
    if (!e)
        CHECK_SLICE(buf_slice(&back), plain);
    buf_fini(&packed);
    buf_fini(&back);
    return e;
}

SCENARIO(gzip_gives_back_what_it_took)
{
    static uint8_t plain[100000];
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * i >> 7);
    struct gzip g;
    gzip_init(&g);
    enum err e = round_trip(&g, slice_of(plain, sizeof plain));
    if (!e)
        e = round_trip(&g, SLICE("short"));
    if (!e)
        e = round_trip(&g, SLICE_EMPTY);
    gzip_fini(&g);
    return e;
}

static void deflate_zeros(struct gzip *g, size_t size, struct buf *packed)
{
    struct buf zeros;
    buf_init(&zeros, size);
    memset(buf_reserve(&zeros, size), 0, size);
    buf_advance(&zeros, size);
    CHECK_ERR(gzip_deflate(g, buf_slice(&zeros), packed), OK);
    buf_fini(&zeros);
}

TEST(inflating_a_bomb_stops_at_the_maximum)
{
    struct gzip g;
    struct buf packed, out;
    gzip_init(&g);
    buf_init(&packed, 1 << 20);
    buf_init(&out, 100000);
    deflate_zeros(&g, 16 << 20, &packed);
    CHECK(packed.size < 100000);
    CHECK_ERR(gzip_inflate(&g, buf_slice(&packed), &out), ERR_MESSAGE_TOO_LARGE);
    CHECK(out.capacity <= 100000);
    buf_fini(&packed);
    buf_fini(&out);
    gzip_fini(&g);
}

TEST(damaged_cut_and_followed_streams_are_refused)
{
    struct gzip g;
    struct buf packed, out;
    gzip_init(&g);
    buf_init(&packed, 1 << 20);
    buf_init(&out, 1 << 20);
    deflate_zeros(&g, 5000, &packed);
    for (size_t cut = 0; cut < packed.size; cut++) {
        buf_reset(&out);
        CHECK_ERR(gzip_inflate(&g, slice_take(buf_slice(&packed), cut), &out), ERR_COMPRESSION_CORRUPT);
    }
    buf_putc(&packed, 'x');
    buf_reset(&out);
    CHECK_ERR(gzip_inflate(&g, buf_slice(&packed), &out), ERR_COMPRESSION_CORRUPT);
    packed.data[packed.size - 3] ^= 1;
    packed.size--;
    buf_reset(&out);
    CHECK_ERR(gzip_inflate(&g, buf_slice(&packed), &out), ERR_COMPRESSION_CORRUPT);
    buf_fini(&packed);
    buf_fini(&out);
    gzip_fini(&g);
}
