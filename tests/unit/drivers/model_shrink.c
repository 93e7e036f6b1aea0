/* Finds a script whose last answer is wrong, and leaves out of it what it can: halves, quarters … single operations (A. Zeller,
 * R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002). Any wrong answer counts, so it ends at the shortest
 * story, not always at the first one. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model_internal.h"

enum { SEEDS = 4, TRIES_MAX = 4000 };

struct shrink {
    const struct model_subject *subject;
    uint64_t seed;
    uint32_t *ids, *trial;
    unsigned count;
    unsigned tries;
    struct model_failure failure;
};

/* Without the operations from begin to end. What was not reached is left out too. */
static bool try_without(struct shrink *s, unsigned begin, unsigned end)
{
    struct model_failure failure = {.done = 0};
    unsigned count = 0;
    for (unsigned i = 0; i < s->count; i++)
        if (i < begin || i >= end)
            s->trial[count++] = s->ids[i];
    s->tries++;
    if (model_replay(s->subject, s->seed, s->trial, count, false, &failure))
        return false;
    uint32_t *old = s->ids;
    s->ids = s->trial;
    s->trial = old;
    s->count = failure.done;
    s->failure = failure;
    return true;
}

/* From the end, so that what is cut off costs nothing any more. */
static bool leave_out_parts(struct shrink *s, unsigned size)
{
    unsigned before = s->count;
    for (unsigned end = s->count; end > 0 && s->tries < TRIES_MAX;) {
        unsigned begin = end > size ? end - size : 0;
        try_without(s, begin, end);
        end = begin < s->count ? begin : s->count;
    }
    return s->count < before;
}

static void shrink(struct shrink *s)
{
    unsigned size = (s->count + 1) / 2;
    while (s->tries < TRIES_MAX) {
        bool shorter = leave_out_parts(s, size);
        if (size == 1 && !shorter)
            return;
        size = size > 1 ? size / 2 : 1;
    }
}

bool model_find(const struct model_subject *subject, uint64_t seed, unsigned operations,
                struct model_failure *ret_failure)
{
    struct shrink s = {.subject = subject, .seed = seed, .count = operations};
    s.ids = mem_zalloc(operations * sizeof *s.ids);
    s.trial = mem_zalloc(operations * sizeof *s.trial);
    CHECK(s.ids && s.trial);
    for (unsigned i = 0; i < operations; i++)
        s.ids[i] = i + 1;
    bool agrees = model_replay(subject, seed, s.ids, operations, false, &s.failure);
    s.count = s.failure.done;
    if (!agrees)
        shrink(&s);
    mem_free(s.trial);
    *ret_failure = s.failure;
    ret_failure->script = s.ids;
    ret_failure->script_count = s.count;
    return agrees;
}

/* --- runs -------------------------------------------------------------------------------------------------------------------- */

static void tell(const struct model_subject *subject, uint64_t seed, const struct model_failure *f)
{
    struct model_failure again = {.done = 0};
    fprintf(stderr,
            "%s does not agree with the model; %u operations are enough, with PRISM_SCRIPT=%llu:", subject->name,
            f->script_count, (unsigned long long)seed);
    for (unsigned i = 0; i < f->script_count; i++)
        fprintf(stderr, "%s%u", i ? "," : "", f->script[i]);
    fputc('\n', stderr);
    model_replay(subject, seed, f->script, f->script_count, true, &again);
}

static void run_seed(const struct model_subject *subject, uint64_t seed, unsigned operations)
{
    struct model_failure f;
    printf("%s: seed %llu, %u operations\n", subject->name, (unsigned long long)seed, operations);
    bool agrees = model_find(subject, seed, operations, &f);
    if (!agrees)
        tell(subject, seed, &f);
    mem_free(f.script);
    if (!agrees)
        test_fail(__FILE__, __LINE__, "seed %llu: %s", (unsigned long long)seed, f.said);
}

/* "seed:id,id,…" */
static void run_given(const struct model_subject *subject, const char *script)
{
    struct model_failure failure = {.done = 0};
    size_t room = strlen(script);
    unsigned count = 0;
    char *at;
    uint32_t *ids = mem_zalloc(room * sizeof *ids);
    CHECK(ids);
    uint64_t seed = strtoull(script, &at, 10);
    while (*at == (count ? ',' : ':'))
        ids[count++] = (uint32_t)strtoul(at + 1, &at, 10);
    CHECK(count && !*at);
    bool agrees = model_replay(subject, seed, ids, count, true, &failure);
    mem_free(ids);
    if (!agrees)
        test_fail(__FILE__, __LINE__, "%s", failure.said);
}

void model_run(const struct model_subject *subject, unsigned operations)
{
    const char *script = getenv("PRISM_SCRIPT"), *seed = getenv("PRISM_SEED"), *wanted = getenv("PRISM_OPERATIONS");
    if (wanted)
        operations = (unsigned)strtoul(wanted, NULL, 10);
    if (script)
        run_given(subject, script);
    else if (seed)
        run_seed(subject, strtoull(seed, NULL, 10), operations);
    for (uint64_t s = 1; !script && !seed && s <= SEEDS; s++)
        run_seed(subject, s, operations / SEEDS);
}
