/* What is removed, by time, size, offset and name; and what a reader that holds a range still has. */
#include <stdlib.h>

#include "rt/sim/disk.h"
#include "world.h"

static void begin(struct world *w)
{
    CHECK_ERR(world_new(w, 1), OK);
    w->options.wal_file_bytes = 1 << 20;
    w->options.retention_ms = 1000;
    w->logs[0].options.segment_bytes = 10000;
}

static void append(struct world *w, uint32_t log, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        CHECK_ERR(world_append(w, log, 1000, 1), OK);
    world_settle(w);
}

/* Timers that are due, and what they hand to the pool. */
static void let_pass(struct world *w, uint64_t ms)
{
    sim_advance(w->sim, ms * 1000000);
    for (int i = 0; i < 20; i++)
        loop_turn(w->loop, false);
}

static struct journal_log_status status_of(const struct world *w, uint32_t log)
{
    struct journal_log_status s;
    journal_log_status(w->logs[log].log, &s);
    return s;
}

struct count {
    uint32_t logs, indexes;
};

static void count_name(void *context, const char *name, bool folder)
{
    struct count *c = context;
    size_t size = strlen(name);
    c->logs += !folder && size > 4 && strcmp(name + size - 4, ".log") == 0;
    c->indexes += !folder && size > 6 && strcmp(name + size - 6, ".index") == 0;
}

static struct count files_of_first_log(const struct world *w)
{
    struct count c = {0};
    (void)w->env->disk->list(w->env, "/data/logs/a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0-0", count_name, &c);
    return c;
}

TEST(old_segments_are_removed)
{
    struct world w;
    begin(&w);
    w.logs[0].options.retention_ms = 60000;
    CHECK_ERR(world_open(&w, 1), OK);
    append(&w, 0, 35);
    CHECK_EQ(status_of(&w, 0).segments, 4);
    let_pass(&w, 50000);
    append(&w, 0, 10);
    CHECK_EQ(status_of(&w, 0).segments, 5);
    let_pass(&w, 20000); /* the first three hold nothing newer than 70 s; the fourth has what came later, too */
    CHECK_EQ(journal_log_start(w.logs[0].log), 30);
    CHECK_EQ(files_of_first_log(&w).logs, 2);
    CHECK_EQ(files_of_first_log(&w).indexes, 2);
    world_check_whole(&w, 0);
    let_pass(&w, 60000); /* all of it: a new segment takes the place of the last one */
    CHECK_EQ(journal_log_start(w.logs[0].log), 45);
    CHECK_EQ(journal_log_end(w.logs[0].log), 45);
    CHECK_EQ(status_of(&w, 0).bytes, 0);
    append(&w, 0, 1);
    CHECK_ERR(world_close(&w), OK);
    CHECK_ERR(world_open(&w, 1), OK);
    CHECK_EQ(journal_log_start(w.logs[0].log), 45);
    world_check_whole(&w, 0);
    world_free(&w);
}

TEST(the_oldest_go_where_there_is_too_much)
{
    struct world w;
    begin(&w);
    w.logs[0].options.retention_bytes = 25000;
    CHECK_ERR(world_open(&w, 1), OK);
    append(&w, 0, 95);
    let_pass(&w, 1100);
    CHECK(status_of(&w, 0).bytes >= 25000);
    CHECK(status_of(&w, 0).bytes < 35000);
    CHECK_EQ(files_of_first_log(&w).logs, status_of(&w, 0).segments);
    world_check_whole(&w, 0);
    struct journal_log_options smaller = w.logs[0].options;
    smaller.retention_bytes = 1;
    journal_log_configure(w.logs[0].log, &smaller);
    let_pass(&w, 1100);
    CHECK_EQ(status_of(&w, 0).segments, 1);
    world_free(&w);
}

TEST(a_cut_start_stays_cut)
{
    struct world w;
    begin(&w);
    CHECK_ERR(world_open(&w, 1), OK);
    append(&w, 0, 50);
    CHECK_ERR(journal_log_cut_start(w.logs[0].log, 51), ERR_OUT_OF_RANGE);
    CHECK_ERR(journal_log_cut_start(w.logs[0].log, 25), OK);
    CHECK_ERR(journal_log_cut_start(w.logs[0].log, 20), OK);
    CHECK_EQ(journal_log_start(w.logs[0].log), 25);
    CHECK_EQ(status_of(&w, 0).segments, 3);
    struct journal_range r;
    CHECK_ERR(journal_find(w.logs[0].log, 24, 100, &r), ERR_OUT_OF_RANGE);
    CHECK_ERR(journal_find(w.logs[0].log, 51, 100, &r), ERR_OUT_OF_RANGE);
    world_check_whole(&w, 0);
    CHECK_ERR(journal_log_cut_start(w.logs[0].log, 50), OK);
    CHECK_ERR(world_close(&w), OK);
    CHECK_ERR(world_open(&w, 1), OK);
    CHECK_EQ(journal_log_start(w.logs[0].log), 50);
    CHECK_EQ(journal_log_end(w.logs[0].log), 50);
    world_free(&w);
}

/* Cut, deleted, and the descriptors of others pushed out: what a reader holds it can read. */
TEST(a_held_range_outlives_its_log)
{
    struct world w;
    struct journal_range r;
    uint8_t bytes[1000], want[1000];
    size_t got;
    begin(&w);
    w.options.files_open_max = 1;
    CHECK_ERR(world_open(&w, 3), OK);
    append(&w, 0, 50);
    CHECK_ERR(journal_find(w.logs[0].log, 3, 1, &r), OK);
    CHECK_ERR(journal_log_cut_start(w.logs[0].log, 40), OK);
    journal_log_delete(w.logs[0].log);
    append(&w, 1, 5);
    append(&w, 2, 5);
    let_pass(&w, 3000);
    CHECK_EQ(files_of_first_log(&w).logs, 0);
    CHECK_ERR(journal_range_resolve(&r), OK);
    CHECK_ERR(journal_range_read(&r, 0, bytes, sizeof bytes, &got), OK);
    CHECK_EQ(got, 1000);
    entry_fill(want, 1000, 0, 3, 1, w.logs[0].known[3].time_ms);
    CHECK(memcmp(bytes, want, 1000) == 0);
    journal_range_release(&r);
    world_free(&w);
}

TEST(a_deleted_log_does_not_come_back)
{
    for (int power = 0; power <= 1; power++) {
        struct world w;
        begin(&w);
        w.flushes = true;
        CHECK_ERR(world_open(&w, 2), OK);
        append(&w, 0, 30);
        append(&w, 1, 3);
        CHECK_ERR(world_append(&w, 0, 1000, 1), OK); /* on its way when the log goes */
        journal_log_delete(w.logs[0].log);
        world_settle(&w);
        CHECK_EQ(w.done_failed, 1);
        CHECK_ERR(w.last_err, ERR_CANCELLED);
        world_die(&w, power);
        w.logs[0].key.id[0] = 1; /* the next start knows nothing of it, but has another */
        w.logs[0].known_count = 0;
        w.logs[0].acknowledged = 0;
        CHECK_ERR(world_open(&w, 2), OK);
        CHECK_EQ(files_of_first_log(&w).logs, 0);
        CHECK_EQ(journal_log_end(w.logs[0].log), 0);
        world_check_whole(&w, 1);
        world_free(&w);
    }
}

/* Neither its files nor what the stream has of it may go because the disk failed for a moment. */
TEST(a_log_that_cannot_be_opened_is_not_a_deleted_one)
{
    struct world w;
    begin(&w);
    w.flushes = true;
    CHECK_ERR(world_open(&w, 1), OK);
    append(&w, 0, 30);
    world_die(&w, true);
    struct journal_store_options o = {.env = w.env, .folder = w.folder, .format = &entry_format};
    struct journal_store *store;
    struct journal *journal;
    struct journal_log *log;
    CHECK_ERR(journal_store_open(&o, NULL, &store), OK);
    CHECK_ERR(journal_open(store, &w.options, &journal), OK);
    const struct sim_disk_plan failing = {.errors[SIM_DISK_OPEN] = {.at = 1, .onwards = true, .err = ERR_IO}},
                               good = {0};
    sim_disk_set_plan(w.sim, &failing);
    CHECK_ERR(journal_log_open(journal, &w.logs[0].key, &w.logs[0].options, &log), ERR_IO);
    sim_disk_set_plan(w.sim, &good);
    CHECK_ERR(journal_store_recovered(store, NULL), ERR_IO);
    w.journal = journal;
    w.store = store;
    (void)world_close(&w);
    w.journal = NULL;
    CHECK_ERR(world_open(&w, 1), OK);
    world_check_whole(&w, 0);
    world_free(&w);
}

TEST(entries_are_found_by_time)
{
    struct world w;
    int64_t offset, time_ms;
    begin(&w);
    CHECK_ERR(world_open(&w, 1), OK);
    for (int i = 0; i < 60; i++) {
        append(&w, 0, 1);
        sim_advance(w.sim, 10000000);
        loop_turn(w.loop, false);
    }
    const struct known *known = w.logs[0].known;
    for (int i = 0; i < 60; i++) {
        CHECK_ERR(journal_find_time(w.logs[0].log, known[i].time_ms, &offset, &time_ms), OK);
        CHECK_EQ(offset, i);
        CHECK_EQ(time_ms, known[i].time_ms);
        if (i > 0) {
            CHECK_ERR(journal_find_time(w.logs[0].log, known[i - 1].time_ms + 1, &offset, &time_ms), OK);
            CHECK_EQ(offset, i);
        }
    }
    CHECK_ERR(journal_find_time(w.logs[0].log, known[59].time_ms + 1, &offset, &time_ms), OK);
    CHECK_EQ(offset, -1);
    CHECK_ERR(journal_log_cut_start(w.logs[0].log, 33), OK);
    CHECK_ERR(journal_find_time(w.logs[0].log, 0, &offset, &time_ms), OK);
    CHECK_EQ(offset, 33);
    world_free(&w);
}

/* From the page cache to the stream, in the middle of its life. */
TEST(durability_changes)
{
    for (int power = 0; power <= 1; power++) {
        struct world w;
        struct journal_log_options logged;
        begin(&w);
        CHECK_ERR(world_open(&w, 1), OK);
        append(&w, 0, 20);
        logged = w.logs[0].options;
        logged.logged = true;
        journal_log_configure(w.logs[0].log, &logged);
        append(&w, 0, 20);
        world_die(&w, power);
        CHECK_ERR(world_open(&w, 1), OK);
        CHECK_EQ(journal_log_end(w.logs[0].log), 40);
        world_check_whole(&w, 0);
        world_free(&w);
    }
}

/* An idle log keeps no descriptor, and next to no memory. */
TEST(idle_logs_rest)
{
    struct world w;
    struct journal_status status;
    begin(&w);
    CHECK_ERR(world_open(&w, WORLD_LOGS), OK);
    for (uint32_t i = 0; i < WORLD_LOGS; i++)
        append(&w, i, 10);
    journal_status(w.journal, &status);
    CHECK_EQ(status.files_open, WORLD_LOGS);
    for (int i = 0; i < 8; i++)
        let_pass(&w, 1000);
    journal_status(w.journal, &status);
    CHECK_EQ(status.files_open, 0);
    for (uint32_t i = 0; i < WORLD_LOGS; i++)
        world_check_whole(&w, i);
    append(&w, 3, 1);
    world_check_whole(&w, 3);
    world_free(&w);
}

TEST(what_is_not_in_its_place_is_refused)
{
    struct world w;
    struct journal_store *second;
    begin(&w);
    CHECK_ERR(world_open(&w, 1), OK);
    append(&w, 0, 5);
    struct journal_store_options o = {.env = w.env, .folder = w.folder, .format = &entry_format};
    CHECK_ERR(journal_store_open(&o, NULL, &second), ERR_FILE);
    struct journal_log *again;
    CHECK_ERR(journal_log_open(w.journal, &w.logs[0].key, &w.logs[0].options, &again), ERR_ALREADY_EXISTS);
    world_free(&w);
}
