/* Replies of Redis: whatever pieces they come in, they are read as the same. */
#include <stdint.h>
#include <stdlib.h>

#include "drivers/redis/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 1 << 20, TEXT_BYTES = 1 << 12, ITEMS = 1 << 10 };

static void describe(const struct resp *r, struct buf *out)
{
    buf_printf(out, "%d %lld %zu ", r->kind, (long long)r->integer, r->text.size);
    buf_put_slice(out, r->text);
    for (uint32_t i = 0; i < r->count; i++)
        describe(&r->items[i], out);
}

/* All replies of the bytes, given in pieces of so many, as text; *ret_err: how it ended. */
static void read_all(struct slice bytes, size_t piece, struct buf *out, enum err *ret_err)
{
    struct resp_parser p;
    struct arena arena;
    resp_init(&p, (struct resp_limits){.bytes_max = TEXT_BYTES, .items_max = ITEMS});
    arena_init(&arena, ARENA_BYTES);
    resp_begin(&p, &arena);
    *ret_err = OK;
    while (bytes.size && !*ret_err) {
        struct slice data = slice_take(bytes, piece);
        bytes = slice_skip(bytes, data.size);
        while (data.size && !*ret_err) {
            const struct resp *reply;
            bool done;
            *ret_err = resp_feed(&p, &data, &reply, &done);
            if (*ret_err || !done)
                continue;
            if (reply)
                describe(reply, out);
            arena_reset(&arena);
            resp_begin(&p, &arena);
        }
    }
    resp_fini(&p);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, pieces;
    enum err a, b;
    buf_init(&whole, 1 << 20);
    buf_init(&pieces, 1 << 20);
    read_all(slice_of(data, size), size ? size : 1, &whole, &a);
    read_all(slice_of(data, size), size ? 1 + data[0] % 7 : 1, &pieces, &b);
    if (a != b || !slice_eq(buf_slice(&whole), buf_slice(&pieces)))
        abort();
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
