/* An opened backend and what each loop has of it. What the files of this folder share; nobody else includes it.
 *
 *   redis_backend ──▶ redis_local (one a loop, made by its first call) ──▶ redis_node (one a server) ──▶ fast and slow connection
 *
 * The backend is constant while it is open but for counters, versions and transactions; a local and all below it belong to its
 * loop's thread. */
#ifndef PRISM_DRIVERS_REDIS_STORE_H
#define PRISM_DRIVERS_REDIS_STORE_H

#include "data/driver.h"
#include "data/waiting.h"
#include "drivers/redis/connection.h"
#include "drivers/redis/layout.h"
#include "drivers/redis/redis.h"
#include "drivers/redis/scripts.h"
#include "drivers/redis/settings.h"
#include "drivers/redis/transactions.h"

struct redis_command;
struct redis_local;
struct redis_watcher;

struct redis_node {
    struct redis_node *next;
    struct redis_local *local;
    struct redis_connection fast; /* what the server does in microseconds */
    struct redis_connection slow; /* what takes longer, or has long answers: nothing short waits behind it */
};

/* unknown ──first command──▶ asking (sentinels, cluster) ──▶ claiming (is the layout ours?) ──▶ known ──master lost (sentinel)──┐
 *    ▲──────────────────────────── nobody answers ─────────────────┘ ◀───────────────────────────────────────────────────────────┘ */
enum redis_topology { REDIS_UNKNOWN, REDIS_ASKING, REDIS_CLAIMING, REDIS_KNOWN };

struct redis_local {
    struct redis_backend *backend;
    struct loop *loop;
    enum redis_topology topology;
    struct redis_node *nodes;
    unsigned node_count;
    struct redis_node *master;                    /* standalone, sentinel */
    struct redis_node **slots;                    /* cluster: REDIS_SLOTS of them */
    struct redis_command *waiting, **waiting_end; /* until the topology is known */
    unsigned waiting_count;
    struct redis_watcher *watchers; /* of buckets in which somebody waits for a list; watch.c */
    /* Asking: one question at a time. */
    struct redis_connection *sentinels; /* one for each server that is named; NULL: other modes */
    struct redis_request question;
    struct redis_command *claim;
    struct arena arena;    /* of the question, its answer, and the claim */
    unsigned server;       /* who is asked */
    unsigned servers_left; /* may still be asked, this time */
    bool asking;           /* also while the topology is known: a look at the slots of a Cluster */
    bool claimed;          /* the layout has been seen to be ours */
    uint64_t refresh_after_ns;
};

struct redis_backend {
    struct backend base;
    const struct env *env;
    struct log *log;
    struct arena arena; /* of what is constant */
    const char *name;   /* of the namespace */
    struct redis_settings settings;
    struct tls *tls;
    struct redis_counters counters;
    struct redis_access access, sentinel_access;
    struct redis_layout layout;
    struct redis_script scripts[REDIS_SCRIPT_COUNT];
    struct redis_versions versions;
    struct redis_transactions transactions;
    struct waiting_room pops; /* blocking pops that wait, of all loops */
    unsigned loops;
    struct redis_local **locals; /* by loop id; NULL: no call yet */
};

static inline struct redis_backend *redis_backend(struct backend *backend)
{
    return (struct redis_backend *)backend;
}

/* topology.c. Loop's thread. */
/* The loop's own; made where there is none. NULL: out of memory. */
struct redis_local *redis_local_of(struct redis_backend *, struct loop *);
/* One that no call finds: for a trial. NULL: out of memory. */
struct redis_local *redis_local_new(struct redis_backend *, struct loop *);
/* Nothing is in flight any more. NULL is fine. */
void redis_local_free(struct redis_local *);
/* Starts to find out, where it is unknown. */
void redis_topology_ask(struct redis_local *);
/* Who serves the slot. NULL: nobody, as far as is known. */
struct redis_node *redis_node_of_slot(struct redis_local *, uint16_t slot);
/* By address; made where there is none. NULL: out of memory, or too many. */
struct redis_node *redis_node_at(struct redis_local *, const char *address);
/* A server has said where the slot is. */
void redis_slot_moved(struct redis_local *, uint16_t slot, struct redis_node *);
/* A master has said that it is none. */
void redis_master_doubted(struct redis_local *);

/* command.c: what waits is sent, or fails. */
void redis_waiting_release(struct redis_local *, enum err, const char *why);

/* One file or a few a model: the interfaces. */
extern const struct keyvalue_basic_ops redis_keyvalue_basic;
extern const struct keyvalue_batch_ops redis_keyvalue_batch;
extern const struct keyvalue_cas_ops redis_keyvalue_cas;
extern const struct keyvalue_scan_ops redis_keyvalue_scan;
extern const struct keyvalue_transactional_ops redis_keyvalue_transactional;
extern const struct keyvalue_ttl_ops redis_keyvalue_ttl;
extern const struct list_basic_ops redis_list_basic;
extern const struct list_blocking_ops redis_list_blocking;
extern const struct list_indexing_ops redis_list_indexing;
extern const struct list_range_ops redis_list_range;
extern const struct set_basic_ops redis_set_basic;
extern const struct set_cardinality_ops redis_set_cardinality;
extern const struct set_operations_ops redis_set_operations;
extern const struct set_random_ops redis_set_random;
extern const struct sortedset_basic_ops redis_sortedset_basic;
extern const struct sortedset_lex_ops redis_sortedset_lex;
extern const struct sortedset_operations_ops redis_sortedset_operations;
extern const struct sortedset_range_ops redis_sortedset_range;
extern const struct sortedset_rank_ops redis_sortedset_rank;
extern const struct counter_basic_ops redis_counter_basic;

#endif
