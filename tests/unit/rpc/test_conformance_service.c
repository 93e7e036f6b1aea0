/* What Connect's conformance suite has the server do that no other test does: details of the handler's own, and none of ours. */
#include "connectrpc/conformance/v1/service.pb.h"
#include "google/protobuf/any.pb.h"
#include "google/rpc/error_details.pb.h"
#include "rpc/testing/conformance_service.h"
#include "world.h"

static struct world world;

static enum err serve(struct world *w, bool plain_status)
{
    struct rpc_server_options o = {.loop = w->loop, .message_bytes_max = 1000, .plain_status = plain_status};
    enum err e = rpc_server_new(&o, &w->server);
    if (!e)
        e = conformance_service_add(w->server);
    return e ? e : rpc_server_listen(w->server, "server:80", NULL, false, &w->diag);
}

static enum err open_world(struct world *w, bool plain_status)
{
    *w = (struct world){0};
    arena_init(&w->arena, 4 << 20);
    diag_init(&w->diag, &w->arena);
    enum err e = sim_new(1, &w->sim);
    if (!e)
        e = loop_new(sim_env(w->sim), 0, &w->loop);
    if (!e)
        e = serve(w, plain_status);
    struct rpc_client_options o = {.loop = w->loop, .address = "server:80"};
    return e ? e : rpc_client_new(&o, &w->diag, &w->client);
}

static struct slice encoded(const struct pb_message *type, const void *message)
{
    size_t size = pb_encoded_size(type, message);
    uint8_t *bytes = arena_alloc(&world.arena, size + 1);
    if (!bytes)
        return SLICE_EMPTY;
    pb_encode(type, message, bytes);
    return slice_of(bytes, size);
}

static enum err unary(const struct connectrpc_conformance_v1_unary_request *request, struct slice *ret_response)
{
    struct rpc_client_call_options o = {.path = "/connectrpc.conformance.v1.ConformanceService/Unary"};
    return rpc_client_unary(world.client, &o, encoded(&connectrpc_conformance_v1_unary_request_pb, request),
                            &world.arena, &world.diag, ret_response);
}

/* An error of the definition with one detail of another domain's making. */
static enum err fail_with_detail(void)
{
    struct google_rpc_error_info info = {.reason = SLICE("KEY_INVALID"), .domain = SLICE("prism")};
    struct google_protobuf_any any = {.type_url = SLICE("type.googleapis.com/google.rpc.ErrorInfo"),
                                      .value = encoded(&google_rpc_error_info_pb, &info)};
    void *details[] = {&any};
    struct connectrpc_conformance_v1_error error = {
        .code = 3, .has_message = true, .message = SLICE("as told"), .details = {details, 1, 1}};
    struct connectrpc_conformance_v1_unary_response_definition definition = {
        .response_case = CONNECTRPC_CONFORMANCE_V1_UNARY_RESPONSE_DEFINITION_ERROR, .error = &error};
    struct connectrpc_conformance_v1_unary_request request = {.response_definition = &definition};
    struct slice response;
    return unary(&request, &response);
}

TEST(the_handlers_own_details_go_before_those_of_the_server)
{
    CHECK_ERR(open_world(&world, false), OK);
    CHECK_ERR(fail_with_detail(), ERR_KEY_INVALID); /* the server's own would say INVALID_ARGUMENT */
    CHECK_STR(diag_message(&world.diag), "as told");
    world_close(&world);
}

static enum err too_large(bool plain_status)
{
    static const uint8_t zeros[2000];
    struct connectrpc_conformance_v1_unary_request request = {.request_data = slice_of(zeros, sizeof zeros)};
    struct slice response;
    CHECK_ERR(open_world(&world, plain_status), OK);
    enum err e = unary(&request, &response);
    world_close(&world);
    return e;
}

TEST(a_server_may_keep_its_details_to_itself)
{
    CHECK_ERR(too_large(false), ERR_MESSAGE_TOO_LARGE);
    CHECK_ERR(too_large(true), ERR_RESOURCE_EXHAUSTED);
}

SCENARIO(the_service_survives_failing_allocations)
{
    struct connectrpc_conformance_v1_unary_request request = {.request_data = SLICE("x")};
    struct slice response;
    enum err e = open_world(&world, false);
    if (!e && fail_with_detail() != ERR_KEY_INVALID)
        e = ERR_INTERNAL;
    if (!e)
        e = unary(&request, &response);
    world_close(&world);
    return e && mem_failed() ? ERR_NOMEM : e;
}
