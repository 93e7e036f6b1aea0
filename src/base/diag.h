/* What went wrong, in words and data, grown on the way up. Made by the layer that knows, wrapped by those above, sent once
 * by the edge: as gRPC status details, HTTP JSON, log line or text on a terminal.
 *
 *   return diag_set(d, ERR_KEY_INVALID, "the key has %zu bytes", size);    returns its second argument
 *   diag_field(d, "items[3].key", "must have 1 to 1,024 bytes");           google.rpc.BadRequest
 *   diag_meta(d, "limit", "1024");                                         ErrorInfo.metadata
 *   diag_wrap(d, "namespace %s", name);                                    "namespace orders: the key has 2000 bytes"
 *
 * A diag may be NULL everywhere: then only the error code travels. Text lives in the arena given at init; when memory is
 * out, the code stays and the words are lost. Thread: the owner's. */
#ifndef PRISM_BASE_DIAG_H
#define PRISM_BASE_DIAG_H

#include "base/arena.h"
#include "base/err.h"

struct diag_item {
    const char *name;  /* field path, metadata key, or precondition type */
    const char *value; /* description, metadata value */
    struct diag_item *next;
};

struct diag {
    struct arena *arena;
    enum err err;
    const char *message;             /* NULL: the error row's text */
    struct diag_item *fields;        /* BadRequest.field_violations, in order */
    struct diag_item *metadata;      /* ErrorInfo.metadata */
    struct diag_item *preconditions; /* PreconditionFailure: type, description */
    const char *resource_type;       /* ResourceInfo; NULL: none */
    const char *resource_name;
    uint32_t retry_after_ms; /* RetryInfo; 0: none */
};

void diag_init(struct diag *, struct arena *);
/* Sets error and message, dropping what was there. Returns err, so that it can end a function. */
enum err diag_set(struct diag *, enum err err, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Puts "text: " before the message. */
void diag_wrap(struct diag *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void diag_field(struct diag *, const char *field, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_meta(struct diag *, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_precondition(struct diag *, const char *type, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_resource(struct diag *, const char *type, const char *name);
/* The message, or the text of the row. Never NULL. */
const char *diag_message(const struct diag *);

#endif
