/* What a peer may ask of us on a connection. Each frame that has come, and each that we were provoked to send, is charged
 * here; past a budget the connection ends with ENHANCE_YOUR_CALM. The attacks and the sources of the numbers: limits.h.
 *
 * What legitimate peers do without end must be free: window updates and BDP pings answer the DATA that we send, so each
 * frame of ours earns a few. */
#include "base/limits.h"
#include "rpc/http2.h"

static const uint64_t MS = 1000000;

static uint64_t now(const struct h2 *h)
{
    return loop_now_ns(h->server->loop);
}

/* The reason of a connection's end is that of the first budget that it exceeded. */
static bool judge(struct h2 *h, bool within, const char *reason)
{
    if (!within && !h->accounts.reason)
        h->accounts.reason = reason;
    return within;
}

static bool charge_reset(struct h2 *h, const char *reason)
{
    return judge(h, budget_take(&h->accounts.resets, LIMIT_HTTP2_RESET_BURST, LIMIT_HTTP2_RESET_PER_S, now(h)), reason);
}

static bool charge_glitch(struct h2 *h, const char *reason)
{
    if (h->accounts.earned) {
        h->accounts.earned--;
        return true;
    }
    return judge(h, budget_take(&h->accounts.glitches, LIMIT_HTTP2_GLITCH_BURST, LIMIT_HTTP2_GLITCH_PER_S, now(h)),
                 reason);
}

static const char *glitch_name(uint8_t type)
{
    static const char *const names[] = {
        [NGHTTP2_DATA] = "empty DATA frames",   [NGHTTP2_PRIORITY] = "PRIORITY frames",
        [NGHTTP2_SETTINGS] = "SETTINGS frames", [NGHTTP2_PING] = "PING frames",
        [NGHTTP2_GOAWAY] = "GOAWAY frames",     [NGHTTP2_WINDOW_UPDATE] = "WINDOW_UPDATE frames",
    };
    return type < sizeof names / sizeof *names && names[type] ? names[type] : "frames of unknown types";
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
        if (h->drain == H2_LAST_TOLD) /* perhaps a stream that is passed over, with all that it sends */
            a->late_bytes += LIMIT_HTTP2_STREAM_WINDOW_BYTES;
        a->block_bytes = 0;
        a->continuations = 0;
        a->block_began_ns = now(h);
    } else {
        a->continuations++;
    }
    a->block_bytes += (uint32_t)hd->length;
    return judge(h, a->continuations <= LIMIT_HTTP2_CONTINUATIONS, "CONTINUATION frames") &&
           judge(h, a->block_bytes <= LIMIT_HEADER_BLOCK_BYTES, "a header block that is too long");
}

bool h2_account_frame(struct h2 *h, const nghttp2_frame_hd *hd)
{
    if (hd->type == NGHTTP2_HEADERS || hd->type == NGHTTP2_CONTINUATION)
        return account_block(h, hd);
    h->accounts.block_began_ns = 0;
    if (hd->type == NGHTTP2_RST_STREAM)
        return true; /* charged as a reset */
    if (hd->type == NGHTTP2_DATA)
        h2_count_data(&h->accounts.heard, (uint32_t)hd->length, hd->flags);
    bool carries = hd->type == NGHTTP2_DATA && (hd->length > 0 || (hd->flags & NGHTTP2_FLAG_END_STREAM));
    return carries || charge_glitch(h, glitch_name(hd->type));
}

/* Frames that carry bytes are free while these may have been on their way when we reset their streams: a peer that keeps to
 * flow control sends no more than the windows of them. */
static uint32_t skipped_to_charge(struct h2_accounts *a, const struct h2_data_count *seen)
{
    uint32_t frames = seen->frames - a->heard.frames, empty = seen->empty - a->heard.empty;
    uint64_t bytes = seen->bytes - a->heard.bytes;
    if (bytes > a->late_bytes)
        return frames;
    a->late_bytes -= bytes;
    return empty;
}

bool h2_has_skipped(const struct h2 *h)
{
    return h->walk.data.frames != h->accounts.heard.frames;
}

bool h2_account_skipped(struct h2 *h)
{
    bool within = true;
    for (uint32_t n = skipped_to_charge(&h->accounts, &h->walk.data); n && within; n--)
        within = charge_glitch(h, "DATA on streams that are over");
    h->accounts.heard = h->walk.data;
    return within;
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
    return judge(h, a->ping_strikes <= LIMIT_PING_STRIKES, "PING frames too early");
}

bool h2_account_received(struct h2 *h, const nghttp2_frame *frame)
{
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        h->accounts.block_began_ns = 0;
        return true;
    case NGHTTP2_RST_STREAM:
        h->server->stats.streams_reset_by_peer++;
        return charge_reset(h, "resets");
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
    h->accounts.late_bytes += LIMIT_HTTP2_STREAM_WINDOW_BYTES;
    bool ours = frame->rst_stream.error_code == NGHTTP2_NO_ERROR || (s && s->own_reset);
    return ours || charge_reset(h, "resets that it provoked");
}

bool h2_account_sent(struct h2 *h, const nghttp2_frame *frame)
{
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        earn(h);
        return true;
    case NGHTTP2_SETTINGS:
        h->accounts.earned += !(frame->hd.flags & NGHTTP2_FLAG_ACK); /* its acknowledgement */
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
    bool stalled = h->buffered_bytes && longer_than(a->stalled_since_ns, now_ns, LIMIT_WRITE_STALL_MS);
    return judge(h, !longer_than(a->block_began_ns, now_ns, LIMIT_HEADERS_MS), "a header block that does not end") &&
           judge(h, !stalled, "output that it does not take");
}
