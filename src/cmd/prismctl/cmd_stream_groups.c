/* stream groups, lag, forget. */
#include "stream.h"

/* ---- groups ----------------------------------------------------------------------------------------------------------- */

static enum err ask_groups(struct cli *cli, struct stream_client **client, struct kafka_list_groups_response *ret)
{
    struct kafka_list_groups_request in = kafka_list_groups_request_default;
    enum err e = stream_ask(cli, client, KAFKA_API_LIST_GROUPS, 4, &in, ret);
    return e ? e : stream_error(cli, ret->error_code, SLICE_EMPTY, "list of groups", SLICE(""));
}

static enum err print_groups_json(struct cli *cli, const struct kafka_list_groups_response *r)
{
    struct buf out;
    buf_init(&out, LIMIT_CALL_ARENA_BYTES);
    struct json j = json_to(&out);
    json_object(&j);
    json_key(&j, "groups"), json_array(&j);
    for (uint32_t i = 0; i < r->groups.count; i++) {
        json_object(&j);
        json_key(&j, "group"), json_str(&j, r->groups.items[i].group_id);
        json_key(&j, "state"), json_str(&j, r->groups.items[i].group_state);
        json_key(&j, "type"), json_str(&j, r->groups.items[i].protocol_type);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    enum err e = stream_print(cli, &out);
    buf_fini(&out);
    return e;
}

static enum err list(struct cli *cli, struct stream_client **client)
{
    struct kafka_list_groups_response r;
    struct arena *a = &cli->arena;
    struct grid g;
    enum err e = ask_groups(cli, client, &r);
    if (e || cli->output != OUTPUT_TABLE)
        return e ? e : print_groups_json(cli, &r);
    grid_init(&g, cli, a, (const char *const[]){"GROUP", "STATE", "TYPE"}, 3);
    for (uint32_t i = 0; i < r.groups.count; i++)
        grid_row(&g, (const char *const[]){show_bytes(a, r.groups.items[i].group_id),
                                           show_bytes(a, r.groups.items[i].group_state),
                                           show_bytes(a, r.groups.items[i].protocol_type)});
    grid_print(&g, true);
    return OK;
}

/* "orders 0,1,2; payments 0" of what a leader has assigned; "" where it is not in the form of consumers. */
static const char *assignment_text(struct arena *a, struct slice bytes)
{
    struct kafka_consumer_protocol_assignment as;
    struct buf text;
    struct slice copy = SLICE_EMPTY;
    size_t size;
    if (bytes.size < 2 ||
        kafka_decode_prefix(&kafka_consumer_protocol_assignment_message, 0, slice_skip(bytes, 2), a, &as, &size, NULL))
        return "";
    buf_init(&text, LIMIT_MESSAGE_BYTES);
    for (uint32_t t = 0; t < as.assigned_partitions.count; t++) {
        const struct kafka_consumer_protocol_assignment_topic *topic = &as.assigned_partitions.items[t];
        buf_printf(&text, "%s%s ", t ? "; " : "", show_bytes(a, topic->topic));
        for (uint32_t p = 0; p < topic->partitions.count; p++)
            buf_printf(&text, "%s%d", p ? "," : "", topic->partitions.items[p]);
    }
    const char *out = !buf_err(&text) && arena_copy(a, buf_slice(&text), &copy) ? (const char *)copy.data : "";
    buf_fini(&text);
    return out;
}

static enum err print_members_json(struct cli *cli, const struct kafka_describe_groups_response_group *g)
{
    struct buf out;
    buf_init(&out, LIMIT_CALL_ARENA_BYTES);
    struct json j = json_to(&out);
    json_object(&j);
    json_key(&j, "group"), json_str(&j, g->group_id);
    json_key(&j, "state"), json_str(&j, g->group_state);
    json_key(&j, "protocol"), json_str(&j, g->protocol_data);
    json_key(&j, "members"), json_array(&j);
    for (uint32_t i = 0; i < g->members.count; i++) {
        const struct kafka_describe_groups_response_member *m = &g->members.items[i];
        json_object(&j);
        json_key(&j, "member"), json_str(&j, m->member_id);
        json_key(&j, "instance"), m->group_instance_id.data ? json_str(&j, m->group_instance_id) : json_null(&j);
        json_key(&j, "client"), json_str(&j, m->client_id);
        json_key(&j, "host"), json_str(&j, m->client_host);
        json_key(&j, "assigned"), json_text(&j, assignment_text(&cli->arena, m->member_assignment));
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    enum err e = stream_print(cli, &out);
    buf_fini(&out);
    return e;
}

static enum err print_members(struct cli *cli, const struct kafka_describe_groups_response_group *group)
{
    struct arena *a = &cli->arena;
    struct grid g;
    if (cli->output != OUTPUT_TABLE)
        return print_members_json(cli, group);
    printf("group %s: %s%s%s, %u member%s\n", show_bytes(a, group->group_id), show_bytes(a, group->group_state),
           group->protocol_data.size ? ", " : "", show_bytes(a, group->protocol_data), group->members.count,
           group->members.count == 1 ? "" : "s");
    grid_init(&g, cli, a, (const char *const[]){"MEMBER", "INSTANCE", "HOST", "ASSIGNED"}, 4);
    for (uint32_t i = 0; i < group->members.count; i++) {
        const struct kafka_describe_groups_response_member *m = &group->members.items[i];
        grid_row(&g, (const char *const[]){show_bytes(a, m->member_id),
                                           m->group_instance_id.size ? show_bytes(a, m->group_instance_id) : "-",
                                           show_bytes(a, m->client_host), assignment_text(a, m->member_assignment)});
    }
    if (group->members.count)
        grid_print(&g, true);
    return OK;
}

static enum err describe(struct cli *cli, struct stream_client **client, const char *name)
{
    struct slice group = slice_str(name);
    struct kafka_describe_groups_request in = kafka_describe_groups_request_default;
    struct kafka_describe_groups_response out;
    in.groups = (struct kafka_strings){&group, 1};
    enum err e = stream_ask(cli, client, KAFKA_API_DESCRIBE_GROUPS, 5, &in, &out);
    if (e)
        return e;
    e = stream_error(cli, out.groups.items[0].error_code, SLICE_EMPTY, "group", group);
    if (!e && slice_eq(out.groups.items[0].group_state, SLICE("Dead")))
        e = diag_set(&cli->diag, ERR_NOT_FOUND, "there is no group %s", name);
    return e ? e : print_members(cli, &out.groups.items[0]);
}

enum err run_stream_groups(struct cli *cli)
{
    struct stream_client *client = NULL;
    const char *name = cli_argument(cli, 0);
    enum err e = name ? describe(cli, &client, name) : list(cli, &client);
    stream_close(client);
    return e;
}

enum err run_stream_forget(struct cli *cli)
{
    struct stream_client *client = NULL;
    struct slice name = slice_str(cli_argument(cli, 0));
    struct kafka_delete_groups_request in = kafka_delete_groups_request_default;
    struct kafka_delete_groups_response out;
    in.groups_names = (struct kafka_strings){&name, 1};
    enum err e = stream_ask(cli, &client, KAFKA_API_DELETE_GROUPS, 2, &in, &out);
    if (!e)
        e = stream_error(cli, out.results.items[0].error_code, SLICE_EMPTY, "group", name);
    if (!e && cli->output == OUTPUT_TABLE)
        printf("group %s: forgotten, with its offsets\n", cli_argument(cli, 0));
    stream_close(client);
    return e;
}

/* ---- lag -------------------------------------------------------------------------------------------------------------- */

/* How rows come out: a table, or JSON. */
struct lag_view {
    struct cli *cli;
    struct grid grid;
    struct buf text;
    struct json json;
    bool any;
};

static void show_lag(struct lag_view *v, struct slice group, struct slice topic, int32_t partition, int64_t committed,
                     int64_t end)
{
    struct arena *a = &v->cli->arena;
    int64_t lag = end > committed ? end - committed : 0;
    v->any = true;
    if (v->cli->output == OUTPUT_TABLE) {
        grid_row(&v->grid, (const char *const[]){
                               show_bytes(a, group), show_bytes(a, topic), arena_printf(a, "%d", partition),
                               arena_printf(a, "%lld", (long long)committed), arena_printf(a, "%lld", (long long)end),
                               arena_printf(a, "%lld", (long long)lag)});
        return;
    }
    json_object(&v->json);
    json_key(&v->json, "group"), json_str(&v->json, group);
    json_key(&v->json, "topic"), json_str(&v->json, topic);
    json_key(&v->json, "partition"), json_int(&v->json, partition);
    json_key(&v->json, "committed"), json_int(&v->json, committed);
    json_key(&v->json, "end"), json_int(&v->json, end);
    json_key(&v->json, "lag"), json_int(&v->json, lag);
    json_end_object(&v->json);
}

static enum err lag_of_topic(struct lag_view *v, struct stream_client **client, struct slice group,
                             const struct kafka_offset_fetch_response_topic *t)
{
    struct arena *a = &v->cli->arena;
    uint32_t count = t->partitions.count;
    int32_t *indexes = arena_array(a, int32_t, count + 1);
    int64_t *ends = arena_array(a, int64_t, count + 1);
    if (!indexes || !ends)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        indexes[i] = t->partitions.items[i].partition_index;
    enum err e = stream_offsets(v->cli, client, t->name, indexes, count, -1, ends);
    for (uint32_t i = 0; i < count && !e; i++)
        show_lag(v, group, t->name, indexes[i], t->partitions.items[i].committed_offset, ends[i]);
    return e;
}

static enum err lag_of_group(struct lag_view *v, struct stream_client **client, struct slice group)
{
    struct kafka_offset_fetch_request in = kafka_offset_fetch_request_default;
    struct kafka_offset_fetch_response out;
    in.group_id = group;
    in.topics.items = NULL; /* all */
    enum err e = stream_ask(v->cli, client, KAFKA_API_OFFSET_FETCH, 7, &in, &out);
    if (!e)
        e = stream_error(v->cli, out.error_code, SLICE_EMPTY, "group", group);
    for (uint32_t i = 0; !e && i < out.topics.count; i++)
        e = lag_of_topic(v, client, group, &out.topics.items[i]);
    return e;
}

static enum err lag_of_all(struct lag_view *v, struct stream_client **client)
{
    struct kafka_list_groups_response r;
    enum err e = ask_groups(v->cli, client, &r);
    for (uint32_t i = 0; !e && i < r.groups.count; i++)
        e = lag_of_group(v, client, r.groups.items[i].group_id);
    return e;
}

static void begin_view(struct lag_view *v, struct cli *cli)
{
    *v = (struct lag_view){.cli = cli};
    grid_init(&v->grid, cli, &cli->arena,
              (const char *const[]){"GROUP", "TOPIC", "PARTITION", "COMMITTED", "END", "LAG"}, 6);
    buf_init(&v->text, LIMIT_CALL_ARENA_BYTES);
    v->json = json_to(&v->text);
    json_object(&v->json);
    json_key(&v->json, "lag"), json_array(&v->json);
}

static enum err end_view(struct lag_view *v)
{
    json_end_array(&v->json);
    json_end_object(&v->json);
    if (v->cli->output != OUTPUT_TABLE)
        return stream_print(v->cli, &v->text);
    grid_print(&v->grid, true);
    return OK;
}

enum err run_stream_lag(struct cli *cli)
{
    struct stream_client *client = NULL;
    struct lag_view v;
    const char *group = cli_argument(cli, 0);
    begin_view(&v, cli);
    enum err e = group ? lag_of_group(&v, &client, slice_str(group)) : lag_of_all(&v, &client);
    if (!e && group && !v.any)
        e = diag_set(&cli->diag, ERR_NOT_FOUND, "group %s has committed no offsets", group);
    if (!e)
        e = end_view(&v);
    buf_fini(&v.text);
    stream_close(client);
    return e;
}
