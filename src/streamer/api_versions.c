/* ApiVersions: what there is. One who asks in a version that is too new is told so in version 0, with the whole list (KIP-511). */
#include "streamer/api.h"
#include "streamer/dispatch.h"
#include "streamer/requests.h"

static bool fill(struct request *r, struct kafka_api_versions_response *out)
{
    struct kafka_api_versions_response_api *items =
        arena_array(&r->arena, struct kafka_api_versions_response_api, dispatch_count);
    if (!items)
        return false;
    for (uint32_t i = 0; i < dispatch_count; i++) {
        const struct kafka_api *api = kafka_api_find(dispatch_rows[i].key);
        items[i] = (struct kafka_api_versions_response_api){api->key, api->version_min, api->version_max};
    }
    out->api_keys.items = items;
    out->api_keys.count = dispatch_count;
    return true;
}

void api_api_versions(struct request *r)
{
    struct kafka_api_versions_response out = kafka_api_versions_response_default;
    bool known = kafka_api_takes(r->header.api, r->header.version);
    if (!known)
        out.error_code = KAFKA_UNSUPPORTED_VERSION;
    if (fill(r, &out))
        request_reply_as(r, known ? r->header.version : 0, &out);
    else
        request_drop(r);
}
