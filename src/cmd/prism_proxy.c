/* prism-proxy, the data plane. This file is the list of what is linked; how a call goes through it:
 *
 *   proxy/listener.c        one worker a core: the server of the data port and what it serves
 *   rpc/grpc_server.c       bytes of HTTP/2 become a call of a method (json_server.c: of HTTP/JSON)
 *   proxy/front.c           finds the namespace, sends the call through
 *   proxy/stage_*.c         identify → limit → decode → route
 *   data/call.c             completion, cancelling
 *   drivers/…               does the work: memory/keyvalue_basic.c is the shortest to read */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/limits.h"
#include "drivers/memory/memory.h"
#include "drivers/postgres/postgres.h"
#include "drivers/redis/redis.h"
#include "drivers/sqlite/sqlite.h"
#include "proxy/proxy.h"

/* The backends that a namespace can have. */
static const struct driver *const drivers[] = {&driver_memory, &driver_sqlite, &driver_postgres, &driver_redis};
static const struct driver_registry registry = {drivers, sizeof drivers / sizeof *drivers};

static const char help[] =
    "usage: prism-proxy [OPTION]...\n"
    "\n"
    "Serves key-value data over gRPC and HTTP/JSON. Without a configuration file there are the namespaces\n"
    "default and demo (SQLite) and memory.\n"
    "\n"
    "  --config FILE              configuration, see docs/reference/configuration.md\n"
    "  --check-config             say whether the configuration is valid, and end\n"
    "  --data-dir DIR             everything that is kept; default ./prism-data\n"
    "  --listen HOST:PORT         gRPC and HTTP/JSON; default 127.0.0.1:8980; port 0: a free one\n"
    "  --metrics-listen HOST:PORT metrics, health, operations; default 127.0.0.1:9090\n"
    "  --workers N                event loops; default: the number of cores\n"
    "  --log-level LEVEL          debug, info, warn or error; default info\n"
    "  --faults NAME=N/M,...      let things go wrong, for tests: N of M passes of a fault point; NAME=@N: the N-th;\n"
    "                             NAME=@N+: that and all later ones\n"
    "  --help, --version\n"
    "\n"
    "What the command line says goes before what the file says. Once it serves, it prints one line of JSON:\n"
    "{\"event\":\"ready\",\"listen\":\"127.0.0.1:8980\",\"metrics\":\"127.0.0.1:9090\",…}; logs go to standard error.\n"
    "SIGHUP reads the configuration again. SIGTERM ends after the calls in flight, at most drain_timeout;\n"
    "a second SIGTERM ends at once.\n";

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

struct command {
    struct config_source source;
    bool check;
};

static const char *environment(const char *name)
{
    return getenv(name);
}

static _Noreturn void usage_error(const char *format, const char *what)
{
    fprintf(stderr, "prism-proxy: ");
    fprintf(stderr, format, what); /* NOLINT: formats are literals below */
    fprintf(stderr, "; see prism-proxy --help\n");
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

static void take_option(struct command *c, int option)
{
    switch (option) {
    case OPTION_CONFIG:
        c->source.file = optarg;
        break;
    case OPTION_CHECK:
        c->check = true;
        break;
    case OPTION_DATA_DIR:
        c->source.data_dir = optarg;
        break;
    case OPTION_LISTEN:
        c->source.listen = optarg;
        break;
    case OPTION_METRICS:
        c->source.metrics_listen = optarg;
        break;
    case OPTION_WORKERS:
        c->source.workers = parse_workers(optarg);
        break;
    case OPTION_LOG_LEVEL:
        c->source.log_level = optarg;
        break;
    case OPTION_FAULTS:
        if (fault_arm(optarg, 1))
            usage_error("--faults takes names of fault points, NAME=N/M, NAME=@N or NAME=@N+, not `%s`", optarg);
        break;
    case OPTION_HELP:
        fputs(help, stdout);
        exit(0);
    case OPTION_VERSION:
        puts("prism-proxy " PRISM_VERSION);
        exit(0);
    default:
        exit(err_row(ERR_USAGE)->exit_code); /* getopt has said why */
    }
}

static struct command parse(int argc, char **argv)
{
    struct command c = {.source = {.drivers = &registry, .environment = environment}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        take_option(&c, option);
    if (optind < argc)
        usage_error("unexpected argument `%s`", argv[optind]);
    return c;
}

/* Problems as text, each with its place: for people and editors. */
static int check_config(const struct config_source *source)
{
    struct arena arena;
    struct config_report report;
    struct config *config = NULL;
    struct buf text;
    arena_init(&arena, LIMIT_CONFIG_ARENA_BYTES);
    buf_init(&text, 1 << 20);
    config_report_init(&report, &arena, source->file);
    enum err e = config_load(source, &report, &config);
    config_report_print(&report, &text);
    fwrite(text.data, 1, text.size, stderr);
    if (!e)
        printf("%s is valid: %u namespaces\n", source->file ? source->file : "the built-in configuration",
               config->root->namespaces.count);
    config_free(config);
    buf_fini(&text);
    arena_fini(&arena);
    return err_row(e)->exit_code;
}

/* Once, and a line for each thing to mend. */
static void log_failure(struct log *log, enum err e, const struct diag *diag)
{
    log_error(log, "prism-proxy could not start", LOG_ERR(e), LOG_TEXT("reason", diag_message(diag)));
    for (const struct diag_item *f = diag->fields; f; f = f->next)
        log_error(log, "configuration", LOG_TEXT("field", f->name), LOG_TEXT("reason", f->value));
}

static int serve(const struct config_source *source)
{
    struct log log;
    struct arena arena;
    struct diag diag;
    log_init(&log, STDERR_FILENO, LOG_INFO);
    arena_init(&arena, LIMIT_CONFIG_ARENA_BYTES);
    diag_init(&diag, &arena);
    const struct proxy_options proxy = {
        .source = *source, .env = env_real(), .log = &log, .version = PRISM_VERSION, .ready_fd = STDOUT_FILENO};
    enum err e = proxy_run(&proxy, &diag);
    if (e && !diag.err)
        diag.err = e;
    if (e)
        log_failure(&log, e, &diag);
    arena_fini(&arena);
    return err_row(e)->exit_code;
}

int main(int argc, char **argv)
{
    struct command c = parse(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its size limit is a full disk, not the end */
    if (sqlite_use_base_memory())
        return err_row(ERR_INTERNAL)->exit_code;
    return c.check ? check_config(&c.source) : serve(&c.source);
}
