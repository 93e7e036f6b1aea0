/* Keys and values: from the command line to bytes, from bytes to what a screen can show. */
#include <ctype.h>
#include <errno.h>
#include <time.h>

#include "base/base64.h"
#include "base/utf8.h"
#include "cli.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum err from_hex(struct cli *cli, const char *text, const char *what, struct slice *ret_bytes)
{
    size_t size = strlen(text);
    uint8_t *out = arena_alloc(&cli->arena, size / 2 + 1);
    if (!out)
        return ERR_NOMEM;
    for (size_t i = 0; i < size; i++) {
        int digit = digit_of(text[i]);
        if (digit < 0 || size % 2)
            return diag_set(&cli->diag, ERR_USAGE, "%s is not hexadecimal, two digits a byte: \"%s\"", what, text);
        out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] << 4 | digit : digit);
    }
    *ret_bytes = slice_of(out, size / 2);
    return OK;
}

static enum err from_base64(struct cli *cli, const char *text, const char *what, struct slice *ret_bytes)
{
    size_t size;
    uint8_t *out = arena_alloc(&cli->arena, base64_decoded_max(strlen(text)));
    if (!out)
        return ERR_NOMEM;
    if (base64_decode(slice_str(text), BASE64_ANY, out, &size))
        return diag_set(&cli->diag, ERR_USAGE, "%s is not base64: \"%s\"", what, text);
    *ret_bytes = slice_of(out, size);
    return OK;
}

enum err cli_key(struct cli *cli, const char *text, const char *what, struct slice *ret_key)
{
    if (cli_flag(cli, "hex") && cli_flag(cli, "base64"))
        return diag_set(&cli->diag, ERR_USAGE, "--hex and --base64 exclude each other");
    if (cli_flag(cli, "hex"))
        return from_hex(cli, text, what, ret_key);
    if (cli_flag(cli, "base64"))
        return from_base64(cli, text, what, ret_key);
    *ret_key = slice_str(text);
    return OK;
}

enum err cli_bytes_base64(struct cli *cli, const char *text, const char *what, struct slice *ret_bytes)
{
    return from_base64(cli, text, what, ret_bytes);
}

static enum err read_all(struct cli *cli, FILE *in, const char *path, struct slice *ret_content)
{
    struct buf content;
    buf_init(&content, LIMIT_MESSAGE_BYTES_MAX);
    uint8_t *room;
    while ((room = buf_reserve(&content, 65536))) {
        size_t got = fread(room, 1, 65536, in);
        buf_advance(&content, got);
        if (got == 0)
            break;
    }
    enum err e = buf_err(&content);
    if (e)
        diag_set(&cli->diag, e, "%s has more than %d MiB", path, LIMIT_MESSAGE_BYTES_MAX >> 20);
    else if (ferror(in))
        e = diag_set(&cli->diag, ERR_FILE, "%s cannot be read: %s", path, strerror(errno));
    else if (!arena_copy(&cli->arena, buf_slice(&content), ret_content))
        e = ERR_NOMEM;
    buf_fini(&content);
    return e;
}

enum err cli_read_file(struct cli *cli, const char *path, struct slice *ret_content)
{
    if (strcmp(path, "-") == 0)
        return read_all(cli, stdin, "standard input", ret_content);
    FILE *in = fopen(path, "rb");
    if (!in)
        return diag_set(&cli->diag, ERR_FILE, "%s cannot be read: %s", path, strerror(errno));
    enum err e = read_all(cli, in, path, ret_content);
    fclose(in);
    return e;
}

enum err cli_value(struct cli *cli, const char *text, struct slice *ret_value)
{
    if (strcmp(text, "-") == 0 || text[0] == '@')
        return cli_read_file(cli, text[0] == '@' ? text + 1 : text, ret_value);
    *ret_value = slice_str(text);
    return OK;
}

static void show_byte(uint8_t byte, struct buf *out)
{
    switch (byte) {
    case '\n':
        buf_puts(out, "\\n");
        break;
    case '\t':
        buf_puts(out, "\\t");
        break;
    case '\r':
        buf_puts(out, "\\r");
        break;
    case '\\':
        buf_puts(out, "\\\\");
        break;
    default:
        buf_printf(out, "\\x%02x", byte);
    }
}

const char *show_bytes(struct arena *arena, struct slice s)
{
    struct buf out;
    struct slice copy = SLICE_EMPTY;
    buf_init(&out, s.size * 4 + 1);
    while (s.size) {
        size_t size = utf8_char_size(s);
        /* C1 controls steer terminals as much as C0 do. */
        bool control = size == 1 ? s.data[0] < 0x20 || s.data[0] == 0x7f || s.data[0] == '\\'
                                 : size == 2 && s.data[0] == 0xc2 && s.data[1] < 0xa0;
        if (size && !control)
            buf_put(&out, s.data, size);
        for (size_t i = 0; (!size || control) && i < (size ? size : 1); i++)
            show_byte(s.data[i], &out);
        s = slice_skip(s, size ? size : 1);
    }
    bool kept = !buf_err(&out) && arena_copy(arena, buf_slice(&out), &copy);
    buf_fini(&out);
    return kept && copy.data ? (const char *)copy.data : "";
}

const char *show_text(struct arena *arena, struct slice s)
{
    struct slice copy;
    return arena_copy(arena, s, &copy) && copy.data ? (const char *)copy.data : "";
}

const char *show_time(struct arena *arena, const struct google_protobuf_timestamp *t)
{
    if (!t)
        return "";
    time_t seconds = (time_t)t->seconds;
    struct tm parts;
    char day[32];
    if (!gmtime_r(&seconds, &parts) || !strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts))
        return "?";
    const char *text = arena_printf(arena, "%s.%03dZ", day, t->nanos / 1000000);
    return text ? text : "?";
}

int64_t timestamp_ms(const struct google_protobuf_timestamp *t)
{
    return t->seconds * 1000 + t->nanos / 1000000;
}

struct google_protobuf_duration *duration_message(struct arena *arena, int64_t ms)
{
    struct google_protobuf_duration *d = arena_new(arena, struct google_protobuf_duration);
    if (d) {
        d->seconds = ms / 1000;
        d->nanos = (int32_t)(ms % 1000) * 1000000;
    }
    return d;
}

const char *show_base64(struct arena *arena, struct slice s)
{
    size_t size = base64_encoded_size(s.size, BASE64_STD);
    char *text = arena_alloc(arena, size + 1);
    if (!text)
        return "?";
    *base64_encode(s, BASE64_STD, text) = 0;
    return text;
}
