/* A journal under test, on the machine or on its twin, with entries of its own format and a model of what must be there.
 *
 * An entry: first offset 8, size 4, records 4, time 8, epoch 4, CRC32C of all that and of the rest 4; then bytes that follow from its
 * first offset and the log's number. */
#ifndef PRISM_TESTS_JOURNAL_WORLD_H
#define PRISM_TESTS_JOURNAL_WORLD_H

#include "../harness.h"
#include "journal/journal.h"
#include "rt/sim/sim.h"

enum { ENTRY_HEADER_BYTES = 32, WORLD_LOGS = 8, ENTRY_BYTES_MAX = 1 << 20 };
extern const struct journal_format entry_format;

struct world;
/* What was submitted of a log, in order; entries of one record or more. */
struct known {
    int64_t first, last;
    int64_t time_ms;
    uint32_t size;
    bool acknowledged; /* with flush, or in a log of which nothing was lost by power */
};
struct world_log {
    struct world *world;
    struct journal_key key;
    struct journal_log_options options;
    struct journal_log *log;
    struct known *known;
    uint32_t known_count, known_capacity;
    int64_t acknowledged;  /* all below must survive a crash */
    int64_t replayed_next; /* behind the last entry that the store told of at the opening; -1: none */
};
struct world {
    struct sim *sim; /* NULL: the machine */
    const struct env *env;
    struct loop *loop;
    struct pool *pool;
    char folder[64];
    struct journal_store *store;
    struct journal *journal;
    struct journal_options options;
    struct world_log logs[WORLD_LOGS];
    uint32_t log_count;
    uint32_t in_flight;
    uint32_t done_ok, done_failed;
    enum err last_err;
    bool closed;
    enum err closed_err;
    bool flushes; /* appends ask for it */
    uint64_t random;
};

/* seed 0: the machine, in a folder of its own under TMPDIR. */
enum err world_new(struct world *, uint64_t seed);
void world_free(struct world *); /* closed or not; removes the folder */
uint64_t world_choose(struct world *, uint64_t n);

/* Opens store, journal and logs 0 … count - 1; replays. On failure nothing is open. */
enum err world_open(struct world *, uint32_t count);
/* Waits for what is in flight, closes cleanly. */
enum err world_close(struct world *);
/* The process dies: nothing is written any more. power: so does the machine, and what was not synced may be lost. */
void world_die(struct world *, bool power);

/* An entry of `size` bytes and `records` records for the end of the log. ERR_NOMEM: nothing was submitted. */
enum err world_append(struct world *, uint32_t log, uint32_t size, uint32_t records);
/* Until nothing is in flight. */
void world_settle(struct world *);
void world_turn(struct world *);

/* Reads the log from start to stable and compares it with what was submitted: dense, whole, nothing acknowledged missing. What was
 * not acknowledged may be there or not; what is not is forgotten. Returns an error of reading. */
enum err world_check(struct world *, uint32_t log);
enum err world_check_all(struct world *);
/* The same with what was not acknowledged as well: nothing at all is missing. */
void world_check_whole(struct world *, uint32_t log);

/* Bytes of an entry, to.size >= size. */
void entry_fill(uint8_t *to, uint32_t size, uint32_t log, int64_t first, uint32_t records, int64_t time_ms);

#endif
