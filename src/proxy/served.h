/* What one server serves besides data: which services there are, and the streams that stay open until somebody ends them (health
 * watches, reflection sessions), so that a drain can end them. One a server; its loop's thread. */
#ifndef PRISM_PROXY_SERVED_H
#define PRISM_PROXY_SERVED_H

#include "rpc/server.h"

enum { SERVED_SERVICES_MAX = 128 };

/* A stream that waits; in the arena of its call. */
struct waiting {
    struct rpc_call *rpc;
    void (*drain)(struct waiting *); /* says goodbye and calls rpc_finish */
    struct waiting *next, **previous;
};

struct served {
    const struct pb_service *services[SERVED_SERVICES_MAX];
    uint32_t count;
    bool draining;
    struct waiting *waiting;
};

/* Adds a service to the server and to the list. */
enum err served_add(struct served *, struct rpc_server *, const struct pb_service *, const struct rpc_handlers *,
                    void *context) __attribute__((warn_unused_result));
const struct pb_service *served_find(const struct served *, struct slice full_name); /* NULL: not served here */
void waiting_add(struct served *, struct waiting *);
void waiting_remove(struct waiting *);
/* Not serving any more: ends every waiting stream. */
void served_drain(struct served *);

/* grpc.health.v1 (health.c) and gRPC reflection, v1 and v1alpha (reflection.c). */
enum err health_serve(struct served *, struct rpc_server *) __attribute__((warn_unused_result));
enum err reflection_serve(struct served *, struct rpc_server *) __attribute__((warn_unused_result));

#endif
