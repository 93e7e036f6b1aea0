/* What can be set for a topic: one table, from which values are checked, completed with defaults, described to clients and
 * documented. Durations and sizes are integers; words are numbers of their list. Names and meanings are Kafka's
 * (kafka.apache.org/documentation, topic configs); `durability` is ours. Thread: any; values are immutable once shared. */
#ifndef PRISM_STREAMER_TOPIC_CONFIG_H
#define PRISM_STREAMER_TOPIC_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

enum topic_setting {
    TOPIC_CLEANUP_POLICY,
    TOPIC_COMPRESSION_TYPE,
    TOPIC_DURABILITY,
    TOPIC_MAX_MESSAGE_BYTES,
    TOPIC_TIMESTAMP_TYPE,
    TOPIC_MIN_INSYNC_REPLICAS,
    TOPIC_RETENTION_BYTES, /* a partition; -1: without limit */
    TOPIC_RETENTION_MS,    /* -1: without limit */
    TOPIC_SEGMENT_BYTES,
    TOPIC_SEGMENT_MS,
    TOPIC_SETTING_COUNT
};

enum topic_durability { DURABILITY_FLUSH, DURABILITY_MEMORY };
enum topic_timestamp_type { TIMESTAMP_CREATE, TIMESTAMP_LOG_APPEND };

struct topic_config {
    int64_t values[TOPIC_SETTING_COUNT]; /* complete: defaults stand where nothing was given */
    uint32_t given;                      /* bit i: set for this topic */
};

enum topic_setting_type { TOPIC_SETTING_INT, TOPIC_SETTING_LONG, TOPIC_SETTING_WORD, TOPIC_SETTING_LIST };

struct topic_setting_row {
    const char *name; /* "retention.ms" */
    enum topic_setting_type type;
    int64_t min, max;         /* of numbers */
    const char *const *words; /* of words, NULL ends; the value is the place in it */
    int64_t default_value;
    const char *help;
};

extern const struct topic_setting_row topic_settings[TOPIC_SETTING_COUNT];

/* TOPIC_SETTING_COUNT: there is none of this name. */
enum topic_setting topic_setting_find(struct slice name);
/* The built-in defaults. */
#define TOPIC_CONFIG_DEFAULT                                                                                           \
    {                                                                                                                  \
        .values = {                                                                                                    \
            [TOPIC_DURABILITY] = DURABILITY_FLUSH,                                                                     \
            [TOPIC_MAX_MESSAGE_BYTES] = LIMIT_STREAM_BATCH_BYTES,                                                      \
            [TOPIC_TIMESTAMP_TYPE] = TIMESTAMP_CREATE,                                                                 \
            [TOPIC_MIN_INSYNC_REPLICAS] = 1,                                                                           \
            [TOPIC_RETENTION_BYTES] = -1,                                                                              \
            [TOPIC_RETENTION_MS] = LIMIT_STREAM_RETENTION_MS,                                                          \
            [TOPIC_SEGMENT_BYTES] = LIMIT_STREAM_SEGMENT_BYTES,                                                        \
            [TOPIC_SEGMENT_MS] = LIMIT_STREAM_RETENTION_MS                                                             \
        }                                                                                                              \
    }
extern const struct topic_config topic_config_default;
/* Reads a value as a client writes it. ERR_INVALID_ARGUMENT with a sentence that names the value and what is allowed in
 * `reason` (a fixed buffer). */
enum err topic_setting_parse(enum topic_setting, struct slice text, int64_t *ret_value, struct buf *reason)
    __attribute__((warn_unused_result));
/* As clients read it. */
void topic_setting_print(enum topic_setting, int64_t value, struct buf *);
void topic_config_set(struct topic_config *, enum topic_setting, int64_t value);
/* Back to what the broker's defaults say. */
void topic_config_unset(struct topic_config *, enum topic_setting, const struct topic_config *defaults);
/* Values that were not given become those of other defaults. */
void topic_config_rebase(struct topic_config *, const struct topic_config *defaults);

#endif
