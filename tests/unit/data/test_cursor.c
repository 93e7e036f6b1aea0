#include "../harness.h"
#include "data/keyvalue.h"

static const uint8_t secret[16] = "a secret of 16 b";

static struct slice make(struct arena *arena, uint64_t hash, uint64_t left, struct slice key)
{
    struct slice cursor;
    CHECK_ERR(cursor_encode(secret, hash, left, key, arena, &cursor), OK);
    return cursor;
}

TEST(cursor_gives_back_what_was_put_in)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    uint8_t long_key[LIMIT_KEY_BYTES];
    memset(long_key, 0xFF, sizeof long_key);
    struct slice keys[] = {SLICE("k"), SLICE("\0%_*"), slice_of(long_key, sizeof long_key)};
    for (size_t i = 0; i < 3; i++) {
        struct slice cursor = make(&arena, 42, UINT64_MAX - i, keys[i]), key;
        uint64_t left;
        CHECK(cursor.size <= LIMIT_CURSOR_BYTES);
        CHECK_ERR(cursor_decode(secret, 42, cursor, NULL, &left, &key), OK);
        CHECK(left == UINT64_MAX - i);
        CHECK_SLICE(key, keys[i]);
    }
    arena_fini(&arena);
}

/* Whichever bit a stranger flips, and wherever the cursor is cut. */
TEST(cursor_that_was_touched_is_refused)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct slice cursor = make(&arena, 42, 7, SLICE("some key")), key;
    uint64_t left;
    uint8_t *bytes = (uint8_t *)(uintptr_t)cursor.data;
    for (size_t bit = 0; bit < cursor.size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK_ERR(cursor_decode(secret, 42, cursor, NULL, &left, &key), ERR_CURSOR_INVALID);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t size = 0; size < cursor.size; size++)
        CHECK_ERR(cursor_decode(secret, 42, slice_take(cursor, size), NULL, &left, &key), ERR_CURSOR_INVALID);
    CHECK_ERR(cursor_decode((const uint8_t *)"another secret..", 42, cursor, NULL, &left, &key), ERR_CURSOR_INVALID);
    CHECK_ERR(cursor_decode(secret, 42, cursor, NULL, &left, &key), OK);
    arena_fini(&arena);
}

TEST(cursor_of_another_scan_says_so)
{
    struct arena arena;
    struct diag diag;
    arena_init(&arena, 1 << 20);
    diag_init(&diag, &arena);
    struct slice cursor = make(&arena, 42, 7, SLICE("k")), key;
    uint64_t left;
    CHECK_ERR(cursor_decode(secret, 43, cursor, &diag, &left, &key), ERR_CURSOR_OTHER_SCAN);
    CHECK_STR(diag_message(&diag), "cursor of another scan");
    CHECK_STR(diag.fields->name, "cursor");
    arena_fini(&arena);
}
