/* x.pb.h: what a user of the messages includes. */
#include "gen.h"

static const char *guard(struct gen *g, const char *header)
{
    return name_printf(g, "PRISM_GEN_%s", name_upper(g, header));
}

static void emit_enum(struct gen *g, const struct pb_enum *e, struct buf *b)
{
    put_comment(b, "", e->doc);
    buf_printf(b, "enum %s {\n", name_of_enum(g, e));
    for (uint32_t i = 0; i < e->count; i++) {
        put_comment(b, "    ", e->values[i].doc);
        buf_printf(b, "    %s%s = %d,\n", name_of_constants(g, e), e->values[i].name, e->values[i].number);
    }
    buf_printf(b, "};\nextern const struct pb_enum %s_pb;\n\n", name_of_enum(g, e));
}

static const char *value_type(struct gen *g, const struct pb_field *f)
{
    switch ((enum pb_type)f->type) {
    case PB_DOUBLE:
        return "double ";
    case PB_FLOAT:
        return "float ";
    case PB_INT64:
    case PB_SINT64:
    case PB_SFIXED64:
        return "int64_t ";
    case PB_UINT64:
    case PB_FIXED64:
        return "uint64_t ";
    case PB_INT32:
    case PB_SINT32:
    case PB_SFIXED32:
    case PB_ENUM:
        return "int32_t ";
    case PB_UINT32:
    case PB_FIXED32:
        return "uint32_t ";
    case PB_BOOL:
        return "bool ";
    case PB_STRING:
    case PB_BYTES:
        return "struct slice ";
    case PB_MESSAGE:
    case PB_GROUP:
        break;
    }
    return name_printf(g, "struct %s *", name_of_message(g, f->message));
}

/* What the items of an array are, or which enum an int32_t is. */
static void emit_hint(struct gen *g, const struct pb_field *f, struct buf *b)
{
    if (f->card == PB_REPEATED || f->card == PB_MAP) {
        const char *type = value_type(g, f);
        size_t size = strlen(type);
        buf_printf(b, " /* of %.*s */", (int)(type[size - 1] == ' ' ? size - 1 : size), type);
    } else if (f->type == PB_ENUM) {
        buf_printf(b, " /* enum %s */", name_of_enum(g, f->enumeration));
    }
}

static bool first_of_oneof(const struct pb_message *m, const struct pb_field *f)
{
    if (f->card != PB_ONEOF)
        return false;
    for (const struct pb_field *earlier = m->fields; earlier < f; earlier++)
        if (earlier->card == PB_ONEOF && strcmp(earlier->oneof, f->oneof) == 0)
            return false;
    return true;
}

static void emit_member(struct gen *g, const struct pb_message *m, const struct pb_field *f, struct buf *b)
{
    const char *name = name_member(g, f->name);
    if (first_of_oneof(m, f))
        buf_printf(b, "    uint32_t %s_case; /* number of the field that is set, 0: none */\n", f->oneof);
    put_comment(b, "    ", f->doc);
    if (f->card == PB_OPTIONAL)
        buf_printf(b, "    bool has_%s;\n", f->name);
    bool array = f->card == PB_REPEATED || f->card == PB_MAP;
    buf_printf(b, "    %s%s;", array ? "struct pb_array " : value_type(g, f), name);
    emit_hint(g, f, b);
    buf_putc(b, '\n');
}

static void emit_message(struct gen *g, const struct pb_message *m, struct buf *b)
{
    const char *name = name_of_message(g, m);
    put_comment(b, "", m->doc);
    buf_printf(b, "struct %s {\n    struct pb_unknown unknown;\n", name);
    for (uint32_t i = 0; i < m->field_count; i++)
        emit_member(g, m, &m->fields[i], b);
    buf_puts(b, "};\n");
    for (uint32_t i = 0; i < m->field_count; i++)
        if (m->fields[i].card == PB_ONEOF)
            buf_printf(b, "#define %s_%s %u\n", name_upper(g, name), name_upper(g, m->fields[i].name),
                       m->fields[i].number);
    buf_printf(b, "extern const struct pb_message %s_pb;\n\n", name);
}

static bool message_uses(const struct pb_message *m, const struct pb_file *file)
{
    for (uint32_t i = 0; i < m->field_count; i++) {
        const struct pb_field *f = &m->fields[i];
        if ((f->message && f->message->file == file) || (f->enumeration && f->enumeration->file == file))
            return true;
    }
    return false;
}

static bool service_uses(const struct pb_service *s, const struct pb_file *file)
{
    for (uint32_t i = 0; i < s->method_count; i++)
        if (s->methods[i].input->file == file || s->methods[i].output->file == file)
            return true;
    return false;
}

static bool uses(const struct pb_file *f, const struct pb_file *other)
{
    for (uint32_t i = 0; f->messages[i]; i++)
        if (message_uses(f->messages[i], other))
            return true;
    for (uint32_t i = 0; f->services[i]; i++)
        if (service_uses(f->services[i], other))
            return true;
    return false;
}

void emit_header(struct gen *g, const struct pb_file *f, struct buf *b)
{
    const char *header = name_of_header(g, f);
    put_banner(b, f->name);
    buf_printf(b, "#ifndef %s\n#define %s\n\n#include \"pb/pb.h\"\n", guard(g, header), guard(g, header));
    for (uint32_t i = 0; f->dependencies[i]; i++)
        if (uses(f, f->dependencies[i]))
            buf_printf(b, "#include \"%s\"\n", name_of_header(g, f->dependencies[i]));
    buf_printf(b, "\nextern const struct pb_file %s;\n\n", name_of_file(g, f));
    for (uint32_t i = 0; f->enums[i]; i++)
        emit_enum(g, f->enums[i], b);
    for (uint32_t i = 0; f->messages[i]; i++)
        buf_printf(b, "struct %s;\n", name_of_message(g, f->messages[i]));
    buf_putc(b, '\n');
    for (uint32_t i = 0; f->messages[i]; i++)
        emit_message(g, f->messages[i], b);
    for (uint32_t i = 0; f->services[i]; i++) {
        put_comment(b, "", f->services[i]->doc);
        buf_printf(b, "extern const struct pb_service %s;\n", name_of_service(g, f->services[i]));
        if (f->services[i]->method_count)
            buf_printf(b, "extern const struct pb_method %s_methods[%u];\n", name_of_service(g, f->services[i]),
                       f->services[i]->method_count);
    }
    buf_puts(b, "\n#endif\n");
}

void emit_forward(struct gen *g, const struct pb_file *f, struct buf *b)
{
    struct gen bootstrap = {.bootstrap = true};
    arena_init(&bootstrap.arena, GEN_BYTES_MAX);
    put_banner(b, f->name);
    buf_printf(b, "/* The tables are among those that the plug-in is built with. */\n#ifndef %s\n#define %s\n",
               guard(g, name_of_header(g, f)), guard(g, name_of_header(g, f)));
    buf_printf(b, "#include \"%s\"\n#endif\n", name_of_header(&bootstrap, f));
    arena_fini(&bootstrap.arena);
}
