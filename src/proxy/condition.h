/* How a namespace is, for health pages, figures and tools.
 *
 *   ok         calls are answered
 *   degraded   its backend is remote and does not answer, or its breaker is open: calls end with UNAVAILABLE until it does. The proxy
 *              stays ready: other namespaces are well, and another proxy would fare no better with this one
 *   down       a store inside this process has failed (disk full, damaged file): traffic should go elsewhere
 *
 * Thread: any. */
#ifndef PRISM_PROXY_CONDITION_H
#define PRISM_PROXY_CONDITION_H

#include "data/namespace.h"

enum condition { CONDITION_OK, CONDITION_DEGRADED, CONDITION_DOWN };

/* diag says why, where it is not OK; may be NULL. */
enum condition namespace_condition(const struct namespace *, struct diag *);
const char *condition_name(enum condition);

#endif
