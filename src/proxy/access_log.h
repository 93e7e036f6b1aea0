/* One line a call: failed ones, or all where the configuration says log.access. The only place that logs calls. And a line a
 * connection that is ended or refused for what its peer does: with log.access each, else as many as the budget allows, the next
 * of which tells how many were left out.
 * Thread: the loop of the call or connection. */
#ifndef PRISM_PROXY_ACCESS_LOG_H
#define PRISM_PROXY_ACCESS_LOG_H

#include "base/budget.h"
#include "base/log.h"
#include "rpc/server.h"

struct namespace;
struct snapshot;

struct offence_lines {
    struct budget budget;
    uint64_t left_out; /* since the last line */
};

/* ns may be NULL: none, or not a data call. log may be NULL. */
void access_log(struct log *, const struct snapshot *, const struct rpc_call *, const struct namespace *ns, enum err);
/* log may be NULL. now_ns: loop time. */
void access_log_offence(struct log *, const struct snapshot *, struct offence_lines *, const struct rpc_offence *,
                        uint64_t now_ns);

#endif
