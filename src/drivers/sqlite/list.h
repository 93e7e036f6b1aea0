/* Values of lists as rows of `list_values`, in the order of their positions.
 *
 * Positions are LIST_GAP apart where values are pushed; one that is inserted takes the middle between its neighbours, and where
 * there is no room left all of the list get new positions. So a push, a pop and an insertion touch a few rows, and an index is
 * found by counting rows of the index from the nearer end. */
#ifndef PRISM_DRIVERS_SQLITE_LIST_H
#define PRISM_DRIVERS_SQLITE_LIST_H

#include "data/list.h"
#include "drivers/sqlite/collection.h"

/* The list of a key; id 0: there is none. */
enum err sqlite_list_find(struct sqlite_connection *, struct slice key, struct sqlite_collection *ret_list);
/* Position of the value at an index below the list's size. */
enum err sqlite_list_position(struct sqlite_connection *, const struct sqlite_collection *, uint64_t index,
                              int64_t *ret_position);
/* Copies values from the index on into the array (struct slice) as long as page_take lets them in. */
enum err sqlite_list_read(struct sqlite_connection *, const struct sqlite_collection *, struct span, struct arena *,
                          struct page *, struct pb_array *ret_values);

/* Writer's thread, in a transaction. These keep the list's size true in memory; who calls them resizes the collection. */
enum err sqlite_list_push(struct sqlite_operation *, const struct list_push *, uint64_t *ret_length);
/* Pops what fits one answer, into an array with room for pop->count. */
enum err sqlite_list_pop(struct sqlite_operation *, const struct list_pop *, struct pb_array *values,
                         uint64_t *ret_length);
enum err sqlite_list_insert(struct sqlite_operation *, struct sqlite_collection *, uint64_t index, struct slice value);
/* Runs a statement with a position as ?2. *ret_changed: rows. */
enum err sqlite_list_change(struct sqlite_connection *, enum sqlite_statement, const struct sqlite_collection *,
                            int64_t position, uint64_t *ret_changed);

/* Tells who waits for values under the request's key, which is its first field. */
void sqlite_list_grew(struct sqlite_operation *);

#endif
