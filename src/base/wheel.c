/* Level l has 64 slots of 64^l ticks. Write time in base 64: a timer lies on the level of the highest digit in which its due
 * time differs from now, in the slot of that digit.
 *
 * Invariants: above its level a timer's digits are those of now; its own digit is greater than now's, or, on level 0, equal
 * (due already). Hence a slot's timers are touched only when now reaches the slot, and fall at least one level then. */
#include "base/wheel.h"

#include <assert.h>
#include <string.h>

static const uint64_t end_of_time = (UINT64_C(1) << (WHEEL_BITS * WHEEL_LEVELS)) - 1;

void wheel_init(struct wheel *w, uint64_t now)
{
    assert(now <= end_of_time);
    memset(w, 0, sizeof *w);
    w->now = now;
}

static unsigned digit(uint64_t time, unsigned level)
{
    return (time >> (level * WHEEL_BITS)) & (WHEEL_SLOTS - 1);
}

/* What lies above the digit of a level. */
static uint64_t above(uint64_t time, unsigned level)
{
    return time >> ((level + 1) * WHEEL_BITS);
}

static void push(struct wheel_timer **head, struct wheel_timer *t)
{
    t->next = *head;
    t->link = head;
    if (t->next)
        t->next->link = &t->next;
    *head = t;
}

static void place(struct wheel *w, struct wheel_timer *t)
{
    uint64_t time = t->due < w->now ? w->now : t->due > end_of_time ? end_of_time : t->due;
    uint64_t differs = time ^ w->now;
    unsigned level = differs ? (63 - (unsigned)__builtin_clzll(differs)) / WHEEL_BITS : 0;
    t->level = (uint8_t)level;
    t->slot = (uint8_t)digit(time, level);
    push(&w->slots[level][t->slot], t);
    w->occupied[level] |= UINT64_C(1) << t->slot;
}

void wheel_insert(struct wheel *w, struct wheel_timer *t, uint64_t due)
{
    wheel_cancel(w, t);
    t->due = due;
    place(w, t);
    w->count++;
}

void wheel_cancel(struct wheel *w, struct wheel_timer *t)
{
    if (!t->link)
        return;
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->link = NULL;
    if (t->level < WHEEL_LEVELS && !w->slots[t->level][t->slot])
        w->occupied[t->level] &= ~(UINT64_C(1) << t->slot);
    w->count--;
}

/* Sorts the timers of a slot that now has reached: due, or placed again further down. */
static void empty_slot(struct wheel *w, unsigned level, unsigned slot)
{
    struct wheel_timer *t = w->slots[level][slot];
    w->slots[level][slot] = NULL;
    w->occupied[level] &= ~(UINT64_C(1) << slot);
    while (t) {
        struct wheel_timer *next = t->next;
        if (t->due <= w->now) {
            t->level = WHEEL_LEVELS;
            push(&w->due, t);
        } else {
            place(w, t);
        }
        t = next;
    }
}

/* Bits first to last, both included. */
static uint64_t bits(unsigned first, unsigned last)
{
    return (UINT64_MAX << first) & (UINT64_MAX >> (63 - last));
}

void wheel_advance(struct wheel *w, uint64_t now)
{
    uint64_t old = w->now;
    if (now > end_of_time)
        now = end_of_time;
    if (now < old)
        now = old;
    w->now = now;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        bool last = above(old, level) == above(now, level);
        uint64_t reached = last ? bits(digit(old, level), digit(now, level)) : UINT64_MAX;
        for (uint64_t set = w->occupied[level] & reached; set; set &= set - 1)
            empty_slot(w, level, (unsigned)__builtin_ctzll(set));
        if (last)
            break;
    }
}

struct wheel_timer *wheel_pop(struct wheel *w)
{
    struct wheel_timer *t = w->due;
    if (t)
        wheel_cancel(w, t);
    return t;
}

uint64_t wheel_expire(struct wheel *w, uint64_t now, uint64_t max, void (*fn)(void *context, struct wheel_timer *),
                      void *context)
{
    wheel_advance(w, now);
    uint64_t count = 0;
    for (struct wheel_timer *t; count < max && (t = wheel_pop(w)); count++)
        fn(context, t);
    return count;
}

uint64_t wheel_next(const struct wheel *w)
{
    if (w->due)
        return w->now;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        if (!w->occupied[level])
            continue;
        uint64_t slot = (uint64_t)__builtin_ctzll(w->occupied[level]);
        uint64_t base = level + 1 < WHEEL_LEVELS ? above(w->now, level) << ((level + 1) * WHEEL_BITS) : 0;
        return base | slot << (level * WHEEL_BITS);
    }
    return UINT64_MAX;
}
