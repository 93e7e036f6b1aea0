/* grpc.health.v1.Health: "" is the server as a whole, other names are services served on this port. All of them are SERVING until
 * a drain begins. A watch then hears NOT_SERVING and ends with UNAVAILABLE, so that its client looks elsewhere.
 * Source: grpc/doc/health-checking.md. */
#include "grpc/health/v1/health.pb.h"
#include "proxy/served.h"

enum {
    UNKNOWN_SERVICE = GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_SERVICE_UNKNOWN,
    SERVING = GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_SERVING,
    NOT_SERVING = GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_NOT_SERVING,
};

struct watch {
    struct waiting waiting; /* the first member */
    bool known;
};

static bool is_known(const struct served *s, struct slice service)
{
    return service.size == 0 || served_find(s, service);
}

static enum flow send_status(struct rpc_call *rpc, int32_t status)
{
    struct grpc_health_v1_health_check_response response = {.status = status};
    return rpc_send(rpc, &response);
}

static int32_t status_now(const struct served *s)
{
    return s->draining ? NOT_SERVING : SERVING;
}

static void check(struct rpc_call *rpc, const struct served *s, struct slice service)
{
    enum err e = OK;
    if (is_known(s, service))
        send_status(rpc, status_now(s));
    else
        e = diag_set(&rpc->diag, ERR_NOT_FOUND, "the service `%.*s` is not served here",
                     service.size < 256 ? (int)service.size : 256, (const char *)service.data);
    rpc_finish(rpc, e);
}

static void drain_watch(struct waiting *w)
{
    struct rpc_call *rpc = w->rpc;
    if (((struct watch *)w)->known)
        send_status(rpc, NOT_SERVING);
    rpc_finish(rpc, ERR_DRAINING);
}

static void watch(struct rpc_call *rpc, struct served *s, struct slice service)
{
    struct watch *w = arena_new(rpc->arena, struct watch);
    if (!w || s->draining) {
        if (w)
            send_status(rpc, NOT_SERVING);
        rpc_finish(rpc, w ? ERR_DRAINING : ERR_NOMEM);
        return;
    }
    *w = (struct watch){{.rpc = rpc, .drain = drain_watch}, is_known(s, service)};
    rpc->user = w;
    waiting_add(s, &w->waiting);
    send_status(rpc, w->known ? status_now(s) : UNKNOWN_SERVICE);
}

static void on_message(struct rpc_call *rpc, const struct rpc_message *message)
{
    void *request;
    enum err e = rpc_decode(rpc, message, &request);
    if (e) {
        rpc_finish(rpc, e);
        return;
    }
    struct slice service = ((struct grpc_health_v1_health_check_request *)request)->service;
    if (rpc->method->server_streaming)
        watch(rpc, rpc->context, service);
    else
        check(rpc, rpc->context, service);
}

static void on_end(struct rpc_call *rpc)
{
    (void)rpc;
}

static void on_cancel(struct rpc_call *rpc, enum err e)
{
    if (rpc->user)
        waiting_remove(rpc->user);
    rpc_finish(rpc, e);
}

static const struct rpc_handlers handlers = {.on_message = on_message, .on_end = on_end, .on_cancel = on_cancel};

enum err health_serve(struct served *s, struct rpc_server *server)
{
    return served_add(s, server, &grpc_health_v1_health_service, &handlers, s);
}
