/* Prism's field rules (prism/options.proto) over a message and all messages in it.
 *
 * `required` asks for presence. Every other rule looks at values that are present, so that an absent field may keep meaning
 * the default. A rule of a repeated field counts its items with min, max and max_length, and checks each item with the rest. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "pb/wire.h"

/* A rule's word: "min:3" is {min, 3}. */
struct rule {
    struct slice name, argument;
};

struct path_step {
    const struct path_step *outer;
    const char *name;
    int64_t index; /* -1: none */
};

struct validator {
    struct diag *diag;
    uint32_t violations;
    enum err err;
};

static void check_message(struct validator *, const struct pb_message *, const void *message,
                          const struct path_step *outer);

/* --- reporting -------------------------------------------------------------------------------------------------------------- */

static void put_path(const struct path_step *step, struct buf *b)
{
    if (!step)
        return;
    put_path(step->outer, b);
    buf_printf(b, "%s%s", b->size ? "." : "", step->name);
    if (step->index >= 0)
        buf_printf(b, "[%lld]", (long long)step->index);
}

static void violate(struct validator *v, const struct path_step *step, const char *text)
{
    struct buf path;
    v->err = ERR_FIELD_INVALID;
    if (!v->diag || v->violations >= LIMIT_FIELD_VIOLATIONS)
        return;
    buf_init(&path, 4096);
    put_path(step, &path);
    buf_putc(&path, 0);
    const char *name = buf_err(&path) ? step->name : (const char *)path.data;
    if (v->violations++ == 0)
        diag_set(v->diag, ERR_FIELD_INVALID, "%s %s", name, text);
    diag_field(v->diag, name, "%s", text);
    buf_fini(&path);
}

/* Text made for one violation; where there is no memory the short form has to do. */
static void violate_with(struct validator *v, const struct path_step *step, const char *text, struct slice argument)
{
    const char *full =
        v->diag && v->diag->arena ? arena_printf(v->diag->arena, "%s %.*s", text, SLICE_ARG(argument)) : NULL;
    violate(v, step, full ? full : text);
}

/* --- forms of text ---------------------------------------------------------------------------------------------------------- */

static bool all(struct slice s, bool (*fits)(int c))
{
    for (size_t i = 0; i < s.size; i++)
        if (!fits(s.data[i]))
            return false;
    return true;
}

static bool is_visible(int c)
{
    return c > 0x20 && c != 0x7f;
}

static bool is_name_char(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

static bool is_name(struct slice s)
{
    return s.size && s.data[0] != '-' && s.data[s.size - 1] != '-' && all(s, is_name_char);
}

/* One @ with something before it and a host with a dot behind: what is worth checking without asking the mail server. */
static bool is_email(struct slice s)
{
    const uint8_t *at = s.size ? memchr(s.data, '@', s.size) : NULL;
    if (!at || at == s.data || s.size > 254 || !all(s, is_visible))
        return false;
    struct slice host = slice_skip(s, (size_t)(at - s.data) + 1);
    const uint8_t *dot = host.size ? memchr(host.data, '.', host.size) : NULL;
    return dot && dot != host.data && host.data[host.size - 1] != '.' && !memchr(host.data, '@', host.size);
}

/* RFC 9562: 8-4-4-4-12 hexadecimal digits. */
static bool is_uuid(struct slice s)
{
    if (s.size != 36)
        return false;
    for (size_t i = 0; i < s.size; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? s.data[i] != '-' : !isxdigit(s.data[i]))
            return false;
    }
    return true;
}

static bool is_url(struct slice s)
{
    size_t scheme = slice_starts_with(s, SLICE("https://")) ? 8 : slice_starts_with(s, SLICE("http://")) ? 7 : 0;
    return scheme && s.size > scheme && s.data[scheme] != '/' && all(s, is_visible);
}

/* "host:port", "[::1]:port", ":port" not. Port 0 lets the system choose. */
static bool is_host_port(struct slice s)
{
    const uint8_t *colon = s.size ? memrchr(s.data, ':', s.size) : NULL;
    if (!colon || colon == s.data || !all(s, is_visible))
        return false;
    struct slice host = slice_take(s, (size_t)(colon - s.data)), port = slice_skip(s, host.size + 1);
    bool bracketed = host.data[0] == '[';
    if (bracketed ? host.size < 3 || host.data[host.size - 1] != ']' : memchr(host.data, ':', host.size) != NULL)
        return false;
    unsigned value = 0;
    for (size_t i = 0; i < port.size && value <= 65535; i++) {
        if (port.data[i] < '0' || port.data[i] > '9')
            return false;
        value = value * 10 + port.data[i] - '0';
    }
    return port.size && value <= 65535;
}

static bool is_one_of(struct slice s, struct slice choices)
{
    while (choices.size) {
        const uint8_t *bar = memchr(choices.data, '|', choices.size);
        size_t size = bar ? (size_t)(bar - choices.data) : choices.size;
        if (slice_eq(s, slice_take(choices, size)))
            return true;
        choices = slice_skip(choices, size + (bar != NULL));
    }
    return false;
}

/* Names of forms, and what a value must be to have them. */
static const struct {
    const char *name;
    bool (*fits)(struct slice);
    const char *text;
} forms[] = {
    {"email", is_email, "must be an email address"},
    {"uuid", is_uuid, "must be a UUID"},
    {"url", is_url, "must be an http or https URL"},
    {"host_port", is_host_port, "must be HOST:PORT"},
    {"name", is_name, "must be lower-case letters, digits and hyphens, with none at the ends"},
};

static void check_form(struct validator *v, const struct rule *rule, struct slice text, const struct path_step *step)
{
    if (slice_eq(rule->name, SLICE("one_of"))) {
        if (!is_one_of(text, rule->argument))
            violate_with(v, step, "must be one of", rule->argument);
        return;
    }
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (slice_eq(rule->name, slice_str(forms[i].name)) && !forms[i].fits(text))
            violate(v, step, forms[i].text);
}

/* --- bounds ----------------------------------------------------------------------------------------------------------------- */

/* A long double holds every 64-bit integer and every double exactly. */
static long double number_of(const struct pb_field *f, const void *value)
{
    switch ((enum pb_type)f->type) {
    case PB_DOUBLE:
        return *(const double *)value;
    case PB_FLOAT:
        return *(const float *)value;
    case PB_INT64:
    case PB_SINT64:
    case PB_SFIXED64:
        return *(const int64_t *)value;
    case PB_UINT64:
    case PB_FIXED64:
        return *(const uint64_t *)value;
    case PB_UINT32:
    case PB_FIXED32:
        return *(const uint32_t *)value;
    case PB_BOOL:
        return *(const bool *)value;
    case PB_STRING:
    case PB_BYTES:
        return ((const struct slice *)value)->size;
    case PB_MESSAGE:
    case PB_GROUP:
        return 0;
    default:
        return *(const int32_t *)value;
    }
}

static bool is_bound(const struct rule *rule)
{
    return slice_eq(rule->name, SLICE("min")) || slice_eq(rule->name, SLICE("max"));
}

/* unit: what is counted, " bytes", " items" or "". NaN is inside no bounds. */
static void check_bound(struct validator *v, const struct rule *rule, long double value, const char *unit,
                        const struct path_step *step)
{
    char text[64];
    bool min = slice_eq(rule->name, SLICE("min"));
    struct slice argument = slice_take(rule->argument, sizeof text - 1);
    memcpy(text, argument.data, argument.size);
    text[argument.size] = 0;
    long double bound = strtold(text, NULL);
    if (min ? value >= bound : value <= bound)
        return;
    const char *full = *unit ? (min ? "must have at least this many" : "must have at most this many")
                             : (min ? "must be at least" : "must be at most");
    const char *wording = v->diag && v->diag->arena && *unit ? arena_printf(v->diag->arena, "%s%s:", full, unit) : full;
    violate_with(v, step, wording ? wording : full, argument);
}

/* --- fields ----------------------------------------------------------------------------------------------------------------- */

/* The next word of "min:1 one_of:a|b". */
static bool next_rule(const char **text, struct rule *ret_rule)
{
    while (**text == ' ')
        (*text)++;
    if (!**text)
        return false;
    size_t size = strcspn(*text, " ");
    struct slice word = slice_of(*text, size);
    const uint8_t *colon = memchr(word.data, ':', size);
    ret_rule->name = colon ? slice_take(word, (size_t)(colon - word.data)) : word;
    ret_rule->argument = slice_skip(word, ret_rule->name.size + 1);
    *text += size;
    return true;
}

static bool is_text(const struct pb_field *f)
{
    return f->type == PB_STRING || f->type == PB_BYTES;
}

/* Rules of one value; bounds only where they are the value's and not the list's. */
static void check_value(struct validator *v, const struct pb_field *f, const void *value, bool bounds,
                        const struct path_step *step)
{
    const char *rules = f->rules ? f->rules->validation : NULL;
    struct rule rule;
    while (rules && next_rule(&rules, &rule)) {
        if (!is_bound(&rule)) {
            if (is_text(f))
                check_form(v, &rule, *(const struct slice *)value, step);
        } else if (bounds) {
            check_bound(v, &rule, number_of(f, value), is_text(f) ? " bytes" : "", step);
        }
    }
    if (f->type == PB_MESSAGE)
        check_message(v, f->message, *(const void *const *)value, step);
}

static void check_max_length(struct validator *v, const struct pb_field *f, size_t size, const char *unit,
                             const struct path_step *step)
{
    char text[64];
    if (!f->rules || !f->rules->max_length || size <= f->rules->max_length)
        return;
    snprintf(text, sizeof text, "has %zu %s, at most %u are allowed", size, unit, f->rules->max_length);
    violate(v, step, text);
}

static void check_items(struct validator *v, const struct pb_field *f, const struct pb_array *array,
                        struct path_step *step)
{
    const char *rules = f->rules ? f->rules->validation : NULL;
    struct rule rule;
    check_max_length(v, f, array->count, "items", step);
    while (rules && next_rule(&rules, &rule))
        if (is_bound(&rule))
            check_bound(v, &rule, array->count, " items", step);
    if (f->type != PB_MESSAGE && !rules)
        return;
    size_t item_size = pb_item_size(f);
    for (uint32_t i = 0; i < array->count && v->violations < LIMIT_FIELD_VIOLATIONS; i++) {
        step->index = i;
        check_value(v, f, (const uint8_t *)array->items + i * item_size, false, step);
    }
    step->index = -1;
}

static void check_field(struct validator *v, const struct pb_field *f, const uint8_t *message,
                        const struct path_step *outer)
{
    struct path_step step = {.outer = outer, .name = f->name, .index = -1};
    const void *value = message + f->offset;
    if (!pb_has(f, message)) {
        if (f->rules && f->rules->required)
            violate(v, &step, "is required");
        return;
    }
    if (f->card == PB_REPEATED || f->card == PB_MAP) {
        check_items(v, f, value, &step);
        return;
    }
    bool empty = is_text(f) && ((const struct slice *)value)->size == 0;
    if (empty && f->rules && f->rules->required && f->card != PB_OPTIONAL)
        violate(v, &step, "is required");
    if (is_text(f))
        check_max_length(v, f, ((const struct slice *)value)->size, "bytes", &step);
    check_value(v, f, value, true, &step);
}

static void check_message(struct validator *v, const struct pb_message *t, const void *message,
                          const struct path_step *outer)
{
    for (uint32_t i = 0; message && i < t->field_count && v->violations < LIMIT_FIELD_VIOLATIONS; i++)
        check_field(v, &t->fields[i], message, outer);
}

enum err pb_validate(const struct pb_message *t, const void *message, struct diag *diag)
{
    struct validator v = {.diag = diag};
    check_message(&v, t, message, NULL);
    return v.err;
}
