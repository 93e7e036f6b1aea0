/* One line a call: failed ones, or all where the configuration says log.access. The only place that logs calls.
 * Thread: the call's loop. */
#ifndef PRISM_PROXY_ACCESS_LOG_H
#define PRISM_PROXY_ACCESS_LOG_H

#include "base/log.h"
#include "rpc/server.h"

struct namespace;
struct snapshot;

/* ns may be NULL: none, or not a data call. log may be NULL. */
void access_log(struct log *, const struct snapshot *, const struct rpc_call *, const struct namespace *ns, enum err);

#endif
