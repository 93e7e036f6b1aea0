#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

/* What the value needs before it; then the next one needs a comma. */
static void begin_value(struct json *j)
{
    if (j->comma)
        buf_putc(j->out, ',');
    j->comma = true;
}

static void open_with(struct json *j, char bracket)
{
    begin_value(j);
    buf_putc(j->out, bracket);
    j->comma = false;
}

static void close_with(struct json *j, char bracket)
{
    buf_putc(j->out, bracket);
    j->comma = true;
}

void json_object(struct json *j)
{
    open_with(j, '{');
}

void json_end_object(struct json *j)
{
    close_with(j, '}');
}

void json_array(struct json *j)
{
    open_with(j, '[');
}

void json_end_array(struct json *j)
{
    close_with(j, ']');
}

void json_key(struct json *j, const char *key)
{
    json_text(j, key);
    buf_putc(j->out, ':');
    j->comma = false;
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

static void escape_ascii(struct buf *out, uint8_t c)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *pair = letters; *pair; pair += 2) {
        if ((uint8_t)pair[0] == c) {
            buf_putc(out, '\\');
            buf_putc(out, pair[1]);
            return;
        }
    }
    buf_printf(out, "\\u%04x", c);
}

/* One character, or one byte that is none; how many bytes it took. */
static size_t escape_one(struct buf *out, struct slice s)
{
    size_t size = utf8_char_size(s);
    if (size == 1)
        escape_ascii(out, s.data[0]);
    else if (size)
        buf_put(out, s.data, size);
    else
        buf_puts(out, "\\ufffd");
    return size ? size : 1;
}

void json_escape(struct buf *out, struct slice s)
{
    while (s.size && !buf_err(out)) {
        size_t plain = 0;
        while (plain < s.size && is_plain(s.data[plain]))
            plain++;
        buf_put(out, s.data, plain);
        s = slice_skip(s, plain);
        if (s.size)
            s = slice_skip(s, escape_one(out, s));
    }
}

void json_str(struct json *j, struct slice s)
{
    begin_value(j);
    buf_putc(j->out, '"');
    json_escape(j->out, s);
    buf_putc(j->out, '"');
}

void json_text(struct json *j, const char *text)
{
    if (text)
        json_str(j, slice_str(text));
    else
        json_null(j);
}

void json_int(struct json *j, int64_t value)
{
    begin_value(j);
    buf_printf(j->out, "%lld", (long long)value);
}

void json_uint(struct json *j, uint64_t value)
{
    begin_value(j);
    buf_printf(j->out, "%llu", (unsigned long long)value);
}

void json_double(struct json *j, double value)
{
    if (!isfinite(value)) {
        json_text(j, isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
        return;
    }
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    begin_value(j);
    buf_puts(j->out, text);
}

void json_bool(struct json *j, bool value)
{
    begin_value(j);
    buf_puts(j->out, value ? "true" : "false");
}

void json_null(struct json *j)
{
    begin_value(j);
    buf_puts(j->out, "null");
}
