/* Produce and Fetch of a broker in the twin: memory that runs out, power that fails, processes that die, waits. */
#include "base/hash.h"
#include "kafka/batch.h"
#include "rt/sim/disk.h"
#include "world.h"

#define LOST(e) ((e) == ERR_CONNECTION_LOST && mem_failed() ? ERR_NOMEM : (e))

enum { PRODUCE_VERSION = 9, FETCH_VERSION = 12, TOPIC_PARTITIONS = 4 };
static const char topic_name[] = "orders";

/* --- requests --------------------------------------------------------------------------------------------------------------- */

static enum err create(struct streamer_world *w, const char *durability)
{
    struct kafka_create_topics_request_config configs[] = {
        {SLICE("durability"), slice_str(durability)},
        {SLICE("retention.ms"), SLICE("-1")}, /* the times of the batches are long ago */
    };
    struct kafka_create_topics_request_topic topic = {.name = slice_str(topic_name),
                                                      .num_partitions = TOPIC_PARTITIONS,
                                                      .replication_factor = 1,
                                                      .assignments = {KAFKA_EMPTY, 0},
                                                      .configs = {configs, 2}};
    struct kafka_create_topics_request in = kafka_create_topics_request_default;
    struct kafka_create_topics_response out;
    in.topics.items = &topic;
    in.topics.count = 1;
    enum err e = world_ask(w, KAFKA_API_CREATE_TOPICS, 7, &in, &out);
    if (!e && out.topics.items[0].error_code)
        e = mem_failed() ? ERR_NOMEM : ERR_UNKNOWN;
    return e;
}

static enum err init_producer(struct streamer_world *w, int64_t *ret_id)
{
    struct kafka_init_producer_id_request in = kafka_init_producer_id_request_default;
    struct kafka_init_producer_id_response out;
    in.transactional_id = SLICE_EMPTY;
    enum err e = world_ask(w, KAFKA_API_INIT_PRODUCER_ID, 4, &in, &out);
    if (!e && out.error_code)
        e = mem_failed() ? ERR_NOMEM : ERR_UNKNOWN;
    if (!e)
        *ret_id = out.producer_id;
    return e;
}

/* One batch whose records tell their number. */
static enum err build(struct buf *to, struct batch_producer producer, int32_t first, int32_t count)
{
    struct batch_builder b;
    char value[16];
    batch_begin(&b, to, BATCH_PLAIN);
    for (int32_t i = 0; i < count; i++) {
        snprintf(value, sizeof value, "%d", first + i);
        batch_add(&b, 1000 + first + i, SLICE_EMPTY, slice_str(value), NULL, 0);
    }
    return batch_end(&b, producer);
}

static enum err send_batch(struct streamer_world *w, int32_t partition, struct batch_producer producer, int32_t first,
                           int32_t count)
{
    struct buf records;
    buf_init(&records, 1 << 20);
    enum err e = build(&records, producer, first, count);
    struct kafka_produce_request_partition p = {.index = partition, .records.bytes = buf_slice(&records)};
    struct kafka_produce_request_topic t = {.name = slice_str(topic_name), .partition_data = {&p, 1}};
    struct kafka_produce_request in = kafka_produce_request_default;
    in.acks = -1;
    in.transactional_id = SLICE_EMPTY;
    in.topic_data.items = &t;
    in.topic_data.count = 1;
    if (!e)
        e = world_write(w, kafka_api_find(KAFKA_API_PRODUCE), PRODUCE_VERSION, &in);
    buf_fini(&records);
    return e;
}

static enum err read_produced(struct streamer_world *w, int16_t *ret_error, int64_t *ret_offset)
{
    struct kafka_produce_response out;
    int32_t correlation;
    enum err e = world_read(w, kafka_api_find(KAFKA_API_PRODUCE), PRODUCE_VERSION, &correlation, &out);
    if (!e) {
        *ret_error = out.responses.items[0].partition_responses.items[0].error_code;
        *ret_offset = out.responses.items[0].partition_responses.items[0].base_offset;
    }
    return e;
}

static enum err produce(struct streamer_world *w, int32_t partition, int32_t first, int32_t count, int64_t *ret_offset)
{
    int16_t error = 0;
    enum err e = send_batch(w, partition, BATCH_NO_PRODUCER, first, count);
    if (!e)
        e = read_produced(w, &error, ret_offset);
    if (!e && error)
        e = mem_failed() ? ERR_NOMEM : ERR_UNKNOWN;
    return e;
}

static enum err send_fetch(struct streamer_world *w, const int64_t offsets[TOPIC_PARTITIONS], int32_t wait_ms,
                           int32_t min_bytes)
{
    struct kafka_fetch_request_partition partitions[TOPIC_PARTITIONS];
    for (int32_t i = 0; i < TOPIC_PARTITIONS; i++) {
        partitions[i] = kafka_fetch_request_partition_default;
        partitions[i].partition = i;
        partitions[i].fetch_offset = offsets[i];
        partitions[i].partition_max_bytes = 1 << 20;
    }
    struct kafka_fetch_request_topic t = {.topic = slice_str(topic_name), .partitions = {partitions, TOPIC_PARTITIONS}};
    struct kafka_fetch_request in = kafka_fetch_request_default;
    in.max_wait_ms = wait_ms;
    in.min_bytes = min_bytes;
    in.topics.items = &t;
    in.topics.count = 1;
    return world_write(w, kafka_api_find(KAFKA_API_FETCH), FETCH_VERSION, &in);
}

/* The records of the answer, checked for being numbered from the offsets on; these move. */
static enum err read_fetched(struct streamer_world *w, int64_t offsets[TOPIC_PARTITIONS])
{
    struct kafka_fetch_response out;
    int32_t correlation;
    enum err e = world_read(w, kafka_api_find(KAFKA_API_FETCH), FETCH_VERSION, &correlation, &out);
    if (e)
        return e;
    CHECK_EQ(out.error_code, 0);
    for (uint32_t i = 0; i < out.responses.items[0].partitions.count; i++) {
        const struct kafka_fetch_response_partition *p = &out.responses.items[0].partitions.items[i];
        if (p->error_code)
            return mem_failed() ? ERR_NOMEM : ERR_UNKNOWN;
        struct slice rest = p->records.bytes;
        struct batch_header h;
        while (rest.size) {
            CHECK_EQ(batch_read(rest, &h), 0);
            CHECK(batch_crc_ok(slice_take(rest, h.size)));
            CHECK_EQ(h.base_offset, offsets[p->partition_index]);
            CHECK_EQ(h.base_time_ms, 1000 + h.base_offset);
            offsets[p->partition_index] = batch_last_offset(&h) + 1;
            rest = slice_skip(rest, h.size);
        }
    }
    return OK;
}

/* --- memory that runs out --------------------------------------------------------------------------------------------------- */

static enum err some_of_everything(struct streamer_world *w)
{
    int64_t offset, id, offsets[TOPIC_PARTITIONS] = {0};
    enum err e = create(w, "flush");
    for (int32_t i = 0; i < 3 && !e; i++)
        e = produce(w, i, 0, 5, &offset);
    if (!e)
        e = init_producer(w, &id);
    if (!e)
        e = send_batch(w, 3, (struct batch_producer){id, 0, 0}, 0, 2);
    int16_t error = 0;
    if (!e)
        e = read_produced(w, &error, &offset);
    if (!e && error)
        return mem_failed() ? ERR_NOMEM : ERR_UNKNOWN;
    if (!e)
        e = send_fetch(w, offsets, 0, 0);
    if (!e)
        e = read_fetched(w, offsets);
    if (!e)
        CHECK(offsets[0] == 5 && offsets[1] == 5 && offsets[2] == 5 && offsets[3] == 2);
    if (!e)
        e = send_fetch(w, offsets, 10, 1);
    return e ? e : read_fetched(w, offsets);
}

static enum err whole_life(uint32_t workers)
{
    struct streamer_world w = {.workers = workers};
    enum err e = world_begin(&w);
    if (!e)
        e = world_connect(&w);
    if (!e)
        e = some_of_everything(&w);
    world_end(&w);
    return LOST(e);
}

SCENARIO(records_are_stored_and_read)
{
    return whole_life(1);
}

SCENARIO(records_of_two_shards_are_stored_and_read)
{
    return whole_life(2);
}

/* --- waits ------------------------------------------------------------------------------------------------------------------ */

static void waits(uint32_t workers)
{
    struct streamer_world w = {.workers = workers};
    int64_t offset, offsets[TOPIC_PARTITIONS] = {0};
    CHECK_ERR(world_begin(&w), OK);
    CHECK_ERR(world_connect(&w), OK);
    CHECK_ERR(create(&w, "flush"), OK);
    uint64_t start_ns = sim_now_ns(w.sim);
    CHECK_ERR(send_fetch(&w, offsets, 500, 1), OK);
    CHECK_ERR(read_fetched(&w, offsets), OK);
    CHECK(sim_now_ns(w.sim) - start_ns >= 500000000 && sim_now_ns(w.sim) - start_ns < 600000000);
    for (int32_t i = 0; i < TOPIC_PARTITIONS; i++) { /* the answer to the produce comes behind that to the fetch */
        start_ns = sim_now_ns(w.sim);
        CHECK_ERR(send_fetch(&w, offsets, 60000, 1), OK);
        CHECK_ERR(send_batch(&w, i, BATCH_NO_PRODUCER, 0, 3), OK);
        CHECK_ERR(read_fetched(&w, offsets), OK);
        int16_t error = -1;
        CHECK_ERR(read_produced(&w, &error, &offset), OK);
        CHECK_EQ(error, 0);
        CHECK_EQ(offsets[i], 3);
        CHECK(sim_now_ns(w.sim) - start_ns < 1000000000);
    }
    world_end(&w);
}

TEST(a_fetch_waits_until_there_is_something_or_time_is_up)
{
    waits(1);
    waits(3);
}

TEST(a_broker_that_stops_leaves_nobody_waiting)
{
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct streamer_world w = {.workers = workers};
        int64_t offsets[TOPIC_PARTITIONS] = {0};
        CHECK_ERR(world_begin(&w), OK);
        CHECK_ERR(world_connect(&w), OK);
        CHECK_ERR(create(&w, "flush"), OK);
        CHECK_ERR(send_fetch(&w, offsets, 600000, 1), OK);
        for (int i = 0; i < 20; i++)
            world_turn(&w);
        uint64_t start_ns = sim_now_ns(w.sim);
        world_stop(&w);
        CHECK(sim_now_ns(w.sim) - start_ns < 1000000000);
        world_end(&w);
    }
}

/* --- one producer, whose every batch has its place, through crashes --------------------------------------------------------- */

enum { BATCHES = 60, IN_FLIGHT = 5 };

struct run {
    struct streamer_world w;
    uint64_t dice;
    bool power; /* the machine dies, not the process alone */
    int64_t id;
    int32_t first[BATCHES + 1]; /* record and sequence with which a batch begins */
    int sent, answered;
};

static uint64_t roll(struct run *r, uint64_t sides)
{
    return hash_mix(++r->dice) % sides;
}

static enum err send_next(struct run *r)
{
    int n = r->sent++;
    return send_batch(&r->w, 0, (struct batch_producer){r->id, r->first[n], 0}, r->first[n],
                      r->first[n + 1] - r->first[n]);
}

static enum err read_next(struct run *r)
{
    int16_t error = -1;
    int64_t offset = -1;
    enum err e = read_produced(&r->w, &error, &offset);
    if (e)
        return e;
    CHECK_EQ(error, 0);
    CHECK_EQ(offset, r->first[r->answered]);
    r->answered++;
    return OK;
}

static void crash(struct run *r)
{
    struct streamer_world *w = &r->w;
    sim_disk_halt(w->sim);
    if (w->conn)
        conn_abort(w->conn);
    WORLD_UNTIL(w, w->closed);
    world_stop(w);
    if (r->power)
        sim_crash_disk(w->sim);
    else
        sim_disk_restart(w->sim);
    CHECK_ERR(world_open_broker(w), OK);
    CHECK_ERR(world_connect(w), OK);
    r->sent = r->answered; /* what was not answered is sent again, as a client does */
}

/* The first sending may not be durable yet when the second comes; the answer to this one promises that it is. */
static void reconnect(struct run *r)
{
    conn_abort(r->w.conn);
    WORLD_UNTIL(&r->w, r->w.closed);
    CHECK_ERR(world_connect(&r->w), OK);
    r->sent = r->answered;
}

static void check_log(struct run *r)
{
    int64_t offsets[TOPIC_PARTITIONS] = {0};
    CHECK_ERR(send_fetch(&r->w, offsets, 0, 0), OK);
    CHECK_ERR(read_fetched(&r->w, offsets), OK);
    CHECK_EQ(offsets[0], r->first[BATCHES]);
}

static void run_through_crashes(uint64_t seed, bool power)
{
    struct run r = {.dice = seed * 1000, .power = power};
    const struct sim_disk_plan plan = {.crash = SIM_CRASH_TEARS, .write_back_one_in = 3};
    CHECK_ERR(world_begin(&r.w), OK);
    CHECK_ERR(world_connect(&r.w), OK);
    CHECK_ERR(create(&r.w, power ? "flush" : "memory"), OK);
    CHECK_ERR(init_producer(&r.w, &r.id), OK);
    sim_disk_set_plan(r.w.sim, &plan);
    for (int i = 0; i < BATCHES; i++)
        r.first[i + 1] = r.first[i] + 1 + (int32_t)roll(&r, 10);
    while (r.answered < BATCHES) {
        while (r.sent < BATCHES && r.sent < r.answered + IN_FLIGHT && roll(&r, 4))
            CHECK_ERR(send_next(&r), OK);
        for (uint64_t turns = roll(&r, 6); turns; turns--)
            world_turn(&r.w);
        if (r.answered < r.sent && roll(&r, 3))
            CHECK_ERR(read_next(&r), OK);
        if (roll(&r, 30) == 0)
            crash(&r);
        if (roll(&r, 15) == 0)
            reconnect(&r);
    }
    check_log(&r);
    world_end(&r.w);
}

TEST(what_was_acknowledged_is_there_once_when_power_fails)
{
    for (uint64_t seed = 1; seed <= 25; seed++)
        run_through_crashes(seed, true);
}

TEST(what_was_acknowledged_is_there_once_when_the_process_dies)
{
    for (uint64_t seed = 1; seed <= 25; seed++)
        run_through_crashes(seed, false);
}
