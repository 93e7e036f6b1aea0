/* Random operations of all six key-value interfaces on a driver, each answer compared with a sorted array that knows the rules of
 * api.md. One thread; the seed decides everything. A driver joins in as one more subject:
 *
 *   static const struct model_subject memory = {.name = "memory", .begin = begin, .end = end};
 *   TEST(memory_agrees_with_the_model) { model_run(&memory, 100000); }
 *
 * Where an answer is wrong the script is made short: operations are left out as long as one is still wrong. What is left is printed,
 * step by step, with the line that runs it again:
 *
 *   PRISM_SCRIPT=7:12,871,90011 build/unit/drivers/memory/test_model        the seed, and which of its operations
 *   PRISM_SEED=7 PRISM_OPERATIONS=1000000 build/unit/drivers/memory/test_model        another run */
#ifndef PRISM_TESTS_MODEL_H
#define PRISM_TESTS_MODEL_H

#include "../data/fake_call.h"

/* An empty store, open. */
struct model_place {
    struct namespace *ns;
    struct fake_env *env; /* the driver's clock; NULL with real_clock */
    struct loop *loop;    /* NULL where the driver needs none */
    void *own;            /* the subject's */
    bool failed;          /* at the end: it did not agree, and may be in the middle of something */
};

struct model_subject {
    const char *name;
    bool wide_conflicts; /* the driver may see conflicts in writes to other keys too */
    bool real_clock;     /* its clock is not env: nothing expires while the model runs, times are compared roughly */
    void (*begin)(struct model_place *);
    void (*end)(struct model_place *);
    /* Opens it again, after closing it, or (crash) as if the process had been killed: all data are there. NULL: it keeps none. */
    void (*reopen)(struct model_place *, bool crash);
};

/* Fails the test with a short script. Operations are spread over four seeds. */
void model_run(const struct model_subject *, unsigned operations);

/* Its parts, for tests of the model itself. */
struct model_failure {
    char said[512];   /* the check that failed */
    unsigned done;    /* operations of the script that were begun */
    uint32_t *script; /* of model_find: short; free it with mem_free */
    unsigned script_count;
};
/* true: all answers are as they should be. */
bool model_find(const struct model_subject *, uint64_t seed, unsigned operations, struct model_failure *ret_failure);

#endif
