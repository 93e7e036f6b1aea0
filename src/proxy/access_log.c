/* The fields of a call's line. */
#include "proxy/access_log.h"

#include "base/limits.h"
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

void access_log_offence(struct log *log, const struct snapshot *s, struct offence_lines *lines,
                        const struct rpc_offence *o, uint64_t now_ns)
{
    if (!s->log_access && !budget_take(&lines->budget, LIMIT_OFFENCE_LINE_BURST, LIMIT_OFFENCE_LINE_PER_S, now_ns)) {
        lines->left_out++;
        return;
    }
    log_warn(log, o->refused ? "connection refused" : "connection ended for a flood", LOG_TEXT("peer", o->peer_address),
             LOG_TEXT("identity", o->peer_identity), LOG_TEXT("reason", o->reason),
             LOG_INT("frames", (int64_t)o->frames), LOG_INT("left_out", (int64_t)lines->left_out));
    lines->left_out = 0;
}
