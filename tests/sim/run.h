/* One run of the simulator: a seed, a twin, a server on it that dies and comes back, clients that do not give up. What the parts
 * know of each other.
 *
 *   main.c      seeds, plants, what is printed
 *   run.c       the course of a run: lives, deaths, healing, judgement
 *   choices.c   what a seed decides
 *   node.c      the server: journal, producers, ledger of groups
 *   node_io.c   its requests: produce, fetch, commit
 *   clients.c   producers, consumers that commit for their group
 *   judge.c     invariants, the history, what is read at the end
 *   rot.c       a byte that changes afterwards
 *
 * Everything happens on one loop of the twin, in one thread. Nothing is taken from the machine: equal seeds give equal traces. */
#ifndef PRISM_TESTS_SIM_RUN_H
#define PRISM_TESTS_SIM_RUN_H

#include "base/buf.h"
#include "journal/journal.h"
#include "rt/sim/disk.h"
#include "tests/proof/stream.h"

enum {
    PARTITIONS_MAX = 3,
    PRODUCERS_MAX = 3,
    CONSUMERS_MAX = 3,
    LIVES_MAX = 8,
    BATCHES_MAX = 64, /* of a lane */
    RECORDS_MAX = 4,  /* of a batch */
    VIOLATION_BYTES = 512,
};

/* Faults that a test plants, to see that they are found. */
enum plant {
    PLANT_NONE,
    PLANT_ACK_EARLY,         /* acknowledges what is not flushed */
    PLANT_COMMIT_EARLY,      /* the same of a group's commit */
    PLANT_NO_DUPLICATES,     /* takes a batch again that it has */
    PLANT_FORGETS_PRODUCERS, /* does not learn them from the log at its start */
    PLANT_WRONG_OFFSET,      /* tells another offset than the batch has */
    PLANT_SKIPS_STREAM,      /* recovers without the write-ahead stream */
    PLANT_CUTS_MIDDLE,       /* cuts a log in its middle before it recovers */
    PLANT_LYING_SYNC,        /* the disk says that it has synced, and has not */
    PLANT_HIDES_DAMAGE,      /* passes over what it cannot read */
    PLANTS,
};
const char *plant_name(enum plant);

/* What a seed decides before anything runs. */
struct choices {
    uint32_t partitions, producers, consumers, lives;
    bool flush[PARTITIONS_MAX]; /* durability; else memory */
    uint32_t batches;           /* of a lane */
    uint32_t value_bytes_max;
    uint32_t segment_bytes, wal_file_bytes, wal_files, checkpoint_ms, syncs_max;
    uint32_t delay_ms; /* of a request, and of an answer, at most */
    bool power;        /* deaths may be those of the machine; logs without flush then lose their end */
};

/* How a life ends, and what its disk does meanwhile. */
enum death { DEATH_STOP, DEATH_KILL, DEATH_POWER };
struct life {
    enum death death;
    uint32_t ms; /* it lasts so long, where nothing ends it before */
    struct sim_disk_plan plan;
    uint64_t disk_bytes; /* UINT64_MAX: no end */
    bool cuts;           /* connections are lost now and then */
};

struct node;
struct clients;
struct judge;

struct run {
    uint64_t seed;
    enum plant plant;
    struct choices choices;
    struct sim *sim;
    const struct env *env;
    struct loop *loop;
    struct pool *pool;
    struct node *node; /* NULL: dead */
    struct clients *clients;
    struct judge *judge;
    FILE *out; /* of the trace; NULL: nobody reads it */
    uint64_t trace_hash, trace_lines;
    bool healed;
    char violation[VIOLATION_BYTES]; /* the first one; "": none */
};

/* A line of the trace: time, words. */
void run_trace(struct run *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Something that must not be. The first is kept. */
void run_violate(struct run *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the process: what is left of the run cannot be taken apart. */
_Noreturn void run_give_up(struct run *, const char *why);
static inline bool run_failed(const struct run *r)
{
    return *r->violation;
}
/* The whole course. true: no violation. `out` NULL: no trace is written. */
bool run_seed(uint64_t seed, enum plant, struct pool *, FILE *out, struct run *ret_run);

struct choices choose_run(struct sim *);
struct life choose_life(struct sim *, const struct choices *);

/* ---- the server -------------------------------------------------------------------------------------------------------------- */

struct produce {
    uint32_t partition;
    struct slice batch; /* lent for the call */
    /* err OK: at this offset. From the loop, or from inside node_produce; exactly once, also when the node dies. */
    void (*answer)(struct produce *, enum err, int64_t offset);
};
struct commit {
    uint32_t group, partition;
    int64_t offset;
    void (*answer)(struct commit *, enum err);
};
typedef void record_fn(void *context, int64_t offset, uint64_t value);

/* Opens what the disk has. ret_node NULL on failure. */
enum err node_open(struct run *, struct node **ret_node);
/* In an orderly way: everything is written. */
enum err node_stop(struct node *);
/* Taken apart while its disk takes no calls. */
void node_die(struct node *);
/* The journal refuses to go on, or the ledger: only opening it anew helps. */
bool node_is_broken(const struct node *);
void node_produce(struct node *, struct produce *);
void node_commit(struct node *, struct commit *);
int64_t node_committed(const struct node *, uint32_t group, uint32_t partition); /* -1: nothing */
/* Records from `from` on, at most bytes_max; *ret_next: where to go on. */
enum err node_fetch(struct node *, uint32_t partition, int64_t from, uint64_t bytes_max, record_fn *, void *context,
                    int64_t *ret_next);
struct node_bounds {
    int64_t start, stable, end;
    bool damaged;
};
struct node_bounds node_bounds(const struct node *, uint32_t partition);

/* ---- the clients ------------------------------------------------------------------------------------------------------------- */

enum err clients_new(struct run *, struct clients **ret_clients);
void clients_free(struct clients *);
void clients_connect(struct clients *); /* the node is there (again) */
void clients_cut(struct clients *);     /* requests and answers on their way are lost, until clients_connect */
void clients_forget(struct clients *, uint32_t partition); /* what was not acknowledged is sent under a new epoch */
bool clients_done(const struct clients *);
void clients_describe(const struct clients *, char *to, size_t size);

/* ---- the judge --------------------------------------------------------------------------------------------------------------- */

enum err judge_new(struct run *, struct judge **ret_judge);
void judge_free(struct judge *);
void judge_event(struct judge *, enum stream_kind, uint32_t process, uint32_t partition, uint64_t value,
                 int64_t offset);
/* After each turn. */
void judge_step(struct judge *);
/* The node has come back; lost: what was not flushed may be gone. */
void judge_opened(struct judge *, bool lost);
/* Reads all, and judges the history. */
void judge_end(struct judge *);
/* Of what was read then. */
bool judge_knows(const struct judge *, uint32_t partition, int64_t offset, uint64_t value);
bool judge_knows_bounds(const struct judge *, uint32_t partition, int64_t start, int64_t end);

/* ---- afterwards -------------------------------------------------------------------------------------------------------------- */

/* rot.c: the server has stopped; damages a byte, opens it, and compares. */
void rot_and_check(struct run *);

#endif
