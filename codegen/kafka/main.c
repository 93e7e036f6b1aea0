/* usage: kafka-tables FOLDER SPEC...     writes FOLDER/messages.h and FOLDER/messages.c; spec.h says of what */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "spec.h"

static void die(const char *file)
{
    fprintf(stderr, "kafka-tables: %s: %s\n", file, strerror(errno));
    exit(1);
}

void *spec_must(void *allocated)
{
    if (allocated)
        return allocated;
    fputs("kafka-tables: out of memory\n", stderr);
    exit(1);
}

const char *spec_printf(struct spec *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(&s->arena, format, args);
    va_end(args);
    return spec_must(text);
}

const char *spec_snake(struct spec *s, const char *camel)
{
    char *out = spec_must(arena_alloc(&s->arena, 2 * strlen(camel) + 1)), *to = out;
    for (const char *c = camel; *c; c++) {
        if (isupper((unsigned char)*c) && c > camel)
            *to++ = '_';
        *to++ = (char)tolower((unsigned char)*c);
    }
    *to = 0;
    return out;
}

const char *spec_upper(struct spec *s, const char *text)
{
    char *out = spec_must(arena_strdup(&s->arena, text));
    for (char *c = out; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return out;
}

static void read_file(struct spec *s, const char *file)
{
    FILE *in = fopen(file, "r");
    struct buf text;
    struct slice copy;
    char part[4096];
    if (!in)
        die(file);
    buf_init(&text, SPEC_BYTES_MAX);
    for (size_t n; (n = fread(part, 1, sizeof part, in)) > 0;)
        buf_put(&text, part, n);
    if (ferror(in) || buf_err(&text))
        die(file);
    fclose(in);
    if (!arena_copy(&s->arena, buf_slice(&text), &copy))
        spec_must(NULL);
    buf_fini(&text);
    spec_read(s, file, copy);
}

static void write_file(struct spec *s, const char *folder, const char *name, void (*emit)(struct spec *, struct buf *))
{
    const char *file = spec_printf(s, "%s/%s", folder, name);
    struct buf text;
    buf_init(&text, SPEC_BYTES_MAX);
    emit(s, &text);
    FILE *out = buf_err(&text) ? NULL : fopen(file, "w");
    if (!out || fwrite(text.data, 1, text.size, out) != text.size || fclose(out))
        die(file);
    buf_fini(&text);
}

int main(int argc, char **argv)
{
    struct spec s = {.messages = NULL};
    if (argc < 3) {
        fputs("usage: kafka-tables FOLDER SPEC...\n", stderr);
        return 2;
    }
    arena_init(&s.arena, SPEC_BYTES_MAX);
    for (int i = 2; i < argc; i++)
        read_file(&s, argv[i]);
    write_file(&s, argv[1], "messages.h", emit_header);
    write_file(&s, argv[1], "messages.c", emit_tables);
    arena_fini(&s.arena);
    return 0;
}
