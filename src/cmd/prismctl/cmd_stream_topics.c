/* stream topics, create, delete, config. */
#include "stream.h"

enum { TOPIC_RESOURCE = 2, SET = 0, UNSET = 1, SOURCE_TOPIC = 1, CREATE_MS = 30000 };

/* ---- topics ----------------------------------------------------------------------------------------------------------- */

static void json_of_topic(struct json *j, const struct kafka_metadata_response_topic *t)
{
    json_object(j);
    json_key(j, "name"), json_str(j, t->name);
    json_key(j, "partitions"), json_uint(j, t->partitions.count);
    json_key(j, "internal"), json_bool(j, t->is_internal);
    json_end_object(j);
}

static enum err print_topics_json(struct cli *cli, const struct kafka_metadata_response *r)
{
    struct buf out;
    buf_init(&out, LIMIT_CALL_ARENA_BYTES);
    struct json j = json_to(&out);
    json_object(&j);
    json_key(&j, "topics"), json_array(&j);
    for (uint32_t i = 0; i < r->topics.count; i++)
        json_of_topic(&j, &r->topics.items[i]);
    json_end_array(&j);
    json_end_object(&j);
    enum err e = stream_print(cli, &out);
    buf_fini(&out);
    return e;
}

static enum err print_topics(struct cli *cli, const struct kafka_metadata_response *r)
{
    struct grid g;
    if (cli->output != OUTPUT_TABLE)
        return print_topics_json(cli, r);
    grid_init(&g, cli, &cli->arena, (const char *const[]){"TOPIC", "PARTITIONS"}, 2);
    for (uint32_t i = 0; i < r->topics.count; i++)
        grid_row(&g, (const char *const[]){show_bytes(&cli->arena, r->topics.items[i].name),
                                           arena_printf(&cli->arena, "%u", r->topics.items[i].partitions.count)});
    grid_print(&g, true);
    return OK;
}

struct extents {
    uint32_t count;
    int32_t *indexes;
    int64_t *starts, *ends;
};

static enum err measure(struct cli *cli, struct stream_client **client, const struct kafka_metadata_response_topic *t,
                        struct extents *x)
{
    x->count = t->partitions.count;
    x->indexes = arena_array(&cli->arena, int32_t, x->count + 1);
    x->starts = arena_array(&cli->arena, int64_t, x->count + 1);
    x->ends = arena_array(&cli->arena, int64_t, x->count + 1);
    if (!x->indexes || !x->starts || !x->ends)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < x->count; i++)
        x->indexes[i] = t->partitions.items[i].partition_index;
    enum err e = stream_offsets(cli, client, t->name, x->indexes, x->count, -2, x->starts);
    return e ? e : stream_offsets(cli, client, t->name, x->indexes, x->count, -1, x->ends);
}

static enum err print_extents_json(struct cli *cli, struct slice name, const struct extents *x)
{
    struct buf out;
    buf_init(&out, LIMIT_CALL_ARENA_BYTES);
    struct json j = json_to(&out);
    json_object(&j);
    json_key(&j, "name"), json_str(&j, name);
    json_key(&j, "partitions"), json_array(&j);
    for (uint32_t i = 0; i < x->count; i++) {
        json_object(&j);
        json_key(&j, "partition"), json_int(&j, x->indexes[i]);
        json_key(&j, "start"), json_int(&j, x->starts[i]);
        json_key(&j, "end"), json_int(&j, x->ends[i]);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    enum err e = stream_print(cli, &out);
    buf_fini(&out);
    return e;
}

static enum err print_extents(struct cli *cli, struct slice name, const struct extents *x)
{
    struct arena *a = &cli->arena;
    struct grid g;
    if (cli->output != OUTPUT_TABLE)
        return print_extents_json(cli, name, x);
    grid_init(&g, cli, a, (const char *const[]){"PARTITION", "START", "END", "RECORDS"}, 4);
    for (uint32_t i = 0; i < x->count; i++)
        grid_row(&g, (const char *const[]){arena_printf(a, "%d", x->indexes[i]),
                                           arena_printf(a, "%lld", (long long)x->starts[i]),
                                           arena_printf(a, "%lld", (long long)x->ends[i]),
                                           arena_printf(a, "%lld", (long long)(x->ends[i] - x->starts[i]))});
    grid_print(&g, true);
    return OK;
}

enum err run_stream_topics(struct cli *cli)
{
    struct stream_client *client = NULL;
    struct kafka_metadata_response r;
    struct extents x;
    const char *name = cli_argument(cli, 0);
    enum err e = stream_topics(cli, &client, name, &r);
    if (!e && name)
        e = measure(cli, &client, &r.topics.items[0], &x);
    if (!e)
        e = name ? print_extents(cli, slice_str(name), &x) : print_topics(cli, &r);
    stream_close(client);
    return e;
}

/* ---- create, delete --------------------------------------------------------------------------------------------------- */

/* NAME=VALUE; the value may be empty. */
static enum err split_setting(struct cli *cli, const char *text, struct slice *ret_name, struct slice *ret_value)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return diag_set(&cli->diag, ERR_USAGE, "a setting is NAME=VALUE, not \"%s\"", text);
    *ret_name = slice_of(text, (size_t)(equals - text));
    *ret_value = slice_str(equals + 1);
    return OK;
}

static enum err read_settings(struct cli *cli, struct kafka_create_topics_request_topic *t)
{
    const char *text;
    t->configs.items = arena_array(&cli->arena, struct kafka_create_topics_request_config, GIVEN_MAX);
    enum err e = t->configs.items ? OK : ERR_NOMEM;
    for (unsigned i = 0; !e && (text = cli_option_at(cli, "config", i)); i++) {
        struct kafka_create_topics_request_config *c = &t->configs.items[t->configs.count++];
        e = split_setting(cli, text, &c->name, &c->value);
    }
    return e;
}

enum err run_stream_create(struct cli *cli)
{
    struct stream_client *client = NULL;
    uint64_t partitions = cli_count(cli, "partitions");
    struct kafka_create_topics_request_topic t = {.name = slice_str(cli_argument(cli, 0)),
                                                  .num_partitions = partitions ? (int32_t)partitions : -1,
                                                  .replication_factor = -1,
                                                  .assignments = {KAFKA_EMPTY, 0}};
    struct kafka_create_topics_request in = kafka_create_topics_request_default;
    struct kafka_create_topics_response out;
    in.topics.items = &t;
    in.topics.count = 1;
    in.timeout_ms = CREATE_MS;
    enum err e = read_settings(cli, &t);
    if (!e && partitions > INT32_MAX)
        e = diag_set(&cli->diag, ERR_USAGE, "--partitions is too large");
    if (!e)
        e = stream_ask(cli, &client, KAFKA_API_CREATE_TOPICS, 5, &in, &out);
    if (!e)
        e = stream_error(cli, out.topics.items[0].error_code, out.topics.items[0].error_message, "topic", t.name);
    if (!e && cli->output == OUTPUT_TABLE)
        printf("topic %s: created, %d partition%s\n", cli_argument(cli, 0), out.topics.items[0].num_partitions,
               out.topics.items[0].num_partitions == 1 ? "" : "s");
    stream_close(client);
    return e;
}

enum err run_stream_delete(struct cli *cli)
{
    struct stream_client *client = NULL;
    struct slice name = slice_str(cli_argument(cli, 0));
    struct kafka_delete_topics_request in = kafka_delete_topics_request_default;
    struct kafka_delete_topics_response out;
    in.topic_names = (struct kafka_strings){&name, 1};
    in.timeout_ms = CREATE_MS;
    enum err e = stream_ask(cli, &client, KAFKA_API_DELETE_TOPICS, 4, &in, &out);
    if (!e)
        e = stream_error(cli, out.responses.items[0].error_code, SLICE_EMPTY, "topic", name);
    if (!e && cli->output == OUTPUT_TABLE)
        printf("topic %s: deleted\n", cli_argument(cli, 0));
    stream_close(client);
    return e;
}

/* ---- config ----------------------------------------------------------------------------------------------------------- */

static enum err change(struct cli *cli, struct stream_client **client, struct slice topic)
{
    struct kafka_incremental_alter_configs_request_resource r = {.resource_type = TOPIC_RESOURCE,
                                                                 .resource_name = topic};
    struct kafka_incremental_alter_configs_request in = kafka_incremental_alter_configs_request_default;
    struct kafka_incremental_alter_configs_response out;
    r.configs.items = arena_array(&cli->arena, struct kafka_incremental_alter_configs_request_config, POSITIONAL_MAX);
    enum err e = r.configs.items ? OK : ERR_NOMEM;
    const char *text;
    for (unsigned i = 1; !e && (text = cli_argument(cli, i)); i++) {
        struct kafka_incremental_alter_configs_request_config *c = &r.configs.items[r.configs.count++];
        e = split_setting(cli, text, &c->name, &c->value);
        c->config_operation = c->value.size ? SET : UNSET;
    }
    in.resources.items = &r;
    in.resources.count = 1;
    if (!e)
        e = stream_ask(cli, client, KAFKA_API_INCREMENTAL_ALTER_CONFIGS, 1, &in, &out);
    return e ? e
             : stream_error(cli, out.responses.items[0].error_code, out.responses.items[0].error_message, "topic",
                            topic);
}

static enum err print_config_json(struct cli *cli, const struct kafka_describe_configs_response_resource *r)
{
    struct buf out;
    buf_init(&out, LIMIT_CALL_ARENA_BYTES);
    struct json j = json_to(&out);
    json_object(&j);
    json_key(&j, "topic"), json_str(&j, r->resource_name);
    json_key(&j, "config"), json_array(&j);
    for (uint32_t i = 0; i < r->configs.count; i++) {
        json_object(&j);
        json_key(&j, "name"), json_str(&j, r->configs.items[i].name);
        json_key(&j, "value"), json_str(&j, r->configs.items[i].value);
        json_key(&j, "set"), json_bool(&j, r->configs.items[i].config_source == SOURCE_TOPIC);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    enum err e = stream_print(cli, &out);
    buf_fini(&out);
    return e;
}

static enum err print_config(struct cli *cli, const struct kafka_describe_configs_response_resource *r)
{
    struct grid g;
    if (cli->output != OUTPUT_TABLE)
        return print_config_json(cli, r);
    grid_init(&g, cli, &cli->arena, (const char *const[]){"SETTING", "VALUE", "FROM"}, 3);
    for (uint32_t i = 0; i < r->configs.count; i++) {
        const struct kafka_describe_configs_response_config *c = &r->configs.items[i];
        grid_row(&g, (const char *const[]){show_bytes(&cli->arena, c->name), show_bytes(&cli->arena, c->value),
                                           c->config_source == SOURCE_TOPIC ? "topic" : "default"});
    }
    grid_print(&g, true);
    return OK;
}

enum err run_stream_config(struct cli *cli)
{
    struct stream_client *client = NULL;
    struct kafka_describe_configs_request_resource r = {.resource_type = TOPIC_RESOURCE,
                                                        .resource_name = slice_str(cli_argument(cli, 0))};
    struct kafka_describe_configs_request in = kafka_describe_configs_request_default;
    struct kafka_describe_configs_response out;
    in.resources.items = &r;
    in.resources.count = 1;
    enum err e = cli_argument(cli, 1) ? change(cli, &client, r.resource_name) : OK;
    if (!e)
        e = stream_ask(cli, &client, KAFKA_API_DESCRIBE_CONFIGS, 3, &in, &out);
    if (!e)
        e = stream_error(cli, out.results.items[0].error_code, out.results.items[0].error_message, "topic",
                         r.resource_name);
    if (!e)
        e = print_config(cli, &out.results.items[0]);
    stream_close(client);
    return e;
}
