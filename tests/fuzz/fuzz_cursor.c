/* Cursors: nothing that a stranger sends is believed, and what we made comes back. The input is taken twice: as a cursor, and as
 * the parts of one (hash, limit, key), which is made, read, damaged at a place that the input chooses, and read again. */
#include "data/keyvalue.h"

static const uint8_t secret[16] = "secret of a fuzz";

static uint64_t take_u64(struct slice *in)
{
    uint64_t x = 0;
    memcpy(&x, in->data, in->size < 8 ? in->size : 8);
    *in = slice_skip(*in, 8);
    return x;
}

static void require(bool condition)
{
    if (!condition)
        __builtin_trap();
}

static void read_stranger(struct slice input)
{
    uint64_t left;
    struct slice key;
    enum err e = cursor_decode(secret, 1, input, NULL, &left, &key);
    require(e == OK || e == ERR_CURSOR_INVALID || e == ERR_CURSOR_OTHER_SCAN);
    if (!e)
        require(key.size >= 1 && key.size <= LIMIT_PLACE_BYTES && key.data >= input.data &&
                key.data + key.size <= input.data + input.size);
}

static void read_damaged(struct slice cursor, uint64_t hash, size_t bit)
{
    uint8_t bytes[LIMIT_CURSOR_BYTES];
    uint64_t left;
    struct slice key;
    memcpy(bytes, cursor.data, cursor.size);
    bytes[bit / 8 % cursor.size] ^= (uint8_t)(1 << bit % 8);
    require(cursor_decode(secret, hash, slice_of(bytes, cursor.size), NULL, &left, &key) == ERR_CURSOR_INVALID);
}

static void round_trip(struct slice input, struct arena *arena)
{
    uint64_t hash = take_u64(&input), limit = take_u64(&input), bit = take_u64(&input), left;
    struct slice key = slice_take(input, LIMIT_PLACE_BYTES), cursor, back;
    if (!key.size || cursor_encode(secret, hash, limit, key, arena, &cursor))
        return;
    require(cursor_decode(secret, hash, cursor, NULL, &left, &back) == OK);
    require(left == limit && slice_eq(key, back));
    require(cursor_decode(secret, ~hash, cursor, NULL, &left, &back) == ERR_CURSOR_OTHER_SCAN);
    read_damaged(cursor, hash, (size_t)bit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    read_stranger(slice_of(data, size));
    round_trip(slice_of(data, size), &arena);
    arena_fini(&arena);
    return 0;
}
