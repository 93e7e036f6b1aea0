/* Who is let in: connections against the shares of their clients (share.h).
 *
 *   accept ──room for the address──▶ admitted ──certificate──▶ counted for the identity instead
 *     └─none─▶ refused: plain, and few such wait ──protocol known──▶ told: GOAWAY ENHANCE_YOUR_CALM, or 429 ──▶ closed
 *                  └─ TLS (a handshake is dear), or too many wait ──▶ closed at once
 *
 * Invariant: an admitted connection holds one share, a refused one none. */
#include "base/limits.h"
#include "rpc/internal.h"

static void report(const struct connection *c, const char *reason)
{
    const struct rpc_server_options *o = &c->server->options;
    c->server->stats.connections_over_share++;
    if (o->on_offence)
        o->on_offence(o->context, &(struct rpc_offence){.peer_address = conn_peer_address(c->conn),
                                                        .peer_identity = conn_peer_identity(c->conn),
                                                        .reason = reason,
                                                        .refused = true});
}

static void refuse(struct connection *c, const char *reason)
{
    report(c, reason);
    c->refused = true;
    c->server->refusals++;
}

bool connection_admit(struct connection *c)
{
    struct rpc_server *s = c->server;
    if (!s->options.shares ||
        rpc_share_connect(s->options.shares, RPC_BY_ADDRESS, conn_peer_address(c->conn), &c->share) == OK)
        return true;
    if (!s->tls && s->refusals < LIMIT_REFUSALS_WAITING) {
        refuse(c, "connections of one address");
        return true;
    }
    report(c, "connections of one address");
    return false;
}

void connection_identify(struct connection *c)
{
    struct rpc_shares *shares = c->server->options.shares;
    const char *identity = conn_peer_identity(c->conn);
    struct rpc_share *share = NULL;
    if (!shares || !identity || c->refused)
        return;
    enum err e = rpc_share_connect(shares, RPC_BY_IDENTITY, identity, &share);
    rpc_share_disconnect(c->share);
    c->share = share;
    if (e)
        refuse(c, "connections of one identity");
}

void connection_leave(struct connection *c)
{
    c->server->refusals -= c->refused;
    rpc_share_disconnect(c->share);
    c->share = NULL;
}
