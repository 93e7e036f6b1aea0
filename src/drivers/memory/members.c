/* Members go in all or none: what can fail (memory, the charge, room in the table) is done before the first one is put in. */
#include "drivers/memory/members.h"

#include <assert.h>

#include "base/mem.h"

enum err memory_members_make(struct memory *m, struct arena *arena, uint32_t count, struct members *ret_members)
{
    struct member **fresh = arena_array(arena, struct member *, count);
    (void)m;
    if (!fresh)
        return ERR_NOMEM;
    *ret_members = (struct members){.fresh = fresh};
    return OK;
}

enum err memory_members_append(struct memory *m, struct members *members, struct slice bytes, double score)
{
    struct member *one = memory_member_new(bytes, score, &m->store.secret);
    if (!one)
        return ERR_NOMEM;
    members->fresh[members->count++] = one;
    return OK;
}

void memory_members_free(struct members *members)
{
    for (uint32_t i = 0; i < members->count; i++)
        mem_free(members->fresh[i]);
    members->count = 0;
}

/* What the new ones cost; one that stands twice in the request is counted twice. */
static size_t cost_of_new(const struct ranked *r, const struct members *members)
{
    size_t cost = 0;
    for (uint32_t i = 0; i < members->count; i++)
        if (!memory_ranked_find(r, member_slice(members->fresh[i])))
            cost += memory_member_cost(members->fresh[i]);
    return cost;
}

static enum err make_room(struct memory *m, struct ranked *r, const struct members *members, struct diag *diag,
                          size_t *ret_charged)
{
    size_t cost = cost_of_new(r, members);
    if (ranked_count(r) + (uint64_t)members->count > LIMIT_COLLECTION_ITEMS)
        return diag_set(diag, ERR_STORE_FULL, "a set takes at most %d members", LIMIT_COLLECTION_ITEMS);
    enum err e = map_reserve(&r->by_member, members->count);
    if (e)
        return e;
    if (!memory_charge(&m->store, cost, 0))
        return ERR_STORE_FULL;
    *ret_charged = cost;
    return OK;
}

/* A new member goes from the list of fresh ones into the collection. */
static void put_one(struct ranked *r, struct member **fresh, struct members_change *change, size_t *taken)
{
    struct member *existing = memory_ranked_find(r, member_slice(*fresh));
    if (!existing) {
        *taken += memory_member_cost(*fresh);
        memory_ranked_insert(r, *fresh);
        *fresh = NULL;
        change->added++;
    } else if (existing->score < (*fresh)->score || existing->score > (*fresh)->score) {
        memory_ranked_rescore(r, existing, (*fresh)->score);
        change->updated++;
    }
}

enum err memory_members_put(struct memory *m, struct visit *v, struct slice key, struct members *members,
                            struct diag *diag, struct members_change *ret_change)
{
    struct members_change change = {0};
    size_t charged = 0, taken = 0;
    enum err e = memory_box_open(v->shelf, v->bay, key, &v->box);
    if (!e)
        e = make_room(m, &v->box->members, members, diag, &charged);
    if (e)
        return e;
    for (uint32_t i = 0; i < members->count; i++)
        put_one(&v->box->members, &members->fresh[i], &change, &taken);
    assert(taken <= charged);
    memory_refund(&m->store, charged - taken);
    *ret_change = change;
    return OK;
}

uint64_t memory_members_remove(struct memory *m, struct visit *v, const struct pb_array *members)
{
    uint64_t removed = 0;
    for (uint32_t i = 0; v->box && i < members->count; i++) {
        struct member *one = memory_ranked_find(&v->box->members, PB_AT(*members, struct slice, i));
        if (!one)
            continue;
        memory_ranked_remove(&v->box->members, one);
        memory_refund(&m->store, memory_member_cost(one));
        mem_free(one);
        removed++;
    }
    return removed;
}
