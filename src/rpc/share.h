/* What one client may take of a program: connections, calls in flight, and memory for answers that it does not read. A client is who its certificate names; without a
 * certificate, its address (of IPv6 the first 64 bits, which one customer has). A connection counts for its address from accept
 * on, and for its identity instead once that is proven.
 *
 *   rpc_shares_new(&key, loops, &limits, &shares);     one for all servers of a process
 *   e = rpc_share_connect(shares, loop_id, RPC_BY_ADDRESS, "192.0.2.1:4000", &share);
 *   e = rpc_share_call(share); … rpc_share_call_end(share);
 *   rpc_share_output(share, +bytes); … rpc_share_output(share, -bytes);
 *   rpc_share_disconnect(share);                       calls may end later
 *
 * Each loop has a cell of its own for each client, so that calls touch no line of memory that another core writes: the others'
 * cells are read only where this one holds more than its even part of a limit. So calls and bytes are limited to twice the number
 * at the most where a client comes over several loops, and exactly where it comes over one; connections always exactly.
 *
 * Thread: a share belongs to the loop that it was asked for; making, freeing and setting: any. Connecting and disconnecting take
 * a lock. */
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
    uint32_t calls;        /* in flight, of one client */
    uint64_t output_bytes; /* answers of one client that wait for it */
};

enum rpc_share_kind { RPC_BY_ADDRESS, RPC_BY_IDENTITY };

/* loops: their ids are below. */
enum err rpc_shares_new(const struct hash_key *, unsigned loops, const struct rpc_share_limits *,
                        struct rpc_shares **ret_shares) __attribute__((warn_unused_result));
void rpc_shares_free(struct rpc_shares *); /* no connection and no call is left; NULL is fine */
/* For what comes from now on; what there is stays. */
void rpc_shares_set(struct rpc_shares *, const struct rpc_share_limits *);

/* name: "HOST:PORT" as conn_peer_address has it, or an identity. NULL for unix sockets, which have no limit but the server's.
 * ERR_TOO_MANY_CONNECTIONS, ERR_NOMEM. */
enum err rpc_share_connect(struct rpc_shares *, unsigned loop, enum rpc_share_kind, const char *name,
                           struct rpc_share **ret_share) __attribute__((warn_unused_result));
void rpc_share_disconnect(struct rpc_share *); /* NULL is fine */
/* While a connection of the share is there. ERR_TOO_MANY_CALLS: the client has as many in flight as it may;
 * ERR_OUTPUT_NOT_TAKEN: it, or all clients together, have so many bytes waiting. NULL: OK. */
enum err rpc_share_call(struct rpc_share *) __attribute__((warn_unused_result));
void rpc_share_call_end(struct rpc_share *); /* NULL is fine */
/* So many bytes more wait for the client, or fewer. */
void rpc_share_output(struct rpc_share *, int64_t bytes);
/* Twice as many wait as the client may have: its calls that were let in have made them. */
bool rpc_share_is_clogged(const struct rpc_share *);
/* In flight, the whole client's. */
uint32_t rpc_share_calls(const struct rpc_share *);

#endif
