/* The coordinator in a broker in the twin: what clients ask at every version, several shards, connections that end, restarts,
 * topics that go, offsets that expire. */
#include "base/fault.h"
#include "world.h"

static enum err create_topic(struct streamer_world *w, const char *name, int32_t partitions)
{
    struct kafka_create_topics_request_topic topic = {.name = slice_str(name),
                                                      .num_partitions = partitions,
                                                      .replication_factor = 1,
                                                      .assignments = {KAFKA_EMPTY, 0},
                                                      .configs = {KAFKA_EMPTY, 0}};
    struct kafka_create_topics_request in = kafka_create_topics_request_default;
    struct kafka_create_topics_response out;
    in.topics.items = &topic;
    in.topics.count = 1;
    return world_ask(w, KAFKA_API_CREATE_TOPICS, 7, &in, &out);
}

static enum err delete_topic(struct streamer_world *w, const char *name)
{
    struct slice names[] = {slice_str(name)};
    struct kafka_delete_topics_request in = kafka_delete_topics_request_default;
    struct kafka_delete_topics_response out;
    in.topic_names = (struct kafka_strings){names, 1};
    return world_ask(w, KAFKA_API_DELETE_TOPICS, 5, &in, &out);
}

struct self {
    char id[128];
    int32_t generation;
    int16_t error;
};

static void begin_join(struct kafka_join_group_request *in, struct kafka_join_group_request_protocol *protocol,
                       struct slice group, const struct self *me)
{
    *in = kafka_join_group_request_default;
    *protocol = (struct kafka_join_group_request_protocol){SLICE("range"), SLICE("topics")};
    in->group_id = group;
    in->session_timeout_ms = 10000;
    in->rebalance_timeout_ms = 30000;
    in->member_id = slice_str(me->id);
    in->protocol_type = SLICE("consumer");
    in->protocols.items = protocol;
    in->protocols.count = 1;
}

/* Comes back with its id where it is asked to. */
static enum err join(struct streamer_world *w, int16_t version, struct slice group, struct self *me)
{
    struct kafka_join_group_request in;
    struct kafka_join_group_request_protocol protocol;
    struct kafka_join_group_response out;
    begin_join(&in, &protocol, group, me);
    enum err e = world_ask(w, KAFKA_API_JOIN_GROUP, version, &in, &out);
    if (e)
        return e;
    snprintf(me->id, sizeof me->id, "%.*s", SLICE_ARG(out.member_id));
    me->error = out.error_code;
    me->generation = out.generation_id;
    return me->error == KAFKA_MEMBER_ID_REQUIRED ? join(w, version, group, me) : OK;
}

static enum err sync(struct streamer_world *w, int16_t version, struct slice group, struct self *me, char assigned[64])
{
    struct kafka_sync_group_request_assignment all = {slice_str(me->id), SLICE("everything")};
    struct kafka_sync_group_request in = kafka_sync_group_request_default;
    struct kafka_sync_group_response out;
    in.group_id = group;
    in.generation_id = me->generation;
    in.member_id = slice_str(me->id);
    in.protocol_type = SLICE("consumer");
    in.protocol_name = SLICE("range");
    in.assignments.items = &all;
    in.assignments.count = 1;
    enum err e = world_ask(w, KAFKA_API_SYNC_GROUP, version, &in, &out);
    if (e)
        return e;
    me->error = out.error_code;
    snprintf(assigned, 64, "%.*s", SLICE_ARG(out.assignment));
    return OK;
}

static enum err beat(struct streamer_world *w, int16_t version, struct slice group, struct self *me)
{
    struct kafka_heartbeat_request in = kafka_heartbeat_request_default;
    struct kafka_heartbeat_response out;
    in.group_id = group;
    in.generation_id = me->generation;
    in.member_id = slice_str(me->id);
    enum err e = world_ask(w, KAFKA_API_HEARTBEAT, version, &in, &out);
    me->error = e ? me->error : out.error_code;
    return e;
}

static enum err leave(struct streamer_world *w, int16_t version, struct slice group, struct self *me)
{
    struct kafka_leave_group_request_member member = {.member_id = slice_str(me->id)};
    struct kafka_leave_group_request in = kafka_leave_group_request_default;
    struct kafka_leave_group_response out;
    in.group_id = group;
    in.member_id = slice_str(me->id);
    in.members.items = &member;
    in.members.count = 1;
    enum err e = world_ask(w, KAFKA_API_LEAVE_GROUP, version, &in, &out);
    if (e)
        return e;
    me->error = out.error_code ? out.error_code : version >= 3 ? out.members.items[0].error_code : 0;
    return OK;
}

/* me NULL: a consumer that assigns itself. */
static enum err commit(struct streamer_world *w, int16_t version, struct slice group, const struct self *me,
                       const char *topic, int64_t offset, int16_t *ret_error)
{
    struct kafka_offset_commit_request_partition p = kafka_offset_commit_request_partition_default;
    struct kafka_offset_commit_request_topic t = {.name = slice_str(topic), .partitions = {&p, 1}};
    struct kafka_offset_commit_request in = kafka_offset_commit_request_default;
    struct kafka_offset_commit_response out;
    p.partition_index = 1;
    p.committed_offset = offset;
    p.committed_metadata = SLICE("note");
    in.group_id = group;
    in.generation_id_or_member_epoch = me ? me->generation : -1;
    in.member_id = me ? slice_str(me->id) : SLICE("");
    in.topics.items = &t;
    in.topics.count = 1;
    enum err e = world_ask(w, KAFKA_API_OFFSET_COMMIT, version, &in, &out);
    if (!e)
        *ret_error = out.topics.items[0].partitions.items[0].error_code;
    return e;
}

/* topic NULL: all that the group has; then -1 where it has none. */
static enum err fetch(struct streamer_world *w, int16_t version, struct slice group, const char *topic,
                      int64_t *ret_offset)
{
    int32_t index = 1;
    struct kafka_offset_fetch_request_topic t = {.name = slice_str(topic), .partition_indexes = {&index, 1}};
    struct kafka_offset_fetch_request_group_topic gt = {.name = slice_str(topic), .partition_indexes = {&index, 1}};
    struct kafka_offset_fetch_request_group g = kafka_offset_fetch_request_group_default;
    struct kafka_offset_fetch_request in = kafka_offset_fetch_request_default;
    struct kafka_offset_fetch_response out;
    in.group_id = g.group_id = group;
    in.topics.items = topic ? &t : NULL;
    in.topics.count = g.topics.count = topic ? 1 : 0;
    g.topics.items = topic ? &gt : NULL;
    in.groups.items = &g;
    in.groups.count = 1;
    enum err e = world_ask(w, KAFKA_API_OFFSET_FETCH, version, &in, &out);
    if (e)
        return e;
    *ret_offset = -1;
    if (version < 8 && out.topics.count)
        *ret_offset = out.topics.items[0].partitions.items[0].committed_offset;
    if (version >= 8 && out.groups.items[0].topics.count)
        *ret_offset = out.groups.items[0].topics.items[0].partitions.items[0].committed_offset;
    return OK;
}

static int16_t last_of(int16_t key)
{
    return kafka_api_find(key)->version_max;
}

static int16_t at_most(int16_t key, int16_t version)
{
    return version < last_of(key) ? version : last_of(key);
}

static void begin(struct streamer_world *w, uint32_t workers)
{
    *w = (struct streamer_world){.workers = workers};
    CHECK_ERR(world_begin(w), OK);
    CHECK_ERR(world_connect(w), OK);
    CHECK_ERR(create_topic(w, "log", 3), OK);
}

/* ---- a life ------------------------------------------------------------------------------------------------------------ */

static enum err live(struct streamer_world *w, int16_t v, struct slice group)
{
    struct self me = {0};
    char assigned[64] = "";
    int16_t error = -1;
    int64_t offset = -2;
    enum err e = join(w, at_most(KAFKA_API_JOIN_GROUP, v), group, &me);
    if (!e && !me.error)
        e = sync(w, at_most(KAFKA_API_SYNC_GROUP, v), group, &me, assigned);
    if (!e && !me.error)
        e = beat(w, at_most(KAFKA_API_HEARTBEAT, v), group, &me);
    int16_t commits = at_most(KAFKA_API_OFFSET_COMMIT, v);
    if (!e && !me.error)
        e = commit(w, commits ? commits : 1, group, &me, "log", 40 + v, &error);
    int16_t fetches = at_most(KAFKA_API_OFFSET_FETCH, v);
    if (!e && !me.error && !error)
        e = fetch(w, fetches ? fetches : 1, group, "log", &offset);
    if (!e && !me.error)
        e = leave(w, at_most(KAFKA_API_LEAVE_GROUP, v), group, &me);
    if (e || ((me.error || error) && mem_failed()))
        return e && !mem_failed() ? e : ERR_NOMEM;
    CHECK_EQ(me.error, KAFKA_NONE);
    CHECK_EQ(error, KAFKA_NONE);
    CHECK_STR(assigned, "everything");
    CHECK_EQ(offset, 40 + v);
    return OK;
}

TEST(a_group_lives_at_every_version)
{
    struct streamer_world w;
    begin(&w, 1);
    for (int16_t v = 0; v <= last_of(KAFKA_API_JOIN_GROUP); v++)
        CHECK_ERR(live(&w, v, SLICE("readers")), OK);
    world_end(&w);
}

TEST(groups_live_on_all_shards)
{
    struct streamer_world w;
    begin(&w, 3);
    for (int i = 0; i < 10; i++) {
        char name[8];
        snprintf(name, sizeof name, "g%d", i);
        CHECK_ERR(live(&w, (int16_t)i, slice_str(name)), OK);
    }
    struct kafka_list_groups_request in = kafka_list_groups_request_default;
    struct kafka_list_groups_response out;
    CHECK_ERR(world_ask(&w, KAFKA_API_LIST_GROUPS, 5, &in, &out), OK);
    CHECK_EQ(out.groups.count, 10);
    CHECK_SLICE(out.groups.items[0].group_state, SLICE("Empty"));
    CHECK_SLICE(out.groups.items[0].group_type, SLICE("classic"));
    struct slice names[] = {SLICE("g1"), SLICE("g9"), SLICE("nobody"), SLICE("g4")};
    struct kafka_describe_groups_request ask = kafka_describe_groups_request_default;
    struct kafka_describe_groups_response told;
    ask.groups = (struct kafka_strings){names, 4};
    CHECK_ERR(world_ask(&w, KAFKA_API_DESCRIBE_GROUPS, 5, &ask, &told), OK);
    CHECK_EQ(told.groups.count, 4);
    CHECK_SLICE(told.groups.items[1].group_state, SLICE("Empty"));
    CHECK_SLICE(told.groups.items[2].group_state, SLICE("Dead"));
    struct kafka_delete_groups_request drop = kafka_delete_groups_request_default;
    struct kafka_delete_groups_response dropped;
    drop.groups_names = (struct kafka_strings){names, 4};
    CHECK_ERR(world_ask(&w, KAFKA_API_DELETE_GROUPS, 2, &drop, &dropped), OK);
    CHECK_EQ(dropped.results.items[0].error_code, KAFKA_NONE);
    CHECK_EQ(dropped.results.items[2].error_code, KAFKA_GROUP_ID_NOT_FOUND);
    CHECK_ERR(world_ask(&w, KAFKA_API_LIST_GROUPS, 5, &in, &out), OK);
    CHECK_EQ(out.groups.count, 7);
    world_end(&w);
}

SCENARIO(a_group_without_memory_for_its_requests)
{
    struct streamer_world w = {0};
    enum err e = world_begin(&w);
    if (!e)
        e = world_connect(&w);
    if (!e)
        e = create_topic(&w, "log", 3);
    if (!e)
        e = live(&w, 9, SLICE("readers"));
    world_end(&w);
    return e && mem_failed() ? ERR_NOMEM : e;
}

/* ---- restarts ---------------------------------------------------------------------------------------------------------- */

static void restart(struct streamer_world *w)
{
    conn_abort(w->conn);
    WORLD_UNTIL(w, w->closed);
    world_stop(w);
    CHECK_ERR(world_open_broker(w), OK);
    CHECK_ERR(world_connect(w), OK);
}

TEST(members_and_offsets_are_there_after_a_restart)
{
    struct streamer_world w;
    struct self me = {0};
    char assigned[64];
    int16_t error;
    int64_t offset;
    begin(&w, 1);
    CHECK_ERR(join(&w, 9, SLICE("g"), &me), OK);
    CHECK_ERR(sync(&w, 5, SLICE("g"), &me, assigned), OK);
    CHECK_ERR(commit(&w, 9, SLICE("g"), &me, "log", 7, &error), OK);
    CHECK_ERR(commit(&w, 9, SLICE("alone"), NULL, "log", 8, &error), OK);
    CHECK_EQ(error, KAFKA_NONE);
    restart(&w);
    CHECK_ERR(beat(&w, 4, SLICE("g"), &me), OK);
    CHECK_EQ(me.error, KAFKA_NONE); /* no rebalance */
    CHECK_ERR(sync(&w, 5, SLICE("g"), &me, assigned), OK);
    CHECK_STR(assigned, "everything");
    CHECK_ERR(fetch(&w, 9, SLICE("g"), "log", &offset), OK);
    CHECK_EQ(offset, 7);
    CHECK_ERR(fetch(&w, 9, SLICE("alone"), NULL, &offset), OK);
    CHECK_EQ(offset, 8);
    int32_t before = me.generation;
    CHECK_ERR(leave(&w, 5, SLICE("g"), &me), OK);
    restart(&w);
    me = (struct self){0};
    CHECK_ERR(join(&w, 9, SLICE("g"), &me), OK);
    CHECK(me.generation > before + 1);
    world_end(&w);
}

static void check_ten(struct streamer_world *w)
{
    for (int i = 0; i < 10; i++) {
        char name[8];
        int64_t offset;
        snprintf(name, sizeof name, "g%d", i);
        CHECK_ERR(fetch(w, 9, slice_str(name), "log", &offset), OK);
        CHECK_EQ(offset, 100 + i);
    }
}

static void begin_with_ten(struct streamer_world *w, uint32_t workers)
{
    begin(w, workers);
    for (int i = 0; i < 10; i++) {
        char name[8];
        int16_t error;
        snprintf(name, sizeof name, "g%d", i);
        CHECK_ERR(commit(w, 9, slice_str(name), NULL, "log", 100 + i, &error), OK);
        CHECK_EQ(error, KAFKA_NONE);
    }
}

TEST(groups_follow_the_number_of_workers)
{
    static const uint32_t workers[] = {1, 3, 2, 2, 64, 1};
    struct streamer_world w;
    begin_with_ten(&w, 3);
    for (size_t i = 0; i < sizeof workers / sizeof *workers; i++) {
        w.workers = workers[i];
        restart(&w);
        check_ten(&w);
    }
    world_end(&w);
}

/* The move stops at its n-th write or sync, and the next start has 1, 2 or 3 workers. */
static bool stop_the_move(const char *point, unsigned n)
{
    struct streamer_world w;
    char plan[64];
    begin_with_ten(&w, 3);
    conn_abort(w.conn);
    WORLD_UNTIL(&w, w.closed);
    world_stop(&w);
    w.workers = 2;
    snprintf(plan, sizeof plan, "%s=@%u+", point, n);
    CHECK_ERR(fault_arm(plan, 1), OK);
    bool stopped = world_open_broker(&w) != OK;
    fault_disarm_all();
    if (!stopped)
        world_stop(&w);
    w.workers = n % 3 + 1;
    CHECK_ERR(world_open_broker(&w), OK);
    CHECK_ERR(world_connect(&w), OK);
    check_ten(&w);
    world_end(&w);
    return stopped;
}

TEST(a_move_to_another_number_of_workers_can_stop_anywhere)
{
    static const struct {
        const char *point;
        unsigned passes; /* of a move from three to two */
    } points[] = {{"groups.move.write", 2}, {"groups.move.remove", 3}, {"groups.move.rename", 2}};
    unsigned n;
    for (int i = 0; i < 3; i++) {
        for (n = 1; stop_the_move(points[i].point, n);)
            n++;
        CHECK_EQ(n, points[i].passes + 1);
    }
    for (n = 1; n < 10 && stop_the_move("sim.disk.write", n);)
        n++;
}

TEST(a_topic_that_goes_takes_its_offsets_along)
{
    struct streamer_world w;
    int16_t error;
    int64_t offset;
    begin(&w, 1);
    CHECK_ERR(commit(&w, 9, SLICE("g"), NULL, "log", 7, &error), OK);
    CHECK_ERR(delete_topic(&w, "log"), OK);
    CHECK_ERR(commit(&w, 9, SLICE("g"), NULL, "log", 7, &error), OK);
    CHECK_EQ(error, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_ERR(create_topic(&w, "log", 3), OK);
    CHECK_ERR(fetch(&w, 9, SLICE("g"), "log", &offset), OK);
    CHECK_EQ(offset, -1);
    restart(&w);
    CHECK_ERR(fetch(&w, 9, SLICE("g"), NULL, &offset), OK);
    CHECK_EQ(offset, -1);
    world_end(&w);
}

/* ---- time -------------------------------------------------------------------------------------------------------------- */

static void pass(struct streamer_world *w, uint64_t ms)
{
    uint64_t until = sim_now_ns(w->sim) + ms * 1000000;
    while (sim_now_ns(w->sim) < until)
        world_turn(w);
}

static uint64_t groups_left(struct streamer_world *w)
{
    struct kafka_list_groups_request in = kafka_list_groups_request_default;
    struct kafka_list_groups_response out;
    CHECK_ERR(world_ask(w, KAFKA_API_LIST_GROUPS, 5, &in, &out), OK);
    return out.groups.count;
}

TEST(offsets_expire_with_their_group)
{
    struct streamer_world w;
    int16_t error;
    begin(&w, 1);
    struct broker_settings s = broker_settings_default;
    s.offsets_retention_ms = 100000;
    CHECK_ERR(broker_configure(w.broker, &s), OK);
    CHECK_ERR(commit(&w, 9, SLICE("g"), NULL, "log", 7, &error), OK);
    pass(&w, 90000);
    CHECK_EQ(groups_left(&w), 1);
    pass(&w, 200000);
    CHECK_EQ(groups_left(&w), 0);
    restart(&w);
    CHECK_EQ(groups_left(&w), 0);
    world_end(&w);
}

TEST(a_member_that_is_silent_is_removed)
{
    struct streamer_world w;
    struct self me = {0};
    char assigned[64];
    begin(&w, 1);
    CHECK_ERR(join(&w, 9, SLICE("g"), &me), OK);
    CHECK_ERR(sync(&w, 5, SLICE("g"), &me, assigned), OK);
    pass(&w, 9000);
    CHECK_ERR(beat(&w, 4, SLICE("g"), &me), OK);
    CHECK_EQ(me.error, KAFKA_NONE);
    pass(&w, 9000);
    CHECK_ERR(beat(&w, 4, SLICE("g"), &me), OK);
    CHECK_EQ(me.error, KAFKA_NONE);
    pass(&w, 11000);
    CHECK_ERR(beat(&w, 4, SLICE("g"), &me), OK);
    CHECK_EQ(me.error, KAFKA_UNKNOWN_MEMBER_ID);
    world_end(&w);
}

/* The connection ends while JoinGroup waits for the first rebalance. */
static void abandon_join(uint32_t workers, int16_t version)
{
    struct streamer_world w;
    struct kafka_join_group_request in;
    struct kafka_join_group_request_protocol protocol;
    struct self nobody = {0};
    begin(&w, workers);
    begin_join(&in, &protocol, SLICE("g"), &nobody);
    CHECK_ERR(world_write(&w, kafka_api_find(KAFKA_API_JOIN_GROUP), version, &in), OK);
    pass(&w, 100);
    conn_abort(w.conn);
    WORLD_UNTIL(&w, w.closed);
    CHECK_ERR(world_connect(&w), OK);
    pass(&w, 100);
    struct slice names[] = {SLICE("g")};
    struct kafka_describe_groups_request ask = kafka_describe_groups_request_default;
    struct kafka_describe_groups_response told;
    ask.groups = (struct kafka_strings){names, 1};
    CHECK_ERR(world_ask(&w, KAFKA_API_DESCRIBE_GROUPS, 5, &ask, &told), OK);
    CHECK_EQ(told.groups.items[0].members.count, 0);
    world_end(&w);
}

TEST(who_gives_up_waiting_leaves_no_member)
{
    abandon_join(1, 3);
    abandon_join(3, 3);
}

TEST(a_broker_that_stops_answers_those_who_wait)
{
    struct streamer_world w;
    struct kafka_join_group_request in;
    struct kafka_join_group_request_protocol protocol;
    struct kafka_join_group_response out;
    struct self nobody = {0};
    int32_t correlation;
    begin(&w, 1);
    begin_join(&in, &protocol, SLICE("g"), &nobody);
    CHECK_ERR(world_write(&w, kafka_api_find(KAFKA_API_JOIN_GROUP), 3, &in), OK);
    pass(&w, 100);
    world_stop(&w);
    CHECK_ERR(world_read(&w, kafka_api_find(KAFKA_API_JOIN_GROUP), 3, &correlation, &out), OK);
    CHECK_EQ(out.error_code, KAFKA_COORDINATOR_NOT_AVAILABLE);
    world_end(&w);
}

/* ---- offsets that are removed ------------------------------------------------------------------------------------------ */

static int16_t delete_offset(struct streamer_world *w, struct slice group, const char *topic)
{
    struct kafka_offset_delete_request_partition p = {.partition_index = 1};
    struct kafka_offset_delete_request_topic t = {.name = slice_str(topic), .partitions = {&p, 1}};
    struct kafka_offset_delete_request in = {.group_id = group, .topics = {&t, 1}};
    struct kafka_offset_delete_response out;
    CHECK_ERR(world_ask(w, KAFKA_API_OFFSET_DELETE, 0, &in, &out), OK);
    return out.error_code ? out.error_code : out.topics.items[0].partitions.items[0].error_code;
}

TEST(offsets_are_removed_unless_they_are_being_read)
{
    static const uint8_t reads_log[] = {0, 0, 0, 0, 0, 1, 0, 3, 'l', 'o', 'g', 0xff, 0xff, 0xff, 0xff};
    struct streamer_world w;
    struct kafka_join_group_request in;
    struct kafka_join_group_request_protocol protocol;
    struct kafka_join_group_response joined;
    struct self me = {0};
    char assigned[64];
    int16_t error;
    int64_t offset;
    begin(&w, 2);
    CHECK_ERR(create_topic(&w, "other", 3), OK);
    CHECK_EQ(delete_offset(&w, SLICE("g"), "log"), KAFKA_GROUP_ID_NOT_FOUND);
    begin_join(&in, &protocol, SLICE("g"), &me);
    protocol.metadata = slice_of(reads_log, sizeof reads_log);
    CHECK_ERR(world_ask(&w, KAFKA_API_JOIN_GROUP, 3, &in, &joined), OK);
    snprintf(me.id, sizeof me.id, "%.*s", SLICE_ARG(joined.member_id));
    me.generation = joined.generation_id;
    CHECK_ERR(sync(&w, 5, SLICE("g"), &me, assigned), OK);
    CHECK_ERR(commit(&w, 9, SLICE("g"), &me, "log", 7, &error), OK);
    CHECK_ERR(commit(&w, 9, SLICE("g"), &me, "other", 8, &error), OK);
    CHECK_EQ(delete_offset(&w, SLICE("g"), "log"), KAFKA_GROUP_SUBSCRIBED_TO_TOPIC);
    CHECK_EQ(delete_offset(&w, SLICE("g"), "other"), KAFKA_NONE);
    CHECK_EQ(delete_offset(&w, SLICE("g"), "nothing"), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_ERR(leave(&w, 5, SLICE("g"), &me), OK);
    restart(&w);
    CHECK_ERR(fetch(&w, 9, SLICE("g"), "other", &offset), OK);
    CHECK_EQ(offset, -1);
    CHECK_ERR(fetch(&w, 9, SLICE("g"), "log", &offset), OK);
    CHECK_EQ(offset, 7);
    CHECK_EQ(delete_offset(&w, SLICE("g"), "log"), KAFKA_NONE); /* nobody reads it any more */
    CHECK_ERR(fetch(&w, 9, SLICE("g"), "log", &offset), OK);
    CHECK_EQ(offset, -1);
    world_end(&w);
}

/* ---- what is refused --------------------------------------------------------------------------------------------------- */

TEST(names_and_sizes_are_checked)
{
    struct streamer_world w;
    struct self me = {0};
    int16_t error;
    begin(&w, 1);
    CHECK_ERR(join(&w, 9, SLICE(""), &me), OK);
    CHECK_EQ(me.error, KAFKA_INVALID_GROUP_ID);
    CHECK_ERR(beat(&w, 4, SLICE("nobody"), &me), OK);
    CHECK_EQ(me.error, KAFKA_UNKNOWN_MEMBER_ID);
    CHECK_ERR(commit(&w, 9, SLICE("nobody"), &(struct self){.generation = 3}, "log", 1, &error), OK);
    CHECK_EQ(error, KAFKA_ILLEGAL_GENERATION);
    CHECK_ERR(commit(&w, 9, SLICE("g"), NULL, "nothing", 1, &error), OK);
    CHECK_EQ(error, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(groups_left(&w), 0);
    world_end(&w);
}
