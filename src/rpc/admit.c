/* Who is let in, and how much is kept for whom: connections against the shares of their clients (share.h).
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
    if (!s->options.shares || rpc_share_connect(s->options.shares, loop_id(s->loop), RPC_BY_ADDRESS,
                                                conn_peer_address(c->conn), &c->share) == OK)
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
    enum err e = rpc_share_connect(shares, loop_id(c->server->loop), RPC_BY_IDENTITY, identity, &share);
    rpc_share_disconnect(c->share);
    c->share = share;
    if (e)
        refuse(c, "connections of one identity");
}

/* Whoever asks for much and reads nothing pays with its own share: first no more calls of it begin, then, where those that
 * were let in make too much, its connections end. */
void connection_output(struct connection *c, size_t bytes, uint64_t frames)
{
    bool more = bytes > c->output_bytes;
    if (!c->share || bytes == c->output_bytes)
        return;
    rpc_share_output(c->share, (int64_t)bytes - (int64_t)c->output_bytes);
    c->output_bytes = bytes;
    if (more && !c->closing && rpc_share_is_clogged(c->share)) {
        server_report_abuse(c, "answers that it does not take", frames);
        connection_close(c, true);
    }
}

void connection_leave(struct connection *c)
{
    connection_output(c, 0, 0);
    c->server->refusals -= c->refused;
    rpc_share_disconnect(c->share);
    c->share = NULL;
}
