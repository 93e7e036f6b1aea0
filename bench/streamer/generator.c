/* The generator's command line (load.h says what it does).
 *
 *   generator MODE PROTOCOL PORT [OPTION]...      MODE produce, consume, latency, delete; PROTOCOL kafka, redis, nats, rabbit
 *
 * Results are one line of JSON: messages, rate, processor time a message of the client and of the broker, latency in µs (produce:
 * of a request), and the gaps of an open loop. The exit code is 1 where an answer was wrong or did not come. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "protocols.h"

static const struct protocol *const protocols[] = {&protocol_kafka, &protocol_redis, &protocol_nats, &protocol_rabbit};
static const char *const modes[] = {
    [LOAD_PRODUCE] = "produce", [LOAD_CONSUME] = "consume", [LOAD_LATENCY] = "latency", [LOAD_DELETE] = "delete"};

static const struct option options[] = {
    {"host", required_argument, NULL, 'h'},        /* 127.0.0.1 */
    {"topic", required_argument, NULL, 't'},       /* bench; a stream of the others */
    {"config", required_argument, NULL, 'o'},      /* NAME=VALUE of the topic that is made, as often as wanted */
    {"connections", required_argument, NULL, 'c'}, /* 1 */
    {"partitions", required_argument, NULL, 'p'},  /* of the topic, the same number for each connection: one each */
    {"batch", required_argument, NULL, 'b'},       /* messages: 100 */
    {"size", required_argument, NULL, 'v'},        /* bytes of a message: 100 */
    {"depth", required_argument, NULL, 'd'},       /* requests in flight on a connection: 8 */
    {"seconds", required_argument, NULL, 's'},     /* measured: 1 */
    {"warmup", required_argument, NULL, 'w'},      /* seconds before: 0.2 */
    {"messages", required_argument, NULL, 'n'},    /* or until so many, all of them measured */
    {"rate", required_argument, NULL, 'r'},        /* latency: messages a second, 10000 */
    {"pid", required_argument, NULL, 'i'},         /* of the broker, whose processor time is told */
    {"unchecked", no_argument, NULL, 'u'},         /* checksums of what is read */
    {0},
};

static int index_of(const char *name, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    die("usage: generator produce|consume|latency|delete kafka|redis|nats|rabbit PORT [OPTION]...");
}

static void add_config(struct load *load, const char *text)
{
    if (!strchr(text, '=') || load->config_count == 16)
        die("--config NAME=VALUE, at most 16");
    load->configs[load->config_count++] = text;
}

static void take_option(struct load *load, int option)
{
    switch (option) {
    case 'h':
        load->host = optarg;
        break;
    case 't':
        load->topic = optarg;
        break;
    case 'o':
        add_config(load, optarg);
        break;
    case 'c':
        load->link_count = (unsigned)atoi(optarg);
        break;
    case 'p':
        load->partitions = (unsigned)atoi(optarg);
        break;
    case 'b':
        load->batch = (unsigned)atoi(optarg);
        break;
    case 'v':
        load->payload_bytes = (unsigned)atoi(optarg);
        break;
    case 'd':
        load->depth = (unsigned)atoi(optarg);
        break;
    case 's':
        load->seconds = atof(optarg);
        break;
    case 'w':
        load->warmup = atof(optarg);
        break;
    case 'n':
        load->messages_max = strtoull(optarg, NULL, 10);
        break;
    case 'r':
        load->rate = atof(optarg);
        break;
    case 'i':
        load->broker_pid = atoi(optarg);
        break;
    case 'u':
        load->unchecked = true;
        break;
    default:
        exit(2);
    }
}

static void parse(struct load *load, int argc, char **argv)
{
    const char *names[sizeof protocols / sizeof *protocols];
    for (unsigned i = 0; i < sizeof protocols / sizeof *protocols; i++)
        names[i] = protocols[i]->name;
    *load = (struct load){.host = "127.0.0.1",
                          .topic = "bench",
                          .link_count = 1,
                          .batch = 100,
                          .payload_bytes = 100,
                          .depth = 8,
                          .seconds = 1,
                          .warmup = 0.2,
                          .rate = 10000};
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
        take_option(load, o);
    if (optind != argc - 3)
        index_of("", modes, 0);
    load->mode = (enum load_mode)index_of(argv[optind], modes, sizeof modes / sizeof *modes);
    load->protocol = protocols[index_of(argv[optind + 1], names, sizeof protocols / sizeof *protocols)];
    load->port = (unsigned)atoi(argv[optind + 2]);
    load->partitions = load->partitions ? load->partitions : load->mode == LOAD_LATENCY ? 1 : load->link_count;
    if (load->messages_max)
        load->warmup = 0, load->seconds = 100;
}

static void check(const struct load *load)
{
    if (!load->link_count || load->link_count > LOAD_LINKS || load->partitions > LOAD_PARTITIONS ||
        load->partitions % load->link_count)
        die("--connections 1 to %d; --partitions a multiple of it, at most %d", LOAD_LINKS, LOAD_PARTITIONS);
    if (load->mode == LOAD_LATENCY && load->partitions != 1)
        die("latency is measured on one partition");
    if (!load->depth || load->depth > LOAD_DEPTH || load->payload_bytes < LOAD_STAMP || !load->batch)
        die("--depth 1 to %d, --size at least %d, --batch at least 1", LOAD_DEPTH, LOAD_STAMP);
    size_t largest =
        load->mode == LOAD_LATENCY ? LOAD_DUE_MAX : (size_t)load->batch * (load->partitions / load->link_count);
    if (largest * (load->payload_bytes + 128) > LOAD_REQUEST_MAX)
        die("a request of more than %d bytes", LOAD_REQUEST_MAX);
}

int main(int argc, char **argv)
{
    static struct load load;
    parse(&load, argc, argv);
    check(&load);
    prctl(PR_SET_TIMERSLACK, 1);
    load_run(&load);
    return load.failed != 0;
}
