/* Redis Streams (RESP2): a stream a partition, an XADD a message, as many in one write as a batch has; XREAD. Checked of each
 * answer: that it is an id, and that ids of a stream grow. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocols.h"

enum { READ_COUNT = 1000, WAIT_MS = 500, DEPTH = 8 };

struct id {
    unsigned long long ms, number;
};

struct state {
    struct id last[LOAD_PARTITIONS];
    unsigned answered; /* answers of the oldest request */
};

/* --- RESP ------------------------------------------------------------------------------------------------------------------------ */

struct cursor {
    const uint8_t *at, *end;
};

/* "$5\r\n" and the like: kind and number. false: it is not all there. */
static bool line(struct cursor *c, char *ret_kind, long long *ret_number)
{
    const uint8_t *end = c->at < c->end ? memchr(c->at, '\n', (size_t)(c->end - c->at)) : NULL;
    if (!end)
        return false;
    *ret_kind = (char)*c->at;
    *ret_number = strtoll((const char *)c->at + 1, NULL, 10);
    c->at = end + 1;
    return true;
}

static bool text(struct cursor *c, const uint8_t **ret_data, size_t *ret_size)
{
    char kind;
    long long size;
    if (!line(c, &kind, &size) || c->end - c->at < size + 2)
        return false;
    if (kind != '$' || size < 0)
        die("redis: an answer begins with %c where a text belongs", kind);
    *ret_data = c->at;
    *ret_size = (size_t)size;
    c->at += size + 2;
    return true;
}

/* Count of an array; -1: nil. */
static bool array(struct cursor *c, long long *ret_count)
{
    char kind;
    const uint8_t *begin = c->at;
    if (!line(c, &kind, ret_count))
        return false;
    if (kind != '*')
        die("redis: %.*s", (int)(c->at - begin), (const char *)begin);
    return true;
}

/* Whether one whole value is there: nothing is taken of one that is not. */
static bool is_whole(struct cursor c)
{
    for (long long left = 1; left; left--) {
        char kind;
        long long number;
        if (!line(&c, &kind, &number))
            return false;
        if (kind == '*')
            left += number > 0 ? number : 0;
        if (kind == '$' && number >= 0) {
            if (c.end - c.at < number + 2)
                return false;
            c.at += number + 2;
        }
    }
    return true;
}

static void note_id(struct link *l, unsigned partition, const uint8_t *data, size_t size)
{
    struct state *st = l->state;
    struct id *last = &st->last[partition], id = {0};
    char copy[64];
    snprintf(copy, sizeof copy, "%.*s", (int)size, (const char *)data);
    char *dash;
    id.ms = strtoull(copy, &dash, 10);
    id.number = strtoull(dash + 1, NULL, 10);
    if (*dash != '-' || id.ms < last->ms || (id.ms == last->ms && id.number <= last->number))
        load_failed(l, "redis: ids do not grow");
    *last = id;
}

/* --- the protocol ---------------------------------------------------------------------------------------------------------------- */

static void open_link(struct link *l)
{
    l->state = calloc(1, sizeof(struct state));
    if (!l->state)
        die("out of memory");
}

static size_t whole_line(const uint8_t *bytes, size_t size)
{
    const uint8_t *end = size ? memchr(bytes, '\n', size) : NULL;
    return end ? (size_t)(end - bytes) + 1 : 0;
}

static void drop(struct load *load)
{
    static struct link link;
    char command[128];
    size_t size;
    link.load = load;
    link_connect(&link);
    for (unsigned i = 0; i < load->partitions; i++) {
        int n = snprintf(command, sizeof command, "DEL %s:%u\r\n", load->topic, i);
        if (*link_call(&link, command, (size_t)n, whole_line, &size) != ':')
            die("redis: DEL was not answered");
        link_consume(&link, size);
    }
}

/* Streams are made by what is added. */
static void setup(struct load *load)
{
    if (load->mode != LOAD_CONSUME)
        drop(load);
}

static size_t encode(struct link *l, const uint8_t *payloads, unsigned n, uint8_t *to)
{
    unsigned first = link_first_partition(l), count = link_partitions(l);
    size_t payload = l->load->payload_bytes;
    uint8_t *at = to;
    for (unsigned p = first; p < first + count; p++) {
        char name[64];
        int name_size = snprintf(name, sizeof name, "%s:%u", l->load->topic, p);
        for (unsigned i = 0; i < n; i++) {
            at += sprintf((char *)at, "*5\r\n$4\r\nXADD\r\n$%d\r\n%s\r\n$1\r\n*\r\n$1\r\nv\r\n$%zu\r\n", name_size,
                          name, payload);
            memcpy(at, payloads + i * payload, payload);
            at = (uint8_t *)memcpy(at + payload, "\r\n", 2) + 2;
        }
    }
    return (size_t)(at - to);
}

static void pull(struct link *l)
{
    struct state *st = l->state;
    unsigned first = link_first_partition(l), count = link_partitions(l);
    char command[LOAD_PARTITIONS * 80 + 128];
    int n = snprintf(command, sizeof command, "XREAD COUNT %d%s STREAMS", READ_COUNT,
                     l->load->mode == LOAD_LATENCY ? " BLOCK 500" : "");
    for (unsigned p = first; p < first + count; p++)
        n += snprintf(command + n, sizeof command - (size_t)n, " %.40s:%u", l->load->topic, p);
    for (unsigned p = first; p < first + count; p++)
        n += snprintf(command + n, sizeof command - (size_t)n, " %llu-%llu", st->last[p].ms, st->last[p].number);
    n += snprintf(command + n, sizeof command - (size_t)n, "\r\n");
    load_queue(l, (const uint8_t *)command, (size_t)n, 1);
}

/* One entry: [id, [field, value]]. */
static void take_entry(struct link *l, struct cursor *c, unsigned partition)
{
    long long count;
    const uint8_t *id, *field, *value;
    size_t id_size, field_size, value_size;
    if (!array(c, &count) || !text(c, &id, &id_size) || !array(c, &count) || !text(c, &field, &field_size) ||
        !text(c, &value, &value_size) || count != 2)
        die("redis: an entry is not what was written");
    note_id(l, partition, id, id_size);
    if (l->load->mode == LOAD_LATENCY)
        load_returned(l, value, value_size);
    else
        load_delivered(l, 1, value_size);
}

static void start_over(struct link *l)
{
    struct state *st = l->state;
    memset(st->last, 0, sizeof st->last);
}

/* [name, entries] */
static void take_stream(struct link *l, struct cursor *c)
{
    long long pair, entries;
    const uint8_t *name;
    size_t name_size;
    if (!array(c, &pair) || !text(c, &name, &name_size) || !array(c, &entries) || name_size <= strlen(l->load->topic))
        die("redis: an answer to XREAD is not what was asked for");
    unsigned partition = (unsigned)atoi((const char *)name + strlen(l->load->topic) + 1);
    for (long long i = 0; i < entries; i++)
        take_entry(l, c, partition % LOAD_PARTITIONS);
}

static size_t take_read(struct link *l, const uint8_t *bytes, size_t size)
{
    struct cursor c = {bytes, bytes + size};
    long long streams;
    if (!is_whole(c) || !array(&c, &streams))
        return 0;
    if (streams <= 0 && l->load->mode == LOAD_CONSUME)
        start_over(l);
    for (long long s = 0; s < streams; s++)
        take_stream(l, &c);
    load_acked(l, 1);
    return (size_t)(c.at - bytes);
}

/* Answers come in the order of the messages: those of one partition after those of another, request by request. */
static size_t take_added(struct link *l, const uint8_t *bytes, size_t size)
{
    struct state *st = l->state;
    struct cursor c = {bytes, bytes + size};
    const uint8_t *id;
    size_t id_size;
    if (size && *bytes == '-' && whole_line(bytes, size))
        die("redis: %.*s", (int)whole_line(bytes, size), (const char *)bytes);
    if (!text(&c, &id, &id_size))
        return 0;
    unsigned messages = l->ring[l->head % LOAD_DEPTH].messages, each = messages / link_partitions(l);
    note_id(l, link_first_partition(l) + st->answered / each, id, id_size);
    st->answered = (st->answered + 1) % messages;
    load_acked(l, 1);
    return (size_t)(c.at - bytes);
}

static size_t take(struct link *l, const uint8_t *bytes, size_t size)
{
    return l->consumer ? take_read(l, bytes, size) : take_added(l, bytes, size);
}

const struct protocol protocol_redis = {"redis", true, setup, drop, open_link, encode, NULL, pull, take};
