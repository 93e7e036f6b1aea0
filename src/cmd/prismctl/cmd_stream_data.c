/* stream produce, stream consume. */
#include <stdlib.h>

#include "base/block.h"
#include "kafka/batch.h"
#include "rpc/gzip.h"
#include "stream.h"

enum { BATCH_RECORDS = 1000, BATCH_BYTES = 512 << 10, PRODUCE_MS = 30000 };

/* ---- produce ---------------------------------------------------------------------------------------------------------- */

/* The hash by which Java's clients choose a partition (murmur2 by Austin Appleby, public domain, with Kafka's seed), so that a key
 * comes to lie where theirs do. */
static uint32_t murmur2(struct slice s)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28c ^ (uint32_t)s.size;
    for (; s.size >= 4; s = slice_skip(s, 4)) {
        uint32_t k = s.data[0] | (uint32_t)s.data[1] << 8 | (uint32_t)s.data[2] << 16 | (uint32_t)s.data[3] << 24;
        k *= m;
        h = h * m ^ (k ^ k >> 24) * m;
    }
    for (size_t i = s.size; i > 0; i--)
        h ^= (uint32_t)s.data[i - 1] << 8 * (i - 1);
    if (s.size)
        h *= m;
    h = (h ^ h >> 13) * m;
    return h ^ h >> 15;
}

struct producer {
    struct cli *cli;
    struct stream_client *client;
    struct slice topic, key; /* key: data NULL: none */
    int32_t partition;
    struct buf batch;
    struct batch_builder builder;
    uint32_t count;
    int64_t first_offset; /* of the last batch */
    uint64_t sent;
};

static void begin_batch(struct producer *p)
{
    buf_reset(&p->batch);
    batch_begin(&p->builder, &p->batch, BATCH_PLAIN);
    p->count = 0;
}

static enum err flush(struct producer *p)
{
    struct kafka_produce_request_partition part = {.index = p->partition};
    struct kafka_produce_request_topic topic = {.name = p->topic, .partition_data = {&part, 1}};
    struct kafka_produce_request in = kafka_produce_request_default;
    struct kafka_produce_response out;
    enum err e = p->count ? batch_end(&p->builder, BATCH_NO_PRODUCER) : OK;
    if (e || !p->count)
        return e;
    part.records.bytes = buf_slice(&p->batch);
    in.transactional_id = SLICE_EMPTY;
    in.acks = -1;
    in.timeout_ms = PRODUCE_MS;
    in.topic_data.items = &topic;
    in.topic_data.count = 1;
    e = stream_ask(p->cli, &p->client, KAFKA_API_PRODUCE, 8, &in, &out);
    if (e)
        return e;
    const struct kafka_produce_response_partition *said = &out.responses.items[0].partition_responses.items[0];
    e = stream_error(p->cli, said->error_code, said->error_message, "topic", p->topic);
    if (e)
        return e;
    p->first_offset = said->base_offset;
    p->sent += p->count;
    begin_batch(p);
    return OK;
}

static enum err add(struct producer *p, struct slice value)
{
    int64_t now_ms = (int64_t)(env_real()->realtime_ns(env_real()) / 1000000);
    batch_add(&p->builder, now_ms, p->key, value, NULL, 0);
    p->count++;
    if (buf_err(&p->batch))
        return diag_set(&p->cli->diag, buf_err(&p->batch), "the records do not fit a batch");
    return p->count >= BATCH_RECORDS || p->batch.size >= BATCH_BYTES ? flush(p) : OK;
}

/* Each line of standard input is a record. */
static enum err add_lines(struct producer *p)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    enum err e = OK;
    while (!e && (size = getline(&line, &capacity, stdin)) >= 0)
        e = add(p, slice_of(line, (size_t)size - (size > 0 && line[size - 1] == '\n')));
    free(line);
    return e;
}

static enum err choose_partition(struct producer *p)
{
    struct kafka_metadata_response r;
    const char *asked = cli_option(p->cli, "partition");
    enum err e = stream_topics(p->cli, &p->client, cli_argument(p->cli, 0), &r);
    uint32_t count = e ? 0 : r.topics.items[0].partitions.count;
    int64_t given = 0;
    if (e || !count)
        return e ? e : diag_set(&p->cli->diag, ERR_UNAVAILABLE, "the topic has no partitions");
    if (asked) {
        e = stream_number(p->cli, asked, "--partition", &given);
        if (!e && given >= count)
            e = diag_set(&p->cli->diag, ERR_NOT_FOUND, "the topic has the partitions 0 to %u", count - 1);
        p->partition = (int32_t)given;
        return e;
    }
    uint32_t random;
    env_real()->random(env_real(), &random, sizeof random);
    p->partition = (int32_t)(p->key.data ? (murmur2(p->key) & INT32_MAX) % count : random % count);
    return OK;
}

static enum err tell_produced(const struct producer *p)
{
    struct buf out;
    if (p->cli->output == OUTPUT_TABLE) {
        printf("%llu record%s to partition %d%s\n", (unsigned long long)p->sent, p->sent == 1 ? "" : "s", p->partition,
               p->sent == 1 ? arena_printf(&p->cli->arena, ", offset %lld", (long long)p->first_offset) : "");
        return OK;
    }
    buf_init(&out, LIMIT_MESSAGE_BYTES);
    struct json j = json_to(&out);
    json_object(&j);
    json_key(&j, "topic"), json_str(&j, p->topic);
    json_key(&j, "partition"), json_int(&j, p->partition);
    json_key(&j, "records"), json_uint(&j, p->sent);
    json_key(&j, "last_batch_offset"), json_int(&j, p->first_offset);
    json_end_object(&j);
    enum err e = stream_print(p->cli, &out);
    buf_fini(&out);
    return e;
}

enum err run_stream_produce(struct cli *cli)
{
    const char *key = cli_option(cli, "key-text"), *value = cli_argument(cli, 1);
    struct producer p = {.cli = cli, .topic = slice_str(cli_argument(cli, 0)), .first_offset = -1};
    struct slice bytes;
    p.key = key ? slice_of(key, strlen(key)) : SLICE_EMPTY;
    buf_init(&p.batch, LIMIT_MESSAGE_BYTES_MAX);
    enum err e = choose_partition(&p);
    begin_batch(&p);
    if (!e && value)
        e = cli_value(cli, value, &bytes);
    if (!e)
        e = value ? add(&p, bytes) : add_lines(&p);
    if (!e)
        e = flush(&p);
    if (!e)
        e = tell_produced(&p);
    buf_fini(&p.batch);
    stream_close(p.client);
    return e;
}

/* ---- consume ---------------------------------------------------------------------------------------------------------- */

enum { FETCH_MS = 500, FETCH_BYTES = 8 << 20, PARTITION_BYTES = 1 << 20, INFLATED_BYTES_MAX = 256 << 20 };

struct reading {
    int32_t index;
    int64_t next, end; /* end: as it was at the start */
};

struct consumer {
    struct cli *cli;
    struct stream_client *client;
    struct slice topic;
    struct reading *parts;
    uint32_t count;
    uint64_t left; /* of --limit */
    bool follows;
    struct gzip gzip;
    struct buf inflated;
};

static void json_of_record(struct consumer *c, struct json *j, int32_t partition, const struct batch_record *r)
{
    json_object(j);
    json_key(j, "partition"), json_int(j, partition);
    json_key(j, "offset"), json_int(j, r->offset);
    json_key(j, "time_ms"), json_int(j, r->time_ms);
    stream_json_bytes(j, &c->cli->arena, "key", r->key);
    stream_json_bytes(j, &c->cli->arena, "value", r->value);
    struct slice headers = r->headers, name, value;
    if (r->header_count) {
        json_key(j, "headers"), json_array(j);
        while (batch_next_header(&headers, &name, &value)) {
            json_object(j);
            json_key(j, "name"), json_str(j, name);
            stream_json_bytes(j, &c->cli->arena, "value", value);
            json_end_object(j);
        }
        json_end_array(j);
    }
    json_end_object(j);
}

/* Values as they are, a line each, or, with --keys, the key and a tab before; JSON a line each. */
static enum err show_record(struct consumer *c, int32_t partition, const struct batch_record *r)
{
    struct buf out;
    enum err e = OK;
    if (c->cli->output == OUTPUT_TABLE) {
        if (cli_flag(c->cli, "keys"))
            printf("%s\t", show_bytes(&c->cli->arena, r->key));
        if (c->cli->terminal)
            fputs(show_bytes(&c->cli->arena, r->value), stdout);
        else
            fwrite(r->value.data, 1, r->value.size, stdout);
        putchar('\n');
        return OK;
    }
    buf_init(&out, LIMIT_CALL_ARENA_BYTES);
    struct json j = json_to(&out);
    json_of_record(c, &j, partition, r);
    if (c->cli->output == OUTPUT_YAML)
        fputs("---\n", stdout);
    e = stream_print(c->cli, &out);
    buf_fini(&out);
    return e;
}

static enum err plain_payload(struct consumer *c, const struct batch_header *h, struct slice batch, struct slice *ret)
{
    static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    *ret = batch_payload(batch);
    if (batch_codec(h) == BATCH_PLAIN)
        return OK;
    if (batch_codec(h) != BATCH_GZIP)
        return diag_set(&c->cli->diag, ERR_COMPRESSION_UNKNOWN,
                        "records from offset %lld on are compressed with %s, which prismctl does not read",
                        (long long)h->base_offset, names[batch_codec(h)]);
    buf_reset(&c->inflated);
    enum err e = gzip_inflate(&c->gzip, *ret, &c->inflated);
    *ret = buf_slice(&c->inflated);
    return e;
}

static enum err show_batch(struct consumer *c, struct reading *part, const struct batch_header *h, struct slice batch)
{
    struct batch_records records;
    struct batch_record r;
    struct slice payload;
    enum err e = h->attributes & BATCH_CONTROL ? OK : plain_payload(c, h, batch, &payload);
    if (e || h->attributes & BATCH_CONTROL)
        return e;
    batch_records_init(&records, h, payload);
    while (!e && c->left && batch_next_record(&records, &r)) {
        if (r.offset < part->next || (!c->follows && r.offset >= part->end))
            continue;
        e = show_record(c, part->index, &r);
        c->left--;
    }
    return !e && records.damaged
               ? diag_set(&c->cli->diag, ERR_CORRUPT, "a batch at offset %lld is damaged", (long long)h->base_offset)
               : e;
}

/* A batch that is cut at the end comes whole with the next fetch. */
static enum err show_batches(struct consumer *c, struct reading *part, struct slice bytes)
{
    enum err e = OK;
    struct batch_header h;
    while (!e && c->left && bytes.size >= BATCH_HEADER_BYTES && batch_read_header(bytes.data, &h) == KAFKA_NONE &&
           h.size <= bytes.size) {
        struct slice batch = slice_take(bytes, h.size);
        if (!batch_crc_ok(batch))
            return diag_set(&c->cli->diag, ERR_CORRUPT, "the batch at offset %lld has a wrong checksum",
                            (long long)h.base_offset);
        e = show_batch(c, part, &h, batch);
        part->next = batch_last_offset(&h) + 1;
        bytes = slice_skip(bytes, h.size);
    }
    return e;
}

static bool is_done(const struct consumer *c)
{
    bool done = !c->follows;
    for (uint32_t i = 0; i < c->count; i++)
        done &= c->parts[i].next >= c->parts[i].end;
    return done || !c->left;
}

static struct reading *part_of(struct consumer *c, int32_t index)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->parts[i].index == index)
            return &c->parts[i];
    return NULL;
}

static enum err take_answer(struct consumer *c, const struct kafka_fetch_response *out)
{
    enum err e = stream_error(c->cli, out->error_code, SLICE_EMPTY, "topic", c->topic);
    for (uint32_t t = 0; !e && t < out->responses.count; t++) {
        for (uint32_t i = 0; !e && i < out->responses.items[t].partitions.count; i++) {
            const struct kafka_fetch_response_partition *p = &out->responses.items[t].partitions.items[i];
            struct reading *part = part_of(c, p->partition_index);
            e = stream_error(c->cli, p->error_code, SLICE_EMPTY, "topic", c->topic);
            if (!e && part)
                e = show_batches(c, part, p->records.bytes);
        }
    }
    return e;
}

static enum err fetch(struct consumer *c)
{
    struct kafka_fetch_request_topic t = {.topic = c->topic};
    struct kafka_fetch_request in = kafka_fetch_request_default;
    struct kafka_fetch_response out;
    t.partitions.items = arena_array(&c->cli->arena, struct kafka_fetch_request_partition, c->count + 1);
    if (!t.partitions.items)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < c->count; i++) {
        if (!c->follows && c->parts[i].next >= c->parts[i].end)
            continue;
        struct kafka_fetch_request_partition *p = &t.partitions.items[t.partitions.count++];
        *p = kafka_fetch_request_partition_default;
        p->partition = c->parts[i].index;
        p->fetch_offset = c->parts[i].next;
        p->partition_max_bytes = PARTITION_BYTES;
    }
    in.replica_id = -1;
    in.max_wait_ms = FETCH_MS;
    in.min_bytes = 1;
    in.max_bytes = FETCH_BYTES;
    in.session_epoch = -1;
    in.topics.items = &t;
    in.topics.count = 1;
    in.rack_id = SLICE("");
    enum err e = stream_ask(c->cli, &c->client, KAFKA_API_FETCH, 11, &in, &out);
    return e ? e : take_answer(c, &out);
}

/* Memory of one fetch at a time. After an error the words about it lie in that memory: the end of the run frees it. */
static enum err fetch_all(struct consumer *c)
{
    struct cli *cli = c->cli;
    enum err e = OK;
    cli->behind = cli->arena;
    arena_init(&cli->arena, SIZE_MAX);
    while (!e && !is_done(c)) {
        arena_reset(&cli->arena);
        e = fetch(c);
        if (!e && (fflush(stdout) || ferror(stdout)))
            e = diag_set(&cli->diag, ERR_FILE, "standard output takes no more");
    }
    return e;
}

/* --from: where each partition begins. */
static enum err find_start(struct consumer *c, const int32_t *indexes, int64_t *offsets)
{
    const char *from = cli_option(c->cli, "from");
    int64_t offset = 0;
    if (strcmp(from, "beginning") == 0)
        return stream_offsets(c->cli, &c->client, c->topic, indexes, c->count, -2, offsets);
    if (strcmp(from, "end") == 0)
        return stream_offsets(c->cli, &c->client, c->topic, indexes, c->count, -1, offsets);
    enum err e = stream_number(c->cli, from, "--from", &offset);
    for (uint32_t i = 0; i < c->count; i++)
        offsets[i] = offset;
    return e;
}

static enum err choose_parts(struct consumer *c, const struct kafka_metadata_response_topic *t, int32_t *indexes)
{
    const char *asked = cli_option(c->cli, "partition");
    int64_t only = -1;
    enum err e = asked ? stream_number(c->cli, asked, "--partition", &only) : OK;
    for (uint32_t i = 0; !e && i < t->partitions.count; i++)
        if (!asked || t->partitions.items[i].partition_index == only)
            indexes[c->count++] = t->partitions.items[i].partition_index;
    return !e && !c->count ? diag_set(&c->cli->diag, ERR_NOT_FOUND, "the topic has no partition %s", asked) : e;
}

static enum err prepare(struct consumer *c)
{
    struct kafka_metadata_response r;
    enum err e = stream_topics(c->cli, &c->client, cli_argument(c->cli, 0), &r);
    if (e)
        return e;
    uint32_t most = r.topics.items[0].partitions.count + 1;
    int32_t *indexes = arena_array(&c->cli->arena, int32_t, most);
    int64_t *starts = arena_array(&c->cli->arena, int64_t, most), *ends = arena_array(&c->cli->arena, int64_t, most);
    c->parts = arena_array(&c->cli->arena, struct reading, most);
    if (!indexes || !starts || !ends || !c->parts)
        return ERR_NOMEM;
    e = choose_parts(c, &r.topics.items[0], indexes);
    if (!e)
        e = find_start(c, indexes, starts);
    if (!e)
        e = stream_offsets(c->cli, &c->client, c->topic, indexes, c->count, -1, ends);
    for (uint32_t i = 0; !e && i < c->count; i++)
        c->parts[i] = (struct reading){.index = indexes[i], .next = starts[i], .end = ends[i]};
    return e;
}

enum err run_stream_consume(struct cli *cli)
{
    uint64_t limit = cli_count(cli, "limit");
    struct consumer c = {.cli = cli,
                         .topic = slice_str(cli_argument(cli, 0)),
                         .left = limit ? limit : UINT64_MAX,
                         .follows = cli_flag(cli, "follow")};
    gzip_init(&c.gzip);
    buf_init(&c.inflated, INFLATED_BYTES_MAX);
    enum err e = prepare(&c);
    if (!e)
        e = fetch_all(&c);
    gzip_fini(&c.gzip);
    buf_fini(&c.inflated);
    stream_close(c.client);
    return e;
}
