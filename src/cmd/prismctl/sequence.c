/* JSON values from a file, one after the other. Finds where a value ends by brackets and strings alone, or, with lines set, by
 * its line feed, so that a broken line does not take the next ones with it. Whether a value is JSON is the parser's business.
 *
 *   start ──[──▶ in an array: value , value … ]         start ──else──▶ value value …     (spaces and line feeds between) */
#include <ctype.h>
#include <errno.h>

#include "cli.h"

enum { SEQUENCE_READ_BYTES = 256 << 10 };

void sequence_init(struct sequence *s, FILE *in, bool lines)
{
    *s = (struct sequence){.in = in, .line = 1, .lines = lines};
    buf_init(&s->buf, LIMIT_MESSAGE_BYTES_MAX + SEQUENCE_READ_BYTES);
}

void sequence_fini(struct sequence *s)
{
    buf_fini(&s->buf);
}

/* Reads more behind what is there. *ret_more false: the file has ended. */
static enum err fill(struct sequence *s, struct diag *diag, bool *ret_more)
{
    if (s->taken) {
        buf_consume(&s->buf, s->taken);
        s->taken = 0;
    }
    uint8_t *room = buf_reserve(&s->buf, SEQUENCE_READ_BYTES);
    if (!room)
        return diag_set(diag, buf_err(&s->buf), "line %u: a value has more than %d MiB", s->line,
                        LIMIT_MESSAGE_BYTES_MAX >> 20);
    /* read(2) through fread would wait for a full buffer; a pipe's records are wanted as they come. */
    size_t got = fread(room, 1, SEQUENCE_READ_BYTES, s->in);
    if (got == 0 && ferror(s->in))
        return diag_set(diag, ERR_FILE, "the file cannot be read: %s", strerror(errno));
    buf_advance(&s->buf, got);
    s->read += got;
    *ret_more = got > 0;
    return OK;
}

/* The next byte that is no space, or -1 at the end; it is not taken. */
static enum err peek(struct sequence *s, struct diag *diag, int *ret_byte)
{
    for (;;) {
        for (; s->taken < s->buf.size; s->taken++) {
            if (!isspace(s->buf.data[s->taken])) {
                *ret_byte = s->buf.data[s->taken];
                return OK;
            }
            s->line += s->buf.data[s->taken] == '\n';
        }
        bool more = false;
        enum err e = fill(s, diag, &more);
        if (e || !more) {
            *ret_byte = -1;
            return e;
        }
    }
}

/* Where the reader stands inside of a value. */
struct scan {
    size_t size; /* bytes looked at, from s->taken on */
    unsigned depth;
    unsigned lines;
    bool in_string, escaped;
    bool by_line; /* a line feed ends it, and nothing else */
};

/* Looks at one byte; true: the value ends before it (*ret_with: or with it). */
static bool ends(struct scan *scan, uint8_t byte, bool array, bool *ret_with)
{
    *ret_with = false;
    if (scan->by_line)
        return byte == '\n';
    if (scan->in_string) {
        scan->in_string = scan->escaped || byte != '"';
        scan->escaped = !scan->escaped && byte == '\\';
        *ret_with = !scan->in_string && scan->depth == 0;
        return *ret_with;
    }
    if (byte == '"') {
        scan->in_string = true;
    } else if (byte == '{' || byte == '[') {
        scan->depth++;
    } else if ((byte == '}' || byte == ']') && scan->depth) {
        *ret_with = --scan->depth == 0;
        return *ret_with;
    } else if (scan->depth == 0 && (isspace(byte) || (array && (byte == ',' || byte == ']')))) {
        return true;
    }
    return false;
}

static enum err take_value(struct sequence *s, struct diag *diag, struct slice *ret_value)
{
    struct scan scan = {.by_line = s->lines && !s->array};
    for (;;) {
        for (; s->taken + scan.size < s->buf.size; scan.size++) {
            bool with;
            uint8_t byte = s->buf.data[s->taken + scan.size];
            scan.lines += byte == '\n';
            if (!ends(&scan, byte, s->array, &with))
                continue;
            scan.size += with;
            scan.lines -= !with && byte == '\n';
            *ret_value = slice_of(s->buf.data + s->taken, scan.size);
            s->taken += scan.size;
            s->line += scan.lines;
            return OK;
        }
        bool more = false;
        enum err e = fill(s, diag, &more);
        if (e)
            return e;
        if (more)
            continue;
        if (scan.depth || scan.in_string)
            return diag_set(diag, ERR_JSON_MALFORMED, "line %u: the value that begins here does not end", s->line);
        *ret_value = slice_of(s->buf.data + s->taken, scan.size);
        s->taken += scan.size;
        return OK;
    }
}

/* Behind a value of an array: a comma or the end. */
static enum err take_separator(struct sequence *s, struct diag *diag)
{
    int byte;
    enum err e = peek(s, diag, &byte);
    if (e)
        return e;
    if (byte != ',' && byte != ']')
        return diag_set(diag, ERR_JSON_MALFORMED, "line %u: a comma or ] should stand between the values of a list",
                        s->line);
    s->taken++;
    s->ended = byte == ']';
    return OK;
}

static enum err begin(struct sequence *s, struct diag *diag)
{
    int byte;
    enum err e = peek(s, diag, &byte);
    s->begun = true;
    if (e || byte != '[')
        return e;
    s->array = true;
    s->taken++;
    e = peek(s, diag, &byte);
    if (!e && byte == ']') {
        s->taken++;
        s->ended = true;
    }
    return e;
}

enum err sequence_next(struct sequence *s, struct slice *ret_value, unsigned *ret_line, struct diag *diag)
{
    int byte = -1;
    enum err e = OK;
    bool first = !s->begun;
    if (first)
        e = begin(s, diag);
    else if (s->array && !s->ended)
        e = take_separator(s, diag);
    if (!e)
        e = peek(s, diag, &byte);
    if (e)
        return e;
    if (byte < 0 || s->ended) {
        *ret_value = SLICE_EMPTY;
        if (s->array && byte >= 0)
            return diag_set(diag, ERR_JSON_MALFORMED, "line %u: something stands behind the list", s->line);
        if (s->array && !s->ended)
            return diag_set(diag, ERR_JSON_MALFORMED, "line %u: the list does not end", s->line);
        return OK;
    }
    *ret_line = s->line;
    return take_value(s, diag, ret_value);
}
