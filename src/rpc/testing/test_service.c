/* The test service. All calls are one machine:
 *
 *   on_message ──▶ responses are queued ──▶ pump: send, wait its interval, wait for room ──▶ queue empty: next message, or end
 *
 * HalfDuplexCall starts to pump when the client has ended. Calls with one response fill it in when the client has ended. */
#include "rpc/testing/test_service.h"

#include "grpc/testing/empty.pb.h"
#include "grpc/testing/messages.pb.h"
#include "grpc/testing/test.pb.h"

enum { RESPONSE_BYTES_MAX = 16 << 20 };

struct queued {
    int32_t size;
    int32_t interval_us;
    bool compressed;
    struct queued *next;
};

struct state {
    struct rpc_call *call;
    struct queued *queue, **queue_end;
    struct timer interval;
    bool waited; /* for the interval of the first in the queue */
    bool held;   /* until on_ready */
    bool ended;
    int64_t aggregated_bytes;
    enum err status; /* that the client asked for */
    uint8_t *zeros;
    size_t zeros_bytes;
};

static const char *name_of(const struct rpc_call *call)
{
    return call->method->name;
}

static bool is(const struct rpc_call *call, const char *name)
{
    return strcmp(name_of(call), name) == 0;
}

/* ---- answers ---------------------------------------------------------------------------------------------------------- */

static void finish(struct state *s, enum err e)
{
    timer_stop(s->call->loop, &s->interval);
    rpc_finish(s->call, e);
}

/* NULL: out of memory, or too many. */
static struct grpc_testing_payload *make_payload(struct state *s, int32_t size)
{
    struct grpc_testing_payload *p = arena_new(s->call->arena, struct grpc_testing_payload);
    if (!p || size < 0 || size > RESPONSE_BYTES_MAX)
        return NULL;
    if ((size_t)size > s->zeros_bytes) {
        s->zeros = arena_zalloc(s->call->arena, (size_t)size);
        s->zeros_bytes = s->zeros ? (size_t)size : 0;
    }
    p->body = slice_of(s->zeros, (size_t)size);
    return (size_t)size <= s->zeros_bytes ? p : NULL;
}

static bool send_queued(struct state *s)
{
    struct queued *q = s->queue;
    struct grpc_testing_streaming_output_call_response response = {.payload = make_payload(s, q->size)};
    if (!response.payload) {
        finish(s, ERR_INVALID_ARGUMENT);
        return false;
    }
    s->queue = q->next;
    if (!s->queue)
        s->queue_end = &s->queue;
    s->waited = false;
    rpc_compress(s->call, q->compressed);
    s->held = rpc_send(s->call, &response) == FLOW_HOLD;
    return !s->held;
}

static bool must_wait(struct state *s)
{
    if (s->waited || s->queue->interval_us <= 0)
        return false;
    timer_start(s->call->loop, &s->interval, loop_now_ns(s->call->loop) + (uint64_t)s->queue->interval_us * 1000);
    return true;
}

static void pump(struct state *s)
{
    if (s->held || timer_active(&s->interval))
        return;
    while (s->queue)
        if (must_wait(s) || !send_queued(s))
            return;
    if (s->status || s->ended)
        finish(s, s->status);
    else if (is(s->call, "FullDuplexCall"))
        rpc_receive(s->call);
}

static void interval_over(struct timer *timer)
{
    struct state *s = (struct state *)((char *)timer - offsetof(struct state, interval));
    s->waited = true;
    pump(s);
}

static void on_ready(struct rpc_call *call)
{
    struct state *s = call->user;
    s->held = false;
    pump(s);
}

/* ---- requests --------------------------------------------------------------------------------------------------------- */

static enum err note_status(struct state *s, const struct grpc_testing_echo_status *status)
{
    if (status && status->code)
        s->status = diag_set(&s->call->diag, err_from_grpc((unsigned)status->code), "%.*s", SLICE_ARG(status->message));
    return s->status;
}

static enum err check_compressed(struct state *s, const struct grpc_testing_bool_value *expected,
                                 const struct rpc_message *message)
{
    if (!expected || expected->value == message->compressed)
        return OK;
    return diag_set(&s->call->diag, ERR_INVALID_ARGUMENT, "the message is %scompressed",
                    message->compressed ? "" : "not ");
}

static enum err queue_response(struct state *s, const struct grpc_testing_response_parameters *p)
{
    struct queued *q = arena_new(s->call->arena, struct queued);
    if (!q)
        return ERR_NOMEM;
    *q = (struct queued){p->size, p->interval_us, p->compressed && p->compressed->value, NULL};
    *s->queue_end = q;
    s->queue_end = &q->next;
    return OK;
}

static enum err answer_simple(struct state *s, const struct rpc_message *message)
{
    void *decoded;
    enum err e = rpc_decode(s->call, message, &decoded);
    if (e)
        return e;
    const struct grpc_testing_simple_request *request = decoded;
    e = check_compressed(s, request->expect_compressed, message);
    if (e || (e = note_status(s, request->response_status)))
        return e;
    struct grpc_testing_simple_response response = {.payload = make_payload(s, request->response_size)};
    if (!response.payload)
        return ERR_INVALID_ARGUMENT;
    if (request->response_compressed)
        rpc_compress(s->call, request->response_compressed->value);
    rpc_send(s->call, &response);
    return OK;
}

static enum err take_input(struct state *s, const struct rpc_message *message)
{
    void *decoded;
    enum err e = rpc_decode(s->call, message, &decoded);
    if (e)
        return e;
    const struct grpc_testing_streaming_input_call_request *request = decoded;
    s->aggregated_bytes += request->payload ? (int64_t)request->payload->body.size : 0;
    return check_compressed(s, request->expect_compressed, message);
}

static enum err take_output(struct state *s, const struct rpc_message *message)
{
    void *decoded;
    enum err e = rpc_decode(s->call, message, &decoded);
    if (e)
        return e;
    const struct grpc_testing_streaming_output_call_request *request = decoded;
    for (uint32_t i = 0; i < request->response_parameters.count && !e; i++)
        e = queue_response(s, PB_AT(request->response_parameters, struct grpc_testing_response_parameters *, i));
    if (!e)
        note_status(s, request->response_status);
    return e;
}

/* ---- the handlers ----------------------------------------------------------------------------------------------------- */

/* The case custom_metadata: one comes back as header, one as trailer. */
static void echo_metadata(struct rpc_call *call)
{
    struct slice initial = rpc_metadata(call, "x-grpc-test-echo-initial");
    struct slice trailing = rpc_metadata(call, "x-grpc-test-echo-trailing-bin");
    if (initial.size)
        rpc_header_add(call, "x-grpc-test-echo-initial", initial);
    if (trailing.size)
        rpc_trailer_add(call, "x-grpc-test-echo-trailing-bin", trailing);
}

static void on_start(struct rpc_call *call)
{
    struct state *s = arena_new(call->arena, struct state);
    if (!s) {
        rpc_finish(call, ERR_NOMEM);
        return;
    }
    s->call = call;
    s->queue_end = &s->queue;
    s->interval.fire = interval_over;
    call->user = s;
    echo_metadata(call);
    if (call->method->server_streaming) {
        rpc_compress(call, true); /* announced, so that each message may choose */
        rpc_send_headers(call);
    }
}

static void take_simple(struct state *s, const struct rpc_message *message)
{
    struct grpc_testing_empty empty = {0};
    if (is(s->call, "UnimplementedCall"))
        s->status = ERR_UNIMPLEMENTED;
    else if (is(s->call, "EmptyCall"))
        rpc_send(s->call, &empty);
    else
        s->status = answer_simple(s, message);
}

static void on_message(struct rpc_call *call, const struct rpc_message *message)
{
    struct state *s = call->user;
    enum err e = OK;
    if (!call->method->client_streaming && !call->method->server_streaming)
        take_simple(s, message);
    else if (is(call, "StreamingInputCall"))
        e = take_input(s, message);
    else
        e = take_output(s, message);
    if (e)
        finish(s, e);
    else if (is(call, "FullDuplexCall"))
        pump(s);
    else
        rpc_receive(call);
}

static void on_end(struct rpc_call *call)
{
    struct state *s = call->user;
    s->ended = true;
    struct grpc_testing_streaming_input_call_response sum = {.aggregated_payload_size = (int32_t)s->aggregated_bytes};
    if (is(call, "StreamingInputCall"))
        rpc_send(call, &sum);
    pump(s);
}

static void on_cancel(struct rpc_call *call, enum err e)
{
    finish(call->user, e);
}

static const struct rpc_handlers handlers = {on_start, on_message, on_end, on_ready, on_cancel};

enum err test_service_add(struct rpc_server *server)
{
    return rpc_server_add(server, &grpc_testing_test_service_service, &handlers, NULL);
}
