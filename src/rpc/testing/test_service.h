/* grpc.testing.TestService, for tests only: answers what a request asks for, in all four kinds of calls.
 * Source: grpc/doc/interop-test-descriptions.md, "Server". Thread: the server's loop. */
#ifndef PRISM_RPC_TESTING_TEST_SERVICE_H
#define PRISM_RPC_TESTING_TEST_SERVICE_H

#include "rpc/server.h"

enum err test_service_add(struct rpc_server *) __attribute__((warn_unused_result));

#endif
