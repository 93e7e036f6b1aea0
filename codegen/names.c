/* From protobuf's names to C's. The rules are those on top of pb/pb.h. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "gen.h"

static void *must(void *allocated)
{
    if (allocated)
        return allocated;
    fputs("protoc-gen-prism: out of memory\n", stderr);
    exit(1);
}

const char *name_printf(struct gen *g, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(&g->arena, format, args);
    va_end(args);
    return must(text);
}

static bool starts_word(const char *text, size_t i)
{
    if (i == 0 || !isupper((unsigned char)text[i]) || text[i - 1] == '_' || text[i - 1] == '.')
        return false;
    return !isupper((unsigned char)text[i - 1]) || islower((unsigned char)text[i + 1]);
}

/* GetTTLRequest → get_ttl_request; a nested Outer.Inner → outer_inner. */
const char *name_snake(struct gen *g, const char *camel)
{
    size_t size = strlen(camel);
    char *out = must(arena_alloc(&g->arena, 2 * size + 1)), *to = out;
    for (size_t i = 0; i < size; i++) {
        if (starts_word(camel, i))
            *to++ = '_';
        *to++ = camel[i] == '.' ? '_' : (char)tolower((unsigned char)camel[i]);
    }
    *to = 0;
    return out;
}

const char *name_upper(struct gen *g, const char *text)
{
    char *out = must(arena_strdup(&g->arena, text));
    for (char *c = out; *c; c++)
        *c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
    return out;
}

static const char *identifier(struct gen *g, const char *text)
{
    char *out = must(arena_strdup(&g->arena, text));
    for (char *c = out; *c; c++)
        if (!isalnum((unsigned char)*c))
            *c = '_';
    return out;
}

const char *name_local(const struct pb_file *file, const char *full_name)
{
    size_t package = strlen(file->package);
    return package ? full_name + package + 1 : full_name;
}

static bool ours(const char *package)
{
    return strncmp(package, "prism.", 6) == 0;
}

static bool is_version(const char *component)
{
    return component[0] == 'v' && isdigit((unsigned char)component[1]);
}

/* prism.keyvalue.v1 → keyvalue_, google.rpc → google_rpc_. */
static const char *prefix(struct gen *g, const char *package)
{
    if (!*package)
        return "";
    if (!ours(package))
        return name_printf(g, "%s_", identifier(g, package));
    package += 6;
    const char *last = strrchr(package, '.');
    int size = last && is_version(last + 1) ? (int)(last - package) : (int)strlen(package);
    return identifier(g, name_printf(g, "%.*s_", size, package));
}

static const char *type_name(struct gen *g, const struct pb_file *file, const char *full_name)
{
    return name_printf(g, "%s%s", prefix(g, file->package), name_snake(g, name_local(file, full_name)));
}

const char *name_of_message(struct gen *g, const struct pb_message *m)
{
    return type_name(g, m->file, m->name);
}

const char *name_of_enum(struct gen *g, const struct pb_enum *e)
{
    return type_name(g, e->file, e->name);
}

const char *name_of_constants(struct gen *g, const struct pb_enum *e)
{
    const char *local = name_local(e->file, e->name);
    const char *dot = strrchr(local, '.');
    bool prism = ours(e->file->package) || strcmp(e->file->package, "prism") == 0;
    if (!dot)
        return prism ? "" : name_upper(g, prefix(g, e->file->package));
    const char *scope = name_snake(g, name_printf(g, "%.*s", (int)(dot - local), local));
    return name_upper(g, name_printf(g, "%s%s_", prefix(g, e->file->package), scope));
}

const char *name_of_service(struct gen *g, const struct pb_service *s)
{
    if (s->interface_id)
        return name_printf(g, "%s_service", s->interface_id);
    return name_printf(g, "%s_service", type_name(g, s->file, s->name));
}

static const char *stem(struct gen *g, const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? name_printf(g, "%.*s", (int)(dot - path), path) : path;
}

const char *name_of_file(struct gen *g, const struct pb_file *f)
{
    return name_printf(g, "%s_file", identifier(g, stem(g, f->name)));
}

const char *name_of_header(struct gen *g, const struct pb_file *f)
{
    const char *path = stem(g, f->name);
    if (!g->bootstrap)
        return name_printf(g, "%s.pb.h", path);
    const char *slash = strrchr(path, '/');
    return name_printf(g, "pb/bootstrap/%s.pb.h", slash ? slash + 1 : path);
}

const char *name_member(struct gen *g, const char *name)
{
    static const char *const taken[] = {
        "auto", "bool",     "break",    "case",   "char",     "const",  "continue", "default", "do",      "double",
        "else", "enum",     "extern",   "false",  "float",    "for",    "goto",     "if",      "inline",  "int",
        "long", "register", "restrict", "return", "short",    "signed", "sizeof",   "static",  "struct",  "switch",
        "true", "typedef",  "typeof",   "union",  "unsigned", "void",   "volatile", "while",   "unknown", "asm",
    };
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (strcmp(name, taken[i]) == 0)
            return name_printf(g, "%s_", name);
    return name;
}
