/* Kafka's protocol, by the codec of src/kafka: acks 1, one batch a partition in a request. Checked of each answer: correlation,
 * errors, base offsets without gaps, and of what is read the checksums and offsets. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "kafka/batch.h"
#include "kafka/header.h"
#include "protocols.h"

enum {
    PRODUCE_VERSION = 9,
    FETCH_VERSION = 12,
    LIST_VERSION = 5,
    CREATE_VERSION = 5,
    DELETE_VERSION = 4,
    METADATA_VERSION = 9,
    HEAD = 12, /* size, key, version, correlation id: what differs between two requests */
    CORRELATION_AT = 8,
    WAIT_MS = 500,
    FETCH_BYTES = 1 << 20,
    TIMEOUT_MS = 20000,
    ARENA_BYTES = 16 << 20,
};

struct state {
    struct arena arena;
    struct kafka_out out;
    int32_t asked, answered;         /* correlation ids: of the next request, of the next answer */
    int64_t offset[LOAD_PARTITIONS]; /* the next one of each partition; -1: not known */
    struct buf batch;
    struct kafka_produce_request_partition produced[LOAD_PARTITIONS];
    struct kafka_fetch_request_partition fetched[LOAD_PARTITIONS];
};

static void must(enum err e, const char *what)
{
    if (e)
        die("%s: %s", what, err_row(e)->text);
}

static const struct kafka_api *api_of(int16_t key)
{
    const struct kafka_api *api = kafka_api_find(key);
    if (!api)
        die("no API %d", key);
    return api;
}

/* --- requests -------------------------------------------------------------------------------------------------------------------- */

/* Into st->out. */
static void make_frame(struct state *st, int16_t key, int16_t version, const void *request)
{
    const struct kafka_api *api = api_of(key);
    struct kafka_frame frame;
    kafka_out_reset(&st->out);
    must(kafka_request_begin(&st->out, api, version, st->asked++, SLICE("generator"), &frame), api->name);
    must(kafka_encode(api->request, version, request, &st->out), api->name);
    must(kafka_frame_end(&st->out, &frame), api->name);
}

static size_t whole_frame(const uint8_t *bytes, size_t size)
{
    if (size < KAFKA_FRAME_SIZE_BYTES)
        return 0;
    int32_t frame = kafka_frame_size(bytes);
    if (frame < 0)
        die("an answer of a negative size");
    return size >= KAFKA_FRAME_SIZE_BYTES + (size_t)frame ? KAFKA_FRAME_SIZE_BYTES + (size_t)frame : 0;
}

static void read_answer(struct state *st, struct slice frame, int16_t key, int16_t version, void *response)
{
    const struct kafka_api *api = api_of(key);
    struct kafka_fault fault = {"header", "", 0};
    struct slice body;
    int32_t correlation;
    arena_reset(&st->arena);
    enum err e = kafka_response_header_read(frame, api, version, &correlation, &body, &fault);
    if (!e)
        e = kafka_decode(api->response, version, body, &st->arena, response, &fault);
    if (e)
        die("%s: %s: %s at %zu", api->name, fault.field, fault.reason, fault.position);
    if (correlation != st->answered++)
        die("%s: answers are not in the order of requests", api->name);
}

/* Before the run. */
static void call(struct link *l, int16_t key, int16_t version, const void *request, void *response)
{
    struct state *st = l->state;
    size_t size;
    make_frame(st, key, version, request);
    const uint8_t *answer = link_call(l, st->out.buf.data, st->out.buf.size, whole_frame, &size);
    read_answer(st, slice_of(answer + KAFKA_FRAME_SIZE_BYTES, size - KAFKA_FRAME_SIZE_BYTES), key, version, response);
    link_consume(l, size);
}

/* --- topics ---------------------------------------------------------------------------------------------------------------------- */

static void open_link(struct link *l)
{
    struct state *st = calloc(1, sizeof *st);
    if (!st)
        die("out of memory");
    l->state = st;
    arena_init(&st->arena, ARENA_BYTES);
    kafka_out_init(&st->out, LOAD_REQUEST_MAX);
    buf_init(&st->batch, LOAD_REQUEST_MAX);
    for (unsigned i = 0; i < LOAD_PARTITIONS; i++)
        st->offset[i] = l->consumer ? 0 : -1;
}

static void create_topic(struct link *l)
{
    const struct load *load = l->load;
    struct kafka_create_topics_request_config configs[16];
    for (unsigned i = 0; i < load->config_count; i++) {
        const char *equals = strchr(load->configs[i], '=');
        configs[i] = (struct kafka_create_topics_request_config){
            .name = slice_of(load->configs[i], (size_t)(equals - load->configs[i])), .value = slice_str(equals + 1)};
    }
    struct kafka_create_topics_request_topic topic = kafka_create_topics_request_topic_default;
    topic.name = slice_str(load->topic);
    topic.num_partitions = (int32_t)load->partitions;
    topic.replication_factor = 1;
    topic.assignments.items = KAFKA_EMPTY;
    topic.configs.items = load->config_count ? configs : KAFKA_EMPTY;
    topic.configs.count = load->config_count;
    struct kafka_create_topics_request request = kafka_create_topics_request_default;
    request.topics.items = &topic;
    request.topics.count = 1;
    request.timeout_ms = TIMEOUT_MS;
    struct kafka_create_topics_response response;
    call(l, KAFKA_API_CREATE_TOPICS, CREATE_VERSION, &request, &response);
    int16_t e = response.topics.count == 1 ? response.topics.items[0].error_code : -1;
    if (e != KAFKA_NONE && e != KAFKA_TOPIC_ALREADY_EXISTS)
        die("topic %s was not created: error %d", load->topic, e);
}

static bool has_leaders(struct link *l)
{
    struct kafka_metadata_request_topic topic = kafka_metadata_request_topic_default;
    topic.name = slice_str(l->load->topic);
    struct kafka_metadata_request request = kafka_metadata_request_default;
    request.topics.items = &topic;
    request.topics.count = 1;
    request.allow_auto_topic_creation = false;
    struct kafka_metadata_response response;
    call(l, KAFKA_API_METADATA, METADATA_VERSION, &request, &response);
    if (response.topics.count != 1 || response.topics.items[0].error_code)
        return false;
    const struct kafka_metadata_response_topic *found = &response.topics.items[0];
    for (uint32_t i = 0; i < found->partitions.count; i++)
        if (found->partitions.items[i].error_code || found->partitions.items[i].leader_id < 0)
            return false;
    if (found->partitions.count != l->load->partitions)
        die("topic %s has %u partitions", l->load->topic, found->partitions.count);
    return true;
}

/* The broker may not have heard yet what its own metadata say: it does when it tells an offset. */
static bool has_logs(struct link *l)
{
    struct kafka_list_offsets_request_partition partitions[LOAD_PARTITIONS];
    for (unsigned i = 0; i < l->load->partitions; i++) {
        partitions[i] = kafka_list_offsets_request_partition_default;
        partitions[i].partition_index = (int32_t)i;
        partitions[i].timestamp = -1;
    }
    struct kafka_list_offsets_request_topic topic = kafka_list_offsets_request_topic_default;
    topic.name = slice_str(l->load->topic);
    topic.partitions.items = partitions;
    topic.partitions.count = l->load->partitions;
    struct kafka_list_offsets_request request = kafka_list_offsets_request_default;
    request.replica_id = -1;
    request.topics.items = &topic;
    request.topics.count = 1;
    struct kafka_list_offsets_response response;
    call(l, KAFKA_API_LIST_OFFSETS, LIST_VERSION, &request, &response);
    for (uint32_t t = 0; t < response.topics.count; t++)
        for (uint32_t i = 0; i < response.topics.items[t].partitions.count; i++)
            if (response.topics.items[t].partitions.items[i].error_code)
                return false;
    return response.topics.count == 1;
}

static void setup(struct load *load)
{
    static struct link link;
    uint64_t end_ns = measure_clock_ns() + LOAD_PATIENCE_S * SECOND;
    link.load = load;
    link_connect(&link);
    open_link(&link);
    create_topic(&link);
    while (!has_leaders(&link) || !has_logs(&link))
        if (measure_clock_ns() > end_ns)
            die("topic %s has no leader", load->topic);
}

static void drop(struct load *load)
{
    static struct link link;
    struct slice name = slice_str(load->topic);
    struct kafka_delete_topics_request request = kafka_delete_topics_request_default;
    struct kafka_delete_topics_response response;
    request.topic_names.items = &name;
    request.topic_names.count = 1;
    request.timeout_ms = TIMEOUT_MS;
    link.load = load;
    link_connect(&link);
    open_link(&link);
    call(&link, KAFKA_API_DELETE_TOPICS, DELETE_VERSION, &request, &response);
    if (response.responses.count != 1 || response.responses.items[0].error_code)
        die("topic %s was not deleted", load->topic);
}

/* --- producing ------------------------------------------------------------------------------------------------------------------- */

static void build_batch(struct state *st, const uint8_t *payloads, unsigned n, size_t payload_bytes)
{
    struct batch_builder builder;
    int64_t now_ms = (int64_t)time(NULL) * 1000; /* what is old is deleted by its retention */
    buf_reset(&st->batch);
    batch_begin(&builder, &st->batch, 0);
    for (unsigned i = 0; i < n; i++)
        batch_add(&builder, now_ms, SLICE_EMPTY, slice_of(payloads + i * payload_bytes, payload_bytes), NULL, 0);
    must(batch_end(&builder, BATCH_NO_PRODUCER), "batch");
}

static size_t encode(struct link *l, const uint8_t *payloads, unsigned n, uint8_t *to)
{
    struct state *st = l->state;
    unsigned first = link_first_partition(l), count = link_partitions(l);
    build_batch(st, payloads, n, l->load->payload_bytes);
    for (unsigned i = 0; i < count; i++)
        st->produced[i] = (struct kafka_produce_request_partition){
            .index = (int32_t)(first + i), .records = {.bytes = slice_of(st->batch.data, st->batch.size)}};
    struct kafka_produce_request_topic topic = kafka_produce_request_topic_default;
    topic.name = slice_str(l->load->topic);
    topic.partition_data.items = st->produced;
    topic.partition_data.count = count;
    struct kafka_produce_request request = kafka_produce_request_default;
    request.acks = 1;
    request.timeout_ms = TIMEOUT_MS;
    request.topic_data.items = &topic;
    request.topic_data.count = 1;
    make_frame(st, KAFKA_API_PRODUCE, PRODUCE_VERSION, &request);
    st->asked--; /* stamp gives the number */
    memcpy(to, st->out.buf.data, st->out.buf.size);
    return st->out.buf.size;
}

static void stamp(struct link *l, struct request *r)
{
    struct state *st = l->state;
    uint32_t correlation = __builtin_bswap32((uint32_t)st->asked++);
    memcpy(r->head, r->body, HEAD);
    memcpy(r->head + CORRELATION_AT, &correlation, sizeof correlation);
    r->head_size = HEAD;
    r->body += HEAD;
    r->body_size -= HEAD;
}

static void take_produced(struct link *l, struct slice frame)
{
    struct state *st = l->state;
    struct kafka_produce_response response;
    read_answer(st, frame, KAFKA_API_PRODUCE, PRODUCE_VERSION, &response);
    uint32_t messages = l->ring[l->head % LOAD_DEPTH].messages, partitions = link_partitions(l);
    if (response.responses.count != 1 || response.responses.items[0].partition_responses.count != partitions)
        die("Produce: not every partition is answered");
    for (uint32_t i = 0; i < partitions; i++) {
        const struct kafka_produce_response_partition *p = &response.responses.items[0].partition_responses.items[i];
        if ((uint32_t)p->index >= LOAD_PARTITIONS)
            die("Produce: an answer for partition %d", p->index);
        int64_t *next = &st->offset[p->index];
        if (p->error_code)
            load_failed(l, kafka_error_name(p->error_code));
        else if (*next >= 0 && p->base_offset != *next)
            load_failed(l, "Produce: the base offset is not the one behind the last batch");
        *next = p->base_offset + messages / partitions;
    }
    load_acked(l, messages);
}

/* --- consuming ------------------------------------------------------------------------------------------------------------------- */

static void pull(struct link *l)
{
    struct state *st = l->state;
    unsigned first = link_first_partition(l), count = link_partitions(l);
    for (unsigned i = 0; i < count; i++) {
        st->fetched[i] = kafka_fetch_request_partition_default;
        st->fetched[i].partition = (int32_t)(first + i);
        st->fetched[i].fetch_offset = st->offset[first + i];
        st->fetched[i].partition_max_bytes = FETCH_BYTES;
    }
    struct kafka_fetch_request_topic topic = kafka_fetch_request_topic_default;
    topic.topic = slice_str(l->load->topic);
    topic.partitions.items = st->fetched;
    topic.partitions.count = count;
    struct kafka_fetch_request request = kafka_fetch_request_default;
    request.max_wait_ms = WAIT_MS;
    request.min_bytes = 1;
    request.topics.items = &topic;
    request.topics.count = 1;
    request.forgotten_topics_data.items = KAFKA_EMPTY;
    request.rack_id = SLICE("");
    make_frame(st, KAFKA_API_FETCH, FETCH_VERSION, &request);
    load_queue(l, st->out.buf.data, st->out.buf.size, 1);
}

static void take_records(struct link *l, const struct batch_header *header, struct slice batch)
{
    struct batch_records records;
    struct batch_record record;
    batch_records_init(&records, header, batch_payload(batch));
    while (batch_next_record(&records, &record))
        load_returned(l, record.value.data, record.value.size);
    if (records.damaged)
        load_failed(l, "Fetch: a record is damaged");
}

/* The one at the start of bytes. Its size; 0: it is not all there, as the last one of an answer may be. */
static size_t take_batch(struct link *l, struct slice bytes, int64_t *next)
{
    struct batch_header header;
    if (bytes.size < BATCH_HEADER_BYTES)
        return 0;
    if (batch_read_header(bytes.data, &header))
        die("Fetch: what came is no batch");
    if (header.size > bytes.size)
        return 0;
    struct slice batch = slice_take(bytes, header.size);
    if (header.base_offset != *next)
        load_failed(l, "Fetch: the base offset is not the one behind the last batch");
    if (!l->load->unchecked && !batch_crc_ok(batch))
        load_failed(l, "Fetch: the checksum of a batch is wrong");
    if (l->load->mode == LOAD_LATENCY)
        take_records(l, &header, batch);
    else
        load_delivered(l, header.record_count, header.size);
    *next = batch_last_offset(&header) + 1;
    return header.size;
}

static void take_partition(struct link *l, const struct kafka_fetch_response_partition *p)
{
    struct state *st = l->state;
    struct slice rest = p->records.bytes;
    if (p->error_code)
        load_failed(l, kafka_error_name(p->error_code));
    if ((uint32_t)p->partition_index >= LOAD_PARTITIONS)
        die("Fetch: an answer for partition %d", p->partition_index);
    int64_t *next = &st->offset[p->partition_index];
    for (size_t n; (n = take_batch(l, rest, next));)
        rest = slice_skip(rest, n);
    if (l->load->mode == LOAD_CONSUME && *next >= p->high_watermark)
        *next = p->log_start_offset;
}

static void take_fetched(struct link *l, struct slice frame)
{
    struct kafka_fetch_response response;
    read_answer(l->state, frame, KAFKA_API_FETCH, FETCH_VERSION, &response);
    if (response.error_code)
        load_failed(l, kafka_error_name(response.error_code));
    for (uint32_t t = 0; t < response.responses.count; t++)
        for (uint32_t i = 0; i < response.responses.items[t].partitions.count; i++)
            take_partition(l, &response.responses.items[t].partitions.items[i]);
    load_acked(l, 1);
}

static size_t take(struct link *l, const uint8_t *bytes, size_t size)
{
    size_t whole = whole_frame(bytes, size);
    struct slice frame = slice_of(bytes + KAFKA_FRAME_SIZE_BYTES, whole ? whole - KAFKA_FRAME_SIZE_BYTES : 0);
    if (whole && l->consumer)
        take_fetched(l, frame);
    else if (whole)
        take_produced(l, frame);
    return whole;
}

const struct protocol protocol_kafka = {"kafka", true, setup, drop, open_link, encode, stamp, pull, take};
