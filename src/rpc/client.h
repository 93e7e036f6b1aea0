/* gRPC client of one server: for prismctl, the remote driver, tests. One HTTP/2 connection carries its calls; where the server
 * says GOAWAY, that one keeps the calls that it has, and the next call makes another. A call that the server certainly has not
 * processed (refused, above the last stream of a GOAWAY, never sent) is made again, once where it had been sent. Belongs to the
 * loop's thread.
 *
 *   rpc_client_new ──▶ rpc_client_call* (queued until connected) ──▶ rpc_client_free (ends what is in flight)
 *
 *   client call:  rpc_client_call ──▶ on_headers? on_message* ──▶ on_end: exactly once, then the call is gone */
#ifndef PRISM_RPC_CLIENT_H
#define PRISM_RPC_CLIENT_H

#include "base/diag.h"
#include "rpc/http.h"

struct rpc_client;
struct rpc_client_call;

struct rpc_client_events {
    void (*on_headers)(struct rpc_client_call *);                       /* response metadata has come; may be NULL */
    void (*on_message)(struct rpc_client_call *, struct slice message); /* valid during the call only */
    void (*on_writable)(struct rpc_client_call *);                      /* after FLOW_HOLD; may be NULL */
    /* status: gRPC status code; details: decoded into diag where the server sent grpc-status-details-bin. */
    void (*on_end)(struct rpc_client_call *, unsigned status, const struct diag *);
};

struct rpc_client_options {
    struct loop *loop;
    const char *address;         /* HOST:PORT or unix:PATH */
    struct tls *tls;             /* NULL: plain HTTP/2 with prior knowledge; referenced */
    const char *server_name;     /* for TLS; NULL: the host */
    uint32_t connect_timeout_ms; /* 0: 5000 */
    uint32_t message_bytes_max;  /* 0: LIMIT_MESSAGE_BYTES_MAX */
    /* Where no connection can be made, calls wait while that is tried again, each until its deadline: "wait for ready" of gRPC.
     * A call whose time is over ends with DEADLINE_EXCEEDED and a diag that says why there was no connection. */
    bool waits;
};
enum err rpc_client_new(const struct rpc_client_options *, struct diag *, struct rpc_client **ret_client);
/* Calls in flight end here with CANCELLED (on_end is called before it returns). Memory is given back by the loop. */
void rpc_client_free(struct rpc_client *);

struct rpc_client_call_options {
    const char *path;                   /* "/package.Service/Method" */
    const struct http_header *metadata; /* -bin values raw */
    size_t metadata_count;
    uint64_t timeout_ns; /* sent as grpc-timeout and enforced here; 0: none */
    bool gzip;           /* compress what is sent */
};
enum err rpc_client_call(struct rpc_client *, const struct rpc_client_call_options *, const struct rpc_client_events *,
                         void *user, struct rpc_client_call **ret_call);
void *rpc_client_call_user(const struct rpc_client_call *);
enum flow rpc_client_send(struct rpc_client_call *, struct slice message);
void rpc_client_send_end(struct rpc_client_call *);
void rpc_client_cancel(struct rpc_client_call *); /* on_end with CANCELLED follows */
struct slice rpc_client_header(const struct rpc_client_call *, const char *name);
struct slice rpc_client_trailer(const struct rpc_client_call *, const char *name);

/* One unary call that blocks the caller's thread by turning the loop until it ends: for command line programs.
 * The response lies in the arena. On failure diag holds what the server said. */
enum err rpc_client_unary(struct rpc_client *, const struct rpc_client_call_options *, struct slice request,
                          struct arena *, struct diag *, struct slice *ret_response);

#endif
