/* Length-prefixed messages of gRPC: one octet that tells whether it is compressed, four of length (big endian), the bytes.
 *
 *   struct grpc_reader r;
 *   grpc_reader_init(&r, bytes_max);
 *   while (grpc_read(&r, &input, &message, &complete) == OK && complete) ...     input is moved on
 *   grpc_reader_fini(&r);
 *
 * A message that lies in the input is lent from there; one that came in pieces is gathered, in memory that grows as bytes
 * come and not as lengths are announced. Thread: one. Source: grpc/doc/PROTOCOL-HTTP2.md. */
#ifndef PRISM_RPC_GRPC_FRAME_H
#define PRISM_RPC_GRPC_FRAME_H

#include "base/buf.h"

enum { GRPC_PREFIX_BYTES = 5 };

struct grpc_message {
    struct slice bytes; /* in the input, or the reader's until the next grpc_read */
    bool compressed;
    bool in_input;
};

struct grpc_reader {
    uint8_t prefix[GRPC_PREFIX_BYTES];
    uint8_t prefix_size;
    bool compressed;
    uint32_t length; /* once the prefix is complete */
    struct buf gathered;
};

void grpc_reader_init(struct grpc_reader *, size_t bytes_max);
void grpc_reader_fini(struct grpc_reader *);
/* Takes bytes from the front of the input, up to the end of the next message. ERR_MESSAGE_TOO_LARGE: its length is above the
 * maximum, nothing was allocated; ERR_GRPC_MALFORMED: a flag that does not exist; ERR_NOMEM. */
enum err grpc_read(struct grpc_reader *, struct slice *input, struct grpc_message *ret_message, bool *ret_complete)
    __attribute__((warn_unused_result));
/* Nothing of a further message has been read: the stream may end here. */
bool grpc_reader_at_boundary(const struct grpc_reader *);
void grpc_prefix(uint8_t out[GRPC_PREFIX_BYTES], bool compressed, uint32_t length);

#endif
