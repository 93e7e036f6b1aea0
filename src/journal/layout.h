/* What the journal's files look like, byte by byte; drawn in README.md. Numbers are little-endian. Private.
 *
 *   DATA/lock                        flock: one process
 *   DATA/clean                       the last owner closed everything; gone while it runs
 *   DATA/checkpoint-<shard>          up to where each log of the shard is synced
 *   DATA/wal/<shard>/<number>.wal    the write-ahead stream
 *   DATA/logs/<id>-<partition>/<base offset>.log, .index
 *
 * Thread: any. */
#ifndef PRISM_JOURNAL_LAYOUT_H
#define PRISM_JOURNAL_LAYOUT_H

#include "journal/journal.h"

enum {
    JOURNAL_KEY_BYTES = 20,
    JOURNAL_PATH_BYTES = 512,   /* of any file of the data folder */
    JOURNAL_INDEX_BYTES = 24,   /* an entry of an index */
    JOURNAL_INDEX_BLOCK = 4096, /* the first entry that begins in such a block has an entry in the index */
    JOURNAL_WAL_ALIGN = 4096,   /* batches of the stream begin at multiples */
    JOURNAL_WAL_BATCH_BYTES = 40,
    JOURNAL_WAL_RECORD_BYTES = 64,
    JOURNAL_CHECKPOINT_HEADER_BYTES = 32,
    JOURNAL_CHECKPOINT_BYTES = 72,
};

/* Paths: false where the buffer is too small. suffix "": the folder. */
bool layout_log_folder(char out[JOURNAL_PATH_BYTES], const char *folder, const struct journal_key *);
bool layout_log_path(char out[JOURNAL_PATH_BYTES], const char *folder, const struct journal_key *, int64_t base,
                     const char *suffix);
bool layout_wal_folder(char out[JOURNAL_PATH_BYTES], const char *folder, uint32_t shard);
bool layout_wal_path(char out[JOURNAL_PATH_BYTES], const char *folder, uint32_t shard, uint64_t number);
bool layout_checkpoint_path(char out[JOURNAL_PATH_BYTES], const char *folder, uint32_t shard, const char *suffix);
bool layout_path(char out[JOURNAL_PATH_BYTES], const char *folder, const char *name);
/* "00000000000000000042.log" with ".log": 42. false: another name. */
bool layout_number_of(const char *name, const char *suffix, uint64_t *ret_number);
bool layout_key_of(const char *name, struct journal_key *ret_key);
void layout_key_bytes(const struct journal_key *, uint8_t out[JOURNAL_KEY_BYTES]);

/* ---- an index: one of these for the first entry that begins in a block of 4 KiB, and one that ends a closed segment ---------- */

struct index_entry {
    int64_t offset;     /* of the entry's first record */
    int64_t max_before; /* newest time of the segment's entries before this one; INT64_MIN: none */
    uint32_t position;
    uint32_t seal; /* of the entry that lies there (layout_seal); 0 in the one that ends a closed segment */
};
/* The check takes in whose index it is and the entry's rank: nothing of another file, or stale, is taken for it. */
void layout_index_encode(const struct index_entry *, const struct journal_key *, int64_t base, uint32_t rank,
                         uint8_t out[JOURNAL_INDEX_BYTES]);
bool layout_index_decode(const uint8_t in[JOURNAL_INDEX_BYTES], const struct journal_key *, int64_t base, uint32_t rank,
                         struct index_entry *ret_entry);
/* What makes an entry this one, at this place: CRC32C over key, position and header. */
uint32_t layout_seal(const struct journal_key *, int64_t base, uint32_t position, struct slice header);

/* ---- the write-ahead stream: batches, each one write and one sync, of records, each one append --------------------------------- */

struct wal_batch {
    uint64_t number;   /* of the file: stale bytes of a file that is used again have another */
    uint64_t position; /* in it */
    uint64_t sequence; /* one more than that of the batch before */
    uint32_t bytes;    /* with this header, without the padding behind */
    uint32_t records;
};
struct wal_record {
    struct journal_key key;
    int32_t epoch;
    int64_t first_offset, last_offset, max_time_ms;
    uint32_t size; /* of the entries behind, padded to 8 */
    uint32_t entries;
};
/* Into the header's place of a batch whose records are in place behind it. */
void layout_batch_seal(const struct wal_batch *, uint8_t *batch);
/* false: no batch of this file and place begins here. Its body is not looked at. */
bool layout_batch_decode(const uint8_t in[JOURNAL_WAL_BATCH_BYTES], uint64_t number, uint64_t position,
                         struct wal_batch *ret_batch);
bool layout_batch_whole(struct slice batch);
void layout_record_encode(const struct wal_record *, uint8_t out[JOURNAL_WAL_RECORD_BYTES]);
void layout_record_decode(const uint8_t in[JOURNAL_WAL_RECORD_BYTES], struct wal_record *ret_record);
static inline uint64_t layout_padded(uint64_t size, uint64_t to)
{
    return (size + to - 1) / to * to;
}

/* ---- a checkpoint --------------------------------------------------------------------------------------------------------- */

struct checkpoint_header {
    uint64_t wal_first; /* files of the stream with lower numbers are not needed any more */
    uint32_t shard;
    uint32_t count;
};
struct checkpoint_entry {
    struct journal_key key;
    int64_t start;       /* of the log */
    int64_t base;        /* of the segment that was the last one */
    int64_t next;        /* the offset behind what is synced */
    uint64_t position;   /* where that is in the segment */
    int64_t max_time_ms; /* of that segment */
    int64_t created_ms;
};
void layout_checkpoint_put(const struct checkpoint_entry *, uint8_t out[JOURNAL_CHECKPOINT_BYTES]);
void layout_checkpoint_get(const uint8_t in[JOURNAL_CHECKPOINT_BYTES], struct checkpoint_entry *ret_entry);
/* whole: header, entries; seals it. */
void layout_checkpoint_seal(const struct checkpoint_header *, uint8_t *whole);
/* ERR_CORRUPT, ERR_SCHEMA_FUTURE. */
enum err layout_checkpoint_check(struct slice whole, struct checkpoint_header *ret_header)
    __attribute__((warn_unused_result));

#endif
