/* Driver "sqlite": durable key-value data, one database file a namespace. See README.md beside this file. */
#ifndef PRISM_DRIVERS_SQLITE_SQLITE_H
#define PRISM_DRIVERS_SQLITE_SQLITE_H

#include "data/driver.h"

extern const struct driver driver_sqlite;

/* SQLite's memory comes from base/mem.h from now on, and counts and fails with all other. Once in a process, before its first
 * store is opened and while it has one thread. ERR_INTERNAL: too late, SQLite has been used already. */
enum err sqlite_use_base_memory(void) __attribute__((warn_unused_result));

#endif
