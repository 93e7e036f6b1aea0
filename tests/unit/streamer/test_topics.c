/* Settings of topics, sets of topics, and what the catalog writes of them. */
#include "../harness.h"
#include "base/limits.h"
#include "streamer/catalog_entry.h"
#include "streamer/topics.h"

static const struct hash_key key = {1, 2};

static enum err parse(const char *name, const char *text, int64_t *ret_value, char said[320])
{
    struct buf reason;
    memset(said, 0, 320);
    buf_init_fixed(&reason, said, 319);
    return topic_setting_parse(topic_setting_find(slice_str(name)), slice_str(text), ret_value, &reason);
}

TEST(settings_are_read_and_refused)
{
    static const struct {
        const char *name, *text;
        int64_t value; /* INT64_MIN: refused */
        const char *said;
    } cases[] = {
        {"retention.ms", "1000", 1000, ""},
        {"retention.ms", "-1", -1, ""},
        {"retention.ms", "9223372036854775807", INT64_MAX, ""},
        {"retention.ms", "-2", INT64_MIN, "retention.ms cannot be `-2`: it is a number from -1 to 9223372036854775807"},
        {"retention.ms", "", INT64_MIN, "retention.ms cannot be ``: it is a number from -1 to 9223372036854775807"},
        {"retention.bytes", "1e6", INT64_MIN,
         "retention.bytes cannot be `1e6`: it is a number from -1 to 9223372036854775807"},
        {"segment.bytes", "65535", INT64_MIN,
         "segment.bytes cannot be `65535`: it is a number from 65536 to 2147483647"},
        {"segment.bytes", "2147483648", INT64_MIN,
         "segment.bytes cannot be `2147483648`: it is a number from 65536 to 2147483647"},
        {"segment.bytes", "99999999999999999999999999", INT64_MIN,
         "segment.bytes cannot be `99999999999999999999999999`: it is a number from 65536 to 2147483647"},
        {"segment.ms", "0", INT64_MIN, "segment.ms cannot be `0`: it is a number from 1 to 9223372036854775807"},
        {"durability", "memory", DURABILITY_MEMORY, ""},
        {"durability", "Flush", INT64_MIN, "durability cannot be `Flush`: it is `flush` or `memory`"},
        {"message.timestamp.type", "LogAppendTime", TIMESTAMP_LOG_APPEND, ""},
        {"cleanup.policy", "delete", 0, ""},
        {"cleanup.policy", "compact,delete", INT64_MIN,
         "cleanup.policy cannot be `compact,delete`: it is `delete`; compaction is not there yet"},
        {"min.insync.replicas", "2", INT64_MIN, "min.insync.replicas cannot be `2`: it is a number from 1 to 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t value = 0;
        char said[320];
        enum err e = parse(cases[i].name, cases[i].text, &value, said);
        CHECK_ERR(e, cases[i].value == INT64_MIN ? ERR_INVALID_ARGUMENT : OK);
        CHECK_STR(said, cases[i].said);
        if (!e)
            CHECK_EQ(value, cases[i].value);
    }
    CHECK_EQ(topic_setting_find(SLICE("retention")), TOPIC_SETTING_COUNT);
}

TEST(settings_print_as_they_are_read)
{
    for (enum topic_setting i = 0; i < TOPIC_SETTING_COUNT; i++) {
        char memory[64], said[320];
        struct buf text;
        int64_t value = -7;
        buf_init_fixed(&text, memory, sizeof memory - 1);
        topic_setting_print(i, topic_config_default.values[i], &text);
        buf_putc(&text, '\0');
        CHECK_ERR(parse(topic_settings[i].name, memory, &value, said), OK);
        CHECK_EQ(value, topic_config_default.values[i]);
        CHECK_EQ(value, topic_settings[i].default_value);
    }
}

TEST(what_is_not_given_follows_the_defaults)
{
    struct topic_config c = topic_config_default, defaults = topic_config_default;
    topic_config_set(&c, TOPIC_RETENTION_MS, 5);
    topic_config_set(&defaults, TOPIC_RETENTION_MS, 7);
    topic_config_set(&defaults, TOPIC_SEGMENT_MS, 9);
    topic_config_rebase(&c, &defaults);
    CHECK_EQ(c.values[TOPIC_RETENTION_MS], 5);
    CHECK_EQ(c.values[TOPIC_SEGMENT_MS], 9);
    topic_config_unset(&c, TOPIC_RETENTION_MS, &defaults);
    CHECK_EQ(c.values[TOPIC_RETENTION_MS], 7);
    CHECK_EQ(c.given, 0);
}

TEST(names_of_topics)
{
    char longest[LIMIT_STREAM_TOPIC_NAME_BYTES + 2];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CHECK(!topic_name_valid(slice_str(longest)));
    CHECK(topic_name_valid(slice_str(longest + 1)));
    CHECK(topic_name_valid(SLICE("A.b_c-9")));
    CHECK(topic_name_valid(SLICE("...")));
    static const char *const refused[] = {"", ".", "..", "a b", "a/b", "ä", "a\n", "a,b"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        CHECK(!topic_name_valid(slice_str(refused[i])));
}

/* --- sets --------------------------------------------------------------------------------------------------------------------- */

static struct topic *make(const char *name, uint8_t id, uint32_t partitions)
{
    struct kafka_uuid uuid = {{id}};
    return topic_new(&uuid, slice_str(name), partitions, &topic_config_default);
}

/* A set of a, b, c; then b has more partitions, c goes, d comes, and a is another topic of the same name. */
static enum err change_sets(void)
{
    struct topics *none = NULL, *first = NULL, *second = NULL;
    struct topic *a = make("a", 1, 1), *b = make("b", 2, 2), *c = make("c", 3, 3);
    struct topic *a2 = make("a", 9, 4), *b2 = make("b", 2, 20), *d = make("d", 4, 4);
    enum err e = a && b && c && a2 && b2 && d ? topics_new(&key, &none) : ERR_NOMEM;
    const struct topic_change come[] = {{NULL, c}, {NULL, a}, {NULL, b}};
    const struct topic_change changed[] = {{c, NULL}, {b, b2}, {NULL, d}, {a, a2}};
    if (!e)
        e = topics_changed(none, &key, come, 3, &first);
    if (!e)
        e = topics_changed(first, &key, changed, 4, &second);
    if (!e) {
        CHECK_EQ(first->count, 3);
        CHECK_EQ(first->partitions, 6);
        CHECK_EQ(second->count, 3);
        CHECK_EQ(second->partitions, 28);
        CHECK_EQ(second->version, first->version + 1);
        CHECK(topics_find(first, SLICE("c")) == c && !topics_find(second, SLICE("c")));
        CHECK(topics_find(second, SLICE("a")) == a2 && topics_find_id(second, &a2->id) == a2);
        CHECK(!topics_find_id(second, &a->id) && topics_find_id(first, &a->id) == a);
        CHECK(second->sorted[0] == a2 && second->sorted[1] == b2 && second->sorted[2] == d);
    }
    struct topic *all[] = {a, b, c, a2, b2, d};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        topic_unref(all[i]);
    topics_unref(none);
    topics_unref(first);
    topics_unref(second);
    return e;
}

SCENARIO(sets_change_and_the_old_ones_stay)
{
    return change_sets();
}

/* --- the catalog's records ---------------------------------------------------------------------------------------------------- */

struct read {
    struct topic *topic;
    int clusters, gone;
    struct kafka_uuid id;
};

static void on_cluster(void *context, const struct kafka_uuid *id)
{
    ((struct read *)context)->clusters++;
    ((struct read *)context)->id = *id;
}

static enum err on_topic(void *context, struct topic *t)
{
    struct read *r = context;
    topic_unref(r->topic);
    r->topic = t;
    return OK;
}

static enum err on_gone(void *context, const struct kafka_uuid *id)
{
    ((struct read *)context)->gone++;
    ((struct read *)context)->id = *id;
    return OK;
}

static enum err read_entry(struct slice entry, struct read *r)
{
    const struct catalog_visitor visitor = {on_cluster, on_topic, on_gone, r, &topic_config_default};
    return catalog_read_entry(entry, &visitor);
}

/* An entry with one of each record. */
static void write_entry(struct buf *out)
{
    struct topic *t = make("orders", 7, 12);
    struct kafka_uuid cluster = {{5}}, gone = {{6}};
    topic_config_set(&t->config, TOPIC_DURABILITY, DURABILITY_MEMORY);
    topic_config_set(&t->config, TOPIC_RETENTION_MS, -1);
    catalog_put_cluster(out, &cluster);
    catalog_put_topic(out, t);
    catalog_put_gone(out, &gone);
    topic_unref(t);
}

TEST(records_of_the_catalog_come_back)
{
    uint8_t memory[512];
    struct buf out;
    struct read r = {0};
    buf_init_fixed(&out, memory, sizeof memory);
    write_entry(&out);
    CHECK_ERR(buf_err(&out), OK);
    CHECK_ERR(read_entry(buf_slice(&out), &r), OK);
    CHECK_EQ(r.clusters, 1);
    CHECK_EQ(r.gone, 1);
    CHECK_EQ(r.id.bytes[0], 6);
    CHECK_SLICE(r.topic->name, SLICE("orders"));
    CHECK_EQ(r.topic->partitions, 12);
    CHECK_EQ(r.topic->id.bytes[0], 7);
    CHECK_EQ(r.topic->config.values[TOPIC_DURABILITY], DURABILITY_MEMORY);
    CHECK_EQ(r.topic->config.values[TOPIC_RETENTION_MS], -1);
    CHECK_EQ(r.topic->config.given, 1u << TOPIC_DURABILITY | 1u << TOPIC_RETENTION_MS);
    topic_unref(r.topic);
}

/* Cut anywhere it is an entry of fewer records, or damage; another byte anywhere never does harm. */
TEST(damaged_records_are_refused)
{
    uint8_t memory[512];
    struct buf out;
    buf_init_fixed(&out, memory, sizeof memory);
    write_entry(&out);
    size_t whole = 0;
    for (size_t size = 0; size < out.size; size++) {
        struct read r = {0};
        enum err e = read_entry(slice_of(memory, size), &r);
        whole += e == OK;
        CHECK(e == OK || e == ERR_CORRUPT || e == ERR_SCHEMA_FUTURE);
        topic_unref(r.topic);
    }
    CHECK_EQ(whole, 3); /* nothing, a cluster, a cluster and a topic */
    for (size_t at = 0; at < out.size; at++) {
        struct read r = {0};
        memory[at] ^= 0x5a;
        enum err e = read_entry(buf_slice(&out), &r);
        CHECK(e == OK || e == ERR_CORRUPT || e == ERR_SCHEMA_FUTURE);
        memory[at] ^= 0x5a;
        topic_unref(r.topic);
    }
}

TEST(settings_of_tomorrow_are_not_taken_for_damage)
{
    static const uint8_t entry[] = "T"
                                   "0123456789abcdef"
                                   "\1\0\0\0"
                                   "\1t"
                                   "\1"
                                   "\12no.setting\1a";
    struct read r = {0};
    CHECK_ERR(read_entry(slice_of(entry, sizeof entry - 1), &r), ERR_SCHEMA_FUTURE);
    CHECK_ERR(read_entry(SLICE("X"), &r), ERR_SCHEMA_FUTURE);
}
