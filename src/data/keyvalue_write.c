/* Writes as a store takes them, the conditions that they may carry, and the status of an item in a batch. */
#include <stdio.h>

#include "base/uuid.h"
#include "data/keyvalue.h"

static enum err check_value(const struct call *call, struct slice value, struct diag *diag, const char *field_prefix)
{
    size_t max = call->ns->message_bytes;
    if (value.size <= max)
        return OK;
    diag_set(diag, ERR_MESSAGE_TOO_LARGE, "the value has %zu bytes, the namespace takes at most %zu", value.size, max);
    char field[64];
    snprintf(field, sizeof field, "%svalue", field_prefix);
    diag_field(diag, field, "has %zu bytes, must have at most %zu", value.size, max);
    return ERR_MESSAGE_TOO_LARGE;
}

static enum err check_write_key(struct slice key, struct diag *diag, const char *field_prefix)
{
    char field[64];
    snprintf(field, sizeof field, "%skey", field_prefix);
    return kv_check_key(key, diag, field);
}

enum err kv_write_make(const struct call *call, struct slice key, struct slice value, const struct pb_array *tags,
                       const struct google_protobuf_duration *ttl, int64_t now_ms, struct diag *diag,
                       const char *field_prefix, struct kv_write *ret_write)
{
    struct kv_write w = {.key = key, .value = value};
    enum err e = check_write_key(key, diag, field_prefix);
    if (!e)
        e = check_value(call, value, diag, field_prefix);
    if (!e)
        e = kv_tags_encode(tags, call->arena, diag, &w.tags);
    if (!e)
        e = kv_expiry(call->ns, ttl, now_ms, diag, &w.expires_ms);
    if (!e)
        *ret_write = w;
    return e;
}

/* --- conditions ------------------------------------------------------------------------------------------------------------- */

struct kv_expected kv_if_version(bool has, struct slice if_version)
{
    if (!has)
        return (struct kv_expected){.what = KV_EXPECT_ANYTHING};
    return (struct kv_expected){.what = if_version.size ? KV_EXPECT_VERSION : KV_EXPECT_ABSENT, .bytes = if_version};
}

static enum err expected_invalid(struct diag *diag, const char *field, const char *why)
{
    diag_set(diag, ERR_FIELD_INVALID, "%s %s", field, why);
    diag_field(diag, field, "%s", why);
    return ERR_FIELD_INVALID;
}

static enum err expected_version(struct slice version, struct diag *diag, struct kv_expected *ret_expected)
{
    if (!version.size)
        return expected_invalid(diag, "expected_version", "must not be empty");
    *ret_expected = (struct kv_expected){.what = KV_EXPECT_VERSION, .bytes = version};
    return OK;
}

enum err kv_expected_swap(const struct keyvalue_compare_and_swap_request *r, struct diag *diag,
                          struct kv_expected *ret_expected)
{
    switch (r->expected_case) {
    case KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_VERSION:
        return expected_version(r->expected_version, diag, ret_expected);
    case KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_VALUE:
        *ret_expected = (struct kv_expected){.what = KV_EXPECT_VALUE, .bytes = r->expected_value};
        return OK;
    case KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_ABSENT:
        if (!r->expected_absent)
            return expected_invalid(diag, "expected_absent", "must be true where it is given");
        *ret_expected = (struct kv_expected){.what = KV_EXPECT_ABSENT};
        return OK;
    default:
        return expected_invalid(diag, "expected", "needs one of expected_version, expected_value, expected_absent");
    }
}

enum err kv_expected_delete(const struct keyvalue_compare_and_delete_request *r, struct diag *diag,
                            struct kv_expected *ret_expected)
{
    switch (r->expected_case) {
    case KEYVALUE_COMPARE_AND_DELETE_REQUEST_EXPECTED_VERSION:
        return expected_version(r->expected_version, diag, ret_expected);
    case KEYVALUE_COMPARE_AND_DELETE_REQUEST_EXPECTED_VALUE:
        *ret_expected = (struct kv_expected){.what = KV_EXPECT_VALUE, .bytes = r->expected_value};
        return OK;
    default:
        return expected_invalid(diag, "expected", "needs one of expected_version, expected_value");
    }
}

bool kv_expected_holds(const struct kv_expected *expected, const struct kv_item *current)
{
    switch (expected->what) {
    case KV_EXPECT_ANYTHING:
        return true;
    case KV_EXPECT_ABSENT:
        return !current;
    case KV_EXPECT_VERSION:
        return current && slice_eq(current->version, expected->bytes);
    case KV_EXPECT_VALUE:
        return current && slice_eq(current->value, expected->bytes);
    }
    return false;
}

enum { VERSION_SHOWN_BYTES = 32, VERSION_TEXT_BYTES = 2 * VERSION_SHOWN_BYTES + 1 };

/* A version as people compare it; a stranger's may be long and is cut. */
static const char *version_text(struct slice version, char out[static VERSION_TEXT_BYTES])
{
    if (!version.size)
        return "none";
    struct slice shown = slice_take(version, VERSION_SHOWN_BYTES);
    *hex_format(shown.data, (unsigned)shown.size, out) = 0;
    return out;
}

enum err kv_version_mismatch(const struct kv_expected *expected, struct slice current, struct diag *diag)
{
    char expected_hex[VERSION_TEXT_BYTES], actual_hex[VERSION_TEXT_BYTES];
    const char *wanted = version_text(expected->bytes, expected_hex);
    const char *actual = version_text(current, actual_hex);
    diag_set(diag, ERR_VERSION_MISMATCH, "the key has version %s, expected %s", actual, wanted);
    diag_precondition(diag, "VERSION_CONFLICT", "expected %s, actual %s", wanted, actual);
    diag_meta(diag, "expected_version", "%s", wanted);
    diag_meta(diag, "actual_version", "%s", actual);
    return ERR_VERSION_MISMATCH;
}

/* --- batches ---------------------------------------------------------------------------------------------------------------- */

void kv_batch_status_set(struct common_batch_item_status *status, uint32_t index, enum err e, const struct diag *diag)
{
    *status = (struct common_batch_item_status){.index = index, .code = err_row(e)->grpc};
    if (e)
        status->message = slice_str(diag && diag->err == e ? diag_message(diag) : err_row(e)->text);
}

struct common_batch_item_status *kv_batch_status(uint32_t index, enum err e, const struct diag *diag,
                                                 struct arena *arena)
{
    struct common_batch_item_status *status = arena_new(arena, struct common_batch_item_status);
    if (status)
        kv_batch_status_set(status, index, e, diag);
    return status;
}

enum err kv_check_batch(uint32_t count, const char *field, struct diag *diag)
{
    if (count >= 1 && count <= LIMIT_BATCH_ITEMS)
        return OK;
    diag_set(diag, ERR_FIELD_INVALID, "%s has %u items, a batch takes 1 to %d", field, count, LIMIT_BATCH_ITEMS);
    diag_field(diag, field, "has %u items, must have 1 to %d", count, LIMIT_BATCH_ITEMS);
    return ERR_FIELD_INVALID;
}
