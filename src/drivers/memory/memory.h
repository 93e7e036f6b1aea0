/* The memory driver: a namespace kept in this process, ordered where scanned, with expiry and transactions. Gone when the process
 * ends. README.md tells how it is built. */
#ifndef PRISM_DRIVERS_MEMORY_MEMORY_H
#define PRISM_DRIVERS_MEMORY_MEMORY_H

#include "data/driver.h"

extern const struct driver driver_memory;

#endif
