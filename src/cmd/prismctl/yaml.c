/* JSON text to YAML: the same values in block style. The JSON comes from pb_json_write and is valid; nesting is bounded by it.
 * Strings stay in double quotes, which YAML reads as JSON does, unless they are plain words that no reader takes for something
 * else (a number, true, null, a date). */
#include <ctype.h>

#include "cli.h"

struct walk {
    const char *at;
    const char *end;
    struct buf *out;
};

static void skip_space(struct walk *w)
{
    while (w->at < w->end && isspace((unsigned char)*w->at))
        w->at++;
}

/* The text of a string with its quotes, or of a number or a word. */
static struct slice scalar(struct walk *w)
{
    const char *start = w->at;
    if (*w->at == '"') {
        for (w->at++; w->at < w->end && *w->at != '"'; w->at++)
            w->at += *w->at == '\\';
        w->at++;
    } else {
        while (w->at < w->end && !strchr(",]} \n\t\r", *w->at))
            w->at++;
    }
    return slice_of(start, (size_t)(w->at - start));
}

static bool is_word(const char *text, size_t size, const char *word)
{
    return strlen(word) == size && strncasecmp(text, word, size) == 0;
}

static bool is_plain(struct slice quoted)
{
    const char *text = (const char *)quoted.data + 1;
    size_t size = quoted.size - 2;
    static const char *const taken[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (is_word(text, size, taken[i]))
            return false;
    if (size == 0 || !isalpha((unsigned char)text[0]))
        return false;
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("_-./", text[i]))
            return false;
    return true;
}

static void put_scalar(struct walk *w)
{
    struct slice text = scalar(w);
    if (text.data[0] == '"' && is_plain(text))
        text = slice_of(text.data + 1, text.size - 2);
    buf_put_slice(w->out, text);
}

static void indent(struct walk *w, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        buf_puts(w->out, "  ");
}

static void value(struct walk *w, unsigned depth, bool in_list);

/* Behind "key:": a scalar on the same line, a block on the next ones. */
static void put_member(struct walk *w, unsigned depth)
{
    put_scalar(w);
    skip_space(w);
    w->at++; /* : */
    skip_space(w);
    buf_putc(w->out, ':');
    bool block = *w->at == '{' || *w->at == '[';
    const char *next = w->at + 1;
    while (block && next < w->end && isspace((unsigned char)*next))
        next++;
    bool empty = block && (*next == '}' || *next == ']');
    buf_putc(w->out, block && !empty ? '\n' : ' ');
    value(w, block && !empty ? depth + 1 : depth, false);
}

static void object(struct walk *w, unsigned depth, bool in_list)
{
    w->at++;
    skip_space(w);
    if (*w->at == '}') {
        buf_puts(w->out, "{}\n");
        w->at++;
        return;
    }
    for (bool first = true;; first = false) {
        if (!first || !in_list)
            indent(w, depth);
        put_member(w, depth);
        skip_space(w);
        if (*w->at++ == '}')
            return;
        skip_space(w);
    }
}

static void array(struct walk *w, unsigned depth)
{
    w->at++;
    skip_space(w);
    if (*w->at == ']') {
        buf_puts(w->out, "[]\n");
        w->at++;
        return;
    }
    for (;;) {
        indent(w, depth);
        buf_puts(w->out, "- ");
        value(w, depth + 1, true);
        skip_space(w);
        if (*w->at++ == ']')
            return;
        skip_space(w);
    }
}

static void value(struct walk *w, unsigned depth, bool in_list)
{
    skip_space(w);
    if (*w->at == '{') {
        object(w, depth, in_list);
    } else if (*w->at == '[') {
        if (in_list) /* a list in a list: on lines of its own */
            buf_putc(w->out, '\n');
        array(w, depth);
    } else {
        put_scalar(w);
        buf_putc(w->out, '\n');
    }
}

void yaml_from_json(struct slice json, struct buf *out)
{
    struct walk w = {(const char *)json.data, (const char *)json.data + json.size, out};
    value(&w, 0, false);
}
