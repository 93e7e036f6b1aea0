/* Kafka's messages: structs ↔ bytes. What a message looks like at each version is data: src/kafka/spec says it, the
 * generator codegen/kafka makes of it a struct (generated header kafka/messages.h) and, for each version, a program: the
 * fields of that version in order. One decoder and one encoder run the programs; both sides of every API have both.
 *
 *   struct kafka_metadata_request in;
 *   err = kafka_decode(&kafka_metadata_request_message, version, body, arena, &in, &fault);
 *
 * Values. A field that the version does not have gets its default in decoding and is left out in encoding.
 *   string, bytes   struct slice, borrowing from the input; NULL data is null, and an empty one where null is not allowed.
 *                   Text is not checked for UTF-8: whoever stores or prints it does.
 *   array           {items, count}; items NULL is null, and no items where null is not allowed. An array that came empty
 *                   has items that are not NULL; KAFKA_EMPTY makes one that goes.
 *   records         struct kafka_records. Decoded: a slice of the input. Encoded: bytes, or so many bytes of a source.
 * struct kafka_x_default is a struct kafka_x in which each field has its default: start from a copy of it.
 *
 * Hostile input. Counts are held against the bytes that are left before memory is taken, so that a message of n bytes takes at
 * most 25 n bytes; the arena's maximum ends that. Depth is that of the tables. Work is linear.
 *
 * Sources: kafka.apache.org/protocol, KIP-482 (flexible versions). Thread: any; nothing here changes. */
#ifndef PRISM_KAFKA_CODEC_H
#define PRISM_KAFKA_CODEC_H

#include "base/arena.h"
#include "base/buf.h"

struct kafka_uuid {
    uint8_t bytes[16];
};

/* `source` NULL: `bytes` (data NULL: null). Else `size` bytes of `source`, which the encoder never touches: a hole. */
struct kafka_records {
    struct slice bytes;
    const void *source;
    uint64_t size;
};

struct kafka_strings {
    struct slice *items;
    uint32_t count;
};

struct kafka_int32s {
    int32_t *items;
    uint32_t count;
};

struct kafka_int64s {
    int64_t *items;
    uint32_t count;
};

/* An array without items that is not null. */
extern const uint8_t kafka_empty[];
#define KAFKA_EMPTY ((void *)(uintptr_t)kafka_empty)

/* --- tables: generated ------------------------------------------------------------------------------------------------------ */

enum kafka_code {
    KAFKA_CODE_END,
    KAFKA_CODE_BOOL,
    KAFKA_CODE_INT8,
    KAFKA_CODE_INT16,
    KAFKA_CODE_INT32,
    KAFKA_CODE_INT64,
    KAFKA_CODE_UUID,
    KAFKA_CODE_STRING, /* int16 before it; compact: unsigned varint of size + 1 */
    KAFKA_CODE_STRING_COMPACT,
    KAFKA_CODE_BYTES, /* int32 before it */
    KAFKA_CODE_BYTES_COMPACT,
    KAFKA_CODE_RECORDS, /* on the wire as bytes */
    KAFKA_CODE_RECORDS_COMPACT,
    KAFKA_CODE_ARRAY, /* of what `program` reads */
    KAFKA_CODE_ARRAY_COMPACT,
    KAFKA_CODE_STRUCT,
    KAFKA_CODE_TAGS, /* the tagged fields: the operations of `program`, by tag */
};

struct kafka_program;

struct kafka_op {
    uint8_t code;
    bool nullable;
    uint16_t offset; /* of the member */
    uint32_t tag;    /* only below KAFKA_CODE_TAGS */
    const char *field;
    const struct kafka_program *program;
};

struct kafka_program {
    const struct kafka_op *ops; /* KAFKA_CODE_END last */
    const void *defaults;       /* one struct; NULL: each byte of it is written by the operations */
    uint32_t item_size;         /* of the struct */
    uint32_t bytes_min;         /* on the wire; at least 1 */
};

struct kafka_message {
    const char *name; /* "FetchRequest" */
    int16_t version_min, version_max;
    uint32_t size;
    const void *defaults;
    const struct kafka_program *const *programs; /* one a version, from version_min on */
};

static inline bool kafka_has_version(const struct kafka_message *m, int16_t version)
{
    return version >= m->version_min && version <= m->version_max;
}

/* --- decoding --------------------------------------------------------------------------------------------------------------- */

/* Where and why decoding stopped. Static text: nothing to free. */
struct kafka_fault {
    const char *field;  /* the innermost; "" where it is the message as a whole */
    const char *reason; /* "the array is longer than the message" */
    size_t position;    /* of the field in the input */
};

/* `out` is a struct of the message's size; it borrows from `in`, arrays lie in the arena. Bytes behind the message are a fault.
 * ERR_KAFKA_MALFORMED with *ret_fault (NULL: not wanted), ERR_NOMEM (or the arena's maximum), ERR_UNIMPLEMENTED: no such
 * version. After a failure `out` holds nothing of use. */
enum err kafka_decode(const struct kafka_message *, int16_t version, struct slice in, struct arena *, void *out,
                      struct kafka_fault *ret_fault) __attribute__((warn_unused_result));
/* The same, but what lies behind the message is left; *ret_size: bytes of the message. */
enum err kafka_decode_prefix(const struct kafka_message *, int16_t version, struct slice in, struct arena *, void *out,
                             size_t *ret_size, struct kafka_fault *ret_fault) __attribute__((warn_unused_result));

/* --- encoding --------------------------------------------------------------------------------------------------------------- */

/* After `at` bytes of the buffer come `size` bytes of `source`. */
struct kafka_hole {
    size_t at;
    uint64_t size;
    const void *source;
};

/* What was encoded: bytes with holes in ascending order. Frames may be encoded into it one behind the other. */
struct kafka_out {
    struct buf buf;
    struct kafka_hole *holes;
    uint32_t hole_count, hole_capacity;
    uint64_t hole_bytes; /* of all holes */
};

/* At most bytes_max of bytes that are not in holes. */
void kafka_out_init(struct kafka_out *, size_t bytes_max);
void kafka_out_fini(struct kafka_out *);
/* Empty again; keeps the memory. */
void kafka_out_reset(struct kafka_out *);
/* Bytes on the wire: the buffer's and those of the holes. */
static inline uint64_t kafka_out_size(const struct kafka_out *out)
{
    return out->buf.size + out->hole_bytes;
}

/* Appends. On failure `out` is as it was: ERR_UNIMPLEMENTED: no such version; ERR_MESSAGE_TOO_LARGE: a string, an array or the
 * whole does not fit its size; ERR_NOMEM. */
enum err kafka_encode(const struct kafka_message *, int16_t version, const void *in, struct kafka_out *)
    __attribute__((warn_unused_result));

#endif
