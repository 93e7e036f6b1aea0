/* A small state machine on a ledger, for tests: entry n sets cell n % BOOK_CELLS to n. What was acknowledged is noted, so that
 * it can be held against what an opening finds. Its disk can be told to fail. */
#ifndef PRISM_TESTS_JOURNAL_BOOK_H
#define PRISM_TESTS_JOURNAL_BOOK_H

#include "journal/ledger.h"
#include "rt/sim/sim.h"

enum { BOOK_CELLS = 7, BOOK_PENDING = 4096 };

/* An environment whose disk counts its calls and can be told to fail from one on. */
struct flaky {
    struct env env; /* first: what is passed as the env is this */
    struct env_disk disk;
    const struct env *under;
    uint64_t calls;   /* that can fail, made so far */
    uint64_t fail_at; /* 0: none does; the first is 1 */
    bool forever;     /* and all later ones */
    enum err err;
    size_t torn_bytes; /* a write that fails first writes so much of it */
};
void flaky_init(struct flaky *, const struct env *under);
/* The n-th call from now on. */
void flaky_plan(struct flaky *, uint64_t n, bool forever, enum err);

struct book {
    struct flaky disk;
    struct sim *sim; /* NULL: the machine */
    struct loop *loop;
    struct pool *pool;
    char path[128];
    struct ledger *ledger;
    struct diag diag;
    struct arena arena;
    uint64_t compact_bytes;
    size_t padding_bytes; /* of each entry */
    bool forgetful;       /* has no snapshot */

    uint64_t appended;            /* entries taken so far */
    uint64_t cells[BOOK_CELLS];   /* by what was acknowledged */
    uint64_t found[BOOK_CELLS];   /* by the last opening */
    uint64_t applied, last_found; /* entries of the last opening, the number of the last one */
    uint64_t acknowledged, last_acknowledged;
    uint64_t refused;
    enum err refused_with;
    bool out_of_order, closed;
};

/* In memory from a seed, or, seed 0, on the machine in a folder of its own. */
enum err book_new(struct book *, uint64_t seed);
void book_free(struct book *); /* after book_close */
enum err book_open(struct book *);
void book_close(struct book *); /* not open is fine */
enum err book_append(struct book *);
/* Until all that was appended has been told. */
void book_settle(struct book *);
/* Appends n, each alone; ends at the first that is not taken. */
void book_write(struct book *, uint64_t n);
/* The whole file, in the arena. */
struct slice book_bytes(struct book *);
void book_replace(struct book *, struct slice bytes);
/* What the last opening found is what some number of entries lead to, between those acknowledged and those appended. */
bool book_is_honest(const struct book *);

#endif
