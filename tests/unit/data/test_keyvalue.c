#include "../harness.h"
#include "data/keyvalue.h"
#include "fake_call.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

#define NOW INT64_C(1767225600000)

static struct google_protobuf_duration duration(int64_t seconds, int32_t nanos)
{
    return (struct google_protobuf_duration){.seconds = seconds, .nanos = nanos};
}

static void check_expiry(const struct namespace *ns, int64_t seconds, int32_t nanos, int64_t expected_ms)
{
    struct google_protobuf_duration ttl = duration(seconds, nanos);
    int64_t expires_ms;
    CHECK_ERR(kv_expiry(ns, &ttl, NOW, NULL, &expires_ms), OK);
    CHECK_EQ(expires_ms, expected_ms);
}

static void check_refused(const struct namespace *ns, int64_t seconds, int32_t nanos)
{
    struct arena arena;
    struct diag diag;
    arena_init(&arena, 1 << 20);
    diag_init(&diag, &arena);
    struct google_protobuf_duration ttl = duration(seconds, nanos);
    int64_t expires_ms = 0;
    CHECK_ERR(kv_expiry(ns, &ttl, NOW, &diag, &expires_ms), ERR_TTL_INVALID);
    CHECK_EQ(expires_ms, 0);
    CHECK_STR(diag.fields->name, "ttl");
    arena_fini(&arena);
}

TEST(expiry_keeps_milliseconds_and_never_comes_early)
{
    struct namespace ns;
    fake_namespace_init(&ns, "n");
    check_expiry(&ns, 1, 0, NOW + 1000);
    check_expiry(&ns, 0, 1000000, NOW + 1);
    check_expiry(&ns, 0, 1, NOW + 1);
    check_expiry(&ns, 2, 1000001, NOW + 2002);
}

TEST(expiry_takes_ten_thousand_years_and_refuses_more)
{
    struct namespace ns;
    fake_namespace_init(&ns, "n");
    check_expiry(&ns, INT64_C(315576000000), 0, KV_EXPIRES_MAX_MS);
    check_expiry(&ns, INT64_C(315576000000), 999999999, KV_EXPIRES_MAX_MS);
    check_refused(&ns, INT64_C(315576000001), 0);
    check_refused(&ns, INT64_MAX, 999999999);
    check_refused(&ns, INT64_MIN, INT32_MIN);
    check_refused(&ns, 1, 1000000000);
    check_refused(&ns, 1, -1);
    check_refused(&ns, -1, 1);
    check_refused(&ns, 0, 0);
    check_refused(&ns, 0, -1);
    check_refused(&ns, -5, 0);
}

TEST(expiry_asks_the_request_then_the_namespace)
{
    struct namespace ns;
    int64_t expires_ms;
    fake_namespace_init(&ns, "n");
    CHECK_ERR(kv_expiry(&ns, NULL, NOW, NULL, &expires_ms), OK);
    CHECK_EQ(expires_ms, KV_NEVER);
    ns.ttl_default_ms = 5000;
    CHECK_ERR(kv_expiry(&ns, NULL, NOW, NULL, &expires_ms), OK);
    CHECK_EQ(expires_ms, NOW + 5000);
    check_expiry(&ns, 9, 0, NOW + 9000);
    ns.ttl_default_ms = 0;
    ns.ttl_allow_infinite = false;
    CHECK_ERR(kv_expiry(&ns, NULL, NOW, NULL, &expires_ms), ERR_TTL_REQUIRED);
    CHECK_ERR(kv_check_persist(&ns, NULL), ERR_TTL_REQUIRED);
}

TEST(expiry_above_the_maximum_names_both)
{
    struct namespace ns;
    struct arena arena;
    struct diag diag;
    fake_namespace_init(&ns, "n");
    arena_init(&arena, 1 << 20);
    diag_init(&diag, &arena);
    ns.ttl_max_ms = 3600000;
    check_expiry(&ns, 3600, 0, NOW + 3600000);
    struct google_protobuf_duration ttl = duration(3600, 1);
    int64_t expires_ms;
    CHECK_ERR(kv_expiry(&ns, &ttl, NOW, &diag, &expires_ms), ERR_TTL_INVALID);
    CHECK_STR(diag_message(&diag), "a ttl of 1h1ms is longer than the namespace's maximum of 1h");
    CHECK_STR(diag.fields->name, "ttl");
    arena_fini(&arena);
}

TEST(expire_with_nothing_left_is_a_delete)
{
    struct namespace ns;
    fake_namespace_init(&ns, "n");
    struct google_protobuf_duration zero = duration(0, 0), past = duration(-3, -1), one = duration(1, 0),
                                    odd = duration(0, -2000000000);
    bool delete;
    int64_t expires_ms;
    CHECK_ERR(kv_expire(&ns, &zero, NOW, NULL, &delete, &expires_ms), OK);
    CHECK(delete);
    CHECK_ERR(kv_expire(&ns, &past, NOW, NULL, &delete, &expires_ms), OK);
    CHECK(delete);
    CHECK_ERR(kv_expire(&ns, &one, NOW, NULL, &delete, &expires_ms), OK);
    CHECK(!delete &&expires_ms == NOW + 1000);
    CHECK_ERR(kv_expire(&ns, &odd, NOW, NULL, &delete, &expires_ms), ERR_TTL_INVALID);
    CHECK_ERR(kv_expire(&ns, NULL, NOW, NULL, &delete, &expires_ms), ERR_TTL_INVALID);
}

TEST(transactions_idle_as_long_as_asked_within_bounds)
{
    struct google_protobuf_duration second = duration(1, 0), long_time = duration(100000, 0), zero = duration(0, 0);
    int64_t ms;
    CHECK_ERR(kv_transaction_idle(NULL, NULL, &ms), OK);
    CHECK_EQ(ms, LIMIT_TRANSACTION_IDLE_MS);
    CHECK_ERR(kv_transaction_idle(&second, NULL, &ms), OK);
    CHECK_EQ(ms, 1000);
    CHECK_ERR(kv_transaction_idle(&long_time, NULL, &ms), OK);
    CHECK_EQ(ms, LIMIT_TRANSACTION_IDLE_MS_MAX);
    CHECK_ERR(kv_transaction_idle(&zero, NULL, &ms), ERR_FIELD_INVALID);
}

TEST(timestamps_split_milliseconds)
{
    struct arena arena;
    enum err e;
    arena_init(&arena, 1 << 20);
    CHECK(!kv_timestamp(KV_NEVER, &arena, &e));
    CHECK_ERR(e, OK);
    struct google_protobuf_timestamp *t = kv_timestamp(NOW + 7, &arena, &e);
    CHECK_EQ(t->seconds, NOW / 1000);
    CHECK_EQ(t->nanos, 7000000);
    t = kv_timestamp(-1, &arena, &e);
    CHECK_EQ(t->seconds, -1);
    CHECK_EQ(t->nanos, 999000000);
    arena_fini(&arena);
}

TEST(keys_have_1_to_1024_bytes)
{
    static uint8_t bytes[LIMIT_KEY_BYTES + 1];
    CHECK_ERR(kv_check_key(slice_of(bytes, 1), NULL, "key"), OK);
    CHECK_ERR(kv_check_key(slice_of(bytes, LIMIT_KEY_BYTES), NULL, "key"), OK);
    CHECK_ERR(kv_check_key(slice_of(bytes, LIMIT_KEY_BYTES + 1), NULL, "key"), ERR_KEY_INVALID);
    CHECK_ERR(kv_check_key(SLICE_EMPTY, NULL, "key"), ERR_KEY_INVALID);
}

struct tags {
    struct keyvalue_set_request_tags_entry entries[LIMIT_TAGS + 1];
    void *pointers[LIMIT_TAGS + 1];
    struct pb_array array;
};

static void make_tags(struct tags *t, uint32_t count, struct slice key, struct slice value)
{
    memset(t, 0, sizeof *t);
    for (uint32_t i = 0; i < count; i++) {
        t->entries[i].key = key;
        t->entries[i].value = value;
        t->pointers[i] = &t->entries[i];
    }
    t->array = (struct pb_array){.items = t->pointers, .count = count};
}

SCENARIO(tags_come_back_as_they_were)
{
    struct arena arena;
    struct tags tags;
    struct slice encoded;
    struct pb_array back;
    arena_init(&arena, 1 << 20);
    make_tags(&tags, LIMIT_TAGS, SLICE("name"), SLICE("value\0 with NUL"));
    enum err e = kv_tags_encode(&tags.array, &arena, NULL, &encoded);
    if (!e)
        e = kv_tags_decode(encoded, &arena, &back);
    if (!e) {
        const struct keyvalue_get_response_tags_entry *last =
            PB_AT(back, struct keyvalue_get_response_tags_entry *, back.count - 1);
        CHECK_SLICE(last->key, SLICE("name"));
        CHECK_SLICE(last->value, SLICE("value\0 with NUL"));
    }
    arena_fini(&arena);
    return e;
}

TEST(tags_have_limits)
{
    static const char text[LIMIT_TAG_BYTES + 1] = "";
    struct arena arena;
    struct tags tags;
    struct slice encoded;
    arena_init(&arena, 1 << 20);
    make_tags(&tags, LIMIT_TAGS + 1, SLICE("name"), SLICE("value"));
    CHECK_ERR(kv_tags_encode(&tags.array, &arena, NULL, &encoded), ERR_FIELD_INVALID);
    make_tags(&tags, 1, slice_of(text, 24), slice_of(text, LIMIT_TAG_BYTES - 24));
    CHECK_ERR(kv_tags_encode(&tags.array, &arena, NULL, &encoded), OK);
    make_tags(&tags, 1, slice_of(text, 25), slice_of(text, LIMIT_TAG_BYTES - 24));
    CHECK_ERR(kv_tags_encode(&tags.array, &arena, NULL, &encoded), ERR_FIELD_INVALID);
    make_tags(&tags, 0, SLICE_EMPTY, SLICE_EMPTY);
    CHECK_ERR(kv_tags_encode(&tags.array, &arena, NULL, &encoded), OK);
    CHECK_EQ(encoded.size, 0);
    arena_fini(&arena);
}

TEST(damaged_tags_are_found)
{
    struct arena arena;
    struct pb_array tags;
    arena_init(&arena, 1 << 20);
    CHECK_ERR(kv_tags_decode(SLICE("\x2a\x7f"), &arena, &tags), ERR_CORRUPT);
    arena_fini(&arena);
}

TEST(get_response_of_an_absent_item_is_empty)
{
    struct keyvalue_get_response r;
    CHECK_ERR(kv_fill_get(NULL, NULL, &r), OK);
    CHECK(!r.found && !r.value.size && !r.version.size && !r.expires_at);
}
