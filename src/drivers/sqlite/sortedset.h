/* What the files of the sorted set interfaces share: members as rows, in the order of score and member. */
#ifndef PRISM_DRIVERS_SQLITE_SORTEDSET_H
#define PRISM_DRIVERS_SQLITE_SORTEDSET_H

#include "data/sortedset.h"
#include "drivers/sqlite/collection.h"

/* The sorted set of a key; id 0: there is none. */
enum err sqlite_sorted_find(struct sqlite_operation *, struct slice key, struct sqlite_collection *ret_set);
/* *ret_found: there is such a member, and *ret_score is its score. Of no set (id 0) there is none. */
enum err sqlite_sorted_score(struct sqlite_connection *, const struct sqlite_collection *, struct slice member,
                             bool *ret_found, double *ret_score);
/* Statement with score and member as ?2 and ?3. */
enum err sqlite_sorted_at(struct sqlite_connection *, enum sqlite_statement, const struct sqlite_collection *,
                          double score, struct slice member, sqlite3_stmt **ret_statement);
/* Members from a rank on, for stepping: a row is score and member. */
enum err sqlite_sorted_from(struct sqlite_connection *, const struct sqlite_collection *, bool reverse, uint64_t rank,
                            sqlite3_stmt **ret_statement);
/* The walks answer pages; sortedset_range.c. */
void sqlite_sorted_walk(struct backend *, struct call *, sqlite_run_fn *);
struct sqlite_sorted_walk {
    struct sqlite_operation operation;
    struct sortedset_walk walk;
    bool more;
};

#endif
