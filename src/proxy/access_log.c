/* The fields of a call's line. */
#include "proxy/access_log.h"

#include "proxy/snapshot.h"

/* The trace-id of a traceparent (W3C Trace Context): 32 digits behind the version. */
static struct slice trace_id(struct slice traceparent)
{
    return slice_take(slice_skip(traceparent, 3), 32);
}

void access_log(struct log *log, const struct snapshot *s, const struct rpc_call *rpc, const struct namespace *ns,
                enum err e)
{
    if (!e && !s->log_access)
        return;
    const struct env *env = loop_env(rpc->loop);
    uint64_t took_ns = env->monotonic_ns(env) - rpc->start_ns;
    log_info(log, e ? "call failed" : "call", LOG_STR("request_id", rpc->request_id),
             LOG_STR("trace_id", trace_id(rpc->traceparent)), LOG_STR("namespace", rpc->namespace_name),
             LOG_TEXT("operation", rpc->method->path + 1), LOG_TEXT("code", grpc_status_name(err_row(e)->grpc)),
             LOG_ERR(e), LOG_TEXT("reason", e ? diag_message(&rpc->diag) : ""),
             LOG_DOUBLE("latency_ms", (double)took_ns / 1e6), LOG_TEXT("backend", ns ? ns->backend_name : ""),
             LOG_TEXT("peer", rpc->peer_address));
}
