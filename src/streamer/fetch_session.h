/* Fetch sessions (KIP-227): a consumer of many partitions says once which ones, then only what changes, and is told only of
 * those that have something new.
 *
 *   request's epoch │ session id │ what it is
 *   ────────────────┼────────────┼──────────────────────────────────────────────────────────────
 *   -1              │ any        │ no session; one with that id ends
 *   0               │ any        │ begins a new one with what the request names; one with that id ends
 *   above 0         │ known      │ goes on, if it is the epoch that must come next
 *
 * A session is used by one request at a time (taken); one that ends meanwhile goes when that gives it back. Sessions of a
 * shard are bounded in number and in partitions: where there is no room, and none that was idle for
 * LIMIT_FETCH_SESSION_IDLE_MS, the client is given none (id 0), and says everything each time. Thread: the shard's. */
#ifndef PRISM_STREAMER_FETCH_SESSION_H
#define PRISM_STREAMER_FETCH_SESSION_H

#include "base/map.h"
#include "kafka/codec.h"
#include "kafka/errors.h"

struct shard;
struct fetch_sessions;

/* What a client asks of a partition: by name, or by id where the name is empty. */
struct fetch_wish {
    struct slice topic;
    struct kafka_uuid topic_id;
    int64_t offset;
    int32_t partition;
    int32_t bytes_max;
    int32_t leader_epoch;
};

struct fetch_entry {
    struct fetch_entry *previous, *next; /* in the order in which they are served */
    struct fetch_wish wish;
    int64_t told_end, told_start; /* as last told; -1: not yet, or there was an error */
    uint32_t key_size;
    uint8_t key[]; /* partition, then name or id */
};

struct fetch_session {
    struct fetch_session *previous, *next; /* by last use, longest ago first */
    struct fetch_sessions *all;
    struct map by_key;
    struct fetch_entry *first, *last;
    uint64_t used_ns;
    int32_t id;
    int32_t epoch; /* that comes next */
    bool by_id;
    bool taken;
    bool ended;
};

enum err fetch_sessions_new(struct shard *, const struct hash_key *, struct fetch_sessions **ret_sessions)
    __attribute__((warn_unused_result));
void fetch_sessions_free(struct fetch_sessions *); /* NULL is fine; those that are taken go when given back */

/* The request's session, taken; NULL: it has none, all it wants is in the request. */
enum kafka_error fetch_session_take(struct fetch_sessions *, int32_t id, int32_t epoch, bool by_id,
                                    struct fetch_session **ret_session) __attribute__((warn_unused_result));
void fetch_session_give_back(struct fetch_session *);
/* Not to be used again: its answer could not be made. */
void fetch_session_end(struct fetch_session *);

/* Adds it, or changes what is wanted of it. false: no room, no memory. */
bool fetch_session_want(struct fetch_session *, const struct fetch_wish *) __attribute__((warn_unused_result));
void fetch_session_forget(struct fetch_session *, const struct fetch_wish *);
/* Whether the client has to be told of this outcome; then it is noted as told. What had records goes to the end of the order:
 * the others are served first next time. */
bool fetch_entry_tell(struct fetch_session *, struct fetch_entry *, enum kafka_error, int64_t end, int64_t start,
                      bool has_records);

uint32_t fetch_sessions_count(const struct fetch_sessions *);

#endif
