/* The SQLite driver against the model: closed and opened again, and crashed, in between. */
#include <stdio.h>
#include <stdlib.h>

#include "../model.h"
#include "base/mem.h"
#include "fixture.h"

/* Without syncs: what is compared are answers, and a crash is one of the process. */
static void begin(struct model_place *place)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    CHECK(f);
    fixture_init(f);
    f->options.synchronous = CONFIG_SQLITE_OPTIONS_SYNCHRONOUS_OFF;
    CHECK_ERR(fixture_open(f), OK);
    *place = (struct model_place){.ns = &f->ns, .env = &f->env, .loop = f->loop, .own = f};
}

static void end(struct model_place *place)
{
    struct fixture *f = place->own;
    fixture_fini(f);
    mem_free(f);
}

static void shell(const char *format, const char *path)
{
    char command[512];
    snprintf(command, sizeof command, format, path);
    CHECK(system(command) == 0);
}

/* The files as a process would leave them that is killed now: nobody writes, or starts the WAL over, while they are copied. */
static void keep_files(struct fixture *f)
{
    struct sqlite3 *blocker = blocker_begin(f);
    shell("cd %s && cp test.db kept.db && cp test.db-wal kept.db-wal", f->directory);
    blocker_end(blocker);
}

static void reopen(struct model_place *place, bool crash)
{
    struct fixture *f = place->own;
    if (crash)
        keep_files(f);
    fixture_close(f);
    if (crash)
        shell("cd %s && rm -f test.db-wal test.db-shm && mv kept.db test.db && mv kept.db-wal test.db-wal",
              f->directory);
    CHECK_ERR(fixture_open(f), OK);
}

static const struct model_subject sqlite = {.name = "sqlite", .begin = begin, .end = end, .reopen = reopen};

TEST(sqlite_agrees_with_the_model)
{
    model_run(&sqlite, 100000);
}
