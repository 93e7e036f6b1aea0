#include "pb/json_text.h"

#include <stdarg.h>
#include <stdio.h>

enum { PATH_BYTES = 512 };

/* --- errors ----------------------------------------------------------------------------------------------------------------- */

/* "items[3].key", outermost first. Too long paths lose their end. */
static void put_path(const struct json_step *step, char *text, size_t size)
{
    if (!step || size < 2)
        return;
    put_path(step->outer, text, size);
    size_t used = strlen(text);
    if (step->key.data)
        snprintf(text + used, size - used, "%s%.*s", used ? "." : "", SLICE_ARG(step->key));
    else
        snprintf(text + used, size - used, "[%u]", step->index);
}

static void position(const struct json_reader *r, unsigned *ret_line, unsigned *ret_column)
{
    unsigned line = 1, column = 1;
    for (const uint8_t *p = r->begin; p < r->token; p++, column++) {
        if (*p == '\n') {
            line++;
            column = 0;
        }
    }
    *ret_line = line;
    *ret_column = column;
}

bool pb_json_fail(struct json_reader *r, const char *format, ...)
{
    char path[PATH_BYTES] = "", text[PATH_BYTES];
    unsigned line, column;
    if (r->err)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_path(r->path, path, sizeof path);
    position(r, &line, &column);
    r->err = diag_set(r->diag, ERR_JSON_MALFORMED, "line %u, column %u%s%s: %s", line, column, *path ? ", " : "", path,
                      text);
    if (*path)
        diag_field(r->diag, path, "%s", text);
    return false;
}

bool pb_json_nomem(struct json_reader *r)
{
    r->err = diag_set(r->diag, ERR_NOMEM, "%s", err_row(ERR_NOMEM)->text);
    return false;
}

/* --- tokens ----------------------------------------------------------------------------------------------------------------- */

uint8_t pb_json_peek(struct json_reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
        r->p++;
    r->token = r->p;
    return r->p < r->end ? *r->p : 0;
}

bool pb_json_take(struct json_reader *r, char c)
{
    if (pb_json_peek(r) != (uint8_t)c || r->p == r->end)
        return false;
    r->p++;
    return true;
}

bool pb_json_expect(struct json_reader *r, char c)
{
    return pb_json_take(r, c) || pb_json_fail(r, "expected %c", c);
}

bool pb_json_take_word(struct json_reader *r, const char *word)
{
    size_t size = strlen(word);
    pb_json_peek(r);
    if ((size_t)(r->end - r->p) < size || memcmp(r->p, word, size) != 0)
        return false;
    r->p += size;
    return true;
}

/* --- strings ---------------------------------------------------------------------------------------------------------------- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex4(struct json_reader *r, uint32_t *ret_value)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, r->p++) {
        int digit = r->p < r->end ? hex_digit(*r->p) : -1;
        if (digit < 0)
            return pb_json_fail(r, "expected four hexadecimal digits behind \\u");
        value = value << 4 | (uint32_t)digit;
    }
    *ret_value = value;
    return true;
}

/* Behind "\u": one code unit, or two that are a surrogate pair. */
static bool read_code_point(struct json_reader *r, uint32_t *ret_code)
{
    uint32_t high, low;
    if (!read_hex4(r, &high))
        return false;
    *ret_code = high;
    if (high < 0xD800 || high > 0xDFFF)
        return true;
    bool pair = high < 0xDC00 && r->end - r->p >= 2 && r->p[0] == '\\' && r->p[1] == 'u';
    if (pair) {
        r->p += 2;
        if (!read_hex4(r, &low))
            return false;
        *ret_code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        pair = low >= 0xDC00 && low <= 0xDFFF;
    }
    return pair || pb_json_fail(r, "half of a surrogate pair");
}

static uint8_t *put_utf8(uint32_t c, uint8_t *to)
{
    unsigned size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (unsigned i = size - 1; i > 0; i--, c >>= 6)
        to[i] = (uint8_t)(0x80 | (c & 0x3F));
    to[0] = (uint8_t)(lead[size] | c);
    return to + size;
}

/* Behind a backslash. */
static uint8_t *read_escape(struct json_reader *r, uint8_t *to)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    uint8_t c = r->p < r->end ? *r->p++ : 0;
    const char *known = c ? strchr(names, c) : NULL;
    uint32_t code;
    if (known) {
        *to = (uint8_t)values[known - names];
        return to + 1;
    }
    if (c != 'u') {
        pb_json_fail(r, "unknown escape");
        return NULL;
    }
    return read_code_point(r, &code) ? put_utf8(code, to) : NULL;
}

/* The end of a string, and whether it has escapes. Control characters must be escaped. NULL: failed. */
static const uint8_t *find_quote(struct json_reader *r, bool *ret_escaped)
{
    *ret_escaped = false;
    for (const uint8_t *p = r->p; p < r->end; p++) {
        if (*p == '"')
            return p;
        if (*p < 0x20) {
            r->token = p;
            pb_json_fail(r, "a control character in a string");
            return NULL;
        }
        if (*p == '\\') {
            *ret_escaped = true;
            p++;
        }
    }
    pb_json_fail(r, "a string without an end");
    return NULL;
}

static bool read_escaped(struct json_reader *r, const uint8_t *quote, struct slice *ret_text)
{
    uint8_t *text = arena_alloc(r->arena, (size_t)(quote - r->p)), *to = text;
    if (!text)
        return pb_json_nomem(r);
    while (r->p < quote) {
        if (*r->p != '\\') {
            *to++ = *r->p++;
            continue;
        }
        r->p++;
        to = read_escape(r, to);
        if (!to)
            return false;
    }
    *ret_text = slice_of(text, (size_t)(to - text));
    return true;
}

bool pb_json_read_string(struct json_reader *r, struct slice *ret_text)
{
    bool escaped;
    if (pb_json_peek(r) != '"')
        return pb_json_fail(r, "expected a string");
    r->p++;
    const uint8_t *quote = find_quote(r, &escaped);
    if (!quote)
        return false;
    if (!escaped)
        *ret_text = slice_of(r->p, (size_t)(quote - r->p));
    else if (!read_escaped(r, quote, ret_text))
        return false;
    r->p = quote + 1;
    return true;
}

/* --- numbers ---------------------------------------------------------------------------------------------------------------- */

static const uint8_t *skip_digits(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* Over -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?, NULL where that does not match. */
static const uint8_t *skip_number(const uint8_t *p, const uint8_t *end)
{
    if (p < end && *p == '-')
        p++;
    const uint8_t *digits = p;
    p = skip_digits(p, end);
    if (p == digits || (*digits == '0' && p > digits + 1))
        return NULL;
    if (p < end && *p == '.') {
        digits = ++p;
        p = skip_digits(p, end);
        if (p == digits)
            return NULL;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        digits = p;
        p = skip_digits(p, end);
        if (p == digits)
            return NULL;
    }
    return p;
}

bool pb_json_is_number(struct slice text)
{
    return text.size && skip_number(text.data, text.data + text.size) == text.data + text.size;
}

bool pb_json_read_number(struct json_reader *r, struct slice *ret_text)
{
    pb_json_peek(r);
    const uint8_t *end = skip_number(r->p, r->end);
    if (!end)
        return pb_json_fail(r, "expected a number");
    *ret_text = slice_of(r->p, (size_t)(end - r->p));
    r->p = end;
    return true;
}

/* The exponent of a number's text, held within ±EXPONENT_MAX: past it only zero is an integer in range. */
static int64_t exponent_of(const uint8_t *p, const uint8_t *end)
{
    enum { EXPONENT_MAX = 1000000 };
    bool negative = p < end && *p == '-';
    int64_t value = 0;
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    for (; p < end && value < EXPONENT_MAX; p++)
        value = value * 10 + (*p - '0');
    return negative ? -value : value;
}

static bool append_digit(uint64_t *value, unsigned digit)
{
    return !__builtin_mul_overflow(*value, 10, value) && !__builtin_add_overflow(*value, digit, value);
}

/* The number is digits × 10^exponent. Trailing zeros are held back, since a negative exponent may take them. */
bool pb_json_integer(struct slice number, bool *ret_negative, uint64_t *ret_magnitude)
{
    const uint8_t *p = number.data, *end = p + number.size;
    *ret_negative = p < end && *p == '-';
    if (*ret_negative)
        p++;
    uint64_t value = 0;
    int64_t exponent = 0, zeros = 0;
    bool fraction = false;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            fraction = true;
            continue;
        }
        exponent -= fraction;
        if (*p == '0') {
            zeros += value != 0;
            continue;
        }
        for (; zeros > 0; zeros--)
            if (!append_digit(&value, 0))
                return false;
        if (!append_digit(&value, *p - '0'))
            return false;
    }
    *ret_magnitude = value;
    if (value == 0)
        return true;
    exponent += zeros + (p < end ? exponent_of(p + 1, end) : 0);
    if (exponent < 0 || exponent > 19)
        return false;
    for (; exponent > 0; exponent--)
        if (!append_digit(&value, 0))
            return false;
    *ret_magnitude = value;
    return !*ret_negative || value <= (uint64_t)INT64_MAX + 1;
}

/* --- nesting ---------------------------------------------------------------------------------------------------------------- */

bool pb_json_enter(struct json_reader *r, char bracket)
{
    if (!pb_json_expect(r, bracket))
        return false;
    if (r->depth == 0) {
        pb_json_fail(r, "nested too deep");
        r->err = diag_set(r->diag, ERR_PB_DEPTH, "%s", err_row(ERR_PB_DEPTH)->text);
        return false;
    }
    r->depth--;
    return true;
}

bool pb_json_more(struct json_reader *r, char bracket, bool *first)
{
    if (r->err)
        return false;
    if (pb_json_take(r, bracket)) {
        r->depth++;
        return false;
    }
    if (!*first && !pb_json_expect(r, ','))
        return false;
    if (!*first && pb_json_peek(r) == (uint8_t)bracket)
        return pb_json_fail(r, "a comma before %c", bracket);
    *first = false;
    return true;
}

bool pb_json_read_key(struct json_reader *r, struct slice *ret_key)
{
    return pb_json_read_string(r, ret_key) && pb_json_expect(r, ':');
}

static bool skip_nested(struct json_reader *r, char open, char close)
{
    struct slice key;
    if (!pb_json_enter(r, open))
        return false;
    for (bool first = true; pb_json_more(r, close, &first);)
        if ((open == '{' && !pb_json_read_key(r, &key)) || !pb_json_skip(r))
            return false;
    return !r->err;
}

bool pb_json_skip(struct json_reader *r)
{
    struct slice ignored;
    switch (pb_json_peek(r)) {
    case '{':
        return skip_nested(r, '{', '}');
    case '[':
        return skip_nested(r, '[', ']');
    case '"':
        return pb_json_read_string(r, &ignored);
    case 't':
    case 'f':
    case 'n':
        return pb_json_take_word(r, "true") || pb_json_take_word(r, "false") || pb_json_take_word(r, "null") ||
               pb_json_fail(r, "expected a value");
    default:
        return pb_json_read_number(r, &ignored);
    }
}
