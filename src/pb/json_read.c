/* ProtoJSON into messages, by recursive descent along the tables.
 *
 * Refused besides what is not JSON: a key twice, by whichever of its two names; two members of a oneof; unknown keys and enum
 * names (unless asked to ignore them); null inside lists and maps; numbers out of range or with a fraction for an integer.
 * Source: protobuf.dev/programming-guides/json, and the conformance tests of the protobuf project. */
#include "pb/json_read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "pb/map.h"

/* --- scalars ---------------------------------------------------------------------------------------------------------------- */

/* A number, bare or in quotes. */
static bool read_number_text(struct json_reader *r, struct slice *ret_text)
{
    if (pb_json_peek(r) != '"')
        return pb_json_read_number(r, ret_text);
    if (!pb_json_read_string(r, ret_text))
        return false;
    return pb_json_is_number(*ret_text) || pb_json_fail(r, "expected a number");
}

static bool read_signed(struct json_reader *r, int64_t min, int64_t max, int64_t *ret_value)
{
    struct slice text;
    bool negative;
    uint64_t magnitude;
    if (!read_number_text(r, &text))
        return false;
    uint64_t limit = text.data[0] == '-' ? (uint64_t)0 - (uint64_t)min : (uint64_t)max;
    if (!pb_json_integer(text, &negative, &magnitude) || magnitude > limit)
        return pb_json_fail(r, "%.*s is not a whole number between %lld and %lld", SLICE_ARG(slice_take(text, 40)),
                            (long long)min, (long long)max);
    *ret_value = (int64_t)(negative ? (uint64_t)0 - magnitude : magnitude);
    return true;
}

static bool read_unsigned(struct json_reader *r, uint64_t max, uint64_t *ret_value)
{
    struct slice text;
    bool negative;
    if (!read_number_text(r, &text))
        return false;
    if (!pb_json_integer(text, &negative, ret_value) || *ret_value > max || (negative && *ret_value))
        return pb_json_fail(r, "%.*s is not a whole number between 0 and %llu", SLICE_ARG(slice_take(text, 40)),
                            (unsigned long long)max);
    return true;
}

static bool read_int32(struct json_reader *r, int32_t *slot)
{
    int64_t value;
    if (!read_signed(r, INT32_MIN, INT32_MAX, &value))
        return false;
    *slot = (int32_t)value;
    return true;
}

static bool read_uint32(struct json_reader *r, uint32_t *slot)
{
    uint64_t value;
    if (!read_unsigned(r, UINT32_MAX, &value))
        return false;
    *slot = (uint32_t)value;
    return true;
}

static bool word_number(struct slice text, double *ret_value)
{
    if (slice_eq(text, SLICE("NaN")))
        *ret_value = NAN;
    else if (slice_eq(text, SLICE("Infinity")))
        *ret_value = INFINITY;
    else if (slice_eq(text, SLICE("-Infinity")))
        *ret_value = -INFINITY;
    else
        return false;
    return true;
}

/* strtod needs a NUL behind the number; what follows a bare one in the text may be a digit of nothing else, but a borrowed
 * string may end the input. Long numbers are copied into the arena. */
static bool convert(struct json_reader *r, struct slice text, bool single, double *ret_value)
{
    struct slice copy;
    char small[64];
    const char *c = small;
    if (text.size < sizeof small) {
        memcpy(small, text.data, text.size);
        small[text.size] = 0;
    } else if (arena_copy(r->arena, text, &copy)) {
        c = (const char *)copy.data;
    } else {
        return pb_json_nomem(r);
    }
    *ret_value = single ? (double)strtof(c, NULL) : strtod(c, NULL);
    return isfinite(*ret_value) || pb_json_fail(r, "%.*s is out of range", SLICE_ARG(slice_take(text, 40)));
}

static bool read_real(struct json_reader *r, bool single, double *ret_value)
{
    struct slice text;
    if (pb_json_peek(r) != '"')
        return pb_json_read_number(r, &text) && convert(r, text, single, ret_value);
    if (!pb_json_read_string(r, &text))
        return false;
    if (word_number(text, ret_value))
        return true;
    return pb_json_is_number(text) ? convert(r, text, single, ret_value) : pb_json_fail(r, "expected a number");
}

static bool read_float(struct json_reader *r, float *slot)
{
    double value;
    if (!read_real(r, true, &value))
        return false;
    *slot = (float)value;
    return true;
}

static bool read_bool(struct json_reader *r, bool *slot)
{
    *slot = pb_json_take_word(r, "true");
    return *slot || pb_json_take_word(r, "false") || pb_json_fail(r, "expected true or false");
}

static bool read_bytes(struct json_reader *r, struct slice *slot)
{
    struct slice text;
    size_t size;
    if (!pb_json_read_string(r, &text))
        return false;
    uint8_t *bytes = arena_alloc(r->arena, base64_decoded_max(text.size));
    if (!bytes)
        return pb_json_nomem(r);
    if (base64_decode(text, BASE64_ANY, bytes, &size))
        return pb_json_fail(r, "not base64");
    *slot = slice_of(bytes, size);
    return true;
}

/* Skipped: an unknown name that the options say to ignore. */
static bool read_enum(struct json_reader *r, const struct pb_enum *e, int32_t *slot, bool *ret_skipped)
{
    struct slice name;
    if (strcmp(e->name, "google.protobuf.NullValue") == 0 && pb_json_take_word(r, "null"))
        return true;
    if (pb_json_peek(r) != '"')
        return read_int32(r, slot);
    if (!pb_json_read_string(r, &name))
        return false;
    const struct pb_enum_value *value = pb_enum_by_name(e, (const char *)name.data, name.size);
    if (!value && !r->options->ignore_unknown)
        return pb_json_fail(r, "%.*s is not a value of %s", SLICE_ARG(slice_take(name, 80)), e->name);
    *ret_skipped = !value;
    if (value)
        *slot = value->number;
    return true;
}

bool pb_json_read_value(struct json_reader *r, const struct pb_field *f, void *slot, bool *ret_skipped)
{
    switch ((enum pb_type)f->type) {
    case PB_DOUBLE:
        return read_real(r, false, slot);
    case PB_FLOAT:
        return read_float(r, slot);
    case PB_INT64:
    case PB_SINT64:
    case PB_SFIXED64:
        return read_signed(r, INT64_MIN, INT64_MAX, slot);
    case PB_UINT64:
    case PB_FIXED64:
        return read_unsigned(r, UINT64_MAX, slot);
    case PB_INT32:
    case PB_SINT32:
    case PB_SFIXED32:
        return read_int32(r, slot);
    case PB_UINT32:
    case PB_FIXED32:
        return read_uint32(r, slot);
    case PB_BOOL:
        return read_bool(r, slot);
    case PB_STRING:
        return pb_json_read_string(r, slot);
    case PB_BYTES:
        return read_bytes(r, slot);
    case PB_ENUM:
        return read_enum(r, f->enumeration, slot, ret_skipped);
    case PB_MESSAGE:
        return pb_json_read_message(r, f->message, slot);
    case PB_GROUP:
        break;
    }
    return pb_json_fail(r, "groups have no JSON form");
}

/* --- lists and maps --------------------------------------------------------------------------------------------------------- */

bool pb_json_takes_null(const struct pb_field *f)
{
    return (f->type == PB_MESSAGE && f->message->well_known == PB_VALUE) ||
           (f->type == PB_ENUM && strcmp(f->enumeration->name, "google.protobuf.NullValue") == 0);
}

static bool refuse_null(struct json_reader *r, const struct pb_field *f)
{
    return pb_json_peek(r) != 'n' || pb_json_takes_null(f) || pb_json_fail(r, "null is not a value here");
}

bool pb_json_read_items(struct json_reader *r, const struct pb_field *f, struct pb_array *array)
{
    struct json_step step = {.outer = r->path};
    size_t item_size = pb_item_size(f);
    if (!pb_json_enter(r, '['))
        return false;
    r->path = &step;
    for (bool first = true; pb_json_more(r, ']', &first); step.index++) {
        bool skipped = false;
        void *slot = pb_array_add(array, item_size, r->arena);
        if (!slot)
            return pb_json_nomem(r);
        if (!refuse_null(r, f) || !pb_json_read_value(r, f, slot, &skipped))
            return false;
        array->count -= skipped;
    }
    r->path = step.outer;
    return !r->err;
}

/* A map's key stands in quotes: what is inside is read as the key's type. */
static bool read_map_key(struct json_reader *r, const struct pb_field *f, struct slice text, void *slot)
{
    if (f->type == PB_STRING) {
        *(struct slice *)slot = text;
        return true;
    }
    struct json_reader inner = *r;
    inner.p = inner.begin = text.data;
    inner.end = text.data + text.size;
    inner.diag = NULL;
    bool skipped;
    bool ok = text.size && pb_json_read_value(&inner, f, slot, &skipped) && inner.p == inner.end;
    if (inner.err == ERR_NOMEM)
        return pb_json_nomem(r);
    return ok || pb_json_fail(r, "not a key of this map");
}

/* NULL: failed. */
static void *add_entry(struct json_reader *r, const struct pb_message *t, struct pb_array *map)
{
    void *entry = pb_new(t, r->arena);
    void **slot = entry ? pb_array_add(map, sizeof *slot, r->arena) : NULL;
    if (!slot) {
        pb_json_nomem(r);
        return NULL;
    }
    *slot = entry;
    return entry;
}

static bool read_entry(struct json_reader *r, const struct pb_message *t, struct slice key, struct pb_array *map)
{
    const struct pb_field *value = &t->fields[1];
    bool skipped = false;
    uint8_t *entry = add_entry(r, t, map);
    if (!entry || !read_map_key(r, &t->fields[0], key, entry + t->fields[0].offset) || !refuse_null(r, value) ||
        !pb_json_read_value(r, value, entry + value->offset, &skipped))
        return false;
    map->count -= skipped;
    return true;
}

bool pb_json_read_entries(struct json_reader *r, const struct pb_message *t, struct pb_array *map)
{
    struct json_step step = {.outer = r->path};
    if (!pb_json_enter(r, '{'))
        return false;
    r->path = &step;
    for (bool first = true; pb_json_more(r, '}', &first);)
        if (!pb_json_read_key(r, &step.key) || !read_entry(r, t, step.key, map))
            return false;
    r->path = step.outer;
    uint32_t count = map->count;
    if (!r->err && count > 1 && pb_map_unique(map, t, r->arena))
        return pb_json_nomem(r);
    return !r->err && (map->count == count || pb_json_fail(r, "a key twice"));
}

/* --- messages --------------------------------------------------------------------------------------------------------------- */

/* Which fields have been seen. */
struct seen {
    uint64_t small;
    uint8_t *large; /* where a message has more than 64 fields */
};

static bool mark_seen(struct json_reader *r, const struct pb_message *t, struct seen *seen, const struct pb_field *f)
{
    size_t i = (size_t)(f - t->fields);
    bool before;
    if (t->field_count <= 64) {
        before = seen->small >> i & 1;
        seen->small |= 1ULL << i;
    } else {
        if (!seen->large && !(seen->large = arena_zalloc(r->arena, t->field_count)))
            return pb_json_nomem(r);
        before = seen->large[i];
        seen->large[i] = 1;
    }
    return !before || pb_json_fail(r, "a key twice");
}

static bool read_single(struct json_reader *r, const struct pb_field *f, uint8_t *message)
{
    uint32_t *oneof_case = f->card == PB_ONEOF ? (uint32_t *)(void *)(message + f->presence) : NULL;
    bool skipped = false;
    if (oneof_case && *oneof_case)
        return pb_json_fail(r, "another member of %s is set already", f->oneof);
    if (!pb_json_read_value(r, f, message + f->offset, &skipped))
        return false;
    if (skipped)
        return true;
    if (oneof_case)
        *oneof_case = f->number;
    else if (f->card == PB_OPTIONAL)
        *(bool *)(message + f->presence) = true;
    return true;
}

static bool read_field(struct json_reader *r, const struct pb_field *f, uint8_t *message)
{
    if (pb_json_peek(r) == 'n' && (f->card == PB_REPEATED || f->card == PB_MAP || !pb_json_takes_null(f)))
        return pb_json_take_word(r, "null") || pb_json_fail(r, "expected a value");
    struct pb_array *array = (struct pb_array *)(void *)(message + f->offset);
    if (f->card == PB_REPEATED)
        return pb_json_read_items(r, f, array);
    if (f->card == PB_MAP)
        return pb_json_read_entries(r, f->message, array);
    return read_single(r, f, message);
}

static bool read_member(struct json_reader *r, const struct pb_message *t, struct slice key, struct seen *seen,
                        void *message)
{
    const struct pb_field *f = pb_field_by_name(t, (const char *)key.data, key.size);
    if (f)
        return mark_seen(r, t, seen, f) && read_field(r, f, message);
    if (!r->options->ignore_unknown)
        return pb_json_fail(r, "%s has no such field", t->name);
    return pb_json_skip(r);
}

bool pb_json_read_fields(struct json_reader *r, const struct pb_message *t, void *message, const char *passed_key)
{
    struct json_step step = {.outer = r->path};
    struct seen seen = {0, NULL};
    if (!pb_json_enter(r, '{'))
        return false;
    r->path = &step;
    for (bool first = true; pb_json_more(r, '}', &first);) {
        if (!pb_json_read_key(r, &step.key))
            return false;
        bool passed = passed_key && slice_eq(step.key, slice_str(passed_key));
        if (passed ? !pb_json_skip(r) : !read_member(r, t, step.key, &seen, message))
            return false;
    }
    r->path = step.outer;
    return !r->err;
}

bool pb_json_read_message(struct json_reader *r, const struct pb_message *t, void **ret_message)
{
    void *message = pb_new(t, r->arena);
    if (!message)
        return pb_json_nomem(r);
    if (t->well_known ? !pb_json_read_known(r, t, message) : !pb_json_read_fields(r, t, message, NULL))
        return false;
    *ret_message = message;
    return true;
}

enum err pb_json_read(const struct pb_message *t, struct slice json, const struct pb_json_options *options,
                      struct arena *a, struct diag *diag, void **ret_message)
{
    static const struct pb_json_options none;
    struct json_reader r = {
        .p = json.data,
        .end = json.size ? json.data + json.size : json.data,
        .begin = json.data,
        .options = options ? options : &none,
        .arena = a,
        .diag = diag,
        .depth = LIMIT_JSON_DEPTH,
    };
    void *message;
    if (!utf8_valid(json))
        return diag_set(diag, ERR_JSON_MALFORMED, "the text is not UTF-8");
    if (!pb_json_read_message(&r, t, &message))
        return r.err;
    if (pb_json_peek(&r) || r.p < r.end) {
        pb_json_fail(&r, "something follows the value");
        return r.err;
    }
    *ret_message = message;
    return OK;
}
