/* Lists, sets and sorted sets: the row that each has in `collections`, and what their operations have in common.
 *
 * A collection has a row as long as it has items, and the row knows how many (docs/adr/012: what is empty does not exist). Items
 * name it by id. Every operation here sets `several`: what it finds and what it does then belong to one moment. */
#ifndef PRISM_DRIVERS_SQLITE_COLLECTION_H
#define PRISM_DRIVERS_SQLITE_COLLECTION_H

#include "drivers/sqlite/store.h"

/* Kept in the database. */
enum sqlite_model { SQLITE_LIST = 1, SQLITE_SET = 2, SQLITE_SORTED_SET = 3 };

struct sqlite_collection {
    int64_t id; /* 0: there is none */
    uint64_t size;
};
enum err sqlite_collection_find(struct sqlite_connection *, enum sqlite_model, struct slice key,
                                struct sqlite_collection *ret_collection);
/* Writer's thread, in a transaction, as all below. Makes it where there is none; it must get items, or be resized to 0. */
enum err sqlite_collection_make(struct sqlite_connection *, enum sqlite_model, struct slice key,
                                struct sqlite_collection *ret_collection);
/* After items have come or gone: 0 lets go of it. */
enum err sqlite_collection_resize(struct sqlite_connection *, struct sqlite_collection *, uint64_t size);
/* Removes all items by the statement that does so, and the collection. *ret_removed: so many. */
enum err sqlite_collection_clear(struct sqlite_connection *, enum sqlite_model, enum sqlite_statement, struct slice key,
                                 uint64_t *ret_removed);

/* A prepared statement with the collection's id as ?1. */
enum err sqlite_prepare_for(struct sqlite_connection *, enum sqlite_statement, const struct sqlite_collection *,
                            sqlite3_stmt **ret_statement);
/* Runs a change; *ret_changed: of how many rows. */
enum err sqlite_change(struct sqlite_connection *, sqlite3_stmt *, uint64_t *ret_changed);

/* Loop's thread. Queues an operation, or answers e where the request was found wrong. */
void sqlite_write_checked(struct sqlite_operation *, enum err e);
void sqlite_read_checked(struct sqlite_operation *, enum err e);
/* An operation of the plain kind, made and queued. e: what checking the request said. */
void sqlite_write_plain(struct backend *, struct call *, sqlite_run_fn *, enum err e);
void sqlite_read_plain(struct backend *, struct call *, sqlite_run_fn *, enum err e);

#endif
