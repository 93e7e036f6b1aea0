/* Reading JSON text (RFC 8259): the cursor over it, its tokens, and where an error is. Internal to pb.
 *
 * The whole text is checked to be UTF-8 before the first token. Functions that fail have set reader.err and the diag. */
#ifndef PRISM_PB_JSON_TEXT_H
#define PRISM_PB_JSON_TEXT_H

#include "pb/pb.h"

/* Where the reader is inside the message: on the stack of the functions that read, innermost first. */
struct json_step {
    const struct json_step *outer;
    struct slice key; /* data NULL: an item of a list */
    uint32_t index;
};

struct json_reader {
    const uint8_t *p, *end;
    const uint8_t *begin;
    const uint8_t *token; /* begin of the newest token: where errors are */
    const struct pb_json_options *options;
    struct arena *arena;
    struct diag *diag;
    const struct json_step *path;
    uint32_t depth; /* levels that may still be opened */
    enum err err;
};

/* Notes the error with path, line and column. Returns false. */
bool pb_json_fail(struct json_reader *, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool pb_json_nomem(struct json_reader *);

/* The first byte of the next token, 0 at the end. */
uint8_t pb_json_peek(struct json_reader *);
/* Takes one character if it is next. */
bool pb_json_take(struct json_reader *, char c);
bool pb_json_expect(struct json_reader *, char c);
/* Takes true, false, null if it is next. */
bool pb_json_take_word(struct json_reader *, const char *word);
/* A string without its quotes; borrowed from the text where it has no escapes. */
bool pb_json_read_string(struct json_reader *, struct slice *ret_text);
/* The characters of a number. */
bool pb_json_read_number(struct json_reader *, struct slice *ret_text);
/* Over a value of any kind. */
bool pb_json_skip(struct json_reader *);

/* For the braces and brackets of nested values: opens one level, and steps from one element to the next.
 *     if (!pb_json_enter(r, '{')) ...
 *     for (bool first = true; pb_json_more(r, '}', &first);) ...
 *     then r->err tells whether the end was reached */
bool pb_json_enter(struct json_reader *, char bracket);
bool pb_json_more(struct json_reader *, char bracket, bool *first);
/* "key": of an object. */
bool pb_json_read_key(struct json_reader *, struct slice *ret_key);

/* Whether all of text is one number as JSON writes it. */
bool pb_json_is_number(struct slice text);
/* An integer written in any form that JSON has for numbers, also 1e3 and 5.0. false: not integral, or not between
 * -2^63 and 2^64 - 1. */
bool pb_json_integer(struct slice number, bool *ret_negative, uint64_t *ret_magnitude);

#endif
