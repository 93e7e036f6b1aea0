/* Where an HTTP/JSON request goes: path to method. Private to json_*.c. Thread: the server's loop.
 *
 *   /v1/namespaces/{namespace}/{interface_id}/{Method}
 *   /{package.Service}/{Method}
 *
 * Segments are percent-decoded (RFC 3986, 2.1); an encoded slash does not separate. */
#ifndef PRISM_RPC_JSON_ROUTE_H
#define PRISM_RPC_JSON_ROUTE_H

#include "rpc/internal.h"

struct json_route {
    const struct endpoint *endpoint;
    struct slice namespace_name; /* in the exchange's arena; empty: the path names none */
};

/* ERR_HTTP_NOT_FOUND, ERR_METHOD_UNKNOWN: diag names what there is nearby. ERR_HTTP_METHOD: what is there takes another HTTP
 * method, *ret_allow. ERR_NAMESPACE_MISSING, ERR_INVALID_ARGUMENT (damaged encoding), ERR_NOMEM. */
enum err json_route_find(struct http_exchange *, struct diag *, struct json_route *ret_route, const char **ret_allow);

#endif
