/* What the files of src/journal know of each other. Private.
 *
 *   store ──▶ journal (one a shard) ──▶ log ──▶ segments ──▶ journal_file (descriptors, counted references)
 *                    │                   └──▶ tail: the last entries of the index, in memory
 *                    ├──▶ wal: the write-ahead stream
 *                    └──▶ checkpoint: one at a time
 */
#ifndef PRISM_JOURNAL_INTERNAL_H
#define PRISM_JOURNAL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "journal/layout.h"

struct removal;
struct wal_piece;
enum { TAIL_ENTRIES = 256, INDEX_WRITE_ENTRIES = 128, WALK_BYTES = 4096 };

/* ---- files.c: descriptors --------------------------------------------------------------------------------------------------- */

/* The two files of a segment. Open while somebody holds a pin (a range, a write under way), and afterwards until others push
 * them out. Freed with the last reference. */
struct journal_file {
    struct journal *journal;
    struct journal_key key;
    int64_t base;
    uint32_t refs;
    uint32_t pins;
    bool made;                          /* by this process: all that lies in it was written by it */
    int fd, index_fd;                   /* -1: closed */
    struct journal_file *newer, *older; /* of the journal's list of open ones that nobody pins, by last use */
    uint64_t used_ns;
};
struct file_list {
    struct journal_file *newest, *oldest;
    uint32_t open;
};
enum err file_new(struct journal *, const struct journal_key *, int64_t base, struct journal_file **ret_file);
/* Opens it where it is closed (create: makes the files, empty), and keeps it so until file_unpin. */
enum err file_pin(struct journal_file *, bool create);
void file_unpin(struct journal_file *);
void file_drop(struct journal_file *); /* a reference; NULL is fine */
/* Closes those that nobody has used since. */
void files_close_idle(struct journal *, uint64_t used_before_ns);

/* ---- index.c: the tail in memory, the index on disk --------------------------------------------------------------------------- */

struct tail_entry {
    struct index_entry at;
    uint64_t stamp; /* journal->appended_bytes at that time; 0: not appended by this process */
};
/* The last entries of the active segment's index; those from `written` on are not on disk yet. Ranks count from the segment's
 * beginning: entry r lies in ring[r % TAIL_ENTRIES] for first <= r < count. */
struct tail {
    struct tail_entry *ring; /* NULL: none, first == count */
    uint32_t first, written, count;
    uint64_t last_position; /* of the last one, where there is one */
    bool stopped;           /* the index could not be written for so long that it does not go on: readers walk */
};

/* An index on disk, for readers of any thread. */
struct index_view {
    const struct journal_file *file;
    uint32_t count;
};
enum err index_read(const struct index_view *, uint32_t rank, struct index_entry *ret_entry);
/* The last entry whose offset is at or below; ret_rank UINT32_MAX: none, begin at the segment's first byte. */
enum err index_by_offset(const struct index_view *, int64_t offset, struct index_entry *ret_entry, uint32_t *ret_rank);
enum err index_by_position(const struct index_view *, uint64_t position, struct index_entry *ret_entry,
                           uint32_t *ret_rank);
enum err index_by_time(const struct index_view *, int64_t time_ms, struct index_entry *ret_entry, uint32_t *ret_rank);

/* ---- segments and walks ------------------------------------------------------------------------------------------------------- */

struct segment {
    int64_t base;
    uint64_t bytes;
    int64_t max_time_ms; /* INT64_MIN: none */
    int64_t created_ms;
    uint32_t index_count;      /* on disk */
    struct journal_file *file; /* a reference; NULL: nobody needed it yet */
};

/* From entry to entry by their headers, up to limit. Thread: any. */
struct walk {
    const struct journal_file *file;
    uint64_t position; /* of the entry */
    uint64_t limit;
    int64_t expected; /* offset of the next entry */
    uint64_t have_at; /* what lies in bytes */
    size_t have;
    uint8_t bytes[WALK_BYTES];
};
void walk_init(struct walk *, const struct journal_file *, uint64_t position, int64_t offset, uint64_t limit);
/* The entry at walk->position, by its header, which is lent; ERR_CORRUPT: there is none of this offset and place. */
enum err walk_look(struct walk *, struct journal_entry *ret_entry, struct slice *ret_header);
void walk_step(struct walk *, const struct journal_entry *);

/* From entry to entry, each one whole: scan.c. bytes is the caller's to free. */
struct scan {
    const struct journal_file *file;
    uint8_t *bytes;
    size_t capacity, have;
    uint64_t have_at;
    uint64_t position;
    int64_t expected;
};
/* The entry at scan->position, which moves on only by the caller. ERR_CORRUPT: none that is whole, dense and ends at limit at the
 * latest. The header is lent until the next call. */
enum err scan_next(struct scan *, uint64_t limit, struct journal_entry *ret_entry, struct slice *ret_header);

/* ---- logs --------------------------------------------------------------------------------------------------------------------- */

struct append_queue {
    struct journal_append *first, **last;
};
static inline void queue_init(struct append_queue *q)
{
    q->first = NULL;
    q->last = &q->first;
}
static inline void queue_add(struct append_queue *q, struct journal_append *a)
{
    a->next = NULL;
    *q->last = a;
    q->last = &a->next;
}
static inline struct journal_append *queue_take(struct append_queue *q)
{
    struct journal_append *a = q->first;
    if (a && !(q->first = a->next))
        q->last = &q->first;
    return a;
}

struct place { /* behind an entry: where the next one goes */
    int64_t base;
    uint64_t position;
};

struct journal_log {
    struct journal *journal;
    struct journal_key key;
    uint8_t key_bytes[JOURNAL_KEY_BYTES]; /* of the map */
    struct journal_log_options options;
    void *context;
    struct segment *segments; /* the last one is written to */
    uint32_t segment_count, segment_capacity;
    struct tail tail;
    int64_t start;
    int64_t end;    /* what was submitted */
    int64_t next;   /* what is written to the segments */
    int64_t stable; /* what is acknowledged */
    struct place stable_place;
    struct append_queue gathered; /* submitted, not yet written */
    struct journal_log *next_gathered, *next_held, *next_dirty;
    uint64_t
        unsynced_generation; /* of the checkpoint after which what was written past the stream is synced; 0: nothing was */
    uint64_t idle_since_ns;
    uint32_t synced_segments_from; /* first segment that may hold unsynced bytes */
    uint32_t wal_pending;          /* appends on their way through the stream */
    uint32_t pending;              /* appends that are not done */
    enum err failed;
    bool in_gathering, held, dirty, deleted, roll_next, damaged;
    bool new_folder, new_names; /* not synced yet */
    int64_t damaged_offset;
};
static inline struct segment *log_active(const struct journal_log *log)
{
    return log->segment_count ? &log->segments[log->segment_count - 1] : NULL;
}
void log_dirty(struct journal_log *);
void log_forget_dirty(struct journal_log *);
/* Where readers must stop in this segment. */
uint64_t log_limit(const struct journal_log *, uint32_t segment);
void log_free(struct journal_log *);
void log_release_deleted(struct journal_log *);

/* segment.c */
/* Begins a segment at log->next. */
enum err log_roll(struct journal_log *);
enum err log_add_segment(struct journal_log *, int64_t base, struct segment **ret_segment);
/* The segment's file, pinned. */
enum err segment_pin(struct journal_log *, struct segment *, bool create, struct journal_file **ret_file);
/* index.c */
enum err tail_reserve(struct journal_log *);
/* An entry was written at position of the active segment. */
void tail_note(struct journal_log *, uint64_t position, const struct journal_entry *, struct slice header);
void tail_write(struct journal_log *);       /* what is not on disk yet */
void tail_end_segment(struct journal_log *); /* and the entry that ends a closed segment */
void tail_drop(struct journal_log *);
/* append.c */
void append_turn(struct task *);
void log_gather(struct journal_log *);
void log_fail_gathered(struct journal_log *, enum err);
void journal_release_held(struct journal *);
void journal_schedule_turn(struct journal *);
void append_complete(struct journal_append *, enum err);
void append_call_finished(struct journal *);
/* Behind the active segment's end; rolls before, where size asks for it. On failure nothing is there. */
enum err log_prepare(struct journal_log *, uint64_t size, int64_t last_offset);
enum err log_put(struct journal_log *, const struct slice *parts, size_t count);
/* Written there: notes it and moves the end. */
void log_note(struct journal_log *, const struct journal_entry *, struct slice header);
void log_note_all(struct journal_log *, struct slice entries);
/* open.c */
enum err log_recover(struct journal_log *, int64_t replay_from);
void log_dirty_from_here(struct journal_log *); /* the active segment is not synced */
/* replay.c */
/* What the stream has of the log and the log has not, or has otherwise; offsets below synced are let alone. */
enum err log_replay(struct journal_log *, const struct wal_piece *, int64_t synced);
/* retention.c */
void log_remove_below(struct journal_log *, uint32_t segments); /* the oldest ones */
void removals_submit(struct journal *, uint64_t finished);
void removals_forget(struct journal *);
void log_retain(struct journal_log *, int64_t now_ms);

/* ---- wal.c ---------------------------------------------------------------------------------------------------------------------- */

struct wal_file {
    uint64_t number;
    uint64_t size;
    struct wal_file *next;
};

/* The write-ahead stream of a shard. Files: ready (empty, numbered) → current → full, until a checkpoint → free (to be renamed). */
struct wal {
    struct journal *journal;
    struct append_queue queue; /* written to segments, not yet to the stream */
    struct append_queue batch; /* being written; order: batch before queue */
    uint64_t queued_bytes;     /* what queue and batch will take at most */
    struct work work;
    bool writing, making;
    enum err result;
    uint64_t took_ns;
    /* current file */
    struct wal_file *current, *full, *free;
    struct wal_file *ready;
    int fd;
    uint64_t position, sequence, last_number;
    struct wal_batch header;
    uint8_t *memory, *buffer; /* buffer is aligned */
    size_t buffer_size;
    /* the one that is being made */
    struct work make_work;
    uint64_t make_size;
    struct wal_file *make_from; /* is used again */
    struct wal_file *made;
    enum err make_result;
    uint64_t retry_at_ns;
    enum err make_failed;
};
void wal_init(struct wal *, struct journal *);
void wal_fini(struct wal *);
/* Whether there is room for bytes more. WAL_LATER: it is being made, and held logs are gathered again when that is done. */
enum wal_room { WAL_ROOM, WAL_LATER, WAL_FULL };
enum wal_room wal_room_for(struct wal *, uint64_t bytes);
void wal_push(struct wal *, struct journal_append *);
void wal_kick(struct wal *);
void wal_give_up(struct wal *, struct journal_append *, enum err); /* taken from queue or batch */
bool wal_idle(const struct wal *);
/* A checkpoint is through: full files with lower numbers are free. */
void wal_recycle(struct wal *, uint64_t first_needed);
/* Files with numbers below this are not needed once everything that is written to segments now is synced. */
uint64_t wal_first_needed(const struct wal *);
uint64_t wal_bytes(const struct wal *);
uint64_t wal_cost(const struct journal_append *);

/* ---- checkpoint.c ----------------------------------------------------------------------------------------------------------- */

struct sync_item {
    struct journal_key key;
    int64_t base;
    bool folder; /* sync its folder too: names in it are new */
};
struct checkpoint {
    struct work work;
    bool running, wanted, sync_failed;
    uint64_t generation, finished; /* of the one begun last, of the one that succeeded last */
    uint64_t wal_first;
    struct sync_item *items;
    uint32_t item_count;
    bool new_folders;
    uint8_t *image;
    size_t image_size;
    enum err result;
    uint64_t retry_at_ns; /* after one that failed */
    struct timer timer;
};
void checkpoint_want(struct journal *); /* as soon as none runs */
/* Wants one, and says whether there is any sense in waiting for it: OK, or why the last one failed, a moment ago. */
enum err checkpoint_await(struct journal *);
/* On this thread, from beginning to end. */
enum err checkpoint_now(struct journal *);

/* ---- journal.c, store.c ------------------------------------------------------------------------------------------------------- */

struct journal {
    struct journal_store *store;
    struct journal *next; /* of the store */
    const struct env *env;
    struct journal_options options;
    struct map logs;
    struct file_list files;
    struct journal_log *gathering, **gathering_last;
    struct journal_log *held, **held_last;
    struct journal_log *dirty;
    struct append_queue finished; /* done is to be called with their result */
    struct task turn;
    bool turn_waiting, in_turn;
    struct wal wal;
    struct checkpoint checkpoint;
    struct timer tick;
    struct journal_status status;
    struct removal *removals; /* that wait for a checkpoint */
    uint32_t jobs;            /* of the pool that remove files */
    struct task close_task;
    bool recovered, closing, close_synced, close_posted;
    enum err close_err;
    void (*closed)(void *context, enum err);
    void *closed_context;
};
void journal_start(struct journal *); /* timers */
void journal_fail(struct journal *, enum err);
/* While closing: takes the next step, where nothing is under way. Frees nothing itself. */
void journal_step_close(struct journal *);
/* At the end of recovery: files of the stream that are there already, to be used again. */
enum err journal_adopt_wal(struct journal *, uint64_t number, uint64_t size);
/* Before its loop has run with it: gives back everything without a word to the disk. */
void journal_free(struct journal *);

struct wal_piece { /* a record of the stream, as it was found */
    struct wal_piece *next;
    uint32_t shard;
    uint64_t number, position; /* of the record in its file */
    struct wal_record record;
};
struct found_log { /* what the opening knows of a log before it is opened */
    uint8_t key_bytes[JOURNAL_KEY_BYTES];
    bool checkpointed;
    struct checkpoint_entry checkpoint;
    struct wal_piece *pieces, **last_piece;
};
struct found_wal {
    struct found_wal *next;
    uint32_t shard;
    uint64_t number, size;
};
struct journal_store {
    const struct env *env;
    struct journal_store_options options;
    char folder[256];
    int lock_fd;
    bool was_clean, recovered;
    enum err unopened; /* why a log could not be opened while it recovered: it is there, and not one that was deleted */
    atomic_bool bad_end;
    struct journal *journals;
    pthread_mutex_t journals_lock; /* shards close at the same time */
    struct map found;              /* struct found_log; empty once recovered */
    struct found_wal *wals;
    uint32_t shards_found; /* one more than the highest */
};
struct found_log *store_found(const struct journal_store *, const struct journal_key *);
struct found_log *store_find_or_add(struct journal_store *, const struct journal_key *);
void store_forget_found(struct journal_store *);
/* wal_first: a number for each of LIMIT_WORKERS shards. */
enum err store_read_checkpoints(struct journal_store *, uint64_t *ret_wal_first, struct diag *);
/* wal_read.c: all streams of the folder. */
enum err store_read_wals(struct journal_store *, const uint64_t *wal_first, struct diag *);
/* The bytes of a record. */
enum err store_read_piece(const struct journal_store *, const struct wal_piece *, uint8_t *to);

/* What visits a folder's names: adds them to a list. */
struct names {
    char **items;
    uint32_t count, capacity;
    enum err err;
};
enum err names_of(const struct env *, const char *folder, struct names *ret_names); /* none where there is no folder */
void names_fini(struct names *);

#endif
