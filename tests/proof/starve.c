/* usage: build/proof/starve DATA_DIR [PLAN]
 *
 * A gateway whose allocations fail when it is told so: prism-proxy with one worker, the built-in configuration (namespaces default
 * on SQLite, memory), free ports, and a thread that reads orders from standard input and answers each with a line:
 *
 *   fail 7      the seventh allocation from now on fails; "fail 7+": that and all later ones    → ok
 *   stop        no more of them fail                                                            → how many have failed
 *   live        blocks of memory that are in use                                                → number
 *
 * PLAN: as behind "fail", from the start on. The first line on standard output is the proxy's ready line. Ends with SIGTERM, or when standard input ends. Orders are taken
 * without an allocation. Under AddressSanitizer a leak makes the exit code. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/limits.h"
#include "base/mem.h"
#include "drivers/memory/memory.h"
#include "drivers/sqlite/sqlite.h"
#include "proxy/proxy.h"

enum { ORDER_BYTES = 64 };

static const struct driver *const drivers[] = {&driver_memory, &driver_sqlite};
static const struct driver_registry registry = {drivers, sizeof drivers / sizeof *drivers};

/* --- orders ------------------------------------------------------------------------------------------------------------------ */

static bool fail(const char *plan)
{
    char list[ORDER_BYTES + 16];
    snprintf(list, sizeof list, "mem.alloc=@%s", plan);
    return fault_arm(list, 0) == OK;
}

static void obey(const char *order, char *answer, size_t size)
{
    if (strncmp(order, "fail ", 5) == 0) {
        snprintf(answer, size, "%s\n", fail(order + 5) ? "ok" : "no such order");
    } else if (strcmp(order, "stop") == 0) {
        fault_disarm_all();
        snprintf(answer, size, "%" PRIu64 "\n", fault_count("mem.alloc"));
    } else if (strcmp(order, "live") == 0) {
        snprintf(answer, size, "%" PRId64 "\n", mem_live());
    } else {
        snprintf(answer, size, "no such order\n");
    }
}

/* One line, without its end. false: there are no more. */
static bool read_order(char order[ORDER_BYTES])
{
    size_t n = 0;
    while (n < ORDER_BYTES - 1 && read(STDIN_FILENO, order + n, 1) == 1) {
        if (order[n++] != '\n')
            continue;
        order[n - 1] = '\0';
        return true;
    }
    return false;
}

static void *take_orders(void *context)
{
    char order[ORDER_BYTES], answer[ORDER_BYTES];
    (void)context;
    while (read_order(order)) {
        obey(order, answer, sizeof answer);
        if (write(STDOUT_FILENO, answer, strlen(answer)) < 0)
            break;
    }
    kill(getpid(), SIGTERM);
    return NULL;
}

/* --- the gateway ------------------------------------------------------------------------------------------------------------- */

static enum err serve(const char *data_dir)
{
    struct log log;
    struct arena arena;
    struct diag diag;
    log_init(&log, STDERR_FILENO, LOG_WARN);
    arena_init(&arena, LIMIT_CONFIG_ARENA_BYTES);
    diag_init(&diag, &arena);
    const struct proxy_options options = {.source = {.drivers = &registry,
                                                     .environment = (const char *(*)(const char *))getenv,
                                                     .data_dir = data_dir,
                                                     .listen = "127.0.0.1:0",
                                                     .metrics_listen = "127.0.0.1:0",
                                                     .log_level = "warn",
                                                     .workers = 1},
                                          .env = env_real(),
                                          .log = &log,
                                          .version = PRISM_VERSION,
                                          .ready_fd = STDOUT_FILENO};
    enum err e = proxy_run(&options, &diag);
    if (e)
        fprintf(stderr, "starve: %s: %s\n", err_name(e), diag_message(&diag));
    arena_fini(&arena);
    return e;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    sigset_t all, old;
    signal(SIGPIPE, SIG_IGN);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (argc < 2 || sqlite_use_base_memory() || pthread_create(&thread, NULL, take_orders, NULL))
        return 2;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_detach(thread);
    if (argc > 2 && !fail(argv[2]))
        return 2;
    return serve(argv[1]) != OK;
}
