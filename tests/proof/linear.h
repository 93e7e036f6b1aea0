/* Is the history of one key linearizable? The key is a register: absent (0) or a value; set, get, exists, delete, compare-and-swap,
 * and the end of a value's time to live: an operation that nobody asked for, which makes the register absent if it still has that
 * value. It lies as long after its set as the value was to live.
 *
 * Each operation has the time of its invocation and of its answer. A history is linearizable if each operation can be given one
 * moment between the two so that a register that does them in that order gives the same answers. An operation without an answer
 * (cancelled, connection lost) may have happened at any moment after its invocation, or never.
 *
 * Method: Wing and Gong's search, memoized, in the just-in-time form of G. Lowe, "Testing for linearizability" (2017): walk the
 * invocations and answers in order of time, keep all configurations (state, set of open operations that have happened), and let
 * operations happen only when an answer asks for it. Operations that change nothing happen as soon as they fit, which loses no
 * solution. A configuration is dropped where another has the same state and fewer operations without answer used up.
 *
 * Values must be unique a write (except 0), so that a read tells which write it saw. Thread: any; no state besides the caller's. */
#ifndef PRISM_TESTS_LINEAR_H
#define PRISM_TESTS_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum linear_kind { LINEAR_GET, LINEAR_SET, LINEAR_DELETE, LINEAR_CAS, LINEAR_EXISTS, LINEAR_EXPIRES };

struct linear_op {
    enum linear_kind kind;
    bool unknown;      /* no answer: ended_ns and the answer's fields mean nothing */
    bool done;         /* answer: a delete found something, a CAS swapped, exists; true for SET and EXPIRES */
    uint64_t value;    /* written by SET, CAS; ended by EXPIRES */
    uint64_t expected; /* CAS; 0: absent */
    uint64_t seen;     /* answer: of GET, and of a CAS that did not swap; 0: absent */
    uint64_t began_ns;
    uint64_t ended_ns; /* at least began_ns */
    unsigned caller;   /* for the printed history */
};

/* Open operations at one moment, those without answer included. */
enum { LINEAR_OPEN_MAX = 64, LINEAR_CONFIGURATIONS_MAX = 1 << 16 };

enum linear_verdict {
    LINEAR_YES,
    LINEAR_NO,
    LINEAR_UNDECIDED, /* more open operations or configurations than the maximum: nothing is known */
};

/* The register may begin in any of the states. */
enum linear_verdict linear_check(const struct linear_op *, size_t count, const uint64_t *states, size_t state_count);

/* All states that the register can be in after the history, into room for count + state_count + 1; their number. 0: none, or
 * undecided. */
size_t linear_ends(const struct linear_op *, size_t count, const uint64_t *states, size_t state_count,
                   uint64_t *ret_states);

/* A violation made small: part of the history, and the states that its register may begin in, that is still one. Every step
 * keeps the implication "the small one is a violation, so the large one is". The caller frees both with mem_free. */
struct linear_core {
    struct linear_op *ops;
    size_t count;
    uint64_t *states;
    size_t state_count;
};
/* Begins absent. false: it is no violation, or memory is out. */
bool linear_shrink(const struct linear_op *, size_t count, struct linear_core *ret_core);
void linear_core_fini(struct linear_core *);

/* One line an operation, in order of invocation, times from the first one in microseconds. */
void linear_print(FILE *, const struct linear_core *);

#endif
