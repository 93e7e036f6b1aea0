/* Faults between the broker's parts. The linker gives the calls below to the functions named __wrap_… here (--wrap in the Makefile),
 * in this program alone: production code knows nothing of it. journal_open is also where a run's small write-ahead stream is set,
 * which the broker has no option for. A wrapped call has no context, so what the run wants lies in one place for its time. */
#include "journal/journal.h"
#include "streamer/producer.h"
#include "tests/sim/broker/run.h"

static struct {
    enum plant plant;
    struct choices choices;
} now;

void plants_set(const struct run *r)
{
    now.plant = r->plant;
    now.choices = r->choices;
}

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names */
enum err __real_journal_open(struct journal_store *, const struct journal_options *, struct journal **);
enum err __wrap_journal_open(struct journal_store *, const struct journal_options *, struct journal **);
enum producer_verdict __real_producers_check(struct producers *, const struct producer_claim *, int64_t,
                                             struct producer_batch *);
enum producer_verdict __wrap_producers_check(struct producers *, const struct producer_claim *, int64_t,
                                             struct producer_batch *);
enum err __real_producers_learn(struct producers *, const struct producer_claim *, int64_t, int64_t, int64_t);
enum err __wrap_producers_learn(struct producers *, const struct producer_claim *, int64_t, int64_t, int64_t);

enum err __wrap_journal_open(struct journal_store *store, const struct journal_options *options,
                             struct journal **ret_journal)
{
    struct journal_options small = *options;
    small.wal_file_bytes = now.choices.wal_file_bytes;
    small.wal_files_max = now.choices.wal_files;
    small.checkpoint_ms = now.choices.checkpoint_ms;
    return __real_journal_open(store, &small, ret_journal);
}

enum producer_verdict __wrap_producers_check(struct producers *ps, const struct producer_claim *claim, int64_t now_ms,
                                             struct producer_batch *ret_old)
{
    enum producer_verdict verdict = __real_producers_check(ps, claim, now_ms, ret_old);
    if (verdict != PRODUCER_DUPLICATE)
        return verdict;
    return now.plant == PLANT_NO_DUPLICATES ? PRODUCER_APPEND : verdict;
}

enum err __wrap_producers_learn(struct producers *ps, const struct producer_claim *claim, int64_t first_offset,
                                int64_t time_ms, int64_t now_ms)
{
    return now.plant == PLANT_FORGETS_PRODUCERS ? OK : __real_producers_learn(ps, claim, first_offset, time_ms, now_ms);
}

/* NOLINTEND(bugprone-reserved-identifier) */
