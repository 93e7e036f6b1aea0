/* messages.c: defaults, programs, tables. Programs are made from the inside out; one that reads as an earlier one is that one,
 * so that versions which do not differ share theirs. */
#include <stdio.h>
#include <stdlib.h>

#include "spec.h"

struct program {
    const char *type; /* what its operations fill */
    const char *text; /* of the operations */
    int id;
    int bytes_min;
    struct program *next;
};

struct emitter {
    struct spec *spec;
    struct buf *out;
    const struct spec_message *message;
    int version;
    bool flexible;
    struct program *programs;
    int count;
};

/* --- defaults --------------------------------------------------------------------------------------------------------------- */

static bool any_initial(const struct spec_field *fields)
{
    for (; fields; fields = fields->next)
        if (fields->initial || (fields->kind == SPEC_STRUCT && !fields->array && any_initial(fields->fields)))
            return true;
    return false;
}

static void put_initials(struct buf *b, const struct spec_field *fields)
{
    const char *before = "";
    buf_putc(b, '{');
    if (!any_initial(fields))
        buf_puts(b, "0");
    for (const struct spec_field *f = fields; f; f = f->next) {
        bool inner = f->kind == SPEC_STRUCT && !f->array && any_initial(f->fields);
        if (!f->initial && !inner)
            continue;
        buf_printf(b, "%s.%s = %s", before, f->name, inner ? "" : f->initial);
        if (inner)
            put_initials(b, f->fields);
        before = ", ";
    }
    buf_putc(b, '}');
}

static void put_defaults(struct buf *b, const char *name, const struct spec_field *fields)
{
    for (const struct spec_field *f = fields; f; f = f->next)
        if (f->kind == SPEC_STRUCT)
            put_defaults(b, f->element, f->fields);
    buf_printf(b, "const struct %s %s_default = ", name, name);
    if (any_initial(fields))
        put_initials(b, fields);
    else
        buf_puts(b, "{0}");
    buf_puts(b, ";\n");
}

/* --- programs --------------------------------------------------------------------------------------------------------------- */

static const struct program *fields_program(struct emitter *e, const char *name, const struct spec_field *fields);

/* `defaults`: name of the struct's; NULL: it has none. */
static const struct program *program_of(struct emitter *e, const char *type, const char *defaults, const char *ops,
                                        int bytes_min)
{
    for (const struct program *p = e->programs; p; p = p->next)
        if (strcmp(p->text, ops) == 0 && strcmp(p->type, type) == 0)
            return p;
    struct program *p = spec_must(arena_new(&e->spec->arena, struct program));
    *p = (struct program){type, ops, e->count++, bytes_min, e->programs};
    e->programs = p;
    buf_printf(e->out, "static const struct kafka_op ops_%d[] = {\n%s    {.code = KAFKA_CODE_END}};\n", p->id, ops);
    buf_printf(e->out, "static const struct kafka_program program_%d = {ops_%d, %s%s%s, sizeof(%s), %d};\n", p->id,
               p->id, defaults ? "&" : "", defaults ? defaults : "NULL", defaults ? "_default" : "", type,
               bytes_min > 0 ? bytes_min : 1);
    return p;
}

static const char *code_of(const struct emitter *e, enum spec_kind kind, bool array)
{
    static const char *const codes[] = {"BOOL", "INT8", "INT16", "INT16", "INT32", "INT64", "UUID"};
    static const char *const plain[] = {"STRING", "BYTES", "RECORDS", "STRUCT"};
    static const char *const compact[] = {"STRING_COMPACT", "BYTES_COMPACT", "RECORDS_COMPACT", "STRUCT"};
    if (array)
        return e->flexible ? "ARRAY_COMPACT" : "ARRAY";
    return kind < SPEC_STRING ? codes[kind] : (e->flexible ? compact : plain)[kind - SPEC_STRING];
}

/* Fewest bytes of one, on the wire. */
static int least_of(const struct emitter *e, enum spec_kind kind, bool array)
{
    static const int fixed[] = {1, 1, 2, 2, 4, 8, 16};
    if (array)
        return e->flexible ? 1 : 4;
    if (kind < SPEC_STRING)
        return fixed[kind];
    return e->flexible ? 1 : kind == SPEC_STRING ? 2 : 4;
}

static const struct program *scalar_program(struct emitter *e, enum spec_kind kind)
{
    static const char *const types[] = {"bool",        "int8_t",  "int16_t",           "uint16_t",
                                        "int32_t",     "int64_t", "struct kafka_uuid", "struct slice",
                                        "struct slice"};
    const char *ops =
        spec_printf(e->spec, "    {.code = KAFKA_CODE_%s, .field = \"item\"},\n", code_of(e, kind, false));
    return program_of(e, types[kind], NULL, ops, least_of(e, kind, false));
}

/* What an array's items, or a struct, are read by; NULL where the field is a plain value. */
static const struct program *inner_program(struct emitter *e, const struct spec_field *f)
{
    if (f->kind != SPEC_STRUCT)
        return f->array ? scalar_program(e, f->kind) : NULL;
    const struct program *p = fields_program(e, f->element, f->fields);
    if (f->array && p->bytes_min < 1) {
        fprintf(stderr, "kafka-tables: %s takes no byte in version %d\n", f->element, e->version);
        exit(1);
    }
    return p;
}

static const char *op_of(struct emitter *e, const char *name, const struct spec_field *f, const struct program *inner)
{
    const char *tag = f->tag >= 0 ? spec_printf(e->spec, ", .tag = %d", f->tag) : "";
    const char *program = inner ? spec_printf(e->spec, ", .program = &program_%d", inner->id) : "";
    return spec_printf(e->spec,
                       "    {.code = KAFKA_CODE_%s, .offset = offsetof(struct %s, %s), .field = \"%s\"%s%s%s},\n",
                       code_of(e, f->kind, f->array), name, f->name, f->name,
                       f->null_first <= e->version ? ", .nullable = true" : "", tag, program);
}

static bool is_there(const struct emitter *e, const struct spec_field *f)
{
    return f->first <= e->version && e->version <= f->last;
}

static const struct spec_field *with_tag(const struct emitter *e, const struct spec_field *fields, int tag)
{
    for (; fields; fields = fields->next)
        if (is_there(e, fields) && fields->tag == tag)
            return fields;
    return NULL;
}

static const char *tags_op(struct emitter *e, const char *name, const struct spec_field *fields)
{
    const char *ops = "";
    const struct spec_field *f;
    for (int tag = 0; (f = with_tag(e, fields, tag)) != NULL; tag++) {
        const struct program *inner = inner_program(e, f);
        ops = spec_printf(e->spec, "%s%s", ops, op_of(e, name, f, inner));
    }
    const struct program *p = program_of(e, "char", NULL, ops, 1); /* its struct is that of the program around it */
    return spec_printf(e->spec, "    {.code = KAFKA_CODE_TAGS, .field = \"tagged fields\", .program = &program_%d},\n",
                       p->id);
}

static const struct program *fields_program(struct emitter *e, const char *name, const struct spec_field *fields)
{
    const char *ops = "";
    int least = 0;
    for (const struct spec_field *f = fields; f; f = f->next) {
        if (!is_there(e, f) || f->tag >= 0)
            continue;
        const struct program *inner = inner_program(e, f);
        ops = spec_printf(e->spec, "%s%s", ops, op_of(e, name, f, inner));
        least += least_of(e, f->kind, f->array);
    }
    if (e->flexible) {
        ops = spec_printf(e->spec, "%s%s", ops, tags_op(e, name, fields));
        least += 1;
    }
    return program_of(e, spec_printf(e->spec, "struct %s", name), name, ops, least);
}

/* --- tables ----------------------------------------------------------------------------------------------------------------- */

static void put_message(struct emitter *e, const struct spec_message *m)
{
    const char *list = "";
    e->message = m;
    put_defaults(e->out, m->name, m->fields);
    for (e->version = m->first; e->version <= m->last; e->version++) {
        e->flexible = e->version >= m->flexible;
        list =
            spec_printf(e->spec, "%s%s&program_%d", list, *list ? ", " : "", fields_program(e, m->name, m->fields)->id);
    }
    buf_printf(e->out,
               "const struct kafka_message %s_message = {\"%s\", %d, %d, sizeof(struct %s), &%s_default,\n"
               "    (const struct kafka_program *const[]){%s}};\n\n",
               m->name, m->title, m->first, m->last, m->name, m->name, list);
}

static void put_apis(struct emitter *e)
{
    uint32_t count = 0;
    buf_puts(e->out, "const struct kafka_api kafka_apis[] = {\n");
    for (const struct spec_api *a = e->spec->apis; a; a = a->next, count++)
        buf_printf(e->out,
                   "    {KAFKA_API_%s, \"%s\", %d, %d, %d, &kafka_%s_request_message, &kafka_%s_response_message},\n",
                   spec_upper(e->spec, a->name), a->title, a->first, a->last, a->flexible, a->name, a->name);
    buf_printf(e->out, "};\nconst uint32_t kafka_api_count = %u;\n", count);
}

void emit_tables(struct spec *s, struct buf *b)
{
    struct emitter e = {.spec = s, .out = b};
    buf_puts(b, "/* Generated by codegen/kafka from src/kafka/spec; changes go there. */\n/* clang-format off */\n"
                "#include \"kafka/messages.h\"\n\n#include \"kafka/api.h\"\n\n");
    for (const struct spec_message *m = s->messages; m; m = m->next)
        put_message(&e, m);
    put_apis(&e);
}
