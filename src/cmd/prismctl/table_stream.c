/* The rows of the command table for streams: a broker that speaks Kafka's protocol. */
#include "stream.h"

#define END                                                                                                            \
    {                                                                                                                  \
        .name = NULL                                                                                                   \
    }
#define BROKER                                                                                                         \
    {                                                                                                                  \
        .name = "broker", .letter = 'b', .kind = OPTION_TEXT, .value = "HOST:PORT", .env = "PRISM_BROKER",             \
        .fallback = "127.0.0.1:9092", .help = "the broker"                                                             \
    }
#define PARTITION(text)                                                                                                \
    {                                                                                                                  \
        .name = "partition", .kind = OPTION_TEXT, .value = "N", .help = text                                           \
    }
#define TOPIC                                                                                                          \
    {                                                                                                                  \
        .name = "TOPIC", .help = "its name"                                                                            \
    }

static const struct option broker_options[] = {BROKER, END};
static const struct argument topic_argument[] = {TOPIC, END};
static const struct argument topics_argument[] = {
    {.name = "TOPIC", .optional = true, .help = "its partitions and their offsets; default: all topics"}, END};
static const struct option create_options[] = {
    BROKER,
    {.name = "partitions", .letter = 'p', .kind = OPTION_COUNT, .value = "N", .help = "default: as the broker is set"},
    {.name = "config",
     .letter = 'c',
     .kind = OPTION_TEXT,
     .value = "NAME=VALUE",
     .many = true,
     .help = "a setting of the topic, as retention.ms=3600000; may be given more than once"},
    END};
static const struct argument config_arguments[] = {
    TOPIC,
    {.name = "NAME=VALUE",
     .optional = true,
     .many = true,
     .help = "settings to change; NAME= goes back to the default. Default: show them all"},
    END};
static const struct argument produce_arguments[] = {
    TOPIC,
    {.name = "VALUE",
     .optional = true,
     .file = true,
     .help =
         "one record: text; - reads standard input, @FILE a file. Default: each line of standard input is a record"},
    END};
static const struct option produce_options[] = {
    BROKER,
    {.name = "key-text",
     .letter = 'k',
     .kind = OPTION_TEXT,
     .value = "KEY",
     .help = "key of all records: records of one key go to one partition, as Java's clients choose it"},
    PARTITION("send to this partition; default: by the key, else any"),
    END};
static const struct option consume_options[] = {
    BROKER,
    {.name = "from",
     .letter = 'f',
     .kind = OPTION_TEXT,
     .value = "OFFSET",
     .fallback = "beginning",
     .help = "where to begin: beginning, end, or an offset"},
    PARTITION("this partition alone; default: all"),
    {.name = "limit", .letter = 'l', .kind = OPTION_COUNT, .value = "N", .help = "end after so many records"},
    {.name = "follow", .letter = 'F', .kind = OPTION_FLAG, .help = "go on waiting at the end, until interrupted"},
    {.name = "keys", .kind = OPTION_FLAG, .help = "print KEY, a tab, then the value"},
    END};
static const struct argument group_argument[] = {{.name = "GROUP", .optional = true, .help = "one group; default: all"},
                                                 END};
static const struct argument forget_argument[] = {{.name = "GROUP", .help = "a group without members"}, END};

const struct command stream_commands[] = {
    {"stream topics", "list topics, or the partitions of one", NULL, topics_argument, broker_options,
     (const struct example[]){{"prismctl stream topics", "all topics"},
                              {"prismctl stream topics orders", "first and next offset of each partition"},
                              {NULL, NULL}},
     run_stream_topics},
    {"stream create", "make a topic", NULL, topic_argument, create_options,
     (const struct example[]){
         {"prismctl stream create orders -p 6 -c retention.ms=86400000", "six partitions, kept a day"},
         {"prismctl stream create cache -c durability=memory", "acknowledged before it is on disk"},
         {NULL, NULL}},
     run_stream_create},
    {"stream delete", "remove a topic with its records", NULL, topic_argument, broker_options,
     (const struct example[]){{"prismctl stream delete orders", "at once, and for good"}, {NULL, NULL}},
     run_stream_delete},
    {"stream config", "show or change the settings of a topic", NULL, config_arguments, broker_options,
     (const struct example[]){{"prismctl stream config orders", "all settings, and where they come from"},
                              {"prismctl stream config orders retention.ms=3600000", "keep an hour"},
                              {"prismctl stream config orders retention.ms=", "back to the default"},
                              {NULL, NULL}},
     run_stream_config},
    {"stream produce", "send records to a topic",
     "All records go to one partition. They are acknowledged when they are as durable as the topic is set.",
     produce_arguments, produce_options,
     (const struct example[]){{"prismctl stream produce orders '{\"id\": 7}' --key-text 7", "one record with a key"},
                              {"prismctl stream produce log < access.log", "a record a line"},
                              {NULL, NULL}},
     run_stream_produce},
    {"stream consume", "print records of a topic",
     "Ends where the topic ended when it began, unless --follow is given. Values are printed as they are, one a line; "
     "on a "
     "terminal what is no text is shown as \\xNN. With -o json each record is one line, with partition, offset, time, "
     "key and "
     "headers. Reads what is not compressed, or with gzip. Commits no offsets.",
     topic_argument, consume_options,
     (const struct example[]){{"prismctl stream consume orders", "all there is"},
                              {"prismctl stream consume orders --from end --follow", "what comes from now on"},
                              {"prismctl stream consume orders -o json -l 10", "ten records as JSON"},
                              {NULL, NULL}},
     run_stream_consume},
    {"stream groups", "list groups of consumers, or the members of one", NULL, group_argument, broker_options,
     (const struct example[]){{"prismctl stream groups", "all groups and their states"},
                              {"prismctl stream groups billing", "its members, and who reads what"},
                              {NULL, NULL}},
     run_stream_groups},
    {"stream lag", "how far groups are behind",
     "For each partition that a group has committed: the offset that it will read next, the end, and the records "
     "between.",
     group_argument, broker_options,
     (const struct example[]){{"prismctl stream lag", "all groups"},
                              {"prismctl stream lag billing -o json", "one, for a program"},
                              {NULL, NULL}},
     run_stream_lag},
    {"stream forget", "remove a group with its offsets", NULL, forget_argument, broker_options,
     (const struct example[]){{"prismctl stream forget billing", "its consumers have to be gone"}, {NULL, NULL}},
     run_stream_forget},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
