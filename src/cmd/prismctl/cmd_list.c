/* list: values in an order. */
#include "cli.h"
#include "prism/list/v1/list_basic.pb.h"
#include "prism/list/v1/list_blocking.pb.h"
#include "prism/list/v1/list_indexing.pb.h"
#include "prism/list/v1/list_range.pb.h"

enum err run_list_push(struct cli *cli)
{
    struct list_push_left_request request = {.unknown = {0}}; /* that of PushRight has the same layout */
    struct list_push_left_response *response;
    bool left = cli_flag(cli, "left");
    enum err e = collection_key(cli, &request.key);
    for (unsigned i = 1; cli_argument(cli, i) && !e; i++) {
        struct slice *value = pb_array_add(&request.values, sizeof *value, &cli->arena);
        e = value ? cli_value(cli, cli_argument(cli, i), value) : ERR_NOMEM;
    }
    if (!e)
        e = collection_call(cli, &list_basic_service, left ? "PushLeft" : "PushRight", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &list_push_left_response_pb, response, "pushed %u, %s has %llu values now",
                          request.values.count, collection_name(cli, request.key),
                          (unsigned long long)response->length);
}

/* --- popping -------------------------------------------------------------------------------------------------------------------- */

/* One value for who asked for one: byte for byte, as kv get. */
static enum err print_one(struct cli *cli, struct slice value)
{
    if (cli->output != OUTPUT_TABLE)
        return collection_print_value(cli, value);
    fwrite(value.data, 1, value.size, stdout);
    if (cli->terminal && (!value.size || value.data[value.size - 1] != '\n'))
        putchar('\n');
    return OK;
}

static enum err print_values(struct cli *cli, const struct pb_array *values)
{
    enum err e = OK;
    for (uint32_t i = 0; i < values->count && !e; i++)
        e = collection_print_value(cli, PB_AT(*values, struct slice, i));
    return e;
}

static enum err pop_waiting(struct cli *cli, struct slice key, bool right)
{
    struct list_blocking_pop_left_request request = {.key = key};
    struct list_blocking_pop_left_response *response;
    request.timeout = duration_message(&cli->arena, cli_duration_ns(cli, "block") / 1000000);
    if (!request.timeout)
        return ERR_NOMEM;
    const char *method = right ? "BlockingPopRight" : "BlockingPopLeft";
    enum err e = collection_call(cli, &list_blocking_service, method, &request, (void **)&response);
    if (e)
        return e;
    return response->found ? print_one(cli, response->value) : collection_missing(cli, "value in list", key);
}

static enum err pop(struct cli *cli, struct slice key, bool right)
{
    struct list_pop_left_request request = {.key = key, .count = (uint32_t)cli_count(cli, "count")};
    struct list_pop_left_response *response;
    const char *method = right ? "PopRight" : "PopLeft";
    enum err e = collection_call(cli, &list_basic_service, method, &request, (void **)&response);
    if (e)
        return e;
    if (!response->values.count)
        return collection_missing(cli, "list", key);
    return request.count ? print_values(cli, &response->values)
                         : print_one(cli, PB_AT(response->values, struct slice, 0));
}

enum err run_list_pop(struct cli *cli)
{
    struct slice key;
    bool right = cli_flag(cli, "right");
    enum err e = collection_key(cli, &key);
    if (e)
        return e;
    if (cli_option(cli, "block") && cli_option(cli, "count"))
        return diag_set(&cli->diag, ERR_USAGE, "--block pops one value; leave --count out");
    return cli_option(cli, "block") ? pop_waiting(cli, key, right) : pop(cli, key, right);
}

/* --- by position ---------------------------------------------------------------------------------------------------------------- */

enum err run_list_get(struct cli *cli)
{
    struct list_get_request request = {.unknown = {0}};
    struct list_get_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = collection_integer(cli, cli_argument(cli, 1), "INDEX", &request.index);
    if (!e)
        e = collection_call(cli, &list_indexing_service, "Get", &request, (void **)&response);
    if (e)
        return e;
    return response->found ? print_one(cli, response->value)
                           : collection_missing(cli, "such index in list", request.key);
}

enum err run_list_set(struct cli *cli)
{
    struct list_set_request request = {.unknown = {0}};
    struct list_set_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = collection_integer(cli, cli_argument(cli, 1), "INDEX", &request.index);
    if (!e)
        e = cli_value(cli, cli_argument(cli, 2), &request.value);
    if (!e)
        e = collection_call(cli, &list_indexing_service, "Set", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &list_set_response_pb, response, "set %s[%lld], %zu bytes",
                          collection_name(cli, request.key), (long long)request.index, request.value.size);
}

enum err run_list_insert(struct cli *cli)
{
    struct list_insert_request request = {.unknown = {0}};
    struct list_insert_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = collection_integer(cli, cli_argument(cli, 1), "INDEX", &request.index);
    if (!e)
        e = cli_value(cli, cli_argument(cli, 2), &request.value);
    if (!e)
        e = collection_call(cli, &list_indexing_service, "Insert", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &list_insert_response_pb, response, "inserted, %s has %llu values now",
                          collection_name(cli, request.key), (unsigned long long)response->length);
}

static enum err what_to_remove(struct cli *cli, struct list_remove_request *r)
{
    const char *index = cli_argument(cli, 1), *value = cli_option(cli, "value"), *count = cli_option(cli, "count");
    if (!index == !value)
        return diag_set(&cli->diag, ERR_USAGE, "list remove takes one of INDEX and --value");
    r->what_case = index ? LIST_REMOVE_REQUEST_INDEX : LIST_REMOVE_REQUEST_VALUE;
    enum err e = index ? collection_integer(cli, index, "INDEX", &r->index) : cli_value(cli, value, &r->value);
    return e || !count ? e : collection_integer(cli, count, "--count", &r->count);
}

enum err run_list_remove(struct cli *cli)
{
    struct list_remove_request request = {.unknown = {0}};
    struct list_remove_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = what_to_remove(cli, &request);
    if (!e)
        e = collection_call(cli, &list_indexing_service, "Remove", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &list_remove_response_pb, response, "removed %llu, %s has %llu values now",
                          (unsigned long long)response->removed, collection_name(cli, request.key),
                          (unsigned long long)response->length);
}

/* --- ranges --------------------------------------------------------------------------------------------------------------------- */

static enum err positions(struct cli *cli, int64_t *start, int64_t *end)
{
    const char *first = cli_argument(cli, 1), *last = cli_argument(cli, 2);
    *start = 0;
    *end = -1;
    enum err e = first ? collection_integer(cli, first, "START", start) : OK;
    return e || !last ? e : collection_integer(cli, last, "END", end);
}

/* A cursor of the pages here is where the next answer begins. */
static enum err fetch_range(struct cli *cli, void *context, struct collection_page *page)
{
    struct list_get_range_request *request = context;
    struct list_get_range_response *response;
    enum err e = collection_call(cli, &list_range_service, "GetRange", request, (void **)&response);
    if (!e && response->values.count > page->left)
        response->values.count = (uint32_t)page->left;
    if (!e)
        e = print_values(cli, &response->values);
    if (e)
        return e;
    page->printed = response->values.count;
    page->cursor = response->has_next_start ? SLICE("more") : SLICE_EMPTY;
    request->start = response->next_start;
    return OK;
}

enum err run_list_range(struct cli *cli)
{
    struct list_get_range_request request = {.unknown = {0}};
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = positions(cli, &request.start, &request.end);
    return e ? e : collection_pages(cli, fetch_range, &request);
}

enum err run_list_trim(struct cli *cli)
{
    struct list_trim_request request = {.unknown = {0}};
    struct list_trim_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = positions(cli, &request.start, &request.end);
    if (!e)
        e = collection_call(cli, &list_range_service, "Trim", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &list_trim_response_pb, response, "removed %llu, %s has %llu values now",
                          (unsigned long long)response->removed, collection_name(cli, request.key),
                          (unsigned long long)response->length);
}

enum err run_list_clear(struct cli *cli)
{
    struct list_clear_request request = {.unknown = {0}};
    struct list_clear_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = collection_call(cli, &list_basic_service, "Clear", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &list_clear_response_pb, response, "removed %llu values",
                          (unsigned long long)response->removed);
}
