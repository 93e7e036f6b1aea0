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
    "\n"
    "A broker for Kafka clients: topics, partitions, consumer groups, on one node. Starts without a\n"
    "configuration.\n"
    "\n"
    "  --data-dir DIR             everything that is kept; default ./memorystreamer-data\n"
    "  --listen HOST:PORT         Kafka's protocol; default 127.0.0.1:9092; port 0: a free one\n"
    "  --workers N                event loops, a shard each; default 1\n"
    "  --log-level LEVEL          debug, info, warn or error; default info\n"
    "  --faults NAME=N/M,...      let things go wrong, for tests\n"
    "  --help, --version\n"
    "\n"
    "Once it serves, it prints one line of JSON: {\"event\":\"ready\",\"listen\":\"127.0.0.1:9092\",…}; logs go to\n"
    "standard error. SIGTERM answers what is under way, flushes and ends; a second one ends at once.\n"
    "\n"
    "examples:\n"
    "  memorystreamer --data-dir /var/lib/memorystreamer --listen 0.0.0.0:9092\n"
    "  echo hello | kcat -b 127.0.0.1:9092 -t greetings -P\n";

enum {
    OPTION_DATA_DIR = 256,
    OPTION_LISTEN,
    OPTION_WORKERS,
    OPTION_LOG_LEVEL,
    OPTION_FAULTS,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option options[] = {
    {"data-dir", required_argument, NULL, OPTION_DATA_DIR}, {"listen", required_argument, NULL, OPTION_LISTEN},
    {"workers", required_argument, NULL, OPTION_WORKERS},   {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"faults", required_argument, NULL, OPTION_FAULTS},     {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},         {NULL, 0, NULL, 0},
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

static void take_option(struct streamer_source *s, int option)
{
    switch (option) {
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
    struct streamer_source source = {0};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        take_option(&source, option);
    if (optind < argc)
        usage_error("unexpected argument `%s`", argv[optind]);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its size limit is a full disk, not the end */
    return serve(&source);
}
