/* The APIs that we take, by key: the generated table. Their ranges of versions are those that a broker advertises.
 * Source: kafka.apache.org/protocol; which versions clients need: KIP-896, and what clients ask for. */
#ifndef PRISM_KAFKA_API_H
#define PRISM_KAFKA_API_H

#include "kafka/messages.h"

struct kafka_api {
    int16_t key;
    const char *name; /* "Fetch" */
    int16_t version_min, version_max;
    int16_t flexible; /* the first version with compact sizes and tagged fields; above version_max: none */
    const struct kafka_message *request, *response;
};

extern const struct kafka_api kafka_apis[]; /* ascending by key */
extern const uint32_t kafka_api_count;

/* NULL: not one of ours. */
const struct kafka_api *kafka_api_find(int16_t key);

static inline bool kafka_api_takes(const struct kafka_api *api, int16_t version)
{
    return version >= api->version_min && version <= api->version_max;
}

#endif
