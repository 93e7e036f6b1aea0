/* What was acknowledged is there after the next opening, whatever the disk did. */
#include <stdio.h>

#include "../harness.h"
#include "base/limits.h"
#include "base/mem.h"
#include "book.h"

static void begin(struct book *b, uint64_t seed)
{
    CHECK_ERR(book_new(b, seed), OK);
    CHECK_ERR(book_open(b), OK);
}

static void end(struct book *b)
{
    book_close(b);
    book_free(b);
}

static void check_kept(uint64_t seed)
{
    struct book b;
    begin(&b, seed);
    CHECK_EQ(b.applied, 0);
    book_write(&b, 20);
    for (int i = 0; i < 20; i++)
        CHECK_ERR(book_append(&b), OK);
    book_close(&b);
    CHECK_EQ(b.acknowledged, 40);
    CHECK(!b.out_of_order);
    CHECK_ERR(book_open(&b), OK);
    CHECK_EQ(b.applied, 40);
    CHECK(book_is_honest(&b));
    end(&b);
}

TEST(what_was_appended_is_there_after_the_next_opening)
{
    check_kept(1);
    check_kept(0);
}

TEST(what_is_appended_together_shares_a_write)
{
    struct book b;
    struct ledger_counts c;
    begin(&b, 1);
    for (int i = 0; i < 100; i++)
        CHECK_ERR(book_append(&b), OK);
    CHECK_EQ(b.acknowledged, 0); /* never from inside */
    book_settle(&b);
    ledger_counts(b.ledger, &c);
    CHECK_EQ(c.entries, 100);
    CHECK_EQ(c.commits, 1);
    end(&b);
}

TEST(a_file_that_is_mostly_dead_is_rewritten)
{
    struct book b;
    struct ledger_counts c;
    CHECK_ERR(book_new(&b, 1), OK);
    b.compact_bytes = 4000;
    b.padding_bytes = 100;
    CHECK_ERR(book_open(&b), OK);
    for (int i = 0; i < 1000; i++)
        book_write(&b, 1);
    ledger_counts(b.ledger, &c);
    CHECK(c.compactions > 20);
    CHECK(c.bytes < 8000);
    book_close(&b);
    CHECK_ERR(book_open(&b), OK);
    CHECK(book_is_honest(&b));
    CHECK_EQ(b.last_found, 1000);
    end(&b);
}

TEST(what_comes_during_a_rewriting_is_kept)
{
    struct book b;
    CHECK_ERR(book_new(&b, 1), OK);
    b.compact_bytes = 1000;
    CHECK_ERR(book_open(&b), OK);
    for (int turn = 0; turn < 500; turn++) {
        CHECK_ERR(book_append(&b), OK);
        loop_turn(b.loop, false);
    }
    book_close(&b);
    CHECK_EQ(b.acknowledged, 500);
    CHECK_ERR(book_open(&b), OK);
    CHECK_EQ(b.last_found, 500);
    CHECK(book_is_honest(&b));
    end(&b);
}

TEST(without_a_snapshot_the_file_grows)
{
    struct book b;
    CHECK_ERR(book_new(&b, 1), OK);
    b.compact_bytes = 100;
    b.forgetful = true;
    CHECK_ERR(book_open(&b), OK);
    book_write(&b, 300);
    book_close(&b);
    CHECK_ERR(book_open(&b), OK);
    CHECK_EQ(b.applied, 300);
    end(&b);
}

/* ---- limits ----------------------------------------------------------------------------------------------------------- */

static void never(struct ledger_append *a, enum err e)
{
    (void)a;
    (void)e;
    CHECK(!"told of what was not taken");
}

TEST(too_large_or_too_much_is_not_taken)
{
    struct book b;
    struct ledger_append refused = {.done = never};
    begin(&b, 1);
    uint8_t *large = mem_zalloc(LIMIT_LEDGER_ENTRY_BYTES + 1);
    CHECK(large != NULL);
    CHECK_ERR(ledger_append(b.ledger, slice_of(large, LIMIT_LEDGER_ENTRY_BYTES + 1), &refused), ERR_MESSAGE_TOO_LARGE);
    mem_free(large);
    b.padding_bytes = LIMIT_LEDGER_ENTRY_BYTES - 8;
    CHECK_ERR(book_append(&b), OK);
    CHECK_ERR(book_append(&b), ERR_RESOURCE_EXHAUSTED);
    book_settle(&b);
    CHECK_ERR(book_append(&b), OK);
    end(&b);
}

/* ---- a disk that fails ------------------------------------------------------------------------------------------------ */

enum { MANY = 60 };

/* Writes, one by one and together, with rewritings in between; false: the disk's plan never came true. */
static bool write_until_it_fails(struct book *b, uint64_t n, bool forever, enum err e)
{
    flaky_plan(&b->disk, n, forever, e);
    if (book_open(b) == OK) {
        book_write(b, MANY);
        for (int i = 0; i < MANY && book_append(b) == OK; i++)
            if (i % 5 == 0)
                loop_turn(b->loop, false);
        book_settle(b);
    }
    return b->disk.calls >= b->disk.fail_at;
}

/* From call n on the disk does nothing: as if the machine had stopped there. */
static bool crash_at(uint64_t n, uint64_t seed, size_t torn_bytes, bool power_is_lost)
{
    struct book b;
    CHECK_ERR(book_new(&b, seed), OK);
    b.compact_bytes = 600;
    b.disk.torn_bytes = torn_bytes;
    bool crashed = write_until_it_fails(&b, n, true, ERR_IO);
    book_close(&b);
    flaky_plan(&b.disk, 0, false, OK);
    if (power_is_lost)
        sim_crash_disk(b.sim);
    CHECK_ERR(book_open(&b), OK);
    CHECK(book_is_honest(&b));
    CHECK(!b.out_of_order);
    book_write(&b, 10); /* and it goes on */
    end(&b);
    return crashed;
}

TEST(a_crash_at_any_call_loses_nothing_acknowledged)
{
    uint64_t n = 1;
    while (crash_at(n, n, 0, true))
        n++;
    CHECK(n > 150);
}

TEST(a_kill_at_any_call_loses_nothing_acknowledged)
{
    for (uint64_t n = 1; crash_at(n, n, 0, false);)
        n++;
    for (uint64_t n = 1; crash_at(n, n, n % 45, false);)
        n++;
    for (uint64_t n = 1; n < 40; n++)
        crash_at(n, 0, n % 45, false);
}

/* The disk fails once; what it says ends the ledger, or not. */
static bool fail_once_at(uint64_t n, enum err e)
{
    struct book b;
    CHECK_ERR(book_new(&b, n), OK);
    b.compact_bytes = 600;
    b.disk.torn_bytes = n % 45;
    bool failed = write_until_it_fails(&b, n, false, e);
    if (failed && e == ERR_IO && b.refused && b.ledger) {
        CHECK_ERR(b.refused_with, ERR_IO);
        CHECK_ERR(ledger_status(b.ledger), ERR_IO);
        CHECK_ERR(book_append(&b), ERR_IO);
    }
    book_close(&b);
    flaky_plan(&b.disk, 0, false, OK);
    CHECK_ERR(book_open(&b), OK);
    if (e == ERR_IO)
        CHECK(book_is_honest(&b));
    else
        CHECK(memcmp(b.found, b.cells, sizeof b.cells) == 0 || b.refused_with == ERR_IO);
    end(&b);
    return failed;
}

TEST(a_call_that_fails_once_is_told_and_nothing_is_guessed)
{
    for (uint64_t n = 1; fail_once_at(n, ERR_IO);)
        n++;
}

TEST(a_full_disk_refuses_and_later_takes_again)
{
    for (uint64_t n = 1; fail_once_at(n, ERR_DISK_FULL);)
        n++;
    struct book b;
    begin(&b, 1);
    book_write(&b, 3);
    flaky_plan(&b.disk, 1, true, ERR_DISK_FULL);
    CHECK_ERR(book_append(&b), OK);
    CHECK_ERR(book_append(&b), OK);
    book_settle(&b);
    CHECK_EQ(b.refused, 2);
    CHECK_ERR(b.refused_with, ERR_DISK_FULL);
    CHECK_ERR(ledger_status(b.ledger), ERR_DISK_FULL);
    flaky_plan(&b.disk, 0, false, OK);
    book_write(&b, 1);
    CHECK_ERR(ledger_status(b.ledger), OK);
    CHECK_EQ(b.acknowledged, 4);
    book_close(&b);
    CHECK_ERR(book_open(&b), OK);
    CHECK_EQ(b.applied, 4);
    end(&b);
}

SCENARIO(opens_appends_rewrites_and_closes_without_memory)
{
    struct book b;
    enum err e = book_new(&b, 3);
    b.compact_bytes = 600;
    if (!e)
        e = book_open(&b);
    for (int i = 0; i < 40 && !e; i++) {
        e = book_append(&b);
        book_settle(&b);
        e = e ? e : b.refused_with;
    }
    book_close(&b);
    book_free(&b);
    return e && mem_failed() ? ERR_NOMEM : e;
}

/* ---- against a model -------------------------------------------------------------------------------------------------- */

static void step(struct book *b)
{
    switch (sim_choose(b->sim, 12)) {
    case 0:
        book_close(b);
        CHECK_ERR(book_open(b), OK);
        CHECK(book_is_honest(b));
        CHECK_EQ(b->last_found, b->last_acknowledged);
        break;
    case 1:
        book_settle(b);
        break;
    case 2:
    case 3:
        loop_turn(b->loop, false);
        break;
    default:
        b->padding_bytes = sim_choose(b->sim, 200);
        CHECK_ERR(book_append(b), OK);
    }
}

TEST(random_lives_agree_with_the_model)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct book b;
        CHECK_ERR(book_new(&b, seed), OK);
        b.compact_bytes = 500 + sim_choose(b.sim, 4000);
        CHECK_ERR(book_open(&b), OK);
        for (int i = 0; i < 400; i++)
            step(&b);
        end(&b);
    }
}
