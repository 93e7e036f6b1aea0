/* Topics and their immutable sets. A set with changes is made by walking the old one and the changes side by side. */
#include "streamer/topics.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"

/* --- one topic -------------------------------------------------------------------------------------------------------------- */

struct topic *topic_new(const struct kafka_uuid *id, struct slice name, uint32_t partitions,
                        const struct topic_config *config)
{
    struct topic *t = mem_zalloc(sizeof *t + name.size + 1);
    if (!t)
        return NULL;
    memcpy(t + 1, name.data, name.size);
    atomic_init(&t->refs, 1);
    t->id = *id;
    t->name = slice_of(t + 1, name.size);
    t->partitions = partitions;
    t->internal = slice_starts_with(name, SLICE("__"));
    t->config = *config;
    return t;
}

const struct topic *topic_ref(const struct topic *t)
{
    atomic_fetch_add_explicit(&((struct topic *)(uintptr_t)t)->refs, 1, memory_order_relaxed);
    return t;
}

void topic_unref(const struct topic *t)
{
    struct topic *own = (struct topic *)(uintptr_t)t;
    if (own && atomic_fetch_sub_explicit(&own->refs, 1, memory_order_acq_rel) == 1)
        mem_free(own);
}

bool topic_name_valid(struct slice name)
{
    if (!name.size || name.size > LIMIT_STREAM_TOPIC_NAME_BYTES || slice_eq(name, SLICE(".")) ||
        slice_eq(name, SLICE("..")))
        return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
              c == '-'))
            return false;
    }
    return true;
}

/* --- a set ------------------------------------------------------------------------------------------------------------------ */

const struct topic *topics_find(const struct topics *t, struct slice name)
{
    return map_get(&t->by_name, name);
}

const struct topic *topics_find_id(const struct topics *t, const struct kafka_uuid *id)
{
    return map_get(&t->by_id, slice_of(id->bytes, sizeof id->bytes));
}

const struct topics *topics_ref(const struct topics *t)
{
    atomic_fetch_add_explicit(&((struct topics *)(uintptr_t)t)->refs, 1, memory_order_relaxed);
    return t;
}

void topics_unref(const struct topics *t)
{
    struct topics *own = (struct topics *)(uintptr_t)t;
    if (!own || atomic_fetch_sub_explicit(&own->refs, 1, memory_order_acq_rel) != 1)
        return;
    void *topic;
    for (uint32_t at = 0; map_next(&own->by_id, &at, NULL, &topic);)
        topic_unref(topic);
    map_fini(&own->by_name);
    map_fini(&own->by_id);
    mem_free(own->sorted);
    mem_free(own);
}

/* Empty, with room for as many. */
static struct topics *with_room(const struct hash_key *key, uint32_t count)
{
    struct topics *t = mem_zalloc(sizeof *t);
    if (!t)
        return NULL;
    atomic_init(&t->refs, 1);
    map_init(&t->by_name, LIMIT_STREAM_TOPICS, key);
    map_init(&t->by_id, LIMIT_STREAM_TOPICS, key);
    t->sorted = mem_alloc((count ? count : 1) * sizeof *t->sorted);
    if (t->sorted && !map_reserve(&t->by_name, count) && !map_reserve(&t->by_id, count))
        return t;
    topics_unref(t);
    return NULL;
}

enum err topics_new(const struct hash_key *key, struct topics **ret_topics)
{
    struct topics *t = with_room(key, 0);
    if (!t)
        return ERR_NOMEM;
    *ret_topics = t;
    return OK;
}

/* There is room. */
static enum err put(struct topics *to, const struct topic *t)
{
    enum err e = map_put(&to->by_name, t->name, (void *)(uintptr_t)t, NULL);
    return e ? e : map_put(&to->by_id, slice_of(t->id.bytes, sizeof t->id.bytes), (void *)(uintptr_t)t, NULL);
}

static enum err add(struct topics *to, const struct topic *t)
{
    enum err e = put(to, t);
    to->sorted[to->count++] = topic_ref(t);
    to->partitions += t->partitions;
    return e;
}

static const struct topic *name_of_change(const struct topic_change *c)
{
    return c->was ? c->was : c->now;
}

static int by_name(const void *a, const void *b)
{
    return slice_cmp(name_of_change(a)->name, name_of_change(b)->name);
}

static enum err merge(const struct topics *from, const struct topic_change *changes, uint32_t count, struct topics *to)
{
    enum err e = OK;
    uint32_t i = 0;
    for (uint32_t c = 0; c < count && !e; c++) {
        struct slice name = name_of_change(&changes[c])->name;
        while (i < from->count && slice_cmp(from->sorted[i]->name, name) < 0 && !e)
            e = add(to, from->sorted[i++]);
        if (i < from->count && from->sorted[i] == changes[c].was)
            i++;
        if (changes[c].now && !e)
            e = add(to, changes[c].now);
    }
    while (i < from->count && !e)
        e = add(to, from->sorted[i++]);
    return e;
}

enum err topics_changed(const struct topics *from, const struct hash_key *key, const struct topic_change *changes,
                        uint32_t count, struct topics **ret_topics)
{
    struct topics *to = with_room(key, from->count + count);
    struct topic_change *sorted = mem_alloc((count ? count : 1) * sizeof *sorted);
    enum err e = to && sorted ? OK : ERR_NOMEM;
    if (!e) {
        memcpy(sorted, changes, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, by_name);
        to->version = from->version + 1;
        e = merge(from, sorted, count, to);
    }
    mem_free(sorted);
    if (e)
        topics_unref(to);
    else
        *ret_topics = to;
    return e;
}

/* --- while the ledger is read: the maps alone are kept, and own the references ----------------------------------------------- */

static void take_out(struct topics *t, const struct topic *was)
{
    map_remove(&t->by_name, was->name);
    map_remove(&t->by_id, slice_of(was->id.bytes, sizeof was->id.bytes));
    topic_unref(was);
}

enum err topics_replay(struct topics *t, const struct topic_change *change)
{
    if (change->was)
        take_out(t, change->was);
    if (!change->now)
        return OK;
    if (map_get(&t->by_name, change->now->name))
        return ERR_CORRUPT;
    enum err e = map_reserve(&t->by_name, 1);
    if (!e)
        e = map_reserve(&t->by_id, 1);
    if (!e)
        e = put(t, change->now);
    if (!e)
        topic_ref(change->now);
    return e;
}

static int by_topic_name(const void *a, const void *b)
{
    return slice_cmp((*(const struct topic *const *)a)->name, (*(const struct topic *const *)b)->name);
}

enum err topics_replayed(struct topics *t)
{
    const struct topic **sorted = mem_alloc((t->by_id.count + 1) * sizeof *sorted);
    if (!sorted)
        return ERR_NOMEM;
    void *value;
    for (uint32_t at = 0; map_next(&t->by_id, &at, NULL, &value);) {
        sorted[t->count++] = value;
        t->partitions += ((const struct topic *)value)->partitions;
    }
    qsort(sorted, t->count, sizeof *sorted, by_topic_name);
    mem_free(t->sorted);
    t->sorted = sorted;
    return OK;
}
