/* RabbitMQ's stream protocol: a stream a partition, a Publish of as many messages as a batch has; chunks by credit. Checked of each
 * answer: that publishing ids are confirmed one after the other, and of what is read the checksums (CRC-32) and offsets of chunks.
 * Source: rabbitmq-server, deps/rabbitmq_stream/docs/PROTOCOL.adoc, and deps/osiris for chunks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "protocols.h"

enum command {
    DECLARE_PUBLISHER = 1,
    PUBLISH = 2,
    PUBLISH_CONFIRM = 3,
    PUBLISH_ERROR = 4,
    SUBSCRIBE = 7,
    DELIVER = 8,
    CREDIT = 9,
    CREATE = 13,
    DELETE = 14,
    PEER_PROPERTIES = 17,
    SASL_HANDSHAKE = 18,
    SASL_AUTHENTICATE = 19,
    TUNE = 20,
    OPEN = 21,
    RESPONSE = 0x8000,
};
enum {
    HEAD = 8 /* size, key, version */,
    RESPONSE_OK = 1,
    STREAM_EXISTS = 5,
    CHUNK_HEAD = 48,
    CREDITS = 20,
    FIRST = 1
};

struct state {
    uint64_t published[LOAD_PARTITIONS], confirmed[LOAD_PARTITIONS]; /* publishing ids, of the next */
    uint64_t offset[LOAD_PARTITIONS];
    uint32_t correlation;
};

/* --- bytes ----------------------------------------------------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = bytes; i--; value >>= 8)
        to[i] = (uint8_t)value;
    return to + bytes;
}

static uint64_t get(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | from[i];
    return value;
}

static uint8_t *put_text(uint8_t *to, const char *text)
{
    size_t size = strlen(text);
    to = put(to, size, 2);
    memcpy(to, text, size);
    return to + size;
}

static size_t whole_frame(const uint8_t *bytes, size_t size)
{
    size_t whole = size >= 4 ? get(bytes, 4) + 4 : 0;
    return whole && size >= whole ? whole : 0;
}

static uint8_t *begin(uint8_t *frame, unsigned key)
{
    return put(put(frame + 4, key, 2), 1, 2);
}

static size_t end(uint8_t *frame, const uint8_t *to)
{
    put(frame, (uint64_t)(to - frame) - 4, 4);
    return (size_t)(to - frame);
}

/* --- before the run -------------------------------------------------------------------------------------------------------------- */

/* A frame that is answered with a code: sends what was put behind HEAD and the correlation. */
static unsigned call(struct link *l, uint8_t *frame, const uint8_t *to, unsigned key)
{
    size_t size;
    const uint8_t *answer = link_call(l, frame, end(frame, to), whole_frame, &size);
    if (size < HEAD + 6 || get(answer + 4, 2) != (RESPONSE | key))
        die("rabbit: command %u was answered by %llx", key, (unsigned long long)get(answer + 4, 2));
    unsigned code = (unsigned)get(answer + HEAD + 4, 2);
    link_consume(l, size);
    return code;
}

static uint8_t *begin_call(struct link *l, uint8_t *frame, unsigned key)
{
    struct state *st = l->state;
    return put(begin(frame, key), st->correlation++, 4);
}

static void must(unsigned code, const char *what)
{
    if (code != RESPONSE_OK)
        die("rabbit: %s: response code %u", what, code);
}

static void say_hello(struct link *l)
{
    static const char plain[] = "\0guest\0guest";
    uint8_t f[256], *to;
    must(call(l, f, put(begin_call(l, f, PEER_PROPERTIES), 0, 4), PEER_PROPERTIES), "peer properties");
    must(call(l, f, begin_call(l, f, SASL_HANDSHAKE), SASL_HANDSHAKE), "SASL");
    to = put(put_text(begin_call(l, f, SASL_AUTHENTICATE), "PLAIN"), sizeof plain - 1, 4);
    memcpy(to, plain, sizeof plain - 1);
    must(call(l, f, to + sizeof plain - 1, SASL_AUTHENTICATE), "authentication");
    size_t size;
    const uint8_t *tune = link_call(l, "", 0, whole_frame, &size);
    uint32_t frame_max = (uint32_t)get(tune + HEAD, 4);
    link_consume(l, size);
    link_send_all(l, f, end(f, put(put(begin(f, RESPONSE | TUNE), frame_max, 4), 0, 4))); /* no heartbeats */
    must(call(l, f, put_text(begin_call(l, f, OPEN), "/"), OPEN), "open");
}

static uint8_t *put_stream(uint8_t *to, const struct load *load, unsigned partition)
{
    char name[128];
    snprintf(name, sizeof name, "%.100s-%u", load->topic, partition);
    return put_text(to, name);
}

/* Not awaited: what it delivers may come before the answer. */
static void queue_subscription(struct link *l, unsigned i)
{
    uint8_t f[256], *to = put_stream(put(begin_call(l, f, SUBSCRIBE), i, 1), l->load, link_first_partition(l) + i);
    to = put(put(put(to, FIRST, 2), CREDITS, 2), 0, 4);
    load_queue(l, f, end(f, to), 0);
}

static void declare_publisher(struct link *l, unsigned i)
{
    uint8_t f[256], *to = put_text(put(begin_call(l, f, DECLARE_PUBLISHER), i, 1), "");
    must(call(l, f, put_stream(to, l->load, link_first_partition(l) + i), DECLARE_PUBLISHER), "declare publisher");
}

static void open_link(struct link *l)
{
    l->state = calloc(1, sizeof(struct state));
    if (!l->state || link_partitions(l) > 255)
        die("out of memory, or more than 255 streams on a connection");
    say_hello(l);
    for (unsigned i = 0; i < link_partitions(l); i++)
        (l->consumer ? queue_subscription : declare_publisher)(l, i);
}

static void open_admin(struct load *load, struct link *link)
{
    static struct state st;
    *link = (struct link){.load = load, .state = &st};
    link_connect(link);
    say_hello(link);
}

static void setup(struct load *load)
{
    static struct link link;
    uint8_t f[256];
    if (load->mode == LOAD_CONSUME)
        return;
    open_admin(load, &link);
    for (unsigned p = 0; p < load->partitions; p++) {
        unsigned code = call(&link, f, put(put_stream(begin_call(&link, f, CREATE), load, p), 0, 4), CREATE);
        if (code != STREAM_EXISTS)
            must(code, "create");
    }
}

static void drop(struct load *load)
{
    static struct link link;
    uint8_t f[256];
    open_admin(load, &link);
    for (unsigned p = 0; p < load->partitions; p++)
        must(call(&link, f, put_stream(begin_call(&link, f, DELETE), load, p), DELETE), "delete");
}

/* --- the run --------------------------------------------------------------------------------------------------------------------- */

static size_t encode(struct link *l, const uint8_t *payloads, unsigned n, uint8_t *to)
{
    struct state *st = l->state;
    size_t payload = l->load->payload_bytes;
    uint8_t *at = to;
    for (unsigned i = 0; i < link_partitions(l); i++) {
        uint8_t *frame = at;
        at = put(put(begin(frame, PUBLISH), i, 1), n, 4);
        for (unsigned k = 0; k < n; k++) {
            at = put(put(at, st->published[i] + k, 8), payload, 4);
            memcpy(at, payloads + k * payload, payload);
            at += payload;
        }
        end(frame, at);
    }
    return (size_t)(at - to);
}

/* A publisher without a name may use a publishing id again: those of an encoded request stay 0 to n - 1, and so are confirmed. */
static void take_confirm(struct link *l, const uint8_t *body)
{
    struct state *st = l->state;
    unsigned i = body[0];
    uint32_t count = (uint32_t)get(body + 1, 4), each = l->ring[l->head % LOAD_DEPTH].messages / link_partitions(l);
    for (uint32_t k = 0; k < count; k++) {
        uint64_t id = get(body + 5 + 8 * (size_t)k, 8);
        if (l->load->mode == LOAD_PRODUCE && id != st->confirmed[i])
            load_failed(l, "rabbit: publishing ids are not confirmed in order");
        st->confirmed[i] = (id + 1) % each;
    }
    load_acked(l, count);
}

static void take_entries(struct link *l, const uint8_t *at, const uint8_t *stop, uint32_t count)
{
    for (; count; count--) {
        size_t size = stop - at >= 4 ? get(at, 4) : UINT32_MAX;
        if (size > (size_t)(stop - at) - 4)
            die("rabbit: an entry is longer than its chunk");
        load_returned(l, at + 4, size);
        at += 4 + size;
    }
}

static void give_credit(struct link *l, unsigned subscription)
{
    uint8_t f[16];
    load_queue(l, f, end(f, put(put(begin(f, CREDIT), subscription, 1), 1, 2)), 0);
}

/* Magic and version, type (0: of users), entries 2, records 4, time 8, epoch 8, first offset 8, CRC 4, size of data 4, of trailer 4, 4. */
static void take_chunk(struct link *l, unsigned i, const uint8_t *chunk, size_t size)
{
    struct state *st = l->state;
    uint32_t records = (uint32_t)get(chunk + 4, 4), crc = (uint32_t)get(chunk + 32, 4),
             data = (uint32_t)get(chunk + 36, 4);
    uint64_t first = get(chunk + 24, 8);
    if (size < CHUNK_HEAD || size - CHUNK_HEAD < data)
        die("rabbit: a chunk is cut");
    if (first != st->offset[i])
        load_failed(l, "rabbit: offsets have a gap");
    st->offset[i] = first + records;
    if (!l->load->unchecked && crc32(0, chunk + CHUNK_HEAD, data) != crc)
        load_failed(l, "rabbit: the checksum of a chunk is wrong");
    if (l->load->mode == LOAD_LATENCY)
        take_entries(l, chunk + CHUNK_HEAD, chunk + CHUNK_HEAD + data, records);
    else
        load_delivered(l, records, data);
    give_credit(l, i);
}

static size_t take(struct link *l, const uint8_t *bytes, size_t size)
{
    size_t whole = whole_frame(bytes, size);
    if (!whole)
        return 0;
    unsigned key = (unsigned)get(bytes + 4, 2);
    if (key == PUBLISH_CONFIRM)
        take_confirm(l, bytes + HEAD);
    else if (key == PUBLISH_ERROR)
        die("rabbit: a message was refused, code %u", (unsigned)get(bytes + HEAD + 13, 2));
    else if (key == (RESPONSE | SUBSCRIBE))
        must((unsigned)get(bytes + HEAD + 4, 2), "subscribe");
    else if (key == DELIVER)
        take_chunk(l, bytes[HEAD] % LOAD_PARTITIONS, bytes + HEAD + 1, whole - HEAD - 1);
    return whole;
}

const struct protocol protocol_rabbit = {"rabbit", false, setup, drop, open_link, encode, NULL, NULL, take};
