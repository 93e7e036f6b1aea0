/* Driver "postgres": data in tables of a PostgreSQL database. See README.md beside this file. */
#ifndef PRISM_DRIVERS_POSTGRES_POSTGRES_H
#define PRISM_DRIVERS_POSTGRES_POSTGRES_H

#include "data/driver.h"

extern const struct driver driver_postgres;

#endif
