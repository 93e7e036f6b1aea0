/* A ranked set against a sorted array: the same random insertions, new scores and removals; ranks both ways; seeking. */
#include <stdio.h>
#include <stdlib.h>

#include "../../harness.h"
#include "base/hash.h"
#include "base/mem.h"
#include "drivers/memory/ranked.h"

enum { NAMES = 700, ROUNDS = 30000, SCORES = 40 };
static const struct hash_key secret = {3, 4};

struct item {
    char name[8];
    double score;
    bool there;
};

struct model {
    struct ranked ranked;
    struct item items[NAMES];
    struct item *sorted[NAMES];
    unsigned count;
    uint64_t random;
};

static uint64_t roll(struct model *m, uint64_t sides)
{
    return hash_mix(m->random++) % sides;
}

static void add(struct model *m, struct item *i, double score)
{
    struct member *fresh = memory_member_new(slice_str(i->name), score, &secret);
    CHECK(fresh);
    CHECK_ERR(map_reserve(&m->ranked.by_member, 1), OK);
    memory_ranked_insert(&m->ranked, fresh);
    i->there = true;
    i->score = score;
}

static void change(struct model *m)
{
    struct item *i = &m->items[roll(m, NAMES)];
    double score = (double)roll(m, SCORES) - SCORES / 2;
    struct member *found = memory_ranked_find(&m->ranked, slice_str(i->name));
    CHECK(!found == !i->there);
    if (!found) {
        add(m, i, score);
    } else if (roll(m, 2)) {
        memory_ranked_rescore(&m->ranked, found, score);
        i->score = score;
    } else {
        memory_ranked_remove(&m->ranked, found);
        mem_free(found);
        i->there = false;
    }
}

static int by_place(const void *a, const void *b)
{
    const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
    return place_cmp(x->score, slice_str(x->name), y->score, slice_str(y->name));
}

static void sort(struct model *m)
{
    m->count = 0;
    for (unsigned i = 0; i < NAMES; i++)
        if (m->items[i].there)
            m->sorted[m->count++] = &m->items[i];
    qsort(m->sorted, m->count, sizeof *m->sorted, by_place);
}

static bool is_below(const void *context, double score, struct slice member)
{
    const struct item *than = context;
    return place_cmp(score, member, than->score, slice_str(than->name)) < 0;
}

static void check_seek(struct model *m)
{
    struct item than = {.name = "m350", .score = (double)roll(m, SCORES) - SCORES / 2};
    unsigned first = 0;
    while (first < m->count &&
           place_cmp(m->sorted[first]->score, slice_str(m->sorted[first]->name), than.score, slice_str(than.name)) < 0)
        first++;
    struct member *found = memory_ranked_seek(&m->ranked, is_below, &than);
    CHECK(!found == (first == m->count));
    if (found)
        CHECK_SLICE(member_slice(found), slice_str(m->sorted[first]->name));
}

static void check_all(struct model *m)
{
    sort(m);
    CHECK_EQ(ranked_count(&m->ranked), m->count);
    struct member *prev = NULL, *at = ranked_first(&m->ranked);
    for (unsigned rank = 0; rank < m->count; rank++, prev = at, at = at->links[0].next) {
        CHECK_SLICE(member_slice(at), slice_str(m->sorted[rank]->name));
        CHECK(at->score == m->sorted[rank]->score);
        CHECK(at->prev == prev);
        CHECK_EQ(memory_ranked_rank(&m->ranked, at), rank);
        CHECK(memory_ranked_at(&m->ranked, rank) == at);
    }
    CHECK(!at && m->ranked.last == prev);
    check_seek(m);
}

TEST(a_ranked_set_agrees_with_a_sorted_array)
{
    static struct model m;
    memory_ranked_init(&m.ranked, &secret);
    for (unsigned i = 0; i < NAMES; i++)
        snprintf(m.items[i].name, sizeof m.items[i].name, "m%u", i);
    for (unsigned round = 0; round < ROUNDS; round++) {
        change(&m);
        if (round % 300 == 0)
            check_all(&m);
    }
    check_all(&m);
    memory_ranked_free(&m.ranked);
    CHECK_EQ(mem_live(), 0);
}
