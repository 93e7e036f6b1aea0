#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/mem.h"
#include "data/keyvalue.h"

void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    strcpy(f->folder, "/tmp/prism-sqlite-XXXXXX");
    CHECK(mkdtemp(f->folder) != NULL);
    snprintf(f->directory, sizeof f->directory, "%s/sqlite", f->folder);
    snprintf(f->path, sizeof f->path, "%s/test.db", f->directory);
    fake_env_init(&f->env);
    fake_namespace_init(&f->ns, "test");
    f->config.name = SLICE("test");
    f->config.sqlite = &f->options;
    arena_init(&f->arena, 1 << 20);
    diag_init(&f->diag, &f->arena);
    CHECK_ERR(loop_new(env_real(), 0, &f->loop), OK);
    fake_call_init(&f->call, &f->ns, f->loop);
}

enum err fixture_open(struct fixture *f)
{
    struct backend_open open = {.namespace_name = "test",
                                .ns = &f->config,
                                .data_dir = f->folder,
                                .env = &f->env.env,
                                .loops = 1,
                                .diag = &f->diag};
    return driver_sqlite.open(&open, &f->ns.backend);
}

void fixture_close(struct fixture *f)
{
    if (f->ns.backend)
        driver_sqlite.close(f->ns.backend);
    f->ns.backend = NULL;
}

void fixture_fini(struct fixture *f)
{
    char command[128];
    fixture_close(f);
    fake_call_fini(&f->call);
    loop_free(f->loop);
    arena_fini(&f->arena);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    CHECK(system(command) == 0);
}

void fixture_begin(struct fixture *f)
{
    fixture_init(f);
    enum err e = fixture_open(f);
    if (e)
        test_fail(__FILE__, __LINE__, "open: %s", diag_message(&f->diag));
}

struct wanted {
    const char *name;
    uint64_t value;
    bool found;
};

static void take_stat(void *context, const char *name, uint64_t value)
{
    struct wanted *w = context;
    if (strcmp(name, w->name) == 0)
        *w = (struct wanted){name, value, true};
}

uint64_t fixture_stat(struct fixture *f, const char *name)
{
    struct wanted w = {.name = name};
    driver_sqlite.stats(f->ns.backend, take_stat, &w);
    CHECK(w.found);
    return w.value;
}

enum err fixture_set_err(struct fixture *f, const char *key, const char *value)
{
    struct keyvalue_set_request r = {.key = slice_str(key), .value = slice_str(value)};
    fake_call(&f->call, METHOD_KEYVALUE_BASIC_SET, &r);
    return f->call.err;
}

struct slice fixture_set(struct fixture *f, const char *key, const char *value)
{
    CHECK_ERR(fixture_set_err(f, key, value), OK);
    return ((const struct keyvalue_set_response *)f->call.messages[0])->version;
}

const struct keyvalue_get_response *fixture_get(struct fixture *f, const char *key)
{
    struct keyvalue_get_request r = {.key = slice_str(key)};
    const struct keyvalue_get_response *response = fake_call(&f->call, METHOD_KEYVALUE_BASIC_GET, &r);
    CHECK_ERR(f->call.err, OK);
    return response;
}

void calls_init(struct calls *calls, struct fixture *f, unsigned count)
{
    *calls = (struct calls){mem_zalloc(count * sizeof *calls->items), count};
    CHECK(calls->items != NULL);
    for (unsigned i = 0; i < count; i++)
        fake_call_init(&calls->items[i], &f->ns, f->loop);
}

void calls_finish(struct calls *calls)
{
    for (unsigned i = 0; i < calls->count; i++)
        fake_call_finish(&calls->items[i]);
}

void calls_fini(struct calls *calls)
{
    for (unsigned i = 0; i < calls->count; i++)
        fake_call_fini(&calls->items[i]);
    mem_free(calls->items);
}

struct sqlite3 *blocker_begin(struct fixture *f)
{
    sqlite3 *db;
    CHECK_EQ(sqlite3_open(f->path, &db), SQLITE_OK);
    CHECK_EQ(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

void blocker_end(struct sqlite3 *db)
{
    CHECK_EQ(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    CHECK_EQ(sqlite3_close(db), SQLITE_OK);
}
