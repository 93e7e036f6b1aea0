/* Rows of text in aligned columns. The last column is cut at the width of the terminal, where there is one. */
#include <assert.h>

#include "base/utf8.h"
#include "cli.h"

enum { GRID_COLUMNS_MAX = 16, GRID_GAP = 2 };

void grid_init(struct grid *g, struct cli *cli, struct arena *arena, const char *const *heads, unsigned columns)
{
    assert(columns > 0 && columns <= GRID_COLUMNS_MAX);
    *g = (struct grid){.cli = cli, .arena = arena, .columns = columns, .heads = heads};
}

void grid_row(struct grid *g, const char *const *cells)
{
    for (unsigned i = 0; i < g->columns; i++) {
        const char **cell = pb_array_add(&g->cells, sizeof *cell, g->arena);
        if (cell)
            *cell = cells[i] ? cells[i] : "";
    }
}

/* Characters, which is columns for all but wide ones. */
static unsigned width_of(const char *text)
{
    unsigned width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void put_cell(const struct grid *g, const char *text, unsigned width, bool last, unsigned column)
{
    unsigned have = width_of(text);
    unsigned room = g->cli->terminal && last && g->cli->columns > column ? g->cli->columns - column : 0;
    if (room > 1 && have > room) {
        const char *end = text;
        for (unsigned n = 0; n < room - 1; n++)
            end += utf8_char_size(slice_str(end)) ? utf8_char_size(slice_str(end)) : 1;
        printf("%.*s…", (int)(end - text), text);
        return;
    }
    printf("%s", text);
    for (unsigned i = have; !last && i < width + GRID_GAP; i++)
        putchar(' ');
}

static void put_line(const struct grid *g, const char *const *cells, const unsigned *widths)
{
    unsigned column = 0, last = g->columns;
    while (last > 1 && !*cells[last - 1])
        last--;
    for (unsigned i = 0; i < last; i++) {
        put_cell(g, cells[i], widths[i], i == last - 1, column);
        column += widths[i] + GRID_GAP;
    }
    putchar('\n');
}

void grid_print(const struct grid *g, bool with_heads)
{
    unsigned widths[GRID_COLUMNS_MAX] = {0};
    const char *const *cells = g->cells.items;
    assert(g->columns > 0);
    for (unsigned i = 0; i < g->columns; i++)
        widths[i] = width_of(g->heads[i]);
    for (uint32_t i = 0; i < g->cells.count; i++) {
        unsigned width = width_of(cells[i]);
        if (width > widths[i % g->columns])
            widths[i % g->columns] = width;
    }
    if (with_heads) {
        fputs(cli_paint(g->cli, STYLE_DIM), stdout);
        put_line(g, g->heads, widths);
        fputs(cli_paint(g->cli, STYLE_OFF), stdout);
    }
    for (uint32_t i = 0; i + g->columns <= g->cells.count; i += g->columns)
        put_line(g, cells + i, widths);
}
