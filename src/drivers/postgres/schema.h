/* Prism's tables in the database: one schema, shared by all namespaces, made and migrated by versioned SQL. */
#ifndef PRISM_DRIVERS_POSTGRES_SCHEMA_H
#define PRISM_DRIVERS_POSTGRES_SCHEMA_H

#include "drivers/postgres/session.h"

enum { POSTGRES_SCHEMA_NAME_MAX = 63 };
/* Identifies the advisory locks of this driver among those of other users of the database: "prsm". */
#define POSTGRES_LOCK_CLASS "1886548845"

struct postgres_setup {
    const char *schema; /* name of the schema, without quotes */
    const char *namespace_name;
    bool read_only; /* a standby: nothing is made there */
    int64_t statement_timeout_ms;
};

/* Makes a new connection ready: its settings, the tables (made or migrated where they are not up to date), the number of the
 * namespace. ERR_SCHEMA_FUTURE: a newer Prism has migrated the tables. Errors of outcome.h, with what to do. */
enum err postgres_schema_open(PGconn *, const struct postgres_wait *, const struct postgres_setup *,
                              struct postgres_problem *, int32_t *ret_namespace);

#endif
