/* Producers: a lane to each partition of numbered batches, a few of them under way; after an error or a lost connection all that
 * is not acknowledged is sent again, in order, over a new connection. The reader follows all partitions by Fetch. */
#include <inttypes.h>

#include "base/hash.h"
#include "base/mem.h"
#include "kafka/batch.h"
#include "tests/sim/broker/run.h"

enum { WINDOW = 3, CREATE_VERSION = 7, INIT_VERSION = 4, PRODUCE_VERSION = 9, FETCH_VERSION = 12 };
enum { FETCH_WAIT_MS = 20, FETCH_BYTES = 1 << 20, READER_PROCESS = 100 };

struct lane {
    uint32_t first_record[BATCHES_MAX + 1];
    uint32_t acked, next, sent; /* batches: acknowledged, to be sent next, sent ever */
};

struct producer_client {
    struct peer peer; /* first */
    struct clients *clients;
    uint32_t index;
    int64_t id;
    struct lane lanes[PARTITIONS_MAX];
};

struct reader {
    struct peer peer; /* first */
    struct clients *clients;
    int64_t position[PARTITIONS_MAX], start[PARTITIONS_MAX], end[PARTITIONS_MAX];
};

struct clients {
    struct run *run;
    bool topic_made, last;
    struct producer_client producers[PRODUCERS_MAX];
    struct reader reader;
};

/* ---- producers --------------------------------------------------------------------------------------------------------------- */

static uint64_t value_of(uint32_t producer, uint32_t partition, uint32_t record)
{
    return (uint64_t)(producer + 1) << 48 | (uint64_t)partition << 40 | record;
}

static void add_record(struct run *r, struct batch_builder *b, uint64_t value)
{
    uint8_t bytes[8192];
    size_t size = sizeof value + hash_mix(value) % r->choices.value_bytes_max;
    for (size_t i = 0; i < size; i++)
        bytes[i] = i < sizeof value ? (uint8_t)(value >> (56 - 8 * i)) : (uint8_t)(value + i);
    batch_add(b, loop_realtime_ms(r->control), SLICE_EMPTY, slice_of(bytes, size), NULL, 0);
}

static void send_batch(struct producer_client *c, uint32_t partition, uint32_t batch)
{
    struct run *r = c->clients->run;
    struct lane *l = &c->lanes[partition];
    struct batch_builder b;
    struct buf records;
    buf_init(&records, 1 << 20);
    batch_begin(&b, &records, BATCH_PLAIN);
    for (uint32_t i = l->first_record[batch]; i < l->first_record[batch + 1]; i++) {
        add_record(r, &b, value_of(c->index, partition, i));
        if (batch >= l->sent)
            run_event(r, STREAM_SEND, c->index, partition, value_of(c->index, partition, i), -1);
    }
    l->sent = batch >= l->sent ? batch + 1 : l->sent;
    if (batch_end(&b, (struct batch_producer){c->id, (int32_t)l->first_record[batch], 0}) != OK)
        run_violate(r, "a batch cannot be built");
    struct kafka_produce_request_partition p = {.index = (int32_t)partition, .records.bytes = buf_slice(&records)};
    struct kafka_produce_request_topic t = {.name = TOPIC_NAME, .partition_data = {&p, 1}};
    struct kafka_produce_request in = kafka_produce_request_default;
    in.acks = -1;
    in.transactional_id = SLICE_EMPTY;
    in.topic_data.items = &t;
    in.topic_data.count = 1;
    run_trace(r, "producer %u sends %u to %u", c->index, batch, partition);
    peer_ask(&c->peer, KAFKA_API_PRODUCE, PRODUCE_VERSION, &in, partition, batch);
    buf_fini(&records);
}

static void ask_create(struct producer_client *c)
{
    struct kafka_create_topics_request_config configs[] = {{SLICE("retention.ms"), SLICE("-1")},
                                                           {SLICE("durability"), SLICE("flush")}};
    struct kafka_create_topics_request_topic topic = {.name = TOPIC_NAME,
                                                      .num_partitions = (int32_t)c->clients->run->choices.partitions,
                                                      .replication_factor = 1,
                                                      .assignments = {KAFKA_EMPTY, 0},
                                                      .configs = {configs, 2}};
    struct kafka_create_topics_request in = kafka_create_topics_request_default;
    in.topics.items = &topic;
    in.topics.count = 1;
    peer_ask(&c->peer, KAFKA_API_CREATE_TOPICS, CREATE_VERSION, &in, 0, 0);
}

static void ask_id(struct producer_client *c)
{
    struct kafka_init_producer_id_request in = kafka_init_producer_id_request_default;
    in.transactional_id = SLICE_EMPTY;
    peer_ask(&c->peer, KAFKA_API_INIT_PRODUCER_ID, INIT_VERSION, &in, 0, 0);
}

static void pump(struct producer_client *c)
{
    struct run *r = c->clients->run;
    if (!c->clients->topic_made && !c->peer.count)
        ask_create(c);
    else if (c->id < 0 && !c->peer.count)
        ask_id(c);
    for (uint32_t i = 0; i < r->choices.partitions && c->clients->topic_made && c->id >= 0; i++) {
        struct lane *l = &c->lanes[i];
        while (l->next < r->choices.batches && l->next < l->acked + WINDOW && peer_may_ask(&c->peer))
            send_batch(c, i, l->next++);
    }
}

static void on_producer_ready(struct peer *p)
{
    struct producer_client *c = (struct producer_client *)p;
    for (uint32_t i = 0; i < PARTITIONS_MAX; i++)
        c->lanes[i].next = c->lanes[i].acked;
    pump(c);
}

static int16_t take_produced(struct producer_client *c, const struct peer_request *asked,
                             const struct kafka_produce_response *out)
{
    const struct kafka_produce_response_partition *p = &out->responses.items[0].partition_responses.items[0];
    struct lane *l = &c->lanes[asked->lane];
    run_trace(c->clients->run, "producer %u hears of %u to %u: %d, offset %" PRId64, c->index, asked->batch,
              asked->lane, p->error_code, p->base_offset);
    if (p->error_code)
        return p->error_code;
    for (uint32_t i = l->first_record[asked->batch]; i < l->first_record[asked->batch + 1]; i++)
        run_event(c->clients->run, STREAM_ACKED, c->index, asked->lane, value_of(c->index, asked->lane, i),
                  p->base_offset + i - l->first_record[asked->batch]);
    l->acked = asked->batch + 1;
    return 0;
}

static void on_producer_answer(struct peer *p, const struct peer_request *asked, const void *response)
{
    struct producer_client *c = (struct producer_client *)p;
    int16_t error;
    if (asked->api->key == KAFKA_API_CREATE_TOPICS) {
        error = ((const struct kafka_create_topics_response *)response)->topics.items[0].error_code;
        error = error == KAFKA_TOPIC_ALREADY_EXISTS ? 0 : error;
        c->clients->topic_made |= !error;
    } else if (asked->api->key == KAFKA_API_INIT_PRODUCER_ID) {
        const struct kafka_init_producer_id_response *out = response;
        error = out->error_code;
        c->id = error ? -1 : out->producer_id;
    } else {
        error = take_produced(c, asked, response);
    }
    if (error)
        peer_drop(p);
    else
        pump(c);
}

/* ---- the reader -------------------------------------------------------------------------------------------------------------- */

static void ask_fetch(struct reader *k)
{
    struct kafka_fetch_request_partition partitions[PARTITIONS_MAX];
    struct kafka_fetch_request_topic t = {.topic = TOPIC_NAME,
                                          .partitions = {partitions, k->clients->run->choices.partitions}};
    struct kafka_fetch_request in = kafka_fetch_request_default;
    for (uint32_t i = 0; i < t.partitions.count; i++) {
        partitions[i] = kafka_fetch_request_partition_default;
        partitions[i].partition = (int32_t)i;
        partitions[i].fetch_offset = k->position[i];
        partitions[i].partition_max_bytes = FETCH_BYTES;
    }
    in.max_wait_ms = FETCH_WAIT_MS;
    in.min_bytes = 1;
    in.topics.items = &t;
    in.topics.count = 1;
    peer_ask(&k->peer, KAFKA_API_FETCH, FETCH_VERSION, &in, 0, 0);
}

static void on_reader_ready(struct peer *p)
{
    ask_fetch((struct reader *)p);
}

static void take_batch(struct reader *k, uint32_t partition, struct slice batch, const struct batch_header *h)
{
    struct batch_records records;
    struct batch_record record;
    batch_records_init(&records, h, batch_payload(batch));
    while (batch_next_record(&records, &record)) {
        uint64_t value = 0;
        for (size_t i = 0; i < sizeof value && i < record.value.size; i++)
            value = value << 8 | record.value.data[i];
        if (record.offset >= k->position[partition])
            run_event(k->clients->run, STREAM_POLLED, READER_PROCESS, partition, value, record.offset);
    }
    k->position[partition] = batch_last_offset(h) + 1;
}

static bool take_fetched(struct reader *k, const struct kafka_fetch_response_partition *p)
{
    uint32_t partition = (uint32_t)p->partition_index;
    struct slice rest = p->records.bytes;
    struct batch_header h;
    if (p->error_code == KAFKA_OFFSET_OUT_OF_RANGE)
        run_violate(k->clients->run, "partition %u has not offset %" PRId64 ", which was read up to", partition,
                    k->position[partition]);
    if (p->error_code)
        return false;
    k->start[partition] = p->log_start_offset;
    k->end[partition] = p->high_watermark;
    for (; rest.size; rest = slice_skip(rest, h.size)) {
        if (batch_read(rest, &h) || !batch_crc_ok(slice_take(rest, h.size))) {
            run_violate(k->clients->run, "partition %u: a damaged batch is given", partition);
            return false;
        }
        take_batch(k, partition, slice_take(rest, h.size), &h);
    }
    return true;
}

static void on_reader_answer(struct peer *p, const struct peer_request *asked, const void *response)
{
    struct reader *k = (struct reader *)p;
    const struct kafka_fetch_response *out = response;
    bool fine = !out->error_code && out->responses.count;
    (void)asked;
    for (uint32_t i = 0; fine && i < out->responses.items[0].partitions.count; i++)
        fine = take_fetched(k, &out->responses.items[0].partitions.items[i]);
    if (fine)
        ask_fetch(k);
    else
        peer_drop(p);
}

static void begin_reading(struct clients *c)
{
    for (uint32_t i = 0; i < c->run->choices.partitions; i++) {
        c->reader.position[i] = 0;
        c->reader.end[i] = -1;
        run_event(c->run, STREAM_ASSIGNED, READER_PROCESS, i, 0, -1);
    }
}

void clients_read_again(struct clients *c)
{
    c->last = true;
    begin_reading(c);
    peer_connect(&c->reader.peer);
}

/* ---- all --------------------------------------------------------------------------------------------------------------------- */

bool clients_done(const struct clients *c)
{
    bool done = true;
    for (uint32_t i = 0; i < c->run->choices.partitions; i++) {
        done &= c->reader.end[i] >= 0 && c->reader.position[i] == c->reader.end[i];
        for (uint32_t p = 0; p < c->run->choices.producers && !c->last; p++)
            done &= c->producers[p].lanes[i].acked == c->run->choices.batches;
    }
    return done;
}

void clients_tell_bounds(const struct clients *c)
{
    for (uint32_t i = 0; i < c->run->choices.partitions; i++)
        run_event(c->run, STREAM_BOUNDS, READER_PROCESS, i, (uint64_t)c->reader.start[i], c->reader.end[i]);
}

void clients_connect(struct clients *c)
{
    for (uint32_t i = 0; i < c->run->choices.producers; i++)
        peer_connect(&c->producers[i].peer);
    peer_connect(&c->reader.peer);
}

void clients_leave(struct clients *c)
{
    for (uint32_t i = 0; i < c->run->choices.producers; i++)
        peer_leave(&c->producers[i].peer);
    peer_leave(&c->reader.peer);
}

bool clients_gone(const struct clients *c)
{
    bool gone = peer_is_gone(&c->reader.peer);
    for (uint32_t i = 0; i < c->run->choices.producers; i++)
        gone &= peer_is_gone(&c->producers[i].peer);
    return gone;
}

static void init_producer(struct clients *c, uint32_t index)
{
    struct producer_client *p = &c->producers[index];
    peer_init(&p->peer, c->run);
    p->peer.on_ready = on_producer_ready;
    p->peer.on_answer = on_producer_answer;
    p->clients = c;
    p->index = index;
    p->id = -1;
    for (uint32_t l = 0; l < PARTITIONS_MAX; l++)
        for (uint32_t i = 0; i < BATCHES_MAX; i++)
            p->lanes[l].first_record[i + 1] = p->lanes[l].first_record[i] + 1 +
                                              (uint32_t)(hash_mix(c->run->seed + value_of(index, l, i)) % RECORDS_MAX);
}

enum err clients_new(struct run *r, struct clients **ret_clients)
{
    struct clients *c = mem_zalloc(sizeof *c);
    if (!c)
        return ERR_NOMEM;
    c->run = r;
    for (uint32_t i = 0; i < r->choices.producers; i++)
        init_producer(c, i);
    peer_init(&c->reader.peer, r);
    c->reader.peer.on_ready = on_reader_ready;
    c->reader.peer.on_answer = on_reader_answer;
    c->reader.clients = c;
    begin_reading(c);
    *ret_clients = c;
    return OK;
}

void clients_free(struct clients *c)
{
    for (uint32_t i = 0; c && i < c->run->choices.producers; i++)
        peer_fini(&c->producers[i].peer);
    if (c)
        peer_fini(&c->reader.peer);
    mem_free(c);
}
