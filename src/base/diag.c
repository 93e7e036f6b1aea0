#include "base/diag.h"

void diag_init(struct diag *d, struct arena *arena)
{
    *d = (struct diag){.arena = arena};
}

static const char *format_text(struct diag *d, const char *format, va_list args)
{
    return d->arena ? arena_vprintf(d->arena, format, args) : NULL;
}

enum err diag_set(struct diag *d, enum err err, const char *format, ...)
{
    if (!d)
        return err;
    diag_init(d, d->arena);
    d->err = err;
    va_list args;
    va_start(args, format);
    d->message = format_text(d, format, args);
    va_end(args);
    return err;
}

void diag_wrap(struct diag *d, const char *format, ...)
{
    if (!d || !d->arena)
        return;
    va_list args;
    va_start(args, format);
    const char *prefix = format_text(d, format, args);
    va_end(args);
    const char *joined = prefix ? arena_printf(d->arena, "%s: %s", prefix, diag_message(d)) : NULL;
    if (joined)
        d->message = joined;
}

static void append(struct diag *d, struct diag_item **list, const char *name, const char *format, va_list args)
{
    struct diag_item *item = d && d->arena ? arena_new(d->arena, struct diag_item) : NULL;
    if (!item)
        return;
    item->name = arena_strdup(d->arena, name);
    item->value = format_text(d, format, args);
    if (!item->name || !item->value)
        return;
    while (*list)
        list = &(*list)->next;
    *list = item;
}

void diag_field(struct diag *d, const char *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    append(d, d ? &d->fields : NULL, field, format, args);
    va_end(args);
}

void diag_meta(struct diag *d, const char *key, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    append(d, d ? &d->metadata : NULL, key, format, args);
    va_end(args);
}

void diag_precondition(struct diag *d, const char *type, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    append(d, d ? &d->preconditions : NULL, type, format, args);
    va_end(args);
}

void diag_resource(struct diag *d, const char *type, const char *name)
{
    if (!d || !d->arena)
        return;
    d->resource_type = arena_strdup(d->arena, type);
    d->resource_name = arena_strdup(d->arena, name);
    if (!d->resource_name)
        d->resource_type = NULL;
}

const char *diag_message(const struct diag *d)
{
    return d->message ? d->message : err_row(d->err)->text;
}
