/* kafka-tables: src/kafka/spec/x.spec → kafka/messages.h and kafka/messages.c. The model of the specs, and who prints what.
 *
 * A spec, line by line; # begins a comment, two blanks are a level:
 *
 *   api 1 Fetch 4-16 flexible 12+        number, name, versions; then its two messages. Without flexible: never
 *   request
 *     cluster_id   string?  12+  tag 0   member, type, versions of its message in which it is there (none: all), tag, default
 *     max_bytes    int32         = -1
 *     topics       []topic?1+            an array of struct topic, whose members follow; may be null from version 1 on
 *       topic_id   uuid     13+
 *   response
 *     …
 *   message ConsumerProtocolAssignment 0-3      a message that is not of an API
 *
 * Types: bool int8 int16 uint16 int32 int64 uuid string bytes records, [] of one, a struct's name. string, bytes, records and
 * arrays may be null where a ? follows (?7+: from version 7 on). Defaults are numbers, true, or min (the least int32); without
 * one: 0, false, null. */
#ifndef PRISM_CODEGEN_KAFKA_SPEC_H
#define PRISM_CODEGEN_KAFKA_SPEC_H

#include "base/arena.h"
#include "base/buf.h"

enum { SPEC_BYTES_MAX = 16 << 20, SPEC_LEVELS = 16, NEVER = 32767 };

enum spec_kind {
    SPEC_BOOL,
    SPEC_INT8,
    SPEC_INT16,
    SPEC_UINT16,
    SPEC_INT32,
    SPEC_INT64,
    SPEC_UUID,
    SPEC_STRING,
    SPEC_BYTES,
    SPEC_RECORDS,
    SPEC_STRUCT,
};

struct spec_field {
    const char *name;
    enum spec_kind kind;
    bool array;
    int first, last;           /* versions in which it is there */
    int null_first;            /* may be null from here on; NEVER */
    int tag;                   /* -1: none */
    const char *initial;       /* default as C has it; NULL: 0 */
    const char *element;       /* of kind STRUCT: "kafka_fetch_request_topic" */
    struct spec_field *fields; /* of kind STRUCT */
    struct spec_field *next;
};

struct spec_message {
    const char *title; /* "FetchRequest" */
    const char *name;  /* "kafka_fetch_request" */
    int first, last, flexible;
    struct spec_field *fields;
    struct spec_message *next;
};

struct spec_api {
    int key;
    const char *title; /* "Fetch" */
    const char *name;  /* "fetch" */
    int first, last, flexible;
    struct spec_message *request, *response;
    struct spec_api *next;
};

struct spec {
    struct arena arena;
    struct spec_message *messages; /* in the order of the files */
    struct spec_api *apis;         /* by key */
};

/* Adds what a file says. Ends the program at a mistake, which it names by file and line. */
void spec_read(struct spec *, const char *file, struct slice text);

/* Text in the arena; NULL never comes: memory that is out ends the program. */
const char *spec_printf(struct spec *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* OffsetForLeaderEpoch → offset_for_leader_epoch, and → OFFSET_FOR_LEADER_EPOCH. */
const char *spec_snake(struct spec *, const char *camel);
const char *spec_upper(struct spec *, const char *text);
void *spec_must(void *allocated);

/* struct kafka_x {…}; of all messages, and what else stands in the header. */
void emit_header(struct spec *, struct buf *);
/* Defaults, programs, tables. */
void emit_tables(struct spec *, struct buf *);

#endif
