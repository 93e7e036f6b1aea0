#include "../harness.h"
#include "base/map.h"

#include <stdio.h>

enum { KEYS = 500 };
static const struct hash_key secret = {1, 2};

/* Keys live in their values, as they do in the program. */
struct item {
    char name[16];
    bool present;
};

static void make_items(struct item *items)
{
    for (int i = 0; i < KEYS; i++) {
        items[i].present = false;
        snprintf(items[i].name, sizeof items[i].name, "key-%d", i);
    }
}

static void check_all(const struct map *m, const struct item *items)
{
    uint32_t present = 0, seen = 0;
    for (int i = 0; i < KEYS; i++) {
        CHECK(map_get(m, slice_str(items[i].name)) == (items[i].present ? &items[i] : NULL));
        present += items[i].present;
    }
    CHECK_EQ(m->count, present);
    struct slice key;
    void *value;
    for (uint32_t at = 0; map_next(m, &at, &key, &value); seen++)
        CHECK_SLICE(key, slice_str(((struct item *)value)->name));
    CHECK_EQ(seen, present);
}

/* Random puts and removals against an array. */
TEST(map_agrees_with_a_model)
{
    struct item items[KEYS];
    struct map m;
    make_items(items);
    map_init(&m, KEYS, &secret);
    for (uint64_t step = 0; step < 20000; step++) {
        struct item *item = &items[hash_mix(step) % KEYS];
        struct slice key = slice_str(item->name);
        if (hash_mix(step + (UINT64_C(1) << 40)) % 2) {
            void *old;
            CHECK_ERR(map_put(&m, key, item, &old), OK);
            CHECK(old == (item->present ? item : NULL));
            item->present = true;
        } else {
            CHECK(map_remove(&m, key) == (item->present ? item : NULL));
            item->present = false;
        }
        if (step % 500 == 0)
            check_all(&m, items);
    }
    check_all(&m, items);
    map_fini(&m);
}

TEST(map_refuses_more_than_its_maximum_but_still_replaces)
{
    struct map m;
    int a, b, c;
    map_init(&m, 2, &secret);
    CHECK_ERR(map_put(&m, SLICE("a"), &a, NULL), OK);
    CHECK_ERR(map_put(&m, SLICE(""), &b, NULL), OK);
    CHECK_ERR(map_put(&m, SLICE("c"), &c, NULL), ERR_RESOURCE_EXHAUSTED);
    CHECK_ERR(map_put(&m, SLICE("a"), &c, NULL), OK);
    CHECK(map_get(&m, SLICE("a")) == &c && map_get(&m, SLICE("")) == &b && !map_get(&m, SLICE("c")));
    map_fini(&m);
}

SCENARIO(map_survives_without_memory)
{
    struct item items[KEYS];
    struct map m;
    enum err e = OK;
    make_items(items);
    map_init(&m, KEYS, &secret);
    for (int i = 0; i < KEYS && !e; i++) {
        e = map_put(&m, slice_str(items[i].name), &items[i], NULL);
        items[i].present = !e;
    }
    check_all(&m, items);
    map_fini(&m);
    return e;
}
