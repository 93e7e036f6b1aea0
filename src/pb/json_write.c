/* Messages as ProtoJSON. Fields in order of number. Numbers are the shortest that read back the same.
 * Source: protobuf.dev/programming-guides/json. */
#include "pb/json_write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/json.h"

/* --- punctuation ------------------------------------------------------------------------------------------------------------ */

static void line_break(struct json_writer *w)
{
    if (!w->options->pretty)
        return;
    buf_putc(w->out, '\n');
    for (uint32_t i = 0; i < w->level; i++)
        buf_puts(w->out, "  ");
}

void pb_json_open(struct json_writer *w, char bracket)
{
    buf_putc(w->out, bracket);
    w->level++;
}

void pb_json_close(struct json_writer *w, char bracket, bool empty)
{
    w->level--;
    if (!empty)
        line_break(w);
    buf_putc(w->out, bracket);
}

void pb_json_next(struct json_writer *w, bool *comma)
{
    if (*comma)
        buf_putc(w->out, ',');
    *comma = true;
    line_break(w);
}

void pb_json_string(struct json_writer *w, struct slice text)
{
    buf_putc(w->out, '"');
    json_escape(w->out, text);
    buf_putc(w->out, '"');
}

void pb_json_key(struct json_writer *w, struct slice key)
{
    pb_json_string(w, key);
    buf_puts(w->out, w->options->pretty ? ": " : ":");
}

/* --- scalars ---------------------------------------------------------------------------------------------------------------- */

/* "-0" is an integer to many readers, and an integer has no negative zero. */
static void write_double(struct json_writer *w, double value)
{
    if (value == 0 && signbit(value)) {
        buf_puts(w->out, "-0.0");
        return;
    }
    struct json j = json_to(w->out);
    json_double(&j, value);
}

static void write_float(struct json_writer *w, float value)
{
    if (!isfinite(value) || value == 0) {
        write_double(w, value);
        return;
    }
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    buf_puts(w->out, text);
}

static void write_bytes(struct json_writer *w, struct slice bytes)
{
    size_t size = base64_encoded_size(bytes.size, BASE64_STD);
    buf_putc(w->out, '"');
    char *to = (char *)buf_reserve(w->out, size + 1);
    if (to) {
        base64_encode(bytes, BASE64_STD, to);
        buf_advance(w->out, size);
    }
    buf_putc(w->out, '"');
}

static void write_enum(struct json_writer *w, const struct pb_enum *e, int32_t number)
{
    const char *name = pb_enum_name(e, number);
    if (strcmp(e->name, "google.protobuf.NullValue") == 0)
        buf_puts(w->out, "null");
    else if (name)
        pb_json_string(w, slice_str(name));
    else
        buf_printf(w->out, "%d", number);
}

enum err pb_json_write_value(struct json_writer *w, const struct pb_field *f, const void *value)
{
    switch ((enum pb_type)f->type) {
    case PB_DOUBLE:
        write_double(w, *(const double *)value);
        break;
    case PB_FLOAT:
        write_float(w, *(const float *)value);
        break;
    case PB_INT64:
    case PB_SINT64:
    case PB_SFIXED64:
        buf_printf(w->out, "\"%lld\"", *(const long long *)value);
        break;
    case PB_UINT64:
    case PB_FIXED64:
        buf_printf(w->out, "\"%llu\"", *(const unsigned long long *)value);
        break;
    case PB_INT32:
    case PB_SINT32:
    case PB_SFIXED32:
        buf_printf(w->out, "%d", *(const int32_t *)value);
        break;
    case PB_UINT32:
    case PB_FIXED32:
        buf_printf(w->out, "%u", *(const uint32_t *)value);
        break;
    case PB_BOOL:
        buf_puts(w->out, *(const bool *)value ? "true" : "false");
        break;
    case PB_STRING:
        pb_json_string(w, *(const struct slice *)value);
        break;
    case PB_BYTES:
        write_bytes(w, *(const struct slice *)value);
        break;
    case PB_ENUM:
        write_enum(w, f->enumeration, *(const int32_t *)value);
        break;
    case PB_MESSAGE:
        return pb_json_write_message(w, f->message, *(const void *const *)value);
    case PB_GROUP:
        return ERR_INTERNAL;
    }
    return buf_err(w->out);
}

/* --- fields ----------------------------------------------------------------------------------------------------------------- */

static enum err write_list(struct json_writer *w, const struct pb_field *f, const struct pb_array *array)
{
    bool comma = false;
    size_t item_size = pb_item_size(f);
    pb_json_open(w, '[');
    for (uint32_t i = 0; i < array->count; i++) {
        pb_json_next(w, &comma);
        enum err err = pb_json_write_value(w, f, (const uint8_t *)array->items + i * item_size);
        if (err)
            return err;
    }
    pb_json_close(w, ']', array->count == 0);
    return OK;
}

/* Keys are strings, whatever their type. */
static enum err write_map_key(struct json_writer *w, const struct pb_field *key, const uint8_t *value)
{
    bool quoted = key->type == PB_STRING || pb_item_size(key) == 8;
    if (!quoted)
        buf_putc(w->out, '"');
    enum err err = pb_json_write_value(w, key, value);
    if (!quoted)
        buf_putc(w->out, '"');
    buf_puts(w->out, w->options->pretty ? ": " : ":");
    return err;
}

static enum err write_map(struct json_writer *w, const struct pb_field *f, const struct pb_array *map)
{
    const struct pb_field *key = &f->message->fields[0], *value = &f->message->fields[1];
    bool comma = false;
    pb_json_open(w, '{');
    for (uint32_t i = 0; i < map->count; i++) {
        const uint8_t *entry = PB_AT(*map, const uint8_t *, i);
        pb_json_next(w, &comma);
        enum err err = write_map_key(w, key, entry + key->offset);
        if (!err)
            err = pb_json_write_value(w, value, entry + value->offset);
        if (err)
            return err;
    }
    pb_json_close(w, '}', map->count == 0);
    return OK;
}

static bool is_masked(const struct json_writer *w, const struct pb_field *f)
{
    return w->options->mask && f->rules && (f->rules->mask_in_logs || f->rules->pii);
}

static enum err write_field(struct json_writer *w, const struct pb_field *f, const uint8_t *message)
{
    pb_json_key(w, slice_str(w->options->proto_names ? f->name : f->json_name));
    if (is_masked(w, f)) {
        buf_puts(w->out, "\"***\"");
        return OK;
    }
    const void *value = message + f->offset;
    if (f->card == PB_MAP)
        return write_map(w, f, value);
    if (f->card == PB_REPEATED)
        return write_list(w, f, value);
    return pb_json_write_value(w, f, value);
}

/* With the option `defaults`: what has no presence of its own is written too. */
static bool has_default_form(const struct pb_field *f)
{
    if (f->card == PB_REPEATED || f->card == PB_MAP)
        return true;
    return f->card == PB_SINGULAR && f->type != PB_MESSAGE;
}

enum err pb_json_write_fields(struct json_writer *w, const struct pb_message *t, const void *message, bool *comma)
{
    for (uint32_t i = 0; i < t->field_count; i++) {
        const struct pb_field *f = &t->fields[i];
        if (!pb_has(f, message) && !(w->options->defaults && has_default_form(f)))
            continue;
        pb_json_next(w, comma);
        enum err err = write_field(w, f, message);
        if (err)
            return err;
    }
    return buf_err(w->out);
}

enum err pb_json_write_message(struct json_writer *w, const struct pb_message *t, const void *message)
{
    if (message && t->well_known && t->well_known != PB_EMPTY)
        return pb_json_write_known(w, t, message);
    bool comma = false;
    pb_json_open(w, '{');
    enum err err = message ? pb_json_write_fields(w, t, message, &comma) : OK;
    pb_json_close(w, '}', !comma);
    return err ? err : buf_err(w->out);
}

enum err pb_json_write(const struct pb_message *t, const void *message, const struct pb_json_options *options,
                       struct buf *out)
{
    static const struct pb_json_options none;
    struct json_writer w = {.options = options ? options : &none, .out = out};
    return pb_json_write_message(&w, t, message);
}
