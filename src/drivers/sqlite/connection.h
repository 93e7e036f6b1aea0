/* One connection to SQLite: its prepared statements, stepping, and what SQLite's codes mean here.
 *
 * Every value that comes from outside is bound, never written into SQL; all SQL of the driver stands in statements.c and
 * schema.c. Statements are prepared once, when first used.
 *
 * Thread: one at a time; connections are opened without SQLite's own mutex. */
#ifndef PRISM_DRIVERS_SQLITE_CONNECTION_H
#define PRISM_DRIVERS_SQLITE_CONNECTION_H

#include <sqlite3.h>

#include "base/diag.h"
#include "base/err.h"
#include "base/slice.h"
#include "drivers/sqlite/statements.h"

enum sqlite_role {
    ROLE_WRITER,   /* the only one that writes and checkpoints */
    ROLE_READER,   /* of the reader pool */
    ROLE_SNAPSHOT, /* of an open transaction: small cache */
};

/* For another process that holds SQLite's lock (a shell): longer than that is ERR_BACKEND_BUSY. */
enum { BUSY_WAIT_MS = 1000 };

struct sqlite_connection {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    int code;                       /* SQLite's extended code of the last failure */
    struct sqlite_connection *next; /* in a pool of idle ones */
};

/* page_cache_bytes: of ROLE_SNAPSHOT ignored. The file must be there. ERR_FILE, ERR_CORRUPT, ERR_READ_ONLY, ERR_NOMEM. */
enum err sqlite_connection_open(const char *path, enum sqlite_role, uint64_t page_cache_bytes, struct diag *,
                                struct sqlite_connection **ret_connection);
void sqlite_connection_close(struct sqlite_connection *); /* NULL is fine */

/* What SQLite's extended code means here; keeps it for sqlite_describe. SQLITE_OK gives OK. */
enum err sqlite_code(struct sqlite_connection *, int code);
/* Says in words what failed last on the connection, and with which of SQLite's codes. Returns e. */
enum err sqlite_describe(const struct sqlite_connection *, struct diag *, enum err e);

/* Text without parameters: pragmas and schema. */
enum err sqlite_execute(struct sqlite_connection *, const char *sql);
/* First column of the first row of text without parameters; no row: 0. */
enum err sqlite_integer(struct sqlite_connection *, const char *sql, int64_t *ret_value);

/* The prepared statement, ready for binding. Reset it after use (sqlite_reset), on every path. */
enum err sqlite_prepare(struct sqlite_connection *, enum sqlite_statement, sqlite3_stmt **ret_statement);
/* *ret_row: there is a row; else the statement has ended. */
enum err sqlite_step(struct sqlite_connection *, sqlite3_stmt *, bool *ret_row);
/* Steps to the end, then resets. */
enum err sqlite_finish(struct sqlite_connection *, sqlite3_stmt *);
void sqlite_reset(sqlite3_stmt *);
/* Prepare and finish, for statements without parameters. */
enum err sqlite_run(struct sqlite_connection *, enum sqlite_statement);

/* Borrowed until the statement has been reset. An empty slice is an empty blob, not NULL. */
void sqlite_bind_slice(sqlite3_stmt *, int parameter, struct slice);
/* Borrowed until the next step. */
struct slice sqlite_column_slice(sqlite3_stmt *, int column);

#endif
