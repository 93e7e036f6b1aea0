/* Writes docs/reference/configuration.md from the tables of proto/prism/config/v1. Run by make docs. */
#include <ctype.h>
#include <stdio.h>

#include "prism/config/v1/config.pb.h"
#include "prism/config/v1/streamer.pb.h"

enum { MESSAGES_MAX = 32 };

/* Messages in the order in which they are met, each with the key under which it is first found. */
struct page {
    const struct pb_message *messages[MESSAGES_MAX];
    const char *keys[MESSAGES_MAX];
    size_t count;
};

static bool is_section(const struct pb_field *f)
{
    return f->message && f->card != PB_MAP && f->message->well_known == PB_NOT_WELL_KNOWN;
}

/* What a map's values are. */
static const struct pb_message *map_value(const struct pb_field *f)
{
    const struct pb_field *value = f->card == PB_MAP ? pb_field_by_number(f->message, 2) : NULL;
    return value ? value->message : NULL;
}

static void add_message(struct page *p, const struct pb_message *m, const char *key)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->messages[i] == m)
            return;
    if (p->count == MESSAGES_MAX)
        return;
    p->messages[p->count] = m;
    p->keys[p->count++] = key;
}

static void add_sections_of(struct page *p, const struct pb_message *m)
{
    for (uint32_t i = 0; i < m->field_count; i++) {
        const struct pb_field *f = &m->fields[i];
        if (is_section(f))
            add_message(p, f->message, f->name);
        else if (map_value(f))
            add_message(p, map_value(f), f->name);
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static const char *scalar_type(const struct pb_field *f)
{
    if (ends_with(f->name, "_bytes"))
        return "size";
    switch (f->type) {
    case PB_STRING:
    case PB_BYTES:
        return "text";
    case PB_BOOL:
        return "true or false";
    case PB_DOUBLE:
    case PB_FLOAT:
        return "number";
    default:
        return "whole number";
    }
}

/* SYNCHRONOUS_FULL of enum Synchronous reads "full" in YAML; the value 0 stands for the default and is not written. */
static void print_enum(const struct pb_enum *e)
{
    for (uint32_t i = 1; i < e->count; i++) {
        const char *short_name = strrchr(e->values[i].name, '_');
        printf("%s", i > 1 ? ", " : "");
        for (const char *c = short_name ? short_name + 1 : e->values[i].name; *c; c++)
            putchar(tolower((unsigned char)*c));
    }
}

static void print_type(const struct pb_field *f)
{
    const char *list = f->card == PB_REPEATED ? "list of " : f->card == PB_MAP ? "map: name to " : "";
    const struct pb_message *section = map_value(f) ? map_value(f) : is_section(f) ? f->message : NULL;
    printf("%s", list);
    if (section)
        printf("[%s](#%s)", strrchr(section->name, '.') + 1, f->name);
    else if (f->message && f->message->well_known == PB_DURATION)
        printf("duration");
    else if (f->enumeration)
        print_enum(f->enumeration);
    else
        printf("%s", scalar_type(f));
}

static void print_rules(const struct pb_field *f)
{
    const struct pb_field_rules *r = f->rules;
    const char *comma = "";
    if (r && r->required)
        printf("required"), comma = ", ";
    if (r && r->mask_in_logs)
        printf("%ssecret", comma), comma = ", ";
    if (r && r->max_length)
        printf("%sat most %u", comma, r->max_length), comma = ", ";
    if (r && r->validation) {
        printf("%s`", comma);
        for (const char *c = r->validation; *c; c++) /* a bar would end the table's cell */
            printf("%s", *c == '|' ? ", " : (char[]){*c, 0});
        putchar('`');
    }
}

static void print_doc(const char *doc)
{
    for (const char *c = doc ? doc : ""; *c; c++)
        putchar(*c == '\n' ? ' ' : *c);
}

static void print_message(const struct pb_message *m, const char *key)
{
    printf("\n## %s\n\n", key);
    if (m->doc) {
        print_doc(m->doc);
        puts("\n");
    }
    puts("| Key | Type | Rules | Meaning |\n|---|---|---|---|");
    for (uint32_t i = 0; i < m->field_count; i++) {
        const struct pb_field *f = &m->fields[i];
        printf("| `%s` | ", f->name);
        print_type(f);
        printf(" | ");
        print_rules(f);
        printf(" | ");
        print_doc(f->doc);
        puts(" |");
    }
}

static void print_intro(void)
{
    puts("---\ntitle: Configuration\ndescription: Every key of prism.yaml and memorystreamer.yaml\n---\n\n# "
         "Configuration\n");
    puts("<!-- Generated from proto/prism/config/v1 by make docs; do not edit. -->\n");
    puts("`prism-proxy --config prism.yaml`. Without a file there are the namespaces `default` (SQLite), `memory` and "
         "`demo` (SQLite).");
    puts("`prismctl config validate FILE` checks a file; `prismctl config reload`, or SIGHUP, puts a changed one into "
         "effect: all of");
    puts("it, or nothing with every fault named.\n");
    puts("Unknown keys are errors. Durations read `250ms`, `30s`, `1h30m`, `7d`; sizes `64KiB`, `4MiB`, `10MB`. "
         "Secrets, and they");
    puts("alone, may be `${ENV}` or `file:PATH`.\n");
    puts("`memorystreamer --config memorystreamer.yaml` reads [its file](#memorystreameryaml) in the same way; "
         "`--check-config` checks it.");
}

int main(void)
{
    struct page page = {0};
    add_message(&page, &config_proxy_config_pb, "prism.yaml");
    add_message(&page, &config_streamer_config_pb, "memorystreamer.yaml");
    for (size_t i = 0; i < page.count; i++)
        add_sections_of(&page, page.messages[i]);
    print_intro();
    for (size_t i = 0; i < page.count; i++)
        print_message(page.messages[i], page.keys[i]);
    return ferror(stdout) != 0;
}
