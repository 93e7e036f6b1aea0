/* The checker finds each planted violation, and accepts what only looks like one. */
#include "../../proof/linear.h"

#include <stdio.h>

#include "../harness.h"
#include "base/hash.h"
#include "base/mem.h"

#define GET(from, to, what)                                                                                            \
    {                                                                                                                  \
        .kind = LINEAR_GET, .seen = (what), .began_ns = (from), .ended_ns = (to)                                       \
    }
#define SET(from, to, what)                                                                                            \
    {                                                                                                                  \
        .kind = LINEAR_SET, .done = true, .value = (what), .began_ns = (from), .ended_ns = (to)                        \
    }
#define SET_LOST(from, what)                                                                                           \
    {                                                                                                                  \
        .kind = LINEAR_SET, .unknown = true, .value = (what), .began_ns = (from)                                       \
    }
#define DELETE(from, to, existed)                                                                                      \
    {                                                                                                                  \
        .kind = LINEAR_DELETE, .done = (existed), .began_ns = (from), .ended_ns = (to)                                 \
    }
#define DELETE_LOST(from)                                                                                              \
    {                                                                                                                  \
        .kind = LINEAR_DELETE, .unknown = true, .began_ns = (from)                                                     \
    }
#define CAS(from, to, old, new)                                                                                        \
    {                                                                                                                  \
        .kind = LINEAR_CAS, .done = true, .expected = (old), .value = (new), .began_ns = (from), .ended_ns = (to)      \
    }
#define CAS_LOST(from, old, new)                                                                                       \
    {                                                                                                                  \
        .kind = LINEAR_CAS, .unknown = true, .expected = (old), .value = (new), .began_ns = (from)                     \
    }
#define CAS_NOT(from, to, old, new, is)                                                                                \
    {                                                                                                                  \
        .kind = LINEAR_CAS, .expected = (old), .value = (new), .seen = (is), .began_ns = (from), .ended_ns = (to)      \
    }

#define EXISTS(from, to, found)                                                                                        \
    {                                                                                                                  \
        .kind = LINEAR_EXISTS, .done = (found), .began_ns = (from), .ended_ns = (to)                                   \
    }
#define EXPIRES(from, to, what)                                                                                        \
    {                                                                                                                  \
        .kind = LINEAR_EXPIRES, .done = true, .value = (what), .began_ns = (from), .ended_ns = (to)                    \
    }
#define EXPIRES_LOST(from, what)                                                                                       \
    {                                                                                                                  \
        .kind = LINEAR_EXPIRES, .unknown = true, .value = (what), .began_ns = (from)                                   \
    }

static const uint64_t absent[] = {0};

#define VERDICT(...) verdict_of((struct linear_op[]){__VA_ARGS__}, sizeof((struct linear_op[]){__VA_ARGS__}))

static enum linear_verdict verdict_of(const struct linear_op *ops, size_t bytes)
{
    return linear_check(ops, bytes / sizeof *ops, absent, 1);
}

TEST(sequence_is_accepted)
{
    CHECK_EQ(VERDICT(GET(1, 2, 0), SET(3, 4, 7), GET(5, 6, 7), CAS(7, 8, 7, 9), CAS_NOT(9, 10, 7, 11, 9),
                     DELETE(11, 12, true), GET(13, 14, 0), DELETE(15, 16, false), CAS(17, 18, 0, 12), GET(19, 20, 12)),
             LINEAR_YES);
}

TEST(values_live_as_long_as_they_are_to)
{
    CHECK_EQ(VERDICT(SET(1, 2, 7), EXPIRES(10, 14, 7), GET(5, 6, 7), GET(11, 12, 7), GET(12, 13, 0), GET(15, 16, 0)),
             LINEAR_YES);
    CHECK_EQ(VERDICT(SET(1, 2, 7), EXPIRES(10, 14, 7), GET(15, 16, 7)), LINEAR_NO); /* for too long */
    CHECK_EQ(VERDICT(SET(1, 2, 7), EXPIRES(10, 14, 7), GET(5, 6, 0)), LINEAR_NO);   /* not long enough */
    CHECK_EQ(VERDICT(SET(1, 2, 7), EXPIRES(10, 16, 7), GET(11, 12, 0), GET(13, 14, 7)), LINEAR_NO); /* it came back */
    CHECK_EQ(VERDICT(SET(1, 12, 7), EXPIRES(10, 22, 7), GET(3, 4, 7), GET(20, 21, 0)), LINEAR_YES);
}

TEST(the_end_of_a_value_ends_no_other)
{
    CHECK_EQ(VERDICT(SET(1, 2, 7), SET(3, 4, 8), EXPIRES(10, 14, 7), GET(15, 16, 8)), LINEAR_YES);
    CHECK_EQ(VERDICT(SET(1, 2, 7), SET(3, 4, 8), EXPIRES(10, 14, 7), GET(15, 16, 0)), LINEAR_NO);
    CHECK_EQ(VERDICT(SET(1, 2, 7), EXPIRES(10, 14, 7), DELETE(15, 16, true)), LINEAR_NO);
    CHECK_EQ(VERDICT(SET(1, 2, 7), EXPIRES(10, 14, 7), CAS(15, 16, 0, 9), GET(17, 18, 9)), LINEAR_YES);
}

TEST(the_end_of_a_write_without_answer_is_open)
{
    CHECK_EQ(VERDICT(SET_LOST(1, 7), EXPIRES_LOST(5, 7), GET(20, 21, 7), GET(22, 23, 0)), LINEAR_YES);
    CHECK_EQ(VERDICT(SET_LOST(10, 7), EXPIRES_LOST(15, 7), GET(1, 2, 7)), LINEAR_NO);
    CHECK_EQ(VERDICT(SET(1, 2, 3), SET_LOST(3, 7), EXPIRES_LOST(8, 7), GET(5, 6, 0)), LINEAR_NO);
}

TEST(exists_agrees_with_the_value)
{
    CHECK_EQ(VERDICT(EXISTS(1, 2, false), SET(3, 4, 7), EXISTS(5, 6, true), DELETE(7, 8, true), EXISTS(9, 10, false)),
             LINEAR_YES);
    CHECK_EQ(VERDICT(SET(1, 2, 7), EXISTS(3, 4, false)), LINEAR_NO);
    CHECK_EQ(VERDICT(SET(1, 2, 7), DELETE(3, 4, true), EXISTS(5, 6, true)), LINEAR_NO);
}

TEST(a_value_that_lived_too_long_is_made_short)
{
    struct linear_op ops[] = {SET(1, 2, 5), GET(3, 4, 5),   SET(5, 6, 7),   EXPIRES(10, 14, 7),
                              GET(7, 8, 7), GET(15, 16, 7), SET(17, 18, 9), GET(19, 20, 9)};
    struct linear_core core;
    CHECK(linear_shrink(ops, sizeof ops / sizeof *ops, &core));
    CHECK(core.count <= 3);
    CHECK_EQ(linear_check(core.ops, core.count, core.states, core.state_count), LINEAR_NO);
    linear_core_fini(&core);
}

TEST(empty_history_is_accepted)
{
    CHECK_EQ(linear_check(NULL, 0, absent, 1), LINEAR_YES);
}

TEST(concurrent_writes_go_in_any_order)
{
    CHECK_EQ(VERDICT(SET(1, 10, 1), SET(1, 10, 2), GET(11, 12, 1)), LINEAR_YES);
    CHECK_EQ(VERDICT(SET(1, 10, 1), SET(1, 10, 2), GET(11, 12, 2)), LINEAR_YES);
    CHECK_EQ(VERDICT(SET(1, 10, 1), GET(2, 9, 0), GET(2, 9, 1)), LINEAR_YES);
    CHECK_EQ(VERDICT(SET(1, 10, 1), SET(2, 9, 2), DELETE(3, 8, true), GET(11, 12, 0)), LINEAR_YES);
}

TEST(equal_times_are_concurrent)
{
    CHECK_EQ(VERDICT(SET(1, 5, 1), GET(5, 6, 0)), LINEAR_YES);
}

TEST(unknown_outcome_may_be_either)
{
    CHECK_EQ(VERDICT(SET(1, 2, 1), SET_LOST(3, 2), GET(5, 6, 1)), LINEAR_YES);
    CHECK_EQ(VERDICT(SET(1, 2, 1), SET_LOST(3, 2), GET(5, 6, 2)), LINEAR_YES);
    CHECK_EQ(VERDICT(SET(1, 2, 1), SET_LOST(3, 2), GET(5, 6, 1), GET(7, 8, 2)), LINEAR_YES);
    CHECK_EQ(VERDICT(SET(1, 2, 1), DELETE_LOST(3), GET(5, 6, 1), GET(7, 8, 0)), LINEAR_YES);
    CHECK_EQ(VERDICT(SET(1, 2, 1), CAS_LOST(3, 1, 2), GET(5, 6, 2), SET(7, 8, 3), GET(9, 10, 3)), LINEAR_YES);
}

TEST(unknown_outcome_happens_once_and_not_before_it_began)
{
    CHECK_EQ(VERDICT(SET_LOST(1, 2), GET(3, 4, 2), SET(5, 6, 3), GET(7, 8, 2)), LINEAR_NO);
    CHECK_EQ(VERDICT(GET(1, 2, 2), SET_LOST(3, 2)), LINEAR_NO);
    CHECK_EQ(VERDICT(SET(1, 2, 1), CAS_LOST(3, 5, 2), GET(5, 6, 2)), LINEAR_NO);
}

TEST(unknown_read_says_nothing)
{
    CHECK_EQ(VERDICT(SET(1, 2, 1), {.kind = LINEAR_GET, .unknown = true, .seen = 9, .began_ns = 3}), LINEAR_YES);
}

/* --- planted violations ------------------------------------------------------------------------------------------------------ */

TEST(stale_read_is_found)
{
    CHECK_EQ(VERDICT(SET(1, 2, 1), SET(3, 4, 2), GET(5, 6, 1)), LINEAR_NO);
}

TEST(lost_update_is_found)
{
    CHECK_EQ(VERDICT(SET(1, 2, 1), GET(3, 4, 0)), LINEAR_NO);
    CHECK_EQ(VERDICT(SET(1, 2, 1), CAS(3, 6, 1, 2), CAS(4, 7, 1, 3), GET(8, 9, 3)), LINEAR_NO);
}

TEST(read_from_the_future_is_found)
{
    CHECK_EQ(VERDICT(GET(1, 2, 5), SET(3, 4, 5)), LINEAR_NO);
    CHECK_EQ(VERDICT(GET(1, 2, 5)), LINEAR_NO);
}

TEST(resurrected_delete_is_found)
{
    CHECK_EQ(VERDICT(SET(1, 2, 1), DELETE(3, 4, true), GET(5, 6, 0), GET(7, 8, 1)), LINEAR_NO);
    CHECK_EQ(VERDICT(SET(1, 2, 1), DELETE(3, 6, true), DELETE(4, 7, true)), LINEAR_NO);
    CHECK_EQ(VERDICT(SET(1, 2, 1), DELETE(3, 4, false)), LINEAR_NO);
}

TEST(cas_that_succeeded_twice_is_found)
{
    CHECK_EQ(VERDICT(CAS(1, 4, 0, 1), CAS(2, 5, 0, 2)), LINEAR_NO);
    CHECK_EQ(VERDICT(CAS(1, 4, 0, 1), CAS_NOT(2, 5, 0, 2, 1)), LINEAR_YES);
    CHECK_EQ(VERDICT(SET(1, 2, 1), CAS_NOT(3, 4, 1, 2, 1)), LINEAR_NO);
}

TEST(reads_that_go_back_are_found)
{
    CHECK_EQ(VERDICT(SET(1, 2, 1), SET(3, 20, 2), GET(5, 6, 2), GET(7, 8, 1)), LINEAR_NO);
    CHECK_EQ(VERDICT(SET(1, 2, 1), SET(3, 20, 2), GET(5, 6, 1), GET(7, 8, 2)), LINEAR_YES);
}

TEST(too_many_open_operations_are_undecided)
{
    struct linear_op ops[LINEAR_OPEN_MAX + 1];
    for (unsigned i = 0; i < LINEAR_OPEN_MAX + 1; i++)
        ops[i] = (struct linear_op)SET(1, 2, i + 1);
    CHECK_EQ(linear_check(ops, LINEAR_OPEN_MAX + 1, absent, 1), LINEAR_UNDECIDED);
}

/* --- long histories, made from a register that is right by construction ------------------------------------------------------ */

enum { LONG = 2000, CALLERS = 8 };

struct history {
    struct linear_op ops[LONG];
    uint64_t random;
    uint64_t state;
    uint64_t next_value;
};

static uint64_t roll(struct history *h, uint64_t sides)
{
    return hash_mix(h->random++) % sides;
}

/* Happens at now; the answer of one in unknown_in is lost, and half of those never happen. */
static struct linear_op happen(struct history *h, uint64_t now, uint64_t unknown_in)
{
    struct linear_op op = {
        .kind = (enum linear_kind)roll(h, 4), .began_ns = now - roll(h, 25), .ended_ns = now + roll(h, 25)};
    op.value = op.kind == LINEAR_SET || op.kind == LINEAR_CAS ? ++h->next_value : 0;
    op.expected = op.kind == LINEAR_CAS && roll(h, 2) ? h->state : 0;
    op.seen = h->state;
    op.done = op.kind == LINEAR_SET || (op.kind == LINEAR_DELETE && h->state) ||
              (op.kind == LINEAR_CAS && h->state == op.expected);
    op.unknown = roll(h, unknown_in) == 0;
    if (op.done && op.kind != LINEAR_GET && !(op.unknown && roll(h, 2)))
        h->state = op.kind == LINEAR_DELETE ? 0 : op.value;
    return op;
}

static void make(struct history *h, uint64_t seed)
{
    *h = (struct history){.random = seed * 1000003, .state = 0};
    for (unsigned i = 0; i < LONG; i++) {
        h->ops[i] = happen(h, 100 + i * 10, 100);
        h->ops[i].caller = i % CALLERS;
    }
}

TEST(long_valid_histories_are_accepted)
{
    static struct history h;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        make(&h, seed);
        CHECK_EQ(linear_check(h.ops, LONG, absent, 1), LINEAR_YES);
    }
}

/* A read in the second half that answers what was there long before. */
static bool plant_stale_read(struct history *h)
{
    uint64_t old = 0;
    for (unsigned i = 0; i < LONG / 4 && !old; i++)
        old = h->ops[i].kind == LINEAR_SET && !h->ops[i].unknown ? h->ops[i].value : 0;
    for (unsigned i = LONG / 2; i < LONG; i++) {
        if (h->ops[i].kind != LINEAR_GET || h->ops[i].unknown)
            continue;
        h->ops[i].seen = old;
        return old != 0;
    }
    return false;
}

TEST(violation_in_a_long_history_is_found_and_shrunk)
{
    static struct history h;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct linear_core core;
        make(&h, seed);
        CHECK(plant_stale_read(&h));
        CHECK_EQ(linear_check(h.ops, LONG, absent, 1), LINEAR_NO);
        CHECK(linear_shrink(h.ops, LONG, &core));
        CHECK_EQ(linear_check(core.ops, core.count, core.states, core.state_count), LINEAR_NO);
        CHECK(core.count <= 40);
        linear_core_fini(&core);
    }
}

TEST(shrunk_history_names_what_matters)
{
    static const struct linear_op ops[] = {SET(1, 2, 1),  GET(3, 4, 1),   SET(5, 6, 2),   GET(7, 8, 2),  SET(9, 10, 3),
                                           GET(9, 12, 3), GET(13, 14, 2), SET(15, 16, 4), GET(17, 18, 4)};
    struct linear_core core;
    CHECK(linear_shrink(ops, sizeof ops / sizeof *ops, &core));
    CHECK_EQ(core.count, 1);
    CHECK_EQ(core.ops[0].began_ns, 13);
    CHECK_EQ(core.state_count, 1);
    CHECK_EQ(core.states[0], 3);
    char text[256] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    CHECK(out);
    linear_print(out, &core);
    fclose(out);
    CHECK_STR(text, "not linearizable; the register begins as 3:\n"
                    "  caller 0          0.0 ..        0.0 us  get: 2\n");
    linear_core_fini(&core);
}

TEST(valid_history_does_not_shrink)
{
    static const struct linear_op ops[] = {SET(1, 2, 1), GET(3, 4, 1)};
    struct linear_core core;
    CHECK(!linear_shrink(ops, 2, &core));
}
