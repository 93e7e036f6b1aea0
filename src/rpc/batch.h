/* Frames on their way to a connection, collected so that a batch of them leaves in one write. Thread: one. */
#ifndef PRISM_RPC_BATCH_H
#define PRISM_RPC_BATCH_H

#include "rt/conn.h"

enum { BATCH_BYTES = 64 << 10 };

struct batch {
    uint8_t *bytes; /* BATCH_BYTES; NULL only after a failed batch_init */
    size_t size;
    uint64_t written_bytes; /* since the start */
};

enum err batch_init(struct batch *) __attribute__((warn_unused_result));
void batch_fini(struct batch *);
/* Writes on its own where the batch is full. */
void batch_put(struct batch *, struct conn *, const uint8_t *data, size_t size);
void batch_write(struct batch *, struct conn *);

#endif
