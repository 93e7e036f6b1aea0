#include "streamer/admin.h"

struct catalog_request *admin_request(struct request *r, uint32_t changes, void (*done)(struct catalog_request *))
{
    struct catalog_request *request = arena_new(&r->arena, struct catalog_request);
    if (!request)
        return NULL;
    request->changes = arena_array(&r->arena, struct catalog_change, changes + 1);
    request->count = changes;
    request->shard = r->shard;
    request->done = done;
    request->context = r;
    return request->changes ? request : NULL;
}

void admin_give_back(struct catalog_request *request)
{
    for (uint32_t i = 0; i < request->count; i++)
        topic_unref(request->changes[i].topic);
}

bool admin_settings(struct request *r, struct catalog_change *change, uint32_t count)
{
    change->settings = arena_array(&r->arena, struct catalog_setting, count + 1);
    return change->settings;
}

static void refuse(struct request *r, struct catalog_change *change, const char *reason)
{
    if (change->error)
        return;
    change->error = KAFKA_INVALID_CONFIG;
    change->reason = arena_strdup(&r->arena, reason);
}

static void refuse_name(struct request *r, struct catalog_change *change, struct slice name)
{
    char text[160];
    struct buf reason;
    buf_init_fixed(&reason, text, sizeof text);
    buf_printf(&reason, "there is no topic setting `%.*s`", (int)(name.size < 64 ? name.size : 64),
               (const char *)name.data);
    buf_putc(&reason, '\0');
    refuse(r, change, text);
}

void admin_set(struct request *r, struct catalog_change *change, struct slice name, struct slice value)
{
    enum topic_setting setting = topic_setting_find(name);
    if (setting == TOPIC_SETTING_COUNT) {
        refuse_name(r, change, name);
        return;
    }
    struct catalog_setting *s = (struct catalog_setting *)(uintptr_t)&change->settings[change->setting_count];
    char text[320] = "";
    struct buf reason;
    buf_init_fixed(&reason, text, sizeof text - 1);
    *s = (struct catalog_setting){.setting = setting, .unset = !value.data};
    if (value.data && topic_setting_parse(setting, value, &s->value, &reason))
        refuse(r, change, text);
    else
        change->setting_count++;
}
