/* Well-known types from their own forms. Rows are taken by position, as json_write_known.c does. */
#include "pb/json_read.h"
#include "pb/json_write.h"
#include "pb/time_text.h"

static void *member(const struct pb_message *t, void *message, uint32_t row)
{
    return (uint8_t *)message + t->fields[row].offset;
}

static bool read_time(struct json_reader *r, const struct pb_message *t, void *message)
{
    struct slice text;
    int64_t *seconds = member(t, message, 0);
    int32_t *nanos = member(t, message, 1);
    if (!pb_json_read_string(r, &text))
        return false;
    if (t->well_known == PB_TIMESTAMP)
        return pb_timestamp_parse(text, seconds, nanos) ||
               pb_json_fail(r, "expected a time like 2006-01-02T15:04:05.999Z");
    return pb_duration_parse(text, seconds, nanos) || pb_json_fail(r, "expected a duration like 1.5s");
}

/* fooBar.baz → foo_bar.baz. */
static bool read_path(struct json_reader *r, struct slice camel, struct slice *ret_path)
{
    char *path = arena_alloc(r->arena, 2 * camel.size + 1), *to = path;
    if (!path)
        return pb_json_nomem(r);
    for (size_t i = 0; i < camel.size; i++) {
        char c = (char)camel.data[i];
        if (c == '_' || c < '.' || c == '/')
            return pb_json_fail(r, "a field mask is written in lowerCamelCase");
        if (c >= 'A' && c <= 'Z') {
            *to++ = '_';
            c = (char)(c - 'A' + 'a');
        }
        *to++ = c;
    }
    *ret_path = slice_of(path, (size_t)(to - path));
    return true;
}

static bool read_mask(struct json_reader *r, const struct pb_message *t, void *message)
{
    struct slice text;
    if (!pb_json_read_string(r, &text))
        return false;
    while (text.size) {
        const uint8_t *comma = memchr(text.data, ',', text.size);
        size_t size = comma ? (size_t)(comma - text.data) : text.size;
        struct slice *path = pb_array_add(member(t, message, 0), sizeof *path, r->arena);
        if (!path)
            return pb_json_nomem(r);
        if (!read_path(r, slice_take(text, size), path))
            return false;
        text = slice_skip(text, size + (comma != NULL));
        if (path->size == 0 || (comma && text.size == 0))
            return pb_json_fail(r, "an empty path in a field mask");
    }
    return true;
}

static uint32_t row_of_value(const struct pb_message *t, uint8_t first)
{
    enum pb_type type = PB_DOUBLE;
    if (first == 'n')
        type = PB_ENUM;
    else if (first == '"')
        type = PB_STRING;
    else if (first == 't' || first == 'f')
        type = PB_BOOL;
    else if (first == '{' || first == '[')
        return first == '{' ? 4 : 5;
    uint32_t row = 0;
    while (t->fields[row].type != type)
        row++;
    return row;
}

static bool read_dynamic_value(struct json_reader *r, const struct pb_message *t, void *message)
{
    uint32_t row = row_of_value(t, pb_json_peek(r));
    const struct pb_field *f = &t->fields[row];
    bool skipped = false;
    *(uint32_t *)(void *)((uint8_t *)message + f->presence) = f->number;
    return pb_json_read_value(r, f, member(t, message, row), &skipped);
}

/* --- Any -------------------------------------------------------------------------------------------------------------------- */

/* Looks ahead: "@type" may stand anywhere in the object. The reader comes back to where it was. */
static bool find_type(struct json_reader *r, struct slice *ret_url, bool *ret_empty)
{
    struct json_reader ahead = *r;
    struct slice key;
    bool found = false;
    *ret_empty = true;
    bool ok = pb_json_enter(&ahead, '{');
    for (bool first = true; ok && pb_json_more(&ahead, '}', &first);) {
        ok = pb_json_read_key(&ahead, &key);
        bool is_type = ok && slice_eq(key, SLICE("@type"));
        *ret_empty = false;
        if (is_type && found)
            return pb_json_fail(r, "@type twice");
        found |= is_type;
        ok = ok && (is_type ? pb_json_read_string(&ahead, ret_url) : pb_json_skip(&ahead));
    }
    r->err = ahead.err;
    if (!r->err && !found && !*ret_empty)
        return pb_json_fail(r, "@type is missing");
    return !r->err;
}

/* {"@type": …, "value": …}: a well-known type inside. */
static bool read_known_content(struct json_reader *r, const struct pb_message *t, void **ret_content)
{
    struct slice key;
    bool found = false;
    if (!pb_json_enter(r, '{'))
        return false;
    for (bool first = true; pb_json_more(r, '}', &first);) {
        if (!pb_json_read_key(r, &key))
            return false;
        if (slice_eq(key, SLICE("value")) && !found) {
            found = true;
            if (!pb_json_read_message(r, t, ret_content))
                return false;
        } else if (!slice_eq(key, SLICE("@type")) && !r->options->ignore_unknown) {
            return pb_json_fail(r, "expected only @type and value");
        } else if (!pb_json_skip(r)) {
            return false;
        }
    }
    return !r->err && (found || pb_json_fail(r, "value is missing"));
}

static bool read_content(struct json_reader *r, const struct pb_message *t, void **ret_content)
{
    if (t->well_known)
        return read_known_content(r, t, ret_content);
    *ret_content = pb_new(t, r->arena);
    return *ret_content ? pb_json_read_fields(r, t, *ret_content, "@type") : pb_json_nomem(r);
}

static bool encode_content(struct json_reader *r, const struct pb_message *t, const void *content,
                           struct slice *ret_bytes)
{
    size_t size = pb_encoded_size(t, content);
    uint8_t *bytes = arena_alloc(r->arena, size);
    if (!bytes)
        return pb_json_nomem(r);
    pb_encode_back(t, content, bytes + size);
    *ret_bytes = slice_of(bytes, size);
    return true;
}

static bool read_any(struct json_reader *r, const struct pb_message *t, void *message)
{
    struct slice *url = member(t, message, 0);
    bool empty;
    void *content;
    if (!find_type(r, url, &empty))
        return false;
    if (empty)
        return pb_json_skip(r);
    const struct pb_message *type = pb_json_any_type(r->options, *url);
    if (!type)
        return pb_json_fail(r, "the type %.*s is not known here", SLICE_ARG(slice_take(*url, 200)));
    return read_content(r, type, &content) && encode_content(r, type, content, member(t, message, 1));
}

bool pb_json_read_known(struct json_reader *r, const struct pb_message *t, void *message)
{
    bool skipped = false;
    switch ((enum pb_well_known)t->well_known) {
    case PB_TIMESTAMP:
    case PB_DURATION:
        return read_time(r, t, message);
    case PB_FIELD_MASK:
        return read_mask(r, t, message);
    case PB_STRUCT:
        return pb_json_read_entries(r, t->fields[0].message, member(t, message, 0));
    case PB_LIST_VALUE:
        return pb_json_read_items(r, &t->fields[0], member(t, message, 0));
    case PB_VALUE:
        return read_dynamic_value(r, t, message);
    case PB_WRAPPER:
        return pb_json_read_value(r, &t->fields[0], member(t, message, 0), &skipped);
    case PB_ANY:
        return read_any(r, t, message);
    case PB_EMPTY:
    case PB_NOT_WELL_KNOWN:
        break;
    }
    return pb_json_read_fields(r, t, message, NULL);
}
