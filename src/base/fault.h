/* Named fault points: places where a test, or a brave operator, lets things go wrong.
 *
 *   if (FAULT("sqlite.commit"))
 *       return ERR_IO;                      as if the disk had said so
 *
 *   fault_arm("sqlite.commit=1/10,journal.append=@3,mem.alloc=@7+", 42);
 *       every tenth commit fails on average, chosen by the seed 42; the third append fails, the others do not; the seventh
 *       allocation and all after it fail
 *
 * Always compiled in. While a point is not armed it costs one load and one branch not taken. What fires depends on the seed,
 * the point's name and the number of the pass alone: the same run fails the same way.
 *
 * Points are the one kind of object outside src/cmd that is global and changes, as the thing that they disturb is the program
 * itself. Thread: FAULT and counts from any; arm and disarm from one at a time. */
#ifndef PRISM_BASE_FAULT_H
#define PRISM_BASE_FAULT_H

#include <stdatomic.h>

#include "base/err.h"
#include "base/slice.h"

struct fault_point {
    const char *name;
    atomic_uint armed;    /* 0: never fires */
    uint32_t numerator;   /* fires in numerator of denominator passes… */
    uint32_t denominator; /* …or, where this is 0, in pass number numerator… */
    bool onwards;         /* …and in all later ones; otherwise in that one alone */
    uint64_t seed;
    atomic_uint_fast64_t passes; /* while armed */
    atomic_uint_fast64_t fired;
};

/* Whether this pass is to fail. name is a string literal; points of one name are armed together. */
#define FAULT(literal)                                                                                                 \
    ({                                                                                                                 \
        static struct fault_point point_ = {.name = "" literal};                                                       \
        __attribute__((used, section("fault_points"))) static struct fault_point *const point_entry_ = &point_;        \
        __builtin_expect(atomic_load_explicit(&point_.armed, memory_order_acquire) != 0, 0) && fault_fires(&point_);   \
    })
bool fault_fires(struct fault_point *);

/* Arms what the list names: name=N/M (N of M passes), name=@N (the N-th pass from now on), name=@N+ (that and all later
 * ones), separated by commas; a name may
 * end in * and then means all that begin so. Counters of these start over. ERR_INVALID_ARGUMENT: the list is not of this
 * form; ERR_NOT_FOUND: a name matches nothing. Nothing is armed then. */
enum err fault_arm(const char *list, uint64_t seed) __attribute__((warn_unused_result));
void fault_disarm_all(void);
/* All points that are linked in, in no order: NULL at the end. Points inside a function that is inlined or made twice may
 * appear twice under one name. */
const struct fault_point *fault_at(uint32_t index);
/* How often points of this name have fired since they were armed. */
uint64_t fault_count(const char *name);

#endif
