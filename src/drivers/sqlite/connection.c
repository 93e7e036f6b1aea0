#include "drivers/sqlite/connection.h"

#include <errno.h>

#include "base/fault.h"
#include "base/mem.h"

/* Each page in memory of a snapshot's own cache is one that a reader has too: keep few. */
enum { SNAPSHOT_CACHE_KIB = 256 };

/* The errno of the last call that failed on the file. SQLite knows ENOSPC by itself, but not quotas and size limits. */
static int last_errno(sqlite3 *db, int which_file)
{
    sqlite3_file *file = NULL;
    int error = 0;
    if (sqlite3_file_control(db, NULL, which_file, &file) == SQLITE_OK && file && file->pMethods)
        file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
    return error;
}

static bool is_no_space(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

/* A WAL's index of 32 KiB that could not be made larger has no errno. */
static enum err io_error(sqlite3 *db, int code)
{
    if (code == SQLITE_IOERR_SHMSIZE)
        return ERR_DISK_FULL;
    bool full = db && code == SQLITE_IOERR_WRITE &&
                (is_no_space(last_errno(db, SQLITE_FCNTL_JOURNAL_POINTER)) ||
                 is_no_space(last_errno(db, SQLITE_FCNTL_FILE_POINTER)));
    return full ? ERR_DISK_FULL : ERR_IO;
}

static enum err meaning(sqlite3 *db, int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return OK;
    case SQLITE_FULL:
        return ERR_DISK_FULL;
    case SQLITE_IOERR:
        return io_error(db, code);
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_READONLY:
        return ERR_READ_ONLY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BACKEND_BUSY;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ERR_FILE;
    case SQLITE_TOOBIG:
        return ERR_MESSAGE_TOO_LARGE;
    case SQLITE_INTERRUPT:
        return ERR_CANCELLED;
    default:
        return ERR_INTERNAL;
    }
}

enum err sqlite_code(struct sqlite_connection *c, int code)
{
    if (c->db && meaning(c->db, code))
        code = sqlite3_extended_errcode(c->db);
    enum err e = meaning(c->db, code);
    if (e)
        c->code = code;
    return e;
}

enum err sqlite_describe(const struct sqlite_connection *c, struct diag *d, enum err e)
{
    diag_set(d, e, "%s (SQLite: %s)", err_row(e)->text, sqlite3_errstr(c->code));
    diag_meta(d, "sqlite_code", "%d", c->code);
    return e;
}

/* Pragmas that every role needs. A file that somebody put there may hold a hostile schema: it gets no functions, and cells
 * are checked before they are used. */
static enum err configure(struct sqlite_connection *c, enum sqlite_role role, uint64_t page_cache_bytes)
{
    uint64_t kib = role == ROLE_SNAPSHOT ? SNAPSHOT_CACHE_KIB : page_cache_bytes >> 10;
    char cache[64];
    sqlite3_snprintf(sizeof cache, cache, "PRAGMA cache_size = -%llu", (unsigned long long)(kib ? kib : 1));
    sqlite3_busy_timeout(c->db, BUSY_WAIT_MS);
    sqlite3_extended_result_codes(c->db, 1);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    enum err e = sqlite_execute(c, "PRAGMA cell_size_check = ON");
    if (!e)
        e = sqlite_execute(c, "PRAGMA temp_store = MEMORY");
    return e ? e : sqlite_execute(c, cache);
}

enum err sqlite_connection_open(const char *path, enum sqlite_role role, uint64_t page_cache_bytes, struct diag *d,
                                struct sqlite_connection **ret_connection)
{
    struct sqlite_connection *c = mem_zalloc(sizeof *c);
    if (!c)
        return diag_set(d, ERR_NOMEM, "%s", err_row(ERR_NOMEM)->text);
    int flags = (role == ROLE_WRITER ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX;
    int code = FAULT("sqlite.open") ? SQLITE_CANTOPEN : sqlite3_open_v2(path, &c->db, flags, NULL);
    enum err e = sqlite_code(c, code);
    if (!e)
        e = configure(c, role, page_cache_bytes);
    if (e) {
        sqlite_describe(c, d, e);
        sqlite_connection_close(c);
        return e;
    }
    *ret_connection = c;
    return OK;
}

void sqlite_connection_close(struct sqlite_connection *c)
{
    if (!c)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(c->statements[i]);
    sqlite3_close(c->db);
    mem_free(c);
}

enum err sqlite_execute(struct sqlite_connection *c, const char *sql)
{
    return sqlite_code(c, sqlite3_exec(c->db, sql, NULL, NULL, NULL));
}

enum err sqlite_integer(struct sqlite_connection *c, const char *sql, int64_t *ret_value)
{
    sqlite3_stmt *s;
    enum err e = sqlite_code(c, sqlite3_prepare_v2(c->db, sql, -1, &s, NULL));
    if (e)
        return e;
    bool row;
    e = sqlite_step(c, s, &row);
    if (!e)
        *ret_value = row ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_finalize(s);
    return e;
}

enum err sqlite_prepare(struct sqlite_connection *c, enum sqlite_statement which, sqlite3_stmt **ret_statement)
{
    if (!c->statements[which]) {
        int code = sqlite3_prepare_v3(c->db, sqlite_statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                      &c->statements[which], NULL);
        enum err e = sqlite_code(c, code);
        if (e)
            return e;
    }
    *ret_statement = c->statements[which];
    return OK;
}

enum err sqlite_step(struct sqlite_connection *c, sqlite3_stmt *s, bool *ret_row)
{
    if (FAULT("sqlite.step")) {
        c->code = SQLITE_IOERR;
        return ERR_IO;
    }
    int code = sqlite3_step(s);
    *ret_row = code == SQLITE_ROW;
    return sqlite_code(c, code);
}

void sqlite_reset(sqlite3_stmt *s)
{
    sqlite3_reset(s);
}

enum err sqlite_finish(struct sqlite_connection *c, sqlite3_stmt *s)
{
    bool row = true;
    enum err e = OK;
    while (!e && row)
        e = sqlite_step(c, s, &row);
    sqlite_reset(s);
    return e;
}

enum err sqlite_run(struct sqlite_connection *c, enum sqlite_statement which)
{
    sqlite3_stmt *s;
    enum err e = sqlite_prepare(c, which, &s);
    return e ? e : sqlite_finish(c, s);
}

void sqlite_bind_slice(sqlite3_stmt *s, int parameter, struct slice bytes)
{
    sqlite3_bind_blob64(s, parameter, bytes.data ? (const void *)bytes.data : "", bytes.size, SQLITE_STATIC);
}

struct slice sqlite_column_slice(sqlite3_stmt *s, int column)
{
    const void *data = sqlite3_column_blob(s, column);
    return slice_of(data, (size_t)sqlite3_column_bytes(s, column));
}
