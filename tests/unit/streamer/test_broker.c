/* A broker from its start to its end: what administrators ask, pipelining, several shards, memory that runs out. */
#include "streamer/figures.h"
#include "world.h"

#define LOST(e) ((e) == ERR_CONNECTION_LOST && mem_failed() ? ERR_NOMEM : (e))

static enum err versions(struct streamer_world *w, uint32_t *ret_count)
{
    struct kafka_api_versions_request in = kafka_api_versions_request_default;
    struct kafka_api_versions_response out;
    in.client_software_name = SLICE("test");
    in.client_software_version = SLICE("1");
    enum err e = world_ask(w, KAFKA_API_API_VERSIONS, 3, &in, &out);
    if (!e)
        *ret_count = out.api_keys.count;
    return e;
}

static enum err create(struct streamer_world *w, const char *name, int32_t partitions, struct slice setting,
                       struct slice value, int16_t *ret_error)
{
    struct kafka_create_topics_request_config config = {setting, value};
    struct kafka_create_topics_request_topic topic = {.name = slice_str(name),
                                                      .num_partitions = partitions,
                                                      .replication_factor = 1,
                                                      .assignments = {KAFKA_EMPTY, 0},
                                                      .configs = {&config, setting.size ? 1 : 0}};
    struct kafka_create_topics_request in = kafka_create_topics_request_default;
    struct kafka_create_topics_response out;
    in.topics.items = &topic;
    in.topics.count = 1;
    enum err e = world_ask(w, KAFKA_API_CREATE_TOPICS, 7, &in, &out);
    if (!e)
        *ret_error = out.topics.items[0].error_code;
    return e;
}

/* How many partitions a topic has; below 0: the error. NULL: all topics, how many there are. */
static enum err partitions_of(struct streamer_world *w, const char *name, bool make, int32_t *ret_count)
{
    struct kafka_metadata_request_topic topic = {.name = slice_str(name)};
    struct kafka_metadata_request in = kafka_metadata_request_default;
    struct kafka_metadata_response out;
    in.allow_auto_topic_creation = make;
    in.topics.items = name ? &topic : NULL;
    in.topics.count = name ? 1 : 0;
    enum err e = world_ask(w, KAFKA_API_METADATA, 12, &in, &out);
    if (e)
        return e;
    const struct kafka_metadata_response_topic *told = out.topics.items;
    *ret_count = !name                ? (int32_t)out.topics.count
                 : told[0].error_code ? -told[0].error_code
                                      : (int32_t)told[0].partitions.count;
    return OK;
}

static enum err delete (struct streamer_world *w, const char *name, int16_t *ret_error) {
    struct slice names[] = {slice_str(name)};
    struct kafka_delete_topics_request in = kafka_delete_topics_request_default;
    struct kafka_delete_topics_response out;
    in.topic_names = (struct kafka_strings){names, 1};
    enum err e = world_ask(w, KAFKA_API_DELETE_TOPICS, 5, &in, &out);
    if (!e) *ret_error = out.responses.items[0].error_code;
    return e;
}

static enum err grow(struct streamer_world *w, const char *name, int32_t count, int16_t *ret_error)
{
    struct kafka_create_partitions_request_topic topic = {.name = slice_str(name), .count = count};
    struct kafka_create_partitions_request in = kafka_create_partitions_request_default;
    struct kafka_create_partitions_response out;
    in.topics.items = &topic;
    in.topics.count = 1;
    enum err e = world_ask(w, KAFKA_API_CREATE_PARTITIONS, 3, &in, &out);
    if (!e)
        *ret_error = out.results.items[0].error_code;
    return e;
}

static enum err set(struct streamer_world *w, const char *name, const char *setting, int8_t operation,
                    const char *value, int16_t *ret_error)
{
    struct kafka_incremental_alter_configs_request_config config = {slice_str(setting), operation, slice_str(value)};
    struct kafka_incremental_alter_configs_request_resource resource = {2, slice_str(name), {&config, 1}};
    struct kafka_incremental_alter_configs_request in = kafka_incremental_alter_configs_request_default;
    struct kafka_incremental_alter_configs_response out;
    in.resources.items = &resource;
    in.resources.count = 1;
    enum err e = world_ask(w, KAFKA_API_INCREMENTAL_ALTER_CONFIGS, 1, &in, &out);
    if (!e)
        *ret_error = out.responses.items[0].error_code;
    return e;
}

/* The value of a setting, and its source. */
static enum err get(struct streamer_world *w, const char *name, const char *setting, char value[64], int8_t *ret_source)
{
    struct slice keys[] = {slice_str(setting)};
    struct kafka_describe_configs_request_resource resource = {2, slice_str(name), {keys, 1}};
    struct kafka_describe_configs_request in = kafka_describe_configs_request_default;
    struct kafka_describe_configs_response out;
    in.include_synonyms = true;
    in.resources.items = &resource;
    in.resources.count = 1;
    enum err e = world_ask(w, KAFKA_API_DESCRIBE_CONFIGS, 4, &in, &out);
    if (e)
        return e;
    CHECK_EQ(out.results.items[0].configs.count, 1);
    const struct kafka_describe_configs_response_config *c = out.results.items[0].configs.items;
    CHECK_EQ(c->synonyms.count, c->config_source == 1 ? 2 : 1);
    snprintf(value, 64, "%.*s", SLICE_ARG(c->value));
    *ret_source = c->config_source;
    return OK;
}

static enum err a_life_of_topics(struct streamer_world *w)
{
    uint32_t apis = 0;
    int16_t error = -1;
    int32_t count = 0;
    enum err e = versions(w, &apis);
    if (!e)
        CHECK(apis >= 9);
    if (!e)
        e = create(w, "orders", 3, SLICE("retention.ms"), SLICE("1000"), &error);
    if (!e)
        e = grow(w, "orders", 5, &error);
    if (!e)
        e = partitions_of(w, "orders", false, &count);
    if (!e)
        e = set(w, "orders", "durability", 0, "memory", &error);
    if (!e)
        e = partitions_of(w, "seen", true, &count);
    if (!e)
        e = delete (w, "orders", &error);
    return e;
}

static enum err whole_life(uint32_t workers)
{
    struct streamer_world w = {.workers = workers};
    enum err e = world_begin(&w);
    if (!e)
        e = world_connect(&w);
    if (!e)
        e = a_life_of_topics(&w);
    world_end(&w);
    return LOST(e);
}

SCENARIO(a_broker_lives_and_dies)
{
    return whole_life(1);
}

SCENARIO(a_broker_of_two_shards_lives_and_dies)
{
    return whole_life(2);
}

TEST(topics_are_made_changed_found_and_removed)
{
    struct streamer_world w = {.workers = 3};
    int16_t error;
    int32_t count;
    char value[64];
    int8_t source;
    CHECK_ERR(world_begin(&w), OK);
    CHECK_ERR(world_connect(&w), OK);

    CHECK_ERR(create(&w, "orders", 3, SLICE("retention.ms"), SLICE("1000"), &error), OK);
    CHECK_EQ(error, 0);
    CHECK_ERR(create(&w, "orders", 3, SLICE_EMPTY, SLICE_EMPTY, &error), OK);
    CHECK_EQ(error, KAFKA_TOPIC_ALREADY_EXISTS);
    CHECK_ERR(create(&w, "no/slash", 1, SLICE_EMPTY, SLICE_EMPTY, &error), OK);
    CHECK_EQ(error, KAFKA_INVALID_TOPIC);
    CHECK_ERR(create(&w, "none", 0, SLICE_EMPTY, SLICE_EMPTY, &error), OK);
    CHECK_EQ(error, KAFKA_INVALID_PARTITIONS);
    CHECK_ERR(create(&w, "many", LIMIT_STREAM_TOPIC_PARTITIONS + 1, SLICE_EMPTY, SLICE_EMPTY, &error), OK);
    CHECK_EQ(error, KAFKA_INVALID_PARTITIONS);
    CHECK_ERR(create(&w, "compact", 1, SLICE("cleanup.policy"), SLICE("compact"), &error), OK);
    CHECK_EQ(error, KAFKA_INVALID_CONFIG);
    CHECK_ERR(create(&w, "unknown", 1, SLICE("no.such.setting"), SLICE("1"), &error), OK);
    CHECK_EQ(error, KAFKA_INVALID_CONFIG);

    CHECK_ERR(grow(&w, "orders", 3, &error), OK);
    CHECK_EQ(error, KAFKA_INVALID_PARTITIONS);
    CHECK_ERR(grow(&w, "orders", 5, &error), OK);
    CHECK_EQ(error, 0);
    CHECK_ERR(partitions_of(&w, "orders", false, &count), OK);
    CHECK_EQ(count, 5);

    CHECK_ERR(get(&w, "orders", "retention.ms", value, &source), OK);
    CHECK_STR(value, "1000");
    CHECK_EQ(source, 1);
    CHECK_ERR(set(&w, "orders", "retention.ms", 1, NULL, &error), OK);
    CHECK_EQ(error, 0);
    CHECK_ERR(get(&w, "orders", "retention.ms", value, &source), OK);
    CHECK_STR(value, "604800000");
    CHECK_EQ(source, 5);
    CHECK_ERR(set(&w, "orders", "durability", 0, "quorum", &error), OK);
    CHECK_EQ(error, KAFKA_INVALID_CONFIG);
    CHECK_ERR(set(&w, "orders", "durability", 0, "memory", &error), OK);
    CHECK_EQ(error, 0);

    CHECK_ERR(partitions_of(&w, "seen", false, &count), OK);
    CHECK_EQ(count, -KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_ERR(partitions_of(&w, "seen", true, &count), OK);
    CHECK_EQ(count, 1);
    CHECK_ERR(delete (&w, "seen", &error), OK);
    CHECK_EQ(error, 0);
    CHECK_ERR(delete (&w, "seen", &error), OK);
    CHECK_EQ(error, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);

    conn_abort(w.conn);
    WORLD_UNTIL(&w, w.closed);
    world_stop(&w);
    CHECK_ERR(world_open_broker(&w), OK);
    CHECK_ERR(world_connect(&w), OK);
    CHECK_ERR(partitions_of(&w, NULL, false, &count), OK);
    CHECK_EQ(count, 1);
    CHECK_ERR(partitions_of(&w, "orders", false, &count), OK);
    CHECK_EQ(count, 5);
    CHECK_ERR(get(&w, "orders", "durability", value, &source), OK);
    CHECK_STR(value, "memory");
    world_end(&w);
}

/* A change, which takes a write, stands before questions that need none: answers come in the order of the questions. */
TEST(answers_come_in_order)
{
    struct streamer_world w = {.workers = 2};
    struct kafka_metadata_request_topic topic = {.name = SLICE("made")};
    struct kafka_metadata_request metadata = kafka_metadata_request_default;
    struct kafka_metadata_response made;
    struct kafka_api_versions_request versions_in = kafka_api_versions_request_default;
    struct kafka_api_versions_response versions_out;
    const struct kafka_api *first = kafka_api_find(KAFKA_API_METADATA), *other = kafka_api_find(KAFKA_API_API_VERSIONS);
    int32_t correlation;
    CHECK_ERR(world_begin(&w), OK);
    CHECK_ERR(world_connect(&w), OK);
    metadata.topics.items = &topic;
    metadata.topics.count = 1;
    CHECK_ERR(world_write(&w, first, 5, &metadata), OK);
    for (int i = 0; i < 300; i++) /* more than a connection may have in flight */
        CHECK_ERR(world_write(&w, other, 1, &versions_in), OK);
    CHECK_ERR(world_read(&w, first, 5, &correlation, &made), OK);
    CHECK_EQ(correlation, 1);
    CHECK_EQ(made.topics.items[0].error_code, 0);
    for (int i = 0; i < 300; i++) {
        CHECK_ERR(world_read(&w, other, 1, &correlation, &versions_out), OK);
        CHECK_EQ(correlation, 2 + i);
    }
    world_end(&w);
}

TEST(a_version_of_tomorrow_is_told_what_there_is)
{
    struct streamer_world w = {0};
    static const uint8_t question[] = {0, 0, 0, 14, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 1, 2, 3, 4};
    const struct kafka_api *api = kafka_api_find(KAFKA_API_API_VERSIONS);
    struct kafka_api_versions_response out;
    int32_t correlation;
    CHECK_ERR(world_begin(&w), OK);
    CHECK_ERR(world_connect(&w), OK);
    world_send(&w, slice_of(question, sizeof question));
    CHECK_ERR(world_read(&w, api, 0, &correlation, &out), OK);
    CHECK_EQ(correlation, 7);
    CHECK_EQ(out.error_code, KAFKA_UNSUPPORTED_VERSION);
    CHECK(out.api_keys.count >= 9);
    world_end(&w);
}

/* --- memory that runs out elsewhere ------------------------------------------------------------------------------------------- */

/* A question that comes in many reads, and is longer than what a read holds. */
static enum err ask_at_length(struct streamer_world *w)
{
    enum { TOPICS = 2000 };
    struct kafka_metadata_request_topic *topics = calloc(TOPICS, sizeof *topics);
    struct kafka_metadata_request in = kafka_metadata_request_default;
    struct kafka_metadata_response out;
    char name[200];
    memset(name, 'n', sizeof name);
    for (int i = 0; i < TOPICS; i++)
        topics[i].name = slice_of(name, sizeof name);
    in.topics.items = topics;
    in.topics.count = TOPICS;
    in.allow_auto_topic_creation = false;
    enum err e = world_ask(w, KAFKA_API_METADATA, 12, &in, &out);
    free(topics);
    if (e)
        return e;
    CHECK_EQ(out.topics.count, TOPICS);
    CHECK_EQ(out.topics.items[TOPICS - 1].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    return OK;
}

SCENARIO(frames_in_pieces)
{
    struct streamer_world w = {0};
    enum err e = world_begin(&w);
    if (!e)
        e = world_connect(&w);
    if (!e)
        e = ask_at_length(&w);
    world_end(&w);
    return LOST(e);
}

static enum err sizes(struct streamer_world *w)
{
    struct kafka_describe_log_dirs_request in = kafka_describe_log_dirs_request_default;
    struct kafka_describe_log_dirs_response out;
    in.topics.items = NULL;
    enum err e = world_ask(w, KAFKA_API_DESCRIBE_LOG_DIRS, 4, &in, &out);
    if (e)
        return e;
    CHECK_EQ(out.results.count, 1);
    CHECK_SLICE(out.results.items[0].log_dir, SLICE("data"));
    CHECK_EQ(out.results.items[0].topics.count, 1);
    if (!mem_failed()) /* else one of them may be without service */
        CHECK_EQ(out.results.items[0].topics.items[0].partitions.count, 3);
    return OK;
}

SCENARIO(sizes_of_partitions_on_several_shards)
{
    struct streamer_world w = {.workers = 2};
    int16_t error;
    enum err e = world_begin(&w);
    if (!e)
        e = world_connect(&w);
    if (!e)
        e = create(&w, "orders", 3, SLICE_EMPTY, SLICE_EMPTY, &error);
    if (!e && error)
        e = ERR_NOMEM;
    if (!e)
        e = sizes(&w);
    world_end(&w);
    return LOST(e);
}

static void told(struct figures *figures)
{
    *(bool *)figures->context = true;
}

static enum err page_of(struct streamer_world *w, struct buf *page)
{
    struct figures *figures;
    bool done = false;
    enum err e = figures_ask(w->broker, w->control, told, &done, &figures);
    if (e)
        return e;
    WORLD_UNTIL(w, done);
    figures_write(figures, page);
    CHECK(!figures_trouble(figures) || mem_failed());
    figures_free(figures);
    return buf_err(page);
}

SCENARIO(figures_of_several_shards)
{
    struct streamer_world w = {.workers = 2};
    struct buf page;
    int16_t error;
    buf_init(&page, 1 << 20);
    enum err e = world_begin(&w);
    if (!e)
        e = world_connect(&w);
    if (!e)
        e = create(&w, "orders", 3, SLICE_EMPTY, SLICE_EMPTY, &error);
    if (!e && error)
        e = ERR_NOMEM;
    if (!e)
        e = page_of(&w, &page);
    if (!e && !mem_failed()) {
        buf_putc(&page, '\0');
        CHECK(strstr((const char *)page.data, "\nmemorystreamer_partitions 3\n"));
        CHECK(strstr((const char *)page.data, "\nmemorystreamer_topic_records{topic=\"orders\"} 0\n"));
        CHECK(strstr((const char *)page.data, "\nmemorystreamer_connections_open 1\n"));
    }
    buf_fini(&page);
    world_end(&w);
    return LOST(e);
}
