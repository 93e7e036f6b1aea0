/* Random operations of all six key-value interfaces on a driver, each answer compared with a sorted array that knows the rules of
 * api.md. One thread; the seed decides everything.
 *
 *   model_run(&(struct model_options){.ns = &ns, .env = &env, .seed = 1, .operations = 100000});
 *
 * A difference fails the test with the seed and the number of the operation. ns->backend is open and empty; its clock is env. */
#ifndef PRISM_TESTS_MODEL_H
#define PRISM_TESTS_MODEL_H

#include "../data/fake_call.h"

struct model_options {
    struct namespace *ns;
    struct fake_env *env;
    struct loop *loop; /* where the driver needs one */
    uint64_t seed;
    unsigned operations;
    bool wide_conflicts; /* the driver may see conflicts in writes to other keys too */
};
void model_run(const struct model_options *);

#endif
