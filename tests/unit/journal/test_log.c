/* A log on the machine and on its twin: appended, read, rolled, opened again. */
#include "world.h"

static void on_both(void (*fn)(struct world *))
{
    for (uint64_t seed = 0; seed <= 1; seed++) {
        struct world w;
        CHECK_ERR(world_new(&w, seed), OK);
        fn(&w);
        world_free(&w);
    }
}

static void append_many(struct world *w, uint32_t log, uint32_t count, uint32_t size)
{
    for (uint32_t i = 0; i < count; i++) {
        CHECK_ERR(world_append(w, log, size + i % 7, 1 + i % 3), OK);
        if (i % 5 == 0)
            world_settle(w);
    }
    world_settle(w);
}

static void appends_and_reads(struct world *w)
{
    CHECK_ERR(world_open(w, 2), OK);
    append_many(w, 0, 100, 1000);
    append_many(w, 1, 300, 40);
    CHECK_EQ(w->done_ok, 400);
    world_check_whole(w, 0);
    world_check_whole(w, 1);
    CHECK_ERR(world_close(w), OK);
    CHECK_ERR(world_open(w, 2), OK);
    CHECK(journal_store_was_clean(w->store));
    world_check_whole(w, 0);
    append_many(w, 0, 10, 20000);
    world_check_whole(w, 0);
    world_check_whole(w, 1);
}

TEST(what_is_appended_is_read)
{
    on_both(appends_and_reads);
}

static void flushes(struct world *w)
{
    struct journal_status status;
    w->flushes = true;
    w->logs[0].options.logged = true;
    CHECK_ERR(world_open(w, 2), OK);
    append_many(w, 0, 100, 1000);
    append_many(w, 1, 100, 11000); /* its first append waits for a checkpoint */
    journal_status(w->journal, &status);
    CHECK(status.flushes > 0);
    CHECK(status.flushed_bytes >= 100 * 12000);
    world_check_whole(w, 0);
    world_check_whole(w, 1);
    CHECK_ERR(world_close(w), OK);
    CHECK_ERR(world_open(w, 2), OK);
    world_check_whole(w, 1);
}

TEST(flushed_appends_go_through_the_stream)
{
    on_both(flushes);
}

static void rolls(struct world *w)
{
    struct journal_log_status status;
    w->logs[0].options.segment_bytes = 10000;
    CHECK_ERR(world_open(w, 1), OK);
    append_many(w, 0, 200, 900);
    journal_log_status(w->logs[0].log, &status);
    CHECK(status.segments >= 18);
    world_check_whole(w, 0);
    append_many(w, 0, 1, 50000); /* larger than a segment: one of its own */
    append_many(w, 0, 1, 100);
    CHECK_ERR(world_close(w), OK);
    CHECK_ERR(world_open(w, 1), OK);
    journal_log_status(w->logs[0].log, &status);
    CHECK(status.segments >= 20);
    world_check_whole(w, 0);
}

TEST(segments_roll)
{
    on_both(rolls);
}
