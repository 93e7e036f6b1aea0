/* What stands before a version that expires: most versions never do, and shall not pay for a timer. */
#ifndef PRISM_DRIVERS_MEMORY_EXPIRY_H
#define PRISM_DRIVERS_MEMORY_EXPIRY_H

#include <stddef.h>

#include "drivers/memory/store.h"

struct expiry {
    struct wheel_timer timer;
    struct entry *entry; /* whose newest version this is, while the timer runs */
};
_Static_assert(sizeof(struct expiry) % _Alignof(struct version) == 0, "the version behind it is aligned");

static inline struct expiry *version_expiry(struct version *v)
{
    return (struct expiry *)v - 1;
}

static inline struct version *expiry_version(struct wheel_timer *timer)
{
    return (struct version *)((struct expiry *)((char *)timer - offsetof(struct expiry, timer)) + 1);
}

#endif
