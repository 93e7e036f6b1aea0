/* Results on standard output as JSON or YAML, and colours. */
#include "cli.h"

const char *cli_paint(const struct cli *cli, const char *style)
{
    static const struct {
        const char *style, *sequence;
    } sequences[] = {{STYLE_BOLD, "\033[1m"},
                     {STYLE_GOOD, "\033[32m"},
                     {STYLE_BAD, "\033[31m"},
                     {STYLE_DIM, "\033[2m"},
                     {STYLE_OFF, "\033[0m"}};
    for (size_t i = 0; cli->colour && i < sizeof sequences / sizeof *sequences; i++)
        if (strcmp(sequences[i].style, style) == 0)
            return sequences[i].sequence;
    return "";
}

static enum err print(struct cli *cli, const struct pb_message *table, const void *message, bool pretty)
{
    /* A whole answer shows every field, also one that holds its default; secrets are never shown. */
    struct pb_json_options options = {.proto_names = true, .defaults = pretty, .pretty = pretty, .mask = true};
    struct buf json, yaml;
    buf_init(&json, LIMIT_CALL_ARENA_BYTES);
    buf_init(&yaml, LIMIT_CALL_ARENA_BYTES);
    enum err e = pb_json_write(table, message, &options, &json);
    if (!e && cli->output == OUTPUT_YAML)
        yaml_from_json(buf_slice(&json), &yaml);
    e = e ? e : buf_err(&yaml);
    struct buf *out = cli->output == OUTPUT_YAML ? &yaml : &json;
    if (!e && cli->output != OUTPUT_YAML)
        buf_putc(&json, '\n');
    if (!e && fwrite(out->data, 1, out->size, stdout) != out->size)
        e = diag_set(&cli->diag, ERR_FILE, "standard output takes no more");
    buf_fini(&json);
    buf_fini(&yaml);
    return e;
}

enum err cli_print(struct cli *cli, const struct pb_message *table, const void *message)
{
    return print(cli, table, message, true);
}

enum err cli_print_item(struct cli *cli, const struct pb_message *table, const void *message)
{
    if (cli->output == OUTPUT_YAML)
        fputs("---\n", stdout);
    return print(cli, table, message, false);
}
