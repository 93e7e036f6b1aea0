/* x.pb.c: the rows. */
#include <stdio.h>
#include <stdlib.h>

#include "gen.h"
#include "pb/bootstrap/descriptor.pb.h"

static const char *type_constant(uint8_t type)
{
    static const char *const names[] = {
        "",           "PB_DOUBLE",   "PB_FLOAT",    "PB_INT64",  "PB_UINT64",  "PB_INT32", "PB_FIXED64",
        "PB_FIXED32", "PB_BOOL",     "PB_STRING",   "PB_GROUP",  "PB_MESSAGE", "PB_BYTES", "PB_UINT32",
        "PB_ENUM",    "PB_SFIXED32", "PB_SFIXED64", "PB_SINT32", "PB_SINT64",
    };
    return names[type];
}

static const char *card_constant(uint8_t card)
{
    static const char *const names[] = {"PB_SINGULAR", "PB_OPTIONAL", "PB_REPEATED", "PB_MAP", "PB_ONEOF"};
    return names[card];
}

static const char *well_known_constant(uint8_t kind)
{
    static const char *const names[] = {"PB_NOT_WELL_KNOWN", "PB_ANY",   "PB_TIMESTAMP",  "PB_DURATION",
                                        "PB_STRUCT",         "PB_VALUE", "PB_LIST_VALUE", "PB_FIELD_MASK",
                                        "PB_WRAPPER",        "PB_EMPTY"};
    return names[kind];
}

static void emit_text(struct buf *b, const char *member, const char *text)
{
    if (!text)
        return;
    buf_printf(b, ", .%s = ", member);
    put_literal(b, text);
}

static void emit_enum(struct gen *g, const struct pb_enum *e, struct buf *b)
{
    const char *name = name_of_enum(g, e);
    buf_printf(b, "static const struct pb_enum_value %s_values[] = {\n", name);
    for (uint32_t i = 0; i < e->count; i++) {
        buf_printf(b, "    {.name = \"%s\", .number = %d", e->values[i].name, e->values[i].number);
        emit_text(b, "doc", e->values[i].doc);
        buf_puts(b, "},\n");
    }
    buf_printf(b, "};\nconst struct pb_enum %s_pb = {.name = \"%s\", .file = &%s, .values = %s_values, .count = %u",
               name, e->name, name_of_file(g, e->file), name, e->count);
    emit_text(b, "doc", e->doc);
    buf_puts(b, "};\n\n");
}

static void emit_rules(const struct pb_field_rules *r, struct buf *b)
{
    buf_printf(b,
               ",\n     .rules = &(const struct pb_field_rules){.max_length = %u, .pii = %u, .required = %s, "
               ".mask_in_logs = %s",
               r->max_length, r->pii, r->required ? "true" : "false", r->mask_in_logs ? "true" : "false");
    emit_text(b, "validation", r->validation);
    buf_putc(b, '}');
}

static void emit_presence(struct gen *g, const char *message, const struct pb_field *f, struct buf *b)
{
    (void)g;
    if (f->card == PB_OPTIONAL)
        buf_printf(b, ", .presence = offsetof(struct %s, has_%s)", message, f->name);
    else if (f->card == PB_ONEOF)
        buf_printf(b, ", .presence = offsetof(struct %s, %s_case)", message, f->oneof);
}

static void emit_field(struct gen *g, const char *message, const struct pb_field *f, struct buf *b)
{
    buf_printf(b, "    {.number = %u, .type = %s, .card = %s, .packed = %s, .offset = offsetof(struct %s, %s)",
               f->number, type_constant(f->type), card_constant(f->card), f->packed ? "true" : "false", message,
               name_member(g, f->name));
    emit_presence(g, message, f, b);
    buf_printf(b, ",\n     .name = \"%s\", .json_name = \"%s\"", f->name, f->json_name);
    if (f->message)
        buf_printf(b, ", .message = &%s_pb", name_of_message(g, f->message));
    if (f->enumeration)
        buf_printf(b, ", .enumeration = &%s_pb", name_of_enum(g, f->enumeration));
    if (f->rules)
        emit_rules(f->rules, b);
    emit_text(b, "oneof", f->oneof);
    emit_text(b, "doc", f->doc);
    buf_puts(b, "},\n");
}

static void emit_dense(const char *name, const struct pb_message *m, struct buf *b)
{
    buf_printf(b, "static const uint8_t %s_dense[] = {", name);
    for (uint32_t i = 0; i < m->dense_count; i++)
        buf_printf(b, "%s%u", i ? ", " : "", m->dense[i]);
    buf_puts(b, "};\n");
}

static void emit_message(struct gen *g, const struct pb_message *m, struct buf *b)
{
    const char *name = name_of_message(g, m);
    if (m->field_count) {
        buf_printf(b, "static const struct pb_field %s_fields[] = {\n", name);
        for (uint32_t i = 0; i < m->field_count; i++)
            emit_field(g, name, &m->fields[i], b);
        buf_puts(b, "};\n");
    }
    if (m->dense_count)
        emit_dense(name, m, b);
    buf_printf(b, "_Static_assert(sizeof(struct %s) == %u, \"tables made at run time have the same layout\");\n", name,
               m->size);
    buf_printf(b, "const struct pb_message %s_pb = {\n    .name = \"%s\", .file = &%s, .size = %u, .map_entry = %s,\n",
               name, m->name, name_of_file(g, m->file), m->size, m->map_entry ? "true" : "false");
    buf_printf(b, "    .well_known = %s, .extension_view = %s", well_known_constant(m->well_known),
               m->extension_view ? "true" : "false");
    if (m->field_count)
        buf_printf(b, ", .fields = %s_fields, .field_count = %u", name, m->field_count);
    if (m->dense_count)
        buf_printf(b, ",\n    .dense = %s_dense, .dense_count = sizeof %s_dense", name, name);
    emit_text(b, "doc", m->doc);
    buf_puts(b, "};\n\n");
}

static void emit_method(struct gen *g, const struct pb_method *m, struct buf *b)
{
    buf_printf(b, "    {.name = \"%s\", .path = \"%s\", .service = &%s, .input = &%s_pb, .output = &%s_pb", m->name,
               m->path, name_of_service(g, m->service), name_of_message(g, m->input), name_of_message(g, m->output));
    const struct {
        const char *name;
        bool set;
    } flags[] = {{"client_streaming", m->client_streaming},
                 {"server_streaming", m->server_streaming},
                 {"idempotent", m->idempotent},
                 {"cacheable", m->cacheable},
                 {"mutation", m->mutation}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (flags[i].set)
            buf_printf(b, ", .%s = true", flags[i].name);
    buf_printf(b, ", .permission = %u, .timeout_ms = %u", m->permission, m->timeout_ms);
    emit_text(b, "doc", m->doc);
    buf_puts(b, "},\n");
}

static void emit_service(struct gen *g, const struct pb_service *s, struct buf *b)
{
    const char *name = name_of_service(g, s);
    if (s->method_count) {
        buf_printf(b, "const struct pb_method %s_methods[] = {\n", name);
        for (uint32_t i = 0; i < s->method_count; i++)
            emit_method(g, &s->methods[i], b);
        buf_puts(b, "};\n");
    }
    buf_printf(b, "const struct pb_service %s = {.name = \"%s\", .file = &%s, .method_count = %u", name, s->name,
               name_of_file(g, s->file), s->method_count);
    if (s->method_count)
        buf_printf(b, ", .methods = %s_methods", name);
    emit_text(b, "interface_id", s->interface_id);
    emit_text(b, "interface_version", s->interface_version);
    buf_printf(b, ", .require_auth = %s, .rate_limit_rps = %u", s->require_auth ? "true" : "false", s->rate_limit_rps);
    emit_text(b, "doc", s->doc);
    buf_puts(b, "};\n\n");
}

/* Comments are in the tables already and would only make the descriptor large. */
static void emit_descriptor(struct gen *g, const struct pb_file *f, struct buf *b)
{
    void *decoded;
    struct buf stripped;
    buf_init(&stripped, GEN_BYTES_MAX);
    enum err err = pb_decode(&google_protobuf_file_descriptor_proto_pb, f->descriptor, &g->arena, NULL, &decoded);
    if (!err) {
        ((struct google_protobuf_file_descriptor_proto *)decoded)->source_code_info = NULL;
        err = pb_encode_buf(&google_protobuf_file_descriptor_proto_pb, decoded, &stripped);
    }
    if (err) {
        fprintf(stderr, "protoc-gen-prism: %s: %s\n", f->name, err_row(err)->text);
        exit(1);
    }
    buf_printf(b, "static const char descriptor[] =\n");
    put_bytes(b, buf_slice(&stripped));
    buf_puts(b, ";\n\n");
    buf_fini(&stripped);
}

static void emit_file_row(struct gen *g, const struct pb_file *f, struct buf *b)
{
    buf_printf(b, "const struct pb_file %s = {\n    .name = \"%s\",\n    .package = \"%s\",\n", name_of_file(g, f),
               f->name, f->package);
    buf_puts(b, "    .descriptor = {(const uint8_t *)descriptor, sizeof descriptor - 1},\n"
                "    .dependencies = (const struct pb_file *const[]){");
    for (uint32_t i = 0; f->dependencies[i]; i++)
        buf_printf(b, "&%s, ", name_of_file(g, f->dependencies[i]));
    buf_puts(b, "NULL},\n    .messages = (const struct pb_message *const[]){");
    for (uint32_t i = 0; f->messages[i]; i++)
        if (!f->messages[i]->extension_view)
            buf_printf(b, "&%s_pb, ", name_of_message(g, f->messages[i]));
    buf_puts(b, "NULL},\n    .enums = (const struct pb_enum *const[]){");
    for (uint32_t i = 0; f->enums[i]; i++)
        buf_printf(b, "&%s_pb, ", name_of_enum(g, f->enums[i]));
    buf_puts(b, "NULL},\n    .services = (const struct pb_service *const[]){");
    for (uint32_t i = 0; f->services[i]; i++)
        buf_printf(b, "&%s, ", name_of_service(g, f->services[i]));
    buf_puts(b, "NULL},\n};\n");
}

void emit_tables(struct gen *g, const struct pb_file *f, struct buf *b)
{
    put_banner(b, f->name);
    buf_printf(b, "#include \"%s\"\n\n#include <stddef.h>\n\n", name_of_header(g, f));
    for (uint32_t i = 0; f->dependencies[i]; i++)
        buf_printf(b, "extern const struct pb_file %s;\n", name_of_file(g, f->dependencies[i]));
    buf_putc(b, '\n');
    emit_descriptor(g, f, b);
    for (uint32_t i = 0; f->enums[i]; i++)
        emit_enum(g, f->enums[i], b);
    for (uint32_t i = 0; f->messages[i]; i++)
        emit_message(g, f->messages[i], b);
    for (uint32_t i = 0; f->services[i]; i++)
        emit_service(g, f->services[i], b);
    emit_file_row(g, f, b);
}
