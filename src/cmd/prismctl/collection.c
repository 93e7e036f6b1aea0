/* What the commands of lists, sets, sorted sets and counters share: keys and members, elements on the screen, pages. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "cli.h"
#include "prism/cli/v1/element.pb.h"

enum err collection_call(struct cli *cli, const struct pb_service *service, const char *method, const void *request,
                         void **ret_response)
{
    return cli_call(cli, SIDE_DATA, method_named(service, method), request, ret_response);
}

/* --- arguments ------------------------------------------------------------------------------------------------------------------ */

enum err collection_key(struct cli *cli, struct slice *ret_key)
{
    return cli_key(cli, cli_argument(cli, 0), "KEY", ret_key);
}

enum err collection_members(struct cli *cli, unsigned from, struct pb_array *members)
{
    enum err e = OK;
    for (unsigned i = from; cli_argument(cli, i) && !e; i++) {
        struct slice *member = pb_array_add(members, sizeof *member, &cli->arena);
        e = member ? cli_key(cli, cli_argument(cli, i), "MEMBER", member) : ERR_NOMEM;
    }
    return e;
}

enum err collection_integer(struct cli *cli, const char *text, const char *what, int64_t *ret_number)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text || *end)
        return diag_set(&cli->diag, ERR_USAGE, "%s is a whole number of at most 64 bits, not \"%s\"", what, text);
    *ret_number = number;
    return OK;
}

enum err collection_number(struct cli *cli, const char *text, const char *what, double *ret_number)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end || isnan(number))
        return diag_set(&cli->diag, ERR_USAGE, "%s is a number such as 1.5, inf or -inf, not \"%s\"", what, text);
    *ret_number = number;
    return OK;
}

/* --- printing ------------------------------------------------------------------------------------------------------------------- */

static void put_text(struct slice bytes, bool *has_text, struct slice *text, bool *has_base64, struct slice *base64)
{
    *has_text = utf8_valid(bytes);
    *has_base64 = !*has_text;
    *(*has_text ? text : base64) = bytes;
}

enum err collection_print_value(struct cli *cli, struct slice value)
{
    struct cli_element element = {.unknown = {0}};
    if (cli->output == OUTPUT_TABLE) {
        puts(show_bytes(&cli->arena, value));
        return OK;
    }
    put_text(value, &element.has_value, &element.value, &element.has_value_base64, &element.value_base64);
    return cli_print_item(cli, &cli_element_pb, &element);
}

enum err collection_print_member(struct cli *cli, struct slice member, const double *score)
{
    struct cli_element element = {.has_score = score != NULL, .score = score ? *score : 0};
    if (cli->output == OUTPUT_TABLE) {
        if (score)
            printf("%.17g\t", *score);
        puts(show_bytes(&cli->arena, member));
        return OK;
    }
    put_text(member, &element.has_member, &element.member, &element.has_member_base64, &element.member_base64);
    return cli_print_item(cli, &cli_element_pb, &element);
}

enum err collection_say(struct cli *cli, const struct pb_message *table, const void *response, const char *format, ...)
{
    if (cli->output != OUTPUT_TABLE)
        return cli_print(cli, table, response);
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    return OK;
}

const char *collection_name(struct cli *cli, struct slice key)
{
    return show_bytes(&cli->arena, key);
}

enum err collection_missing(struct cli *cli, const char *what, struct slice key)
{
    return diag_set(&cli->diag, ERR_NOT_FOUND, "there is no %s \"%s\" in namespace %s", what, collection_name(cli, key),
                    cli_option(cli, "namespace"));
}

/* --- pages ---------------------------------------------------------------------------------------------------------------------- */

/* The cursor moves out of the page's memory. An error leaves this as it is: its words are in there. */
static void page_end(struct cli *cli, struct collection_page *page)
{
    size_t size = page->cursor.size < sizeof page->kept ? page->cursor.size : sizeof page->kept;
    if (size)
        memcpy(page->kept, page->cursor.data, size);
    page->cursor = slice_of(page->kept, size);
    arena_fini(&cli->arena);
    cli->arena = cli->behind;
    cli->behind = (struct arena){0};
}

static enum err one_page(struct cli *cli, struct collection_page *page, collection_fetch_fn *fetch, void *context)
{
    page->printed = 0;
    page->page_size = page->left < LIMIT_PAGE_ITEMS ? (uint32_t)page->left : LIMIT_PAGE_ITEMS;
    cli->behind = cli->arena;
    arena_init(&cli->arena, SIZE_MAX);
    enum err e = fetch(cli, context, page);
    if (!e && ferror(stdout))
        e = diag_set(&cli->diag, ERR_FILE, "standard output takes no more");
    if (!e)
        page_end(cli, page);
    return e;
}

enum err collection_pages(struct cli *cli, collection_fetch_fn *fetch, void *context)
{
    struct collection_page page = {.left = cli_count(cli, "limit") ? cli_count(cli, "limit") : UINT64_MAX};
    struct rpc_client *client; /* made before: it outlives the pages */
    enum err e = cli_client(cli, SIDE_DATA, &client);
    do {
        if (!e)
            e = one_page(cli, &page, fetch, context);
        page.left -= page.printed < page.left ? page.printed : page.left;
    } while (!e && page.cursor.size && page.left);
    return e;
}
