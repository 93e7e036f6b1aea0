/* Driver "sqlite": durable key-value data, one database file a namespace. See README.md beside this file. */
#ifndef PRISM_DRIVERS_SQLITE_SQLITE_H
#define PRISM_DRIVERS_SQLITE_SQLITE_H

#include "data/driver.h"

extern const struct driver driver_sqlite;

#endif
