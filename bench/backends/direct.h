/* A closed loop of callers against a backend without Prism: each has a connection of its own and one request at a time under way,
 * as applications with a connection pool do. One thread, epoll; what a client library buffers is written at once.
 *
 *   return direct_main(argc, argv, &driver);
 *
 * The program takes URL METHOD CALLERS SECONDS (get or set; keys `bench/NNNNNN` below KEYS) and prints one line of JSON: calls,
 * seconds, calls_per_second, latency_ms of p50, p90, p99 and p99_9, cpu_us_a_call of the client itself. Every answer is checked. */
#ifndef PRISM_BENCH_DIRECT_H
#define PRISM_BENCH_DIRECT_H

#include <stdbool.h>
#include <stddef.h>

enum direct_method { DIRECT_GET, DIRECT_SET };
enum { DIRECT_KEYS = 10000, DIRECT_VALUE_BYTES = 100, DIRECT_KEY_BYTES = 12 };

/* What fails ends the program with its reason on standard error. */
struct direct_driver {
    void *(*connect)(const char *url); /* blocks; the connection is then one that does not */
    int (*fd)(void *connection);
    void (*send)(void *connection, enum direct_method, const char *key, const char *value);
    bool (*receive)(void *connection,
                    enum direct_method); /* after the descriptor was readable; true: the answer is complete */
    void (*close)(void *connection);
};

int direct_main(int argc, char **argv, const struct direct_driver *);
/* "what: why" on standard error, exit code 1. */
void direct_fail(const char *what, const char *why) __attribute__((noreturn));

#endif
