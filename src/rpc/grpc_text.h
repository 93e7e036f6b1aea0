/* Texts in gRPC's headers: grpc-timeout, grpc-message, grpc-accept-encoding. Thread: any.
 * Source: grpc/doc/PROTOCOL-HTTP2.md. */
#ifndef PRISM_RPC_GRPC_TEXT_H
#define PRISM_RPC_GRPC_TEXT_H

#include "base/arena.h"

/* "250m" is 250,000,000: one to eight digits and one of H M S m u n. More than 2^64 ns is UINT64_MAX. false: malformed. */
bool grpc_timeout_parse(struct slice text, uint64_t *ret_ns);
/* The shortest exact or next longer form. */
enum { GRPC_TIMEOUT_BYTES = 10 };
void grpc_timeout_format(uint64_t timeout_ns, char out[GRPC_TIMEOUT_BYTES]);

/* Percent-encoding of what is not printable ASCII, and of '%'. The text itself where there is nothing to encode. false: out of
 * memory. */
bool grpc_message_encode(struct arena *, struct slice text, struct slice *ret_encoded)
    __attribute__((warn_unused_result));
/* What is not valid encoding stays as it is, as the specification asks. */
bool grpc_message_decode(struct arena *, struct slice encoded, struct slice *ret_text)
    __attribute__((warn_unused_result));

/* Whether a list like "identity, gzip" has the name. */
bool grpc_list_has(struct slice list, struct slice name);

#endif
