/* What the commands `stream …` share: one connection to a broker that speaks Kafka's protocol, one question at a time. Each
 * question is asked in one version, which MemoryStreamer and Kafka from 2.4 on have. Everything lives in cli->arena. */
#ifndef PRISM_CMD_PRISMCTL_STREAM_H
#define PRISM_CMD_PRISMCTL_STREAM_H

#include "base/json.h"
#include "cli.h"
#include "kafka/api.h"
#include "kafka/errors.h"

struct stream_client;

/* To --broker; made with the first question of the run. */
enum err stream_ask(struct cli *, struct stream_client **, int16_t key, int16_t version, const void *request,
                    void *response) __attribute__((warn_unused_result));
/* The connection, where there is one; then the memory of the answers can be given back. NULL is fine. */
void stream_close(struct stream_client *);

/* What an error code of the broker is here, as "WHAT: NAME (its words)". OK for KAFKA_NONE. */
enum err stream_error(struct cli *, int16_t code, struct slice words, const char *what, struct slice name);

/* Topics that there are, all (name NULL) or one. ERR_NOT_FOUND. */
enum err stream_topics(struct cli *, struct stream_client **, const char *name, struct kafka_metadata_response *ret);
/* Offsets of all partitions of a topic: time -1: the end, -2: the beginning. By the order of `indexes`. */
enum err stream_offsets(struct cli *, struct stream_client **, struct slice topic, const int32_t *indexes,
                        uint32_t count, int64_t time, int64_t *ret_offsets);

/* A JSON text as --output wants it: JSON, or YAML. */
enum err stream_print(struct cli *, const struct buf *json);
/* "key": text, or "key_base64" where the bytes are no text; null where there are none. */
void stream_json_bytes(struct json *, struct arena *, const char *key, struct slice);
/* The number in an argument, 0 to 2^31-1. */
enum err stream_number(struct cli *, const char *text, const char *what, int64_t *ret_number);

extern const struct command stream_commands[];

enum err run_stream_topics(struct cli *);
enum err run_stream_create(struct cli *);
enum err run_stream_delete(struct cli *);
enum err run_stream_config(struct cli *);
enum err run_stream_produce(struct cli *);
enum err run_stream_consume(struct cli *);
enum err run_stream_groups(struct cli *);
enum err run_stream_lag(struct cli *);
enum err run_stream_forget(struct cli *);

#endif
