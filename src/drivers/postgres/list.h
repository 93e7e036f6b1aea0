/* What the list interfaces share. */
#ifndef PRISM_DRIVERS_POSTGRES_LIST_H
#define PRISM_DRIVERS_POSTGRES_LIST_H

#include "data/list.h"
#include "drivers/postgres/collection.h"

/* The statement of a pop. */
enum err postgres_put_pop(struct postgres_unit *, const struct list_pop *);
/* committed of what adds values: wakes callers that wait for one. list_blocking.c */
void postgres_list_grew(struct postgres_operation *);

#endif
