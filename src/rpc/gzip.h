/* gzip of messages (RFC 1952), for the message encoding of gRPC. One state is used again for all messages of a loop: zlib
 * allocates once. Thread: one at a time. */
#ifndef PRISM_RPC_GZIP_H
#define PRISM_RPC_GZIP_H

#include "base/buf.h"

struct z_stream_s;

struct gzip {
    struct z_stream_s *inflate; /* NULL until first used */
    struct z_stream_s *deflate;
};

/* gzip_init allocates nothing. */
void gzip_init(struct gzip *);
void gzip_fini(struct gzip *);
/* Appends to out. ERR_COMPRESSION_CORRUPT: damaged, cut, or followed by other bytes; ERR_MESSAGE_TOO_LARGE: at out's
 * maximum, without inflating further; ERR_NOMEM. */
enum err gzip_inflate(struct gzip *, struct slice compressed, struct buf *out) __attribute__((warn_unused_result));
/* Appends to out. ERR_MESSAGE_TOO_LARGE: at out's maximum; ERR_NOMEM. */
enum err gzip_deflate(struct gzip *, struct slice plain, struct buf *out) __attribute__((warn_unused_result));

#endif
