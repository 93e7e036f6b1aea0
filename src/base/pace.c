/* See pace.h. While the rate changes from a to b within T, n(t) = a t + (b - a) t² / 2T calls are due until t; solved for t in
 * the form that loses no digits where a and b are nearly the same. */
#include "base/pace.h"

#include <assert.h>
#include <math.h>

void pace_init(struct pace *p, double from, double to, uint64_t ramp_ns, uint64_t start_ns)
{
    assert(from > 0 && to > 0);
    double ramp_s = (double)ramp_ns / 1e9;
    *p = (struct pace){from, to, ramp_s, (from + to) / 2 * ramp_s, start_ns, 0};
}

/* Seconds from the start to call n. */
static double due_s(const struct pace *p, double n)
{
    if (n >= p->ramped)
        return p->ramp_s + (n - p->ramped) / p->to;
    double slope = (p->to - p->from) / p->ramp_s;
    return 2 * n / (p->from + sqrt(p->from * p->from + 2 * slope * n));
}

uint64_t pace_next(const struct pace *p)
{
    return p->start_ns + (uint64_t)(due_s(p, (double)p->taken) * 1e9);
}

uint64_t pace_take(struct pace *p)
{
    uint64_t due = pace_next(p);
    p->taken++;
    return due;
}

uint64_t pace_waiting(const struct pace *p, uint64_t now_ns, uint64_t end_ns)
{
    struct pace ahead = *p;
    while (pace_next(&ahead) <= now_ns && pace_next(&ahead) < end_ns)
        ahead.taken++;
    return ahead.taken - p->taken;
}
