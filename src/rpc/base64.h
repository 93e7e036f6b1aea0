/* base64 (RFC 4648, section 4) as binary metadata carries it: padding is optional when reading and absent when written.
 * Thread: any. */
#ifndef PRISM_RPC_BASE64_H
#define PRISM_RPC_BASE64_H

#include "base/arena.h"
#include "base/err.h"

/* Into the arena. ERR_GRPC_MALFORMED: not base64; ERR_NOMEM. */
enum err base64_decode(struct arena *, struct slice text, struct slice *ret_bytes) __attribute__((warn_unused_result));
enum err base64_encode(struct arena *, struct slice bytes, struct slice *ret_text) __attribute__((warn_unused_result));

#endif
