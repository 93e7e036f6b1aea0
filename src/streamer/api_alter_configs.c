/* AlterConfigs, which says all settings of a topic anew, and IncrementalAlterConfigs, which changes some. Those of the broker are in
 * its configuration file. */
#include "streamer/admin.h"
#include "streamer/api.h"

enum { RESOURCE_TOPIC = 2 };
enum { OPERATION_SET, OPERATION_DELETE, OPERATION_APPEND, OPERATION_SUBTRACT };

static void refuse(struct catalog_change *change, enum kafka_error error, const char *reason)
{
    if (change->error)
        return;
    change->error = error;
    change->reason = reason;
}

static struct catalog_change begin(int8_t type, struct slice name, bool validate_only)
{
    struct catalog_change change = {.verb = CATALOG_CONFIG, .name = name, .validate_only = validate_only};
    if (type != RESOURCE_TOPIC)
        refuse(&change, KAFKA_INVALID_REQUEST,
               "only settings of topics can be changed; those of the broker are in memorystreamer.yaml");
    else if (!name.size)
        refuse(&change, KAFKA_INVALID_TOPIC, "a topic has a name");
    return change;
}

/* --- AlterConfigs ------------------------------------------------------------------------------------------------------------- */

static void altered(struct catalog_request *done)
{
    struct request *r = done->context;
    const struct kafka_alter_configs_request *in = r->body;
    struct kafka_alter_configs_response out = kafka_alter_configs_response_default;
    struct kafka_alter_configs_response_resource *items =
        arena_array(&r->arena, struct kafka_alter_configs_response_resource, done->count + 1);
    for (uint32_t i = 0; items && i < done->count; i++)
        items[i] = (struct kafka_alter_configs_response_resource){
            (int16_t)done->changes[i].error, admin_reason(&done->changes[i]), in->resources.items[i].resource_type,
            in->resources.items[i].resource_name};
    out.responses.items = items;
    out.responses.count = done->count;
    if (items)
        request_reply(r, &out);
    else
        request_drop(r);
    admin_give_back(done);
}

static bool alter(struct request *r, const struct kafka_alter_configs_request_resource *asked, bool validate_only,
                  struct catalog_change *change)
{
    *change = begin(asked->resource_type, asked->resource_name, validate_only);
    change->replace = true;
    if (!admin_settings(r, change, asked->configs.count))
        return false;
    for (uint32_t i = 0; i < asked->configs.count && !change->error; i++)
        admin_set(r, change, asked->configs.items[i].name, asked->configs.items[i].value);
    return true;
}

void api_alter_configs(struct request *r)
{
    const struct kafka_alter_configs_request *in = r->body;
    struct catalog_request *change = admin_request(r, in->resources.count, altered);
    bool ok = change;
    for (uint32_t i = 0; ok && i < in->resources.count; i++)
        ok = alter(r, &in->resources.items[i], in->validate_only, &change->changes[i]);
    if (ok)
        catalog_submit(r->shard->broker, change);
    else
        request_drop(r);
}

/* --- IncrementalAlterConfigs -------------------------------------------------------------------------------------------------- */

#define INCREMENT struct kafka_incremental_alter_configs_request_config

static void incremented(struct catalog_request *done)
{
    struct request *r = done->context;
    const struct kafka_incremental_alter_configs_request *in = r->body;
    struct kafka_incremental_alter_configs_response out = kafka_incremental_alter_configs_response_default;
    struct kafka_incremental_alter_configs_response_resource *items =
        arena_array(&r->arena, struct kafka_incremental_alter_configs_response_resource, done->count + 1);
    for (uint32_t i = 0; items && i < done->count; i++)
        items[i] = (struct kafka_incremental_alter_configs_response_resource){
            (int16_t)done->changes[i].error, admin_reason(&done->changes[i]), in->resources.items[i].resource_type,
            in->resources.items[i].resource_name};
    out.responses.items = items;
    out.responses.count = done->count;
    if (items)
        request_reply(r, &out);
    else
        request_drop(r);
    admin_give_back(done);
}

/* The one list that there is has one word, so that appending is setting, and taking it away is refused. */
static void increment(struct request *r, const INCREMENT *asked, struct catalog_change *change)
{
    bool list = slice_eq(asked->name, slice_str(topic_settings[TOPIC_CLEANUP_POLICY].name));
    if (asked->config_operation == OPERATION_DELETE)
        admin_set(r, change, asked->name, SLICE_EMPTY);
    else if (asked->config_operation == OPERATION_SET && !asked->value.data)
        refuse(change, KAFKA_INVALID_CONFIG, "a setting that is set has a value");
    else if (asked->config_operation == OPERATION_SET || (asked->config_operation == OPERATION_APPEND && list))
        admin_set(r, change, asked->name, asked->value);
    else if (asked->config_operation == OPERATION_APPEND || asked->config_operation == OPERATION_SUBTRACT)
        refuse(change, KAFKA_INVALID_CONFIG, "the setting is not a list that can lose or gain words");
    else
        refuse(change, KAFKA_INVALID_REQUEST, "operations are 0 set, 1 delete, 2 append, 3 subtract");
}

static bool increment_all(struct request *r, const struct kafka_incremental_alter_configs_request_resource *asked,
                          bool validate_only, struct catalog_change *change)
{
    *change = begin(asked->resource_type, asked->resource_name, validate_only);
    if (!admin_settings(r, change, asked->configs.count))
        return false;
    for (uint32_t i = 0; i < asked->configs.count && !change->error; i++)
        increment(r, &asked->configs.items[i], change);
    return true;
}

void api_incremental_alter_configs(struct request *r)
{
    const struct kafka_incremental_alter_configs_request *in = r->body;
    struct catalog_request *change = admin_request(r, in->resources.count, incremented);
    bool ok = change;
    for (uint32_t i = 0; ok && i < in->resources.count; i++)
        ok = increment_all(r, &in->resources.items[i], in->validate_only, &change->changes[i]);
    if (ok)
        catalog_submit(r->shard->broker, change);
    else
        request_drop(r);
}
