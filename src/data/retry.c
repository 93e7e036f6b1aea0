/* retry.h says why. */
#include "data/retry.h"

#include <assert.h>

#include "base/limits.h"
#include "data/outcome.h"

void retry_budget_earn(struct retry_budget *b, const struct retry_settings *s)
{
    b->spent -= b->spent < s->budget_percent ? b->spent : s->budget_percent;
}

bool retry_budget_take(struct retry_budget *b)
{
    if (b->spent + RETRY_TOKEN > RETRY_TOKENS_MAX * RETRY_TOKEN)
        return false;
    b->spent += RETRY_TOKEN;
    return true;
}

bool retry_allowed(enum err e, enum retry_safety safety, bool answered_partly)
{
    if (answered_partly)
        return false;
    switch (e) {
    case ERR_BACKEND_UNREACHABLE:
    case ERR_BACKEND_REFUSED:
        return true;
    case ERR_BACKEND_LOST:
        return safety == RETRY_SAFE;
    default: /* settled, or a person must act, or the caller is gone */
        return false;
    }
}

uint64_t retry_backoff_ns(uint32_t attempt, uint64_t random)
{
    assert(attempt >= 2);
    uint64_t ceiling_ms = LIMIT_RETRY_BACKOFF_MS;
    for (uint32_t i = 2; i < attempt && ceiling_ms < LIMIT_RETRY_BACKOFF_MS_MAX; i++)
        ceiling_ms *= 2;
    if (ceiling_ms > LIMIT_RETRY_BACKOFF_MS_MAX)
        ceiling_ms = LIMIT_RETRY_BACKOFF_MS_MAX;
    return random % (ceiling_ms * 1000000 + 1);
}
