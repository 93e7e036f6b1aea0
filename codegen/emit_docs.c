/* docs/reference/api.md: every service of Prism, its methods and the messages that they take and answer with. */
#include "gen.h"

static bool is_prism(const struct pb_file *f)
{
    return strncmp(f->package, "prism.", 6) == 0 && strncmp(f->package, "prism.test.", 11) != 0;
}

/* A comment as one line of a table, or as paragraphs. */
static void put_text(struct buf *b, const char *text, bool one_line)
{
    for (; text && *text; text++) {
        if (one_line && *text == '\n')
            buf_putc(b, ' ');
        else if (*text == '<' || *text == '>' || (one_line && *text == '|'))
            buf_printf(b, "\\%c", *text);
        else
            buf_putc(b, *text);
    }
}

static const char *scalar_name(uint8_t type)
{
    static const char *const names[] = {
        "",      "double",  "float", "int64",  "uint64", "int32",    "fixed64",  "fixed32", "bool",   "string",
        "group", "message", "bytes", "uint32", "enum",   "sfixed32", "sfixed64", "sint32",  "sint64",
    };
    return names[type];
}

/* GitHub's anchor of a heading that is a full name: without the dots. */
static const char *anchor(struct gen *g, const char *full_name)
{
    char *out = (char *)(uintptr_t)name_printf(g, "%s", full_name), *to = out;
    for (const char *c = out; *c; c++)
        if (*c != '.')
            *to++ = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    *to = 0;
    return out;
}

static const char *type_text(struct gen *g, const struct pb_field *f)
{
    if (f->card == PB_MAP)
        return name_printf(g, "map of %s to %s", type_text(g, &f->message->fields[0]),
                           type_text(g, &f->message->fields[1]));
    if (f->message)
        return is_prism(f->message->file) ? name_printf(g, "[%s](#%s)", f->message->name, anchor(g, f->message->name))
                                          : f->message->name;
    if (f->enumeration)
        return is_prism(f->enumeration->file)
                   ? name_printf(g, "[%s](#%s)", f->enumeration->name, anchor(g, f->enumeration->name))
                   : f->enumeration->name;
    return scalar_name(f->type);
}

static void put_rules(const struct pb_field_rules *r, struct buf *b)
{
    const char *between = "";
    if (r->required) {
        buf_puts(b, "required");
        between = ", ";
    }
    if (r->max_length) {
        buf_printf(b, "%sat most %u", between, r->max_length);
        between = ", ";
    }
    if (r->validation) {
        buf_printf(b, "%s`", between);
        for (const char *c = r->validation; *c; c++)
            buf_printf(b, *c == '|' ? "\\%c" : "%c", *c);
        buf_putc(b, '`');
        between = ", ";
    }
    if (r->mask_in_logs)
        buf_printf(b, "%ssecret", between);
}

static void put_field(struct gen *g, const struct pb_field *f, struct buf *b)
{
    static const char *const prefixes[] = {"", "optional ", "repeated ", "", ""};
    buf_printf(b, "| `%s` | %u | %s%s | ", f->name, f->number, prefixes[f->card], type_text(g, f));
    if (f->rules)
        put_rules(f->rules, b);
    buf_puts(b, " | ");
    if (f->oneof)
        buf_printf(b, "One of `%s`. ", f->oneof);
    put_text(b, f->doc, true);
    buf_puts(b, " |\n");
}

static void put_message(struct gen *g, const struct pb_message *m, struct buf *b)
{
    buf_printf(b, "### %s\n\n", m->name);
    if (m->doc) {
        put_text(b, m->doc, false);
        buf_puts(b, "\n\n");
    }
    if (m->field_count == 0) {
        buf_puts(b, "No fields.\n\n");
        return;
    }
    buf_puts(b, "| field | number | type | rules | meaning |\n|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < m->field_count; i++)
        put_field(g, &m->fields[i], b);
    buf_putc(b, '\n');
}

static void put_enum(const struct pb_enum *e, struct buf *b)
{
    buf_printf(b, "### %s\n\n", e->name);
    if (e->doc) {
        put_text(b, e->doc, false);
        buf_puts(b, "\n\n");
    }
    buf_puts(b, "| value | number | meaning |\n|---|---|---|\n");
    for (uint32_t i = 0; i < e->count; i++) {
        buf_printf(b, "| `%s` | %d | ", e->values[i].name, e->values[i].number);
        put_text(b, e->values[i].doc, true);
        buf_puts(b, " |\n");
    }
    buf_putc(b, '\n');
}

static const char *kind_text(const struct pb_method *m)
{
    static const char *const kinds[2][2] = {{"unary", "server stream"}, {"client stream", "both stream"}};
    return kinds[m->client_streaming][m->server_streaming];
}

static void put_method_options(const struct pb_method *m, struct buf *b)
{
    static const char *const permissions[] = {"none", "read", "write", "admin"};
    buf_printf(b, "permission %s", permissions[m->permission < 4 ? m->permission : 0]);
    buf_puts(b, m->idempotent ? ", idempotent" : "");
    buf_puts(b, m->cacheable ? ", cacheable" : "");
    buf_puts(b, m->mutation ? ", mutation" : "");
    if (m->timeout_ms)
        buf_printf(b, ", deadline %u ms", m->timeout_ms);
}

static void put_method(struct gen *g, const struct pb_method *m, struct buf *b)
{
    buf_printf(b, "### %s/%s\n\n", m->service->name, m->name);
    if (m->doc) {
        put_text(b, m->doc, false);
        buf_puts(b, "\n\n");
    }
    buf_printf(b, "- gRPC: `%s` (%s)\n", m->path, kind_text(m));
    if (m->service->interface_id && !m->client_streaming)
        buf_printf(b, "- HTTP: `POST /v1/namespaces/{namespace}/%s/%s`\n", m->service->interface_id, m->name);
    buf_printf(b, "- request [%s](#%s), response [%s](#%s)\n- ", m->input->name, anchor(g, m->input->name),
               m->output->name, anchor(g, m->output->name));
    put_method_options(m, b);
    buf_puts(b, "\n\n");
}

static void put_service(struct gen *g, const struct pb_service *s, struct buf *b)
{
    buf_printf(b, "## %s\n\n", s->interface_id ? s->interface_id : s->name);
    if (s->interface_id)
        buf_printf(b, "Service `%s`, interface version %s.\n\n", s->name,
                   s->interface_version ? s->interface_version : "1.0");
    if (s->doc) {
        put_text(b, s->doc, false);
        buf_puts(b, "\n\n");
    }
    for (uint32_t i = 0; i < s->method_count; i++)
        put_method(g, &s->methods[i], b);
}

void emit_docs(struct gen *g, struct buf *b)
{
    buf_puts(b, "---\ntitle: API reference\ngenerated: true\n---\n\n# API reference\n\n"
                "Generated from `proto/` by `make docs`; changes go there.\n\n");
    for (uint32_t i = 0; i < g->file_count; i++)
        for (uint32_t k = 0; is_prism(g->files[i]) && g->files[i]->services[k]; k++)
            put_service(g, g->files[i]->services[k], b);
    buf_puts(b, "## Messages\n\n");
    for (uint32_t i = 0; i < g->file_count; i++)
        for (uint32_t k = 0; is_prism(g->files[i]) && g->files[i]->messages[k]; k++)
            if (!g->files[i]->messages[k]->map_entry && !g->files[i]->messages[k]->extension_view)
                put_message(g, g->files[i]->messages[k], b);
    buf_puts(b, "## Enumerations\n\n");
    for (uint32_t i = 0; i < g->file_count; i++)
        for (uint32_t k = 0; is_prism(g->files[i]) && g->files[i]->enums[k]; k++)
            put_enum(g->files[i]->enums[k], b);
}
