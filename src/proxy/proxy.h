/* The process: one control loop and a worker a core. The control loop has signals, the metrics port, reloads and the drain; it
 * never touches a data call.
 *
 *   starting ──all listen──▶ serving ──SIGTERM, SIGINT──▶ leaving ──▶ draining ──▶ closing ──▶ gone
 *                              ↺ reload                    │           │            └ metrics port and backends close
 *                                                          │           └ GOAWAY; calls in flight end, at most drain_timeout
 *                                                          └ health NOT_SERVING, /ready 503
 *
 * A second signal while leaving or draining ends the time to drain. */
#ifndef PRISM_PROXY_PROXY_H
#define PRISM_PROXY_PROXY_H

#include "base/log.h"
#include "proxy/config.h"

struct proxy;

struct proxy_options {
    struct config_source source;
    const struct env *env;
    struct log *log;
    const char *version;
    int ready_fd; /* gets the JSON line {"event":"ready",…} once everything listens; -1: nobody waits */
};

/* Serves until it has been told to stop and has drained. An error is one of the start; diag has the words. */
enum err proxy_run(const struct proxy_options *, struct diag *) __attribute__((warn_unused_result));

#endif
