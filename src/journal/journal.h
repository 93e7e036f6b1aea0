/* The journal: segmented append-only logs of one shard, with one write-ahead stream that they share.
 *
 *   journal_store_open(&(struct journal_store_options){.env = env, .folder = "data", .format = &format}, &diag, &store);
 *   journal_open(store, &(struct journal_options){.loop = loop, .pool = pool, .shard = 0}, &journal);       one a shard
 *   journal_log_open(journal, &key, &options, &log);                                    every log that is known to exist
 *   journal_store_recovered(store, &diag);                  what the opening replayed is durable; what nobody opened is gone
 *
 *   append->first_offset = journal_log_end(log);            stamp the bytes with it
 *   journal_submit(append);                                 append->done comes later, in order
 *   journal_find(log, offset, 1 << 20, &range);             sendfile from journal_file_fd(range.file); journal_range_release
 *
 *   journal_close(journal, closed, context);                flush; then, after the last of them, journal_store_close(store)
 *
 * Nothing is known of what entries are: struct journal_format describes them. A log's segments hold the entries back to back and
 * nothing else, so that a range of a file can be sent as it is. The layout on disk is drawn in README.md.
 *
 * Durability. An append is done when it is in the page cache: kill -9 loses nothing. With `flush` it is done when it is in the
 * write-ahead stream and that is synced, together with all that waited meanwhile (group commit, no lingering). Segments are synced
 * later, at a checkpoint, which then lets the stream's files be used again.
 *
 * Failures. A failed write of a segment stops its log, a failed write or sync of the stream or of a checkpoint stops the journal:
 * appends are answered with the error, nothing is acknowledged, until it is opened anew. A full disk stops nothing: appends
 * fail with ERR_DISK_FULL, leave nothing behind, and succeed again when there is room. Damage below the checkpoint is reported
 * (journal_log_status, ERR_CORRUPT from what reads there) and never cut off.
 *
 * Thread: the loop's, unless a function says otherwise. Before the loops run (opening) one thread does everything.
 * Invariants: done comes exactly once for each append, from the loop, never from inside journal_submit, in order a log;
 * start <= stable <= end; offsets of a log are dense; journal_log_end never goes back below what was acknowledged. */
#ifndef PRISM_JOURNAL_JOURNAL_H
#define PRISM_JOURNAL_JOURNAL_H

#include "base/block.h"
#include "base/diag.h"
#include "base/uuid.h"
#include "rt/loop.h"

struct journal;
struct journal_file;
struct journal_log;
struct journal_store;

/* ---- what entries are --------------------------------------------------------------------------------------------------- */

struct journal_entry {
    uint32_t size;        /* all of it, header included */
    int64_t first_offset; /* of the records that it holds */
    int64_t last_offset;
    int64_t max_time_ms;
    int32_t epoch;
};

struct journal_format {
    uint32_t header_bytes;    /* what measure needs; at most LIMIT_JOURNAL_HEADER_BYTES, and no entry is smaller */
    uint32_t entry_bytes_max; /* a size above is damage */
    /* From header_bytes bytes. false: this is no entry. Thread: any. */
    bool (*measure)(const uint8_t *header, struct journal_entry *ret_entry);
    /* Whether the whole entry is as it was written (its checksum). Thread: any. */
    bool (*verify)(struct slice entry);
};

/* ---- the data folder ---------------------------------------------------------------------------------------------------- */

struct journal_store_options {
    const struct env *env;
    const char *folder;                  /* made where it is missing; one process at a time: locked */
    const struct journal_format *format; /* static */
    /* An entry of a log that journal_log_open found behind the checkpoint, by its scan or from the stream, in order; also all that
     * lies behind journal_log_options.replay_from. `header` is lent. NULL: nobody asks. */
    void (*replayed)(void *context, struct journal_log *, const struct journal_entry *, struct slice header);
    void *context;
};

/* Locks the folder and reads checkpoints and write-ahead streams of all shards, however many there were. Blocks. ERR_FILE (also:
 * another process has it), ERR_IO, ERR_CORRUPT (damage in the middle of a stream or in a checkpoint: which, in diag),
 * ERR_SCHEMA_FUTURE, ERR_NOMEM. */
enum err journal_store_open(const struct journal_store_options *, struct diag *, struct journal_store **ret_store)
    __attribute__((warn_unused_result));
/* Whether the last owner closed it (journal_store_close after journal_close of all) rather than died. */
bool journal_store_was_clean(const struct journal_store *);
/* Whether there is any log on disk, whoever it belongs to: a catalogue that begins anew beside logs has been lost. Blocks. */
bool journal_store_has_logs(const struct journal_store *);
/* All logs are open. Makes durable what the opening found, begins new streams, and removes logs that nobody opened (they were
 * deleted). Blocks. On failure nothing was removed: close, and open again. So it also fails where journal_log_open did: such a log is
 * not one that nobody opened. */
enum err journal_store_recovered(struct journal_store *, struct diag *) __attribute__((warn_unused_result));
/* After the journals are closed. Leaves the clean mark, where all of them ended well. NULL is fine. Blocks. */
void journal_store_close(struct journal_store *);

/* ---- a shard ------------------------------------------------------------------------------------------------------------ */

/* 0 takes the default of base/limits.h. */
struct journal_options {
    struct loop *loop;
    struct pool *pool;
    uint32_t shard;          /* 0, 1, …: one journal each */
    uint32_t files_open_max; /* descriptors that are kept open while nobody needs them */
    uint64_t wal_file_bytes; /* of a file of the stream; the first ones are smaller */
    uint32_t wal_files_max;  /* past it appends with flush wait for a checkpoint */
    uint64_t warm_bytes;     /* what was appended since then is taken to be in the page cache */
    uint32_t checkpoint_ms;  /* what is written is synced no later than this */
    uint32_t syncs_max;      /* more segments than these are synced together with all else of their file system */
    uint32_t retention_ms;   /* between two looks at what is to be removed, and at what is idle */
};

enum err journal_open(struct journal_store *, const struct journal_options *, struct journal **ret_journal)
    __attribute__((warn_unused_result));
/* Takes no more appends; those submitted are finished, all is synced and marked clean. closed comes from the loop as the last;
 * logs, journal and all are gone then. Ranges must have been released before. */
void journal_close(struct journal *, void (*closed)(void *context, enum err), void *context);

struct journal_status {
    enum err failed;         /* OK, or why no appends are taken any more */
    bool disk_full;          /* the last append met a full disk */
    uint64_t appended_bytes; /* since it was opened */
    uint64_t appends;
    uint64_t flushed_bytes; /* of the stream, with its own bytes */
    uint64_t flushes;       /* writes of the stream: appends / flushes is the group */
    uint64_t flush_ns;      /* time spent in them */
    uint64_t checkpoints;
    uint32_t logs;
    uint32_t damaged; /* logs with damage that was met */
    uint32_t files_open;
    uint64_t wal_bytes; /* on disk */
};
void journal_status(const struct journal *, struct journal_status *ret_status);

/* ---- a log -------------------------------------------------------------------------------------------------------------- */

struct journal_key {
    uint8_t id[16]; /* of the topic; never used again for another */
    uint32_t partition;
};

/* Times and sizes below 0: without limit. */
struct journal_log_options {
    int64_t segment_bytes;   /* a segment ends before it becomes larger; 0: default. At most 2 GiB - 1 */
    int64_t segment_ms;      /* or when its first entry has been there for so long; 0: without limit */
    int64_t retention_bytes; /* closed segments beyond are removed, oldest first; 0: without limit */
    int64_t retention_ms;    /* segments whose newest time lies further back are removed; 0: without limit */
    /* Appends go to the write-ahead stream, whether they ask for it (flush) or not. A first append with flush sets it, after a
     * checkpoint; so set it for logs that will have such. */
    bool logged;
    /* At opening: store_options.replayed is told of entries from this offset on; below 0: of those that are not checkpointed. */
    int64_t replay_from;
    void *context; /* journal_log_context from the start on, for what is replayed; journal_log_configure leaves it */
};

/* Finds the log or begins a new, empty one, which is on disk with its first append. Blocks where the log exists: for the
 * opening, before anything is served. After journal_store_recovered only keys that never existed. ERR_ALREADY_EXISTS: it is open;
 * ERR_RESOURCE_EXHAUSTED: LIMIT_JOURNAL_LOGS; ERR_IO, ERR_FILE, ERR_NOMEM. Damage is no error here: journal_log_status. */
enum err journal_log_open(struct journal *, const struct journal_key *, const struct journal_log_options *,
                          struct journal_log **ret_log) __attribute__((warn_unused_result));
/* From the next append on. replay_from is not looked at. */
void journal_log_configure(struct journal_log *, const struct journal_log_options *);
/* Gone at once for the caller: appends that wait are done with ERR_CANCELLED, from the loop; files are removed by the pool.
 * Ranges that are held stay readable. */
void journal_log_delete(struct journal_log *);

const struct journal_key *journal_log_key(const struct journal_log *);
void journal_log_set_context(struct journal_log *, void *); /* the owner's, for done and replayed */
void *journal_log_context(const struct journal_log *);

/* The first offset that is there; 0 in a new log. */
int64_t journal_log_start(const struct journal_log *);
/* The next offset to be given: what was submitted counts. After a failed append it is again what it was before. */
int64_t journal_log_end(const struct journal_log *);
/* All below is as durable as was asked: what consumers may see. */
int64_t journal_log_stable(const struct journal_log *);

struct journal_log_status {
    enum err failed;        /* OK, or why it takes no appends */
    bool damaged;           /* damage was met: */
    int64_t damaged_offset; /* the first offset that cannot be read, at or after this */
    uint64_t bytes;         /* of all segments */
    uint32_t segments;
    int64_t last_time_ms; /* newest time of an entry; -1: none known */
};
void journal_log_status(const struct journal_log *, struct journal_log_status *ret_status);

/* Entries below offset are gone for readers at once (DeleteRecords); segments wholly below are removed. The start is durable with
 * the next checkpoint, as in Kafka. ERR_OUT_OF_RANGE: above stable. Below start: nothing to do. */
enum err journal_log_cut_start(struct journal_log *, int64_t offset) __attribute__((warn_unused_result));

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

/* One append on its way; the caller's memory until done. It holds one entry, or several with entries > 1. */
struct journal_append {
    struct journal_append *next; /* the journal's */
    struct journal_log *log;
    struct block *block;  /* a reference, given back before done; NULL: bytes stay valid until done */
    struct slice bytes;   /* whole entries, stamped with their offsets */
    int64_t first_offset; /* journal_log_end() at the time of submission */
    int64_t last_offset;
    int64_t max_time_ms;
    uint32_t entries;
    int32_t epoch; /* of the (last) entry */
    bool flush;    /* done when it is durable, not when it is written; always so in a log with options.logged */
    void (*done)(struct journal_append *, enum err);
    int64_t base; /* private: where it ends */
    uint64_t position;
    enum err result;
};

/* Never fails: errors come with done. An append that fails fails those that were submitted behind it to the same log, as their
 * offsets are not theirs any more: journal_log_end is then that of the first. ERR_DISK_FULL, ERR_IO, ERR_CANCELLED (closing,
 * deleted), ERR_OUT_OF_RANGE (first_offset is not the end), ERR_MESSAGE_TOO_LARGE, ERR_NOMEM. */
void journal_submit(struct journal_append *);

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

/* A piece of a log's file. While it is held the file stays open and its bytes in place, even if the log is cut or deleted. */
struct journal_range {
    struct journal_file *file; /* a reference; NULL: empty, offset is the end */
    uint64_t position;         /* in the file */
    uint64_t size;             /* whole entries */
    int64_t first_offset;      /* of the first entry: at or below the offset asked for */
    bool
        warm; /* position and size are known, and the bytes are in the page cache. Otherwise journal_range_resolve is next, in
                  a pool */
    int64_t offset; /* what was asked for; private from here on */
    uint64_t bytes_max;
    uint64_t limit;
    bool trusted; /* no write or sync of its log has failed */
    uint32_t index_count;
};

/* Where entries from offset on lie, up to the stable offset: whole ones, at most max_bytes but at least one, of one segment. At the
 * stable offset: OK with an empty range. ERR_OUT_OF_RANGE: below start or above stable; ERR_CORRUPT: damage; ERR_IO, ERR_FILE (no
 * descriptor left), ERR_NOMEM. */
enum err journal_find(struct journal_log *, int64_t offset, uint64_t max_bytes, struct journal_range *ret_range)
    __attribute__((warn_unused_result));
/* For a range that is not warm: finds the entries on disk, verifies each, checks them against the seals of the index, which finds
 * misdirected and stale blocks, and so draws them into the page cache; what this process wrote itself, and is there still, is not
 * looked at. The range ends before an entry that is bad. Blocks. Thread:
 * any, one at a time. ERR_CORRUPT (the first entry is bad), ERR_IO: tell journal_log_damaged from the loop. The range is held in
 * any case. */
enum err journal_range_resolve(struct journal_range *) __attribute__((warn_unused_result));
/* Bytes of a resolved range, from `at` on. Thread: any. */
enum err journal_range_read(const struct journal_range *, uint64_t at, void *to, size_t size, size_t *ret_size)
    __attribute__((warn_unused_result));
void journal_range_release(struct journal_range *); /* an empty one is fine; leaves it empty */
/* Takes another reference: for a part of an answer that outlives the range. */
struct journal_file *journal_file_ref(struct journal_file *);
void journal_file_unref(struct journal_file *); /* NULL is fine */
/* Valid while a reference is held. Thread: any. */
int journal_file_fd(const struct journal_file *);

/* A reader met damage at this offset: the log is marked. */
void journal_log_damaged(struct journal_log *, int64_t offset);

/* The first entry whose max_time_ms is at or after time_ms, among those from start to stable; ret_offset -1: none. Reads some
 * blocks of indexes and of one segment on the calling thread: for rare requests. */
enum err journal_find_time(struct journal_log *, int64_t time_ms, int64_t *ret_offset, int64_t *ret_time_ms)
    __attribute__((warn_unused_result));

#endif
