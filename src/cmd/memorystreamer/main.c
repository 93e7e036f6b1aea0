/* memorystreamer, a broker of Kafka's protocol. How a request goes through it:
 *
 *   streamer/connection.c, frames.c   bytes become a request
 *   streamer/dispatch.c               finds its handler: api_*.c
 *   streamer/partition.c, journal/    what is kept
 *   streamer/answers.c                answers leave in order */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/limits.h"
#include "cmd/memorystreamer/memorystreamer.h"

static const char help[] =
    "usage: memorystreamer [OPTION]...\n"
    "       memorystreamer fsck DIR         look at a data folder: what is damaged, where\n"
    "       memorystreamer dump SEGMENT     print the batches of a segment (DIR/logs/*/*.log)\n"
    "\n"
    "A broker for Kafka clients: topics, partitions, consumer groups, on one node. Starts without a\n"
    "configuration.\n"
    "\n"
    "  --config FILE              configuration, see docs/reference/configuration.md\n"
    "  --check-config             say whether the configuration is valid, and end\n"
    "  --data-dir DIR             everything that is kept; default ./memorystreamer-data\n"
    "  --listen HOST:PORT         Kafka's protocol; default 127.0.0.1:9092; port 0: a free one\n"
    "  --metrics-listen HOST:PORT metrics and health over HTTP; default: none\n"
    "  --workers N                event loops, a shard each; default 1\n"
    "  --log-level LEVEL          debug, info, warn or error; default info\n"
    "  --faults NAME=N/M,...      let things go wrong, for tests\n"
    "  --help, --version\n"
    "\n"
    "What the command line says goes before what the file says. Once it serves, it prints one line of\n"
    "JSON: {\"event\":\"ready\",\"listen\":\"127.0.0.1:9092\",…}; logs go to standard error. SIGHUP reads the\n"
    "configuration again. SIGTERM answers what is under way, flushes and ends; a second one ends at once.\n"
    "\n"
    "examples:\n"
    "  memorystreamer --data-dir /var/lib/memorystreamer --listen 0.0.0.0:9092\n"
    "  echo hello | kcat -b 127.0.0.1:9092 -t greetings -P\n"
    "  memorystreamer fsck /var/lib/memorystreamer\n";

enum {
    OPTION_CONFIG = 256,
    OPTION_CHECK,
    OPTION_DATA_DIR,
    OPTION_LISTEN,
    OPTION_METRICS,
    OPTION_WORKERS,
    OPTION_LOG_LEVEL,
    OPTION_FAULTS,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"check-config", no_argument, NULL, OPTION_CHECK},
    {"data-dir", required_argument, NULL, OPTION_DATA_DIR},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"metrics-listen", required_argument, NULL, OPTION_METRICS},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"faults", required_argument, NULL, OPTION_FAULTS},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static _Noreturn void usage_error(const char *format, const char *what)
{
    fprintf(stderr, "memorystreamer: ");
    fprintf(stderr, format, what); /* NOLINT: formats are literals below */
    fprintf(stderr, "; see memorystreamer --help\n");
    exit(err_row(ERR_USAGE)->exit_code);
}

static uint32_t parse_workers(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (!*text || *end || n < 1 || n > LIMIT_WORKERS)
        usage_error("--workers takes a number from 1 to 64, not `%s`", text);
    return (uint32_t)n;
}

struct command {
    struct streamer_source source;
    bool check;
};

static void take_option(struct command *c, int option)
{
    struct streamer_source *s = &c->source;
    switch (option) {
    case OPTION_CONFIG:
        s->file = optarg;
        break;
    case OPTION_CHECK:
        c->check = true;
        break;
    case OPTION_METRICS:
        s->metrics_listen = optarg;
        break;
    case OPTION_DATA_DIR:
        s->data_dir = optarg;
        break;
    case OPTION_LISTEN:
        s->listen = optarg;
        break;
    case OPTION_WORKERS:
        s->workers = parse_workers(optarg);
        break;
    case OPTION_LOG_LEVEL:
        s->log_level = optarg;
        break;
    case OPTION_FAULTS:
        if (fault_arm(optarg, 1))
            usage_error("--faults takes names of fault points, NAME=N/M, NAME=@N or NAME=@N+, not `%s`", optarg);
        break;
    case OPTION_HELP:
        fputs(help, stdout);
        exit(0);
    case OPTION_VERSION:
        puts("memorystreamer " PRISM_VERSION);
        exit(0);
    default:
        exit(err_row(ERR_USAGE)->exit_code); /* getopt has said why */
    }
}

int main(int argc, char **argv)
{
    struct command command = {0};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        take_option(&command, option);
    if (optind + 2 == argc && strcmp(argv[optind], "fsck") == 0)
        return fsck(argv[optind + 1]);
    if (optind + 2 == argc && strcmp(argv[optind], "dump") == 0)
        return dump(argv[optind + 1]);
    if (optind < argc)
        usage_error("unexpected argument `%s`", argv[optind]);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its size limit is a full disk, not the end */
    return command.check ? check_config(&command.source) : serve(&command.source);
}
