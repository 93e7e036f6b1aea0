/* What lists, sets, sorted sets and counters share: each of their calls is one statement, most often of a function of the database
 * (migrations_collections.c), whose first parameters are the namespace and the key. */
#ifndef PRISM_DRIVERS_POSTGRES_COLLECTION_H
#define PRISM_DRIVERS_POSTGRES_COLLECTION_H

#include "data/collection.h"
#include "drivers/postgres/items.h"

/* As in the table collections. */
enum postgres_model { POSTGRES_LIST = 1, POSTGRES_SET, POSTGRES_SORTED_SET };

typedef enum err postgres_put_fn(struct postgres_operation *, struct postgres_unit *);
typedef enum err postgres_take_fn(struct postgres_operation *, unsigned index, const PGresult *);

/* An operation that has nothing of its own: made, checked (e), submitted. response_size: of the answer, which is zeroed. */
void postgres_plain(struct backend *, struct call *, enum postgres_class, size_t response_size, postgres_put_fn *,
                    postgres_take_fn *, enum err e);
/* The same for one that has been made. */
void postgres_submit_checked(struct postgres_operation *, postgres_put_fn *, postgres_take_fn *, enum err e);
/* The answer, while it is filled in. */
static inline void *postgres_response(struct postgres_operation *o)
{
    return (void *)(uintptr_t)o->response;
}
/* An array of the slices, in the lane's memory. */
struct postgres_array postgres_slices(struct postgres_unit *, const struct pb_array *slices);
/* One more slice in the array, copied into the call's arena. ERR_NOMEM. */
enum err postgres_add_slice(struct postgres_operation *, struct pb_array *, struct slice);
/* Clear of any model. */
void postgres_clear(struct backend *, struct call *, enum postgres_model, struct slice key);

#endif
