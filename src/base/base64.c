#include "base/base64.h"

static const char std_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { NOT_A_LETTER = 64 };

static bool writes_padding(enum base64_form form)
{
    return form == BASE64_STD || form == BASE64_ANY;
}

size_t base64_encoded_size(size_t size, enum base64_form form)
{
    size_t rest = size % 3;
    return size / 3 * 4 + (rest == 0 ? 0 : writes_padding(form) ? 4 : rest + 1);
}

/* The last one or two bytes. */
static char *encode_rest(struct slice in, const char *letters, bool padding, char *out)
{
    unsigned bits = (unsigned)in.data[0] << 16 | (in.size == 2 ? (unsigned)in.data[1] << 8 : 0);
    *out++ = letters[bits >> 18];
    *out++ = letters[bits >> 12 & 63];
    if (in.size == 2)
        *out++ = letters[bits >> 6 & 63];
    for (size_t i = in.size; padding && i < 3; i++)
        *out++ = '=';
    return out;
}

char *base64_encode(struct slice in, enum base64_form form, char *out)
{
    const char *letters = form == BASE64_URL ? url_letters : std_letters;
    for (; in.size >= 3; in = slice_skip(in, 3)) {
        unsigned bits = (unsigned)in.data[0] << 16 | (unsigned)in.data[1] << 8 | in.data[2];
        *out++ = letters[bits >> 18];
        *out++ = letters[bits >> 12 & 63];
        *out++ = letters[bits >> 6 & 63];
        *out++ = letters[bits & 63];
    }
    return in.size ? encode_rest(in, letters, writes_padding(form), out) : out;
}

static unsigned value_of(uint8_t c, enum base64_form form)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    bool std = form != BASE64_URL, url = form == BASE64_URL || form == BASE64_ANY;
    if ((std && c == '+') || (url && c == '-'))
        return 62;
    if ((std && c == '/') || (url && c == '_'))
        return 63;
    return NOT_A_LETTER;
}

/* Takes the padding off. false: there is some where none may be, or none where some must be. */
static bool strip_padding(struct slice *text, enum base64_form form)
{
    size_t padding = 0;
    while (padding < 2 && padding < text->size && text->data[text->size - 1 - padding] == '=')
        padding++;
    bool complete = text->size % 4 == 0;
    text->size -= padding;
    if (padding)
        return form != BASE64_URL && complete;
    return complete || form != BASE64_STD;
}

enum err base64_decode(struct slice text, enum base64_form form, uint8_t *out, size_t *ret_size)
{
    if (!strip_padding(&text, form) || text.size % 4 == 1)
        return ERR_INVALID_ARGUMENT;
    uint32_t bits = 0;
    unsigned have = 0;
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned value = value_of(text.data[i], form);
        if (value == NOT_A_LETTER)
            return ERR_INVALID_ARGUMENT;
        bits = bits << 6 | value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[size++] = (uint8_t)(bits >> have);
            bits &= (1u << have) - 1;
        }
    }
    if (bits) /* two texts for the same bytes: refused */
        return ERR_INVALID_ARGUMENT;
    *ret_size = size;
    return OK;
}
