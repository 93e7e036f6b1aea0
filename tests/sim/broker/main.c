/* usage: broker_main [--seeds N] [--from N] | --seed N [--plant N] | --plants      as tests/sim/main.c, of the broker */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/broker/run.h"

enum { SEEDS = 300, TWICE_ONE_IN = 10, PLANT_SEEDS = 100 };

static const char *const PLANT_NAMES[PLANTS] = {"none", "no-duplicates", "forgets-producers", "lying-sync"};

static bool passes(uint64_t seed, enum plant plant, FILE *out)
{
    struct run r, again;
    bool fine = run_seed(seed, plant, out, &r);
    if (fine && (seed % TWICE_ONE_IN == 0 || out)) {
        run_seed(seed, plant, NULL, &again);
        fine = again.trace_hash == r.trace_hash;
        if (!fine)
            snprintf(r.violation, sizeof r.violation, "the same seed gave another trace");
    }
    if (!fine)
        printf("seed %" PRIu64 ": %s\nreplay: make sim SEED=broker-%" PRIu64 "\n", seed, r.violation, seed);
    return fine;
}

static bool find_plant(enum plant p)
{
    struct run r;
    for (uint64_t seed = 1; seed <= PLANT_SEEDS; seed++) {
        if (!run_seed(seed, p, NULL, &r)) {
            printf("%-18s found by seed %3" PRIu64 ": %s\n", PLANT_NAMES[p], seed, r.violation);
            return true;
        }
    }
    printf("%-18s NOT FOUND by %d seeds\n", PLANT_NAMES[p], PLANT_SEEDS);
    return false;
}

int main(int argc, char **argv)
{
    uint64_t from = 1, seeds = SEEDS, failed = 0;
    bool trace = false, plants = argc == 2 && strcmp(argv[1], "--plants") == 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t n = strtoull(argv[i + 1], NULL, 10);
        trace |= strcmp(argv[i], "--seed") == 0;
        if (strcmp(argv[i], "--seeds") == 0)
            seeds = n;
        else
            from = n;
    }
    seeds = plants ? PLANTS - 1 : trace ? 1 : seeds;
    for (uint64_t i = 0; i < seeds; i++)
        failed += plants ? !find_plant((enum plant)(i + 1)) : !passes(from + i, PLANT_NONE, trace ? stdout : NULL);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", seeds - failed, failed);
    return failed != 0;
}
