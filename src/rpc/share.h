/* What one client may take of a program: connections, and calls in flight. A client is who its certificate names; without a
 * certificate, its address (of IPv6 the first 64 bits, which one customer has). A connection counts for its address from accept
 * on, and for its identity instead once that is proven.
 *
 *   rpc_shares_new(&key, &limits, &shares);            one for all servers of a process
 *   e = rpc_share_connect(shares, RPC_BY_ADDRESS, "192.0.2.1:4000", &share);
 *   if (rpc_share_call(share)) … rpc_share_call_end(share);
 *   rpc_share_disconnect(share);                       calls may end later
 *
 * Thread: any. Connecting and disconnecting take a lock; a call costs an atomic addition at either end. */
#ifndef PRISM_RPC_SHARE_H
#define PRISM_RPC_SHARE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/hash.h"

struct rpc_shares;
struct rpc_share;

struct rpc_share_limits {
    uint32_t connections_per_address;
    uint32_t connections_per_identity;
    uint32_t calls; /* in flight, of one client */
};

enum rpc_share_kind { RPC_BY_ADDRESS, RPC_BY_IDENTITY };

enum err rpc_shares_new(const struct hash_key *, const struct rpc_share_limits *, struct rpc_shares **ret_shares)
    __attribute__((warn_unused_result));
void rpc_shares_free(struct rpc_shares *); /* no connection and no call is left; NULL is fine */
/* For what comes from now on; what there is stays. */
void rpc_shares_set(struct rpc_shares *, const struct rpc_share_limits *);

/* name: "HOST:PORT" as conn_peer_address has it, or an identity. NULL for unix sockets, which have no limit but the server's.
 * ERR_TOO_MANY_CONNECTIONS, ERR_NOMEM. */
enum err rpc_share_connect(struct rpc_shares *, enum rpc_share_kind, const char *name, struct rpc_share **ret_share)
    __attribute__((warn_unused_result));
void rpc_share_disconnect(struct rpc_share *); /* NULL is fine */
/* false: the client has as many calls in flight as it may. While a connection of the share is there. NULL: true. */
bool rpc_share_call(struct rpc_share *);
void rpc_share_call_end(struct rpc_share *); /* NULL is fine */
/* In flight, the whole client's. */
uint32_t rpc_share_calls(const struct rpc_share *);

#endif
