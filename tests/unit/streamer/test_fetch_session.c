#include "../harness.h"
#include "base/limits.h"
#include "rt/sim/sim.h"
#include "streamer/broker.h"
#include "streamer/fetch_session.h"

struct world {
    struct sim *sim;
    struct broker_settings settings;
    struct shard shard;
    struct fetch_sessions *sessions;
};

static enum err world_init(struct world *w, uint32_t sessions_max)
{
    *w = (struct world){.settings.fetch_sessions_max = sessions_max};
    w->shard.settings = &w->settings;
    enum err e = sim_new(1, &w->sim);
    if (!e)
        e = loop_new(sim_env(w->sim), 0, &w->shard.loop);
    return e ? e : fetch_sessions_new(&w->shard, &(struct hash_key){1, 2}, &w->sessions);
}

static void world_fini(struct world *w)
{
    fetch_sessions_free(w->sessions);
    if (w->shard.loop)
        loop_free(w->shard.loop);
    sim_free(w->sim);
}

static void pass(struct world *w, uint64_t ms)
{
    sim_advance(w->sim, ms * 1000000);
    loop_turn(w->shard.loop, false);
}

static struct fetch_wish wish_of(const char *topic, int32_t partition, int64_t offset)
{
    return (struct fetch_wish){.topic = slice_str(topic), .partition = partition, .offset = offset, .bytes_max = 100};
}

/* A new session with the partitions 0 to count - 1; NULL: none was to be had. */
static struct fetch_session *begin(struct world *w, int32_t count)
{
    struct fetch_session *s = NULL;
    CHECK_EQ(fetch_session_take(w->sessions, 0, 0, false, &s), KAFKA_NONE);
    for (int32_t i = 0; s && i < count; i++) {
        struct fetch_wish wish = wish_of("orders", i, i * 10);
        CHECK(fetch_session_want(s, &wish));
    }
    return s;
}

static enum kafka_error take(struct world *w, int32_t id, int32_t epoch, struct fetch_session **ret_session)
{
    return fetch_session_take(w->sessions, id, epoch, false, ret_session);
}

TEST(fetch_session_goes_on_with_the_next_epoch_alone)
{
    struct world w;
    struct fetch_session *s, *again = NULL;
    CHECK_ERR(world_init(&w, 10), OK);
    s = begin(&w, 3);
    int32_t id = s->id;
    CHECK(id > 0);
    CHECK_EQ(take(&w, id, 1, &again), KAFKA_INVALID_FETCH_SESSION_EPOCH); /* it is being used */
    fetch_session_give_back(s);
    CHECK_EQ(take(&w, id, 2, &again), KAFKA_INVALID_FETCH_SESSION_EPOCH);
    CHECK_EQ(take(&w, id ^ 1, 1, &again), KAFKA_FETCH_SESSION_ID_NOT_FOUND);
    CHECK_EQ(fetch_session_take(w.sessions, id, 1, true, &again), KAFKA_FETCH_SESSION_TOPIC_ID_ERROR);
    CHECK_EQ(take(&w, id, 1, &again), KAFKA_NONE);
    CHECK(again == s);
    fetch_session_give_back(s);
    s->epoch = INT32_MAX;
    CHECK_EQ(take(&w, id, INT32_MAX, &again), KAFKA_NONE);
    CHECK_EQ(s->epoch, 1);
    fetch_session_give_back(s);
    CHECK_EQ(take(&w, id, -1, &again), KAFKA_NONE); /* it ends */
    CHECK(!again);
    CHECK_EQ(take(&w, id, 1, &again), KAFKA_FETCH_SESSION_ID_NOT_FOUND);
    CHECK_EQ(fetch_sessions_count(w.sessions), 0);
    world_fini(&w);
}

TEST(fetch_session_tells_what_is_new)
{
    struct world w;
    CHECK_ERR(world_init(&w, 10), OK);
    struct fetch_session *s = begin(&w, 3);
    struct fetch_entry *first = s->first;
    CHECK_EQ(first->wish.offset, 0);
    CHECK(fetch_entry_tell(s, first, KAFKA_NONE, 5, 0, false)); /* the first time */
    CHECK(!fetch_entry_tell(s, first, KAFKA_NONE, 5, 0, false));
    CHECK(fetch_entry_tell(s, first, KAFKA_NONE, 6, 0, false)); /* the end has moved */
    CHECK(fetch_entry_tell(s, first, KAFKA_NONE, 6, 1, false)); /* the start */
    CHECK(fetch_entry_tell(s, first, KAFKA_OFFSET_OUT_OF_RANGE, 6, 1, false));
    CHECK(fetch_entry_tell(s, first, KAFKA_OFFSET_OUT_OF_RANGE, 6, 1, false)); /* errors each time */
    CHECK(fetch_entry_tell(s, first, KAFKA_NONE, 6, 1, false));                /* and their end */
    CHECK(s->first == first);
    CHECK(fetch_entry_tell(s, first, KAFKA_NONE, 6, 1, true)); /* records: to the end of the order */
    CHECK(s->last == first && s->first->wish.partition == 1);
    fetch_session_give_back(s);
    world_fini(&w);
}

TEST(fetch_session_changes_and_forgets)
{
    struct world w;
    CHECK_ERR(world_init(&w, 10), OK);
    struct fetch_session *s = begin(&w, 3);
    struct fetch_wish one = wish_of("orders", 1, 77), other = wish_of("other", 1, 5);
    struct fetch_wish by_id = {.topic_id.bytes = {1, 2, 3}, .partition = 1};
    CHECK(fetch_session_want(s, &one) && fetch_session_want(s, &other) && fetch_session_want(s, &by_id));
    CHECK_EQ(s->by_key.count, 5);
    CHECK_EQ(s->first->next->wish.offset, 77);
    CHECK_SLICE(s->last->previous->wish.topic, SLICE("other"));
    fetch_session_forget(s, &one);
    fetch_session_forget(s, &one);
    fetch_session_forget(s, &by_id);
    CHECK_EQ(s->by_key.count, 3);
    CHECK(s->first->next->wish.partition == 2 && s->last->wish.offset == 5);
    fetch_session_give_back(s);
    world_fini(&w);
}

TEST(fetch_sessions_are_bounded_and_the_idle_go_first)
{
    struct world w;
    CHECK_ERR(world_init(&w, 2), OK);
    struct fetch_session *old = begin(&w, 1), *used = begin(&w, 1), *again;
    int32_t old_id = old->id;
    fetch_session_give_back(old);
    CHECK(!begin(&w, 1));
    pass(&w, LIMIT_FETCH_SESSION_IDLE_MS);
    fetch_session_give_back(used);
    struct fetch_session *next = begin(&w, 1);
    CHECK(next);
    CHECK_EQ(take(&w, old_id, 1, &again), KAFKA_FETCH_SESSION_ID_NOT_FOUND);
    CHECK_EQ(take(&w, used->id, 1, &again), KAFKA_NONE);
    CHECK(!begin(&w, 1)); /* those that are being used stay, however long ago they began */
    fetch_session_give_back(used);
    fetch_session_give_back(next);
    world_fini(&w);
}

TEST(fetch_session_that_ends_while_it_is_used_goes_afterwards)
{
    struct world w;
    struct fetch_session *none;
    CHECK_ERR(world_init(&w, 2), OK);
    struct fetch_session *s = begin(&w, 3);
    CHECK_EQ(take(&w, s->id, -1, &none), KAFKA_NONE);
    CHECK(s->ended && s->first);
    fetch_sessions_free(w.sessions);
    fetch_session_give_back(s); /* and all others with it: a leak would be seen */
    w.sessions = NULL;
    world_fini(&w);
}

SCENARIO(fetch_sessions_without_memory)
{
    struct world w;
    struct fetch_session *s = NULL;
    enum err e = world_init(&w, 10);
    if (!e)
        CHECK_EQ(fetch_session_take(w.sessions, 0, 0, false, &s), KAFKA_NONE); /* without memory there is none */
    for (int32_t i = 0; s && i < 40 && !e; i++) {
        struct fetch_wish wish = wish_of("orders", i, 0);
        e = fetch_session_want(s, &wish) ? OK : ERR_NOMEM;
    }
    if (s)
        fetch_session_give_back(s);
    world_fini(&w);
    return e;
}
