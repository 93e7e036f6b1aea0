/* The schema and its versions. A database names its owner in application_id and its schema in user_version:
 *
 *   new (0, no tables) ──migrations──▶ current         older ──the migrations that are missing──▶ current
 *   newer ──▶ ERR_SCHEMA_FUTURE        of another program, or damaged ──▶ ERR_CORRUPT
 *
 * A migration is never changed once released; a new one is added at the end. */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "drivers/sqlite/store.h"

enum { APPLICATION_ID = 0x5052534d /* "PRSM" */ };

/* Rows with a rowid and an index on the key: measured against WITHOUT ROWID with values of 100 bytes (2,000 bytes), 1.4 (3.2)
 * times the writes and 1.2 (3.7) times the reads a second; ordered scans 0.37 (0.95) times, still 580,000 rows a second. */
static const char *const migrations[] = {
    "CREATE TABLE items ("
    " key BLOB PRIMARY KEY NOT NULL,"
    " version INTEGER NOT NULL," /* epoch and count: struct sqlite_versions */
    " expires_ms INTEGER,"       /* UTC; NULL: never */
    " tags BLOB,"                /* as kv_tags_encode makes them; NULL: none */
    " value BLOB NOT NULL);"
    "CREATE INDEX items_by_expiry ON items (expires_ms) WHERE expires_ms IS NOT NULL;"
    "CREATE TABLE answers ("
    " key BLOB PRIMARY KEY NOT NULL," /* struct idem */
    " fingerprint INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL,"
    " response BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX answers_by_expiry ON answers (expires_ms);"
    "CREATE TABLE epochs (id INTEGER PRIMARY KEY NOT NULL, name INTEGER NOT NULL);"
    "CREATE TABLE counters (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO counters VALUES ('keys', 0), ('verified', 0);",

    /* Lists, sets and sorted sets have a row each that knows their size, as long as they are not empty; their items know them by
     * its id, so that a long key is stored once. Values of a list stand by position, with gaps for what is inserted. */
    "CREATE TABLE collections ("
    " id INTEGER PRIMARY KEY NOT NULL,"
    " model INTEGER NOT NULL," /* enum sqlite_model */
    " key BLOB NOT NULL,"
    " size INTEGER NOT NULL,"
    " UNIQUE (model, key));"
    "CREATE TABLE list_values ("
    " list INTEGER NOT NULL,"
    " position INTEGER NOT NULL,"
    " value BLOB NOT NULL,"
    " UNIQUE (list, position));"
    "CREATE TABLE set_members ("
    " collection INTEGER NOT NULL,"
    " member BLOB NOT NULL,"
    " PRIMARY KEY (collection, member)) WITHOUT ROWID;"
    "CREATE TABLE sorted_members ("
    " collection INTEGER NOT NULL,"
    " member BLOB NOT NULL,"
    " score REAL NOT NULL,"
    " PRIMARY KEY (collection, member)) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX sorted_by_score ON sorted_members (collection, score, member);"
    "CREATE TABLE numbers (key BLOB PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;",
};
enum { SCHEMA_VERSION = sizeof migrations / sizeof *migrations };

/* --- whose file is it ------------------------------------------------------------------------------------------------------- */

static enum err foreign(const struct sqlite_store *store, struct diag *d, int64_t application_id)
{
    return sqlite_at(d,
                     diag_set(d, ERR_CORRUPT,
                              "%s is a database of another program (application_id %" PRId64
                              "); move it away, or set sqlite.directory to a folder of its own",
                              store->path, application_id),
                     store->path);
}

static enum err from_the_future(const struct sqlite_store *store, struct diag *d, int64_t version)
{
    return sqlite_at(d,
                     diag_set(d, ERR_SCHEMA_FUTURE,
                              "%s has schema version %" PRId64
                              ", this Prism knows up to %d; run the version that wrote it, or newer",
                              store->path, version, SCHEMA_VERSION),
                     store->path);
}

static enum err identify(struct sqlite_store *store, struct diag *d, int64_t *ret_version)
{
    struct sqlite_connection *c = store->writer.connection;
    int64_t application_id, version, tables;
    enum err e = sqlite_integer(c, "PRAGMA application_id", &application_id);
    if (!e)
        e = sqlite_integer(c, "PRAGMA user_version", &version);
    if (!e)
        e = sqlite_integer(c, "SELECT count(*) FROM sqlite_schema", &tables);
    if (e)
        return sqlite_describe(c, d, e);
    bool is_new = application_id == 0 && version == 0 && tables == 0;
    if (!is_new && (application_id != APPLICATION_ID || version < 1))
        return foreign(store, d, application_id);
    if (version > SCHEMA_VERSION)
        return from_the_future(store, d, version);
    *ret_version = version;
    return OK;
}

/* --- is it whole ------------------------------------------------------------------------------------------------------------ */

struct check {
    const struct env *env;
    uint64_t until_ns;
};

static int is_over(void *context)
{
    const struct check *check = context;
    return check->env->monotonic_ns(check->env) >= check->until_ns;
}

static enum err damaged(const struct sqlite_store *store, struct diag *d, const char *what)
{
    return sqlite_at(
        d,
        diag_set(d, ERR_CORRUPT,
                 "%s is damaged (%s); restore it from a backup, or move it away to begin with an empty namespace",
                 store->path, what),
        store->path);
}

/* SQLite's own check of every page, for LIMIT_CHECK_MS at the most: of a large database it sees the beginning. */
static enum err check_pages(struct sqlite_store *store, struct diag *d)
{
    enum { STEPS = 10000 };
    struct sqlite_connection *c = store->writer.connection;
    struct check check = {store->env, store->env->monotonic_ns(store->env) + LIMIT_CHECK_MS * UINT64_C(1000000)};
    sqlite3_stmt *s;
    enum err e = sqlite_code(c, sqlite3_prepare_v2(c->db, "PRAGMA quick_check(1)", -1, &s, NULL));
    if (e)
        return sqlite_describe(c, d, e);
    sqlite3_progress_handler(c->db, STEPS, is_over, &check);
    int code = sqlite3_step(s);
    sqlite3_progress_handler(c->db, 0, NULL, NULL);
    const char *said = code == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : "";
    if (code == SQLITE_ROW && (!said || strcmp(said, "ok") != 0))
        e = damaged(store, d, said ? said : "no answer");
    else if (code != SQLITE_ROW && code != SQLITE_INTERRUPT)
        e = sqlite_describe(c, d, sqlite_code(c, code));
    sqlite3_finalize(s);
    return e;
}

/* --- settings that the file or the connection keeps ------------------------------------------------------------------------- */

static enum err use_log(struct sqlite_store *store, struct diag *d)
{
    struct sqlite_connection *c = store->writer.connection;
    sqlite3_stmt *s;
    enum err e = sqlite_code(c, sqlite3_prepare_v2(c->db, "PRAGMA journal_mode = WAL", -1, &s, NULL));
    if (e)
        return sqlite_describe(c, d, e);
    bool row;
    e = sqlite_step(c, s, &row);
    bool wal = !e && row && sqlite3_stricmp((const char *)sqlite3_column_text(s, 0), "wal") == 0;
    sqlite3_finalize(s);
    if (e)
        return sqlite_describe(c, d, e);
    if (wal)
        return OK;
    return diag_set(d, ERR_FILE, "%s: the file system cannot hold a WAL (no shared memory); use a local disk",
                    store->path);
}

static const char *synchronous_sql(int32_t synchronous)
{
    switch (synchronous) {
    case CONFIG_SQLITE_OPTIONS_SYNCHRONOUS_NORMAL:
        return "PRAGMA synchronous = NORMAL";
    case CONFIG_SQLITE_OPTIONS_SYNCHRONOUS_OFF:
        return "PRAGMA synchronous = OFF";
    default:
        return "PRAGMA synchronous = FULL";
    }
}

/* --- migrations ------------------------------------------------------------------------------------------------------------- */

static enum err migrate_one(struct sqlite_connection *c, int64_t version)
{
    char marks[96];
    snprintf(marks, sizeof marks, "PRAGMA application_id = %d; PRAGMA user_version = %" PRId64, APPLICATION_ID,
             version);
    enum err e = sqlite_run(c, STATEMENT_BEGIN_WRITE);
    if (!e)
        e = sqlite_execute(c, migrations[version - 1]);
    if (!e)
        e = sqlite_execute(c, marks);
    if (!e)
        e = sqlite_run(c, STATEMENT_COMMIT);
    if (e && !sqlite3_get_autocommit(c->db)) {
        int code = c->code;
        sqlite_run(c, STATEMENT_ROLLBACK);
        c->code = code;
    }
    return e;
}

static enum err migrate(struct sqlite_store *store, int64_t version, struct diag *d)
{
    struct sqlite_connection *c = store->writer.connection;
    while (version < SCHEMA_VERSION) {
        enum err e = migrate_one(c, ++version);
        if (e) {
            sqlite_describe(c, d, e);
            diag_wrap(d, "%s: migrating to schema version %" PRId64, store->path, version);
            return e;
        }
    }
    return OK;
}

/* --- epochs ----------------------------------------------------------------------------------------------------------------- */

/* Ids are 0, 1, 2 …: rows name epochs by them. */
static enum err read_epochs(struct sqlite_store *store, uint32_t count)
{
    struct sqlite_connection *c = store->writer.connection;
    struct sqlite_versions *v = &store->versions;
    sqlite3_stmt *s;
    enum err e = sqlite_code(c, sqlite3_prepare_v2(c->db, "SELECT id, name FROM epochs ORDER BY id", -1, &s, NULL));
    bool row = true;
    for (uint32_t i = 0; !e && i < count; i++) {
        e = sqlite_step(c, s, &row);
        if (!e && (!row || sqlite3_column_int64(s, 0) != i))
            e = ERR_CORRUPT;
        if (!e)
            v->epochs[i] = (uint64_t)sqlite3_column_int64(s, 1);
    }
    sqlite3_finalize(s);
    return e;
}

static enum err used_up(const struct sqlite_store *store, struct diag *d, int64_t count)
{
    return diag_set(d, ERR_STORE_FULL,
                    "%s has been opened %" PRId64
                    " times, its versions are used up; export the data and import it into a new namespace",
                    store->path, count);
}

static enum err begin_epoch(struct sqlite_store *store, struct diag *d)
{
    struct sqlite_connection *c = store->writer.connection;
    struct sqlite_versions *v = &store->versions;
    int64_t count;
    enum err e = sqlite_integer(c, "SELECT count(*) FROM epochs", &count);
    if (!e && count >= EPOCHS_MAX)
        return used_up(store, d, count);
    if (e)
        return sqlite_describe(c, d, e);
    v->epochs = mem_alloc(((size_t)count + 1) * sizeof *v->epochs);
    if (!v->epochs)
        return diag_set(d, ERR_NOMEM, "%s", err_row(ERR_NOMEM)->text);
    if (read_epochs(store, (uint32_t)count))
        return damaged(store, d, "its epochs cannot be read");
    store->env->random(store->env, &v->epochs[count], sizeof *v->epochs);
    v->epoch_count = (uint32_t)count + 1;
    v->last = count << VERSION_COUNT_BITS;
    return OK;
}

/* The file learns of an epoch with its first version: a disk that is full can be opened, and read. */
enum err sqlite_epoch_put(struct sqlite_store *store)
{
    struct sqlite_connection *c = store->writer.connection;
    const struct sqlite_versions *v = &store->versions;
    sqlite3_stmt *s;
    enum err e = sqlite_prepare(c, STATEMENT_EPOCH_PUT, &s);
    if (e)
        return e;
    sqlite3_bind_int64(s, 1, v->epoch_count - 1);
    sqlite3_bind_int64(s, 2, (int64_t)v->epochs[v->epoch_count - 1]);
    return sqlite_finish(c, s);
}

/* --- open ------------------------------------------------------------------------------------------------------------------- */

static enum err load(struct sqlite_store *store, struct diag *d)
{
    struct sqlite_writer *w = &store->writer;
    enum err e = sqlite_integer(w->connection, "SELECT value FROM counters WHERE name = 'keys'", &w->keys);
    if (!e)
        e = sqlite_upkeep_load(store);
    if (e)
        return sqlite_describe(w->connection, d, e);
    w->keys_stored = w->keys;
    atomic_store(&w->keys_shown, w->keys);
    return OK;
}

static enum err prepare(struct sqlite_store *store, struct diag *d)
{
    struct sqlite_connection *c = store->writer.connection;
    int64_t version = 0;
    enum err e = identify(store, d, &version);
    if (!e && version)
        e = check_pages(store, d);
    if (!e)
        e = use_log(store, d);
    if (!e && (e = sqlite_execute(c, synchronous_sql(store->synchronous))))
        sqlite_describe(c, d, e);
    if (!e)
        e = migrate(store, version, d);
    if (!e)
        e = begin_epoch(store, d);
    return e ? e : load(store, d);
}

enum err sqlite_schema_open(struct sqlite_store *store, struct diag *d)
{
    enum err e = sqlite_connection_open(store->path, ROLE_WRITER, store->cache_bytes, d, &store->writer.connection);
    if (!e)
        e = prepare(store, d);
    /* Where SQLite said so, it said it tersely. */
    struct sqlite_connection *c = store->writer.connection;
    if (e == ERR_CORRUPT && (!c || c->code))
        return damaged(store, d, sqlite3_errstr(c ? c->code : SQLITE_NOTADB));
    return e;
}
