/* The twin's disk: that each fault of its plan happens, and that chance does all that it may do and nothing else. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "../harness.h"
#include "base/mem.h"
#include "rt/sim/disk.h"

enum { PAGE = 4096, SECTOR = 512 };

struct disk {
    struct sim *sim;
    const struct env *env;
    const struct env_disk *calls;
    int fd;
};

/* With a file "/d/x" whose name is on the platter. */
static struct disk begin(uint64_t seed, const struct sim_disk_plan *plan)
{
    struct disk d;
    CHECK_ERR(sim_new(seed, &d.sim), OK);
    d.env = sim_env(d.sim);
    d.calls = d.env->disk;
    CHECK_ERR(d.calls->mkdir(d.env, "/d", 0700), OK);
    CHECK_ERR(d.calls->open(d.env, "/d/x", O_RDWR | O_CREAT, 0600, &d.fd), OK);
    CHECK_ERR(d.calls->sync_folder(d.env, "/"), OK);
    CHECK_ERR(d.calls->sync_folder(d.env, "/d"), OK);
    sim_disk_set_plan(d.sim, plan ? plan : &(struct sim_disk_plan){0});
    return d;
}

static void end(struct disk *d)
{
    sim_free(d->sim);
}

static void put(struct disk *d, char what, size_t size, uint64_t offset)
{
    char *bytes = malloc(size);
    memset(bytes, what, size);
    CHECK_ERR(d->calls->pwrite(d->env, d->fd, slice_of(bytes, size), offset), OK);
    free(bytes);
}

static void sync_file(struct disk *d)
{
    CHECK_ERR(d->calls->sync(d->env, d->fd), OK);
}

static void crash(struct disk *d)
{
    sim_crash_disk(d->sim);
    CHECK_ERR(d->calls->open(d->env, "/d/x", O_RDWR, 0600, &d->fd), OK);
}

static uint64_t size_of(struct disk *d)
{
    uint64_t size;
    CHECK_ERR(d->calls->size(d->env, d->fd, &size), OK);
    return size;
}

/* The one byte that all of the range has; 0: it has several. */
static char all_of(struct disk *d, uint64_t offset, size_t size)
{
    char *bytes = malloc(size), first;
    size_t got, same = 1;
    CHECK_ERR(d->calls->pread(d->env, d->fd, bytes, size, offset, &got), OK);
    CHECK_EQ(got, size);
    first = *bytes;
    while (same < size && bytes[same] == first)
        same++;
    free(bytes);
    return same == size ? first : 0;
}

/* ---- crashes --------------------------------------------------------------------------------------------------------------- */

enum { PAGES = 8, SEEDS = 200 };
struct outcome {
    int old, new, torn, orders;
};

/* What a crash makes of pages written over synced ones, in their order. */
static struct outcome crash_with(uint64_t seed, uint32_t page_bytes)
{
    struct outcome o = {0};
    struct disk d = begin(seed, &(struct sim_disk_plan){.crash = SIM_CRASH_TEARS, .page_bytes = page_bytes});
    put(&d, 'o', PAGES * PAGE, 0);
    sync_file(&d);
    for (int i = 0; i < PAGES; i++)
        put(&d, 'n', PAGE, (uint64_t)i * PAGE);
    crash(&d);
    CHECK_EQ(size_of(&d), PAGES * PAGE);
    bool lost = false;
    for (int i = 0; i < PAGES; i++) {
        char is = all_of(&d, (uint64_t)i * PAGE, PAGE);
        o.old += is == 'o';
        o.new += is == 'n';
        o.torn += is == 0;
        o.orders += is == 'n' && lost; /* kept, though one that was written before is not */
        lost |= is == 'o';
        for (uint64_t at = 0; at < PAGE; at += SECTOR) /* a sector is one or the other */
            CHECK(all_of(&d, (uint64_t)i * PAGE + at, SECTOR) != 0);
    }
    end(&d);
    return o;
}

static void pages_are_lost_kept_torn_and_reordered(uint32_t page_bytes)
{
    struct outcome all = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct outcome o = crash_with(seed, page_bytes);
        all = (struct outcome){all.old + o.old, all.new + o.new, all.torn + o.torn, all.orders + o.orders};
    }
    int enough = SEEDS / 20;
    CHECK(all.old > enough && all.new > enough &&all.torn > enough);
    CHECK(page_bytes != PAGE || all.orders > enough);
}

TEST(pages_of_4_kib_are_lost_kept_torn_and_reordered)
{
    pages_are_lost_kept_torn_and_reordered(PAGE);
}

TEST(pages_of_512_bytes_are_lost_kept_and_mixed)
{
    pages_are_lost_kept_torn_and_reordered(SECTOR);
    pages_are_lost_kept_torn_and_reordered(0);
}

TEST(what_was_synced_stays_whatever_the_seed)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct disk d = begin(seed, &(struct sim_disk_plan){.crash = SIM_CRASH_TEARS, .write_back_one_in = 2});
        put(&d, 'a', 3 * PAGE, 0);
        sync_file(&d);
        put(&d, 'b', PAGE, 2 * PAGE);
        put(&d, 'c', PAGE, 5 * PAGE);
        crash(&d);
        CHECK_EQ(all_of(&d, 0, 2 * PAGE), 'a');
        end(&d);
    }
}

/* An appended file has any of its lengths, with zeros where a page is lost; one that was cut may have its end again. */
TEST(sizes_that_were_not_synced_are_old_or_new)
{
    bool grown = false, old = false, between = false, zeros = false, back = false, cut = false;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct disk d = begin(seed, &(struct sim_disk_plan){.crash = SIM_CRASH_TEARS, .page_bytes = PAGE});
        put(&d, 'a', PAGE, 0);
        sync_file(&d);
        put(&d, 'b', 3 * PAGE, PAGE);
        crash(&d);
        uint64_t size = size_of(&d);
        CHECK(size >= PAGE && size <= 4 * PAGE);
        grown |= size == 4 * PAGE;
        old |= size == PAGE;
        between |= size == 2 * PAGE;
        zeros |= size == 4 * PAGE && all_of(&d, PAGE, SECTOR) == '\0';
        sync_file(&d);
        CHECK_ERR(d.calls->truncate(d.env, d.fd, 10), OK);
        crash(&d);
        back |= size_of(&d) >= PAGE;
        cut |= size_of(&d) == 10;
        end(&d);
    }
    CHECK(grown && old && between && zeros && back && cut);
}

TEST(pages_reach_the_platter_by_themselves)
{
    struct disk d = begin(3, &(struct sim_disk_plan){.write_back_one_in = 1});
    put(&d, 'a', PAGE, 0);
    crash(&d);
    CHECK_EQ(size_of(&d), PAGE);
    CHECK_EQ(all_of(&d, 0, PAGE), 'a');
    end(&d);
}

TEST(equal_seeds_crash_alike)
{
    for (uint64_t seed = 1; seed < 10; seed++) {
        struct outcome a = crash_with(seed, 0), b = crash_with(seed, 0);
        CHECK(memcmp(&a, &b, sizeof a) == 0);
    }
}

/* ---- names ----------------------------------------------------------------------------------------------------------------- */

static bool exists(struct disk *d, const char *path)
{
    int fd;
    enum err e = d->calls->open(d->env, path, O_RDWR, 0, &fd);
    if (!e)
        d->calls->close(d->env, fd);
    else
        CHECK_ERR(e, ERR_NOT_FOUND);
    return !e;
}

static void make(struct disk *d, const char *path)
{
    int fd;
    CHECK_ERR(d->calls->open(d->env, path, O_RDWR | O_CREAT | O_EXCL, 0600, &fd), OK);
    CHECK_ERR(d->calls->sync(d->env, fd), OK);
    d->calls->close(d->env, fd);
}

TEST(a_name_lasts_when_its_folder_was_synced)
{
    struct disk d = begin(1, NULL);
    make(&d, "/d/y");
    make(&d, "/d/z");
    CHECK_ERR(d.calls->sync_folder(d.env, "/d"), OK);
    make(&d, "/d/lost");
    CHECK_ERR(d.calls->unlink(d.env, "/d/y"), OK);
    CHECK(!exists(&d, "/d/y"));
    crash(&d);
    CHECK(exists(&d, "/d/y")); /* its end was not synced */
    CHECK(exists(&d, "/d/z"));
    CHECK(!exists(&d, "/d/lost"));
    end(&d);
}

TEST(a_folder_that_was_not_synced_takes_its_files_with_it)
{
    struct disk d = begin(1, NULL);
    CHECK_ERR(d.calls->mkdir(d.env, "/d/new/deep", 0700), OK);
    make(&d, "/d/new/deep/y");
    CHECK_ERR(d.calls->sync_folder(d.env, "/d/new/deep"), OK);
    CHECK_ERR(d.calls->sync_folder(d.env, "/d/new"), OK);
    crash(&d);
    CHECK(!exists(&d, "/d/new/deep/y"));
    CHECK_ERR(d.calls->sync_folder(d.env, "/d/new"), ERR_NOT_FOUND);
    end(&d);
}

TEST(changes_of_a_folder_last_in_their_order)
{
    int seen[3] = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct disk d = begin(seed, &(struct sim_disk_plan){.crash = SIM_CRASH_TEARS});
        make(&d, "/d/first");
        make(&d, "/d/second");
        crash(&d);
        bool first = exists(&d, "/d/first"), second = exists(&d, "/d/second");
        CHECK(first || !second);
        seen[first + second]++;
        end(&d);
    }
    CHECK(seen[0] && seen[1] && seen[2]);
}

/* Everything is written, and nothing but that is. */
TEST(one_sync_of_all_keeps_every_file_and_name)
{
    for (uint64_t seed = 1; seed < 50; seed++) {
        struct disk d = begin(seed, &(struct sim_disk_plan){.crash = SIM_CRASH_TEARS});
        int fd;
        put(&d, 'a', 3 * PAGE, 0);
        CHECK_ERR(d.calls->mkdir(d.env, "/d/new/deep", 0700), OK);
        CHECK_ERR(d.calls->open(d.env, "/d/new/deep/y", O_RDWR | O_CREAT, 0600, &fd), OK);
        CHECK_ERR(d.calls->pwrite(d.env, fd, SLICE("deep"), 0), OK);
        CHECK_ERR(d.calls->move(d.env, "/d/new/deep/y", "/d/new/z"), OK);
        CHECK_ERR(d.calls->sync_all(d.env, d.fd), OK);
        put(&d, 'b', PAGE, 0);
        crash(&d);
        CHECK_EQ(all_of(&d, PAGE, 2 * PAGE), 'a');
        CHECK_ERR(d.calls->open(d.env, "/d/new/z", O_RDWR, 0, &d.fd), OK);
        CHECK_EQ(size_of(&d), 4);
        CHECK_ERR(d.calls->open(d.env, "/d/new/deep/y", O_RDWR, 0, &fd), ERR_NOT_FOUND);
        end(&d);
    }
}

TEST(a_sync_of_all_that_fails_lies_afterwards)
{
    unsigned lost = 0;
    for (uint64_t seed = 1; seed < 50; seed++) {
        struct disk d = begin(seed, &(struct sim_disk_plan){.errors[SIM_DISK_SYNC] = {.at = 1}});
        put(&d, 'a', PAGE, 0);
        CHECK_ERR(d.calls->sync_all(d.env, d.fd), ERR_IO);
        CHECK_ERR(d.calls->sync_all(d.env, d.fd), OK);
        crash(&d);
        lost += size_of(&d) < PAGE || all_of(&d, 0, PAGE) != 'a';
        end(&d);
    }
    CHECK(lost > 0);
}

TEST(a_move_may_be_undone_by_a_crash)
{
    unsigned undone = 0;
    for (uint64_t seed = 1; seed < 50; seed++) {
        struct disk d = begin(seed, &(struct sim_disk_plan){.crash = SIM_CRASH_TEARS});
        int fd;
        CHECK_ERR(d.calls->move(d.env, "/d/x", "/d/y"), OK);
        sim_crash_disk(d.sim);
        bool old = d.calls->open(d.env, "/d/x", O_RDWR, 0, &fd) == OK;
        CHECK_ERR(d.calls->open(d.env, "/d/y", O_RDWR, 0, &d.fd), old ? ERR_NOT_FOUND : OK);
        undone += old;
        end(&d);
    }
    CHECK(undone > 0 && undone < 49);
}

TEST(a_rename_is_whole_and_carries_what_came_before)
{
    struct disk d = begin(1, NULL);
    make(&d, "/d/new");
    CHECK_ERR(d.calls->rename(d.env, "/d/new", "/d/x"), OK);
    crash(&d);
    CHECK(exists(&d, "/d/x") && !exists(&d, "/d/new"));
    end(&d);
}

TEST(between_folders_the_old_name_may_come_back)
{
    struct disk d = begin(1, NULL);
    CHECK_ERR(d.calls->mkdir(d.env, "/e", 0700), OK);
    CHECK_ERR(d.calls->sync_folder(d.env, "/"), OK);
    make(&d, "/d/y");
    CHECK_ERR(d.calls->sync_folder(d.env, "/d"), OK);
    CHECK_ERR(d.calls->rename(d.env, "/d/y", "/e/y"), OK);
    CHECK(!exists(&d, "/d/y"));
    crash(&d);
    CHECK(exists(&d, "/d/y") && exists(&d, "/e/y"));
    end(&d);
}

TEST(folders_are_folders)
{
    struct disk d = begin(1, NULL);
    int fd;
    CHECK_ERR(d.calls->open(d.env, "/nowhere/x", O_RDWR | O_CREAT, 0600, &fd), ERR_NOT_FOUND);
    CHECK_ERR(d.calls->open(d.env, "/d", O_RDWR, 0600, &fd), ERR_FILE);
    CHECK_ERR(d.calls->unlink(d.env, "/d"), ERR_FILE);
    CHECK_ERR(d.calls->rmdir(d.env, "/d"), ERR_ALREADY_EXISTS);
    CHECK_ERR(d.calls->rmdir(d.env, "/d/x"), ERR_FILE);
    CHECK_ERR(d.calls->unlink(d.env, "/d/x"), OK);
    CHECK_ERR(d.calls->rmdir(d.env, "/d"), OK);
    put(&d, 'a', 10, 0); /* the file lives on for who has it open */
    CHECK_EQ(all_of(&d, 0, 10), 'a');
    end(&d);
}

/* ---- calls that fail --------------------------------------------------------------------------------------------------------- */

static enum err do_call(struct disk *d, enum sim_disk_call call)
{
    const struct env_disk *c = d->calls;
    uint8_t byte;
    size_t got;
    int fd;
    enum err e = ERR_INTERNAL;
    switch (call) {
    case SIM_DISK_OPEN:
        e = c->open(d->env, "/d/x", O_RDWR, 0, &fd);
        if (!e)
            c->close(d->env, fd);
        return e;
    case SIM_DISK_READ:
        return c->pread(d->env, d->fd, &byte, 1, 0, &got);
    case SIM_DISK_WRITE:
        return c->pwrite(d->env, d->fd, SLICE("x"), 0);
    case SIM_DISK_SYNC:
        return c->sync(d->env, d->fd);
    case SIM_DISK_TRUNCATE:
        return c->truncate(d->env, d->fd, 100);
    case SIM_DISK_ALLOCATE:
        return c->allocate(d->env, d->fd, 0, 100);
    case SIM_DISK_RENAME:
        return c->rename(d->env, "/d/x", "/d/x");
    case SIM_DISK_UNLINK:
        e = c->unlink(d->env, "/d/y");
        return e == ERR_NOT_FOUND ? OK : e;
    case SIM_DISK_MKDIR:
        return c->mkdir(d->env, "/d", 0700);
    case SIM_DISK_RMDIR:
        e = c->rmdir(d->env, "/d/y");
        return e == ERR_NOT_FOUND ? OK : e;
    case SIM_DISK_SYNC_FOLDER:
        return c->sync_folder(d->env, "/d");
    case SIM_DISK_LIST:
        return c->list(d->env, "/empty", NULL, NULL);
    case SIM_DISK_CALLS:
        break;
    }
    return e;
}

TEST(each_kind_of_call_fails_at_the_nth_once_or_from_then_on)
{
    for (int call = 0; call < SIM_DISK_CALLS; call++) {
        struct sim_disk_plan plan = {0};
        struct disk d = begin(1, NULL);
        plan.errors[call].at = 3;
        CHECK_ERR(d.calls->mkdir(d.env, "/empty", 0700), OK);
        sim_disk_set_plan(d.sim, &plan);
        for (int n = 1; n <= 5; n++)
            CHECK_ERR(do_call(&d, call), n == 3 ? ERR_IO : OK);
        CHECK_EQ(sim_disk_count(d.sim, call), 5);
        CHECK_EQ(sim_disk_faults(d.sim), 1);
        plan.errors[call].onwards = true;
        plan.errors[call].err = ERR_DISK_FULL;
        sim_disk_set_plan(d.sim, &plan);
        for (int n = 1; n <= 5; n++)
            CHECK_ERR(do_call(&d, call), n >= 3 ? ERR_DISK_FULL : OK);
        CHECK_EQ(sim_disk_faults(d.sim), 3);
        end(&d);
    }
}

TEST(a_failed_write_has_written_a_part)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct disk d = begin(seed, &(struct sim_disk_plan){.errors[SIM_DISK_WRITE] = {.at = 1}});
        struct slice parts[] = {SLICE("0123456789"), SLICE("abcdefghij")};
        CHECK_ERR(d.calls->pwritev(d.env, d.fd, parts, 2, 0), ERR_IO);
        uint64_t size = size_of(&d);
        least = size < least ? size : least;
        most = size > most ? size : most;
        end(&d);
    }
    CHECK_EQ(least, 0);
    CHECK(most >= 19);
}

/* As Linux does it: what a failed sync has not written is clean, and the next sync knows of nothing. */
TEST(a_sync_that_failed_lies_afterwards)
{
    int lost = 0, kept = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct disk d = begin(seed, &(struct sim_disk_plan){.errors[SIM_DISK_SYNC] = {.at = 2}});
        put(&d, 'o', SECTOR, 0);
        sync_file(&d);
        put(&d, 'n', SECTOR, 0);
        CHECK_ERR(d.calls->sync(d.env, d.fd), ERR_IO);
        sync_file(&d); /* says OK */
        CHECK_EQ(all_of(&d, 0, SECTOR), 'n');
        crash(&d);
        lost += all_of(&d, 0, SECTOR) == 'o';
        kept += all_of(&d, 0, SECTOR) == 'n';
        end(&d);
    }
    CHECK(lost && kept);
    CHECK_EQ(lost + kept, SEEDS);
}

TEST(a_failed_sync_may_take_the_pages_from_the_cache)
{
    int lost = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct disk d =
            begin(seed, &(struct sim_disk_plan){.errors[SIM_DISK_SYNC] = {.at = 1}, .failed_sync_evicts = true});
        put(&d, 'n', SECTOR, 0);
        CHECK_ERR(d.calls->sync(d.env, d.fd), ERR_IO);
        lost += all_of(&d, 0, SECTOR) == '\0';
        end(&d);
    }
    CHECK(lost > 0 && lost < 20);
}

TEST(without_power_nothing_works_until_the_crash)
{
    struct disk d = begin(1, NULL);
    put(&d, 'a', PAGE, 0);
    sync_file(&d);
    sim_disk_set_plan(d.sim, &(struct sim_disk_plan){.power_off_at = 2});
    put(&d, 'b', PAGE, 0);
    CHECK(!sim_disk_is_off(d.sim));
    CHECK_ERR(d.calls->sync(d.env, d.fd), ERR_IO);
    CHECK(sim_disk_is_off(d.sim));
    CHECK_ERR(d.calls->pwrite(d.env, d.fd, SLICE("c"), 0), ERR_IO);
    CHECK_ERR(d.calls->rename(d.env, "/d/x", "/d/y"), ERR_IO);
    CHECK_EQ(sim_disk_faults(d.sim), 1);
    crash(&d);
    CHECK(!sim_disk_is_off(d.sim));
    CHECK_EQ(all_of(&d, 0, PAGE), 'a');
    end(&d);
}

TEST(a_killed_process_leaves_what_it_wrote)
{
    struct disk d = begin(1, NULL);
    int fd;
    put(&d, 'a', PAGE, 0);
    CHECK_ERR(d.calls->lock(d.env, d.fd), OK);
    sim_disk_halt(d.sim);
    CHECK_ERR(d.calls->pwrite(d.env, d.fd, SLICE("b"), 0), ERR_IO);
    CHECK_ERR(d.calls->open(d.env, "/d/y", O_RDWR | O_CREAT, 0600, &fd), ERR_IO);
    sim_disk_restart(d.sim);
    CHECK(!sim_disk_is_off(d.sim));
    CHECK_ERR(d.calls->open(d.env, "/d/x", O_RDWR, 0600, &d.fd), OK);
    CHECK_ERR(d.calls->lock(d.env, d.fd), OK);
    CHECK_EQ(all_of(&d, 0, PAGE), 'a');
    end(&d);
}

TEST(a_loop_over_the_nth_call_ends)
{
    uint64_t n = 0;
    for (uint64_t faults = 1; faults; n++) {
        struct disk d = begin(1, &(struct sim_disk_plan){.errors[SIM_DISK_WRITE] = {.at = n + 1}});
        int failed = 0;
        for (int i = 0; i < 7; i++)
            failed += d.calls->pwrite(d.env, d.fd, SLICE("x"), 0) != OK;
        faults = sim_disk_faults(d.sim);
        CHECK_EQ(faults, failed);
        end(&d);
    }
    CHECK_EQ(n, 8);
}

/* ---- space ------------------------------------------------------------------------------------------------------------------- */

TEST(a_full_disk_takes_what_fits_and_comes_back)
{
    struct disk d = begin(1, NULL);
    uint64_t left;
    char bytes[3 * PAGE] = {0};
    sim_disk_set_size(d.sim, 2 * PAGE);
    CHECK_ERR(d.calls->pwrite(d.env, d.fd, slice_of(bytes, PAGE), 0), OK);
    CHECK_EQ(sim_disk_used(d.sim), PAGE);
    CHECK_ERR(d.calls->space(d.env, "/d", &left), OK);
    CHECK_EQ(left, PAGE);
    CHECK_ERR(d.calls->pwrite(d.env, d.fd, slice_of(bytes, 3 * PAGE), 100), ERR_DISK_FULL);
    CHECK_EQ(size_of(&d), 2 * PAGE);
    CHECK_ERR(d.calls->allocate(d.env, d.fd, 0, 2 * PAGE + 1), ERR_DISK_FULL);
    CHECK_ERR(d.calls->pwrite(d.env, d.fd, slice_of(bytes, PAGE), 0), OK); /* what is there can be written */
    sim_disk_set_size(d.sim, 3 * PAGE);
    CHECK_ERR(d.calls->pwrite(d.env, d.fd, slice_of(bytes, PAGE), 2 * PAGE), OK);
    CHECK_ERR(d.calls->truncate(d.env, d.fd, 0), OK);
    CHECK_EQ(sim_disk_used(d.sim), 0);
    sim_disk_set_size(d.sim, 0);
    CHECK_ERR(d.calls->pwrite(d.env, d.fd, slice_of(bytes, 1), 24), ERR_DISK_FULL);
    CHECK_EQ(size_of(&d), 0);
    end(&d);
}

TEST(a_removed_file_gives_its_space_back)
{
    struct disk d = begin(1, NULL);
    put(&d, 'a', PAGE, 0);
    CHECK_EQ(sim_disk_used(d.sim), PAGE);
    CHECK_ERR(d.calls->unlink(d.env, "/d/x"), OK);
    CHECK_EQ(sim_disk_used(d.sim), 0);
    end(&d);
}

/* ---- lies -------------------------------------------------------------------------------------------------------------------- */

TEST(a_sync_that_lies_keeps_nothing)
{
    struct disk d = begin(1, &(struct sim_disk_plan){.syncs_lie = true});
    put(&d, 'a', PAGE, 0);
    sync_file(&d);
    crash(&d);
    CHECK_EQ(size_of(&d), 0);
    end(&d);
}

TEST(a_lost_write_shows_when_the_cache_forgets)
{
    struct disk d = begin(1, NULL);
    put(&d, 'o', 2 * PAGE, 0);
    sync_file(&d);
    sim_disk_set_plan(d.sim, &(struct sim_disk_plan){.lost_write_at = 1});
    put(&d, 'n', PAGE, 0);
    CHECK_EQ(sim_disk_faults(d.sim), 1);
    sync_file(&d);
    CHECK_EQ(all_of(&d, 0, PAGE), 'n');
    sim_disk_evict(d.sim);
    CHECK_EQ(all_of(&d, 0, PAGE), 'o');
    CHECK_EQ(all_of(&d, PAGE, PAGE), 'o');
    end(&d);
}

TEST(a_misdirected_write_lands_on_another_page)
{
    bool struck = false;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct disk d = begin(seed, NULL);
        put(&d, 'o', 8 * PAGE, 0);
        sync_file(&d);
        sim_disk_set_plan(d.sim, &(struct sim_disk_plan){.misdirected_write_at = 1});
        put(&d, 'n', PAGE, 0);
        sync_file(&d);
        crash(&d);
        int found = 0;
        for (uint64_t i = 1; i < 8; i++)
            found += all_of(&d, i * PAGE, PAGE) == 'n';
        CHECK_EQ(found, all_of(&d, 0, PAGE) == 'n' ? 0 : 1);
        struck |= found == 1;
        end(&d);
    }
    CHECK(struck);
}

TEST(reads_can_be_stale_or_misdirected)
{
    struct disk d = begin(1, NULL);
    put(&d, 'o', PAGE, 0);
    put(&d, 'p', PAGE, PAGE);
    sync_file(&d);
    put(&d, 'n', PAGE, 0);
    sim_disk_set_plan(d.sim, &(struct sim_disk_plan){.stale_read_at = 1, .misdirected_read_at = 2});
    CHECK_EQ(all_of(&d, 0, PAGE), 'o');
    CHECK(all_of(&d, 0, PAGE) != 'n');
    CHECK_EQ(all_of(&d, 0, PAGE), 'n');
    CHECK_EQ(sim_disk_faults(d.sim), 2);
    end(&d);
}

TEST(bits_rot_at_a_place_for_good)
{
    struct disk d = begin(1, NULL);
    put(&d, 'a', 10, 0);
    sync_file(&d);
    CHECK_ERR(sim_disk_rot(d.sim, "/d/x", 4, 'a' ^ 'b'), OK);
    CHECK_EQ(all_of(&d, 4, 1), 'b');
    crash(&d);
    CHECK_EQ(all_of(&d, 4, 1), 'b');
    CHECK_EQ(all_of(&d, 5, 5), 'a');
    CHECK_ERR(sim_disk_rot(d.sim, "/d/x", 10, 1), ERR_OUT_OF_RANGE);
    CHECK_ERR(sim_disk_rot(d.sim, "/d/y", 0, 1), ERR_NOT_FOUND);
    end(&d);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------------ */

static enum err some_work(const struct env *env)
{
    int fd;
    enum err e = env->disk->mkdir(env, "/d/e", 0700);
    if (!e)
        e = env->disk->open(env, "/d/e/x", O_RDWR | O_CREAT, 0600, &fd);
    if (!e)
        e = env->disk->pwrite(env, fd, SLICE("some bytes"), 10000);
    if (!e)
        e = env->disk->rename(env, "/d/e/x", "/d/y");
    if (!e)
        e = env->disk->unlink(env, "/d/y");
    return e;
}

SCENARIO(names_and_contents_survive_failing_allocations)
{
    struct sim *s;
    enum err e = sim_new(1, &s);
    if (e)
        return e;
    sim_disk_set_plan(s, &(struct sim_disk_plan){.crash = SIM_CRASH_TEARS});
    e = some_work(sim_env(s));
    sim_crash_disk(s);
    sim_free(s);
    return e;
}
