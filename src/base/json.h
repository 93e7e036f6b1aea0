/* Writes JSON (RFC 8259) into a buffer: log lines, the health page, what the command line prints. Messages have their own
 * writer (pb_json_write).
 *
 *   struct json j = json_to(&buf);
 *   json_object(&j);
 *   json_key(&j, "name"), json_str(&j, name);
 *   json_end_object(&j);
 *   if (buf_err(&buf)) ...
 *
 * Commas are its business, nesting is the caller's. Bytes that are not UTF-8 become U+FFFD, so that the text is always valid.
 * Thread: one at a time. */
#ifndef PRISM_BASE_JSON_H
#define PRISM_BASE_JSON_H

#include "base/buf.h"

struct json {
    struct buf *out;
    bool comma; /* something stands before the next value */
};

static inline struct json json_to(struct buf *out)
{
    return (struct json){.out = out};
}

void json_object(struct json *);
void json_end_object(struct json *);
void json_array(struct json *);
void json_end_array(struct json *);
void json_key(struct json *, const char *key);
void json_str(struct json *, struct slice);
void json_text(struct json *, const char *text); /* NULL: null */
void json_int(struct json *, int64_t);
void json_uint(struct json *, uint64_t);
/* The shortest digits that read back the same; what JSON has no number for becomes "NaN", "Infinity", "-Infinity". */
void json_double(struct json *, double);
void json_bool(struct json *, bool);
void json_null(struct json *);

/* The characters of s as they stand between the quotes of a JSON string. */
void json_escape(struct buf *, struct slice s);

#endif
