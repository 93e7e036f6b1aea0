/* kv: commands about one key, and count. */
#include "base/duration.h"
#include "cli.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "prism/cli/v1/record.pb.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"
#include "prism/keyvalue/v1/keyvalue_scan.pb.h"
#include "prism/keyvalue/v1/keyvalue_ttl.pb.h"
#include "rt/env.h"

static enum err key_argument(struct cli *cli, struct slice *ret_key)
{
    return cli_key(cli, cli_argument(cli, 0), "KEY", ret_key);
}

static enum err call(struct cli *cli, const struct pb_service *service, const char *method, const void *request,
                     void **ret_response)
{
    return cli_call(cli, SIDE_DATA, method_named(service, method), request, ret_response);
}

static enum err not_found(struct cli *cli, struct slice key)
{
    return diag_set(&cli->diag, ERR_NOT_FOUND, "there is no key \"%s\" in namespace %s", show_bytes(&cli->arena, key),
                    cli_option(cli, "namespace"));
}

enum err run_kv_get(struct cli *cli)
{
    struct keyvalue_get_request request = {.unknown = {0}};
    struct keyvalue_get_response *got;
    enum err e = key_argument(cli, &request.key);
    if (!e)
        e = call(cli, &keyvalue_basic_service, "Get", &request, (void **)&got);
    if (e)
        return e;
    if (!got->found)
        return not_found(cli, request.key);
    if (cli->output == OUTPUT_TABLE) {
        fwrite(got->value.data, 1, got->value.size, stdout);
        if (cli->terminal && (!got->value.size || got->value.data[got->value.size - 1] != '\n'))
            putchar('\n');
        return OK;
    }
    struct keyvalue_key_value_item item = {.key = request.key,
                                           .value = got->value,
                                           .version = got->version,
                                           .expires_at = got->expires_at,
                                           .tags = got->tags};
    const struct cli_record *record = record_of_item(&cli->arena, &item);
    return record ? cli_print(cli, &cli_record_pb, record) : ERR_NOMEM;
}

static enum err set_tags(struct cli *cli, struct pb_array *tags)
{
    const char *pair;
    for (unsigned i = 0; (pair = cli_option_at(cli, "tag", i)); i++) {
        const char *equals = strchr(pair, '=');
        if (!equals)
            return diag_set(&cli->diag, ERR_USAGE, "--tag takes NAME=VALUE, not \"%s\"", pair);
        struct keyvalue_set_request_tags_entry *entry = arena_new(&cli->arena, struct keyvalue_set_request_tags_entry);
        struct keyvalue_set_request_tags_entry **place = entry ? pb_array_add(tags, sizeof entry, &cli->arena) : NULL;
        if (!place)
            return ERR_NOMEM;
        entry->key = slice_of(pair, (size_t)(equals - pair));
        entry->value = slice_str(equals + 1);
        *place = entry;
    }
    return OK;
}

static enum err set_condition(struct cli *cli, bool *has, struct slice *version)
{
    const char *text = cli_option(cli, "if-version");
    *has = text || (cli->args.command->run == run_kv_set && cli_flag(cli, "if-absent"));
    if (text && cli->args.command->run == run_kv_set && cli_flag(cli, "if-absent"))
        return diag_set(&cli->diag, ERR_USAGE, "--if-version and --if-absent exclude each other");
    return text ? cli_bytes_base64(cli, text, "--if-version", version) : OK;
}

enum err run_kv_set(struct cli *cli)
{
    struct keyvalue_set_request request = {.unknown = {0}};
    struct keyvalue_set_response *response;
    enum err e = key_argument(cli, &request.key);
    if (!e)
        e = cli_value(cli, cli_argument(cli, 1), &request.value);
    if (!e)
        e = set_tags(cli, &request.tags);
    if (!e)
        e = set_condition(cli, &request.has_if_version, &request.if_version);
    if (!e && cli_option(cli, "ttl") &&
        !(request.ttl = duration_message(&cli->arena, cli_duration_ns(cli, "ttl") / 1000000)))
        e = ERR_NOMEM;
    if (!e)
        e = call(cli, &keyvalue_basic_service, "Set", &request, (void **)&response);
    if (e)
        return e;
    if (cli->output != OUTPUT_TABLE)
        return cli_print(cli, &keyvalue_set_response_pb, response);
    printf("stored %s, %zu bytes, version %s\n", show_bytes(&cli->arena, request.key), request.value.size,
           show_base64(&cli->arena, response->version));
    return OK;
}

enum err run_kv_delete(struct cli *cli)
{
    struct keyvalue_delete_request request = {.unknown = {0}};
    struct keyvalue_delete_response *response;
    enum err e = key_argument(cli, &request.key);
    if (!e)
        e = set_condition(cli, &request.has_if_version, &request.if_version);
    if (!e)
        e = call(cli, &keyvalue_basic_service, "Delete", &request, (void **)&response);
    if (e)
        return e;
    if (cli->output != OUTPUT_TABLE)
        return cli_print(cli, &keyvalue_delete_response_pb, response);
    printf(response->existed ? "deleted %s\n" : "there was no key %s\n", show_bytes(&cli->arena, request.key));
    return OK;
}

enum err run_kv_exists(struct cli *cli)
{
    struct keyvalue_exists_request request = {.unknown = {0}};
    struct keyvalue_exists_response *response;
    enum err e = key_argument(cli, &request.key);
    if (!e)
        e = call(cli, &keyvalue_basic_service, "Exists", &request, (void **)&response);
    if (e)
        return e;
    if (cli->output != OUTPUT_TABLE)
        e = cli_print(cli, &keyvalue_exists_response_pb, response);
    else if (response->exists)
        printf("%s exists\n", show_bytes(&cli->arena, request.key));
    return e || response->exists ? e : not_found(cli, request.key);
}

static const char *time_left(struct cli *cli, const struct google_protobuf_timestamp *at)
{
    const struct env *env = env_real();
    int64_t left_ms = timestamp_ms(at) - (int64_t)(env->realtime_ns(env) / 1000000);
    char text[DURATION_TEXT_BYTES];
    /* To the second where it is long: nobody reads the rest. */
    left_ms = left_ms > 60000 ? left_ms / 1000 * 1000 : left_ms > 0 ? left_ms : 0;
    const char *copy = arena_strdup(&cli->arena, duration_format(left_ms * 1000000, text));
    return copy ? copy : "?";
}

enum err run_kv_ttl(struct cli *cli)
{
    struct keyvalue_get_ttl_request request = {.unknown = {0}};
    struct keyvalue_get_ttl_response *response;
    enum err e = key_argument(cli, &request.key);
    if (!e)
        e = call(cli, &keyvalue_ttl_service, "GetTTL", &request, (void **)&response);
    if (e)
        return e;
    if (!response->exists)
        return not_found(cli, request.key);
    if (cli->output != OUTPUT_TABLE)
        return cli_print(cli, &keyvalue_get_ttl_response_pb, response);
    if (response->expires_at)
        printf("expires in %s, at %s\n", time_left(cli, response->expires_at),
               show_time(&cli->arena, response->expires_at));
    else
        puts("never expires");
    return OK;
}

static enum err expire_argument(struct cli *cli, int64_t *ret_ms)
{
    const char *text = cli_argument(cli, 1);
    if (duration_parse_ms(slice_str(text), ret_ms))
        return diag_set(&cli->diag, ERR_USAGE, "TTL is a time such as 90s or 12h, not \"%s\"", text);
    return OK;
}

enum err run_kv_expire(struct cli *cli)
{
    struct keyvalue_expire_request request = {.unknown = {0}};
    struct keyvalue_expire_response *response;
    int64_t ms = 0;
    enum err e = key_argument(cli, &request.key);
    if (!e)
        e = expire_argument(cli, &ms);
    if (!e && !(request.ttl = duration_message(&cli->arena, ms)))
        e = ERR_NOMEM;
    if (!e)
        e = call(cli, &keyvalue_ttl_service, "Expire", &request, (void **)&response);
    if (e)
        return e;
    if (!response->existed)
        return not_found(cli, request.key);
    if (cli->output != OUTPUT_TABLE)
        return cli_print(cli, &keyvalue_expire_response_pb, response);
    if (response->expires_at)
        printf("%s expires at %s\n", show_bytes(&cli->arena, request.key),
               show_time(&cli->arena, response->expires_at));
    else
        printf("deleted %s\n", show_bytes(&cli->arena, request.key));
    return OK;
}

enum err run_kv_persist(struct cli *cli)
{
    struct keyvalue_persist_request request = {.unknown = {0}};
    struct keyvalue_persist_response *response;
    enum err e = key_argument(cli, &request.key);
    if (!e)
        e = call(cli, &keyvalue_ttl_service, "Persist", &request, (void **)&response);
    if (e)
        return e;
    if (!response->existed)
        return not_found(cli, request.key);
    if (cli->output != OUTPUT_TABLE)
        return cli_print(cli, &keyvalue_persist_response_pb, response);
    printf(response->removed ? "%s never expires now\n" : "%s had no time to live\n",
           show_bytes(&cli->arena, request.key));
    return OK;
}

enum err cli_range(struct cli *cli, struct slice *prefix, struct slice *start, struct slice *end)
{
    const char *argument = cli->args.command->run == run_kv_export ? NULL : cli_argument(cli, 0);
    const char *option = cli_option(cli, "prefix");
    if (argument && option)
        return diag_set(&cli->diag, ERR_USAGE, "the prefix is given twice");
    const char *text = argument ? argument : option;
    enum err e = text ? cli_key(cli, text, "PREFIX", prefix) : OK;
    if (!e && cli_option(cli, "start"))
        e = cli_key(cli, cli_option(cli, "start"), "--start", start);
    if (!e && cli_option(cli, "end"))
        e = cli_key(cli, cli_option(cli, "end"), "--end", end);
    return e;
}

enum err cli_count_range(struct cli *cli, uint64_t *ret_count)
{
    struct keyvalue_count_request request = {.unknown = {0}};
    struct keyvalue_count_response *response;
    enum err e = cli_range(cli, &request.prefix, &request.start, &request.end);
    if (!e)
        e = call(cli, &keyvalue_scan_service, "Count", &request, (void **)&response);
    if (!e)
        *ret_count = response->count;
    return e;
}

enum err run_kv_count(struct cli *cli)
{
    struct keyvalue_count_response response = {.unknown = {0}};
    enum err e = cli_count_range(cli, &response.count);
    if (e)
        return e;
    if (cli->output != OUTPUT_TABLE)
        return cli_print(cli, &keyvalue_count_response_pb, &response);
    printf("%llu\n", (unsigned long long)response.count);
    return OK;
}
