/* Reads specs, line by line: words, then what the first of them asks for. Levels are kept as a stack of ends of lists. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "spec.h"

enum { WORDS_MAX = 8, INDENT = 2 };

struct reader {
    struct spec *spec;
    const char *file;
    unsigned line;
    char *words[WORDS_MAX];
    int count;
    struct spec_api *api; /* whose messages follow */
    struct spec_message *message;
    struct spec_field **end[SPEC_LEVELS];   /* where the next field of a level goes */
    struct spec_field *parent[SPEC_LEVELS]; /* NULL: the message */
    int levels;                             /* that may be filled */
};

__attribute__((format(printf, 2, 3))) _Noreturn static void complain(const struct reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%u: ", r->file, r->line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static int number(const struct reader *r, const char *text, const char **ret_end)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || value < 0 || value >= NEVER)
        complain(r, "\"%s\" is not a number", text);
    *ret_end = end;
    return (int)value;
}

/* "4", "4-16", "4+" (up to last). */
static void read_versions(const struct reader *r, const char *text, int last, int *ret_first, int *ret_last)
{
    const char *end;
    *ret_first = *ret_last = number(r, text, &end);
    if (*end == '+' && !end[1]) {
        *ret_last = last;
        return;
    }
    if (*end == '-')
        *ret_last = number(r, end + 1, &end);
    if (*end || *ret_last < *ret_first)
        complain(r, "\"%s\" are not versions", text);
}

/* --- messages --------------------------------------------------------------------------------------------------------------- */

static void add_message(struct reader *r, const char *title, int first, int last, int flexible)
{
    struct spec_message *m = spec_must(arena_new(&r->spec->arena, struct spec_message)), **end = &r->spec->messages;
    *m = (struct spec_message){
        title, spec_printf(r->spec, "kafka_%s", spec_snake(r->spec, title)), first, last, flexible, NULL, NULL};
    while (*end)
        end = &(*end)->next;
    *end = r->message = m;
    r->end[0] = &m->fields;
    r->parent[0] = NULL;
    r->levels = 1;
}

/* api KEY NAME VERSIONS [flexible VERSIONS] */
static void read_api(struct reader *r)
{
    const char *end;
    int unused;
    struct spec_api *a = spec_must(arena_new(&r->spec->arena, struct spec_api)), **at = &r->spec->apis;
    if (r->count != 4 && r->count != 6)
        complain(r, "api KEY NAME VERSIONS [flexible VERSIONS]");
    a->key = number(r, r->words[1], &end);
    a->title = r->words[2];
    a->name = spec_snake(r->spec, a->title);
    a->flexible = NEVER;
    read_versions(r, r->words[3], NEVER, &a->first, &a->last);
    if (r->count == 6)
        read_versions(r, r->words[5], a->last, &a->flexible, &unused);
    while (*at && (*at)->key < a->key)
        at = &(*at)->next;
    if (*at && (*at)->key == a->key)
        complain(r, "the key %d is %s's", a->key, (*at)->title);
    a->next = *at;
    *at = r->api = a;
    r->message = NULL;
}

static void read_api_message(struct reader *r, const char *what, struct spec_message **of)
{
    const struct spec_api *a = r->api;
    if (*of || r->count != 1)
        complain(r, "one %s an api", what);
    add_message(r, spec_printf(r->spec, "%s%s", a->title, what), a->first, a->last, a->flexible);
    *of = r->message;
}

static void read_message(struct reader *r)
{
    int first, last;
    if (r->count != 3)
        complain(r, "message NAME VERSIONS");
    read_versions(r, r->words[2], NEVER, &first, &last);
    add_message(r, r->words[1], first, last, NEVER);
}

/* --- fields ----------------------------------------------------------------------------------------------------------------- */

static enum spec_kind kind_of(const char *type)
{
    static const char *const names[] = {"bool",  "int8", "int16",  "uint16", "int32",
                                        "int64", "uuid", "string", "bytes",  "records"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(type, names[i]) == 0)
            return (enum spec_kind)i;
    return SPEC_STRUCT;
}

/* "[]topic?1+" */
static void read_type(struct reader *r, struct spec_field *f, char *type)
{
    char *question = strchr(type, '?');
    int unused;
    f->null_first = question ? f->first : NEVER;
    if (question && question[1])
        read_versions(r, question + 1, f->last, &f->null_first, &unused);
    if (question)
        *question = 0;
    f->array = strncmp(type, "[]", 2) == 0;
    f->kind = kind_of(type + (f->array ? 2 : 0));
    if (f->kind == SPEC_STRUCT)
        f->element = spec_printf(r->spec, "%s_%s", r->message->name, type + (f->array ? 2 : 0));
    if (question && !f->array && f->kind != SPEC_STRING && f->kind != SPEC_BYTES && f->kind != SPEC_RECORDS)
        complain(r, "a %s cannot be null", type);
}

/* [VERSIONS] [tag N] [= DEFAULT] */
static int read_field_versions(struct reader *r, struct spec_field *f, const struct spec_field *parent)
{
    f->first = parent ? parent->first : r->message->first;
    f->last = parent ? parent->last : r->message->last;
    if (r->count < 3 || !isdigit((unsigned char)r->words[2][0]))
        return 2;
    read_versions(r, r->words[2], f->last, &f->first, &f->last);
    return 3;
}

static void read_options(struct reader *r, struct spec_field *f, int i)
{
    const char *end;
    for (; i + 1 < r->count; i += 2)
        if (strcmp(r->words[i], "tag") == 0)
            f->tag = number(r, r->words[i + 1], &end);
        else if (strcmp(r->words[i], "=") == 0)
            f->initial = strcmp(r->words[i + 1], "min") == 0 ? "INT32_MIN" : r->words[i + 1];
        else
            break;
    if (i != r->count)
        complain(r, "what is \"%s\"?", r->words[i]);
}

static void check_field(const struct reader *r, const struct spec_field *f)
{
    if (f->initial && (f->array || f->kind > SPEC_INT64))
        complain(r, "only numbers have a default other than 0 and null");
    if (f->kind == SPEC_STRUCT && !f->array && f->tag < 0)
        complain(r, "a struct is tagged, or in an array");
    if (f->tag >= 0 && f->kind == SPEC_RECORDS)
        complain(r, "records are not tagged");
    if (f->tag >= 0 && f->first < r->message->flexible)
        complain(r, "there are no tags before version %d", r->message->flexible);
}

static void read_field(struct reader *r, int level)
{
    if (!r->message || level >= r->levels || r->count < 2)
        complain(r, "a field of nothing");
    struct spec_field *f = spec_must(arena_new(&r->spec->arena, struct spec_field));
    f->name = r->words[0];
    f->tag = -1;
    int next = read_field_versions(r, f, r->parent[level]);
    read_type(r, f, r->words[1]);
    read_options(r, f, next);
    check_field(r, f);
    *r->end[level] = f;
    r->end[level] = &f->next;
    r->levels = level + 1;
    if (f->kind == SPEC_STRUCT && level + 1 < SPEC_LEVELS) {
        r->parent[r->levels] = f;
        r->end[r->levels++] = &f->fields;
    }
}

/* --- lines ------------------------------------------------------------------------------------------------------------------ */

static void read_top(struct reader *r)
{
    if (strcmp(r->words[0], "api") == 0)
        read_api(r);
    else if (strcmp(r->words[0], "message") == 0)
        read_message(r);
    else if (strcmp(r->words[0], "request") == 0 && r->api)
        read_api_message(r, "Request", &r->api->request);
    else if (strcmp(r->words[0], "response") == 0 && r->api)
        read_api_message(r, "Response", &r->api->response);
    else
        complain(r, "what is \"%s\"?", r->words[0]);
}

static void split(struct reader *r, char *line)
{
    r->count = 0;
    for (char *word; (word = strsep(&line, " ")) != NULL;) {
        if (!*word)
            continue;
        if (r->count == WORDS_MAX)
            complain(r, "too many words");
        r->words[r->count++] = word;
    }
}

void spec_read(struct spec *s, const char *file, struct slice text)
{
    struct reader r = {.spec = s, .file = file};
    char *rest = (char *)(uintptr_t)text.data;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        r.line++;
        int indent = (int)strspn(line, " ");
        line[strcspn(line, "#")] = 0;
        split(&r, line);
        if (r.count && indent % INDENT)
            complain(&r, "an odd number of blanks");
        if (r.count && indent)
            read_field(&r, indent / INDENT - 1);
        else if (r.count)
            read_top(&r);
    }
}
