#include "rpc/base64.h"

static const char digits[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Padding may only fill the last group of four. */
static bool strip_padding(struct slice *text)
{
    size_t padding = 0;
    while (padding < 2 && padding < text->size && text->data[text->size - 1 - padding] == '=')
        padding++;
    if (padding && text->size % 4 != 0)
        return false;
    text->size -= padding;
    return text->size % 4 != 1;
}

enum err base64_decode(struct arena *arena, struct slice text, struct slice *ret_bytes)
{
    if (!strip_padding(&text))
        return ERR_GRPC_MALFORMED;
    uint8_t *out = arena_alloc(arena, text.size / 4 * 3 + 3);
    if (!out)
        return ERR_NOMEM;
    size_t size = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (size_t i = 0; i < text.size; i++) {
        int value = value_of(text.data[i]);
        if (value < 0)
            return ERR_GRPC_MALFORMED;
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            out[size++] = (uint8_t)(bits >> bit_count);
        }
    }
    *ret_bytes = slice_of(out, size);
    return OK;
}

enum err base64_encode(struct arena *arena, struct slice bytes, struct slice *ret_text)
{
    uint8_t *out = arena_alloc(arena, bytes.size / 3 * 4 + 4);
    if (!out)
        return ERR_NOMEM;
    size_t size = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        bits = bits << 8 | bytes.data[i];
        for (bit_count += 8; bit_count >= 6; bit_count -= 6)
            out[size++] = (uint8_t)digits[bits >> (bit_count - 6) & 63];
    }
    if (bit_count)
        out[size++] = (uint8_t)digits[bits << (6 - bit_count) & 63];
    *ret_text = slice_of(out, size);
    return OK;
}
