/* A SQLite backend in a folder of its own below /tmp, with a clock that the test moves. */
#ifndef PRISM_TESTS_SQLITE_FIXTURE_H
#define PRISM_TESTS_SQLITE_FIXTURE_H

#include "../../data/fake_call.h"
#include "../../harness.h"
#include "drivers/sqlite/sqlite.h"

struct fixture {
    struct fake_env env;
    struct namespace ns;
    struct config_namespace config;
    struct config_sqlite_options options; /* the namespace's */
    char folder[64];                      /* data_dir */
    char directory[96], path[128];        /* of the database */
    struct loop *loop;
    struct arena arena;
    struct diag diag; /* of open */
    struct fake_call call;
};

/* Folder and loop; nothing is opened yet. */
void fixture_init(struct fixture *);
/* Opens the backend as ns.backend; again after fixture_close: as a restart. */
enum err fixture_open(struct fixture *);
void fixture_close(struct fixture *);
/* Closes what is open and removes the folder. */
void fixture_fini(struct fixture *);
/* init and open, which must work. */
void fixture_begin(struct fixture *);

/* A figure of the backend's stats; it must be there. */
uint64_t fixture_stat(struct fixture *, const char *name);
/* Calls that must succeed. */
struct slice fixture_set(struct fixture *, const char *key, const char *value); /* version; valid until the next call */
const struct keyvalue_get_response *fixture_get(struct fixture *, const char *key);
enum err fixture_set_err(struct fixture *, const char *key, const char *value);

/* Several calls at the same time, on the fixture's loop. */
struct calls {
    struct fake_call *items;
    unsigned count;
};
void calls_init(struct calls *, struct fixture *, unsigned count);
void calls_finish(struct calls *); /* all of them */
void calls_fini(struct calls *);

/* Another connection that holds the database's write lock: what is submitted meanwhile queues up. */
struct sqlite3;
struct sqlite3 *blocker_begin(struct fixture *);
void blocker_end(struct sqlite3 *);

#endif
