/* What the files of the set interfaces share. */
#ifndef PRISM_DRIVERS_SQLITE_SET_H
#define PRISM_DRIVERS_SQLITE_SET_H

#include "data/set.h"
#include "drivers/sqlite/collection.h"

/* A set with id 0 has no members. */
enum err sqlite_set_has(struct sqlite_connection *, const struct sqlite_collection *, struct slice member,
                        bool *ret_has);
/* GetMembers, Union, Intersection, Difference: answers a page. */
void sqlite_set_walk(struct backend *, struct call *);

#endif
