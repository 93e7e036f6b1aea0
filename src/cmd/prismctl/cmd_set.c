/* set: members, each once. */
#include "cli.h"
#include "prism/set/v1/set_basic.pb.h"
#include "prism/set/v1/set_cardinality.pb.h"
#include "prism/set/v1/set_operations.pb.h"
#include "prism/set/v1/set_random.pb.h"

enum err run_set_add(struct cli *cli)
{
    struct set_add_request request = {.unknown = {0}};
    struct set_add_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = collection_members(cli, 1, &request.members);
    if (!e)
        e = collection_call(cli, &set_basic_service, "Add", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &set_add_response_pb, response, "added %llu to %s", (unsigned long long)response->added,
                          collection_name(cli, request.key));
}

enum err run_set_remove(struct cli *cli)
{
    struct set_remove_request request = {.unknown = {0}};
    struct set_remove_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = collection_members(cli, 1, &request.members);
    if (!e)
        e = collection_call(cli, &set_basic_service, "Remove", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &set_remove_response_pb, response, "removed %llu from %s",
                          (unsigned long long)response->removed, collection_name(cli, request.key));
}

/* "yes" and "no" for many; for one the exit code tells too. */
static enum err print_presence(struct cli *cli, const struct set_is_member_request *r,
                               const struct set_is_member_response *response)
{
    bool all = true;
    for (uint32_t i = 0; i < r->members.count && i < response->present.count; i++) {
        bool present = PB_AT(response->present, bool, i);
        if (cli->output == OUTPUT_TABLE)
            printf("%s\t%s\n", present ? "yes" : "no", collection_name(cli, PB_AT(r->members, struct slice, i)));
        all &= present;
    }
    enum err e = cli->output == OUTPUT_TABLE ? OK : cli_print(cli, &set_is_member_response_pb, response);
    return e || all ? e : collection_missing(cli, "such member in set", r->key);
}

enum err run_set_contains(struct cli *cli)
{
    struct set_is_member_request request = {.unknown = {0}};
    struct set_is_member_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = collection_members(cli, 1, &request.members);
    if (!e)
        e = collection_call(cli, &set_cardinality_service, "IsMember", &request, (void **)&response);
    return e ? e : print_presence(cli, &request, response);
}

enum err run_set_size(struct cli *cli)
{
    struct set_get_size_request request = {.unknown = {0}};
    struct set_get_size_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = collection_call(cli, &set_cardinality_service, "GetSize", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &set_get_size_response_pb, response, "%llu", (unsigned long long)response->size);
}

static enum err print_members(struct cli *cli, const struct pb_array *members)
{
    enum err e = OK;
    for (uint32_t i = 0; i < members->count && !e; i++)
        e = collection_print_member(cli, PB_AT(*members, struct slice, i), NULL);
    return e;
}

static enum err fetch_members(struct cli *cli, void *context, struct collection_page *page)
{
    struct set_get_members_request request = *(const struct set_get_members_request *)context;
    struct set_get_members_response *response;
    request.page_size = page->page_size;
    request.cursor = page->cursor;
    enum err e = collection_call(cli, &set_basic_service, "GetMembers", &request, (void **)&response);
    if (!e)
        e = print_members(cli, &response->members);
    if (e)
        return e;
    page->printed = response->members.count;
    page->cursor = response->next_cursor;
    return OK;
}

enum err run_set_members(struct cli *cli)
{
    struct set_get_members_request request = {.unknown = {0}};
    enum err e = collection_key(cli, &request.key);
    return e ? e : collection_pages(cli, fetch_members, &request);
}

enum err run_set_random(struct cli *cli)
{
    struct set_get_random_member_request request = {.count = (uint32_t)cli_count(cli, "count")};
    struct set_get_random_member_response *response; /* PopRandomMember's begins the same way */
    const char *method = cli_flag(cli, "pop") ? "PopRandomMember" : "GetRandomMember";
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = collection_call(cli, &set_random_service, method, &request, (void **)&response);
    if (e)
        return e;
    return response->members.count ? print_members(cli, &response->members)
                                   : collection_missing(cli, "set", request.key);
}

/* "set union" → "Union": the second word of the command is the method, but for its first letter. */
static const char *operation_of(const struct cli *cli)
{
    const char *word = strchr(cli->args.command->name, ' ') + 1;
    return *word == 'u' ? "Union" : *word == 'i' ? "Intersection" : "Difference";
}

static enum err fetch_result(struct cli *cli, void *context, struct collection_page *page)
{
    struct set_union_request request = *(const struct set_union_request *)context; /* all three have its layout */
    struct set_union_response *response;
    request.page_size = page->page_size;
    request.cursor = page->cursor;
    enum err e = collection_call(cli, &set_operations_service, operation_of(cli), &request, (void **)&response);
    if (!e)
        e = print_members(cli, &response->members);
    if (e)
        return e;
    page->printed = response->members.count;
    page->cursor = response->next_cursor;
    return OK;
}

enum err run_set_operation(struct cli *cli)
{
    struct set_union_request request = {.unknown = {0}};
    enum err e = collection_members(cli, 0, &request.keys);
    return e ? e : collection_pages(cli, fetch_result, &request);
}

enum err run_set_clear(struct cli *cli)
{
    struct set_clear_request request = {.unknown = {0}};
    struct set_clear_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = collection_call(cli, &set_basic_service, "Clear", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &set_clear_response_pb, response, "removed %llu members",
                          (unsigned long long)response->removed);
}
