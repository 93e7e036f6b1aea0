/* A skip list over the entries of a shard, in bytewise order of keys. Level 0 has all of them and is linked both ways; the links
 * stand in the entries, so changing the index needs no memory and cannot fail.
 *
 * Invariant: where shard->indexed, every entry of the table is in the list. Source: Pugh, "Skip Lists", 1990. */
#include <assert.h>
#include <stddef.h>

#include "drivers/memory/store.h"

/* The links of one node (or of the head) follow each other in memory: the link one level down is the one before. */
static void find_path(struct shard *shard, const struct slice *key, struct entry **path[INDEX_LEVELS])
{
    struct entry **link = &shard->head[INDEX_LEVELS - 1];
    for (int level = INDEX_LEVELS - 1; level >= 0; level--) {
        while (*link && (!key || slice_cmp(entry_key(*link), *key) < 0))
            link = &(*link)->next[level];
        path[level] = link;
        if (level)
            link--;
    }
}

/* The entry that a link of level 0 belongs to; NULL: the head. */
static struct entry *owner(struct shard *shard, struct entry **link)
{
    return link == &shard->head[0] ? NULL : (struct entry *)((char *)link - offsetof(struct entry, next));
}

struct entry *memory_index_from(struct shard *shard, struct slice key)
{
    struct entry **path[INDEX_LEVELS];
    find_path(shard, &key, path);
    return *path[0];
}

struct entry *memory_index_before(struct shard *shard, const struct slice *key)
{
    struct entry **path[INDEX_LEVELS];
    find_path(shard, key, path);
    return owner(shard, path[0]);
}

void memory_index_insert(struct shard *shard, struct entry *e)
{
    struct entry **path[INDEX_LEVELS];
    struct slice key = entry_key(e);
    find_path(shard, &key, path);
    e->prev = owner(shard, path[0]);
    if (*path[0])
        (*path[0])->prev = e;
    for (int level = 0; level < e->height; level++) {
        e->next[level] = *path[level];
        *path[level] = e;
    }
}

static void unlink_lowest(struct shard *shard, struct entry *e)
{
    *(e->prev ? &e->prev->next[0] : &shard->head[0]) = e->next[0];
    if (e->next[0])
        e->next[0]->prev = e->prev;
}

void memory_index_remove(struct shard *shard, struct entry *e)
{
    if (e->height > 1) {
        struct entry **path[INDEX_LEVELS];
        struct slice key = entry_key(e);
        find_path(shard, &key, path);
        for (int level = 1; level < e->height; level++) {
            assert(*path[level] == e);
            *path[level] = e->next[level];
        }
    }
    unlink_lowest(shard, e);
}

/* --- building: a merge sort of a list, which needs no memory ------------------------------------------------------------------ */

static struct entry *merge(struct entry *a, struct entry *b)
{
    struct entry *first, **end = &first;
    while (a && b) {
        struct entry **smaller = slice_cmp(entry_key(a), entry_key(b)) < 0 ? &a : &b;
        *end = *smaller;
        end = &(*end)->next[0];
        *smaller = *end;
    }
    *end = a ? a : b;
    return first;
}

/* sorted[i] holds nothing or 2^i entries: a counter in which adding carries by merging. */
static struct entry *sort_all(const struct table *t)
{
    struct entry *sorted[32] = {NULL}, *all = NULL;
    for (uint32_t i = 0; i < t->capacity; i++) {
        struct entry *run = t->slots[i].entry;
        if (!run)
            continue;
        run->next[0] = NULL;
        int place = 0;
        for (; sorted[place]; place++) {
            run = merge(sorted[place], run);
            sorted[place] = NULL;
        }
        sorted[place] = run;
    }
    for (int place = 0; place < 32; place++)
        all = merge(sorted[place], all);
    return all;
}

void memory_index_build(struct shard *shard)
{
    struct entry **ends[INDEX_LEVELS], *prev = NULL;
    for (int level = 0; level < INDEX_LEVELS; level++)
        ends[level] = &shard->head[level];
    for (struct entry *e = sort_all(&shard->table), *next; e; e = next) {
        next = e->next[0];
        e->prev = prev;
        prev = e;
        for (int level = 0; level < e->height; level++) {
            *ends[level] = e;
            ends[level] = &e->next[level];
        }
    }
    for (int level = 0; level < INDEX_LEVELS; level++)
        *ends[level] = NULL;
    shard->indexed = true;
}
