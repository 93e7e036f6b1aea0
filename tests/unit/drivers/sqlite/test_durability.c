/* What was acknowledged is there and what failed is not: crashes, full disks, injected faults; and the group commit. */
#include "fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "data/keyvalue.h"

/* ThreadSanitizer otherwise refuses children that make threads. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

static struct slice number(uint32_t i, char text[16])
{
    return slice_of(text, (size_t)snprintf(text, 16, "%08u", i));
}

static bool exists(struct fixture *f, struct slice key)
{
    struct keyvalue_exists_request r = {.key = key};
    const struct keyvalue_exists_response *e = fake_call(&f->call, METHOD_KEYVALUE_BASIC_EXISTS, &r);
    CHECK_ERR(f->call.err, OK);
    return e->exists;
}

/* --- group commit ----------------------------------------------------------------------------------------------------------- */

TEST(writes_that_wait_share_a_commit)
{
    enum { CALLS = 64 };
    struct fixture f;
    struct calls calls;
    static char keys[CALLS][16];
    static struct keyvalue_set_request r[CALLS];
    fixture_begin(&f);
    calls_init(&calls, &f, CALLS);
    struct sqlite3 *blocker = blocker_begin(&f);
    for (int i = 0; i < CALLS; i++) {
        r[i] = (struct keyvalue_set_request){.key = number((uint32_t)i, keys[i]), .value = SLICE("v")};
        fake_call_start(&calls.items[i], METHOD_KEYVALUE_BASIC_SET, &r[i]);
    }
    blocker_end(blocker);
    calls_finish(&calls);
    for (int i = 0; i < CALLS; i++)
        CHECK_ERR(calls.items[i].err, OK);
    calls_fini(&calls);
    CHECK_EQ(fixture_stat(&f, "committed_operations"), CALLS);
    CHECK(fixture_stat(&f, "commits") <= 2); /* the first may have been alone */
    CHECK_EQ(fixture_stat(&f, "keys"), CALLS);
    fixture_fini(&f);
}

TEST(one_that_fails_leaves_the_others_of_its_group)
{
    struct fixture f;
    struct calls calls;
    fixture_begin(&f);
    fixture_set(&f, "b", "0");
    calls_init(&calls, &f, 3);
    struct keyvalue_set_request r[3] = {
        {.key = SLICE("a")}, {.key = SLICE("b"), .has_if_version = true}, {.key = SLICE("c")}};
    struct sqlite3 *blocker = blocker_begin(&f);
    for (int i = 0; i < 3; i++)
        fake_call_start(&calls.items[i], METHOD_KEYVALUE_BASIC_SET, &r[i]);
    blocker_end(blocker);
    calls_finish(&calls);
    CHECK_ERR(calls.items[0].err, OK);
    CHECK_ERR(calls.items[1].err, ERR_VERSION_MISMATCH);
    CHECK_ERR(calls.items[2].err, OK);
    calls_fini(&calls);
    CHECK(exists(&f, SLICE("a")) && exists(&f, SLICE("c")));
    CHECK_SLICE(fixture_get(&f, "b")->value, SLICE("0"));
    fixture_fini(&f);
}

/* --- faults ----------------------------------------------------------------------------------------------------------------- */

static void wait_until_healthy(struct fixture *f)
{
    while (driver_sqlite.probe(f->ns.backend, NULL))
        sched_yield();
}

TEST(a_commit_that_fails_is_told_to_all_and_leaves_nothing)
{
    struct fixture f;
    struct calls calls;
    fixture_begin(&f);
    calls_init(&calls, &f, 3);
    struct keyvalue_set_request r[3] = {{.key = SLICE("a")}, {.key = SLICE("b")}, {.key = SLICE("c")}};
    struct sqlite3 *blocker = blocker_begin(&f);
    CHECK_ERR(fault_arm("sqlite.commit=1/1", 1), OK);
    for (int i = 0; i < 3; i++)
        fake_call_start(&calls.items[i], METHOD_KEYVALUE_BASIC_SET, &r[i]);
    blocker_end(blocker);
    calls_finish(&calls);
    fault_disarm_all();
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(calls.items[i].err, ERR_IO);
        CHECK(strstr(diag_message(&calls.items[i].call.diag), "SQLite") != NULL);
    }
    calls_fini(&calls);
    CHECK_EQ(fixture_stat(&f, "keys"), 0);
    CHECK(!exists(&f, SLICE("a")) && !exists(&f, SLICE("b")) && !exists(&f, SLICE("c")));
    CHECK_ERR(driver_sqlite.probe(f.ns.backend, &f.diag), ERR_IO);
    wait_until_healthy(&f); /* the writer tries again by itself */
    fixture_set(&f, "a", "works");
    fixture_fini(&f);
}

/* A key of each kind of write; true: the call was acknowledged. */
static bool write_kind(struct fixture *f, int kind, struct slice key)
{
    struct keyvalue_set_request set = {.key = key, .value = SLICE("v")};
    struct keyvalue_batch_set_item a = {.key = key, .value = SLICE("v")}, b = {.key = SLICE("beside"), .value = key};
    struct keyvalue_batch_set_item *items[] = {&a, &b};
    struct keyvalue_batch_set_request batch = {.items = {.items = items, .count = 2}};
    struct keyvalue_compare_and_swap_request swap = {
        .key = key, .value = SLICE("v"), .expected_case = 4, .expected_absent = true};
    if (kind == 0)
        fake_call(&f->call, METHOD_KEYVALUE_BASIC_SET, &set);
    else if (kind == 1)
        fake_call(&f->call, METHOD_KEYVALUE_BATCH_BATCH_SET, &batch);
    else if (kind == 2)
        fake_call(&f->call, METHOD_KEYVALUE_CAS_COMPARE_AND_SWAP, &swap);
    else {
        f->call.idempotency_key = key;
        fake_call(&f->call, METHOD_KEYVALUE_BASIC_SET, &set);
    }
    CHECK(f->call.err == OK || f->call.err == ERR_IO);
    return f->call.err == OK;
}

TEST(whichever_step_fails_answer_and_data_agree)
{
    enum { STEPS = 12, KINDS = 4 };
    struct fixture f;
    fixture_begin(&f);
    int failures = 0, keys = 0;
    for (uint32_t step = 1; step <= STEPS; step++) {
        for (int kind = 0; kind < KINDS; kind++) {
            char text[16], plan[32];
            struct slice key = number(step * 10 + (uint32_t)kind, text);
            snprintf(plan, sizeof plan, "sqlite.step=@%u", step);
            CHECK_ERR(fault_arm(plan, 1), OK);
            bool acknowledged = write_kind(&f, kind, key);
            fault_disarm_all();
            CHECK_EQ(exists(&f, key), acknowledged);
            failures += !acknowledged;
            keys += acknowledged;
            if (!acknowledged) /* nothing is in the way of a second try */
                keys += write_kind(&f, kind, key) ? 1 : 0;
            CHECK(exists(&f, key));
        }
    }
    CHECK(failures > STEPS);
    CHECK_EQ(keys, STEPS * KINDS);
    CHECK_EQ(fixture_stat(&f, "keys"), STEPS * KINDS + 1);
    fixture_close(&f);
    CHECK_ERR(fixture_open(&f), OK);
    CHECK_EQ(fixture_stat(&f, "keys"), STEPS * KINDS + 1);
    fixture_fini(&f);
}

TEST(reads_that_fail_say_so)
{
    struct fixture f;
    fixture_begin(&f);
    fixture_set(&f, "k", "v");
    struct keyvalue_get_request get = {.key = SLICE("k")};
    struct keyvalue_scan_request scan = {0};
    CHECK_ERR(fault_arm("sqlite.step=1/1", 1), OK);
    fake_call(&f.call, METHOD_KEYVALUE_BASIC_GET, &get);
    CHECK_ERR(f.call.err, ERR_IO);
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &scan);
    CHECK_ERR(f.call.err, ERR_IO);
    fault_disarm_all();
    CHECK(fixture_get(&f, "k")->found);
    CHECK_ERR(fault_arm("sqlite.open=1/1", 1), OK);
    fixture_close(&f);
    CHECK_ERR(fixture_open(&f), ERR_FILE);
    fault_disarm_all();
    fixture_fini(&f);
}

/* --- a full disk ------------------------------------------------------------------------------------------------------------ */

/* Writes values until one fails; that one and the acknowledged ones must be as they were said to be. */
static void fill_up(struct fixture *f, enum err expected, uint32_t *ret_stored)
{
    static char value[64 << 10];
    char text[16];
    memset(value, 'v', sizeof value - 1);
    uint32_t i = 0;
    enum err e;
    while (!(e = fixture_set_err(f, (number(i, text), text), value)))
        CHECK(++i < 1000);
    CHECK_ERR(e, expected);
    CHECK(i > 0);
    for (uint32_t j = 0; j <= i; j++)
        CHECK_EQ(exists(f, number(j, text)), j < i);
    *ret_stored = i;
}

static void delete_some(struct fixture *f, uint32_t count)
{
    char text[16];
    for (uint32_t i = 0; i < count; i++) {
        struct keyvalue_delete_request r = {.key = number(i, text)};
        fake_call(&f->call, METHOD_KEYVALUE_BASIC_DELETE, &r);
        CHECK_ERR(f->call.err, OK);
    }
}

TEST(a_file_size_limit_is_a_full_disk)
{
    struct fixture f;
    uint32_t stored;
    struct rlimit old, small = {.rlim_cur = 2 << 20};
    fixture_begin(&f);
    CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    fill_up(&f, ERR_DISK_FULL, &stored);
    CHECK_ERR(driver_sqlite.probe(f.ns.backend, NULL), ERR_DISK_FULL);
    CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    wait_until_healthy(&f);
    fixture_set(&f, "there", "is room again");
    CHECK_EQ(fixture_stat(&f, "keys"), stored + 1);
    fixture_close(&f);
    CHECK_ERR(fixture_open(&f), OK);
    CHECK_EQ(fixture_stat(&f, "keys"), stored + 1);
    fixture_fini(&f);
}

/* A file beside the database that takes space until it is removed. */
static void write_ballast(const char *path)
{
    static char block[5 << 20];
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0 && write(fd, block, sizeof block) == sizeof block);
    close(fd);
}

/* On a file system of 10 MiB, in a child that sees it alone. */
static int fill_small_disk(struct fixture *f)
{
    uint32_t stored;
    char ballast[96];
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("tmpfs", f->folder, "tmpfs", 0, "size=10m"))
        return 77;
    snprintf(ballast, sizeof ballast, "%s/ballast", f->folder);
    write_ballast(ballast);
    CHECK_ERR(fixture_open(f), OK);
    fill_up(f, ERR_DISK_FULL, &stored);
    CHECK_ERR(driver_sqlite.probe(f->ns.backend, NULL), ERR_DISK_FULL);
    CHECK(unlink(ballast) == 0);
    delete_some(f, stored / 2);
    fixture_set(f, "there", "is room again");
    CHECK_EQ(fixture_stat(f, "keys"), stored - stored / 2 + 1);
    fixture_close(f);
    return 0;
}

TEST(a_full_disk_refuses_and_recovers)
{
    struct fixture f;
    fixture_init(&f);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(fill_small_disk(&f));
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        fprintf(stderr, "a_full_disk_refuses_and_recovers: may not mount here, the file size limit stands in\n");
    else
        CHECK_EQ(WEXITSTATUS(status), 0);
    fixture_fini(&f);
}

/* --- crashes ---------------------------------------------------------------------------------------------------------------- */

enum { IN_FLIGHT = 16 };

struct crash_call {
    struct fake_call call;
    struct keyvalue_set_request request;
    char text[16];
    uint32_t number;
};

static void start_next(struct crash_call *c, uint32_t *next)
{
    c->number = (*next)++;
    c->request = (struct keyvalue_set_request){.key = number(c->number, c->text), .value = SLICE("v")};
    fake_call_start(&c->call, METHOD_KEYVALUE_BASIC_SET, &c->request);
}

/* Writes for ever, IN_FLIGHT at a time, and tells each acknowledged number. Ended by SIGKILL. */
static _Noreturn void write_until_killed(struct fixture *f, uint32_t first, int tell)
{
    static struct crash_call calls[IN_FLIGHT];
    uint32_t next = first;
    if (fixture_open(f))
        _exit(1);
    for (int i = 0; i < IN_FLIGHT; i++) {
        fake_call_init(&calls[i].call, &f->ns, f->loop);
        start_next(&calls[i], &next);
    }
    for (;;) {
        loop_turn(f->loop, true);
        for (int i = 0; i < IN_FLIGHT; i++) {
            if (!calls[i].call.ended)
                continue;
            if (calls[i].call.err || write(tell, &calls[i].number, sizeof next) != sizeof next)
                _exit(2);
            start_next(&calls[i], &next);
        }
    }
}

/* Numbers that the child has told before it was killed; the first `enough` of them before the kill. */
static uint32_t collect(int from, pid_t child, uint32_t enough, uint32_t *numbers, uint32_t max)
{
    uint32_t count = 0;
    while (count < max && read(from, &numbers[count], sizeof *numbers) == sizeof *numbers)
        if (++count == enough)
            CHECK(kill(child, SIGKILL) == 0);
    return count;
}

static void crash_round(struct fixture *f, uint32_t round)
{
    enum { MAX = 20000 };
    static uint32_t numbers[MAX];
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        write_until_killed(f, round * 1000000, ends[1]);
    close(ends[1]);
    uint32_t count = collect(ends[0], child, 200 + 37 * round, numbers, MAX);
    close(ends[0]);
    CHECK(waitpid(child, NULL, 0) == child);
    CHECK(count >= 200 && count < MAX);
    CHECK_ERR(fixture_open(f), OK);
    char text[16];
    for (uint32_t i = 0; i < count; i++)
        CHECK(exists(f, number(numbers[i], text)));
    struct keyvalue_count_request all = {0};
    const struct keyvalue_count_response *c = fake_call(&f->call, METHOD_KEYVALUE_SCAN_COUNT, &all);
    CHECK_EQ(c->count, fixture_stat(f, "keys"));
    fixture_close(f);
}

TEST(what_was_acknowledged_survives_a_kill)
{
    struct fixture f;
    fixture_init(&f);
    for (uint32_t round = 0; round < 5; round++)
        crash_round(&f, round);
    fixture_fini(&f);
}

/* --- the WAL ---------------------------------------------------------------------------------------------------------------- */

TEST(the_log_does_not_grow_without_bound)
{
    static char value[256 << 10];
    struct fixture f;
    fixture_init(&f);
    f.options.synchronous = CONFIG_SQLITE_OPTIONS_SYNCHRONOUS_OFF;
    CHECK_ERR(fixture_open(&f), OK);
    for (int i = 0; i < 600; i++) { /* 150 MiB through a WAL that may have 64 and what a group adds */
        memset(value, 'a' + i % 2, sizeof value - 1);
        fixture_set(&f, "same", value);
    }
    CHECK(fixture_stat(&f, "wal_bytes") < 68 << 20);
    CHECK(fixture_stat(&f, "checkpoints") >= 5);
    fake_env_advance(&f.env, 2000);
    struct keyvalue_delete_request none = {.key = SLICE("none")};
    fake_call(&f.call, METHOD_KEYVALUE_BASIC_DELETE, &none); /* wakes the writer, writes nothing */
    fake_call(&f.call, METHOD_KEYVALUE_BASIC_DELETE, &none); /* runs behind its upkeep */
    CHECK_EQ(fixture_stat(&f, "wal_bytes"), 0);
    fixture_fini(&f);
}
