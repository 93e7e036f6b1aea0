/* NATS JetStream: a stream a partition, a PUB a message with an inbox for its acknowledgement, as many in one write as a batch has;
 * read by a push consumer with flow control. Checked of each answer: that it is an acknowledgement, and that sequence numbers have
 * no gap, of what was written and of what is read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocols.h"

enum { API_SID = 1, ACK_SID = 2, DELIVERY_SID = 3, LINE_MAX = 4096, FIELDS = 16 };

struct state {
    unsigned long long last[LOAD_PARTITIONS]; /* sequence number; 0: none yet */
};

/* --- messages -------------------------------------------------------------------------------------------------------------------- */

/* Inboxes carry the process: a consumer of an earlier run may still deliver to its own. "MSG subject sid [reply] size", or HMSG with a size of headers; other lines have no payload. */
struct message {
    char words[FIELDS][256];
    unsigned count;
    bool with_headers;
    const uint8_t *payload;
    size_t headers_size, size;
    size_t whole; /* bytes of all */
};

static unsigned split(const uint8_t *bytes, size_t size, char words[FIELDS][256])
{
    char copy[LINE_MAX], *rest = copy;
    unsigned n = 0;
    snprintf(copy, sizeof copy, "%.*s", (int)size, (const char *)bytes);
    for (char *word; n < FIELDS && (word = strsep(&rest, " "));)
        snprintf(words[n++], 256, "%s", word);
    return n;
}

/* false: it is not all there. */
static bool read_message(const uint8_t *bytes, size_t size, struct message *m)
{
    const uint8_t *end = size ? memmem(bytes, size, "\r\n", 2) : NULL;
    if (!end)
        return false;
    m->whole = (size_t)(end - bytes) + 2;
    m->size = m->headers_size = 0;
    if (*bytes != 'M' && *bytes != 'H') {
        m->count = split(bytes, m->whole - 2 < 16 ? m->whole - 2 : 16, m->words);
        return true;
    }
    m->count = split(bytes, m->whole - 2, m->words);
    m->with_headers = *bytes == 'H';
    if (m->count < 4)
        die("nats: %.*s", (int)m->whole, (const char *)bytes);
    m->payload = bytes + m->whole;
    m->size = strtoul(m->words[m->count - 1], NULL, 10);
    m->headers_size = m->with_headers ? strtoul(m->words[m->count - 2], NULL, 10) : 0;
    m->whole += m->size + 2;
    return size >= m->whole;
}

static size_t whole_message(const uint8_t *bytes, size_t size)
{
    static struct message m;
    return read_message(bytes, size, &m) ? m.whole : 0;
}

/* --- before the run -------------------------------------------------------------------------------------------------------------- */

static void say_hello(struct link *l)
{
    static const char hello[] =
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":false,"
        "\"lang\":\"c\",\"version\":\"1\",\"protocol\":1}\r\nPING\r\n";
    size_t size;
    link_call(l, "", 0, whole_message, &size); /* INFO */
    link_consume(l, size);
    if (memcmp(link_call(l, hello, sizeof hello - 1, whole_message, &size), "PONG", 4) != 0)
        die("nats: the greeting was not answered");
    link_consume(l, size);
}

static int put_request(const struct link *l, const char *subject, const char *body, char request[LINE_MAX])
{
    return snprintf(request, LINE_MAX, "PUB %s _INBOX.%d.api%u %zu\r\n%s\r\n", subject, getpid(), l->index,
                    strlen(body), body);
}

static void take_api(const struct message *m)
{
    if (m->size && memmem(m->payload, m->size, "\"error\"", 7))
        die("nats: %.*s", (int)m->size, (const char *)m->payload);
}

/* A request to JetStream's own API; its answer comes to the inbox. */
static void ask(struct link *l, const char *subject, const char *body)
{
    char request[LINE_MAX];
    static struct message m;
    size_t size;
    int n = put_request(l, subject, body, request);
    const uint8_t *answer = link_call(l, request, (size_t)n, whole_message, &size);
    read_message(answer, size, &m);
    take_api(&m);
    link_consume(l, size);
}

static void subscribe(struct link *l)
{
    static const char *const inboxes[] = {[API_SID] = "api", [ACK_SID] = "ack", [DELIVERY_SID] = "data"};
    for (unsigned sid = API_SID; sid <= DELIVERY_SID; sid++) {
        char command[128];
        int n = snprintf(command, sizeof command, "SUB _INBOX.%d.%s%u %u\r\n", getpid(), inboxes[sid], l->index, sid);
        link_send_all(l, command, (size_t)n);
    }
}

/* Not awaited: what it delivers may come before the answer. */
static void queue_consumer(struct link *l, unsigned partition)
{
    char subject[256], body[512], request[LINE_MAX];
    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.CREATE.%s-%u", l->load->topic, partition);
    snprintf(body, sizeof body,
             "{\"stream_name\":\"%s-%u\",\"config\":{\"deliver_subject\":\"_INBOX.%d.data%u\",\"ack_policy\":\"none\","
             "\"deliver_policy\":\"all\",\"replay_policy\":\"instant\",\"flow_control\":true,\"idle_heartbeat\":"
             "5000000000}}",
             l->load->topic, partition, getpid(), l->index);
    int n = put_request(l, subject, body, request);
    load_queue(l, (const uint8_t *)request, (size_t)n, 0);
}

static void open_link(struct link *l)
{
    l->state = calloc(1, sizeof(struct state));
    if (!l->state)
        die("out of memory");
    say_hello(l);
    subscribe(l);
    for (unsigned i = 0; l->consumer && i < link_partitions(l); i++)
        queue_consumer(l, link_first_partition(l) + i);
}

static void open_admin(struct load *load, struct link *link)
{
    *link = (struct link){.load = load, .index = LOAD_LINKS};
    link_connect(link);
    say_hello(link);
    subscribe(link);
}

static void setup(struct load *load)
{
    static struct link link;
    if (load->mode == LOAD_CONSUME)
        return;
    open_admin(load, &link);
    for (unsigned p = 0; p < load->partitions; p++) {
        char subject[256], body[512];
        snprintf(subject, sizeof subject, "$JS.API.STREAM.CREATE.%s-%u", load->topic, p);
        snprintf(body, sizeof body,
                 "{\"name\":\"%s-%u\",\"subjects\":[\"%s.%u\"],\"storage\":\"file\",\"retention\":\"limits\"}",
                 load->topic, p, load->topic, p);
        ask(&link, subject, body);
    }
}

static void drop(struct load *load)
{
    static struct link link;
    open_admin(load, &link);
    for (unsigned p = 0; p < load->partitions; p++) {
        char subject[256];
        snprintf(subject, sizeof subject, "$JS.API.STREAM.DELETE.%s-%u", load->topic, p);
        ask(&link, subject, "");
    }
}

/* --- the run --------------------------------------------------------------------------------------------------------------------- */

static size_t encode(struct link *l, const uint8_t *payloads, unsigned n, uint8_t *to)
{
    unsigned first = link_first_partition(l), count = link_partitions(l);
    size_t payload = l->load->payload_bytes;
    uint8_t *at = to;
    for (unsigned p = first; p < first + count; p++)
        for (unsigned i = 0; i < n; i++) {
            at += sprintf((char *)at, "PUB %s.%u _INBOX.%d.ack%u %zu\r\n", l->load->topic, p, getpid(), l->index,
                          payload);
            memcpy(at, payloads + i * payload, payload);
            at = (uint8_t *)memcpy(at + payload, "\r\n", 2) + 2;
        }
    return (size_t)(at - to);
}

static void note_number(struct link *l, unsigned partition, unsigned long long number)
{
    struct state *st = l->state;
    unsigned long long *last = &st->last[partition % LOAD_PARTITIONS];
    if ((*last || l->consumer) && number != *last + 1)
        load_failed(l, "nats: sequence numbers have a gap");
    *last = number;
}

/* {"stream":"bench-0","seq":17} */
static void take_ack(struct link *l, const struct message *m)
{
    char copy[256];
    snprintf(copy, sizeof copy, "%.*s", (int)m->size, (const char *)m->payload);
    const char *number = strstr(copy, "\"seq\":"), *stream = strstr(copy, "\"stream\":\"");
    if (!number || !stream)
        load_failed(l, copy);
    else
        note_number(l, (unsigned)atoi(stream + 11 + strlen(l->load->topic)), strtoull(number + 6, NULL, 10));
    load_acked(l, 1);
}

/* Flow control asks to be answered: a message without payload, to its reply subject. A sign of life has none (two spaces, so an empty
 * word), or names the one that was not answered. */
static void answer_control(struct link *l, const struct message *m)
{
    static const char stalled[] = "Nats-Consumer-Stalled: ";
    char command[300], subject[256] = "";
    const char *named = memmem(m->payload, m->headers_size, stalled, sizeof stalled - 1);
    if (m->count >= 6 && m->words[3][0])
        snprintf(subject, sizeof subject, "%s", m->words[3]);
    else if (named)
        sscanf(named + sizeof stalled - 1, "%255[^\r]", subject);
    int n = snprintf(command, sizeof command, "PUB %s 0\r\n\r\n", subject);
    if (*subject)
        load_queue(l, (const uint8_t *)command, (size_t)n, 0);
}

/* Reply subject: $JS.ACK.stream.consumer.delivered.sequence.… */
static void take_delivery(struct link *l, const struct message *m)
{
    char copy[256], *rest = copy, *words[8];
    if (m->with_headers) {
        answer_control(l, m);
        return;
    }
    snprintf(copy, sizeof copy, "%s", m->words[3]);
    for (unsigned i = 0; i < 8; i++)
        words[i] = strsep(&rest, ".");
    if (m->count < 5 || !words[5])
        die("nats: a delivery without its number");
    note_number(l, (unsigned)atoi(words[2] + strlen(l->load->topic) + 1), strtoull(words[5], NULL, 10));
    if (l->load->mode == LOAD_LATENCY)
        load_returned(l, m->payload, m->size);
    else
        load_delivered(l, 1, m->size);
}

static size_t take(struct link *l, const uint8_t *bytes, size_t size)
{
    static struct message m;
    if (!read_message(bytes, size, &m))
        return 0;
    if (strncmp(m.words[0], "PING", 4) == 0)
        load_queue(l, (const uint8_t *)"PONG\r\n", 6, 0);
    else if (*bytes == '-')
        die("nats: %.*s", (int)m.whole, (const char *)bytes);
    else if (m.size && atoi(m.words[2]) == DELIVERY_SID)
        take_delivery(l, &m);
    else if (m.size && atoi(m.words[2]) == ACK_SID)
        take_ack(l, &m);
    else
        take_api(&m);
    return m.whole;
}

const struct protocol protocol_nats = {"nats", false, setup, drop, open_link, encode, NULL, NULL, take};
