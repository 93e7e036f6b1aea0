/* Problems and the places that they refer to. */
#include "proxy/config_report.h"

#include <stdio.h>

void config_report_init(struct config_report *r, struct arena *arena, const char *file)
{
    *r = (struct config_report){.arena = arena, .file = file};
}

void config_report_mark(struct config_report *r, const char *path, struct config_place place, struct slice text)
{
    if (r->mark_count == r->mark_capacity) {
        uint32_t capacity = r->mark_capacity ? r->mark_capacity * 2 : 64;
        struct config_mark *grown =
            arena_grow(r->arena, r->marks, r->mark_capacity * sizeof *grown, capacity * sizeof *grown);
        if (!grown) {
            r->out_of_memory = true;
            return;
        }
        r->marks = grown;
        r->mark_capacity = capacity;
    }
    const char *copy = arena_strdup(r->arena, path);
    if (copy)
        r->marks[r->mark_count++] = (struct config_mark){copy, place, text};
    else
        r->out_of_memory = true;
}

void config_report_alias(struct config_report *r, const char *map_path, uint32_t index, const char *shown)
{
    struct config_alias *alias = arena_new(r->arena, struct config_alias);
    if (alias) {
        alias->path = arena_printf(r->arena, "%s[%u].value", map_path, index);
        alias->shown = arena_strdup(r->arena, shown);
    }
    if (!alias || !alias->path || !alias->shown) {
        r->out_of_memory = true;
        return;
    }
    alias->next = r->aliases;
    r->aliases = alias;
}

/* The path with map entries by name. */
static const char *shown_path(struct config_report *r, const char *path)
{
    for (const struct config_alias *a = r->aliases; a; a = a->next) {
        size_t n = strlen(a->path);
        if (strncmp(path, a->path, n) != 0 || (path[n] && path[n] != '.' && path[n] != '['))
            continue;
        const char *shown = arena_printf(r->arena, "%s%s", a->shown, path + n);
        return shown ? shown : path;
    }
    return path;
}

static void add(struct config_report *r, struct config_place place, const char *path, const char *format, va_list args)
{
    if (r->total++ >= CONFIG_PROBLEMS_MAX)
        return;
    struct config_problem problem = {place, arena_strdup(r->arena, path), arena_vprintf(r->arena, format, args)};
    if (problem.path && problem.message)
        r->problems[r->count++] = problem;
    else
        r->out_of_memory = true;
}

void config_report_add(struct config_report *r, struct config_place place, const char *path, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(r, place, path, format, args);
    va_end(args);
}

/* "a.b[2].c" → "a.b[2]" → "a.b" → "a" → "" → false */
static bool to_parent(char *path)
{
    size_t n = strlen(path);
    if (n == 0)
        return false;
    while (n > 0 && path[n - 1] != '.' && path[n - 1] != '[')
        n--;
    path[n ? n - 1 : 0] = '\0';
    return true;
}

static const struct config_mark *find_mark(const struct config_report *r, const char *path)
{
    for (uint32_t i = 0; i < r->mark_count; i++)
        if (strcmp(r->marks[i].path, path) == 0)
            return &r->marks[i];
    return NULL;
}

struct config_place config_report_place(const struct config_report *r, const char *path)
{
    char at[CONFIG_PATH_BYTES];
    if ((size_t)snprintf(at, sizeof at, "%s", path) >= sizeof at)
        return (struct config_place){0};
    do {
        const struct config_mark *mark = find_mark(r, at);
        if (mark)
            return mark->place;
    } while (to_parent(at));
    return (struct config_place){0};
}

void config_report_at(struct config_report *r, const char *path, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    path = shown_path(r, path);
    add(r, config_report_place(r, path), path, format, args);
    va_end(args);
}

void config_report_rule(struct config_report *r, const char *path, const char *says)
{
    const struct config_mark *mark = find_mark(r, shown_path(r, path));
    if (mark && mark->text.size)
        config_report_at(r, path, "`%.*s` %s", mark->text.size < 64 ? (int)mark->text.size : 64,
                         (const char *)mark->text.data, says);
    else
        config_report_at(r, path, "%s", says);
}

static bool is_before(struct config_place a, struct config_place b)
{
    return a.line != b.line ? a.line < b.line : a.column < b.column;
}

void config_report_sort(struct config_report *r)
{
    for (uint32_t i = 1; i < r->count; i++)
        for (uint32_t k = i; k > 0 && is_before(r->problems[k].place, r->problems[k - 1].place); k--) {
            struct config_problem swapped = r->problems[k];
            r->problems[k] = r->problems[k - 1];
            r->problems[k - 1] = swapped;
        }
}

enum err config_report_err(const struct config_report *r)
{
    if (r->total)
        return ERR_CONFIG_INVALID;
    return r->out_of_memory ? ERR_NOMEM : OK;
}

static void print_place(const struct config_report *r, const struct config_problem *p, struct buf *out)
{
    if (r->file)
        buf_printf(out, "%s:", r->file);
    if (p->place.line)
        buf_printf(out, "%u:%u:", p->place.line, p->place.column);
    if (r->file || p->place.line)
        buf_putc(out, ' ');
}

void config_report_print(const struct config_report *r, struct buf *out)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct config_problem *p = &r->problems[i];
        print_place(r, p, out);
        buf_printf(out, "%s%s%s\n", p->path, *p->path ? ": " : "", p->message);
    }
    if (r->total > r->count)
        buf_printf(out, "and %u more\n", r->total - r->count);
}

enum err config_report_diag(const struct config_report *r, struct diag *d)
{
    enum err e = config_report_err(r);
    if (e != ERR_CONFIG_INVALID)
        return e ? diag_set(d, e, "%s", err_row(e)->text) : OK;
    const struct config_problem *first = &r->problems[0];
    diag_set(d, e, "%s has %u problem%s: %s:%u:%u: %s: %s", r->file ? r->file : "the configuration", r->total,
             r->total == 1 ? "" : "s, the first", r->file ? r->file : "", first->place.line, first->place.column,
             first->path, first->message);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct config_problem *p = &r->problems[i];
        diag_field(d, *p->path ? p->path : ".", "%s:%u:%u: %s", r->file ? r->file : "", p->place.line, p->place.column,
                   p->message);
    }
    return e;
}
