/* All that can fail is memory_member_new and map_reserve; inserting and removing cannot. */
#include "drivers/memory/ranked.h"

#include <assert.h>

#include "base/hash.h"
#include "base/mem.h"

enum { MALLOC_OVERHEAD_BYTES = 16, TABLE_SHARE_BYTES = 48 /* a slot of the map at a load of two thirds */ };

void memory_ranked_init(struct ranked *r, const struct hash_key *secret)
{
    *r = (struct ranked){0};
    map_init(&r->by_member, LIMIT_COLLECTION_ITEMS, secret);
}

static size_t member_size(unsigned height, size_t size)
{
    return sizeof(struct member) + height * sizeof(struct ranked_link) + size;
}

/* The hash is keyed, so nobody can ask for high members. */
static unsigned height_of(uint64_t hash)
{
    uint64_t dice = hash_mix(hash ^ 0x9E3779B97F4A7C15u) | UINT64_C(1) << (2 * (RANKED_LEVELS - 1));
    return (unsigned)(1 + __builtin_ctzll(dice) / 2);
}

struct member *memory_member_new(struct slice bytes, double score, const struct hash_key *secret)
{
    unsigned height = height_of(hash_keyed(secret, bytes));
    struct member *m = mem_alloc(member_size(height, bytes.size));
    if (!m)
        return NULL;
    *m = (struct member){.score = score_kept(score), .size = (uint16_t)bytes.size, .height = (uint8_t)height};
    memcpy(&m->links[height], bytes.data, bytes.size);
    return m;
}

size_t memory_member_cost(const struct member *m)
{
    return member_size(m->height, m->size) + MALLOC_OVERHEAD_BYTES + TABLE_SHARE_BYTES;
}

size_t memory_ranked_free(struct ranked *r)
{
    size_t cost = 0;
    for (struct member *m = ranked_first(r), *next; m; m = next) {
        next = m->links[0].next;
        cost += memory_member_cost(m);
        mem_free(m);
    }
    map_fini(&r->by_member);
    return cost;
}

struct member *memory_ranked_find(const struct ranked *r, struct slice member)
{
    return map_get(&r->by_member, member);
}

/* --- walking down --------------------------------------------------------------------------------------------------------------- */

/* The last links of all levels before a place, and the ranks of their owners; the head has rank 0, the first member 1. */
struct path {
    struct ranked_link *links[RANKED_LEVELS];
    uint32_t ranks[RANKED_LEVELS];
};

static bool is_before(const struct member *m, double score, struct slice bytes)
{
    return place_cmp(m->score, member_slice(m), score, bytes) < 0;
}

static void find_path(const struct ranked *r, double score, struct slice bytes, struct path *path)
{
    const struct ranked_link *links = r->head;
    uint32_t rank = 0;
    for (int level = RANKED_LEVELS - 1; level >= 0; level--) {
        while (links[level].next && is_before(links[level].next, score, bytes)) {
            rank += links[level].span;
            links = links[level].next->links;
        }
        path->links[level] = (struct ranked_link *)&links[level];
        path->ranks[level] = rank;
    }
}

/* NULL: the head. */
static struct member *linked_from(const struct ranked *r, const struct ranked_link *lowest)
{
    return lowest == r->head ? NULL : (struct member *)((char *)lowest - offsetof(struct member, links));
}

struct member *memory_ranked_seek(const struct ranked *r, ranked_before_fn *before, const void *context)
{
    const struct ranked_link *links = r->head;
    for (int level = RANKED_LEVELS - 1; level >= 0; level--)
        while (links[level].next && before(context, links[level].next->score, member_slice(links[level].next)))
            links = links[level].next->links;
    return links[0].next;
}

uint32_t memory_ranked_rank(const struct ranked *r, const struct member *m)
{
    struct path path;
    find_path(r, m->score, member_slice(m), &path);
    assert(path.links[0]->next == m);
    return path.ranks[0];
}

struct member *memory_ranked_at(const struct ranked *r, uint32_t rank)
{
    const struct ranked_link *links = r->head;
    uint32_t left = rank + 1;
    assert(rank < ranked_count(r));
    for (int level = RANKED_LEVELS - 1; level >= 0; level--) {
        while (links[level].next && links[level].span <= left) {
            left -= links[level].span;
            links = links[level].next->links;
        }
    }
    return linked_from(r, links);
}

/* --- changing ------------------------------------------------------------------------------------------------------------------- */

static void link_member(struct ranked *r, struct member *m)
{
    struct path path;
    find_path(r, m->score, member_slice(m), &path);
    for (int level = 0; level < m->height; level++) {
        struct ranked_link *before = path.links[level];
        uint32_t passed = path.ranks[0] - path.ranks[level];
        m->links[level] = (struct ranked_link){.next = before->next, .span = before->span - passed};
        *before = (struct ranked_link){.next = m, .span = passed + 1};
    }
    for (int level = m->height; level < RANKED_LEVELS; level++)
        path.links[level]->span++;
    m->prev = linked_from(r, path.links[0]);
    *(m->links[0].next ? &m->links[0].next->prev : &r->last) = m;
}

static void unlink_member(struct ranked *r, struct member *m)
{
    struct path path;
    find_path(r, m->score, member_slice(m), &path);
    for (int level = 0; level < RANKED_LEVELS; level++) {
        struct ranked_link *before = path.links[level];
        if (level < m->height)
            *before =
                (struct ranked_link){.next = m->links[level].next, .span = before->span + m->links[level].span - 1};
        else
            before->span--;
    }
    *(m->links[0].next ? &m->links[0].next->prev : &r->last) = m->prev;
}

void memory_ranked_insert(struct ranked *r, struct member *m)
{
    link_member(r, m);
    enum err e = map_put(&r->by_member, member_slice(m), m, NULL);
    assert(!e);
    (void)e;
}

void memory_ranked_remove(struct ranked *r, struct member *m)
{
    unlink_member(r, m);
    map_remove(&r->by_member, member_slice(m));
}

void memory_ranked_rescore(struct ranked *r, struct member *m, double score)
{
    unlink_member(r, m);
    m->score = score_kept(score);
    link_member(r, m);
}
