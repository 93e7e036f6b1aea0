/* One run of the simulated broker: a seed, a twin, the production broker on it that dies and comes back, clients that speak to it
 * over connections of the twin's network and do not give up. What the parts know of each other.
 *
 *   main.c      seeds, plants, what is printed
 *   run.c       the course of a run: lives, deaths, healing, judgement
 *   peer.c      a client's connection: requests in order, answers in order, again when it is lost
 *   clients.c   idempotent producers, a reader that follows the log
 *   plants.c    faults that are put between the broker's parts by the linker
 *
 * Everything happens in one thread. Nothing is taken from the machine: equal seeds give equal traces. */
#ifndef PRISM_TESTS_SIM_BROKER_RUN_H
#define PRISM_TESTS_SIM_BROKER_RUN_H

#include "base/arena.h"
#include "base/buf.h"
#include "kafka/header.h"
#include "rt/conn.h"
#include "rt/sim/disk.h"
#include "streamer/broker.h"
#include "tests/proof/stream.h"

enum {
    PARTITIONS_MAX = 3,
    PRODUCERS_MAX = 3,
    LIVES_MAX = 6,
    BATCHES_MAX = 40, /* of a lane */
    RECORDS_MAX = 4,  /* of a batch */
    VIOLATION_BYTES = 512,
};
#define BROKER_ADDRESS "127.0.0.1:9092"
#define TOPIC_NAME SLICE("orders")

enum plant {
    PLANT_NONE,
    PLANT_NO_DUPLICATES,     /* a batch sent again is taken again */
    PLANT_FORGETS_PRODUCERS, /* they are not learnt from the log at its start */
    PLANT_LYING_SYNC,        /* the disk says that it has synced, and has not */
    PLANTS,
};

struct choices {
    uint32_t workers, partitions, producers, lives, batches, value_bytes_max;
    uint32_t wal_file_bytes, wal_files, checkpoint_ms;
};

enum death { DEATH_STOP, DEATH_KILL, DEATH_POWER };
struct life {
    enum death death;
    uint32_t ms;
    struct sim_disk_plan plan;
    uint64_t disk_bytes; /* UINT64_MAX: no end */
    bool cuts;           /* connections are lost now and then */
};

struct clients;

struct run {
    uint64_t seed;
    enum plant plant;
    struct choices choices;
    struct sim *sim;
    struct loop *control;
    struct broker *broker; /* NULL: dead */
    struct clients *clients;
    struct stream_event *events;
    size_t event_count, event_capacity;
    FILE *out;
    uint64_t trace_hash, trace_lines;
    bool healed, stopped;
    char violation[VIOLATION_BYTES];
};

void run_trace(struct run *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void run_violate(struct run *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void run_event(struct run *, enum stream_kind, uint32_t process, uint32_t partition, uint64_t value, int64_t offset);
static inline bool run_failed(const struct run *r)
{
    return *r->violation;
}
bool run_seed(uint64_t seed, enum plant, FILE *out, struct run *ret_run);

/* ---- a client's connection --------------------------------------------------------------------------------------------------- */

enum { PEER_REQUESTS = 16 };

struct peer_request {
    const struct kafka_api *api;
    int16_t version;
    int32_t correlation;
    uint32_t lane, batch; /* the owner's */
};

struct peer {
    struct run *run;
    struct conn *conn; /* NULL: none */
    bool open, wanted;
    struct buf in;
    struct arena arena;
    struct timer again;
    int32_t correlation;
    struct peer_request requests[PEER_REQUESTS]; /* without an answer, a ring */
    uint32_t first, count;
    void (*on_ready)(struct peer *);
    void (*on_answer)(struct peer *, const struct peer_request *, const void *response);
};

void peer_init(struct peer *, struct run *);
void peer_fini(struct peer *);    /* it has no connection */
void peer_connect(struct peer *); /* and again, until peer_leave */
void peer_leave(struct peer *);
void peer_drop(struct peer *); /* this connection; the next is opened in a moment */
bool peer_is_gone(const struct peer *);
static inline bool peer_may_ask(const struct peer *p)
{
    return p->open && p->count < PEER_REQUESTS;
}
void peer_ask(struct peer *, int16_t key, int16_t version, const void *request, uint32_t lane, uint32_t batch);

/* ---- the clients ------------------------------------------------------------------------------------------------------------- */

enum err clients_new(struct run *, struct clients **ret_clients);
void clients_free(struct clients *);
void clients_connect(struct clients *);
void clients_leave(struct clients *);
bool clients_gone(const struct clients *);
bool clients_done(const struct clients *);
void clients_tell_bounds(const struct clients *);
/* The reader begins anew; then clients_done waits for it alone: what it is given is the last reading. */
void clients_read_again(struct clients *);

/* ---- plants ------------------------------------------------------------------------------------------------------------------ */

/* For the run that follows: what the wrapped calls of plants.c do. */
void plants_set(const struct run *);

#endif
