/* files.pb.c: every generated file, and every message by name. */
#include <stdlib.h>

#include "gen.h"

static int by_name(const void *a, const void *b)
{
    const struct pb_message *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static const struct pb_message **sorted_messages(struct gen *g, uint32_t *ret_count)
{
    struct pb_array all = {NULL, 0, 0};
    for (uint32_t i = 0; i < g->file_count; i++) {
        for (uint32_t k = 0; g->files[i]->messages[k]; k++) {
            if (g->files[i]->messages[k]->extension_view)
                continue;
            const struct pb_message **entry = pb_array_add(&all, sizeof *entry, &g->arena);
            if (!entry)
                exit(1);
            *entry = g->files[i]->messages[k];
        }
    }
    if (all.count)
        qsort(all.items, all.count, sizeof(void *), by_name);
    *ret_count = all.count;
    return all.items;
}

void emit_index(struct gen *g, struct buf *b)
{
    uint32_t count;
    const struct pb_message **messages = sorted_messages(g, &count);
    put_banner(b, "all .proto files");
    buf_puts(b, "#include \"pb/pb.h\"\n\n#include <stddef.h>\n\n");
    for (uint32_t i = 0; i < g->file_count; i++)
        buf_printf(b, "extern const struct pb_file %s;\n", name_of_file(g, g->files[i]));
    buf_puts(b, "\nconst struct pb_file *const pb_files[] = {\n");
    for (uint32_t i = 0; i < g->file_count; i++)
        buf_printf(b, "    &%s,\n", name_of_file(g, g->files[i]));
    buf_puts(b, "    NULL,\n};\n\n");
    for (uint32_t i = 0; i < count; i++)
        buf_printf(b, "extern const struct pb_message %s_pb;\n", name_of_message(g, messages[i]));
    buf_puts(b, "\nconst struct pb_message *const pb_messages[] = {\n");
    for (uint32_t i = 0; i < count; i++)
        buf_printf(b, "    &%s_pb,\n", name_of_message(g, messages[i]));
    buf_printf(b, "    NULL,\n};\nconst uint32_t pb_message_count = %u;\n", count);
}
