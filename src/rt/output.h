/* What a connection has to send and its socket has not taken: bytes that were copied, and between them references to blocks
 * and ranges of files, in their order. No I/O. Private to rt. Thread: the connection's.
 *
 *   copied bytes  [aaaaaaaabbbbbccc]        references  {8 before, block} {5 before, file}        3 behind the last one
 *
 * Invariants: a reference has bytes left; each range of a file that was put is released exactly once: when its last byte has
 * been sent, when the queue is emptied, or at once where it finds no room. An error sticks until the queue is emptied. */
#ifndef PRISM_RT_OUTPUT_H
#define PRISM_RT_OUTPUT_H

#include "base/buf.h"
#include "rt/conn.h"

struct output_ref {
    size_t before;       /* copied bytes that go first */
    const uint8_t *data; /* NULL: of a file */
    struct block *block;
    uint64_t size;
    struct conn_file file;
};

struct output {
    struct buf bytes;
    size_t bytes_sent; /* of those */
    size_t behind;     /* bytes behind the last reference */
    struct output_ref *refs;
    uint32_t first, end, capacity; /* of refs: waiting are [first, end) */
    uint64_t size;                 /* all that is to be sent */
    uint64_t block_bytes;          /* of it, in blocks */
    enum err err;                  /* ERR_NOMEM, ERR_MESSAGE_TOO_LARGE */
};

void output_init(struct output *);
/* Empties it: releases what it holds; ready for use again. */
void output_fini(struct output *);
void output_put_bytes(struct output *, struct slice); /* copies */
void output_put_block(struct output *, struct block *, struct slice);
void output_put_file(struct output *, const struct conn_file *);
/* Slices to send first, at most max of them; 0: a range of a file comes first, or nothing is left. */
size_t output_memory(const struct output *, struct slice *ret_slices, size_t max);
/* The range of a file that comes first, what is left of it; NULL: none. */
const struct conn_file *output_file(const struct output *);
void output_sent(struct output *, uint64_t size);

#endif
