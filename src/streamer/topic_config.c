/* The table, and reading and printing values by it. */
#include "streamer/topic_config.h"

#include <stdlib.h>

#include "base/limits.h"

static const char *const cleanup_policies[] = {"delete", NULL};
static const char *const compressions[] = {"producer", NULL};
static const char *const durabilities[] = {"flush", "memory", NULL};
static const char *const timestamp_types[] = {"CreateTime", "LogAppendTime", NULL};

/* In the order of the enum, which is that of the names. */
const struct topic_setting_row topic_settings[TOPIC_SETTING_COUNT] = {
    [TOPIC_CLEANUP_POLICY] = {"cleanup.policy", TOPIC_SETTING_LIST, 0, 0, cleanup_policies, 0,
                              "What happens to old segments. `compact` is not there yet."},
    [TOPIC_COMPRESSION_TYPE] = {"compression.type", TOPIC_SETTING_WORD, 0, 0, compressions, 0,
                                "Batches stay as the producer has compressed them."},
    [TOPIC_DURABILITY] =
        {"durability", TOPIC_SETTING_WORD, 0, 0, durabilities, DURABILITY_FLUSH,
         "When a batch is acknowledged: `flush`, when it is on the disk; `memory`, when the operating system has "
         "it: a killed broker loses nothing, a power cut may."},
    [TOPIC_MAX_MESSAGE_BYTES] = {"max.message.bytes", TOPIC_SETTING_INT, 0, LIMIT_STREAM_BATCH_BYTES_MAX, NULL,
                                 LIMIT_STREAM_BATCH_BYTES, "The largest batch, as the producer has compressed it."},
    [TOPIC_TIMESTAMP_TYPE] = {"message.timestamp.type", TOPIC_SETTING_WORD, 0, 0, timestamp_types, TIMESTAMP_CREATE,
                              "Whose time a record carries: the producer's, or that of its arrival."},
    [TOPIC_MIN_INSYNC_REPLICAS] = {"min.insync.replicas", TOPIC_SETTING_INT, 1, 1, NULL, 1, "There is one replica."},
    [TOPIC_RETENTION_BYTES] = {"retention.bytes", TOPIC_SETTING_LONG, -1, INT64_MAX, NULL, -1,
                               "A partition larger than this loses its oldest segments. -1: without limit."},
    [TOPIC_RETENTION_MS] = {"retention.ms", TOPIC_SETTING_LONG, -1, INT64_MAX, NULL, LIMIT_STREAM_RETENTION_MS,
                            "Segments whose newest record is older are removed. -1: kept for ever."},
    [TOPIC_SEGMENT_BYTES] = {"segment.bytes", TOPIC_SETTING_INT, LIMIT_STREAM_SEGMENT_BYTES_MIN, INT32_MAX, NULL,
                             LIMIT_STREAM_SEGMENT_BYTES, "A segment ends before it becomes larger."},
    [TOPIC_SEGMENT_MS] = {"segment.ms", TOPIC_SETTING_LONG, 1, INT64_MAX, NULL, LIMIT_STREAM_RETENTION_MS,
                          "Or when its first record has been there for so long."},
};

const struct topic_config topic_config_default = TOPIC_CONFIG_DEFAULT;

enum topic_setting topic_setting_find(struct slice name)
{
    enum topic_setting i = 0;
    while (i < TOPIC_SETTING_COUNT && !slice_eq(name, slice_str(topic_settings[i].name)))
        i++;
    return i;
}

static int shown(struct slice text)
{
    return (int)(text.size < 64 ? text.size : 64);
}

static enum err refuse_word(const struct topic_setting_row *row, struct slice text, struct buf *reason)
{
    buf_printf(reason, "%s cannot be `%.*s`: it is", row->name, shown(text), (const char *)text.data);
    for (const char *const *word = row->words; *word; word++)
        buf_printf(reason, "%s `%s`", word == row->words ? "" : " or", *word);
    if (row == &topic_settings[TOPIC_CLEANUP_POLICY])
        buf_puts(reason, "; compaction is not there yet");
    return ERR_INVALID_ARGUMENT;
}

static enum err parse_word(const struct topic_setting_row *row, struct slice text, int64_t *ret_value,
                           struct buf *reason)
{
    for (int64_t i = 0; row->words[i]; i++)
        if (slice_eq(text, slice_str(row->words[i]))) {
            *ret_value = i;
            return OK;
        }
    return refuse_word(row, text, reason);
}

static enum err refuse_number(const struct topic_setting_row *row, struct slice text, struct buf *reason)
{
    buf_printf(reason, "%s cannot be `%.*s`: it is a number from %lld to %lld", row->name, shown(text),
               (const char *)text.data, (long long)row->min, (long long)row->max);
    return ERR_INVALID_ARGUMENT;
}

static bool is_number(const char *text)
{
    const char *digits = text + (*text == '-');
    return *digits && strspn(digits, "0123456789") == strlen(digits);
}

static enum err parse_number(const struct topic_setting_row *row, struct slice text, int64_t *ret_value,
                             struct buf *reason)
{
    char digits[24] = "";
    if (text.size >= sizeof digits)
        return refuse_number(row, text, reason);
    memcpy(digits, text.data ? text.data : (const uint8_t *)"", text.size);
    long long value = strtoll(digits, NULL, 10); /* at its ends where it does not fit */
    if (!is_number(digits) || strlen(digits) != text.size || value < row->min || value > row->max)
        return refuse_number(row, text, reason);
    *ret_value = value;
    return OK;
}

enum err topic_setting_parse(enum topic_setting setting, struct slice text, int64_t *ret_value, struct buf *reason)
{
    const struct topic_setting_row *row = &topic_settings[setting];
    return (row->words ? parse_word : parse_number)(row, text, ret_value, reason);
}

void topic_setting_print(enum topic_setting setting, int64_t value, struct buf *out)
{
    const struct topic_setting_row *row = &topic_settings[setting];
    if (row->words)
        buf_puts(out, row->words[value]);
    else
        buf_printf(out, "%lld", (long long)value);
}

void topic_config_set(struct topic_config *c, enum topic_setting setting, int64_t value)
{
    c->values[setting] = value;
    c->given |= 1u << setting;
}

void topic_config_unset(struct topic_config *c, enum topic_setting setting, const struct topic_config *defaults)
{
    c->values[setting] = defaults->values[setting];
    c->given &= ~(1u << setting);
}

void topic_config_rebase(struct topic_config *c, const struct topic_config *defaults)
{
    for (enum topic_setting i = 0; i < TOPIC_SETTING_COUNT; i++)
        if (!(c->given & 1u << i))
            c->values[i] = defaults->values[i];
}
