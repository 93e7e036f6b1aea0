/* A sorted set in memory, and with all scores 0 a set: a skip list in the order of score and bytes whose links know how many members
 * they pass, so that a rank is found from a member and a member from a rank; and a hash table by member.
 *
 * Invariants: the table and the list have the same members; a link's span is the rank of its target minus that of its owner (the
 * end counts as one behind the last); level 0 is linked both ways.
 * Thread: under the lock of whoever owns it. Source: Pugh, "A Skip List Cookbook", 1990 (linear list operations). */
#ifndef PRISM_DRIVERS_MEMORY_RANKED_H
#define PRISM_DRIVERS_MEMORY_RANKED_H

#include "base/map.h"
#include "data/sortedset.h"

enum { RANKED_LEVELS = 14 }; /* each has a quarter of the members of the one below: enough for LIMIT_COLLECTION_ITEMS */

struct member;
struct ranked_link {
    struct member *next; /* NULL: the end */
    uint32_t span;
};

struct member {
    double score;
    struct member *prev; /* NULL: first */
    uint16_t size;
    uint8_t height;
    struct ranked_link links[]; /* height of them, then the bytes */
};

struct ranked {
    struct map by_member;
    struct member *last;
    struct ranked_link head[RANKED_LEVELS];
};

static inline struct slice member_slice(const struct member *m)
{
    return slice_of(&m->links[m->height], m->size);
}

static inline uint32_t ranked_count(const struct ranked *r)
{
    return r->by_member.count;
}

static inline struct member *ranked_first(const struct ranked *r)
{
    return r->head[0].next;
}

void memory_ranked_init(struct ranked *, const struct hash_key *);
/* Frees all members. Returns their cost. */
size_t memory_ranked_free(struct ranked *);
struct member *memory_member_new(struct slice bytes, double score, const struct hash_key *); /* NULL: out of memory */
size_t memory_member_cost(const struct member *);

struct member *memory_ranked_find(const struct ranked *, struct slice member); /* NULL: not there */
/* Room was reserved (map_reserve of by_member); no such member is there. Takes it. */
void memory_ranked_insert(struct ranked *, struct member *);
/* Takes it out; it is the caller's. */
void memory_ranked_remove(struct ranked *, struct member *);
void memory_ranked_rescore(struct ranked *, struct member *, double score);

/* From 0. */
uint32_t memory_ranked_rank(const struct ranked *, const struct member *);
/* The rank is below the count. */
struct member *memory_ranked_at(const struct ranked *, uint32_t rank);
/* The first member for which before is false; NULL: there is none. Along the order before is true first and then false. */
typedef bool ranked_before_fn(const void *context, double score, struct slice member);
struct member *memory_ranked_seek(const struct ranked *, ranked_before_fn *before, const void *context);

#endif
