/* Rules about single items: expiry, keys, tags, what an item looks like in an answer. Ranges and pages: keyvalue_scan.c; writes
 * and conditions: keyvalue_write.c. */
#include "data/keyvalue.h"

#include <assert.h>
#include <stddef.h>

#include "base/duration.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

/* google.protobuf.Duration: 10,000 years of 365.25 days. */
#define DURATION_SECONDS_MAX INT64_C(315576000000)

/* --- durations and expiry --------------------------------------------------------------------------------------------------- */

static bool duration_is_valid(const struct google_protobuf_duration *d)
{
    if (d->seconds > DURATION_SECONDS_MAX || d->seconds < -DURATION_SECONDS_MAX)
        return false;
    if (d->nanos > 999999999 || d->nanos < -999999999)
        return false;
    return !(d->seconds > 0 && d->nanos < 0) && !(d->seconds < 0 && d->nanos > 0);
}

/* Rounded up: 1 ns is 1 ms. Cannot overflow. */
static int64_t duration_to_ms(const struct google_protobuf_duration *d)
{
    int64_t ms = d->nanos / 1000000;
    return d->seconds * 1000 + ms + (d->nanos % 1000000 > 0);
}

enum err kv_duration_ms(const struct google_protobuf_duration *d, int64_t *ret_ms)
{
    if (!duration_is_valid(d))
        return ERR_FIELD_INVALID;
    *ret_ms = duration_to_ms(d);
    return OK;
}

static const char *duration_text(int64_t ms, char out[static DURATION_TEXT_BYTES])
{
    int64_t longest_ms = INT64_MAX / 1000000;
    if (ms <= longest_ms)
        return duration_format(ms * 1000000, out);
    return "more than 292 years";
}

static enum err ttl_invalid(struct diag *diag, const char *why)
{
    diag_set(diag, ERR_TTL_INVALID, "ttl %s", why);
    diag_field(diag, "ttl", "%s", why);
    return ERR_TTL_INVALID;
}

static enum err ttl_too_long(int64_t ttl_ms, int64_t max_ms, struct diag *diag)
{
    char ttl_text[DURATION_TEXT_BYTES], max_text[DURATION_TEXT_BYTES];
    const char *ttl = duration_text(ttl_ms, ttl_text), *max = duration_text(max_ms, max_text);
    diag_set(diag, ERR_TTL_INVALID, "a ttl of %s is longer than the namespace's maximum of %s", ttl, max);
    diag_field(diag, "ttl", "is %s, must be at most %s", ttl, max);
    diag_meta(diag, "max_ms", "%lld", (long long)max_ms);
    return ERR_TTL_INVALID;
}

static int64_t expires_in(int64_t now_ms, int64_t ttl_ms)
{
    return ttl_ms >= KV_EXPIRES_MAX_MS - now_ms ? KV_EXPIRES_MAX_MS : now_ms + ttl_ms;
}

static enum err expires_as_asked(const struct namespace *ns, int64_t ttl_ms, int64_t now_ms, struct diag *diag,
                                 int64_t *ret_expires_ms)
{
    if (ns->ttl_max_ms && ttl_ms > ns->ttl_max_ms)
        return ttl_too_long(ttl_ms, ns->ttl_max_ms, diag);
    *ret_expires_ms = expires_in(now_ms, ttl_ms);
    return OK;
}

static enum err never_expires(const struct namespace *ns, struct diag *diag)
{
    if (ns->ttl_allow_infinite)
        return OK;
    diag_set(diag, ERR_TTL_REQUIRED, "namespace %s forbids data that never expires; give a ttl", ns->name);
    diag_precondition(diag, "TTL_REQUIRED", "namespace %s has ttl.allow_infinite: false", ns->name);
    return ERR_TTL_REQUIRED;
}

static enum err expires_by_default(const struct namespace *ns, int64_t now_ms, struct diag *diag,
                                   int64_t *ret_expires_ms)
{
    if (ns->ttl_default_ms > 0) {
        *ret_expires_ms = expires_in(now_ms, ns->ttl_default_ms);
        return OK;
    }
    enum err e = never_expires(ns, diag);
    if (!e)
        *ret_expires_ms = KV_NEVER;
    return e;
}

enum err kv_expiry(const struct namespace *ns, const struct google_protobuf_duration *ttl, int64_t now_ms,
                   struct diag *diag, int64_t *ret_expires_ms)
{
    if (!ttl)
        return expires_by_default(ns, now_ms, diag, ret_expires_ms);
    if (!duration_is_valid(ttl))
        return ttl_invalid(diag, "is not a valid duration");
    int64_t ttl_ms = duration_to_ms(ttl);
    if (ttl_ms <= 0)
        return ttl_invalid(diag, "must be above 0");
    return expires_as_asked(ns, ttl_ms, now_ms, diag, ret_expires_ms);
}

enum err kv_expire(const struct namespace *ns, const struct google_protobuf_duration *ttl, int64_t now_ms,
                   struct diag *diag, bool *ret_delete, int64_t *ret_expires_ms)
{
    if (!ttl)
        return ttl_invalid(diag, "is required");
    if (!duration_is_valid(ttl))
        return ttl_invalid(diag, "is not a valid duration");
    int64_t ttl_ms = duration_to_ms(ttl), expires_ms = now_ms;
    enum err e = ttl_ms > 0 ? expires_as_asked(ns, ttl_ms, now_ms, diag, &expires_ms) : OK;
    if (e)
        return e;
    *ret_delete = ttl_ms <= 0;
    *ret_expires_ms = expires_ms;
    return OK;
}

enum err kv_check_persist(const struct namespace *ns, struct diag *diag)
{
    return never_expires(ns, diag);
}

enum err kv_transaction_idle(const struct google_protobuf_duration *asked, struct diag *diag, int64_t *ret_idle_ms)
{
    int64_t ms = LIMIT_TRANSACTION_IDLE_MS;
    if (asked)
        ms = duration_is_valid(asked) ? duration_to_ms(asked) : 0;
    if (ms <= 0) {
        diag_set(diag, ERR_FIELD_INVALID, "idle_timeout must be above 0");
        diag_field(diag, "idle_timeout", "must be above 0");
        return ERR_FIELD_INVALID;
    }
    *ret_idle_ms = ms < LIMIT_TRANSACTION_IDLE_MS_MAX ? ms : LIMIT_TRANSACTION_IDLE_MS_MAX;
    return OK;
}

struct google_protobuf_timestamp *kv_timestamp(int64_t expires_ms, struct arena *arena, enum err *ret_err)
{
    *ret_err = OK;
    if (expires_ms == KV_NEVER)
        return NULL;
    struct google_protobuf_timestamp *t = arena_new(arena, struct google_protobuf_timestamp);
    if (!t) {
        *ret_err = ERR_NOMEM;
        return NULL;
    }
    int64_t ms = expires_ms % 1000;
    t->seconds = expires_ms / 1000 - (ms < 0);
    t->nanos = (int32_t)(ms < 0 ? ms + 1000 : ms) * 1000000;
    return t;
}

/* --- keys and tags ---------------------------------------------------------------------------------------------------------- */

enum err kv_check_key(struct slice key, struct diag *diag, const char *field)
{
    if (key.size >= 1 && key.size <= LIMIT_KEY_BYTES)
        return OK;
    diag_set(diag, ERR_KEY_INVALID, "%s has %zu bytes, a key must have 1 to %d", field, key.size, LIMIT_KEY_BYTES);
    diag_field(diag, field, "has %zu bytes, must have 1 to %d", key.size, LIMIT_KEY_BYTES);
    return ERR_KEY_INVALID;
}

/* Entries of all tags fields are taken for each other. */

_Static_assert(sizeof(struct keyvalue_key_value_item_tags_entry) == sizeof(struct keyvalue_set_request_tags_entry),
               "one layout");
_Static_assert(offsetof(struct keyvalue_key_value_item_tags_entry, key) ==
                   offsetof(struct keyvalue_set_request_tags_entry, key),
               "one layout");
_Static_assert(offsetof(struct keyvalue_key_value_item_tags_entry, value) ==
                   offsetof(struct keyvalue_set_request_tags_entry, value),
               "one layout");

static enum err tags_invalid(struct diag *diag, const char *why)
{
    diag_set(diag, ERR_FIELD_INVALID, "tags: %s", why);
    diag_field(diag, "tags", "%s", why);
    return ERR_FIELD_INVALID;
}

static enum err check_tags(const struct pb_array *tags, struct diag *diag)
{
    if (tags->count > LIMIT_TAGS)
        return tags_invalid(diag, "more than 64 tags");
    for (uint32_t i = 0; i < tags->count; i++) {
        const struct keyvalue_key_value_item_tags_entry *tag =
            PB_AT(*tags, const struct keyvalue_key_value_item_tags_entry *, i);
        if (tag->key.size + tag->value.size > LIMIT_TAG_BYTES)
            return tags_invalid(diag, "name and value of a tag have more than 1,024 bytes together");
    }
    return OK;
}

enum err kv_tags_encode(const struct pb_array *tags, struct arena *arena, struct diag *diag, struct slice *ret_encoded)
{
    _Static_assert(LIMIT_TAGS == 64 && LIMIT_TAG_BYTES == 1024, "the texts above");
    if (tags->count == 0) {
        *ret_encoded = SLICE_EMPTY;
        return OK;
    }
    enum err e = check_tags(tags, diag);
    if (e)
        return e;
    struct keyvalue_key_value_item carrier = {.tags = *tags};
    size_t size = pb_encoded_size(&keyvalue_key_value_item_pb, &carrier);
    uint8_t *out = arena_alloc(arena, size);
    if (!out)
        return ERR_NOMEM;
    pb_encode(&keyvalue_key_value_item_pb, &carrier, out);
    *ret_encoded = slice_of(out, size);
    return OK;
}

enum err kv_tags_decode(struct slice encoded, struct arena *arena, struct pb_array *ret_tags)
{
    struct keyvalue_key_value_item carrier = {0};
    enum err e =
        encoded.size ? pb_decode_into(&keyvalue_key_value_item_pb, encoded, arena, &pb_limits_default, &carrier) : OK;
    if (e)
        return e == ERR_NOMEM ? e : ERR_CORRUPT;
    *ret_tags = carrier.tags;
    return OK;
}

/* --- items ------------------------------------------------------------------------------------------------------------------ */

enum err kv_item_copy(const struct kv_item *item, struct arena *arena, struct kv_item *ret_copy)
{
    struct kv_item copy = *item;
    if (!arena_copy(arena, item->key, &copy.key) || !arena_copy(arena, item->value, &copy.value) ||
        !arena_copy(arena, item->version, &copy.version) || !arena_copy(arena, item->tags, &copy.tags))
        return ERR_NOMEM;
    *ret_copy = copy;
    return OK;
}

size_t kv_item_bytes(const struct kv_item *item)
{
    enum { FRAMING = 48 }; /* tags and lengths of the fields, the timestamp, the item's own length */
    return item->key.size + item->value.size + item->version.size + item->tags.size + FRAMING;
}

enum err kv_fill_get(const struct kv_item *item, struct arena *arena, struct keyvalue_get_response *ret_response)
{
    struct keyvalue_get_response r = {0};
    enum err e = OK;
    if (item) {
        r.found = true;
        r.value = item->value;
        r.version = item->version;
        r.expires_at = kv_timestamp(item->expires_ms, arena, &e);
        if (!e)
            e = kv_tags_decode(item->tags, arena, &r.tags);
    }
    if (!e)
        *ret_response = r;
    return e;
}
