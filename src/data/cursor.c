/* A cursor on the wire, little-endian:
 *
 *   1 byte   form, now 1          8 bytes  hash of the scan       8 bytes  items left of the limit, all ones: no limit
 *   1 … 1032 bytes  last key      8 bytes  MAC of all before it
 *
 * Invariant: nothing of a cursor is believed before its MAC has been compared. Comparing is one comparison of 64 bits, so its
 * time says nothing about where they differ. */
#include "data/keyvalue.h"
#include "data/siphash.h"

enum { FORM = 1, HASH_AT = 1, LIMIT_AT = 9, KEY_AT = 17, MAC_BYTES = 8, CURSOR_MIN = KEY_AT + 1 + MAC_BYTES };

static void put_u64(uint8_t *out, uint64_t x)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(x >> (8 * i));
}

static uint64_t get_u64(const uint8_t *in)
{
    uint64_t x = 0;
    for (int i = 0; i < 8; i++)
        x |= (uint64_t)in[i] << (8 * i);
    return x;
}

enum err cursor_encode(const uint8_t key[16], uint64_t scan_hash, uint64_t limit_left, struct slice last_key,
                       struct arena *arena, struct slice *ret_cursor)
{
    size_t signed_size = KEY_AT + last_key.size;
    uint8_t *out = arena_alloc(arena, signed_size + MAC_BYTES);
    if (!out)
        return ERR_NOMEM;
    out[0] = FORM;
    put_u64(out + HASH_AT, scan_hash);
    put_u64(out + LIMIT_AT, limit_left);
    memcpy(out + KEY_AT, last_key.data, last_key.size);
    put_u64(out + signed_size, siphash24(key, slice_of(out, signed_size)));
    *ret_cursor = slice_of(out, signed_size + MAC_BYTES);
    return OK;
}

static bool is_genuine(const uint8_t key[16], struct slice cursor)
{
    if (cursor.size < CURSOR_MIN || cursor.size > CURSOR_MIN - 1 + LIMIT_PLACE_BYTES)
        return false;
    size_t signed_size = cursor.size - MAC_BYTES;
    return siphash24(key, slice_take(cursor, signed_size)) == get_u64(cursor.data + signed_size) &&
           cursor.data[0] == FORM;
}

enum err cursor_decode(const uint8_t key[16], uint64_t scan_hash, struct slice cursor, struct diag *diag,
                       uint64_t *ret_limit_left, struct slice *ret_last_key)
{
    if (!is_genuine(key, cursor)) {
        diag_set(diag, ERR_CURSOR_INVALID, "the cursor is damaged, or was not made by this namespace");
        diag_field(diag, "cursor", "must be next_cursor of an earlier page, unchanged");
        return ERR_CURSOR_INVALID;
    }
    if (get_u64(cursor.data + HASH_AT) != scan_hash) {
        diag_set(diag, ERR_CURSOR_OTHER_SCAN, "cursor of another scan");
        diag_field(diag, "cursor", "belongs to a scan with another range or direction");
        return ERR_CURSOR_OTHER_SCAN;
    }
    *ret_limit_left = get_u64(cursor.data + LIMIT_AT);
    *ret_last_key = slice_of(cursor.data + KEY_AT, cursor.size - KEY_AT - MAC_BYTES);
    return OK;
}
