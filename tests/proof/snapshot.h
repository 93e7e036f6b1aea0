/* Are the transactions of a history snapshot-isolated, each with a snapshot no older than its begin?
 *
 * The rules (A. Adya, "Weak Consistency", 1999, 4.3; in real time as by Daudjee and Salem, "Lazy Database Replication with
 * Snapshot Isolation", 2006): there is a moment b of each transaction inside its begin call, and a moment c inside its commit call,
 * so that it reads what the last commit before b has left, and of two that write one key the first one's c lies before the other's b.
 *
 * Each write must be of a key that the transaction has read before, and each value is written once. So the order of a key's
 * versions is known, and the rules become "this moment lies before that one":
 *
 *   T reads what U wrote            c(U) < b(T)
 *   T reads what U overwrote        b(T) < c(U)
 *   an answer before a question     as the clock says
 *
 * The history keeps the rules if and only if these have no circle (K. Kingsbury, P. Alvaro, "Elle", 2020, finds them in the same
 * way). Lost updates, reads of what was rolled back and the like are told by name before.
 *
 * Thread: any; no state besides the caller's. */
#ifndef PRISM_TESTS_SNAPSHOT_H
#define PRISM_TESTS_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SNAPSHOT_OPS_MAX = 16, SNAPSHOT_KEYS_MAX = 64 };

struct snapshot_op {
    bool write;
    unsigned key;
    uint64_t value; /* written; or seen, 0: absent */
};

enum snapshot_outcome {
    SNAPSHOT_COMMITTED,
    SNAPSHOT_ABORTED, /* rolled back, refused, or commit was never asked for */
    SNAPSHOT_UNKNOWN, /* commit was asked for, there is no answer */
};

struct snapshot_interval {
    uint64_t began_ns, ended_ns;
};

struct snapshot_transaction {
    struct snapshot_op ops[SNAPSHOT_OPS_MAX]; /* answered ones, in their order */
    unsigned count;
    enum snapshot_outcome outcome;
    struct snapshot_interval begin;  /* the call that took the snapshot */
    struct snapshot_interval commit; /* SNAPSHOT_UNKNOWN: ended_ns means nothing; SNAPSHOT_ABORTED: nothing does */
    unsigned caller;                 /* for people */
};

enum snapshot_verdict {
    SNAPSHOT_KEPT,
    SNAPSHOT_GARBAGE,      /* a value that nobody wrote to that key, or not yet */
    SNAPSHOT_ABORTED_READ, /* G1a: a value of a transaction that did not commit */
    SNAPSHOT_INTERMEDIATE, /* G1b: a value that its transaction overwrote itself */
    SNAPSHOT_OWN_WRITE,    /* a transaction does not see what it wrote */
    SNAPSHOT_UNREPEATABLE, /* two reads of a key differ in one transaction */
    SNAPSHOT_LOST_UPDATE,  /* two overwrote the same version */
    SNAPSHOT_CIRCLE,       /* torn or stale snapshots, G0, G1c */
    SNAPSHOT_UNDECIDED,    /* memory is out, a write without a read before it, or a value written twice */
};
const char *snapshot_verdict_name(enum snapshot_verdict);

/* Which transactions show it; of a circle all of its moments, in order. */
enum { SNAPSHOT_WITNESSES_MAX = 24 };
struct snapshot_witness {
    size_t transaction;
    bool commit; /* of a circle: its moment c, else b */
};
struct snapshot_report {
    enum snapshot_verdict verdict;
    struct snapshot_witness witnesses[SNAPSHOT_WITNESSES_MAX];
    unsigned count;
};

/* Values lie in 1 … value_max. */
struct snapshot_report snapshot_check(const struct snapshot_transaction *, size_t count, uint64_t value_max);

/* The witnesses, one line each, times from the first one in microseconds. */
void snapshot_print(FILE *, const struct snapshot_transaction *, const struct snapshot_report *);

#endif
