/* A namespace at run time: the unit of configuration, isolation, policy and metrics. Immutable once made; a reload makes a new
 * one (which may keep the old one's backend) and lets the old one go when its last call has ended. Reference-counted, any thread. */
#ifndef PRISM_DATA_NAMESPACE_H
#define PRISM_DATA_NAMESPACE_H

#include <stdatomic.h>

#include "data/driver.h"
#include "data/guard.h"

struct namespace
{
    const char *name;
    const struct config_namespace *config; /* defaults filled in */
    const char *backend_name;              /* in the configuration: a named backend or the driver */
    struct backend *backend;
    struct guard *guard; /* of the backend, where its driver is remote; NULL: none */
    struct guard_settings guard_settings;
    /* Settings in the form that calls use. */
    int64_t ttl_default_ms; /* 0: none */
    int64_t ttl_max_ms;     /* 0: any */
    bool ttl_allow_infinite;
    uint32_t message_bytes;
    uint32_t transactions_max;
    int64_t idempotency_retention_ms;
    uint8_t cursor_key[16]; /* signs scan cursors; made from the secret in data_dir and the name */
    uint32_t index;         /* small number for metrics tables */
    atomic_uint refs;
    void *owner; /* the configuration snapshot that it belongs to */
    void (*free)(struct namespace *);
};

static inline struct namespace *namespace_ref(struct namespace *ns)
{
    atomic_fetch_add_explicit(&ns->refs, 1, memory_order_relaxed);
    return ns;
}
void namespace_unref(struct namespace *);

#endif
