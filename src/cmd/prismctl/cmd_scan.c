/* kv scan and kv export: pages of a range, printed or written as they come. */
#include <errno.h>

#include "cli.h"
#include "prism/cli/v1/record.pb.h"
#include "prism/keyvalue/v1/keyvalue_scan.pb.h"

static enum err encode(struct cli *cli, const struct pb_message *table, const void *message, struct slice *ret_bytes)
{
    uint8_t *out = arena_alloc(&cli->arena, pb_encoded_size(table, message) + 1);
    if (!out)
        return ERR_NOMEM;
    *ret_bytes = slice_of(out, (size_t)(pb_encode(table, message, out) - out));
    return OK;
}

/* What a scan prints. The arena is that of a page. */
struct scan_output {
    struct cli *cli;
    struct arena arena;
    bool keys_only;
    bool heads_shown;
};

static enum err print_keys(struct scan_output *o, const struct keyvalue_scan_keys_response *page)
{
    for (uint32_t i = 0; i < page->keys.count; i++) {
        struct keyvalue_key_value_item item = {.key = PB_AT(page->keys, struct slice, i)};
        if (o->cli->output == OUTPUT_TABLE) {
            puts(show_bytes(&o->arena, item.key));
            continue;
        }
        struct cli_record *record = record_of_item(&o->arena, &item);
        if (!record)
            return ERR_NOMEM;
        record->has_value = false;
        enum err e = cli_print_item(o->cli, &cli_record_pb, record);
        if (e)
            return e;
    }
    return OK;
}

static enum err print_records(struct scan_output *o, const struct keyvalue_scan_response *page)
{
    for (uint32_t i = 0; i < page->items.count; i++) {
        const struct cli_record *record =
            record_of_item(&o->arena, PB_AT(page->items, struct keyvalue_key_value_item *, i));
        enum err e = record ? cli_print_item(o->cli, &cli_record_pb, record) : ERR_NOMEM;
        if (e)
            return e;
    }
    return OK;
}

static enum err print_items(struct scan_output *o, const struct keyvalue_scan_response *page)
{
    static const char *const heads[] = {"KEY", "EXPIRES", "VALUE"};
    static const char *const heads_without[] = {"KEY", "VALUE"};
    bool expiries = false;
    for (uint32_t i = 0; i < page->items.count; i++)
        expiries |= PB_AT(page->items, struct keyvalue_key_value_item *, i)->expires_at != NULL;
    struct grid g;
    grid_init(&g, o->cli, &o->arena, expiries ? heads : heads_without, expiries ? 3 : 2);
    for (uint32_t i = 0; i < page->items.count; i++) {
        const struct keyvalue_key_value_item *item = PB_AT(page->items, struct keyvalue_key_value_item *, i);
        const char *key = show_bytes(&o->arena, item->key), *value = show_bytes(&o->arena, item->value);
        if (expiries)
            grid_row(&g, (const char *const[]){key, show_time(&o->arena, item->expires_at), value});
        else
            grid_row(&g, (const char *const[]){key, value});
    }
    grid_print(&g, page->items.count && !o->heads_shown);
    o->heads_shown |= page->items.count > 0;
    return OK;
}

/* With --verbose: what --cursor takes to go on behind the page. ScanKeysResponse has the cursor too. */
static void tell_cursor(struct scan_output *o, const void *page)
{
    struct slice cursor = o->keys_only ? ((const struct keyvalue_scan_keys_response *)page)->next_cursor
                                       : ((const struct keyvalue_scan_response *)page)->next_cursor;
    if (o->cli->verbose && cursor.size) {
        fflush(stdout);
        fprintf(stderr, "cursor: %s\n", show_base64(&o->arena, cursor));
    }
}

/* A page has come. */
static enum err print_page(void *context, struct slice message)
{
    struct scan_output *o = context;
    const struct pb_message *table = o->keys_only ? &keyvalue_scan_keys_response_pb : &keyvalue_scan_response_pb;
    void *page;
    arena_reset(&o->arena);
    enum err e = pb_decode(table, message, &o->arena, &pb_limits_default, &page);
    if (!e && o->keys_only)
        e = print_keys(o, page);
    else if (!e)
        e = o->cli->output == OUTPUT_TABLE ? print_items(o, page) : print_records(o, page);
    if (!e)
        tell_cursor(o, page);
    if (!e && ferror(stdout))
        e = diag_set(&o->cli->diag, ERR_FILE, "standard output takes no more");
    return e;
}

static enum err scan_request(struct cli *cli, struct keyvalue_scan_request *r)
{
    enum err e = cli_range(cli, &r->prefix, &r->start, &r->end);
    r->limit = cli_count(cli, "limit");
    uint64_t page_size = cli_count(cli, "page-size");
    r->page_size = page_size > UINT32_MAX ? UINT32_MAX : (uint32_t)page_size;
    r->reverse = cli_flag(cli, "reverse");
    if (!e && cli_option(cli, "cursor"))
        e = cli_bytes_base64(cli, cli_option(cli, "cursor"), "--cursor", &r->cursor);
    return e;
}

enum err run_kv_scan(struct cli *cli)
{
    struct scan_output o = {.cli = cli, .keys_only = cli_flag(cli, "keys-only")};
    const char *method = o.keys_only ? "ScanKeys" : "Scan";
    struct keyvalue_scan_request request = {.unknown = {0}};
    struct slice bytes;
    /* ScanKeysRequest has the same fields by the same numbers. */
    enum err e = scan_request(cli, &request);
    if (!e)
        e = encode(cli, &keyvalue_scan_request_pb, &request, &bytes);
    if (e)
        return e;
    arena_init(&o.arena, LIMIT_CALL_ARENA_BYTES);
    e = cli_stream(cli, SIDE_DATA, method_named(&keyvalue_scan_service, method)->path, &bytes, 1, print_page, &o);
    arena_fini(&o.arena);
    return e;
}

struct export
{
    struct cli *cli;
    FILE *out;
    struct arena arena;
    struct buf lines;
    struct progress progress;
    uint64_t total; /* 0: not known */
};

static enum err write_lines(struct export *x)
{
    if (fwrite(x->lines.data, 1, x->lines.size, x->out) != x->lines.size)
        return diag_set(&x->cli->diag, ERR_FILE, "the file takes no more: %s", strerror(errno));
    buf_reset(&x->lines);
    return OK;
}

static enum err export_page(void *context, struct slice message)
{
    struct export *x = context;
    struct keyvalue_scan_response *page;
    arena_reset(&x->arena);
    enum err e = pb_decode(&keyvalue_scan_response_pb, message, &x->arena, &pb_limits_default, (void **)&page);
    for (uint32_t i = 0; !e && i < page->items.count; i++) {
        struct cli_record *record = record_of_item(&x->arena, PB_AT(page->items, struct keyvalue_key_value_item *, i));
        if (record)
            record->version = SLICE_EMPTY; /* an import makes new ones */
        e = record ? record_write(record, &x->lines) : ERR_NOMEM;
        x->progress.done++;
    }
    if (x->total)
        x->progress.part = (double)x->progress.done / (double)x->total;
    progress_show(&x->progress);
    return e ? e : write_lines(x);
}

static enum err export_all(struct export *x)
{
    struct keyvalue_scan_request request = {.page_size = LIMIT_PAGE_ITEMS};
    struct slice bytes;
    enum err e = cli_range(x->cli, &request.prefix, &request.start, &request.end);
    if (!e && x->progress.on)
        e = cli_count_range(x->cli, &x->total);
    if (!e)
        e = encode(x->cli, &keyvalue_scan_request_pb, &request, &bytes);
    if (!e)
        e = cli_stream(x->cli, SIDE_DATA, method_named(&keyvalue_scan_service, "Scan")->path, &bytes, 1, export_page,
                       x);
    progress_clear(&x->progress);
    return e;
}

enum err run_kv_export(struct cli *cli)
{
    const char *path = cli_argument(cli, 0);
    bool to_stdout = !path || strcmp(path, "-") == 0;
    struct export x = {.cli = cli, .out = to_stdout ? stdout : fopen(path, "wb")};
    if (!x.out)
        return diag_set(&cli->diag, ERR_FILE, "%s cannot be written: %s", path, strerror(errno));
    progress_init(&x.progress, cli, "exporting");
    arena_init(&x.arena, LIMIT_CALL_ARENA_BYTES);
    buf_init(&x.lines, LIMIT_CALL_ARENA_BYTES);
    enum err e = export_all(&x);
    if (!to_stdout && fclose(x.out) && !e)
        e = diag_set(&cli->diag, ERR_FILE, "%s cannot be written: %s", path, strerror(errno));
    if (!e)
        fprintf(stderr, "exported %llu records in %.1f s\n", (unsigned long long)x.progress.done,
                progress_seconds(&x.progress));
    arena_fini(&x.arena);
    buf_fini(&x.lines);
    return e;
}
