/* Rules of the set interfaces that every driver shares. Source of the semantics: proto/prism/set/v1. */
#ifndef PRISM_DATA_SET_H
#define PRISM_DATA_SET_H

#include "data/collection.h"
#include "prism/set/v1/set_basic.pb.h"
#include "prism/set/v1/set_cardinality.pb.h"
#include "prism/set/v1/set_operations.pb.h"
#include "prism/set/v1/set_random.pb.h"

/* Checks an Add: key, members, and that the namespace lets data stay. */
enum err set_check_add(struct call *, const struct set_add_request *);
/* Key and members of Remove and IsMember. */
enum err set_check_members(struct call *, struct slice key, const struct pb_array *members);

enum set_operator { SET_UNION, SET_INTERSECTION, SET_DIFFERENCE };

/* A page of members in bytewise order, of one set or of an operation on several. */
struct set_walk {
    struct call *call;
    enum set_operator operator; /* GetMembers: the union of one set */
    const struct slice *keys;   /* borrowed from the request */
    uint32_t key_count;
    struct page page;
    struct slice after; /* members behind this one are wanted; empty: all */
    uint64_t hash;
    struct pb_array members; /* taken so far: struct slice, copied into the call's arena */
};
/* Of GetMembers, Union, Intersection, Difference: checks the request, takes up its cursor. */
enum err set_walk_make(struct call *, struct set_walk *ret_walk);
/* Copies a member into the page. *ret_full: the page was full, the member was not taken. ERR_NOMEM. */
enum err set_walk_take(struct set_walk *, struct slice member, bool *ret_full);
/* Completes the call with the page. more: members may follow behind `reached`, which is the last one looked at (taken or not). */
void set_walk_answer(struct set_walk *, bool more, struct slice reached);

/* An answer of GetRandomMember or PopRandomMember (one layout) with room for the members. NULL: out of memory. */
struct set_pop_random_member_response *set_random_answer(struct call *, uint32_t members_max);

#endif
