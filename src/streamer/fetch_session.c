/* Invariants: sessions by id and in the list by last use are the same, but for ended ones, which are in neither; the partitions of
 * all that are not freed are counted in entries. */
#include "streamer/fetch_session.h"

#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "streamer/broker.h"
#include "streamer/shard.h"

enum { EPOCH_NONE = -1, EPOCH_FIRST = 0, KEY_BYTES = 4 + 256 };

struct fetch_sessions {
    struct shard *shard;
    struct hash_key secret;
    struct map by_id;
    struct fetch_session *oldest, *latest;
    uint32_t entries;
    uint32_t taken;
    bool ended;
};

enum err fetch_sessions_new(struct shard *shard, const struct hash_key *secret, struct fetch_sessions **ret_sessions)
{
    struct fetch_sessions *all = mem_zalloc(sizeof *all);
    if (!all)
        return ERR_NOMEM;
    all->shard = shard;
    all->secret = *secret;
    map_init(&all->by_id, LIMIT_FETCH_SESSIONS_MAX, secret);
    *ret_sessions = all;
    return OK;
}

uint32_t fetch_sessions_count(const struct fetch_sessions *all)
{
    return all->by_id.count;
}

static void free_sessions(struct fetch_sessions *all)
{
    map_fini(&all->by_id);
    mem_free(all);
}

/* --- partitions of a session ------------------------------------------------------------------------------------------------ */

static struct slice key_of(const struct fetch_wish *wish, uint8_t key[KEY_BYTES])
{
    size_t size = wish->topic.size ? wish->topic.size : sizeof wish->topic_id.bytes;
    if (size > KEY_BYTES - sizeof wish->partition)
        size = KEY_BYTES - sizeof wish->partition; /* no topic has such a name */
    memcpy(key, &wish->partition, sizeof wish->partition);
    memcpy(key + sizeof wish->partition, wish->topic.size ? wish->topic.data : wish->topic_id.bytes, size);
    return slice_of(key, sizeof wish->partition + size);
}

static void link_last(struct fetch_session *s, struct fetch_entry *e)
{
    e->previous = s->last;
    e->next = NULL;
    *(s->last ? &s->last->next : &s->first) = e;
    s->last = e;
}

static void unlink_entry(struct fetch_session *s, struct fetch_entry *e)
{
    *(e->previous ? &e->previous->next : &s->first) = e->next;
    *(e->next ? &e->next->previous : &s->last) = e->previous;
}

static void free_entry(struct fetch_session *s, struct fetch_entry *e)
{
    unlink_entry(s, e);
    s->all->entries--;
    mem_free(e);
}

static struct fetch_entry *add_entry(struct fetch_session *s, const struct fetch_wish *wish, struct slice key)
{
    if (s->all->entries >= LIMIT_FETCH_SESSION_PARTITIONS)
        return NULL;
    struct fetch_entry *e = mem_alloc(sizeof *e + key.size);
    if (!e)
        return NULL;
    *e = (struct fetch_entry){.wish = *wish, .told_end = -1, .told_start = -1, .key_size = (uint32_t)key.size};
    memcpy(e->key, key.data, key.size);
    if (wish->topic.size)
        e->wish.topic = slice_of(e->key + sizeof wish->partition, key.size - sizeof wish->partition);
    if (map_put(&s->by_key, slice_of(e->key, e->key_size), e, NULL)) {
        mem_free(e);
        return NULL;
    }
    link_last(s, e);
    s->all->entries++;
    return e;
}

bool fetch_session_want(struct fetch_session *s, const struct fetch_wish *wish)
{
    uint8_t memory[KEY_BYTES];
    struct slice key = key_of(wish, memory);
    struct fetch_entry *e = map_get(&s->by_key, key);
    if (!e)
        return add_entry(s, wish, key);
    e->wish.offset = wish->offset;
    e->wish.bytes_max = wish->bytes_max;
    e->wish.leader_epoch = wish->leader_epoch;
    return true;
}

void fetch_session_forget(struct fetch_session *s, const struct fetch_wish *wish)
{
    uint8_t memory[KEY_BYTES];
    struct fetch_entry *e = map_remove(&s->by_key, key_of(wish, memory));
    if (e)
        free_entry(s, e);
}

bool fetch_entry_tell(struct fetch_session *s, struct fetch_entry *e, enum kafka_error error, int64_t end,
                      int64_t start, bool has_records)
{
    bool tell = error || has_records || e->told_end != end || e->told_start != start;
    e->told_end = error ? -1 : end;
    e->told_start = error ? -1 : start;
    if (has_records && s->last != e) {
        unlink_entry(s, e);
        link_last(s, e);
    }
    return tell;
}

/* --- sessions --------------------------------------------------------------------------------------------------------------- */

static struct slice id_key(const int32_t *id)
{
    return slice_of(id, sizeof *id);
}

static void free_session(struct fetch_session *s)
{
    while (s->first)
        free_entry(s, s->first);
    map_fini(&s->by_key);
    mem_free(s);
}

static void unlink_session(struct fetch_sessions *all, struct fetch_session *s)
{
    *(s->previous ? &s->previous->next : &all->oldest) = s->next;
    *(s->next ? &s->next->previous : &all->latest) = s->previous;
}

static void link_latest(struct fetch_sessions *all, struct fetch_session *s)
{
    s->previous = all->latest;
    s->next = NULL;
    *(all->latest ? &all->latest->next : &all->oldest) = s;
    all->latest = s;
}

void fetch_session_end(struct fetch_session *s)
{
    if (s->ended)
        return;
    s->ended = true;
    map_remove(&s->all->by_id, id_key(&s->id));
    unlink_session(s->all, s);
    if (!s->taken)
        free_session(s);
}

void fetch_session_give_back(struct fetch_session *s)
{
    struct fetch_sessions *all = s->all;
    s->taken = false;
    all->taken--;
    if (s->ended)
        free_session(s);
    if (all->ended && !all->taken)
        free_sessions(all);
}

void fetch_sessions_free(struct fetch_sessions *all)
{
    if (!all)
        return;
    while (all->oldest)
        fetch_session_end(all->oldest);
    all->ended = true;
    if (!all->taken)
        free_sessions(all);
}

static struct fetch_session *take(struct fetch_session *s)
{
    struct fetch_sessions *all = s->all;
    s->taken = true;
    all->taken++;
    s->used_ns = loop_now_ns(all->shard->loop);
    if (all->latest != s) {
        unlink_session(all, s);
        link_latest(all, s);
    }
    return s;
}

static uint32_t sessions_max(const struct fetch_sessions *all)
{
    uint32_t max = all->shard->settings->fetch_sessions_max;
    return max < LIMIT_FETCH_SESSIONS_MAX ? max : LIMIT_FETCH_SESSIONS_MAX;
}

static bool idle(const struct fetch_session *s)
{
    uint64_t idle_ns = loop_now_ns(s->all->shard->loop) - s->used_ns;
    return !s->taken && idle_ns >= (uint64_t)LIMIT_FETCH_SESSION_IDLE_MS * 1000000;
}

static bool make_room(struct fetch_sessions *all)
{
    bool full = all->by_id.count >= sessions_max(all) || all->entries >= LIMIT_FETCH_SESSION_PARTITIONS;
    if (full && all->oldest && idle(all->oldest))
        fetch_session_end(all->oldest);
    return all->by_id.count < sessions_max(all) && all->entries < LIMIT_FETCH_SESSION_PARTITIONS;
}

/* Above 0, and hard to guess: an id is all that it takes to disturb another's session. */
static int32_t new_id(const struct fetch_sessions *all)
{
    const struct env *env = loop_env(all->shard->loop);
    int32_t id;
    do {
        env->random(env, &id, sizeof id);
        id &= INT32_MAX;
    } while (id == 0 || map_get(&all->by_id, id_key(&id)));
    return id;
}

/* NULL: no room, no memory. */
static struct fetch_session *begin(struct fetch_sessions *all, bool by_id)
{
    struct fetch_session *s = make_room(all) ? mem_zalloc(sizeof *s) : NULL;
    if (!s)
        return NULL;
    s->all = all;
    s->id = new_id(all);
    s->epoch = EPOCH_FIRST + 1;
    s->by_id = by_id;
    map_init(&s->by_key, LIMIT_FETCH_SESSION_PARTITIONS, &all->secret);
    if (map_put(&all->by_id, id_key(&s->id), s, NULL)) {
        mem_free(s);
        return NULL;
    }
    link_latest(all, s);
    return s;
}

static enum kafka_error go_on(struct fetch_session *s, int32_t epoch, bool by_id, struct fetch_session **ret_session)
{
    if (!s)
        return KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    if (s->epoch != epoch || s->taken)
        return KAFKA_INVALID_FETCH_SESSION_EPOCH;
    if (s->by_id != by_id)
        return KAFKA_FETCH_SESSION_TOPIC_ID_ERROR;
    s->epoch = s->epoch == INT32_MAX ? 1 : s->epoch + 1;
    *ret_session = take(s);
    return KAFKA_NONE;
}

enum kafka_error fetch_session_take(struct fetch_sessions *all, int32_t id, int32_t epoch, bool by_id,
                                    struct fetch_session **ret_session)
{
    struct fetch_session *s = id ? map_get(&all->by_id, id_key(&id)) : NULL;
    if (epoch != EPOCH_NONE && epoch != EPOCH_FIRST)
        return go_on(s, epoch, by_id, ret_session);
    if (s)
        fetch_session_end(s);
    s = epoch == EPOCH_FIRST ? begin(all, by_id) : NULL;
    *ret_session = s ? take(s) : NULL;
    return KAFKA_NONE;
}
