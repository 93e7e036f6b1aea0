/* Adding to and removing from a set or a sorted set in memory: what both have in common. */
#ifndef PRISM_DRIVERS_MEMORY_MEMBERS_H
#define PRISM_DRIVERS_MEMORY_MEMBERS_H

#include "drivers/memory/internal.h"

/* Members on their way in: made before the lock is taken. Those that the collection has already stay here, and are freed. */
struct members {
    struct member **fresh;
    uint32_t count;
};
enum err memory_members_make(struct memory *, struct arena *, uint32_t count, struct members *ret_members);
/* The next one. ERR_NOMEM. */
enum err memory_members_append(struct memory *, struct members *, struct slice bytes, double score);
void memory_members_free(struct members *);

struct members_change {
    uint64_t added, updated;
};
/* All or none; opens the box. ERR_NOMEM, ERR_STORE_FULL. Locked. */
enum err memory_members_put(struct memory *, struct visit *, struct slice key, struct members *, struct diag *,
                            struct members_change *ret_change);
/* Takes out those that are there. Returns how many. Locked. */
uint64_t memory_members_remove(struct memory *, struct visit *, const struct pb_array *members);

#endif
