/* Error codes of the protocol, by the names that every client prints. Where an enum err says all, err_row()->kafka is its
 * code. Source: kafka.apache.org/protocol, error codes. */
#ifndef PRISM_KAFKA_ERRORS_H
#define PRISM_KAFKA_ERRORS_H

#include <stdint.h>

#include "base/err.h"

enum kafka_error {
#define KAFKA_ERROR(code, name) KAFKA_##name = (code),
#include "kafka/errors.def"
#undef KAFKA_ERROR
};

/* "NOT_LEADER_OR_FOLLOWER" for 6; "UNKNOWN_CODE" for one that is not in the table. */
const char *kafka_error_name(int16_t code);

static inline enum kafka_error kafka_error_of(enum err err)
{
    return (enum kafka_error)err_row(err)->kafka;
}

#endif
