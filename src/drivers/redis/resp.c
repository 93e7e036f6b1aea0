/* Reading and writing RESP2 (resp.h).
 *
 *   line ──"+ - :"──▶ value ──┐
 *     ├──"$n"──▶ text of n bytes and CRLF ──▶ value ──┤──▶ goes to its place: of the array on top of the stack, or the reply
 *     └──"*n"──▶ an array on the stack, filled by the values that follow; full ──▶ value ──┘ */
#include "drivers/redis/resp.h"

#include <assert.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 64 << 10, LENGTH_DIGITS = 20 };

void resp_init(struct resp_parser *p, struct resp_limits limits)
{
    *p = (struct resp_parser){.limits = limits};
    buf_init(&p->kept, limits.bytes_max + LINE_MAX_BYTES);
}

void resp_fini(struct resp_parser *p)
{
    buf_fini(&p->kept);
}

void resp_begin(struct resp_parser *p, struct arena *arena)
{
    assert(p->depth == 0 && !p->in_text);
    p->arena = arena;
}

void resp_forget(struct resp_parser *p)
{
    p->arena = NULL;
    for (unsigned i = 0; i < p->depth; i++)
        p->stack[i].items = NULL;
}

/* --- bytes ------------------------------------------------------------------------------------------------------------------- */

/* A line without its CRLF, which lies in data or, where it came in pieces, in kept. false: its end has not come. */
static bool take_line(struct resp_parser *p, struct slice *data, struct slice *ret_line)
{
    const uint8_t *end = data->size ? memchr(data->data, '\n', data->size) : NULL;
    struct slice line = slice_of(data->data, end ? (size_t)(end - data->data) + 1 : data->size);
    *data = slice_skip(*data, line.size);
    if (p->kept.size || !end)
        buf_put_slice(&p->kept, line);
    if (!end)
        return false;
    *ret_line = p->kept.size ? buf_slice(&p->kept) : line;
    return true;
}

/* As take_line, for a text of known size and the CRLF behind it. */
static bool take_text(struct resp_parser *p, struct slice *data, struct slice *ret_text)
{
    size_t wanted = p->text_size + 2;
    if (!p->kept.size && data->size >= wanted) {
        *ret_text = slice_take(*data, wanted);
        *data = slice_skip(*data, wanted);
        return true;
    }
    struct slice more = slice_take(*data, wanted - p->kept.size);
    buf_put_slice(&p->kept, more);
    *data = slice_skip(*data, more.size);
    *ret_text = buf_slice(&p->kept);
    return p->kept.size == wanted;
}

static bool strip_crlf(struct slice *line)
{
    if (line->size < 2 || line->data[line->size - 2] != '\r' || line->data[line->size - 1] != '\n')
        return false;
    line->size -= 2;
    return true;
}

static bool parse_integer(struct slice text, int64_t *ret_value)
{
    bool negative = text.size && text.data[0] == '-';
    struct slice digits = slice_skip(text, negative);
    uint64_t value = 0, max = (uint64_t)INT64_MAX + negative;
    if (!digits.size || digits.size > LENGTH_DIGITS)
        return false;
    for (size_t i = 0; i < digits.size; i++) {
        unsigned digit = digits.data[i] - (unsigned)'0';
        if (digit > 9 || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* --- values ------------------------------------------------------------------------------------------------------------------ */

static struct resp *place_of_next(struct resp_parser *p)
{
    if (!p->depth)
        return &p->root;
    struct resp *items = p->stack[p->depth - 1].items;
    return items ? &items[p->stack[p->depth - 1].next] : NULL;
}

/* The value at the next place is complete. true: and so is the reply. */
static bool close_value(struct resp_parser *p)
{
    while (p->depth) {
        if (++p->stack[p->depth - 1].next < p->stack[p->depth - 1].count)
            return false;
        p->depth--;
    }
    return true;
}

/* The arena is full: nothing more of this reply is built. */
static void put_text(struct resp_parser *p, enum resp_kind kind, struct slice text)
{
    struct resp *place = place_of_next(p);
    if (!p->arena || !place)
        return;
    *place = (struct resp){.kind = kind};
    if (!arena_copy(p->arena, text, &place->text))
        resp_forget(p);
}

static void put_integer(struct resp_parser *p, enum resp_kind kind, int64_t value)
{
    struct resp *place = place_of_next(p);
    if (place)
        *place = (struct resp){.kind = kind, .integer = value};
}

/* *ret_complete: it is empty. */
static enum err open_array(struct resp_parser *p, uint32_t count, bool *ret_complete)
{
    struct resp *place = place_of_next(p), *items = NULL;
    if (p->depth == RESP_DEPTH_MAX)
        return ERR_BACKEND_LOST;
    if (p->arena && place && count) {
        items = arena_array(p->arena, struct resp, count);
        if (!items)
            resp_forget(p);
    }
    if (place && p->arena)
        *place = (struct resp){.kind = RESP_ARRAY, .items = items, .count = items ? count : 0};
    *ret_complete = count == 0;
    if (count) {
        p->stack[p->depth].items = items;
        p->stack[p->depth].count = count;
        p->stack[p->depth].next = 0;
        p->depth++;
    }
    return OK;
}

/* "$n" and "*n": -1 is nil. */
static enum err begin_sized(struct resp_parser *p, uint8_t kind, struct slice digits, bool *ret_complete)
{
    int64_t size;
    if (!parse_integer(digits, &size) || size < -1)
        return ERR_BACKEND_LOST;
    *ret_complete = size == -1;
    if (size == -1) {
        put_integer(p, RESP_NIL, 0);
        return OK;
    }
    if (kind == '*')
        return (uint64_t)size > p->limits.items_max ? ERR_BACKEND_LOST : open_array(p, (uint32_t)size, ret_complete);
    if ((uint64_t)size > p->limits.bytes_max)
        return ERR_BACKEND_LOST;
    p->in_text = true;
    p->text_size = (size_t)size;
    return OK;
}

static enum err take_value(struct resp_parser *p, struct slice line, bool *ret_complete)
{
    int64_t value;
    struct slice rest = slice_skip(line, 1);
    *ret_complete = true;
    switch (line.size ? line.data[0] : 0) {
    case '+':
        put_text(p, RESP_STATUS, rest);
        return OK;
    case '-':
        put_text(p, RESP_ERROR, rest);
        return OK;
    case ':':
        if (!parse_integer(rest, &value))
            return ERR_BACKEND_LOST;
        put_integer(p, RESP_INTEGER, value);
        return OK;
    case '$':
    case '*':
        return begin_sized(p, line.data[0], rest, ret_complete);
    default:
        return ERR_BACKEND_LOST;
    }
}

/* One line or one text. *ret_complete: a value has ended with it; *ret_more false: more bytes are needed. */
static enum err step(struct resp_parser *p, struct slice *data, bool *ret_complete, bool *ret_more)
{
    struct slice part;
    bool text = p->in_text;
    *ret_complete = false;
    *ret_more = text ? take_text(p, data, &part) : take_line(p, data, &part);
    if (buf_err(&p->kept))
        return buf_err(&p->kept) == ERR_NOMEM ? ERR_NOMEM : ERR_BACKEND_LOST;
    if (!*ret_more)
        return !text && p->kept.size > LINE_MAX_BYTES ? ERR_BACKEND_LOST : OK;
    if (!strip_crlf(&part))
        return ERR_BACKEND_LOST;
    p->in_text = false;
    *ret_complete = true;
    enum err e = OK;
    if (text)
        put_text(p, RESP_TEXT, part);
    else
        e = take_value(p, part, ret_complete);
    buf_reset(&p->kept);
    return e;
}

enum err resp_feed(struct resp_parser *p, struct slice *data, const struct resp **ret_reply, bool *ret_done)
{
    bool complete, more = true;
    *ret_done = false;
    while (data->size && more) {
        enum err e = step(p, data, &complete, &more);
        if (e)
            return e;
        if (complete && close_value(p)) {
            *ret_done = true;
            *ret_reply = p->arena ? &p->root : NULL;
            return OK;
        }
    }
    return OK;
}

bool resp_is_error(const struct resp *r, const char *kind)
{
    size_t size = strlen(kind);
    return r->kind == RESP_ERROR && slice_starts_with(r->text, slice_of(kind, size)) &&
           (r->text.size == size || r->text.data[size] == ' ');
}

const struct resp *resp_at(const struct resp *r, uint32_t index)
{
    static const struct resp nil = {.kind = RESP_NIL};
    return r->kind == RESP_ARRAY && index < r->count ? &r->items[index] : &nil;
}

enum err redis_error_of(const struct resp *r)
{
    static const char *const refused[] = {"LOADING",    "BUSY",     "MASTERDOWN", "CLUSTERDOWN", "READONLY",
                                          "NOREPLICAS", "TRYAGAIN", "MISCONF",    "UNKILLABLE",  "NOTREADY"};
    static const char *const denied[] = {"NOAUTH", "WRONGPASS", "NOPERM", "DENIED"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (resp_is_error(r, refused[i]))
            return ERR_BACKEND_REFUSED;
    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++)
        if (resp_is_error(r, denied[i]))
            return ERR_BACKEND_DENIED;
    if (resp_is_error(r, "OOM"))
        return ERR_STORE_FULL;
    if (slice_starts_with(r->text, SLICE("ERR max number of clients")))
        return ERR_BACKEND_REFUSED;
    return ERR_INTERNAL;
}

/* --- commands ---------------------------------------------------------------------------------------------------------------- */

void resp_command_init(struct resp_command *c, struct arena *arena)
{
    *c = (struct resp_command){.arena = arena};
}

static bool make_room(struct resp_command *c)
{
    if (c->count < c->capacity)
        return true;
    uint32_t capacity = c->capacity ? 2 * c->capacity : 16;
    struct slice *words = arena_grow(c->arena, c->words, c->capacity * sizeof *words, capacity * sizeof *words);
    if (!words)
        return false;
    c->words = words;
    c->capacity = capacity;
    return true;
}

void resp_put(struct resp_command *c, struct slice word)
{
    if (c->failed || !make_room(c)) {
        c->failed = true;
        return;
    }
    c->words[c->count++] = word;
    c->bytes += word.size + LENGTH_DIGITS + 5;
}

struct slice resp_decimal(struct arena *arena, int64_t value)
{
    enum { SIZE = 20 };
    uint8_t *text = arena_alloc(arena, SIZE);
    if (!text)
        return SLICE_EMPTY;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    unsigned at = SIZE;
    do
        text[--at] = (uint8_t)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        text[--at] = '-';
    return slice_of(text + at, SIZE - at);
}

void resp_put_integer(struct resp_command *c, int64_t value)
{
    struct slice text = resp_decimal(c->arena, value);
    c->failed |= !text.data;
    resp_put(c, text);
}

static uint8_t *put_length(uint8_t *at, char kind, size_t n)
{
    char digits[LENGTH_DIGITS];
    unsigned count = 0;
    do
        digits[count++] = (char)('0' + n % 10);
    while (n /= 10);
    *at++ = (uint8_t)kind;
    while (count)
        *at++ = (uint8_t)digits[--count];
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

enum err resp_command_finish(struct resp_command *c, struct slice *ret_bytes)
{
    uint8_t *out = c->failed ? NULL : arena_alloc(c->arena, c->bytes + LENGTH_DIGITS + 5), *at = out;
    if (!out)
        return ERR_NOMEM;
    at = put_length(at, '*', c->count);
    for (uint32_t i = 0; i < c->count; i++) {
        struct slice word = c->words[i];
        at = put_length(at, '$', word.size);
        if (word.size)
            memcpy(at, word.data, word.size);
        at += word.size;
        *at++ = '\r';
        *at++ = '\n';
    }
    *ret_bytes = slice_of(out, (size_t)(at - out));
    return OK;
}
