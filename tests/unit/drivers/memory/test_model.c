#include <stdio.h>
#include <stdlib.h>

#include "../../harness.h"
#include "../model.h"
#include "memory_fixture.h"

/* PRISM_SEED repeats a failure. After the run nothing may be left that only transactions needed. */
TEST(memory_agrees_with_the_model)
{
    const char *given = getenv("PRISM_SEED");
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct memory_fixture f;
        CHECK_ERR(memory_fixture_init(&f, 0), OK);
        struct model_options o = {
            .ns = &f.ns, .env = &f.env, .seed = given ? strtoull(given, NULL, 10) : seed, .operations = 25000};
        printf("seed %llu\n", (unsigned long long)o.seed);
        model_run(&o);
        CHECK_EQ(memory_fixture_stat(&f, "transactions_open"), 0);
        CHECK_EQ(memory_fixture_stat(&f, "keys_with_history"), 0);
        memory_fixture_fini(&f);
    }
}
