/* Random bytes from the environment, fetched in one piece for many users: ids of requests and traces cost no system call each.
 * Thread: one. */
#ifndef PRISM_RPC_RANDOM_H
#define PRISM_RPC_RANDOM_H

#include "rt/env.h"

struct random_pool {
    const struct env *env;
    uint32_t left; /* unused bytes, at the end */
    uint8_t bytes[1024];
};

static inline void random_pool_init(struct random_pool *p, const struct env *env)
{
    p->env = env;
    p->left = 0;
}

static inline void random_take(struct random_pool *p, void *out, uint32_t size)
{
    if (size > p->left) {
        p->env->random(p->env, p->bytes, sizeof p->bytes);
        p->left = sizeof p->bytes;
    }
    memcpy(out, p->bytes + sizeof p->bytes - p->left, size);
    p->left -= size;
}

#endif
