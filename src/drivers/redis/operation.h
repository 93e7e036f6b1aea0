/* An operation: what the driver does for one call. It has one part for each bucket that it concerns, all under way at once.
 *
 *   made ──parts added──▶ (marking) ──▶ sent ──every part done──▶ answer: completes the call, or adds and sends further parts
 *     └ refused: the call ends at once   └── cancelled: the call ends at once, answers are thrown away
 *
 * Marking: with an idempotency key, where the namespace has several buckets. The result of the key is kept in the bucket of the change,
 * in the same step; so that the key is not used for a change in another one, a mark in the key's own bucket says which request has it.
 *
 * A kind of operation embeds it as the first member of its own struct. Everything lives in the call's arena. Thread: the loop's. */
#ifndef PRISM_DRIVERS_REDIS_OPERATION_H
#define PRISM_DRIVERS_REDIS_OPERATION_H

#include "drivers/redis/command.h"

struct redis_operation;

struct redis_part {
    struct redis_part *next;
    struct redis_operation *operation;
    struct redis_command *command;
    uint32_t bucket;
    uint32_t items; /* the kind's own: how many changes it carries */
    bool sent, done;
    enum err err; /* done: OK and reply, or the error with its words in diag */
    struct diag diag;
    struct resp reply;
};

struct redis_operation {
    struct redis_backend *backend;
    struct redis_local *local;
    struct call *call;
    int64_t now_ms;
    struct idem idem;
    struct redis_part *parts, **parts_end;
    unsigned left;              /* parts that are not done */
    struct redis_command *mark; /* under way */
    bool marked;
    bool partial; /* a failed part does not fail the call: answer looks at each */
    void (*answer)(struct redis_operation *);
    void (*give_up)(
        struct redis_operation *); /* it was sent, or late, and answer is not called any more; may be NULL */
};

/* size of the kind's own struct. NULL: the call has been ended. */
void *redis_operation_new(struct backend *, struct call *, size_t size, void (*answer)(struct redis_operation *));
/* The same for a call that changes something: its idempotency key counts. */
void *redis_mutation_new(struct backend *, struct call *, size_t size, void (*answer)(struct redis_operation *));
/* A part whose words are to be filled in. NULL: out of memory. */
struct redis_part *redis_part_new(struct redis_operation *, uint32_t bucket);
struct redis_part *redis_part_script(struct redis_operation *, uint32_t bucket, enum redis_script_id);
/* Sends the parts that have not been sent. The call may have ended when it returns. */
void redis_operation_send(struct redis_operation *);
/* All parts are done: the operation begins again, with others. */
void redis_operation_renew(struct redis_operation *);
/* Ends the call. e is not OK; words that it has in the call's diag stay. */
void redis_operation_fail(struct redis_operation *, enum err e);
/* The one part of an operation that has one. */
static inline struct redis_part *redis_only_part(const struct redis_operation *o)
{
    return o->parts;
}

/* Sends a read of a key's packed value, or of its head alone (empty where there is none), without a script; or ends the call. */
void redis_read_value(struct redis_operation *, struct slice key, bool head_alone);

/* --- changes: the script REDIS_APPLY ----------------------------------------------------------------------------------------- */

enum redis_change_kind { REDIS_SET, REDIS_SWAP, REDIS_DELETE, REDIS_EXPIRE, REDIS_PERSIST };
struct redis_change {
    enum redis_change_kind kind;
    struct slice key;
    struct kv_expected expected;
    const struct kv_write *write; /* SET, SWAP */
    int64_t expires_ms;           /* EXPIRE */
};
/* A part for changes in a bucket. mismatch_is_answer: a comparison that fails is kept as the result of the idempotency key. */
struct redis_part *redis_part_apply(struct redis_operation *, uint32_t bucket, bool mismatch_is_answer);
/* ERR_NOMEM. */
enum err redis_part_change(struct redis_part *, const struct redis_change *);
/* What became of each change of a part: an array of {REDIS_DONE, …}, {REDIS_MISMATCH, what is there}, {REDIS_FAILED, why}.
 * false: the idempotency key was used for another request, and the call has been ended; or the answer makes no sense, likewise. */
enum { REDIS_DONE = 1, REDIS_MISMATCH = 0, REDIS_FAILED = -1 };
bool redis_part_results(struct redis_operation *, const struct redis_part *, const struct resp **ret_results);
/* Error of a change that is REDIS_MISMATCH or REDIS_FAILED, with its words in diag. */
enum err redis_change_error(const struct resp *result, const struct kv_expected *, struct diag *);
/* Words of the idempotency record: name, fingerprint, end, time to live. */
void redis_put_idempotency(struct redis_operation *, struct resp_command *);
/* One change of one key: checks nothing. The operation is sent, or the call ended. */
void redis_apply_one(struct redis_operation *, const struct redis_change *, bool mismatch_is_answer);
/* Its result. false: the call has been ended. */
bool redis_only_result(struct redis_operation *, const struct resp **ret_result);

/* --- lists, sets, sorted sets, counters: a method of a model's script ------------------------------------------------------------ */

/* A part whose words are to be filled in with what the method takes. NULL: out of memory. */
struct redis_part *redis_part_method(struct redis_operation *, enum redis_script_id model, const char *method,
                                     struct slice key);
/* Sends the operation, or ends the call where e is not OK or the part has not got its memory. */
void redis_part_send(struct redis_operation *, struct redis_part *, enum err e);
/* A part with the key alone. */
void redis_method_send(struct redis_operation *, enum redis_script_id model, const char *method, struct slice key,
                       enum err e);
/* Result of the one part. NULL: the call has been ended. */
const struct resp *redis_method_result(struct redis_operation *);
/* Replies, or fails where e is not OK. */
void redis_reply(struct redis_operation *, enum err e, const void *response);
/* A score as Redis takes and gives it: "1.5", "inf", "-inf". */
void redis_put_score(struct resp_command *, double score);
double redis_score(struct slice text);
/* Several collections of one call lie in one bucket, or the call is refused, with the fix. */
enum err redis_check_one_bucket(struct redis_operation *, const char *what);

#endif
