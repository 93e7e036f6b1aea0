/* Memory of nghttp2: small blocks go back to a list of their size and are used again, so that a warm server makes no
 * allocation for a stream. One a loop. Invariant: at most H2MEM_KEPT blocks wait in a list. Thread: one. */
#ifndef PRISM_RPC_H2MEM_H
#define PRISM_RPC_H2MEM_H

#include <nghttp2/nghttp2.h>

enum { H2MEM_CLASSES = 8, H2MEM_KEPT = 1024 }; /* 64, 128 … 8,192 bytes */

struct h2mem_block;

struct h2mem {
    nghttp2_mem functions; /* hand this to nghttp2 */
    struct h2mem_block *free[H2MEM_CLASSES];
    unsigned free_count[H2MEM_CLASSES];
};

void h2mem_init(struct h2mem *);
/* All sessions that use it are gone. */
void h2mem_fini(struct h2mem *);

#endif
