/* Random messages, and the comparison of two. Both walk the programs of a table. */
#ifndef PRISM_TESTS_KAFKA_RANDOM_H
#define PRISM_TESTS_KAFKA_RANDOM_H

#include "kafka/codec.h"

struct random {
    uint64_t state;
    struct arena *arena; /* of strings and arrays */
    uint32_t items_max;
    bool failed; /* memory is out */
};

uint64_t random_next(struct random *);
uint32_t random_below(struct random *, uint32_t end);
/* All fields of one version; others get their default. */
void random_message(struct random *, const struct kafka_message *, int16_t version, void *out);
/* In all fields that any version has. */
bool same_message(const struct kafka_message *, const void *a, const void *b);

#endif
