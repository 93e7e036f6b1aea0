#include "pb/utf8.h"

/* Bytes of the character that begins with p, 0 where it is malformed. RFC 3629, section 4. */
static size_t character_size(const uint8_t *p, const uint8_t *end)
{
    static const struct {
        uint8_t first, last; /* of the first byte */
        uint8_t second_min, second_max;
        uint8_t size;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (*p < forms[i].first || *p > forms[i].last)
            continue;
        size_t size = forms[i].size;
        if (size > (size_t)(end - p) || (size > 1 && (p[1] < forms[i].second_min || p[1] > forms[i].second_max)))
            return 0;
        for (size_t k = 2; k < size; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return size;
    }
    return 0;
}

static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        if (word & 0x8080808080808080ULL)
            break;
        p += 8;
    }
    while (p < end && *p < 0x80)
        p++;
    return p;
}

bool pb_utf8_valid(struct slice text)
{
    if (text.size == 0)
        return true;
    const uint8_t *p = text.data, *end = p + text.size;
    while ((p = skip_ascii(p, end)) < end) {
        size_t size = character_size(p, end);
        if (size == 0)
            return false;
        p += size;
    }
    return true;
}

unsigned pb_utf8_put(uint32_t c, uint8_t *out)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    unsigned size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (unsigned i = size - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(lead[size] | c);
    return size;
}
