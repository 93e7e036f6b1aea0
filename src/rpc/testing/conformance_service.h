/* connectrpc.conformance.v1.ConformanceService, for tests only: answers what the first request defines, and tells what it has
 * seen. Source: connectrpc/conformance, docs/testing_servers.md. Thread: the server's loop. */
#ifndef PRISM_RPC_TESTING_CONFORMANCE_SERVICE_H
#define PRISM_RPC_TESTING_CONFORMANCE_SERVICE_H

#include "rpc/server.h"

enum err conformance_service_add(struct rpc_server *) __attribute__((warn_unused_result));

#endif
