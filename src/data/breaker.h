/* A circuit breaker: after some calls in a row have failed, no call is sent for a while; then a few try, and their fate decides.
 * Pure: time is passed in, nobody is called.
 *
 *              failures in a row                    open_ms have passed, a call asks
 *   closed ──────────────────────▶ open ─────────────────────────────────────────▶ half-open
 *     ▲                              ▲                    a try fails                  │ │
 *     │                              └─────────────────────────────────────────────────┘ │
 *     └──────────────────────────────── half_open_calls tries have succeeded ────────────┘
 *
 * Invariants: in half-open at most half_open_calls calls are on their way or have succeeded; a call that was admitted before the
 * last change of state changes nothing any more when it reports; every admitted call reports once.
 * Settings may differ from call to call (a reload): what they say holds from then on.
 * Thread: one at a time. Source: M. Nygard, "Release It!", Circuit Breaker. */
#ifndef PRISM_DATA_BREAKER_H
#define PRISM_DATA_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

struct breaker_settings {
    uint32_t failures; /* in a row that open it; 0: it never opens */
    uint32_t open_ms;
    uint32_t half_open_calls; /* at least 1 */
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

enum breaker_verdict {
    BREAKER_SUCCESS, /* the backend answered */
    BREAKER_FAILURE, /* it did not, or not usefully */
    BREAKER_NEUTRAL, /* nothing was learned: cancelled before it could answer */
};

/* Zeroed: closed. */
struct breaker {
    enum breaker_state state;
    uint32_t failed;    /* closed: failures since the last success */
    uint32_t trying;    /* half-open: calls on their way */
    uint32_t succeeded; /* half-open */
    uint64_t until_ns;  /* open: until then */
    uint64_t changes;   /* of state, ever: the ticket of calls admitted now */
    uint64_t opened;    /* times, ever */
};

/* Whether a call may be sent. If so, *ret_ticket goes back with its report; if not, *ret_wait_ms says when to ask again. */
bool breaker_admit(struct breaker *, const struct breaker_settings *, uint64_t now_ns, uint64_t *ret_ticket,
                   uint32_t *ret_wait_ms);
/* Whether it is open now, and for how long. A call that would have to wait for other reasons need not begin to. */
bool breaker_is_open(const struct breaker *, const struct breaker_settings *, uint64_t now_ns, uint32_t *ret_wait_ms);
/* How an admitted call went. Whether this opened the breaker. */
bool breaker_report(struct breaker *, const struct breaker_settings *, uint64_t ticket, enum breaker_verdict,
                    uint64_t now_ns);
/* "closed", "open", "half_open". */
const char *breaker_state_name(enum breaker_state);

#endif
