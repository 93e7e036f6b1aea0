/* A group of consumers: Kafka's classic membership protocol as a state machine. Pure: events come in by calls that say what time
 * it is, what is to be done goes out by `struct group_outlet`; no clock, no I/O. groups.h has groups on their shard, with
 * timers, requests and a ledger; group_store.h what is written of them.
 *
 *                       ┌────────────── nobody joined ──────────────┐
 *                       ▼                                           │
 *   (new) ──────────▶ EMPTY ──join──▶ PREPARING ──all joined, or the time is over──▶ COMPLETING ──the leader's
 *                       │              ▲    ▲                                       │   assignment is stored──▶ STABLE
 *                       │              │    └── join, leave, a member vanished, ────┘                            │
 *                       ▼              │        its sync is missing                                              │
 *                     DEAD             └── join with other protocols, the leader joins, leave, a member vanished ──┘
 *                (when deleted)
 *
 * PREPARING: a rebalance. Members learn of it by their heartbeats and join again; a JoinGroup waits here for its answer. The first
 * rebalance of an empty group waits initial_delay_ms for company; each newcomer makes it wait as long again, up to the longest
 * rebalance timeout.
 * COMPLETING: there is a new generation. First it is stored (`told` is false), so that no restart gives its number again; then the
 * JoinGroups are answered, the leader's with all members, and SyncGroups wait for what the leader assigns.
 * STABLE: the assignment is stored, and each member has it or can ask for it.
 *
 * Members. One that joins without an id gets one; from version 4 of JoinGroup it must come back with it first
 * (MEMBER_ID_REQUIRED), so that what gave up waiting leaves no member behind. A static member (group.instance.id) keeps its place when
 * it comes back under a new member id: in STABLE without a rebalance; its old id is fenced. A member that is not heard of for
 * its session timeout is removed; one that waits for an answer counts as heard of, unless it is new (NEW_MEMBER_MS).
 *
 * Invariants, held by group_check():
 * - Every member of a group in COMPLETING or STABLE has the group's protocol; the leader is a member; EMPTY has no members.
 * - A generation is never given twice; a commit or sync with another than the present one is refused.
 * - An assignment is handed out in the generation that it was made for, after it was stored, or not at all.
 * - Every waiter is answered exactly once.
 *
 * Sources: KIP-62, KIP-134 (initial delay), KIP-345 (static members), KIP-394 (member ids), KIP-814 (skip assignment); and Kafka's own
 * coordinator where these are silent. Thread: one at a time. */
#ifndef PRISM_STREAMER_GROUP_H
#define PRISM_STREAMER_GROUP_H

#include "base/slice.h"
#include "kafka/errors.h"

enum group_state { GROUP_EMPTY, GROUP_PREPARING, GROUP_COMPLETING, GROUP_STABLE, GROUP_DEAD };
/* As DescribeGroups says it: "PreparingRebalance". */
const char *group_state_name(enum group_state);

struct group_protocol {
    struct slice name, metadata;
};

struct group_member {
    struct slice id;          /* the latest: a static member's changes */
    struct slice former_id;   /* of a static member that has come back and waits for its answer; data NULL: none */
    struct slice instance_id; /* data NULL: a dynamic member */
    struct slice client_id, client_host;
    struct group_protocol *protocols; /* the one it likes best first */
    uint32_t protocol_count;
    struct slice assignment;
    size_t bytes; /* that it adds to the group's */
    int32_t session_timeout_ms, rebalance_timeout_ms;
    uint64_t session_due_ms;
    bool is_new;                     /* has not been told of a generation yet */
    bool skips;                      /* understands skip_assignment */
    bool joins;                      /* waits for a generation (or, STABLE, for its new id to be stored) */
    bool syncs;                      /* waits for its assignment */
    bool owes_sync;                  /* was told of the generation and has not asked for its assignment */
    void *join_waiter, *sync_waiter; /* NULL: nobody waits any more */
    struct group_member *next;
};

/* An id that was given out and has not come back yet. */
struct group_pending {
    struct group_pending *next;
    uint64_t due_ms;
    struct slice id;
};

struct group;

struct group_joined {
    enum kafka_error error;
    struct slice member_id;
    struct slice leader;  /* its id; an older one where the member shall not think that it leads */
    bool leads;           /* the answer lists the members */
    bool skip_assignment; /* it leads, and there is an assignment already */
};

struct group_outlet {
    void (*joined)(void *context, struct group *, void *waiter, const struct group_joined *);
    /* member: with its assignment; NULL with an error. */
    void (*synced)(void *context, struct group *, void *waiter, enum kafka_error, const struct group_member *);
    /* Make what the group is now durable, then call group_stored with the ticket. Never from inside this call. */
    void (*store)(void *context, struct group *, uint64_t ticket);
    void (*moved)(void *context, struct group *, enum group_state from, const char *why); /* for logs and traces */
};

struct group_rules {
    uint32_t initial_delay_ms;
    uint32_t session_min_ms, session_max_ms;
    uint32_t members_max;
    size_t bytes_max; /* of all that its members say and are told */
};

struct group {
    struct slice id;
    const struct group_outlet *outlet;
    void *context;
    struct group_rules rules;

    enum group_state state;
    int32_t generation;
    struct slice protocol_type; /* empty: no member has ever joined */
    struct slice protocol;      /* of the generation; empty: none */
    struct group_member *members, **members_end;
    struct group_member *leader;
    uint32_t member_count;
    size_t bytes;
    struct group_pending *pending;
    uint32_t pending_count;

    bool told;              /* COMPLETING: the generation is stored and the members know of it */
    bool assigned;          /* COMPLETING: the leader's assignment is being stored */
    bool initial, newcomer; /* PREPARING: from empty; somebody has joined since */
    uint64_t initial_left_ms;
    uint64_t due_ms; /* PREPARING: it ends; COMPLETING, STABLE: missing syncs; UINT64_MAX: neither */
    uint64_t ticket; /* of the last store that matters */
};

/* id is copied. */
enum err group_init(struct group *, struct slice id, const struct group_outlet *, void *context)
    __attribute__((warn_unused_result));
/* Nobody waits any more. */
void group_fini(struct group *);

struct group_join {
    struct slice member_id; /* empty: not known yet */
    struct slice new_id;    /* for one that is not known: made by the caller, random */
    struct slice instance_id;
    struct slice client_id, client_host;
    struct slice protocol_type;
    const struct group_protocol *protocols;
    uint32_t protocol_count;
    int32_t session_timeout_ms, rebalance_timeout_ms;
    bool must_know_id; /* version 4 on: a dynamic member comes back with the id that it is given */
    bool skips;        /* version 9 on */
};
/* Answered by outlet.joined, now or later. */
void group_join(struct group *, const struct group_join *, uint64_t now_ms, void *waiter);

struct group_assignment {
    struct slice member_id, bytes;
};
struct group_sync {
    struct slice member_id, instance_id;
    int32_t generation;
    struct slice protocol_type, protocol; /* data NULL: not said */
    const struct group_assignment *assignments;
    uint32_t assignment_count;
};
/* Answered by outlet.synced, now or later. */
void group_sync(struct group *, const struct group_sync *, uint64_t now_ms, void *waiter);

enum kafka_error group_heartbeat(struct group *, struct slice member_id, struct slice instance_id, int32_t generation,
                                 uint64_t now_ms);
/* member_id empty: whoever has the instance id (an administrator removes it). */
enum kafka_error group_leave(struct group *, struct slice member_id, struct slice instance_id, uint64_t now_ms);
/* Whether who says to be this may commit offsets; one that may has been heard of. generation -1 without ids: a consumer that
 * assigns itself, which an empty group lets through. */
enum kafka_error group_may_commit(struct group *, struct slice member_id, struct slice instance_id, int32_t generation,
                                  uint64_t now_ms);

/* Of outlet.store. */
void group_stored(struct group *, uint64_t ticket, enum kafka_error, uint64_t now_ms);
/* Who waited is gone; no answer goes to it. A member that never learned its id goes with it. */
void group_abandon(struct group *, const void *waiter, uint64_t now_ms);
/* What is due at or before now is done. */
void group_tick(struct group *, uint64_t now_ms);
/* When to tick next, or earlier; UINT64_MAX: never. */
uint64_t group_due_ms(const struct group *);
/* Answers all that wait with the error: the shard closes. */
void group_dismiss(struct group *, enum kafka_error);
/* From EMPTY: nothing is taken any more; and back, where it could not be stored. */
void group_bury(struct group *);
void group_revive(struct group *);

/* --- reading it back (group_store.c) ------------------------------------------------------------------------------------- */

/* Before the members: it has none, whatever it had. protocol and type are copied. */
enum err group_restore_begin(struct group *, int32_t generation, struct slice protocol_type, struct slice protocol)
    __attribute__((warn_unused_result));
/* A member as stored; all is copied. The first one leads until the caller says otherwise. */
enum err group_restore_member(struct group *, const struct group_member *, struct group_member **ret_member)
    __attribute__((warn_unused_result));
/* All members are there. stable: with their assignments; otherwise a rebalance begins. Their sessions begin now. */
void group_restore(struct group *, bool stable, uint64_t now_ms);

/* What the member says in the group's protocol; empty: nothing. */
struct slice group_member_metadata(const struct group *, const struct group_member *);
/* NULL: none. */
struct group_member *group_find(const struct group *, struct slice member_id);
struct group_member *group_find_instance(const struct group *, struct slice instance_id);

/* Aborts where an invariant does not hold; O(members²) at most. */
void group_check(const struct group *);

#endif
