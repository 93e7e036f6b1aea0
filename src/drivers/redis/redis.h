/* Key-value data at a Redis server, a Redis Cluster, or a master that sentinels watch over; see README.md. */
#ifndef PRISM_DRIVERS_REDIS_H
#define PRISM_DRIVERS_REDIS_H

#include "data/driver.h"

extern const struct driver driver_redis;

#endif
