/* usage: sim [--seeds N] [--from N] [--plant NAME]     runs seeds, tells of those that fail
 *        sim --seed N [--plant NAME]                   one, with its trace
 *        sim --plants                                  each planted fault must be found by some seed
 *
 * Every tenth seed is run twice: its traces must be equal. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/run.h"

enum { SEEDS = 1000, TWICE_ONE_IN = 10, PLANT_SEEDS = 200 };

static const char *const PLANT_NAMES[PLANTS] = {
    [PLANT_NONE] = "none",
    [PLANT_ACK_EARLY] = "ack-early",
    [PLANT_COMMIT_EARLY] = "commit-early",
    [PLANT_NO_DUPLICATES] = "no-duplicates",
    [PLANT_FORGETS_PRODUCERS] = "forgets-producers",
    [PLANT_WRONG_OFFSET] = "wrong-offset",
    [PLANT_SKIPS_STREAM] = "skips-stream",
    [PLANT_CUTS_MIDDLE] = "cuts-middle",
    [PLANT_LYING_SYNC] = "lying-sync",
    [PLANT_HIDES_DAMAGE] = "hides-damage",
};

const char *plant_name(enum plant p)
{
    return PLANT_NAMES[p];
}

static bool plant_of(const char *name, enum plant *ret_plant)
{
    for (int i = 0; i < PLANTS; i++) {
        if (strcmp(PLANT_NAMES[i], name) == 0) {
            *ret_plant = (enum plant)i;
            return true;
        }
    }
    return false;
}

struct options {
    uint64_t from, seeds;
    bool trace, plants;
    enum plant plant;
};

static bool take_option(struct options *o, const char *name, const char *value)
{
    if (strcmp(name, "--plants") == 0) {
        o->plants = true;
        return true;
    }
    if (!value)
        return false;
    if (strcmp(name, "--plant") == 0)
        return plant_of(value, &o->plant);
    if (strcmp(name, "--seed") == 0)
        *o = (struct options){.from = strtoull(value, NULL, 10), .seeds = 1, .trace = true, .plant = o->plant};
    else if (strcmp(name, "--seeds") == 0)
        o->seeds = strtoull(value, NULL, 10);
    else if (strcmp(name, "--from") == 0)
        o->from = strtoull(value, NULL, 10);
    else
        return false;
    return true;
}

static void tell_failure(const struct run *r)
{
    printf("seed %" PRIu64 ": %s\n", r->seed, r->violation);
    if (r->plant)
        printf("replay: build/sim/main --seed %" PRIu64 " --plant %s\n", r->seed, plant_name(r->plant));
    else
        printf("replay: make sim SEED=%" PRIu64 "\n", r->seed);
    fflush(stdout);
}

static bool same_again(const struct run *first, struct pool *pool)
{
    struct run again;
    run_seed(first->seed, first->plant, pool, NULL, &again);
    return again.trace_hash == first->trace_hash && again.trace_lines == first->trace_lines;
}

static bool passes(uint64_t seed, const struct options *o, struct pool *pool)
{
    struct run r;
    bool fine = run_seed(seed, o->plant, pool, o->trace ? stdout : NULL, &r);
    if (fine && (seed % TWICE_ONE_IN == 0 || o->trace) && !same_again(&r, pool)) {
        snprintf(r.violation, sizeof r.violation, "the same seed gave another trace");
        fine = false;
    }
    if (!fine)
        tell_failure(&r);
    return fine;
}

static int run_seeds(const struct options *o, struct pool *pool)
{
    uint64_t failed = 0;
    for (uint64_t seed = o->from; seed < o->from + o->seeds; seed++)
        failed += !passes(seed, o, pool);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", o->seeds - failed, failed);
    return failed != 0;
}

/* The seed that finds it, with its words. */
static bool find_plant(enum plant p, struct pool *pool)
{
    struct run r;
    for (uint64_t seed = 1; seed <= PLANT_SEEDS; seed++) {
        if (!run_seed(seed, p, pool, NULL, &r)) {
            printf("%-18s found by seed %3" PRIu64 ": %s\n", plant_name(p), seed, r.violation);
            return true;
        }
    }
    printf("%-18s NOT FOUND by %d seeds\n", plant_name(p), PLANT_SEEDS);
    return false;
}

static int run_plants(struct pool *pool)
{
    int failed = 0;
    for (int p = PLANT_NONE + 1; p < PLANTS; p++)
        failed += !find_plant((enum plant)p, pool);
    printf("%d passed, %d failed\n", PLANTS - 1 - failed, failed);
    return failed != 0;
}

int main(int argc, char **argv)
{
    struct options o = {.from = 1, .seeds = SEEDS};
    struct pool *pool;
    for (int i = 1; i < argc; i++) {
        if (!take_option(&o, argv[i], i + 1 < argc ? argv[i + 1] : NULL)) {
            fprintf(stderr, "usage: sim [--seeds N] [--from N] [--seed N] [--plant NAME] [--plants]\n");
            return 2;
        }
        i += strcmp(argv[i], "--plants") != 0;
    }
    if (pool_new(1, &pool) != OK)
        return 1;
    int status = o.plants ? run_plants(pool) : run_seeds(&o, pool);
    pool_free(pool);
    return status;
}
