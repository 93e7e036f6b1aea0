/* The last reference frees. */
#include "data/namespace.h"

void namespace_unref(struct namespace *ns)
{
    if (ns && atomic_fetch_sub_explicit(&ns->refs, 1, memory_order_acq_rel) == 1)
        ns->free(ns);
}
