/* What turns the tables of version i into those of version i + 1: texts of SQL, one after the other. */
#ifndef PRISM_DRIVERS_POSTGRES_MIGRATIONS_H
#define PRISM_DRIVERS_POSTGRES_MIGRATIONS_H

extern const char *const *const postgres_migrations[]; /* each ends with NULL */
extern const int postgres_schema_version;

extern const char *const postgres_version_2[]; /* migrations_collections.c */

#endif
