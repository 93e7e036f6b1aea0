/* Opening: files and their rights, settings, and every state in which a database may be found. */
#include "fixture.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"
#include "data/keyvalue.h"
#include "data/list.h"

/* ThreadSanitizer otherwise refuses children that make threads. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    CHECK(stat(path, &st) == 0);
    return st.st_mode & 0777;
}

static const char *beside(const struct fixture *f, const char *suffix)
{
    static char path[160];
    snprintf(path, sizeof path, "%s%s", f->path, suffix);
    return path;
}

static bool says(const struct fixture *f, const char *words)
{
    return strstr(diag_message(&f->diag), words) != NULL;
}

TEST(files_are_for_the_owner_alone)
{
    struct fixture f;
    mode_t old = umask(0);
    fixture_begin(&f);
    fixture_set(&f, "k", "v");
    CHECK_EQ(mode_of(f.directory), 0700);
    CHECK_EQ(mode_of(f.path), 0600);
    CHECK_EQ(mode_of(beside(&f, "-wal")), 0600);
    CHECK_EQ(mode_of(beside(&f, "-shm")), 0600);
    CHECK_EQ(mode_of(beside(&f, "-lock")), 0600);
    fixture_close(&f);
    CHECK(access(beside(&f, "-wal"), F_OK) != 0); /* closing empties and removes it */
    umask(old);
    fixture_fini(&f);
}

TEST(namespace_settings_come_before_the_backends)
{
    struct fixture f;
    char ours[96], theirs[96];
    fixture_init(&f);
    snprintf(ours, sizeof ours, "%s/a/b", f.folder);
    snprintf(theirs, sizeof theirs, "%s/c", f.folder);
    struct config_sqlite_options shared = {.directory = slice_str(theirs), .readers = 1};
    struct config_backend backend = {.sqlite = &shared};
    f.options.directory = slice_str(ours);
    struct backend_open open = {.namespace_name = "x",
                                .ns = &f.config,
                                .backend = &backend,
                                .data_dir = f.folder,
                                .env = &f.env.env,
                                .diag = &f.diag};
    CHECK_ERR(driver_sqlite.open(&open, &f.ns.backend), OK);
    snprintf(ours, sizeof ours, "%s/a/b/x.db", f.folder);
    CHECK(access(ours, F_OK) == 0);
    CHECK(access(theirs, F_OK) != 0);
    fixture_fini(&f);
}

TEST(a_name_cannot_leave_the_folder)
{
    struct fixture f;
    fixture_init(&f);
    struct backend_open open = {.ns = &f.config, .data_dir = f.folder, .env = &f.env.env, .diag = &f.diag};
    const char *names[] = {"", "..", ".x", "a/b", "../../x"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        open.namespace_name = names[i];
        CHECK_ERR(driver_sqlite.open(&open, &f.ns.backend), ERR_FIELD_INVALID);
    }
    fixture_fini(&f);
}

TEST(two_never_share_a_database)
{
    struct fixture f;
    struct backend *second = NULL;
    char pid[32];
    fixture_begin(&f);
    struct backend_open open = {
        .namespace_name = "test", .ns = &f.config, .data_dir = f.folder, .env = &f.env.env, .diag = &f.diag};
    CHECK_ERR(driver_sqlite.open(&open, &second), ERR_FILE);
    snprintf(pid, sizeof pid, "pid %d", (int)getpid());
    CHECK(says(&f, "in use") && says(&f, pid));
    fixture_set(&f, "k", "the first goes on");
    fixture_close(&f);
    CHECK_ERR(fixture_open(&f), OK);
    fixture_fini(&f);
}

/* --- states of the file ----------------------------------------------------------------------------------------------------- */

static void change(struct fixture *f, const char *sql)
{
    sqlite3 *db;
    CHECK_EQ(sqlite3_open(f->path, &db), SQLITE_OK);
    CHECK_EQ(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    CHECK_EQ(sqlite3_close(db), SQLITE_OK);
}

static void overwrite(const char *path, off_t offset, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0);
    CHECK(pwrite(fd, bytes, size, offset) == (ssize_t)size);
    close(fd);
}

TEST(data_survives_a_restart)
{
    struct fixture f;
    uint8_t version[16];
    fixture_begin(&f);
    memcpy(version, fixture_set(&f, "k", "v").data, 16);
    fixture_close(&f);
    CHECK_ERR(fixture_open(&f), OK);
    CHECK_SLICE(fixture_get(&f, "k")->value, SLICE("v"));
    CHECK_SLICE(fixture_get(&f, "k")->version, slice_of(version, 16));
    CHECK_EQ(fixture_stat(&f, "keys"), 1);
    fixture_fini(&f);
}

static int count_epochs(struct fixture *f)
{
    sqlite3 *db;
    sqlite3_stmt *s;
    CHECK_EQ(sqlite3_open(f->path, &db), SQLITE_OK);
    CHECK_EQ(sqlite3_prepare_v2(db, "SELECT count(*) FROM epochs", -1, &s, NULL), SQLITE_OK);
    CHECK_EQ(sqlite3_step(s), SQLITE_ROW);
    int count = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return count;
}

/* So a disk that is full can be opened: the first version that is given brings its epoch with it. */
TEST(an_opening_writes_its_epoch_with_its_first_version)
{
    struct fixture f;
    fixture_begin(&f);
    CHECK(!fixture_get(&f, "k")->found);
    fixture_close(&f);
    CHECK_EQ(count_epochs(&f), 0);
    for (int opening = 1; opening <= 2; opening++) {
        CHECK_ERR(fixture_open(&f), OK);
        fixture_set(&f, "k", "v");
        fixture_set(&f, "k", "w");
        fixture_close(&f);
        CHECK_EQ(count_epochs(&f), opening);
    }
    fixture_fini(&f);
}

TEST(an_epoch_whose_commit_failed_is_written_by_the_next)
{
    struct fixture f;
    fixture_begin(&f);
    CHECK_ERR(fault_arm("sqlite.commit=@1", 1), OK);
    CHECK_ERR(fixture_set_err(&f, "k", "v"), ERR_IO);
    fault_disarm_all();
    fixture_set(&f, "k", "w");
    fixture_close(&f);
    CHECK_EQ(count_epochs(&f), 1);
    CHECK_ERR(fixture_open(&f), OK);
    CHECK_SLICE(fixture_get(&f, "k")->value, SLICE("w"));
    fixture_fini(&f);
}

TEST(a_database_of_the_future_is_refused)
{
    struct fixture f;
    fixture_begin(&f);
    fixture_close(&f);
    change(&f, "PRAGMA user_version = 99");
    CHECK_ERR(fixture_open(&f), ERR_SCHEMA_FUTURE);
    CHECK(says(&f, "99") && says(&f, "run the version that wrote it"));
    change(&f, "PRAGMA user_version = 2");
    CHECK_ERR(fixture_open(&f), OK);
    fixture_fini(&f);
}

/* As the first release left it. */
TEST(a_database_without_collections_gets_them_and_keeps_its_data)
{
    struct fixture f;
    struct slice value = SLICE("x");
    struct list_push_left_request push = {.key = SLICE("l"), .values = {.items = &value, .count = 1}};
    fixture_begin(&f);
    fixture_set(&f, "k", "v");
    fixture_close(&f);
    change(&f, "DROP TABLE collections; DROP TABLE list_values; DROP TABLE set_members; DROP TABLE sorted_members; "
               "DROP TABLE numbers; PRAGMA user_version = 1");
    CHECK_ERR(fixture_open(&f), OK);
    CHECK_SLICE(fixture_get(&f, "k")->value, SLICE("v"));
    const struct list_push_left_response *r = fake_call(&f.call, METHOD_LIST_BASIC_PUSH_LEFT, &push);
    CHECK_ERR(f.call.err, OK);
    CHECK_EQ(r->length, 1);
    fixture_fini(&f);
}

TEST(a_database_of_another_program_is_refused)
{
    struct fixture f;
    fixture_init(&f);
    CHECK(mkdir(f.directory, 0700) == 0);
    change(&f, "CREATE TABLE theirs (x)");
    CHECK_ERR(fixture_open(&f), ERR_CORRUPT);
    CHECK(says(&f, "another program"));
    fixture_fini(&f);
}

TEST(a_file_that_is_no_database_is_refused)
{
    struct fixture f;
    fixture_init(&f);
    CHECK(mkdir(f.directory, 0700) == 0);
    overwrite(f.path, 0, "Dear diary, ", 12);
    CHECK_ERR(fixture_open(&f), ERR_CORRUPT);
    CHECK(says(&f, "not an SQLite database") && says(&f, "move it away"));
    overwrite(f.path, 0, "SQLite format 3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 36);
    CHECK_ERR(fixture_open(&f), ERR_CORRUPT);
    CHECK(says(&f, "restore it from a backup"));
    fixture_fini(&f);
}

TEST(damaged_pages_are_found_at_open)
{
    struct fixture f;
    uint8_t garbage[4096];
    fixture_begin(&f);
    for (int i = 0; i < 200; i++) {
        char key[16], value[600];
        snprintf(key, sizeof key, "k%d", i);
        memset(value, 'v', sizeof value - 1);
        value[sizeof value - 1] = 0;
        fixture_set(&f, key, value);
    }
    fixture_close(&f);
    memset(garbage, 0xa5, sizeof garbage);
    overwrite(f.path, 10 * 4096, garbage, sizeof garbage);
    CHECK_ERR(fixture_open(&f), ERR_CORRUPT);
    CHECK(says(&f, "damaged") && says(&f, "restore it from a backup"));
    fixture_fini(&f);
}

TEST(an_empty_file_beside_a_log_is_damage)
{
    struct fixture f;
    fixture_begin(&f);
    fixture_close(&f);
    CHECK(truncate(f.path, 0) == 0);
    CHECK_ERR(fixture_open(&f), OK); /* new */
    fixture_close(&f);
    CHECK(truncate(f.path, 0) == 0);
    overwrite(beside(&f, "-wal"), 0, "left over", 9);
    CHECK_ERR(fixture_open(&f), ERR_CORRUPT);
    fixture_fini(&f);
}

TEST(a_creation_that_was_cut_off_is_taken_up)
{
    struct fixture f;
    fixture_init(&f);
    CHECK(mkdir(f.directory, 0700) == 0);
    change(&f, "PRAGMA journal_mode = WAL"); /* as far as the first step gets */
    CHECK_ERR(fixture_open(&f), OK);
    fixture_set(&f, "k", "v");
    fixture_fini(&f);
}

static void copy(const char *from, const char *to)
{
    char command[400];
    snprintf(command, sizeof command, "cp %s %s", from, to);
    CHECK(system(command) == 0);
}

TEST(versions_are_not_used_twice_after_an_older_copy_came_back)
{
    enum { WRITES = 50 };
    static uint8_t seen[2 * WRITES][16];
    struct fixture f;
    char kept[160];
    fixture_begin(&f);
    snprintf(kept, sizeof kept, "%s/kept", f.folder);
    fixture_set(&f, "k", "old");
    fixture_close(&f);
    copy(f.path, kept);
    for (int round = 0; round < 2; round++) {
        CHECK_ERR(fixture_open(&f), OK);
        for (int i = 0; i < WRITES; i++)
            memcpy(seen[round * WRITES + i], fixture_set(&f, "k", "new").data, 16);
        fixture_close(&f);
        copy(kept, f.path);
    }
    for (int i = 0; i < 2 * WRITES; i++)
        for (int j = 0; j < i; j++)
            CHECK(memcmp(seen[i], seen[j], 16) != 0);
    CHECK_ERR(fixture_open(&f), OK);
    CHECK_SLICE(fixture_get(&f, "k")->value, SLICE("old"));
    fixture_fini(&f);
}

/* --- rights ----------------------------------------------------------------------------------------------------------------- */

/* What open says to a user without privileges, as the exit code of a child. */
static enum err open_as_nobody(struct fixture *f)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
            _exit(255);
        _exit((int)fixture_open(f));
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 255);
    return (enum err)WEXITSTATUS(status);
}

static void give_to_nobody(const char *path)
{
    CHECK(geteuid() != 0 || chown(path, 65534, 65534) == 0);
}

TEST(missing_rights_are_told_apart)
{
    struct fixture f;
    fixture_init(&f);
    CHECK(mkdir(f.directory, 0700) == 0);
    give_to_nobody(f.folder);
    give_to_nobody(f.directory);
    CHECK_ERR(open_as_nobody(&f), OK);
    CHECK(chmod(f.path, 0400) == 0);
    CHECK_ERR(open_as_nobody(&f), ERR_READ_ONLY);
    CHECK(chmod(f.path, 0) == 0);
    CHECK_ERR(open_as_nobody(&f), ERR_FILE);
    CHECK(chmod(f.directory, 0500) == 0);
    CHECK_ERR(open_as_nobody(&f), ERR_READ_ONLY);
    CHECK(chmod(f.directory, 0) == 0);
    CHECK_ERR(open_as_nobody(&f), ERR_FILE);
    CHECK(chmod(f.directory, 0700) == 0);
    fixture_fini(&f);
}

/* --- memory ----------------------------------------------------------------------------------------------------------------- */

/* A SCENARIO of its own: the loop must be there before anything fails. */
static void open_with_failure(struct fixture *f, uint64_t n, bool forever, bool *ret_failed)
{
    int64_t live = mem_live();
    mem_fail_at(n, forever);
    enum err e = fixture_open(f);
    *ret_failed = mem_failed();
    mem_fail_at(0, false);
    CHECK_ERR(e, *ret_failed ? ERR_NOMEM : OK);
    fixture_close(f);
    arena_fini(&f->arena);
    CHECK_EQ(mem_live(), live);
}

TEST(every_allocation_of_opening_fails_in_turn)
{
    struct fixture f;
    fixture_init(&f);
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        open_with_failure(&f, n, false, &failed);
        open_with_failure(&f, n, true, &failed);
    }
    fixture_fini(&f);
}
