/* What the set interfaces share. */
#ifndef PRISM_DRIVERS_POSTGRES_SET_H
#define PRISM_DRIVERS_POSTGRES_SET_H

#include "data/set.h"
#include "drivers/postgres/collection.h"

/* GetMembers, Union, Intersection, Difference. set_operations.c */
void postgres_set_walk(struct backend *, struct call *);

#endif
