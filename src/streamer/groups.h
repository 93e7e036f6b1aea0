/* The groups of a shard: their coordinator. Each is a state machine (group.h) with a timer and its offsets (offsets.h); what must
 * outlive a restart is in a ledger before anybody is told of it (group_store.c).
 *
 *   request ──▶ group_call: to the shard of the group ──▶ state machine ──▶ answer, now or later ──▶ back
 *                                                            │ store
 *                                                            ▼
 *                                                         ledger ──durable──▶ group_stored
 *
 * A group is there from the first request that names it to be joined or committed to, until it has neither members nor offsets.
 * Offsets of an empty group expire (offsets_retention_ms after it became empty, or after their commit). Thread: the shard's. */
#ifndef PRISM_STREAMER_GROUPS_H
#define PRISM_STREAMER_GROUPS_H

#include "journal/ledger.h"
#include "kafka/messages.h"
#include "streamer/broker.h"
#include "streamer/group.h"
#include "streamer/offsets.h"

struct group_entry {
    struct group group;
    struct groups *groups;
    struct timer timer;
    struct offsets offsets;
    uint32_t writes;      /* of it on their way to the ledger */
    int64_t changed_ms;   /* UTC: when it came into its state */
    bool recorded;        /* the ledger knows of it */
    bool restored_stable; /* as the ledger has it, while that is read */
    struct task unstored; /* memory for a write was missing: its failure is told from the loop */
    uint64_t unstored_ticket;
    bool unstored_waits;
};

struct groups {
    struct shard *shard;
    struct ledger *ledger;
    struct map by_id;
    struct hash_key secret;
    uint64_t offsets; /* of all groups */
    uint32_t writes;  /* on their way to the ledger, or on their way to be told that they are not */
    struct kafka_out scratch;
    struct timer look;
    bool closing;
    void (*closed)(void *context);
    void *closed_context;
};

/* As groups_open of shard.h; `path` is the ledger's. */
enum err groups_open_at(struct shard *, const struct env *, const char *path, struct diag *)
    __attribute__((warn_unused_result));

/* groups_move.c: before any of them is opened. Where the broker had another number of workers, each group's entries go to the
 * ledger of the shard that has it now. Blocks. */
enum err groups_move(struct broker *, struct diag *) __attribute__((warn_unused_result));

uint64_t groups_now_ms(const struct groups *);
/* NULL: there is none. */
struct group_entry *groups_find(const struct groups *, struct slice id);
/* Made where there is none. ERR_RESOURCE_EXHAUSTED, ERR_NOMEM. */
enum err groups_obtain(struct groups *, struct slice id, struct group_entry **ret_entry)
    __attribute__((warn_unused_result));
/* After anything has happened to it: its timer is set, and it is freed where nothing of it is left. */
void groups_touch(struct group_entry *);
/* While the ledger is read: it is gone. */
void groups_forget(struct groups *, struct slice id);
/* Whether the name may be one of a group. */
bool group_id_valid(struct slice id);

/* --- group_store.c: durable ---------------------------------------------------------------------------------------------- */

/* Something of a group on its way to the ledger; the caller's memory until done, which comes exactly once and never from inside. */
struct group_write {
    struct ledger_append append;
    struct group_entry *entry;
    void (*done)(struct group_write *, enum err);
};
/* ERR_*: not taken, done does not come. */
enum err group_write_state(struct group_entry *, struct group_write *) __attribute__((warn_unused_result));
enum err group_write_gone(struct group_entry *, struct group_write *) __attribute__((warn_unused_result));
enum err group_write_offsets(struct group_entry *, const struct kafka_offsets_record *, struct group_write *)
    __attribute__((warn_unused_result));

/* Whose an entry of the ledger is. false: not one that is known. */
bool group_of_entry(struct slice entry, struct slice *ret_group);
void offset_record(const struct offset *, struct kafka_offsets_record_offset *ret_record);

/* An empty group takes nothing any more; when the write is done call groups_buried: it is freed, or, with an error, back. */
enum err groups_bury(struct group_entry *, struct group_write *) __attribute__((warn_unused_result));
void groups_buried(struct group_entry *, enum err);

/* Of struct ledger_options, with the groups as context. */
enum err groups_apply(void *context, struct slice entry);
void groups_snapshot(void *context, struct ledger_snapshot *);
/* group.h's outlet.store. */
void groups_store(void *context, struct group *, uint64_t ticket);

/* --- api_join_group.c, api_sync_group.c: answers for those that wait ------------------------------------------------------- */

void join_group_answer(void *context, struct group *, void *waiter, const struct group_joined *);
void sync_group_answer(void *context, struct group *, void *waiter, enum kafka_error, const struct group_member *);

#endif
