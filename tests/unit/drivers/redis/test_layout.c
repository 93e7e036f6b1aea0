#include <stdio.h>

#include "../../harness.h"

#include "drivers/redis/layout.h"
#include "drivers/redis/settings.h"

/* From the specification of Redis Cluster, and from redis-server's CLUSTER KEYSLOT. */
TEST(slots_are_those_of_the_specification)
{
    CHECK_EQ(redis_slot_of(SLICE("123456789")), 0x31C3);
    CHECK_EQ(redis_slot_of(SLICE("b")), 3300);
    CHECK_EQ(redis_slot_of(SLICE("foo")), 12182);
    CHECK_EQ(redis_slot_of(SLICE("x{foo}y")), 12182);
    CHECK_EQ(redis_slot_of(SLICE("{foo}{bar}")), 12182);
    CHECK_EQ(redis_slot_of(SLICE("{foo")), redis_slot_of(SLICE("{foo")));
    CHECK(redis_slot_of(SLICE("{}foo")) != 12182);
    CHECK_EQ(redis_slot_of(SLICE("")), 0);
}

TEST(values_come_back_as_they_were_packed)
{
    struct arena arena;
    struct slice packed;
    struct kv_item item;
    uint8_t version[REDIS_VERSION_BYTES] = "0123456789abcde";
    struct kv_write w = {.value = SLICE("v\0w"), .tags = SLICE("tags"), .expires_ms = INT64_C(1767225600123)};
    arena_init(&arena, 1 << 20);
    CHECK_ERR(redis_pack(&w, version, &arena, &packed), OK);
    CHECK_EQ(packed.size, REDIS_HEAD_BYTES + 4 + 3);
    CHECK_ERR(redis_unpack(packed, SLICE("key"), &item), OK);
    CHECK_SLICE(item.value, w.value);
    CHECK_SLICE(item.tags, w.tags);
    CHECK_SLICE(item.version, slice_of(version, sizeof version));
    CHECK_EQ(item.expires_ms, w.expires_ms);
    CHECK_ERR(redis_unpack(slice_take(packed, REDIS_HEAD_BYTES), SLICE("key"), &item), OK);
    CHECK_ERR(redis_unpack(slice_take(packed, REDIS_HEAD_BYTES - 1), SLICE("key"), &item), ERR_CORRUPT);
    CHECK_ERR(redis_unpack(slice_take(packed, REDIS_HEAD_BYTES + 2), SLICE("key"), &item), ERR_CORRUPT);
    arena_fini(&arena);
}

TEST(versions_are_never_used_twice)
{
    struct redis_versions v = {.epoch = "1234567"};
    uint8_t a[REDIS_VERSION_BYTES], b[REDIS_VERSION_BYTES];
    redis_version_next(&v, a);
    redis_version_next(&v, b);
    CHECK(memcmp(a, b, sizeof a) < 0);
    CHECK(memcmp(a, v.epoch, sizeof v.epoch) == 0);
}

TEST(buckets_share_the_keys)
{
    struct arena arena;
    struct redis_layout one, many;
    unsigned hits[8] = {0};
    char key[16];
    arena_init(&arena, 1 << 20);
    CHECK_ERR(redis_layout_make(&arena, "p", "n", 1, &one), OK);
    CHECK_ERR(redis_layout_make(&arena, "p", "n", 8, &many), OK);
    CHECK_SLICE(one.buckets[0].root, SLICE("{p:n}"));
    CHECK_SLICE(many.buckets[7].index, SLICE("{p:n:7}:i"));
    CHECK_EQ(one.buckets[0].slot, many.home.slot);
    for (int i = 0; i < 800; i++) {
        snprintf(key, sizeof key, "key%d", i);
        CHECK_EQ(redis_bucket_of(&one, slice_str(key)), 0);
        hits[redis_bucket_of(&many, slice_str(key))]++;
    }
    for (int i = 0; i < 8; i++)
        CHECK(hits[i] > 50);
    /* Part of what is stored: a change would lose keys. */
    static const uint8_t buckets[] = {0, 3, 5, 7, 1};
    for (int i = 0; i < 5; i++)
        CHECK_EQ(redis_bucket_of(&many, slice_of(&"abcde"[i], 1)), buckets[i]);
    arena_fini(&arena);
}

/* --- settings ------------------------------------------------------------------------------------------------------------------- */

struct case_of_settings {
    struct arena arena;
    struct diag diag;
    struct redis_settings settings;
};

static enum err read_settings(struct case_of_settings *c, const char *connection, struct config_redis_options *options)
{
    struct config_backend backend = {.connection = slice_str(connection), .redis = options};
    arena_init(&c->arena, 1 << 20);
    diag_init(&c->diag, &c->arena);
    return redis_settings_make(&backend, &c->arena, &c->diag, &c->settings);
}

TEST(connections_are_read)
{
    struct case_of_settings c;
    CHECK_ERR(read_settings(&c, "rediss://us%65r:p%40ss:word@host,[::1]:7000/3",
                            &(struct config_redis_options){.mode = CONFIG_REDIS_OPTIONS_MODE_SENTINEL,
                                                           .sentinel_master = SLICE("m")}),
              OK);
    CHECK(c.settings.tls);
    CHECK_STR(c.settings.username, "user");
    CHECK_STR(c.settings.password, "p@ss:word");
    CHECK_EQ(c.settings.server_count, 2);
    CHECK_STR(c.settings.servers[0], "host:26379");
    CHECK_STR(c.settings.servers[1], "[::1]:7000");
    CHECK_EQ(c.settings.database, 3);
    arena_fini(&c.arena);
    CHECK_ERR(read_settings(&c, "unix:/run/redis.sock", NULL), OK);
    CHECK_STR(c.settings.servers[0], "unix:/run/redis.sock");
    CHECK_EQ(c.settings.buckets, 1);
    arena_fini(&c.arena);
    CHECK_ERR(read_settings(
                  &c, "redis://h",
                  &(struct config_redis_options){.mode = CONFIG_REDIS_OPTIONS_MODE_CLUSTER, .password = SLICE("x")}),
              OK);
    CHECK_STR(c.settings.servers[0], "h:6379");
    CHECK_STR(c.settings.password, "x");
    CHECK(c.settings.username == NULL);
    CHECK_EQ(c.settings.buckets, 64);
    arena_fini(&c.arena);
}

TEST(several_problems_are_all_told)
{
    struct case_of_settings c;
    unsigned n = 0;
    CHECK_ERR(read_settings(&c, "redis://a,,b/x",
                            &(struct config_redis_options){.ca_file = SLICE("/x"), .key_prefix = SLICE("{")}),
              ERR_CONFIG_INVALID);
    for (const struct diag_item *i = c.diag.fields; i; i = i->next)
        n++;
    CHECK_EQ(n, 5); /* an empty host, the database, several servers, the prefix, TLS */
    arena_fini(&c.arena);
}

SCENARIO(settings_out_of_memory)
{
    struct case_of_settings c;
    enum err e = read_settings(
        &c, "rediss://user:password@one,two:7000",
        &(struct config_redis_options){.mode = CONFIG_REDIS_OPTIONS_MODE_CLUSTER, .server_name = SLICE("n")});
    arena_fini(&c.arena);
    return e;
}
