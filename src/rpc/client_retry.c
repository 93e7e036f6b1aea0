/* Calls that are made again without their user's knowledge: those that the server certainly has not processed. Whether others
 * may be repeated only their user knows.
 *
 *   never sent: it waited for its turn when the connection ended, or GOAWAY came ──▶ again
 *   refused:    REFUSED_STREAM, or its stream is above the last one of a GOAWAY  ──▶ again, once
 *
 * For that a call keeps what it sends until the server shows that it has seen it, LIMIT_CLIENT_KEPT_BYTES at most.
 * Source: gRPC A6, "Transparent Retries"; RFC 9113, 6.8 and 8.7. */
#include "base/limits.h"
#include "rpc/client_internal.h"

void client_call_forget(struct rpc_client_call *call)
{
    call->keeps = call->keeps && !call->got_headers && call->out_sent <= LIMIT_CLIENT_KEPT_BYTES;
    if (call->keeps || call->out_sent < call->out.size)
        return;
    buf_reset(&call->out);
    call->out_sent = 0;
}

bool client_call_may_repeat(const struct rpc_client_call *call, uint32_t error_code)
{
    return error_code == NGHTTP2_REFUSED_STREAM && call->keeps && !call->retried && !call->ended && !call->cancelled;
}

void client_call_repeat(struct rpc_client_call *call)
{
    call->retried |= call->request_sent;
    call->keeps = !call->retried;
    call->request_sent = false;
    call->connection = NULL;
    call->out_sent = 0;
    call->http_status = 0;
    client_mark_dirty(call);
}

/* nghttp2 keeps the request in its queue until it has a turn, and only then finds that it was cancelled. */
static void take_back(struct rpc_client_call *call)
{
    struct client_connection *k = call->connection;
    nghttp2_session_set_stream_user_data(k->session, call->id, NULL);
    nghttp2_submit_rst_stream(k->session, NGHTTP2_FLAG_NONE, call->id, NGHTTP2_CANCEL);
    k->call_count--;
    client_call_repeat(call);
}

void client_calls_pass_over(struct client_connection *k)
{
    for (struct rpc_client_call *call = k->client->calls, *next; call; call = next) {
        next = call->next;
        if (call->connection == k && !call->request_sent && !call->ended && !call->cancelled)
            take_back(call);
    }
}
