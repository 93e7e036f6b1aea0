/* The machine as it is. */
#include "rt/env.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "rt/internal.h"

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t monotonic_ns(const struct env *env)
{
    (void)env;
    return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t realtime_ns(const struct env *env)
{
    (void)env;
    return clock_ns(CLOCK_REALTIME);
}

/* Nothing can be done without unpredictable bytes; the kernel does not refuse them once it has booted. */
static void random_bytes(const struct env *env, void *out, size_t size)
{
    (void)env;
    for (size_t done = 0; done < size;) {
        ssize_t n = getrandom((uint8_t *)out + done, size - done, 0);
        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR)
            abort();
    }
}

const struct env *env_real(void)
{
    static const struct env real = {
        .monotonic_ns = monotonic_ns,
        .realtime_ns = realtime_ns,
        .random = random_bytes,
        .disk = &real_disk,
        .loop = &uv_backend,
    };
    return &real;
}
