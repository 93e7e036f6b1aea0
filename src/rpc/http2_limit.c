/* What a peer may ask of us on a connection. Each frame that has come, and each that we were provoked to send, is charged
 * here; past a budget the connection ends with ENHANCE_YOUR_CALM. The attacks and the sources of the numbers: limits.h.
 *
 * What legitimate peers do without end must be free: window updates and BDP pings answer the DATA that we send, so each
 * frame of ours earns a few. */
#include "base/limits.h"
#include "rpc/http2.h"

static const uint64_t MS = 1000000;

bool budget_take(struct budget *b, uint32_t burst, uint32_t per_s, uint64_t now_ns)
{
    uint64_t back = (now_ns - b->since_ns) * per_s / 1000000000;
    if (b->since_ns == 0 || back >= b->spent) {
        b->spent = 0;
        b->since_ns = now_ns;
    } else if (back) {
        b->spent -= (uint32_t)back;
        b->since_ns += back * 1000000000 / per_s;
    }
    if (b->spent >= burst)
        return false;
    b->spent++;
    return true;
}

static uint64_t now(const struct h2 *h)
{
    return loop_now_ns(h->server->loop);
}

static bool charge_reset(struct h2 *h)
{
    return budget_take(&h->accounts.resets, LIMIT_HTTP2_RESET_BURST, LIMIT_HTTP2_RESET_PER_S, now(h));
}

static bool charge_glitch(struct h2 *h)
{
    if (h->accounts.earned) {
        h->accounts.earned--;
        return true;
    }
    return budget_take(&h->accounts.glitches, LIMIT_HTTP2_GLITCH_BURST, LIMIT_HTTP2_GLITCH_PER_S, now(h));
}

static void earn(struct h2 *h)
{
    enum { EARNED_PER_FRAME = 4 }; /* a stream's and the connection's window update, a ping, its acknowledgement */
    h->accounts.sent_since_ping = true;
    if (h->accounts.earned < LIMIT_HTTP2_GLITCH_BURST)
        h->accounts.earned += EARNED_PER_FRAME;
}

/* A header block is one HEADERS and its CONTINUATIONs; nothing may come in between. */
static bool account_block(struct h2 *h, const nghttp2_frame_hd *hd)
{
    struct h2_accounts *a = &h->accounts;
    if (hd->type == NGHTTP2_HEADERS) {
        a->block_bytes = 0;
        a->continuations = 0;
        a->block_began_ns = now(h);
    } else {
        a->continuations++;
    }
    a->block_bytes += (uint32_t)hd->length;
    return a->continuations <= LIMIT_HTTP2_CONTINUATIONS && a->block_bytes <= LIMIT_HEADER_BLOCK_BYTES;
}

bool h2_account_frame(struct h2 *h, const nghttp2_frame_hd *hd)
{
    if (hd->type == NGHTTP2_HEADERS || hd->type == NGHTTP2_CONTINUATION)
        return account_block(h, hd);
    h->accounts.block_began_ns = 0;
    if (hd->type == NGHTTP2_RST_STREAM)
        return true; /* charged as a reset */
    bool carries = hd->type == NGHTTP2_DATA && (hd->length > 0 || (hd->flags & NGHTTP2_FLAG_END_STREAM));
    return carries || charge_glitch(h);
}

/* gRPC's keepalive enforcement (grpc/proposal A8): more than two pings too early are too many. */
static bool account_ping(struct h2 *h)
{
    struct h2_accounts *a = &h->accounts;
    uint64_t interval = (h->stream_count ? LIMIT_PING_INTERVAL_MIN_MS : LIMIT_PING_IDLE_INTERVAL_MIN_MS) * MS;
    bool early = a->last_ping_ns && now(h) - a->last_ping_ns < interval;
    if (a->sent_since_ping)
        a->ping_strikes = 0;
    else if (early)
        a->ping_strikes++;
    a->sent_since_ping = false;
    a->last_ping_ns = now(h);
    return a->ping_strikes <= LIMIT_PING_STRIKES;
}

bool h2_account_received(struct h2 *h, const nghttp2_frame *frame)
{
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        h->accounts.block_began_ns = 0;
        return true;
    case NGHTTP2_RST_STREAM:
        h->server->stats.streams_reset_by_peer++;
        return charge_reset(h);
    case NGHTTP2_PING:
        return (frame->hd.flags & NGHTTP2_FLAG_ACK) || account_ping(h);
    default:
        return true;
    }
}

/* MadeYouReset (CVE-2025-8671): a reset that the peer provoked costs as much as one that it sends. */
static bool account_sent_reset(struct h2 *h, const nghttp2_frame *frame)
{
    const struct h2_stream *s = nghttp2_session_get_stream_user_data(h->session, frame->hd.stream_id);
    h->accounts.block_began_ns = 0;
    bool ours = frame->rst_stream.error_code == NGHTTP2_NO_ERROR || (s && s->own_reset);
    return ours || charge_reset(h);
}

bool h2_account_sent(struct h2 *h, const nghttp2_frame *frame)
{
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        earn(h);
        return true;
    case NGHTTP2_SETTINGS:
        h->accounts.earned++; /* its acknowledgement */
        return true;
    case NGHTTP2_RST_STREAM:
        return account_sent_reset(h, frame);
    default:
        return true;
    }
}

/* Output that a peer with a tiny window takes byte by byte is no progress. */
void h2_account_data(struct h2 *h, size_t size)
{
    enum { PROGRESS_BYTES = 1024 };
    struct h2_accounts *a = &h->accounts;
    a->moved_bytes += (uint32_t)size;
    if (a->moved_bytes >= PROGRESS_BYTES || h->buffered_bytes == 0) {
        a->moved_bytes = 0;
        a->stalled_since_ns = h->buffered_bytes ? now(h) : 0;
    }
}

static bool longer_than(uint64_t since_ns, uint64_t now_ns, uint64_t limit_ms)
{
    return since_ns && now_ns > since_ns && now_ns - since_ns > limit_ms * MS;
}

bool h2_account_time(struct h2 *h, uint64_t now_ns)
{
    const struct h2_accounts *a = &h->accounts;
    if (longer_than(a->block_began_ns, now_ns, LIMIT_HEADERS_MS))
        return false;
    return !h->buffered_bytes || !longer_than(a->stalled_since_ns, now_ns, LIMIT_WRITE_STALL_MS);
}
