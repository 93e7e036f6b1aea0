/* A hierarchical timing wheel: very many timers, of which most are cancelled or far away. Insert and cancel cost O(1),
 * advancing costs O(1) a timer that comes due (each moves down at most once a level).
 *
 *   struct wheel w;
 *   wheel_init(&w, now_ms);
 *   wheel_insert(&w, &item->expiry, due_ms);             intrusive: never allocates, never fails
 *   wheel_cancel(&w, &item->expiry);                     inactive is fine
 *   wheel_advance(&w, now_ms);                           collects what is due at or before now_ms
 *   while (budget-- && (t = wheel_pop(&w))) ...          takes them one by one; inserting and cancelling is allowed here
 *
 * Time is any non-decreasing count of ticks below 2^48, here milliseconds. A timer whose due time has passed already comes
 * with the next advance. Timers that are due together come in no order. A zeroed wheel_timer is inactive.
 * Thread: one at a time. Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987. */
#ifndef PRISM_BASE_WHEEL_H
#define PRISM_BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

enum { WHEEL_BITS = 6, WHEEL_SLOTS = 1 << WHEEL_BITS, WHEEL_LEVELS = 8 };

struct wheel_timer {
    struct wheel_timer *next;
    struct wheel_timer **link; /* what points here; NULL: inactive */
    uint64_t due;
    uint8_t level; /* WHEEL_LEVELS: among those that are due */
    uint8_t slot;
};

struct wheel {
    uint64_t now;
    uint64_t count;                  /* active timers, those due but not popped too */
    uint64_t occupied[WHEEL_LEVELS]; /* a bit a slot */
    struct wheel_timer *slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct wheel_timer *due;
};

void wheel_init(struct wheel *, uint64_t now);
/* An active timer is moved. */
void wheel_insert(struct wheel *, struct wheel_timer *, uint64_t due);
void wheel_cancel(struct wheel *, struct wheel_timer *);
/* A time in the past is taken as the present. */
void wheel_advance(struct wheel *, uint64_t now);
/* One that is due, now inactive; NULL: none. */
struct wheel_timer *wheel_pop(struct wheel *);
/* wheel_advance, then fn for each that is due, at most max of them. Returns how many; the others come with the next call. */
uint64_t wheel_expire(struct wheel *, uint64_t now, uint64_t max, void (*fn)(void *context, struct wheel_timer *),
                      void *context);
/* When to advance next: never later than the first due time, UINT64_MAX without timers. */
uint64_t wheel_next(const struct wheel *);

static inline bool wheel_timer_active(const struct wheel_timer *t)
{
    return t->link;
}

#endif
