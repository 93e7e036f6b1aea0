/* Disks that lie (case 63) and bytes that rot: found, told, never cut off where it was synced, and never read as something else. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "journal/check.h"
#include "journal/layout.h"
#include "rt/sim/disk.h"
#include "world.h"

static void begin(struct world *w, uint64_t seed, uint32_t entries)
{
    CHECK_ERR(world_new(w, seed), OK);
    w->options.wal_file_bytes = 1 << 20;
    w->logs[0].options.segment_bytes = 50000;
    CHECK_ERR(world_open(w, 1), OK);
    for (uint32_t i = 0; i < entries; i++)
        CHECK_ERR(world_append(w, 0, 1000 + i, 1), OK);
    world_settle(w);
}

static void path_of(const struct world *w, int64_t base, const char *suffix, char out[JOURNAL_PATH_BYTES])
{
    CHECK(layout_log_path(out, w->folder, &w->logs[0].key, base, suffix));
}

/* Reads from every offset on: right, or refused. Returns how often it was refused. */
static uint32_t read_everywhere(struct world *w)
{
    struct journal_log *log = w->logs[0].log;
    uint32_t refused = 0;
    for (int64_t at = journal_log_start(log); at < journal_log_stable(log); at++) {
        struct journal_range r;
        uint8_t want[2000], got[2000];
        size_t size;
        enum err e = journal_find(log, at, 1, &r);
        CHECK_ERR(e, OK);
        e = journal_range_resolve(&r);
        if (!e) {
            CHECK_EQ(r.first_offset, at);
            CHECK_EQ(r.size, w->logs[0].known[at].size);
            CHECK_ERR(journal_range_read(&r, 0, got, sizeof got, &size), OK);
            entry_fill(want, (uint32_t)r.size, 0, at, 1, w->logs[0].known[at].time_ms);
            if (memcmp(got, want, r.size) != 0)
                test_fail(__FILE__, __LINE__, "offset %lld has other bytes", (long long)at);
        } else {
            CHECK_ERR(e, ERR_CORRUPT);
            refused++;
        }
        journal_range_release(&r);
    }
    return refused;
}

struct findings {
    uint32_t count[4];
    char path[JOURNAL_PATH_BYTES];
    uint64_t position;
};

static void note(void *context, const struct journal_problem *p)
{
    struct findings *f = context;
    f->count[p->finding]++;
    f->position = p->position;
    snprintf(f->path, sizeof f->path, "%s", p->path);
}

static enum err check_folder(const struct world *w, struct findings *f, struct journal_check *c)
{
    *f = (struct findings){0};
    *c = (struct journal_check){.problem = note, .context = f};
    return journal_check(w->env, w->folder, &entry_format, c, NULL);
}

TEST(rot_is_found_where_it_is)
{
    struct world w;
    struct journal_check c;
    struct findings f;
    char path[JOURNAL_PATH_BYTES];
    begin(&w, 1, 120);
    CHECK_ERR(check_folder(&w, &f, &c), ERR_FILE); /* in use */
    CHECK_ERR(world_close(&w), OK);
    CHECK_ERR(check_folder(&w, &f, &c), OK);
    CHECK_EQ(c.entries, 120);
    CHECK_EQ(c.damaged + c.other, 0);
    path_of(&w, 0, ".log", path);
    CHECK_ERR(sim_disk_rot(w.sim, path, 20000, 0x10), OK);
    CHECK_ERR(check_folder(&w, &f, &c), OK);
    CHECK_EQ(c.damaged, 1);
    CHECK_STR(f.path, path);
    CHECK(f.position <= 20000 && f.position > 20000 - 1200);
    CHECK_ERR(world_open(&w, 1), OK);
    CHECK_EQ(journal_log_end(w.logs[0].log), 120); /* nothing was cut */
    CHECK_EQ(read_everywhere(&w), 1);
    world_free(&w);
}

/* An entry that was undone at the end of a segment, and that a crash has brought back: the next segment begins with its offset. */
static void undone_entry_is_back(bool with_index)
{
    struct world w;
    struct journal_log_status status;
    char path[JOURNAL_PATH_BYTES];
    uint8_t bytes[2000];
    uint64_t end;
    int64_t next = 0;
    int fd;
    begin(&w, 3, 120);
    CHECK_ERR(world_close(&w), OK);
    path_of(&w, 0, ".log", path);
    CHECK_ERR(w.env->disk->open(w.env, path, O_RDWR, 0, &fd), OK);
    CHECK_ERR(w.env->disk->size(w.env, fd, &end), OK);
    for (uint64_t at = 0; at < end; next++)
        at += w.logs[0].known[next].size;
    uint32_t size = w.logs[0].known[next].size;
    entry_fill(bytes, size, 0, next, 1, w.logs[0].known[next].time_ms + 1);
    CHECK_ERR(w.env->disk->pwrite(w.env, fd, slice_of(bytes, size), end), OK);
    w.env->disk->close(w.env, fd);
    path_of(&w, 0, ".index", path);
    if (!with_index)
        CHECK_ERR(w.env->disk->unlink(w.env, path), OK);
    CHECK_ERR(world_open(&w, 1), OK);
    journal_log_status(w.logs[0].log, &status);
    CHECK(!status.damaged);
    CHECK_EQ(journal_log_end(w.logs[0].log), 120);
    CHECK_EQ(read_everywhere(&w), 0);
    world_free(&w);
}

TEST(what_was_undone_behind_a_closed_segment_is_no_damage)
{
    undone_entry_is_back(true);
    undone_entry_is_back(false);
}

/* Every byte of the headers of a closed and of the last segment, one at a time. */
TEST(rotten_headers_are_never_read_as_others)
{
    for (int64_t at = 0; at < 3; at++)
        for (uint32_t byte = 0; byte < 16; byte++) {
            struct world w;
            struct journal_log_status status;
            char path[JOURNAL_PATH_BYTES];
            begin(&w, 2, 60);
            CHECK_ERR(world_close(&w), OK);
            path_of(&w, 0, ".log", path);
            uint64_t position = 0;
            for (int64_t i = 0; i < at * 7; i++)
                position += w.logs[0].known[i].size;
            CHECK_ERR(sim_disk_rot(w.sim, path, position + byte, 0x04), OK);
            CHECK_ERR(world_open(&w, 1), OK);
            journal_log_status(w.logs[0].log, &status);
            CHECK_EQ(journal_log_end(w.logs[0].log), 60);
            CHECK(read_everywhere(&w) > 0);
            world_free(&w);
        }
}

/* A rotten entry within what was synced, and the process died: reported, not cut; what lies behind is read. */
TEST(damage_below_the_checkpoint_is_not_a_torn_tail)
{
    struct world w;
    struct journal_log_status status;
    char path[JOURNAL_PATH_BYTES];
    begin(&w, 3, 10);
    CHECK_ERR(world_close(&w), OK);
    path_of(&w, 0, ".log", path);
    CHECK_ERR(sim_disk_rot(w.sim, path, 9 * 1000 + 100, 1), OK); /* of the last indexed block */
    CHECK_ERR(world_open(&w, 1), OK);
    world_die(&w, false);
    CHECK_ERR(world_open(&w, 1), OK);
    journal_log_status(w.logs[0].log, &status);
    CHECK(status.damaged);
    CHECK_EQ(journal_log_end(w.logs[0].log), 10);
    CHECK_EQ(status.bytes, 10045);
    CHECK_ERR(world_append(&w, 0, 500, 1), OK);
    world_settle(&w);
    CHECK_EQ(w.done_failed, 0);
    CHECK_EQ(journal_log_end(w.logs[0].log), 11);
    world_free(&w);
}

/* A write that never arrived, or arrived elsewhere, is seen when the page cache has forgotten it. */
static void lying_write(bool misdirected)
{
    uint32_t found = 0;
    for (uint64_t n = 1; n <= 30; n++) {
        struct world w;
        struct sim_disk_plan plan = {0};
        CHECK_ERR(world_new(&w, 10 + n), OK);
        CHECK_ERR(world_open(&w, 1), OK);
        *(misdirected ? &plan.misdirected_write_at : &plan.lost_write_at) = n;
        sim_disk_set_plan(w.sim, &plan);
        for (uint32_t i = 0; i < 30; i++) {
            CHECK_ERR(world_append(&w, 0, 1900, 1), OK);
            world_settle(&w);
        }
        CHECK_ERR(world_close(&w), OK);
        sim_disk_evict(w.sim);
        CHECK_ERR(world_open(&w, 1), OK);
        CHECK_EQ(journal_log_end(w.logs[0].log), 30);
        found += read_everywhere(&w) > 0;
        world_free(&w);
    }
    CHECK(found >= 20);
}

TEST(lost_writes_are_found)
{
    lying_write(false);
}

TEST(misdirected_writes_are_found)
{
    lying_write(true);
}

TEST(rotten_indexes_harm_nobody)
{
    for (uint64_t byte = 0; byte < 10 * JOURNAL_INDEX_BYTES; byte += 5) {
        struct world w;
        char path[JOURNAL_PATH_BYTES];
        begin(&w, 4, 60);
        CHECK_ERR(world_close(&w), OK);
        path_of(&w, 0, ".index", path);
        CHECK_ERR(sim_disk_rot(w.sim, path, byte, 0x80), OK);
        CHECK_ERR(world_open(&w, 1), OK);
        CHECK_EQ(read_everywhere(&w), 0);
        world_check_whole(&w, 0);
        world_free(&w);
    }
}

/* A batch of the stream that was synced, as a later one tells, and is damaged now: the opening is refused. The last one may as well
 * have been torn. */
TEST(damage_in_the_stream_is_told_from_its_end)
{
    for (int last = 0; last <= 1; last++) {
        struct world w;
        char path[JOURNAL_PATH_BYTES];
        CHECK_ERR(world_new(&w, 5), OK);
        w.flushes = true;
        w.options.wal_file_bytes = 1 << 20;
        w.logs[0].options.logged = true;
        CHECK_ERR(world_open(&w, 1), OK);
        for (uint32_t i = 0; i < 5; i++) {
            CHECK_ERR(world_append(&w, 0, 1000, 1), OK);
            world_settle(&w);
        }
        world_die(&w, true);
        CHECK(layout_wal_path(path, w.folder, 0, 1));
        CHECK_ERR(sim_disk_rot(w.sim, path, (last ? 4 : 2) * 4096 + 600, 1), OK);
        CHECK_ERR(world_open(&w, 1), last ? OK : ERR_CORRUPT);
        if (last)
            CHECK_EQ(journal_log_end(w.logs[0].log), 4);
        world_free(&w);
    }
}

TEST(a_rotten_checkpoint_is_refused)
{
    struct world w;
    char path[JOURNAL_PATH_BYTES];
    begin(&w, 6, 3);
    CHECK_ERR(world_close(&w), OK);
    CHECK(layout_checkpoint_path(path, w.folder, 0, ""));
    CHECK_ERR(sim_disk_rot(w.sim, path, 40, 1), OK);
    CHECK_ERR(world_open(&w, 1), ERR_CORRUPT);
    world_free(&w);
}
