/* A growing byte buffer with a maximum. Errors stick: after one failed append all further ones fail, and buf_err tells why,
 * so that a writer checks once at the end.
 *
 *   struct buf b;
 *   buf_init(&b, LIMIT_MESSAGE_BYTES);
 *   buf_puts(&b, "{"); ...
 *   if (buf_err(&b)) ...                 ERR_NOMEM, or ERR_MESSAGE_TOO_LARGE at the maximum
 *   buf_fini(&b);
 *
 * Thread: one at a time. */
#ifndef PRISM_BASE_BUF_H
#define PRISM_BASE_BUF_H

#include "base/err.h"
#include "base/slice.h"

struct buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t bytes_max;
    enum err err;
};

void buf_init(struct buf *, size_t bytes_max);
/* Over memory of the caller's (a stack array), which is also its maximum: never allocates; needs no buf_fini. */
void buf_init_fixed(struct buf *, void *memory, size_t size);
void buf_fini(struct buf *);
/* Empty and without error again; keeps the memory. */
void buf_reset(struct buf *);
/* Room for size more bytes behind the end; NULL with the error kept. Commit with buf_advance. */
uint8_t *buf_reserve(struct buf *, size_t size);
void buf_advance(struct buf *, size_t size);
void buf_put(struct buf *, const void *data, size_t size);
void buf_putc(struct buf *, char c);
void buf_puts(struct buf *, const char *text);
void buf_put_slice(struct buf *, struct slice);
void buf_printf(struct buf *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Removes bytes at the front. */
void buf_consume(struct buf *, size_t size);

static inline enum err buf_err(const struct buf *b)
{
    return b->err;
}

static inline struct slice buf_slice(const struct buf *b)
{
    return slice_of(b->data, b->size);
}

#endif
