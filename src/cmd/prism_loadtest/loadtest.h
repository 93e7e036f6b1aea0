/* prism-loadtest: how fast does a gRPC server answer? This header is what its files share.
 *
 *   main ──▶ options.c: command line ──▶ plan.c, reflect.c: methods, templates of requests
 *        ──▶ threads.c: shares ──▶ run.c: calls of one thread ──▶ report.c, chart.c
 *
 *   closed loop:  each of connections × streams callers sends its next call when the last has been answered
 *   open loop:    calls are due by a schedule (base/pace.h), whatever the server does; latency counts from the scheduled time
 *
 * Each thread has a loop, connections, a plan and a result of its own. Results go to standard output, all else to standard error. */
#ifndef PRISM_CMD_PRISM_LOADTEST_LOADTEST_H
#define PRISM_CMD_PRISM_LOADTEST_LOADTEST_H

#include <stdatomic.h>
#include <stdio.h>

#include "base/diag.h"
#include "base/hdr.h"
#include "base/pace.h"
#include "pb/pb.h"
#include "rpc/client.h"
#include "rpc/random.h"

enum {
    PATCHES_MAX = 16,
    ITEMS_MAX = 8,
    CONNECTIONS_MAX = 10000,
    STREAMS_MAX = 10000,
    SLOTS_MAX = 100000,
    THREADS_MAX = 64,
    MESSAGES_MAX = 1000000,
};

enum output { OUTPUT_TABLE, OUTPUT_JSON };

struct options {
    const char *address, *name_space, *method, *request, *mix, *svg;
    const char *ca_file;
    bool tls, insecure, fill, quiet, reflect, wait;
    bool help, version;
    enum output output;
    uint64_t connections, streams; /* callers are their product */
    uint64_t threads;              /* at most as many as connections */
    uint64_t messages;             /* a call sends, where the method takes a stream */
    uint64_t keys, size;           /* of the mix: key space, bytes of a value */
    double rate_from, rate_to;     /* 0: closed loop */
    int64_t ramp_ns, duration_ns, warmup_ns, timeout_ns;
};
/* options.c. ERR_USAGE with the reason in diag. */
enum err options_parse(int argc, char **argv, struct diag *, struct options *ret_options);
void options_help(FILE *);

/* A place in an encoded request that differs from call to call. */
struct patch {
    size_t offset;
    bool random; /* else the sequence number */
};
/* A request, encoded once; each call changes the digits at its patches. */
struct template
{
    uint8_t *bytes;
    size_t size;
    struct patch patches[PATCHES_MAX];
    unsigned patch_count;
};
/* One kind of call. */
struct item {
    const char *name; /* "get", or the method's path */
    const struct pb_method *method;
    struct template request;
    unsigned weight;
    struct hdr *latency; /* nanoseconds */
    uint64_t messages;   /* that came */
    uint64_t failed;
};
struct plan {
    struct item items[ITEMS_MAX];
    unsigned item_count;
    unsigned weight;      /* of all */
    struct item fill;     /* method NULL: none */
    struct pb_pool *pool; /* types that the server told of; NULL: none */
};
/* plan.c. Everything lives in the arena but the histograms: plan_fini. ERR_USAGE, ERR_METHOD_UNKNOWN, ERR_JSON_MALFORMED. */
enum err plan_make(const struct options *, struct arena *, struct diag *, struct plan *ret_plan);
void plan_fini(struct plan *);
/* reflect.c: a service by its full name or the end of it, from the server. The pool is the caller's and holds the service.
 * ERR_METHOD_UNKNOWN, errors of the connection. Blocks. */
enum err reflect_service(const struct options *, struct slice name, struct arena *, struct diag *,
                         struct pb_pool **ret_pool, const struct pb_service **ret_service);
/* The request of one call, valid until the next of this template. */
struct slice template_next(struct template *, uint64_t sequence, uint64_t random);

/* What came out. */
struct result {
    struct hdr *total; /* latency of all items */
    struct hdr *lag;   /* open loop: sent after it was due, nanoseconds */
    double seconds;    /* from the end of the warm-up to the last answer */
    uint64_t failed;
    uint64_t unsent; /* open loop: due, but there was no free caller until the end */
    uint64_t errors[ERR_COUNT];
};
void result_fini(struct result *);

/* What threads have in common. */
struct progress {
    atomic_uint_fast64_t answered, failed; /* written by one thread */
    uint8_t apart[48];
};
struct shared {
    unsigned threads;
    atomic_uint filled; /* threads that have */
    atomic_bool stop;   /* one has failed, or SIGINT */
    struct progress progress[THREADS_MAX];
};
struct part {
    unsigned index;
    uint64_t fill; /* keys to set before */
    struct shared *shared;
};
/* run.c: the calls of one thread, which counts with its own plan. */
enum err run_part(const struct part *, const struct options *, struct plan *, struct diag *, struct result *ret_result);
/* threads.c: calls until the duration has passed, or SIGINT. An error of its own: ERR_CONNECT_FAILED, ERR_NOMEM…; calls that the
 * server refused are counted in the result. */
enum err run_load(const struct options *, struct plan *, struct diag *, struct result *ret_result);

/* report.c */
void report_table(const struct options *, const struct plan *, const struct result *, FILE *);
enum err report_json(const struct options *, const struct plan *, const struct result *, FILE *);
/* The error that most of the failed calls had; OK: none failed. */
enum err report_common_error(const struct result *);

/* chart.c: latency by percentile, a line an item. */
enum err chart_svg(const struct options *, const struct plan *, const struct result *, struct diag *);

#endif
