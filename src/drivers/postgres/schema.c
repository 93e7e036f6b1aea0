/* A new connection becomes ready:
 *
 *   settings ─▶ version of the tables ─▶ same: number of the namespace (made where it is new)
 *                                    ├─▶ older or none: lock, look again, migrate one by one, commit
 *                                    └─▶ newer: refused
 *
 * Invariants: migrations run in one transaction, one proxy at a time (an advisory lock); what they made is there whole or not at
 * all. On a standby nothing is made: what is missing there has not been replayed yet. */
#include "drivers/postgres/schema.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "drivers/postgres/migrations.h"

struct opening {
    PGconn *conn;
    const struct postgres_wait *wait;
    const struct postgres_setup *setup;
    struct postgres_problem *problem;
};

static enum err run(const struct opening *o, const char *sql)
{
    return postgres_session_do(o->conn, o->wait, sql, NULL, o->problem);
}

/* --- settings ---------------------------------------------------------------------------------------------------------------- */

/* Plans are made once and never read a whole table: each statement of the driver has an index that fits, also while the
 * statistics of a table that has just been filled say otherwise. */
static const char plans[] =
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;"
    "SET enable_mergejoin = off; SET enable_bitmapscan = off; SET enable_material = off; SET jit = off;"
    "SET idle_in_transaction_session_timeout = '10min'; SET client_min_messages = 'error';"
    "SET bytea_output = 'hex'; SET default_transaction_isolation = 'read committed';";

static void put_quoted(struct buf *sql, const char *name)
{
    buf_putc(sql, '"');
    for (; *name; name++) {
        if (*name == '"')
            buf_putc(sql, '"');
        buf_putc(sql, *name);
    }
    buf_putc(sql, '"');
}

static enum err set_up(const struct opening *o)
{
    char memory[1024];
    struct buf sql;
    buf_init_fixed(&sql, memory, sizeof memory);
    buf_puts(&sql, plans);
    buf_printf(&sql, "SET statement_timeout = %lld; SET search_path = ", (long long)o->setup->statement_timeout_ms);
    put_quoted(&sql, o->setup->schema);
    buf_putc(&sql, '\0');
    return buf_err(&sql) ? postgres_problem_set(o->problem, ERR_CONFIG_INVALID, "schema: the name is too long")
                         : run(o, memory);
}

/* --- version ----------------------------------------------------------------------------------------------------------------- */

/* Of the tables that are there; 0: none. */
static enum err read_version(const struct opening *o, int *ret_version)
{
    static const struct postgres_params none;
    PGresult *r;
    enum err e = postgres_session_ask(o->conn, o->wait, "SELECT to_regclass('schema_version') IS NOT NULL", &none,
                                      o->problem, &r);
    if (e)
        return e;
    bool there = PQntuples(r) && postgres_bool(r, 0, 0);
    PQclear(r);
    *ret_version = 0;
    if (!there)
        return OK;
    e = postgres_session_ask(o->conn, o->wait, "SELECT coalesce(max(version), 0)::int4 FROM schema_version", &none,
                             o->problem, &r);
    if (e)
        return e;
    *ret_version = postgres_int4(r, 0, 0);
    PQclear(r);
    return OK;
}

static enum err check_version(const struct opening *o, int version)
{
    if (version > postgres_schema_version)
        return postgres_problem_set(
            o->problem, ERR_SCHEMA_FUTURE,
            "schema %s has version %d, this Prism knows %d: run the newer Prism, or restore a backup", o->setup->schema,
            version, postgres_schema_version);
    if (version < postgres_schema_version && o->setup->read_only)
        return postgres_problem_set(
            o->problem, ERR_BACKEND_REFUSED,
            "the standby has version %d of schema %s, not %d yet: it must catch up with the primary", version,
            o->setup->schema, postgres_schema_version);
    return OK;
}

/* --- migration --------------------------------------------------------------------------------------------------------------- */

static enum err make_schema(const struct opening *o)
{
    char memory[256];
    struct buf sql;
    buf_init_fixed(&sql, memory, sizeof memory);
    buf_puts(&sql, "CREATE SCHEMA ");
    put_quoted(&sql, o->setup->schema);
    buf_puts(&sql,
             "; CREATE TABLE schema_version (version int4 PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now(),"
             " prism text NOT NULL)");
    buf_putc(&sql, '\0');
    return buf_err(&sql) ? postgres_problem_set(o->problem, ERR_CONFIG_INVALID, "schema: the name is too long")
                         : run(o, memory);
}

/* The schema may have been made for us, empty, by somebody with more rights. */
static enum err make_version_table(const struct opening *o)
{
    PGresult *r;
    struct postgres_params p = {0};
    postgres_put_bytes(&p, slice_str(o->setup->schema));
    enum err e = postgres_session_ask(
        o->conn, o->wait, "SELECT 1 FROM pg_namespace WHERE nspname = convert_from($1, 'UTF8')", &p, o->problem, &r);
    if (e)
        return e;
    bool there = PQntuples(r) > 0;
    PQclear(r);
    if (!there)
        return make_schema(o);
    return run(o,
               "CREATE TABLE schema_version (version int4 PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now(),"
               " prism text NOT NULL)");
}

static enum err apply(const struct opening *o, int version)
{
    char note[128];
    snprintf(note, sizeof note, "INSERT INTO schema_version (version, prism) VALUES (%d, '%s')", version + 1,
             PRISM_VERSION);
    enum err e = OK;
    for (const char *const *sql = postgres_migrations[version]; *sql && !e; sql++)
        e = run(o, *sql);
    return e ? e : run(o, note);
}

/* The version may have changed while the lock was waited for. */
static enum err migrate_locked(const struct opening *o)
{
    int version;
    enum err e = read_version(o, &version);
    if (!e)
        e = check_version(o, version);
    if (!e && version == 0)
        e = make_version_table(o);
    for (; !e && version < postgres_schema_version; version++)
        e = apply(o, version);
    return e;
}

#define MIGRATION_LOCK "(" POSTGRES_LOCK_CLASS ", hashtext(current_setting('search_path')))"

static void add_advice(struct postgres_problem *p)
{
    size_t size = strlen(p->text);
    snprintf(p->text + size, sizeof p->text - size,
             "; grant the role CREATE on the database, or make a schema that it owns");
}

/* The lock is taken before the transaction begins: only then the transaction is sure to see what the one before has made. It ends with
 * the connection where something fails. */
static enum err migrate(const struct opening *o)
{
    enum err e = run(o, "SELECT pg_advisory_lock" MIGRATION_LOCK);
    if (!e)
        e = run(o, "BEGIN");
    if (!e)
        e = migrate_locked(o);
    if (!e)
        e = run(o, "COMMIT");
    if (!e)
        e = run(o, "SELECT pg_advisory_unlock" MIGRATION_LOCK);
    if (e == ERR_BACKEND_DENIED)
        add_advice(o->problem);
    return e;
}

/* --- namespace --------------------------------------------------------------------------------------------------------------- */

static enum err find_namespace(const struct opening *o, int32_t *ret_namespace)
{
    PGresult *r;
    struct postgres_params p = {0};
    postgres_put_bytes(&p, slice_str(o->setup->namespace_name));
    enum err e = postgres_session_ask(
        o->conn, o->wait, "SELECT id FROM namespaces WHERE name = convert_from($1, 'UTF8')", &p, o->problem, &r);
    if (e)
        return e;
    *ret_namespace = PQntuples(r) ? postgres_int4(r, 0, 0) : 0;
    PQclear(r);
    return OK;
}

static enum err number_namespace(const struct opening *o, int32_t *ret_namespace)
{
    enum err e = find_namespace(o, ret_namespace);
    if (e || *ret_namespace)
        return e;
    if (o->setup->read_only)
        return postgres_problem_set(o->problem, ERR_BACKEND_REFUSED, "the standby does not know the namespace %s yet",
                                    o->setup->namespace_name);
    struct postgres_params p = {0};
    postgres_put_bytes(&p, slice_str(o->setup->namespace_name));
    e = postgres_session_do(o->conn, o->wait,
                            "INSERT INTO namespaces (name) VALUES (convert_from($1, 'UTF8')) ON CONFLICT DO NOTHING",
                            &p, o->problem);
    return e ? e : find_namespace(o, ret_namespace);
}

enum err postgres_schema_open(PGconn *conn, const struct postgres_wait *w, const struct postgres_setup *setup,
                              struct postgres_problem *p, int32_t *ret_namespace)
{
    struct opening o = {.conn = conn, .wait = w, .setup = setup, .problem = p};
    int version;
    enum err e = set_up(&o);
    if (!e)
        e = read_version(&o, &version);
    if (!e)
        e = check_version(&o, version);
    if (!e && version < postgres_schema_version)
        e = migrate(&o);
    return e ? e : number_namespace(&o, ret_namespace);
}
