#include "base/fault.h"

#include <stdlib.h>

#include "base/hash.h"

/* The linker makes an array of all entries of the section; weak, as a program may have no point at all. */
extern struct fault_point *const __start_fault_points[] __attribute__((weak));
extern struct fault_point *const __stop_fault_points[] __attribute__((weak));

struct plan {
    struct slice name; /* with any: of names that begin with it */
    bool any;
    bool onwards;
    uint32_t numerator, denominator;
};

static uint32_t point_count(void)
{
    // cppcheck-suppress comparePointers; the linker puts both at one array
    return (uint32_t)(__stop_fault_points - __start_fault_points);
}

const struct fault_point *fault_at(uint32_t index)
{
    return index < point_count() ? __start_fault_points[index] : NULL;
}

bool fault_fires(struct fault_point *p)
{
    uint64_t pass = atomic_fetch_add_explicit(&p->passes, 1, memory_order_relaxed) + 1;
    bool fires = p->denominator ? hash_mix(p->seed + pass * 0x9E3779B97F4A7C15u) % p->denominator < p->numerator
                 : p->onwards   ? pass >= p->numerator
                                : pass == p->numerator;
    if (fires)
        atomic_fetch_add_explicit(&p->fired, 1, memory_order_relaxed);
    return fires;
}

/* The number in front of *text, which moves behind it. */
static bool take_number(struct slice *text, uint32_t *ret_number)
{
    uint32_t number = 0;
    size_t digits = 0;
    for (; digits < text->size && text->data[digits] >= '0' && text->data[digits] <= '9'; digits++)
        if (__builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint32_t)(text->data[digits] - '0'), &number))
            return false;
    *text = slice_skip(*text, digits);
    *ret_number = number;
    return digits > 0 && number > 0;
}

/* What stands before the first c, and behind it. */
static struct slice split(struct slice text, char c, struct slice *ret_rest)
{
    const uint8_t *at = text.size ? memchr(text.data, c, text.size) : NULL;
    size_t size = at ? (size_t)(at - text.data) : text.size;
    *ret_rest = slice_skip(text, at ? size + 1 : size);
    return slice_take(text, size);
}

static bool parse_plan(struct slice text, struct plan *ret_plan)
{
    struct slice when;
    struct plan plan = {.name = split(text, '=', &when)};
    if (plan.name.size && plan.name.data[plan.name.size - 1] == '*') {
        plan.any = true;
        plan.name.size--;
    }
    bool nth = when.size && when.data[0] == '@';
    if (nth)
        when = slice_skip(when, 1);
    if ((plan.name.size == 0 && !plan.any) || !take_number(&when, &plan.numerator))
        return false;
    bool more = when.size && when.data[0] == (nth ? '+' : '/');
    if (!nth && !more)
        return false;
    plan.onwards = nth && more;
    when = slice_skip(when, more ? 1 : 0);
    if ((!nth && !take_number(&when, &plan.denominator)) || when.size)
        return false;
    *ret_plan = plan;
    return true;
}

static bool matches(const struct plan *plan, const struct fault_point *p)
{
    struct slice name = slice_str(p->name);
    return plan->any ? slice_starts_with(name, plan->name) : slice_eq(name, plan->name);
}

static void arm_point(const struct plan *plan, struct fault_point *p, uint64_t seed)
{
    p->numerator = plan->numerator;
    p->denominator = plan->denominator;
    p->onwards = plan->onwards;
    p->seed = hash_fast(slice_str(p->name), seed);
    atomic_store_explicit(&p->passes, 0, memory_order_relaxed);
    atomic_store_explicit(&p->fired, 0, memory_order_relaxed);
    atomic_store_explicit(&p->armed, 1, memory_order_release);
}

/* Checks, and with act also arms, all of a list. */
static enum err walk(const char *list, uint64_t seed, bool act)
{
    struct slice rest = slice_str(list);
    while (rest.size) {
        struct plan plan;
        if (!parse_plan(split(rest, ',', &rest), &plan))
            return ERR_INVALID_ARGUMENT;
        bool found = false;
        for (uint32_t i = 0; i < point_count(); i++) {
            if (!matches(&plan, __start_fault_points[i]))
                continue;
            found = true;
            if (act)
                arm_point(&plan, __start_fault_points[i], seed);
        }
        if (!found)
            return ERR_NOT_FOUND;
    }
    return OK;
}

enum err fault_arm(const char *list, uint64_t seed)
{
    enum err e = walk(list, seed, false);
    return e ? e : walk(list, seed, true);
}

void fault_disarm_all(void)
{
    for (uint32_t i = 0; i < point_count(); i++)
        atomic_store_explicit(&__start_fault_points[i]->armed, 0, memory_order_release);
}

uint64_t fault_count(const char *name)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < point_count(); i++)
        if (strcmp(__start_fault_points[i]->name, name) == 0)
            count += atomic_load_explicit(&__start_fault_points[i]->fired, memory_order_relaxed);
    return count;
}
