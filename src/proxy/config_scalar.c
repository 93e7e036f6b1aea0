/* One scalar of a configuration file into one field: what people write for each type. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytesize.h"
#include "base/duration.h"
#include "base/limits.h"
#include "google/protobuf/duration.pb.h"
#include "proxy/config_read.h"
#include "proxy/nearest.h"

enum { SHOWN_BYTES = 64 };

static bool is_secret(const struct pb_field *field)
{
    return field->rules && field->rules->mask_in_logs;
}

/* "`12 parsecs` is not …": the value as written, shortened, and never that of a secret. */
static void refuse(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field, const char *why)
{
    struct config_place place = {node->line, node->column};
    if (is_secret(field))
        config_report_add(r->report, place, r->path, "the value %s", why);
    else
        config_report_add(r->report, place, r->path, "`%.*s` %s",
                          (int)(node->text.size < SHOWN_BYTES ? node->text.size : SHOWN_BYTES),
                          (const char *)node->text.data, why);
}

bool config_is_size(const struct pb_field *field)
{
    static const char suffix[] = "_bytes";
    size_t n = strlen(field->name), m = sizeof suffix - 1;
    return (field->type == PB_UINT64 || field->type == PB_UINT32) && n > m && strcmp(field->name + n - m, suffix) == 0;
}

/* --- enums ------------------------------------------------------------------------------------------------------------------- */

/* How much of their names all values share, up to and with an underscore. */
static size_t shared_prefix(const struct pb_enum *e)
{
    const char *first = e->values[0].name;
    size_t n = strlen(first);
    for (uint32_t i = 1; i < e->count; i++)
        for (size_t k = 0; k < n; k++)
            if (first[k] != e->values[i].name[k])
                n = k;
    while (n > 0 && first[n - 1] != '_')
        n--;
    return n;
}

bool config_enum_text(const struct pb_enum *e, uint32_t index, char *out, size_t size)
{
    const char *name = e->values[index].name + shared_prefix(e);
    size_t n = strlen(name);
    if (n >= size)
        return false;
    for (size_t i = 0; i <= n; i++)
        out[i] = (char)tolower((unsigned char)name[i]);
    return true;
}

static void refuse_enum(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field)
{
    char why[256] = "is not one of: ", text[SHOWN_BYTES];
    const char *separator = "";
    for (uint32_t i = 0; i < field->enumeration->count; i++) {
        if (field->enumeration->values[i].number == 0 || !config_enum_text(field->enumeration, i, text, sizeof text))
            continue;
        size_t length = strlen(why);
        snprintf(why + length, sizeof why - length, "%s%s", separator, text);
        separator = ", ";
    }
    refuse(r, node, field, why);
}

/* 0 is "not given": nobody writes it. */
static void read_enum(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field, int32_t *out)
{
    char text[SHOWN_BYTES];
    for (uint32_t i = 0; i < field->enumeration->count; i++) {
        const struct pb_enum_value *value = &field->enumeration->values[i];
        if (value->number && config_enum_text(field->enumeration, i, text, sizeof text) &&
            slice_eq(slice_str(text), node->text)) {
            *out = value->number;
            return;
        }
    }
    refuse_enum(r, node, field);
}

/* --- numbers ----------------------------------------------------------------------------------------------------------------- */

static void read_bool(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field, bool *out)
{
    if (slice_eq(node->text, SLICE("true")))
        *out = true;
    else if (slice_eq(node->text, SLICE("false")))
        *out = false;
    else
        refuse(r, node, field, "is not true or false");
}

static bool parse_unsigned(struct slice text, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = text.data[i] - (unsigned)'0';
        if (digit > 9 || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return text.size > 0;
}

static bool parse_signed(struct slice text, int64_t min, int64_t max, int64_t *ret_value)
{
    bool negative = text.size && text.data[0] == '-';
    uint64_t size;
    if (!parse_unsigned(slice_skip(text, negative), negative ? (uint64_t) - (min + 1) + 1 : (uint64_t)max, &size))
        return false;
    *ret_value = negative ? (int64_t)(0 - size) : (int64_t)size;
    return true;
}

static void read_unsigned(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field,
                          void *out)
{
    bool wide = field->type == PB_UINT64 || field->type == PB_FIXED64;
    uint64_t max = wide ? UINT64_MAX : UINT32_MAX, value;
    bool good = config_is_size(field) ? bytesize_parse(node->text, &value) == OK && value <= max
                                      : parse_unsigned(node->text, max, &value);
    if (!good)
        refuse(r, node, field,
               config_is_size(field) ? "is not a size; write for example 64KiB, 4MiB or 512"
                                     : "is not a whole number from 0");
    else if (wide)
        *(uint64_t *)out = value;
    else
        *(uint32_t *)out = (uint32_t)value;
}

static void read_signed(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field, void *out)
{
    bool wide = field->type == PB_INT64 || field->type == PB_SINT64 || field->type == PB_SFIXED64;
    int64_t value;
    if (!parse_signed(node->text, wide ? INT64_MIN : INT32_MIN, wide ? INT64_MAX : INT32_MAX, &value))
        refuse(r, node, field, "is not a whole number");
    else if (wide)
        *(int64_t *)out = value;
    else
        *(int32_t *)out = (int32_t)value;
}

static void read_real(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field, void *out)
{
    char *end;
    double value = strtod((const char *)node->text.data, &end);
    if (!node->text.size || *end)
        refuse(r, node, field, "is not a number");
    else if (field->type == PB_DOUBLE)
        *(double *)out = value;
    else
        *(float *)out = (float)value;
}

static void read_duration(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field,
                          void *out)
{
    int64_t ns;
    if (duration_parse(node->text, &ns)) {
        refuse(r, node, field, "is not a duration; write for example 250ms, 30s or 1h30m");
        return;
    }
    struct google_protobuf_duration *duration = pb_new(field->message, r->arena);
    if (!duration) {
        r->report->out_of_memory = true;
        return;
    }
    duration->seconds = ns / 1000000000;
    duration->nanos = (int32_t)(ns % 1000000000);
    *(struct google_protobuf_duration **)out = duration;
}

/* --- text and secrets -------------------------------------------------------------------------------------------------------- */

static bool is_variable(struct slice text)
{
    return text.size > 3 && slice_starts_with(text, SLICE("${")) && text.data[text.size - 1] == '}';
}

static void read_variable(struct config_reader *r, const struct yaml_node *node, struct slice *out)
{
    struct config_place place = {node->line, node->column};
    char name[SHOWN_BYTES];
    struct slice inner = slice_of(node->text.data + 2, node->text.size - 3);
    snprintf(name, sizeof name, "%.*s", SLICE_ARG(inner));
    const char *value = r->environment(name);
    if (!value)
        config_report_add(r->report, place, r->path, "the environment variable %s is not set", name);
    else if (!arena_copy(r->arena, slice_str(value), out))
        r->report->out_of_memory = true;
}

static enum err read_file(const char *path, char *to, size_t size, size_t *ret_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    ssize_t n = read(fd, to, size);
    enum err e = n < 0 ? err_from_errno(errno) : OK;
    close(fd);
    if (!e)
        *ret_size = (size_t)n;
    return e;
}

/* Line ends behind the secret belong to the file, not to it. */
static void read_secret_file(struct config_reader *r, const struct yaml_node *node, struct slice *out)
{
    struct config_place place = {node->line, node->column};
    const char *path = (const char *)node->text.data + 5;
    char content[LIMIT_SECRET_BYTES + 1];
    size_t n = 0;
    if (read_file(path, content, sizeof content, &n))
        config_report_add(r->report, place, r->path, "the file %s could not be read: %s", path, strerror(errno));
    else if (n > LIMIT_SECRET_BYTES)
        config_report_add(r->report, place, r->path, "the file %s is longer than %d bytes", path, LIMIT_SECRET_BYTES);
    else {
        while (n > 0 && (content[n - 1] == '\n' || content[n - 1] == '\r'))
            n--;
        if (!arena_copy(r->arena, slice_of(content, n), out))
            r->report->out_of_memory = true;
    }
    explicit_bzero(content, sizeof content);
}

static void read_text(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field,
                      struct slice *out)
{
    if (is_secret(field) && is_variable(node->text))
        read_variable(r, node, out);
    else if (is_secret(field) && slice_starts_with(node->text, SLICE("file:")))
        read_secret_file(r, node, out);
    else if (!is_secret(field) && is_variable(node->text))
        refuse(r, node, field, "stays as it is: only secrets take variables; write the value itself");
    else if (memchr(node->text.data, '\0', node->text.size))
        refuse(r, node, field, "holds a NUL character");
    else
        *out = node->text;
}

void config_read_scalar(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field, void *out)
{
    if (node->kind != YAML_SCALAR) {
        config_refuse_kind(r, node, "single value");
        return;
    }
    switch ((enum pb_type)field->type) {
    case PB_STRING:
    case PB_BYTES:
        read_text(r, node, field, out);
        break;
    case PB_BOOL:
        read_bool(r, node, field, out);
        break;
    case PB_ENUM:
        read_enum(r, node, field, out);
        break;
    case PB_MESSAGE:
        read_duration(r, node, field, out);
        break;
    case PB_DOUBLE:
    case PB_FLOAT:
        read_real(r, node, field, out);
        break;
    case PB_UINT64:
    case PB_UINT32:
    case PB_FIXED64:
    case PB_FIXED32:
        read_unsigned(r, node, field, out);
        break;
    default:
        read_signed(r, node, field, out);
    }
}
