/* Errors as HTTP/JSON clients see them:
 *
 *   {"error":{"code":5,"status":"NOT_FOUND","reason":"NAMESPACE_UNKNOWN","message":"…","details":[{"@type":…}…]}}
 *
 * code and status are gRPC's, reason is the name in our table, details those of google.rpc.Status. Thread: any. */
#ifndef PRISM_RPC_JSON_ERROR_H
#define PRISM_RPC_JSON_ERROR_H

#include "base/buf.h"
#include "base/diag.h"

/* Appends the object. diag may be NULL, or of another error: then the text is the row's. arena: for the details; NULL: none. */
void json_error_write(struct buf *, enum err, const struct diag *, struct arena *);

#endif
