#include "base/budget.h"

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
