/* What the files of lists share. */
#ifndef PRISM_DRIVERS_REDIS_LIST_H
#define PRISM_DRIVERS_REDIS_LIST_H

#include "data/list.h"
#include "drivers/redis/operation.h"

/* A value that no list holds: marks a position while a script works on it. */
void redis_put_marker(struct redis_operation *, struct resp_command *);

#endif
