/* The port for machines: GET /metrics, /health, /ready. On the control loop, which serves no clients. */
#ifndef PRISM_CMD_MEMORYSTREAMER_OPERATIONS_H
#define PRISM_CMD_MEMORYSTREAMER_OPERATIONS_H

#include "streamer/broker.h"

struct operations;

enum err operations_open(struct broker *, struct loop *control, const char *address, struct diag *,
                         struct operations **ret_operations) __attribute__((warn_unused_result));
const char *operations_address(const struct operations *);
/* Answers what is asked already; the shards must still be there. Then closed comes from the loop. */
void operations_close(struct operations *, uint64_t deadline_ns, void (*closed)(void *context), void *context);
void operations_free(struct operations *); /* NULL is fine; closed, or never served */

#endif
