/* Well-known types in their own forms. Their shape was checked when the table was made, so rows are taken by position:
 * Timestamp and Duration {seconds, nanos}, Any {type_url, value}, FieldMask {paths}, wrappers {value}, Struct {fields},
 * ListValue {values}, Value {one of six}. */
#include <math.h>

#include "base/limits.h"
#include "pb/descriptor.h"
#include "pb/json_write.h"
#include "pb/time_text.h"

static const void *member(const struct pb_message *t, const void *message, uint32_t row)
{
    return (const uint8_t *)message + t->fields[row].offset;
}

static enum err write_time(struct json_writer *w, const struct pb_message *t, const void *message)
{
    int64_t seconds = *(const int64_t *)member(t, message, 0);
    int32_t nanos = *(const int32_t *)member(t, message, 1);
    buf_putc(w->out, '"');
    bool valid = t->well_known == PB_TIMESTAMP ? pb_timestamp_format(seconds, nanos, w->out)
                                               : pb_duration_format(seconds, nanos, w->out);
    buf_putc(w->out, '"');
    return valid ? buf_err(w->out) : ERR_JSON_MALFORMED;
}

/* foo_bar.baz → fooBar.baz. A path that would not come back the same has no JSON form. */
static enum err write_path(struct json_writer *w, struct slice path)
{
    for (size_t i = 0; i < path.size; i++) {
        char c = (char)path.data[i];
        bool lower_next = i + 1 < path.size && path.data[i + 1] >= 'a' && path.data[i + 1] <= 'z';
        if ((c >= 'A' && c <= 'Z') || (c == '_' && !lower_next) || c == ',' || c == '"' || c == '\\' ||
            (uint8_t)c < 0x20)
            return ERR_JSON_MALFORMED;
        if (c == '_')
            c = (char)(path.data[++i] - 'a' + 'A');
        buf_putc(w->out, c);
    }
    return OK;
}

static enum err write_mask(struct json_writer *w, const struct pb_message *t, const void *message)
{
    const struct pb_array *paths = member(t, message, 0);
    buf_putc(w->out, '"');
    for (uint32_t i = 0; i < paths->count; i++) {
        if (i > 0)
            buf_putc(w->out, ',');
        enum err err = write_path(w, PB_AT(*paths, struct slice, i));
        if (err)
            return err;
    }
    buf_putc(w->out, '"');
    return buf_err(w->out);
}

static enum err write_struct(struct json_writer *w, const struct pb_message *t, const void *message)
{
    const struct pb_message *entry_table = t->fields[0].message;
    const struct pb_array *entries = member(t, message, 0);
    bool comma = false;
    pb_json_open(w, '{');
    for (uint32_t i = 0; i < entries->count; i++) {
        const void *entry = PB_AT(*entries, const void *, i);
        pb_json_next(w, &comma);
        pb_json_key(w, *(const struct slice *)member(entry_table, entry, 0));
        enum err err = pb_json_write_value(w, &entry_table->fields[1], member(entry_table, entry, 1));
        if (err)
            return err;
    }
    pb_json_close(w, '}', !comma);
    return buf_err(w->out);
}

static enum err write_list_value(struct json_writer *w, const struct pb_message *t, const void *message)
{
    const struct pb_array *values = member(t, message, 0);
    bool comma = false;
    pb_json_open(w, '[');
    for (uint32_t i = 0; i < values->count; i++) {
        pb_json_next(w, &comma);
        enum err err = pb_json_write_message(w, t->fields[0].message, PB_AT(*values, const void *, i));
        if (err)
            return err;
    }
    pb_json_close(w, ']', !comma);
    return buf_err(w->out);
}

static enum err write_dynamic_value(struct json_writer *w, const struct pb_message *t, const void *message)
{
    for (uint32_t i = 0; i < t->field_count; i++) {
        const struct pb_field *f = &t->fields[i];
        if (!pb_has(f, message))
            continue;
        if (f->type == PB_DOUBLE && !isfinite(*(const double *)member(t, message, i)))
            return ERR_JSON_MALFORMED;
        if (f->type == PB_ENUM)
            break;
        return pb_json_write_value(w, f, member(t, message, i));
    }
    buf_puts(w->out, "null");
    return buf_err(w->out);
}

const struct pb_message *pb_json_any_type(const struct pb_json_options *options, struct slice url)
{
    const uint8_t *slash = url.size ? memrchr(url.data, '/', url.size) : NULL;
    if (!slash)
        return NULL;
    struct slice name = slice_skip(url, (size_t)(slash - url.data) + 1);
    const struct pb_message *t = options->types ? pb_pool_message(options->types, name) : NULL;
    return t ? t : pb_find_message((const char *)name.data, name.size);
}

static enum err write_any_content(struct json_writer *w, const struct pb_message *t, struct slice bytes, bool *comma)
{
    struct arena scratch;
    void *content;
    arena_init(&scratch, LIMIT_CALL_ARENA_BYTES);
    enum err err = pb_decode(t, bytes, &scratch, NULL, &content);
    if (err && err != ERR_NOMEM)
        err = ERR_JSON_MALFORMED;
    if (!err && t->well_known) {
        pb_json_next(w, comma);
        pb_json_key(w, SLICE("value"));
        err = pb_json_write_message(w, t, content);
    } else if (!err) {
        err = pb_json_write_fields(w, t, content, comma);
    }
    arena_fini(&scratch);
    return err;
}

static enum err write_any(struct json_writer *w, const struct pb_message *t, const void *message)
{
    struct slice url = *(const struct slice *)member(t, message, 0);
    struct slice bytes = *(const struct slice *)member(t, message, 1);
    if (url.size == 0 && bytes.size == 0) {
        buf_puts(w->out, "{}");
        return buf_err(w->out);
    }
    const struct pb_message *type = pb_json_any_type(w->options, url);
    if (!type)
        return ERR_JSON_MALFORMED;
    if (w->level >= LIMIT_JSON_DEPTH)
        return ERR_PB_DEPTH;
    bool comma = false;
    pb_json_open(w, '{');
    pb_json_next(w, &comma);
    pb_json_key(w, SLICE("@type"));
    pb_json_string(w, url);
    enum err err = write_any_content(w, type, bytes, &comma);
    pb_json_close(w, '}', false);
    return err ? err : buf_err(w->out);
}

enum err pb_json_write_known(struct json_writer *w, const struct pb_message *t, const void *message)
{
    switch ((enum pb_well_known)t->well_known) {
    case PB_TIMESTAMP:
    case PB_DURATION:
        return write_time(w, t, message);
    case PB_FIELD_MASK:
        return write_mask(w, t, message);
    case PB_STRUCT:
        return write_struct(w, t, message);
    case PB_LIST_VALUE:
        return write_list_value(w, t, message);
    case PB_VALUE:
        return write_dynamic_value(w, t, message);
    case PB_WRAPPER:
        return pb_json_write_value(w, &t->fields[0], member(t, message, 0));
    case PB_ANY:
        return write_any(w, t, message);
    case PB_NOT_WELL_KNOWN:
    case PB_EMPTY:
        break;
    }
    return ERR_INTERNAL;
}
