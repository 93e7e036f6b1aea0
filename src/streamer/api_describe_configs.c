/* DescribeConfigs: settings of topics, with where each comes from; of the broker, which are read only. */
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "streamer/admin.h"
#include "streamer/api.h"
#include "streamer/broker.h"

#define ASKED struct kafka_describe_configs_request_resource
#define TOLD struct kafka_describe_configs_response_resource
#define CONFIG struct kafka_describe_configs_response_config
#define SYNONYM struct kafka_describe_configs_response_synonym

enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };
enum { SOURCE_TOPIC = 1, SOURCE_BROKER_FILE = 4, SOURCE_DEFAULT = 5 };
enum { TYPE_BOOLEAN = 1, TYPE_STRING = 2, TYPE_INT = 3, TYPE_LONG = 5, TYPE_LIST = 7 };

/* What the broker is asked for, under Kafka's names. */
enum broker_setting {
    BROKER_AUTO_CREATE,
    BROKER_REPLICATION,
    BROKER_RETENTION_BYTES,
    BROKER_RETENTION_MS,
    BROKER_SEGMENT_BYTES,
    BROKER_MESSAGE_BYTES,
    BROKER_PARTITIONS,
    BROKER_OFFSETS_RETENTION,
    BROKER_SETTING_COUNT
};

static const struct {
    const char *name;
    int8_t type;
    const char *help;
} broker_settings[BROKER_SETTING_COUNT] = {
    {"auto.create.topics.enable", TYPE_BOOLEAN, "Topics are made by being asked for."},
    {"default.replication.factor", TYPE_INT, "There is one node."},
    {"log.retention.bytes", TYPE_LONG, "Of a topic that does not set retention.bytes."},
    {"log.retention.ms", TYPE_LONG, "Of a topic that does not set retention.ms."},
    {"log.segment.bytes", TYPE_INT, "Of a topic that does not set segment.bytes."},
    {"message.max.bytes", TYPE_INT, "Of a topic that does not set max.message.bytes."},
    {"num.partitions", TYPE_INT, "Of a topic whose creator does not say."},
    {"offsets.retention.minutes", TYPE_INT, "Of a group without members."},
};

static int64_t broker_value(const struct broker_settings *s, enum broker_setting which)
{
    const int64_t values[BROKER_SETTING_COUNT] = {
        [BROKER_AUTO_CREATE] = s->auto_create_topics,
        [BROKER_REPLICATION] = 1,
        [BROKER_RETENTION_BYTES] = s->topic_defaults.values[TOPIC_RETENTION_BYTES],
        [BROKER_RETENTION_MS] = s->topic_defaults.values[TOPIC_RETENTION_MS],
        [BROKER_SEGMENT_BYTES] = s->topic_defaults.values[TOPIC_SEGMENT_BYTES],
        [BROKER_MESSAGE_BYTES] = s->topic_defaults.values[TOPIC_MAX_MESSAGE_BYTES],
        [BROKER_PARTITIONS] = s->partitions_default,
        [BROKER_OFFSETS_RETENTION] = s->offsets_retention_ms / 60000,
    };
    return values[which];
}

/* An answer that grows; `ok` false: out of memory. */
struct telling {
    struct request *r;
    const ASKED *asked;
    CONFIG *configs;
    uint32_t count;
    bool ok;
};

static bool is_asked(const ASKED *asked, const char *name)
{
    if (!asked->configuration_keys.items)
        return true;
    for (uint32_t i = 0; i < asked->configuration_keys.count; i++)
        if (slice_eq(asked->configuration_keys.items[i], slice_str(name)))
            return true;
    return false;
}

static struct slice keep(struct telling *t, const struct buf *text)
{
    struct slice copy = SLICE_EMPTY;
    t->ok = t->ok && arena_copy(&t->r->arena, buf_slice(text), &copy);
    return copy;
}

/* --- a topic ------------------------------------------------------------------------------------------------------------------ */

static struct slice value_text(struct telling *t, enum topic_setting setting, int64_t value)
{
    char memory[64];
    struct buf text;
    buf_init_fixed(&text, memory, sizeof memory);
    topic_setting_print(setting, value, &text);
    return keep(t, &text);
}

static int8_t default_source(const struct broker_settings *s, enum topic_setting setting)
{
    return s->topic_defaults.given & 1u << setting ? SOURCE_BROKER_FILE : SOURCE_DEFAULT;
}

/* All values that stand behind each other, the one in effect first. */
static void tell_synonyms(struct telling *t, const struct topic *topic, enum topic_setting setting, CONFIG *out)
{
    const struct kafka_describe_configs_request *in = t->r->body;
    const struct broker_settings *settings = t->r->shard->settings;
    out->synonyms.items = KAFKA_EMPTY;
    if (!in->include_synonyms)
        return;
    SYNONYM *items = arena_array(&t->r->arena, SYNONYM, 2);
    t->ok = t->ok && items;
    if (!t->ok)
        return;
    uint32_t n = 0;
    if (topic->config.given & 1u << setting)
        items[n++] = (SYNONYM){out->name, out->value, SOURCE_TOPIC};
    items[n++] = (SYNONYM){out->name, value_text(t, setting, settings->topic_defaults.values[setting]),
                           default_source(settings, setting)};
    out->synonyms.items = items;
    out->synonyms.count = n;
}

static int8_t type_of(enum topic_setting setting)
{
    static const int8_t types[] = {[TOPIC_SETTING_INT] = TYPE_INT,
                                   [TOPIC_SETTING_LONG] = TYPE_LONG,
                                   [TOPIC_SETTING_WORD] = TYPE_STRING,
                                   [TOPIC_SETTING_LIST] = TYPE_LIST};
    return types[topic_settings[setting].type];
}

static void tell_setting(struct telling *t, const struct topic *topic, enum topic_setting setting)
{
    const struct kafka_describe_configs_request *in = t->r->body;
    const struct topic_setting_row *row = &topic_settings[setting];
    bool given = topic->config.given & 1u << setting;
    CONFIG *out = &t->configs[t->count++];
    *out = (CONFIG){.name = slice_str(row->name),
                    .value = value_text(t, setting, topic->config.values[setting]),
                    .is_default = !given,
                    .config_source = given ? SOURCE_TOPIC : default_source(t->r->shard->settings, setting),
                    .config_type = type_of(setting),
                    .documentation = in->include_documentation ? slice_str(row->help) : SLICE_EMPTY};
    tell_synonyms(t, topic, setting, out);
}

static enum kafka_error tell_topic(struct telling *t, TOLD *told)
{
    const struct topic *topic = topics_find(t->r->shard->topics, t->asked->resource_name);
    if (!topic) {
        told->error_message = SLICE("there is no topic of this name");
        return topic_name_valid(t->asked->resource_name) ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_INVALID_TOPIC;
    }
    for (enum topic_setting i = 0; i < TOPIC_SETTING_COUNT && t->ok; i++)
        if (is_asked(t->asked, topic_settings[i].name))
            tell_setting(t, topic, i);
    return KAFKA_NONE;
}

/* --- the broker --------------------------------------------------------------------------------------------------------------- */

static void tell_broker_setting(struct telling *t, enum broker_setting setting)
{
    const struct kafka_describe_configs_request *in = t->r->body;
    char memory[32];
    struct buf text;
    buf_init_fixed(&text, memory, sizeof memory);
    int64_t value = broker_value(t->r->shard->settings, setting);
    if (broker_settings[setting].type == TYPE_BOOLEAN)
        buf_puts(&text, value ? "true" : "false");
    else
        buf_printf(&text, "%lld", (long long)value);
    t->configs[t->count++] =
        (CONFIG){.name = slice_str(broker_settings[setting].name),
                 .value = keep(t, &text),
                 .read_only = true,
                 .config_source = SOURCE_BROKER_FILE,
                 .synonyms = {KAFKA_EMPTY, 0},
                 .config_type = broker_settings[setting].type,
                 .documentation = in->include_documentation ? slice_str(broker_settings[setting].help) : SLICE_EMPTY};
}

static bool is_this_node(const struct telling *t)
{
    char node[16];
    snprintf(node, sizeof node, "%d", (int)broker_identity(t->r->shard->broker)->node_id);
    return !t->asked->resource_name.size || slice_eq(t->asked->resource_name, slice_str(node));
}

static enum kafka_error tell_broker(struct telling *t, TOLD *told)
{
    if (!is_this_node(t)) {
        told->error_message = SLICE("there is no such node");
        return KAFKA_INVALID_REQUEST;
    }
    for (enum broker_setting i = 0; i < BROKER_SETTING_COUNT && t->ok; i++)
        if (is_asked(t->asked, broker_settings[i].name))
            tell_broker_setting(t, i);
    return KAFKA_NONE;
}

/* --- all ---------------------------------------------------------------------------------------------------------------------- */

static bool tell(struct request *r, const ASKED *asked, TOLD *told)
{
    struct telling t = {.r = r, .asked = asked, .configs = arena_array(&r->arena, CONFIG, TOPIC_SETTING_COUNT)};
    _Static_assert((int)BROKER_SETTING_COUNT <= (int)TOPIC_SETTING_COUNT, "room for both");
    t.ok = t.configs;
    *told = kafka_describe_configs_response_resource_default;
    told->resource_type = asked->resource_type;
    told->resource_name = asked->resource_name;
    enum kafka_error error = KAFKA_INVALID_REQUEST;
    if (t.ok && asked->resource_type == RESOURCE_TOPIC)
        error = tell_topic(&t, told);
    else if (t.ok && asked->resource_type == RESOURCE_BROKER)
        error = tell_broker(&t, told);
    else
        told->error_message = SLICE("resources are 2, a topic, or 4, the broker");
    told->error_code = (int16_t)error;
    told->configs.items = t.configs;
    told->configs.count = t.count;
    return t.ok;
}

void api_describe_configs(struct request *r)
{
    const struct kafka_describe_configs_request *in = r->body;
    struct kafka_describe_configs_response out = kafka_describe_configs_response_default;
    TOLD *items = arena_array(&r->arena, TOLD, in->resources.count + 1);
    bool ok = items;
    for (uint32_t i = 0; ok && i < in->resources.count; i++)
        ok = tell(r, &in->resources.items[i], &items[i]);
    out.results.items = items;
    out.results.count = in->resources.count;
    if (ok)
        request_reply(r, &out);
    else
        request_drop(r);
}
