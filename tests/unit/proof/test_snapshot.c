/* The checker of snapshots finds each planted violation, by its name, and accepts what only looks like one. */
#include "../../proof/snapshot.h"

#include "../harness.h"
#include "base/hash.h"
#include "base/mem.h"

#define GET(k, v)                                                                                                      \
    {                                                                                                                  \
        .key = (k), .value = (v)                                                                                       \
    }
#define SET(k, v)                                                                                                      \
    {                                                                                                                  \
        .write = true, .key = (k), .value = (v)                                                                        \
    }
#define COUNT(...) (sizeof((struct snapshot_op[]){__VA_ARGS__}) / sizeof(struct snapshot_op))
/* Begins at b, commits at c; both calls take one unit of time. */
#define DONE(b, c, ...)                                                                                                \
    {                                                                                                                  \
        .ops = {__VA_ARGS__}, .count = COUNT(__VA_ARGS__), .begin = {(b), (b) + 1}, .commit = {(c), (c) + 1 }          \
    }
#define GONE(b, ...)                                                                                                   \
    {                                                                                                                  \
        .ops = {__VA_ARGS__}, .count = COUNT(__VA_ARGS__), .begin = {(b), (b) + 1}, .outcome = SNAPSHOT_ABORTED        \
    }
#define LOST(b, c, ...)                                                                                                \
    {                                                                                                                  \
        .ops = {__VA_ARGS__}, .count = COUNT(__VA_ARGS__), .begin = {(b), (b) + 1}, .commit = {.began_ns = (c)},       \
        .outcome = SNAPSHOT_UNKNOWN                                                                                    \
    }

#define VERDICT(...)                                                                                                   \
    verdict_of((struct snapshot_transaction[]){__VA_ARGS__}, sizeof((struct snapshot_transaction[]){__VA_ARGS__}))

static enum snapshot_verdict verdict_of(const struct snapshot_transaction *all, size_t bytes)
{
    return snapshot_check(all, bytes / sizeof *all, 100).verdict;
}

TEST(transactions_in_a_row_are_kept)
{
    CHECK_EQ(snapshot_check(NULL, 0, 0).verdict, SNAPSHOT_KEPT);
    CHECK_EQ(VERDICT(DONE(1, 3, GET(0, 0), SET(0, 1)), DONE(5, 7, GET(0, 1), SET(0, 2), GET(0, 2)),
                     DONE(9, 11, GET(0, 2), GET(1, 0))),
             SNAPSHOT_KEPT);
}

TEST(write_skew_is_allowed)
{
    CHECK_EQ(VERDICT(DONE(1, 10, GET(0, 0), GET(1, 0), SET(0, 1)), DONE(2, 11, GET(0, 0), GET(1, 0), SET(1, 2)),
                     DONE(20, 22, GET(0, 1), GET(1, 2))),
             SNAPSHOT_KEPT);
}

TEST(concurrent_begin_and_commit_go_either_way)
{
    CHECK_EQ(VERDICT(DONE(1, 10, GET(0, 0), SET(0, 1)), DONE(10, 20, GET(0, 1))), SNAPSHOT_KEPT);
    CHECK_EQ(VERDICT(DONE(1, 10, GET(0, 0), SET(0, 1)), DONE(10, 20, GET(0, 0))), SNAPSHOT_KEPT);
}

TEST(unknown_commits_may_be_either)
{
    CHECK_EQ(VERDICT(LOST(1, 5, GET(0, 0), SET(0, 1)), DONE(20, 22, GET(0, 1))), SNAPSHOT_KEPT);
    CHECK_EQ(VERDICT(LOST(1, 5, GET(0, 0), SET(0, 1)), DONE(20, 22, GET(0, 0), SET(0, 2))), SNAPSHOT_KEPT);
    CHECK_EQ(VERDICT(LOST(10, 15, GET(0, 0), SET(0, 1)), DONE(1, 5, GET(0, 1))),
             SNAPSHOT_CIRCLE); /* before it was asked for */
}

TEST(values_that_nobody_wrote_are_garbage)
{
    CHECK_EQ(VERDICT(DONE(1, 3, GET(0, 5))), SNAPSHOT_GARBAGE);
    CHECK_EQ(VERDICT(DONE(1, 3, GET(0, 0), SET(0, 1)), DONE(5, 7, GET(1, 1))), SNAPSHOT_GARBAGE);
    CHECK_EQ(VERDICT(DONE(1, 3, GET(0, 1), SET(0, 1))), SNAPSHOT_GARBAGE);
    CHECK_EQ(VERDICT(DONE(1, 3, GET(0, 1000))), SNAPSHOT_GARBAGE);
}

TEST(reads_of_what_did_not_commit_are_found)
{
    CHECK_EQ(VERDICT(GONE(1, GET(0, 0), SET(0, 1)), DONE(5, 7, GET(0, 1))), SNAPSHOT_ABORTED_READ);
    CHECK_EQ(VERDICT(DONE(1, 9, GET(0, 0), SET(0, 1), SET(0, 2)), DONE(10, 12, GET(0, 1))), SNAPSHOT_INTERMEDIATE);
    CHECK_EQ(VERDICT(DONE(1, 20, GET(0, 0), SET(0, 1)), DONE(5, 7, GET(0, 1))), SNAPSHOT_CIRCLE); /* committed later */
}

TEST(reads_within_a_transaction_must_agree)
{
    CHECK_EQ(VERDICT(DONE(1, 3, GET(0, 0), SET(0, 1), GET(0, 0))), SNAPSHOT_OWN_WRITE);
    CHECK_EQ(VERDICT(DONE(1, 3, GET(0, 0), SET(0, 1)), GONE(2, GET(0, 0), GET(1, 0), GET(0, 1))),
             SNAPSHOT_UNREPEATABLE);
}

TEST(lost_updates_are_found)
{
    CHECK_EQ(VERDICT(DONE(1, 10, GET(0, 0), SET(0, 1)), DONE(2, 11, GET(0, 0), SET(0, 2))), SNAPSHOT_LOST_UPDATE);
    CHECK_EQ(VERDICT(DONE(1, 10, GET(0, 0), SET(0, 1)), GONE(2, GET(0, 0), SET(0, 2))), SNAPSHOT_KEPT);
}

TEST(torn_snapshots_are_found)
{
    CHECK_EQ(VERDICT(DONE(1, 10, GET(0, 0), GET(1, 0), SET(0, 1), SET(1, 2)), DONE(9, 20, GET(0, 1), GET(1, 0))),
             SNAPSHOT_CIRCLE);
    CHECK_EQ(VERDICT(DONE(1, 10, GET(0, 0), SET(0, 1)), DONE(1, 10, GET(1, 0), SET(1, 2)), /* two readers, two orders */
                     DONE(5, 20, GET(0, 1), GET(1, 0)), DONE(5, 20, GET(0, 0), GET(1, 2))),
             SNAPSHOT_CIRCLE);
}

TEST(stale_snapshots_are_found)
{
    CHECK_EQ(VERDICT(DONE(1, 10, GET(0, 0), SET(0, 1)), DONE(12, 20, GET(0, 0))), SNAPSHOT_CIRCLE);
}

TEST(circles_of_reads_and_of_writes_are_found)
{
    CHECK_EQ(VERDICT(DONE(1, 10, GET(0, 0), GET(1, 2), SET(0, 1)), DONE(1, 10, GET(1, 0), GET(0, 1), SET(1, 2))),
             SNAPSHOT_CIRCLE); /* G1c */
    CHECK_EQ(VERDICT(DONE(1, 10, GET(0, 2), GET(1, 0), SET(0, 1), SET(1, 3)),
                     DONE(1, 10, GET(1, 3), GET(0, 0), SET(1, 4), SET(0, 2))),
             SNAPSHOT_CIRCLE); /* G0 */
}

TEST(what_cannot_be_decided_is_said)
{
    CHECK_EQ(VERDICT(DONE(1, 3, SET(0, 1))), SNAPSHOT_UNDECIDED);
    CHECK_EQ(VERDICT(DONE(1, 3, GET(0, 0), SET(0, 1)), DONE(5, 7, GET(1, 0), SET(1, 1))), SNAPSHOT_UNDECIDED);
}

TEST(a_circle_is_told_by_its_transactions)
{
    struct snapshot_transaction all[] = {DONE(1, 3, GET(2, 0), SET(2, 9)), DONE(1, 10, GET(0, 0), SET(0, 1)),
                                         DONE(12, 20, GET(0, 0))};
    struct snapshot_report r = snapshot_check(all, 3, 100);
    CHECK_EQ(r.verdict, SNAPSHOT_CIRCLE);
    CHECK_EQ(r.count, 2);
    CHECK(r.witnesses[0].transaction + r.witnesses[1].transaction == 3);
}

/* --- a store that keeps the rules, or breaks one ------------------------------------------------------------------------------- */

enum { KEYS = 6, RUNNING = 8, TOTAL = 400, COMMITS_MAX = TOTAL + 1 };
enum mistake { NONE, NO_CONFLICTS, LATEST_READS, UNCOMMITTED_READS, LATE_VISIBILITY, HALF_COMMITS, MISTAKES };

struct store {
    uint64_t random, time_ns, next_value;
    enum mistake mistake;
    uint64_t versions[COMMITS_MAX][KEYS]; /* after each commit */
    unsigned commits;
    struct snapshot_transaction all[TOTAL];
    unsigned snapshot[TOTAL];
    bool ended[TOTAL];
    unsigned begun;
};

static uint64_t dice(struct store *s, uint64_t sides)
{
    return hash_mix(s->random++) % sides;
}

/* Around the moment now: the call began a little earlier and ends a little later. */
static struct snapshot_interval call_now(struct store *s)
{
    s->time_ns += 10;
    return (struct snapshot_interval){s->time_ns - dice(s, 30), s->time_ns + dice(s, 30)};
}

static void begin(struct store *s)
{
    unsigned late = s->mistake == LATE_VISIBILITY && s->commits > 2 ? 2 : 0;
    s->snapshot[s->begun] = s->commits - late;
    s->all[s->begun] =
        (struct snapshot_transaction){.begin = call_now(s), .outcome = SNAPSHOT_ABORTED, .caller = s->begun};
    s->begun++;
}

static bool own_write(const struct snapshot_transaction *t, unsigned key, uint64_t *ret_value)
{
    bool found = false;
    for (unsigned i = 0; i < t->count; i++)
        if (t->ops[i].write && t->ops[i].key == key) {
            *ret_value = t->ops[i].value;
            found = true;
        }
    return found;
}

/* As the mistake has it: also of transactions that are running. */
static uint64_t read_key(struct store *s, unsigned i, unsigned key)
{
    uint64_t value = 0;
    if (own_write(&s->all[i], key, &value))
        return value;
    for (unsigned j = 0; s->mistake == UNCOMMITTED_READS && j < s->begun; j++)
        if (!s->ended[j] && own_write(&s->all[j], key, &value))
            return value;
    return s->versions[s->mistake == LATEST_READS ? s->commits : s->snapshot[i]][key];
}

static void operate(struct store *s, unsigned i)
{
    struct snapshot_transaction *t = &s->all[i];
    unsigned key = (unsigned)dice(s, KEYS);
    s->time_ns += 10;
    t->ops[t->count++] = (struct snapshot_op){.key = key, .value = read_key(s, i, key)};
    if (dice(s, 2))
        t->ops[t->count++] = (struct snapshot_op){true, key, ++s->next_value};
}

static bool conflicts(const struct store *s, unsigned i)
{
    uint64_t value;
    for (unsigned key = 0; key < KEYS; key++)
        if (own_write(&s->all[i], key, &value) && s->versions[s->commits][key] != s->versions[s->snapshot[i]][key])
            return s->mistake != NO_CONFLICTS;
    return false;
}

static void commit(struct store *s, unsigned i)
{
    struct snapshot_transaction *t = &s->all[i];
    uint64_t value;
    unsigned written = 0;
    s->ended[i] = true;
    if (conflicts(s, i) || dice(s, 10) == 0)
        return;
    t->commit = call_now(s);
    t->outcome = dice(s, 10) ? SNAPSHOT_COMMITTED : SNAPSHOT_UNKNOWN;
    memcpy(s->versions[s->commits + 1], s->versions[s->commits], sizeof s->versions[0]);
    s->commits++;
    for (unsigned key = 0; key < KEYS; key++)
        if (own_write(t, key, &value) && (s->mistake != HALF_COMMITS || written++ == 0))
            s->versions[s->commits][key] = value;
}

static void step(struct store *s)
{
    unsigned running = 0, nth = (unsigned)dice(s, RUNNING);
    for (unsigned i = 0; i < s->begun; i++)
        running += !s->ended[i];
    if (running < RUNNING && s->begun < TOTAL) {
        begin(s);
        return;
    }
    for (unsigned i = 0; i < s->begun; i++) {
        if (s->ended[i] || nth--)
            continue;
        if (s->all[i].count + 2 > SNAPSHOT_OPS_MAX || dice(s, 5) == 0)
            commit(s, i);
        else
            operate(s, i);
        return;
    }
}

static enum snapshot_verdict verdict_with(enum mistake mistake, uint64_t seed)
{
    struct store *s = mem_zalloc(sizeof *s);
    CHECK(s);
    s->random = seed << 32;
    s->time_ns = 1000;
    s->mistake = mistake;
    for (unsigned steps = 0; steps < 6 * TOTAL; steps++)
        step(s);
    enum snapshot_verdict verdict = snapshot_check(s->all, s->begun, s->next_value).verdict;
    mem_free(s);
    return verdict;
}

TEST(a_store_that_keeps_the_rules_is_believed)
{
    for (uint64_t seed = 1; seed <= 100; seed++)
        CHECK_EQ(verdict_with(NONE, seed), SNAPSHOT_KEPT);
}

TEST(each_mistake_of_a_store_is_found)
{
    for (enum mistake mistake = NO_CONFLICTS; mistake < MISTAKES; mistake++)
        for (uint64_t seed = 1; seed <= 20; seed++) {
            enum snapshot_verdict verdict = verdict_with(mistake, seed);
            CHECK(verdict != SNAPSHOT_KEPT && verdict != SNAPSHOT_UNDECIDED);
        }
}
