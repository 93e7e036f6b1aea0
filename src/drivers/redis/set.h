/* What the files of sets share. */
#ifndef PRISM_DRIVERS_REDIS_SET_H
#define PRISM_DRIVERS_REDIS_SET_H

#include "drivers/redis/operation.h"
#include "prism/set/v1/set_basic.pb.h"

/* set_operations.c: a page of members is the union of one set. */
void redis_set_get_members(struct backend *, struct call *, const struct set_get_members_request *);

#endif
