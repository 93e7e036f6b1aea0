#include <stdio.h>
#include <stdlib.h>

#include "../model.h"
#include "fixture.h"

/* PRISM_SEED repeats a failure. Without syncs: what is compared are answers. */
TEST(sqlite_agrees_with_the_model)
{
    const char *given = getenv("PRISM_SEED");
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct fixture f;
        fixture_init(&f);
        f.options.synchronous = CONFIG_SQLITE_OPTIONS_SYNCHRONOUS_OFF;
        CHECK_ERR(fixture_open(&f), OK);
        struct model_options o = {.ns = &f.ns,
                                  .env = &f.env,
                                  .loop = f.loop,
                                  .seed = given ? strtoull(given, NULL, 10) : seed,
                                  .operations = 25000};
        printf("seed %llu\n", (unsigned long long)o.seed);
        model_run(&o);
        CHECK_EQ(fixture_stat(&f, "transactions_open"), 0);
        fixture_fini(&f);
    }
}
