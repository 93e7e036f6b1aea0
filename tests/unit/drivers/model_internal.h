/* What the files of the model share; nobody else includes it. An operation is a function that throws m's dice, calls the driver,
 * and compares. What it does follows from the dice and from the state of the model alone, so that it still means something when
 * operations before it are left out. */
#ifndef PRISM_TESTS_MODEL_INTERNAL_H
#define PRISM_TESTS_MODEL_INTERNAL_H

#include "../harness.h"
#include "base/hash.h"
#include "base/limits.h"
#include "data/keyvalue.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "model.h"

enum {
    KEYS = 200,
    KEY_BYTES = 8,
    VALUE_BYTES = 9000,
    VERSION_BYTES = 64,
    TRANSACTIONS = 4,
    TAGS = 2,
    CURSORS = 3,
    ANSWERS = 6,
    HOUR_MS = 3600000, /* longer than a run takes */
};

struct item {
    bool present;
    uint32_t value_seed;
    uint32_t value_size;
    uint32_t tags;
    int64_t expires_ms;
    uint8_t version[VERSION_BYTES];
    size_t version_size;
    uint64_t written; /* operation that wrote it last */
    uint64_t touched; /* operation that a driver may or may not take for a write */
};

struct transaction {
    bool open;
    uint8_t id[64];
    size_t id_size;
    uint64_t begun;
    bool wrote[KEYS];
    struct item own[KEYS];
    struct item seen[KEYS];
};

/* A scan that stopped at a page, to be taken up later. */
struct kept_cursor {
    bool used;
    struct keyvalue_scan_request scan; /* ranges are slices of keys */
    unsigned last;                     /* place of the last key that was seen */
    uint64_t left;                     /* of the limit; 0: none */
    uint8_t bytes[LIMIT_CURSOR_BYTES];
    size_t size;
};

/* A set with an idempotency key, and what it answered. */
struct kept_answer {
    bool used;
    unsigned k;
    struct item item;
    uint64_t number; /* of the idempotency key */
};

struct model {
    const struct model_subject *subject;
    struct model_place place;
    uint64_t seed;
    uint64_t random;
    uint64_t step; /* place in the script, from 1 */
    uint64_t id;   /* what the dice of this operation come from */
    bool tracing;
    char said[160]; /* what the operation does, for people */
    struct fake_call call;
    uint8_t key_bytes[KEYS][KEY_BYTES];
    struct slice keys[KEYS];
    struct item items[KEYS];
    struct transaction transactions[TRANSACTIONS];
    struct kept_cursor cursors[CURSORS];
    struct kept_answer answers[ANSWERS];
    uint64_t marks; /* idempotency keys given out */
    uint8_t value[VALUE_BYTES];
    uint8_t other[VALUE_BYTES];
};

#define REQUIRE(m, condition)                                                                                          \
    ((condition)                                                                                                       \
         ? (void)0                                                                                                     \
         : test_fail(__FILE__, __LINE__, "operation %llu: not true: %s", (unsigned long long)(m)->id, #condition))
void require_err(struct model *, enum err expected, const char *file, int line);
#define REQUIRE_ERR(m, expected) require_err((m), (expected), __FILE__, __LINE__)

uint64_t roll(struct model *, uint64_t sides);
void note(struct model *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* model.c: keys, values, items */
struct new_item {
    struct item item;
    struct google_protobuf_duration ttl;
    const struct google_protobuf_duration *ttl_or_null;
    struct keyvalue_set_request_tags_entry tags[TAGS];
    void *tag_pointers[TAGS];
    struct pb_array tag_array;
};
struct slice value_of(const struct item *, uint8_t *memory);
int64_t now_ms(const struct model *);
bool is_there(const struct model *, const struct item *);
struct slice version_of(const struct item *);
void random_item(struct model *, struct new_item *);
/* The write has been answered with this version. */
void store(struct model *, unsigned k, const struct item *, struct slice version);
void remove_item(struct model *, unsigned k);
void check_expiry(struct model *, int64_t expires_ms, const struct google_protobuf_timestamp *got);
void check_item(struct model *, const struct item *want, struct slice value, struct slice version,
                const struct google_protobuf_timestamp *expires_at, struct pb_array tags);
void check_get(struct model *, const struct item *want, const struct keyvalue_get_response *);

/* Operations. */
void do_set(struct model *);
void do_get(struct model *);
void do_delete(struct model *);
void do_exists(struct model *);
void do_set_once(struct model *);
void do_expire(struct model *);
void do_persist(struct model *);
void do_get_ttl(struct model *);
void do_swap(struct model *);
void do_compare_delete(struct model *);
void do_batch_set(struct model *);
void do_batch_get(struct model *);
void do_batch_delete(struct model *);
void do_scan(struct model *);
void do_scan_keys(struct model *);
void do_count(struct model *);
void do_keep_cursor(struct model *);
void do_go_on(struct model *);
void do_transaction(struct model *);
void end_transactions(struct model *);
void forget_transactions(struct model *);

/* A script: the operations with these ids, in this order. false: an answer was wrong; said is the check that failed, *ret_done
 * how many operations were begun. */
bool model_replay(const struct model_subject *, uint64_t seed, const uint32_t *ids, unsigned count, bool tracing,
                  struct model_failure *ret_failure);

#endif
