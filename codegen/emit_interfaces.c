/* x.ops.h, interfaces.h and interfaces.c: data interfaces as C sees them, and the one table of their methods. */
#include <stdlib.h>

#include "gen.h"

static const char *op_name(struct gen *g, const struct pb_method *m)
{
    return name_member(g, name_snake(g, m->name));
}

static int by_file(const void *a, const void *b)
{
    const struct pb_service *const *x = a, *const *y = b;
    return strcmp((*x)->file->name, (*y)->file->name);
}

const struct pb_service **gen_interfaces(struct gen *g, uint32_t *ret_count)
{
    struct pb_array found = {NULL, 0, 0};
    for (uint32_t i = 0; i < g->file_count; i++) {
        for (uint32_t k = 0; g->files[i]->services[k]; k++) {
            if (!g->files[i]->services[k]->interface_id)
                continue;
            const struct pb_service **entry = pb_array_add(&found, sizeof *entry, &g->arena);
            if (!entry)
                exit(1);
            *entry = g->files[i]->services[k];
        }
    }
    if (found.count)
        qsort(found.items, found.count, sizeof(void *), by_file);
    *ret_count = found.count;
    return found.items;
}

static void emit_ops_struct(struct gen *g, const struct pb_service *s, struct buf *b)
{
    for (uint32_t i = 0; i < s->method_count; i++)
        buf_printf(b, "struct %s;\n", name_of_message(g, s->methods[i].input));
    buf_putc(b, '\n');
    put_comment(b, "", s->doc);
    buf_printf(b, "struct %s_ops {\n", s->interface_id);
    for (uint32_t i = 0; i < s->method_count; i++) {
        const struct pb_method *m = &s->methods[i];
        put_comment(b, "    ", m->doc);
        buf_printf(b, "    void (*%s)(struct backend *, struct call *, const struct %s *);\n", op_name(g, m),
                   name_of_message(g, m->input));
    }
    buf_puts(b, "};\n\n");
}

void emit_ops(struct gen *g, const struct pb_file *f, struct buf *b)
{
    const char *guard = name_printf(g, "PRISM_GEN_%s_OPS", name_upper(g, f->name));
    put_banner(b, f->name);
    buf_puts(b, "/* Each operation completes its call exactly once; see data/driver.h. */\n");
    buf_printf(b, "#ifndef %s\n#define %s\n\nstruct backend;\nstruct call;\n", guard, guard);
    for (uint32_t i = 0; f->services[i]; i++)
        if (f->services[i]->interface_id)
            emit_ops_struct(g, f->services[i], b);
    buf_puts(b, "#endif\n");
}

static void emit_method_ids(struct gen *g, const struct pb_service *s, struct buf *b)
{
    for (uint32_t i = 0; i < s->method_count; i++)
        buf_printf(b, "    METHOD_%s_%s,\n", name_upper(g, s->interface_id),
                   name_upper(g, name_snake(g, s->methods[i].name)));
}

void emit_interfaces_header(struct gen *g, struct buf *b)
{
    uint32_t count;
    const struct pb_service **services = gen_interfaces(g, &count);
    put_banner(b, "the services with (prism.interface_id)");
    buf_puts(b, "#ifndef PRISM_GEN_INTERFACES_H\n#define PRISM_GEN_INTERFACES_H\n\n#include \"pb/pb.h\"\n\n"
                "struct backend;\nstruct call;\n\nenum interface {\n");
    for (uint32_t i = 0; i < count; i++)
        buf_printf(b, "    INTERFACE_%s,\n", name_upper(g, services[i]->interface_id));
    buf_puts(b, "    INTERFACE_COUNT\n};\n\n/* Index into methods[]. */\nenum method_id {\n");
    for (uint32_t i = 0; i < count; i++)
        emit_method_ids(g, services[i], b);
    buf_puts(b, "    METHOD_COUNT\n};\n\n"
                "struct interface_row {\n    const char *id;                   /* \"keyvalue_basic\" */\n"
                "    const struct pb_service *service;\n"
                "    uint32_t method_first;            /* its methods follow each other in methods[] */\n};\n"
                "extern const struct interface_row interfaces[INTERFACE_COUNT];\n\n"
                "struct method {\n    const struct pb_method *pb;\n    enum interface interface;\n"
                "    /* Calls the member of ops (the interface's struct of operations) with the request, the method's "
                "input. */\n"
                "    void (*invoke)(const void *ops, struct backend *, struct call *, const void *request);\n};\n"
                "extern const struct method methods[];\nextern const uint32_t method_count;\n\n#endif\n");
}

static void emit_invoke(struct gen *g, const struct pb_service *s, const struct pb_method *m, struct buf *b)
{
    buf_printf(b,
               "static void %s_%s(const void *ops, struct backend *backend, struct call *call, const void *request)\n"
               "{\n    ((const struct %s_ops *)ops)->%s(backend, call, request);\n}\n\n",
               s->interface_id, name_snake(g, m->name), s->interface_id, op_name(g, m));
}

static void emit_method_rows(struct gen *g, const struct pb_service *s, struct buf *b)
{
    for (uint32_t i = 0; i < s->method_count; i++)
        buf_printf(b, "    {.pb = &%s_methods[%u], .interface = INTERFACE_%s, .invoke = %s_%s},\n",
                   name_of_service(g, s), i, name_upper(g, s->interface_id), s->interface_id,
                   name_snake(g, s->methods[i].name));
}

static const char *ops_header(struct gen *g, const struct pb_service *s)
{
    return name_printf(g, "%.*s.ops.h", (int)(strlen(s->file->name) - strlen(".proto")), s->file->name);
}

void emit_interfaces(struct gen *g, struct buf *b)
{
    uint32_t count, method_first = 0;
    const struct pb_service **services = gen_interfaces(g, &count);
    put_banner(b, "the services with (prism.interface_id)");
    buf_puts(b, "#include \"interfaces.h\"\n\n");
    for (uint32_t i = 0; i < count; i++)
        buf_printf(b, "#include \"%s\"\n#include \"%s\"\n", ops_header(g, services[i]),
                   name_of_header(g, services[i]->file));
    buf_putc(b, '\n');
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < services[i]->method_count; k++)
            emit_invoke(g, services[i], &services[i]->methods[k], b);
    buf_puts(b, "const struct interface_row interfaces[INTERFACE_COUNT] = {\n");
    for (uint32_t i = 0; i < count; i++) {
        buf_printf(b, "    [INTERFACE_%s] = {.id = \"%s\", .service = &%s, .method_first = %u},\n",
                   name_upper(g, services[i]->interface_id), services[i]->interface_id, name_of_service(g, services[i]),
                   method_first);
        method_first += services[i]->method_count;
    }
    buf_puts(b, "};\n\nconst struct method methods[] = {\n");
    for (uint32_t i = 0; i < count; i++)
        emit_method_rows(g, services[i], b);
    buf_printf(b, "};\nconst uint32_t method_count = METHOD_COUNT;\n");
}
