/* breaker.h has the states. */
#include "data/breaker.h"

#include <assert.h>

enum { NS_PER_MS = 1000000, HALF_OPEN_WAIT_MS = 100 };

static void change(struct breaker *b, enum breaker_state to)
{
    b->state = to;
    b->failed = b->trying = b->succeeded = 0;
    b->changes++;
}

static void open_it(struct breaker *b, const struct breaker_settings *s, uint64_t now_ns)
{
    change(b, BREAKER_OPEN);
    b->until_ns = now_ns + (uint64_t)s->open_ms * NS_PER_MS;
    b->opened++;
}

/* What time and new settings do to the state. */
static void refresh(struct breaker *b, const struct breaker_settings *s, uint64_t now_ns)
{
    if (b->state != BREAKER_CLOSED && !s->failures)
        change(b, BREAKER_CLOSED);
    if (b->state == BREAKER_OPEN && now_ns >= b->until_ns)
        change(b, BREAKER_HALF_OPEN);
}

bool breaker_is_open(const struct breaker *b, const struct breaker_settings *s, uint64_t now_ns, uint32_t *ret_wait_ms)
{
    if (b->state != BREAKER_OPEN || !s->failures || now_ns >= b->until_ns)
        return false;
    *ret_wait_ms = (uint32_t)((b->until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
    return true;
}

bool breaker_admit(struct breaker *b, const struct breaker_settings *s, uint64_t now_ns, uint64_t *ret_ticket,
                   uint32_t *ret_wait_ms)
{
    refresh(b, s, now_ns);
    if (breaker_is_open(b, s, now_ns, ret_wait_ms))
        return false;
    if (b->state == BREAKER_HALF_OPEN && b->trying + b->succeeded >= s->half_open_calls) {
        *ret_wait_ms = s->open_ms < HALF_OPEN_WAIT_MS ? s->open_ms : HALF_OPEN_WAIT_MS;
        return false;
    }
    b->trying += b->state == BREAKER_HALF_OPEN;
    *ret_ticket = b->changes;
    return true;
}

static bool report_closed(struct breaker *b, const struct breaker_settings *s, enum breaker_verdict v, uint64_t now_ns)
{
    if (v == BREAKER_SUCCESS)
        b->failed = 0;
    else if (v == BREAKER_FAILURE)
        b->failed++;
    bool opens = s->failures && b->failed >= s->failures;
    if (opens)
        open_it(b, s, now_ns);
    return opens;
}

static bool report_half_open(struct breaker *b, const struct breaker_settings *s, enum breaker_verdict v,
                             uint64_t now_ns)
{
    assert(b->trying > 0);
    b->trying--;
    if (v == BREAKER_FAILURE) {
        open_it(b, s, now_ns);
        return true;
    }
    b->succeeded += v == BREAKER_SUCCESS;
    if (b->succeeded >= s->half_open_calls)
        change(b, BREAKER_CLOSED);
    return false;
}

bool breaker_report(struct breaker *b, const struct breaker_settings *s, uint64_t ticket, enum breaker_verdict v,
                    uint64_t now_ns)
{
    if (ticket != b->changes || b->state == BREAKER_OPEN)
        return false;
    return b->state == BREAKER_CLOSED ? report_closed(b, s, v, now_ns) : report_half_open(b, s, v, now_ns);
}

const char *breaker_state_name(enum breaker_state state)
{
    static const char *const names[] = {"closed", "open", "half_open"};
    return names[state];
}
