/* sortedset: members with scores. */
#include "cli.h"
#include "prism/sortedset/v1/sortedset_basic.pb.h"
#include "prism/sortedset/v1/sortedset_lex.pb.h"
#include "prism/sortedset/v1/sortedset_operations.pb.h"
#include "prism/sortedset/v1/sortedset_range.pb.h"
#include "prism/sortedset/v1/sortedset_rank.pb.h"

/* --- members -------------------------------------------------------------------------------------------------------------------- */

static enum err add_pair(struct cli *cli, unsigned i, struct pb_array *members)
{
    struct sortedset_scored_member *one = arena_new(&cli->arena, struct sortedset_scored_member);
    struct sortedset_scored_member **place = one ? pb_array_add(members, sizeof one, &cli->arena) : NULL;
    if (!place)
        return ERR_NOMEM;
    *place = one;
    if (!cli_argument(cli, i + 1))
        return diag_set(&cli->diag, ERR_USAGE, "the score \"%s\" has no member behind it", cli_argument(cli, i));
    enum err e = collection_number(cli, cli_argument(cli, i), "SCORE", &one->score);
    return e ? e : cli_key(cli, cli_argument(cli, i + 1), "MEMBER", &one->member);
}

enum err run_sortedset_add(struct cli *cli)
{
    struct sortedset_add_request request = {.unknown = {0}};
    struct sortedset_add_response *response;
    enum err e = collection_key(cli, &request.key);
    for (unsigned i = 1; cli_argument(cli, i) && !e; i += 2)
        e = add_pair(cli, i, &request.members);
    if (!e)
        e = collection_call(cli, &sortedset_basic_service, "Add", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &sortedset_add_response_pb, response, "added %llu to %s, %llu have a new score",
                          (unsigned long long)response->added, collection_name(cli, request.key),
                          (unsigned long long)response->updated);
}

enum err run_sortedset_remove(struct cli *cli)
{
    struct sortedset_remove_request request = {.unknown = {0}};
    struct sortedset_remove_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = collection_members(cli, 1, &request.members);
    if (!e)
        e = collection_call(cli, &sortedset_basic_service, "Remove", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &sortedset_remove_response_pb, response, "removed %llu from %s",
                          (unsigned long long)response->removed, collection_name(cli, request.key));
}

enum err run_sortedset_score(struct cli *cli)
{
    struct sortedset_get_score_request request = {.unknown = {0}};
    struct sortedset_get_score_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = cli_key(cli, cli_argument(cli, 1), "MEMBER", &request.member);
    if (!e)
        e = collection_call(cli, &sortedset_basic_service, "GetScore", &request, (void **)&response);
    if (e)
        return e;
    if (!response->found)
        return collection_missing(cli, "such member in sorted set", request.key);
    return collection_say(cli, &sortedset_get_score_response_pb, response, "%.17g", response->score);
}

enum err run_sortedset_rank(struct cli *cli)
{
    struct sortedset_get_rank_request request = {.unknown = {0}}; /* GetReverseRank has the same layout */
    struct sortedset_get_rank_response *response;
    const char *method = cli_flag(cli, "reverse") ? "GetReverseRank" : "GetRank";
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = cli_key(cli, cli_argument(cli, 1), "MEMBER", &request.member);
    if (!e)
        e = collection_call(cli, &sortedset_rank_service, method, &request, (void **)&response);
    if (e)
        return e;
    if (!response->found)
        return collection_missing(cli, "such member in sorted set", request.key);
    return collection_say(cli, &sortedset_get_rank_response_pb, response, "%llu", (unsigned long long)response->rank);
}

enum err run_sortedset_clear(struct cli *cli)
{
    struct sortedset_clear_request request = {.unknown = {0}};
    struct sortedset_clear_response *response;
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = collection_call(cli, &sortedset_basic_service, "Clear", &request, (void **)&response);
    if (e)
        return e;
    return collection_say(cli, &sortedset_clear_response_pb, response, "removed %llu members",
                          (unsigned long long)response->removed);
}

/* --- ranges --------------------------------------------------------------------------------------------------------------------- */

static enum err print_scored(struct cli *cli, const struct pb_array *members)
{
    enum err e = OK;
    for (uint32_t i = 0; i < members->count && !e; i++) {
        const struct sortedset_scored_member *one = PB_AT(*members, const struct sortedset_scored_member *, i);
        e = collection_print_member(cli, one->member, &one->score);
    }
    return e;
}

static enum err fetch_ranks(struct cli *cli, void *context, struct collection_page *page)
{
    struct sortedset_get_range_request *request = context;
    struct sortedset_get_range_response *response;
    enum err e = collection_call(cli, &sortedset_range_service, "GetRange", request, (void **)&response);
    if (!e && response->members.count > page->left)
        response->members.count = (uint32_t)page->left;
    if (!e)
        e = print_scored(cli, &response->members);
    if (e)
        return e;
    page->printed = response->members.count;
    page->cursor = response->has_next_start ? SLICE("more") : SLICE_EMPTY;
    request->start = response->next_start;
    return OK;
}

enum err run_sortedset_range(struct cli *cli)
{
    struct sortedset_get_range_request request = {.end = -1, .reverse = cli_flag(cli, "reverse")};
    enum err e = collection_key(cli, &request.key);
    if (!e && cli_argument(cli, 1))
        e = collection_integer(cli, cli_argument(cli, 1), "START", &request.start);
    if (!e && cli_argument(cli, 2))
        e = collection_integer(cli, cli_argument(cli, 2), "END", &request.end);
    return e ? e : collection_pages(cli, fetch_ranks, &request);
}

/* A bound that begins with "(" leaves out what it names. */
static const char *bound(const char *text, bool *exclusive)
{
    *exclusive = *text == '(';
    return text + *exclusive;
}

static enum err score_bound(struct cli *cli, const char *option, struct sortedset_score_bound **ret_bound)
{
    const char *text = cli_option(cli, option);
    if (!text)
        return OK;
    struct sortedset_score_bound *b = arena_new(&cli->arena, struct sortedset_score_bound);
    if (!b)
        return ERR_NOMEM;
    *ret_bound = b;
    return collection_number(cli, bound(text, &b->exclusive), option, &b->score);
}

static enum err fetch_scores(struct cli *cli, void *context, struct collection_page *page)
{
    struct sortedset_get_range_by_score_request request = *(const struct sortedset_get_range_by_score_request *)context;
    struct sortedset_get_range_by_score_response *response;
    request.page_size = page->page_size;
    request.cursor = page->cursor;
    enum err e = collection_call(cli, &sortedset_range_service, "GetRangeByScore", &request, (void **)&response);
    if (!e)
        e = print_scored(cli, &response->members);
    if (e)
        return e;
    page->printed = response->members.count;
    page->cursor = response->next_cursor;
    return OK;
}

enum err run_sortedset_scores(struct cli *cli)
{
    struct sortedset_get_range_by_score_request request = {.reverse = cli_flag(cli, "reverse")};
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = score_bound(cli, "min", &request.min);
    if (!e)
        e = score_bound(cli, "max", &request.max);
    return e ? e : collection_pages(cli, fetch_scores, &request);
}

static enum err lex_bound(struct cli *cli, const char *option, struct sortedset_lex_bound **ret_bound)
{
    const char *text = cli_option(cli, option);
    if (!text)
        return OK;
    struct sortedset_lex_bound *b = arena_new(&cli->arena, struct sortedset_lex_bound);
    if (!b)
        return ERR_NOMEM;
    *ret_bound = b;
    return cli_key(cli, bound(text, &b->exclusive), option, &b->member);
}

static enum err fetch_lex(struct cli *cli, void *context, struct collection_page *page)
{
    struct sortedset_get_range_by_lex_request request = *(const struct sortedset_get_range_by_lex_request *)context;
    struct sortedset_get_range_by_lex_response *response;
    request.page_size = page->page_size;
    request.cursor = page->cursor;
    enum err e = collection_call(cli, &sortedset_lex_service, "GetRangeByLex", &request, (void **)&response);
    for (uint32_t i = 0; !e && i < response->members.count; i++)
        e = collection_print_member(cli, PB_AT(response->members, struct slice, i), NULL);
    if (e)
        return e;
    page->printed = response->members.count;
    page->cursor = response->next_cursor;
    return OK;
}

enum err run_sortedset_lex(struct cli *cli)
{
    struct sortedset_get_range_by_lex_request request = {.reverse = cli_flag(cli, "reverse")};
    enum err e = collection_key(cli, &request.key);
    if (!e)
        e = lex_bound(cli, "min", &request.min);
    if (!e)
        e = lex_bound(cli, "max", &request.max);
    return e ? e : collection_pages(cli, fetch_lex, &request);
}

/* --- operations ----------------------------------------------------------------------------------------------------------------- */

static enum err weights_of(struct cli *cli, struct pb_array *weights)
{
    const char *text;
    enum err e = OK;
    for (unsigned i = 0; !e && (text = cli_option_at(cli, "weight", i)); i++) {
        double *weight = pb_array_add(weights, sizeof *weight, &cli->arena);
        e = weight ? collection_number(cli, text, "--weight", weight) : ERR_NOMEM;
    }
    return e;
}

static int32_t aggregate_of(const struct cli *cli)
{
    const char *text = cli_option(cli, "aggregate");
    if (strcmp(text, "sum") == 0)
        return SCORE_AGGREGATE_SUM;
    return strcmp(text, "min") == 0 ? SCORE_AGGREGATE_MIN : SCORE_AGGREGATE_MAX;
}

static enum err fetch_result(struct cli *cli, void *context, struct collection_page *page)
{
    struct sortedset_union_request request = *(const struct sortedset_union_request *)context; /* also Intersection's */
    struct sortedset_union_response *response;
    const char *method = strchr(cli->args.command->name, ' ')[1] == 'u' ? "Union" : "Intersection";
    request.page_size = page->page_size;
    request.cursor = page->cursor;
    enum err e = collection_call(cli, &sortedset_operations_service, method, &request, (void **)&response);
    if (!e)
        e = print_scored(cli, &response->members);
    if (e)
        return e;
    page->printed = response->members.count;
    page->cursor = response->next_cursor;
    return OK;
}

enum err run_sortedset_operation(struct cli *cli)
{
    struct sortedset_union_request request = {.aggregate = aggregate_of(cli), .reverse = cli_flag(cli, "reverse")};
    enum err e = collection_members(cli, 0, &request.keys);
    if (!e)
        e = weights_of(cli, &request.weights);
    return e ? e : collection_pages(cli, fetch_result, &request);
}
