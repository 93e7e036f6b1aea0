/* A store: one opened database with its threads. What the files of this folder share; nobody else includes it.
 *
 * Who touches what: a struct with a lock is guarded by it; what the writer alone uses says so; the rest is set at open and
 * does not change. */
#ifndef PRISM_DRIVERS_SQLITE_STORE_H
#define PRISM_DRIVERS_SQLITE_STORE_H

#include <pthread.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/wheel.h"
#include "data/waiting.h"
#include "drivers/sqlite/operation.h"

enum {
    RETRY_AFTER_BUSY_MS = 100,    /* a queue drains in about this time */
    RETRY_AFTER_CONFLICT_MS = 10, /* the other write has been committed already */
    VERSION_BYTES = 16,
};

/* Versions. A row keeps an integer: number of the epoch (upper bits), count within it. An epoch is one opening of the database
 * and has a random name; outside, a version is the name and the count. So none is used twice, not after a crash and not
 * after an older copy of the file was put back, and a transaction need not write a counter. */
enum { VERSION_COUNT_BITS = 43, EPOCHS_MAX = (1 << 20) - 1 };
struct sqlite_versions {
    uint64_t *epochs;     /* names, by number */
    uint32_t epoch_count; /* the last one is this opening's */
    bool epoch_stored;    /* the writer's: the file knows this opening's, as it must before it has a version of it */
    int64_t last;         /* the writer's: last version given */
};
/* The opaque token of a row's version, 16 bytes in the arena. */
enum err sqlite_version_token(const struct sqlite_versions *, int64_t version, struct arena *, struct slice *ret_token);
/* false: no version that this database has given. */
bool sqlite_version_write(const struct sqlite_versions *, int64_t version, uint8_t out[VERSION_BYTES]);
/* Whether this opening has given a version. */
static inline bool sqlite_version_given(const struct sqlite_versions *v)
{
    return v->last != (int64_t)(v->epoch_count - 1) << VERSION_COUNT_BITS;
}
/* Writer's thread. ERR_STORE_FULL: this opening's versions are used up (after 8.8e12 writes). */
enum err sqlite_version_next(struct sqlite_versions *, struct diag *, int64_t *ret_version);

struct sqlite_writer {
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t ready; /* on the monotonic clock */
    struct sqlite_operations queue;
    bool waiting, stopping;
    uint64_t wake_ns; /* waiting: until then */
    bool verify;      /* probe asks for a commit, to see whether storage has recovered */

    /* The writer's own. */
    struct sqlite_connection *connection;
    int64_t keys, keys_stored;                /* rows in items; as the last commit left it */
    int64_t item_expiry_ms, answer_expiry_ms; /* no row expires before; KV_NEVER: none */
    uint64_t sweep_after_ns, sweep_busy_ns;   /* no sweep before: when idle, under load */
    int log_frames, log_frames_tried;         /* in the WAL now; at the last try of a checkpoint */
    uint64_t log_empty_ns;                    /* when to empty the WAL if nothing comes; UINT64_MAX: it is empty */
    bool wrote;                               /* the last commit changed the file */

    /* For stats and probe. */
    atomic_uint_fast64_t groups, group_operations, swept, checkpoints, forever;
    atomic_int_fast64_t keys_shown;
    atomic_int last_error; /* enum err: of the last attempt to write */
};

struct sqlite_reader {
    struct sqlite_store *store;
    struct sqlite_connection *connection;
    pthread_t thread;
    bool started;
};

struct sqlite_readers {
    pthread_mutex_t lock;
    pthread_cond_t ready;
    struct sqlite_operations light, heavy;
    unsigned idle, heavy_running, heavy_max;
    bool heavy_last; /* what was taken last: both kinds get their turn */
    bool waking;     /* one has been signalled and is not awake yet */
    bool stopping;
    struct sqlite_reader *items;
    unsigned count;
    atomic_uint_fast64_t operations, batches;
};

struct sqlite_transaction;
struct sqlite_transactions {
    pthread_mutex_t lock;
    struct hash_key secret; /* of all maps here; constant while open */
    struct map by_id;
    /* Commits of the writer. What an open transaction has to know of them: see conflicts.c. */
    uint64_t commit;                 /* number of the last one */
    int64_t version;                 /* no row of it or of one before has a higher version */
    struct map touched;              /* keys that were changed without a new version, while transactions are open */
    uint64_t forgotten;              /* of commits up to this one some keys are missing in touched */
    struct wheel idle;               /* in ms of the monotonic clock */
    struct sqlite_connection *spare; /* connections without a transaction, opened before */
    unsigned spare_count;
    bool started;
};

struct sqlite_store {
    struct backend backend;
    const struct env *env;
    struct log *log;
    const char *namespace_name;
    char *folder, *path, *wal_path, *lock_path;
    int lock_fd; /* -1: none */
    int32_t synchronous;
    uint64_t cache_bytes;
    struct sqlite_versions versions;
    struct sqlite_writer writer;
    struct sqlite_readers readers;
    struct sqlite_transactions transactions;
    struct waiting_room pops; /* blocking ones */
};

static inline struct sqlite_store *sqlite_store(struct backend *backend)
{
    return (struct sqlite_store *)backend;
}
static inline int64_t sqlite_now_ms(const struct sqlite_store *store)
{
    return (int64_t)(store->env->realtime_ns(store->env) / 1000000);
}

/* Adds the path to an error that has just been set. */
static inline enum err sqlite_at(struct diag *d, enum err e, const char *path)
{
    diag_meta(d, "path", "%s", path);
    return e;
}

/* files.c: folder, lock and file, before SQLite sees them. Errors say what to do. */
enum err sqlite_files_open(struct sqlite_store *, struct diag *);
void sqlite_files_close(struct sqlite_store *);

/* schema.c: checks and migrates the writer's database, begins an epoch. */
enum err sqlite_schema_open(struct sqlite_store *, struct diag *);
/* Writer's thread, in a transaction: the first that has a version of this epoch. */
enum err sqlite_epoch_put(struct sqlite_store *);

/* writer.c */
enum err sqlite_writer_start(struct sqlite_store *);
void sqlite_writer_stop(struct sqlite_store *); /* after what is queued has been done */
/* Thread: any. Wakes the writer where it would wait beyond due_ns. */
void sqlite_writer_wake_by(struct sqlite_store *, uint64_t due_ns);
/* Writer's thread: a transaction. End commits where e is OK, else rolls back, and returns what became of it; counters in
 * memory follow. */
enum err sqlite_writer_begin(struct sqlite_store *);
enum err sqlite_writer_end(struct sqlite_store *, enum err e);
/* Thread: any. Lets the writer try a commit, so that last_error is about now. */
void sqlite_writer_verify(struct sqlite_store *);

/* upkeep.c: what the writer does between groups. */
uint64_t sqlite_upkeep_due_ns(struct sqlite_store *);
void sqlite_upkeep(struct sqlite_store *, bool idle);
enum err sqlite_upkeep_load(struct sqlite_store *); /* at open: when does the first row expire */
void sqlite_upkeep_watch(struct sqlite_store *);    /* at open: replaces SQLite's own checkpoints */

/* readers.c */
enum err sqlite_readers_start(struct sqlite_store *, unsigned count, struct diag *);
void sqlite_readers_stop(struct sqlite_store *);

/* items.c: rows of the table items. Expired ones are not there. */
struct sqlite_row {
    bool found;
    int64_t version;
    int64_t expires_ms;       /* KV_NEVER */
    struct slice tags, value; /* in the arena */
};
enum err sqlite_item_get(struct sqlite_connection *, struct slice key, int64_t now_ms, struct arena *,
                         struct sqlite_row *ret_row);
/* Version and expiry alone; with now_ms INT64_MIN expired ones too. */
enum err sqlite_item_head(struct sqlite_connection *, struct slice key, int64_t now_ms, struct sqlite_row *ret_row);
enum err sqlite_row_item(const struct sqlite_versions *, const struct sqlite_row *, struct slice key, struct arena *,
                         struct kv_item *ret_item);
/* Writer's thread, in a transaction. */
enum err sqlite_item_put(struct sqlite_store *, const struct kv_write *, int64_t version);
enum err sqlite_item_delete(struct sqlite_store *, struct slice key, int64_t now_ms, bool *ret_existed);
enum err sqlite_item_expire(struct sqlite_store *, struct slice key, int64_t now_ms, int64_t expires_ms,
                            bool *ret_existed);
enum err sqlite_item_persist(struct sqlite_store *, struct slice key, int64_t now_ms, bool *ret_removed);
/* Writes what an operation asks for, under a new version. */
enum err sqlite_item_write(struct sqlite_operation *, const struct kv_write *, struct slice *ret_version);
/* OK, or ERR_VERSION_MISMATCH with words in diag. Of versions and absence alone (if_version). */
enum err sqlite_item_check(struct sqlite_operation *, struct slice key, const struct kv_expected *, struct diag *);

/* answers.c: kept answers of calls with an idempotency key. Writer's thread, in a transaction. */
enum err sqlite_answer_find(struct sqlite_operation *);
enum err sqlite_answer_keep(struct sqlite_operation *);

/* conflicts.c */
/* Writer's thread, in a transaction: the key's row is gone, or has another expiry under the same version. */
void sqlite_touch(struct sqlite_store *, struct slice key);
/* Writer's thread: the transaction is committed. */
void sqlite_committed(struct sqlite_store *);
/* Writer's thread: rows with a higher version may not be swept, as an open transaction has not seen them come. */
int64_t sqlite_sweep_version_max(struct sqlite_store *);

/* transaction.c */
enum err sqlite_transactions_init(struct sqlite_store *);
void sqlite_transactions_fini(struct sqlite_store *); /* rolls back what is open */
uint64_t sqlite_transactions_due_ns(struct sqlite_store *);
void sqlite_transactions_expire(struct sqlite_store *); /* rolls back what was idle for too long */
unsigned sqlite_transactions_open(struct sqlite_store *);

/* keyvalue_*.c: the interfaces. */
extern const struct keyvalue_basic_ops sqlite_keyvalue_basic;
extern const struct keyvalue_batch_ops sqlite_keyvalue_batch;
extern const struct keyvalue_cas_ops sqlite_keyvalue_cas;
extern const struct keyvalue_scan_ops sqlite_keyvalue_scan;
extern const struct keyvalue_transactional_ops sqlite_keyvalue_transactional;
extern const struct keyvalue_ttl_ops sqlite_keyvalue_ttl;

/* The other models: collection.h. */
extern const struct counter_basic_ops sqlite_counter_basic;
extern const struct list_basic_ops sqlite_list_basic;
extern const struct list_blocking_ops sqlite_list_blocking;
extern const struct list_indexing_ops sqlite_list_indexing;
extern const struct list_range_ops sqlite_list_range;
extern const struct set_basic_ops sqlite_set_basic;
extern const struct set_cardinality_ops sqlite_set_cardinality;
extern const struct set_operations_ops sqlite_set_operations;
extern const struct set_random_ops sqlite_set_random;
extern const struct sortedset_basic_ops sqlite_sortedset_basic;
extern const struct sortedset_lex_ops sqlite_sortedset_lex;
extern const struct sortedset_operations_ops sqlite_sortedset_operations;
extern const struct sortedset_range_ops sqlite_sortedset_range;
extern const struct sortedset_rank_ops sqlite_sortedset_rank;

#endif
