/* The running gateway from outside: a prism-proxy process of our own, ended by its pid, and calls to it. One thread.
 *
 *   world_start(&w, "build/prism-proxy", NULL);       it listens on a free port of 127.0.0.1
 *   world_call(client, &call_options, &x_request_pb, &request, &events, user, &call);
 *   world_stop(&w);                                         exit code */
#ifndef PRISM_TESTS_WORLD_H
#define PRISM_TESTS_WORLD_H

#include <sys/types.h>

#include "pb/pb.h"
#include "rpc/client.h"

struct world {
    pid_t pid;
    int out; /* its standard output */
    char address[64];
    char folder[64]; /* made here, removed by world_stop */
};
/* Returns when the proxy is ready. faults: what goes wrong in it (base/fault.h), NULL: nothing. false: it is not ready, and
 * standard error says why. */
bool world_start(struct world *, const char *binary, const char *faults);
/* SIGTERM and waits. The exit code; -1: ended by a signal. */
int world_stop(struct world *);
/* Resident memory in KiB, and open descriptors; 0: cannot tell. */
unsigned long world_resident_kib(const struct world *);
unsigned world_descriptors(const struct world *);

/* A client of the gateway. false: standard error says why. */
bool world_connect(const char *address, struct loop *, struct rpc_client **ret_client);

/* A call with one request, which is sent whole. */
enum err world_call(struct rpc_client *, const struct rpc_client_call_options *, const struct pb_message *,
                    const void *request, const struct rpc_client_events *, void *user,
                    struct rpc_client_call **ret_call);

/* Settings of a program: --name VALUE pairs, each a row. false: said what is wrong. */
struct setting {
    const char *name; /* without dashes */
    const char **text;
    uint64_t *number; /* one of the two */
};
bool settings_read(int argc, char **argv, const struct setting *, size_t count);

#endif
