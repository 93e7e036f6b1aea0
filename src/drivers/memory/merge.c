#include "drivers/memory/merge.h"

enum {
    BATCH_MIN = 4, /* doubled with each batch: a short scan touches little */
    BATCH_MAX = 64,
    BATCH_BYTES = 64 << 10, /* pinned by the references of one shard, but for one item */
    VISITED_MAX = 256,      /* entries looked at under one lock */
};

void memory_merge_init(struct merge *m, struct store *store, const struct kv_range *range, bool reverse,
                       struct arena *arena)
{
    *m = (struct merge){.store = store, .range = range, .reverse = reverse, .arena = arena};
}

/* --- fetching a batch -------------------------------------------------------------------------------------------------------- */

static void unref_item(struct merge_item *item)
{
    memory_version_unref(item->version);
    memory_entry_unref(item->entry);
}

static enum err widen(struct merge *m, struct source *s)
{
    uint16_t room = s->room ? (uint16_t)(s->room * 2) : BATCH_MIN;
    if (room > BATCH_MAX)
        return OK;
    struct merge_item *items = arena_alloc(m->arena, room * sizeof *items);
    if (!items)
        return ERR_NOMEM;
    s->items = items;
    s->room = room;
    return OK;
}

/* The entry behind the last one that was visited may be gone: the place is found by its key. Locked. */
static struct entry *position(const struct merge *m, struct shard *shard, const struct source *s)
{
    const struct kv_range *r = m->range;
    if (m->reverse) {
        struct slice last = s->last ? entry_key(s->last) : r->end;
        return memory_index_before(shard, s->last || r->has_end ? &last : NULL);
    }
    struct entry *e = memory_index_from(shard, s->last ? entry_key(s->last) : r->start);
    return e && s->last && slice_eq(entry_key(e), entry_key(s->last)) ? e->next[0] : e;
}

static bool is_past(const struct merge *m, struct slice key)
{
    return m->reverse ? slice_cmp(key, m->range->start) < 0 : m->range->has_end && slice_cmp(key, m->range->end) >= 0;
}

static void visit(struct source *s, struct entry *e, int64_t now_ms, size_t *bytes)
{
    struct version *v = memory_visible(e, SNAPSHOT_NOW);
    if (!v || version_is_expired(v, now_ms))
        return;
    s->items[s->count++] = (struct merge_item){memory_entry_ref(e), memory_version_ref(v)};
    *bytes += (size_t)v->value_size + v->tags_size;
}

/* Locked. */
static struct entry *collect(const struct merge *m, struct shard *shard, struct source *s, int64_t now_ms)
{
    struct entry *visited = NULL;
    size_t bytes = 0;
    unsigned left = VISITED_MAX;
    struct entry *e = position(m, shard, s);
    for (; e && left && s->count < s->room && bytes < BATCH_BYTES; left--) {
        if (is_past(m, entry_key(e)))
            break;
        visit(s, e, now_ms, &bytes);
        visited = e;
        e = m->reverse ? e->prev : e->next[0];
    }
    s->ended = !e || is_past(m, entry_key(e));
    return visited ? memory_entry_ref(visited) : NULL;
}

static void fetch_once(struct merge *m, unsigned number, int64_t now_ms)
{
    struct shard *shard = &m->store->shards[number];
    struct source *s = &m->sources[number];
    memory_lock(shard);
    if (!shard->indexed)
        memory_index_build(shard);
    struct entry *visited = collect(m, shard, s, now_ms);
    memory_unlock(shard);
    if (visited) {
        memory_entry_unref(s->last);
        s->last = visited;
    }
}

static enum err fetch(struct merge *m, unsigned number)
{
    struct source *s = &m->sources[number];
    enum err e = widen(m, s);
    if (e)
        return e;
    s->count = s->at = 0;
    int64_t now_ms = store_now_ms(m->store);
    while (!s->count && !s->ended)
        fetch_once(m, number, now_ms);
    return OK;
}

/* --- a heap of shards by their next keys ------------------------------------------------------------------------------------- */

static struct merge_item *next_of(struct merge *m, unsigned number)
{
    struct source *s = &m->sources[number];
    return &s->items[s->at];
}

static bool comes_before(struct merge *m, unsigned a, unsigned b)
{
    int order = slice_cmp(entry_key(next_of(m, a)->entry), entry_key(next_of(m, b)->entry));
    return m->reverse ? order > 0 : order < 0;
}

static void sift_down(struct merge *m, unsigned at)
{
    uint8_t moving = m->heap[at];
    for (unsigned child; (child = 2 * at + 1) < m->heap_count; at = child) {
        if (child + 1 < m->heap_count && comes_before(m, m->heap[child + 1], m->heap[child]))
            child++;
        if (!comes_before(m, m->heap[child], moving))
            break;
        m->heap[at] = m->heap[child];
    }
    m->heap[at] = moving;
}

static enum err start(struct merge *m)
{
    m->heap_count = 0;
    for (unsigned i = 0; i < SHARDS; i++) {
        enum err e = fetch(m, i);
        if (e)
            return e;
        if (m->sources[i].count)
            m->heap[m->heap_count++] = (uint8_t)i;
    }
    for (unsigned i = m->heap_count / 2; i-- > 0;)
        sift_down(m, i);
    m->started = true;
    return OK;
}

enum err memory_merge_peek(struct merge *m, const struct merge_item **ret_item)
{
    enum err e = m->started ? OK : start(m);
    if (e)
        return e;
    *ret_item = m->heap_count ? next_of(m, m->heap[0]) : NULL;
    return OK;
}

enum err memory_merge_pop(struct merge *m)
{
    unsigned number = m->heap[0];
    struct source *s = &m->sources[number];
    unref_item(&s->items[s->at++]);
    if (s->at == s->count && !s->ended) {
        enum err e = fetch(m, number);
        if (e)
            return e;
    }
    if (s->at == s->count)
        m->heap[0] = m->heap[--m->heap_count];
    if (m->heap_count)
        sift_down(m, 0);
    return OK;
}

void memory_merge_drop(struct merge *m)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        struct source *s = &m->sources[i];
        while (s->at < s->count)
            unref_item(&s->items[s->at++]);
        memory_entry_unref(s->last);
        *s = (struct source){.items = s->items, .room = s->room};
    }
    m->heap_count = 0;
    m->started = false;
}
