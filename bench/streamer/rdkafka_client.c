/* The work of the generator by librdkafka, the client that others wrote: what a broker costs by the same client as another.
 *
 *   rdkafka_client produce|consume|latency PORT [OPTION]...       the topic is there; see options[] below
 *
 *   produce   as fast as its queue takes them, batches of at most --batch, acks 1; every delivery report is looked at
 *   consume   what all partitions hold, from the start to the end; checksums checked by librdkafka, offsets here
 *   latency   open loop: a thread sends what is due (linger 0), each message carries when it was due; another one reads. Beside it:
 *             how late the sending thread woke up, control of the latency
 *
 * Results as generator.c's. */
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/pace.h"
#include "measure.h"

enum { PARTITIONS = 64, PAYLOAD_MAX = 65536, CHUNK = 1000, SHOWN_FAILURES = 3, PATIENCE_S = 20, CONSUME_S = 100 };
enum mode { PRODUCE, CONSUME, LATENCY };

struct client {
    enum mode mode;
    const char *topic_name, *batch;
    unsigned port, partitions, payload_bytes;
    unsigned ended; /* partitions that have been read to their end */
    double seconds, warmup, rate;
    int broker_pid;
    rd_kafka_t *producer, *consumer;
    rd_kafka_topic_t *produced;
    rd_kafka_queue_t *queue;
    int64_t next_produced[PARTITIONS], next_consumed[PARTITIONS]; /* offsets; -1: not known */
    atomic_uint_fast64_t acked, delivered, failed;
    uint64_t sent, measure_ns, end_ns;
    struct hdr *latency, *late;
    uint8_t payload[PAYLOAD_MAX];
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("rdkafka_client: ", stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static void fail(struct client *c, const char *why)
{
    if (atomic_fetch_add(&c->failed, 1) < SHOWN_FAILURES)
        fprintf(stderr, "rdkafka_client: %s\n", why);
}

/* --- opening --------------------------------------------------------------------------------------------------------------------- */

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        die("%s", why);
}

static rd_kafka_conf_t *conf_of(struct client *c)
{
    char servers[64];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    snprintf(servers, sizeof servers, "127.0.0.1:%u", c->port);
    set(conf, "bootstrap.servers", servers);
    set(conf, "socket.nagle.disable", "true");
    rd_kafka_conf_set_opaque(conf, c);
    return conf;
}

static rd_kafka_t *open_kafka(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[256];
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    if (!rk)
        die("%s", why);
    return rk;
}

/* Offsets of a partition come without a gap. */
static void check_offset(struct client *c, int64_t *next, const rd_kafka_message_t *m)
{
    next += (uint32_t)m->partition % PARTITIONS;
    if (*next >= 0 && m->offset != *next)
        fail(c, "offsets have a gap");
    *next = m->offset + 1;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct client *c = opaque;
    (void)rk;
    if (m->err)
        fail(c, rd_kafka_err2str(m->err));
    else
        check_offset(c, c->next_produced, m);
    atomic_fetch_add_explicit(&c->acked, 1, memory_order_relaxed);
}

static void open_producer(struct client *c)
{
    rd_kafka_conf_t *conf = conf_of(c);
    set(conf, "acks", "1");
    set(conf, "linger.ms", c->mode == LATENCY ? "0" : "5");
    set(conf, "batch.num.messages", c->batch);
    set(conf, "queue.buffering.max.messages", "100000");
    set(conf, "queue.buffering.max.kbytes", "1048576");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    c->producer = open_kafka(RD_KAFKA_PRODUCER, conf);
    c->produced = rd_kafka_topic_new(c->producer, c->topic_name, NULL);
}

static void open_consumer(struct client *c)
{
    rd_kafka_conf_t *conf = conf_of(c);
    set(conf, "check.crcs", "true");
    set(conf, "group.id", "none");
    set(conf, "enable.auto.commit", "false");
    set(conf, "enable.partition.eof", c->mode == CONSUME ? "true" : "false");
    set(conf, "queued.min.messages", "1000000");
    c->consumer = open_kafka(RD_KAFKA_CONSUMER, conf);
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new((int)c->partitions);
    for (unsigned i = 0; i < c->partitions; i++)
        rd_kafka_topic_partition_list_add(all, c->topic_name, (int32_t)i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_resp_err_t e = rd_kafka_assign(c->consumer, all);
    if (e)
        die("%s", rd_kafka_err2str(e));
    rd_kafka_topic_partition_list_destroy(all);
    c->queue = rd_kafka_queue_get_consumer(c->consumer);
}

/* --- produce --------------------------------------------------------------------------------------------------------------------- */

static void produce_chunk(struct client *c, int32_t partition)
{
    rd_kafka_message_t messages[CHUNK];
    for (unsigned i = 0; i < CHUNK; i++)
        messages[i] = (rd_kafka_message_t){.payload = c->payload, .len = c->payload_bytes};
    c->sent += (uint64_t)rd_kafka_produce_batch(c->produced, partition, RD_KAFKA_MSG_F_COPY, messages, CHUNK);
}

static void produce_until(struct client *c, uint64_t end_ns)
{
    for (int32_t partition = 0; measure_clock_ns() < end_ns; partition = (partition + 1) % (int32_t)c->partitions) {
        uint64_t before = c->sent;
        produce_chunk(c, partition);
        rd_kafka_poll(c->producer, c->sent < before + CHUNK ? 1 : 0); /* full: until there are reports */
    }
}

static void produce(struct client *c)
{
    open_producer(c);
    uint64_t measure_ns = measure_clock_ns() + (uint64_t)(c->warmup * 1e9);
    produce_until(c, measure_ns);
    struct moment from = measure_moment(c->broker_pid, c->acked);
    produce_until(c, measure_ns + (uint64_t)(c->seconds * 1e9));
    struct moment to = measure_moment(c->broker_pid, c->acked);
    rd_kafka_flush(c->producer, PATIENCE_S * 1000);
    if (c->acked != c->sent)
        fail(c, "messages were never reported");
    measure_report(from, to, c->failed);
    puts("}");
}

/* --- consume --------------------------------------------------------------------------------------------------------------------- */

static void take(struct client *c, rd_kafka_message_t *m)
{
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        c->ended++;
    else if (m->err)
        fail(c, rd_kafka_message_errstr(m));
    else if (m->len != c->payload_bytes)
        fail(c, "a message has another size");
    else
        check_offset(c, c->next_consumed, m);
    atomic_fetch_add_explicit(&c->delivered, !m->err, memory_order_relaxed);
}

static void consume(struct client *c)
{
    rd_kafka_message_t *messages[CHUNK];
    open_consumer(c);
    struct moment from = measure_moment(c->broker_pid, 0);
    while (c->ended < c->partitions && measure_clock_ns() < from.now_ns + CONSUME_S * SECOND) {
        ssize_t n = rd_kafka_consume_batch_queue(c->queue, 100, messages, CHUNK);
        for (ssize_t i = 0; i < n; i++) {
            take(c, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
    }
    struct moment to = measure_moment(c->broker_pid, c->delivered);
    if (c->ended < c->partitions)
        fail(c, "the end of the topic did not come");
    measure_report(from, to, c->failed);
    puts("}");
}

/* --- latency --------------------------------------------------------------------------------------------------------------------- */

static void send_due(struct client *c, struct pace *pace)
{
    uint64_t now_ns = measure_clock_ns();
    if (pace_next(pace) >= c->measure_ns)
        hdr_add(c->late, now_ns - pace_next(pace));
    while (pace_next(pace) <= now_ns && pace_next(pace) < c->end_ns) {
        uint64_t due_ns = pace_take(pace);
        memcpy(c->payload, &due_ns, sizeof due_ns);
        if (rd_kafka_produce(c->produced, 0, RD_KAFKA_MSG_F_COPY, c->payload, c->payload_bytes, NULL, 0, NULL))
            fail(c, "the queue is full");
        c->sent++;
    }
    rd_kafka_poll(c->producer, 0);
}

static void *sender(void *arg)
{
    struct client *c = arg;
    struct pace pace;
    prctl(PR_SET_TIMERSLACK, 1);
    pace_init(&pace, c->rate, c->rate, 0, measure_clock_ns());
    while (pace_next(&pace) < c->end_ns) {
        struct timespec due = {(time_t)(pace_next(&pace) / SECOND), (long)(pace_next(&pace) % SECOND)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        send_due(c, &pace);
    }
    rd_kafka_flush(c->producer, PATIENCE_S * 1000);
    return NULL;
}

static void take_returned(struct client *c, rd_kafka_message_t *m)
{
    uint64_t due_ns, now_ns = measure_clock_ns();
    take(c, m);
    if (m->err || m->len < sizeof due_ns)
        return;
    memcpy(&due_ns, m->payload, sizeof due_ns);
    if (due_ns >= c->measure_ns && due_ns < c->end_ns)
        hdr_add(c->latency, now_ns - due_ns);
}

/* Until all of the schedule came back, or patience is over. */
static void read_back(struct client *c, struct moment *ret_from, struct moment *ret_to)
{
    uint64_t total = 0;
    bool measuring = false;
    while (measure_clock_ns() < c->end_ns || c->delivered < c->acked || c->acked < total) {
        rd_kafka_message_t *m = rd_kafka_consume_queue(c->queue, 100);
        if (m) {
            take_returned(c, m);
            rd_kafka_message_destroy(m);
        }
        uint64_t now_ns = measure_clock_ns();
        if (!measuring && now_ns >= c->measure_ns) {
            *ret_from = measure_moment(c->broker_pid, c->delivered);
            measuring = true;
        }
        if (!total && now_ns >= c->end_ns) {
            *ret_to = measure_moment(c->broker_pid, c->delivered);
            total = (uint64_t)(c->rate * (c->seconds + c->warmup) * 0.99);
        }
        if (now_ns > c->end_ns + PATIENCE_S * SECOND) {
            fail(c, "messages did not come back");
            return;
        }
    }
}

static void latency(struct client *c)
{
    pthread_t thread;
    struct moment from = {0}, to = {0};
    open_producer(c);
    open_consumer(c);
    c->measure_ns = measure_clock_ns() + (uint64_t)(c->warmup * 1e9);
    c->end_ns = c->measure_ns + (uint64_t)(c->seconds * 1e9);
    pthread_create(&thread, NULL, sender, c);
    read_back(c, &from, &to);
    pthread_join(thread, NULL);
    measure_report(from, to, c->failed);
    measure_print("latency_us", c->latency);
    measure_print("gap_us", c->late);
    puts("}");
}

/* --- the command line ------------------------------------------------------------------------------------------------------------ */

static const struct option options[] = {
    {"topic", required_argument, NULL, 't'},      /* bench */
    {"partitions", required_argument, NULL, 'p'}, /* 1 */
    {"batch", required_argument, NULL, 'b'},      /* 100 */
    {"size", required_argument, NULL, 'v'},       /* 100 */
    {"seconds", required_argument, NULL, 's'},    /* 1 */
    {"warmup", required_argument, NULL, 'w'},     /* 0.2 */
    {"rate", required_argument, NULL, 'r'},       /* latency: 10000 */
    {"pid", required_argument, NULL, 'i'},        {0},
};

static void take_option(struct client *c, int option)
{
    switch (option) {
    case 't':
        c->topic_name = optarg;
        break;
    case 'p':
        c->partitions = (unsigned)atoi(optarg);
        break;
    case 'b':
        c->batch = optarg;
        break;
    case 'v':
        c->payload_bytes = (unsigned)atoi(optarg);
        break;
    case 's':
        c->seconds = atof(optarg);
        break;
    case 'w':
        c->warmup = atof(optarg);
        break;
    case 'r':
        c->rate = atof(optarg);
        break;
    case 'i':
        c->broker_pid = atoi(optarg);
        break;
    default:
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct client c;
    c = (struct client){.topic_name = "bench",
                        .batch = "100",
                        .partitions = 1,
                        .payload_bytes = 100,
                        .seconds = 1,
                        .warmup = 0.2,
                        .rate = 10000};
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
        take_option(&c, o);
    if (optind != argc - 2 || !c.partitions || c.partitions > PARTITIONS || c.payload_bytes < 8 ||
        c.payload_bytes > PAYLOAD_MAX)
        die("usage: rdkafka_client produce|consume|latency PORT [OPTION]...");
    c.port = (unsigned)atoi(argv[optind + 1]);
    memset(c.payload, 'v', sizeof c.payload);
    for (unsigned i = 0; i < PARTITIONS; i++)
        c.next_produced[i] = c.next_consumed[i] = -1;
    if (hdr_new(&c.latency) || hdr_new(&c.late))
        die("out of memory");
    if (strcmp(argv[optind], "produce") == 0)
        produce(&c);
    else if (strcmp(argv[optind], "consume") == 0)
        c.mode = CONSUME, consume(&c);
    else
        c.mode = LATENCY, latency(&c);
    fflush(stdout);
    _Exit(c.failed != 0); /* its own goodbye takes long, and says nothing */
}
