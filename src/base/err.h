/* The one error table. A row names an error and says what each protocol makes of it; context for people is added to a
 * struct diag on the way up (diag.h). Libraries return, edges log once.
 *
 * Sources: gRPC status codes (grpc/doc/statuscodes.md), their HTTP mapping (google/rpc/code.proto). Kafka codes: the Kafka
 * protocol's error table; sysexits-like exit codes are our own and stable. */
#ifndef PRISM_BASE_ERR_H
#define PRISM_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

enum err_scope { SCOPE_CALL, SCOPE_STREAM, SCOPE_CONNECTION, SCOPE_PROCESS };

enum err_retry {
    RETRY_NEVER,   /* the same request fails again */
    RETRY_REREAD,  /* read the current state, then decide */
    RETRY_BACKOFF, /* again later, with backoff; safe if the method is idempotent or carries an idempotency key */
};

enum err {
#define ERR(id, grpc, http, kafka, exit, scope, retry, text) id,
#include "base/err.def"
#undef ERR
    ERR_COUNT
};

struct err_row {
    const char *name;  /* identifier; err_name() gives the public one, the reason in google.rpc.ErrorInfo */
    uint8_t grpc;      /* gRPC status code */
    uint16_t http;     /* HTTP status */
    int16_t kafka;     /* Kafka error code */
    uint8_t exit_code; /* of the command line programs */
    enum err_scope scope;
    enum err_retry retry;
    const char *text; /* one sentence, without context */
};

const struct err_row *err_row(enum err);
/* The public name: without ERR_. */
const char *err_name(enum err);
/* The error that stands for a bare gRPC status (from another server). Unknown codes: ERR_UNKNOWN. */
enum err err_from_grpc(unsigned status);
/* "INVALID_ARGUMENT" for 3. Out of range: "UNKNOWN". */
const char *grpc_status_name(unsigned status);
/* Row by its name, ERR_COUNT if there is none. */
enum err err_by_name(const char *name);
/* What errno means here. */
enum err err_from_errno(int error);

#endif
