/* One call of a history: to one key, or in a batch to several. Batches are not atomic: each of their items is an operation of its
 * own, at its own moment within the call.
 *
 *   struct ask ask = {.kind = ASK_SET, .keys = {3}, .count = 1, .ops = {{.value = 17}}};
 *   ask_send(&ask, names, known, dice, client, &options, &events, user, &call);
 *   …on_message: ask_take(&ask, known, bytes, &arena, &torn);   the ops have what was answered
 *
 * A set with a time to live is two operations: the set, and LINEAR_EXPIRES as long after it. Expire and persist say whether there
 * was a value, and are to the register what exists is. */
#ifndef PRISM_TESTS_ASK_H
#define PRISM_TESTS_ASK_H

#include "linear.h"
#include "world.h"

enum { ASK_KEYS_MAX = 4, ASK_VERSION_BYTES = 64 };

enum ask_kind {
    ASK_GET,
    ASK_SET,
    ASK_DELETE,
    ASK_CAS,
    ASK_EXISTS,
    ASK_EXPIRE, /* in an hour */
    ASK_PERSIST,
    ASK_BATCH_GET,
    ASK_BATCH_SET,
    ASK_BATCH_DELETE,
    ASK_KINDS
};

struct ask {
    enum ask_kind kind;
    unsigned count;
    unsigned keys[ASK_KEYS_MAX];
    struct linear_op ops[ASK_KEYS_MAX]; /* kinds and expectations are filled in by ask_send */
    uint32_t ttl_ms;                    /* of sets; 0: none */
    bool has_answer;
};

/* What a caller saw last of a key, for its next compare-and-swap. */
struct ask_known {
    uint64_t value;
    uint8_t version[ASK_VERSION_BYTES];
    size_t version_size;
};

const char *ask_path(enum ask_kind);
bool ask_is_read(enum ask_kind);
/* names, known: by key. dice: decides how a compare-and-swap says what it expects. */
enum err ask_send(struct ask *, const struct slice *names, const struct ask_known *known, uint64_t dice,
                  struct rpc_client *, struct rpc_client_call_options *, const struct rpc_client_events *, void *user,
                  struct rpc_client_call **ret_call);
/* *torn grows by the values that nobody wrote. */
void ask_take(struct ask *, struct ask_known *known, struct slice bytes, struct arena *, uint64_t *torn);

#endif
