/* google.rpc.Status out of an error and its diag, and back. gRPC sends it as grpc-status-details-bin, HTTP/JSON as the body
 * of an error. Thread: any.
 *
 *   ErrorInfo             always: reason = err_name, domain "prism", metadata
 *   RetryInfo             where diag says when to try again
 *   BadRequest            one violation a field
 *   PreconditionFailure   one violation a precondition
 *   QuotaFailure          where the error is a limit that others share
 *   ResourceInfo          where diag names a resource
 *
 * Source: google/rpc/status.proto, google/rpc/error_details.proto, AIP-193. */
#ifndef PRISM_RPC_STATUS_H
#define PRISM_RPC_STATUS_H

#include "base/diag.h"

struct google_rpc_status;

/* In the arena. NULL: out of memory. */
struct google_rpc_status *status_make(struct arena *, enum err, const struct diag *)
    __attribute__((warn_unused_result));
/* status_make, encoded. false: out of memory. */
bool status_encode(struct arena *, enum err, const struct diag *, struct slice *ret_bytes)
    __attribute__((warn_unused_result));
/* Fills diag (whose arena is set) from an encoded Status. What it does not know it leaves out. The error: by ErrorInfo.reason
 * where the domain is ours, else by the status code. */
enum err status_decode(struct slice bytes, struct diag *);

#endif
