/* The conformance service. All calls are one machine:
 *
 *   on_message ──▶ request kept; the first makes the plan ──▶ full duplex: pump one response, ask for the next request
 *   on_end ──▶ pump: wait the plan's delay, send, wait for room ──▶ all sent: the plan's error, or OK
 *
 * The first response, or the error where there is none, tells what has been seen of the request. */
#include "rpc/testing/conformance_service.h"

#include "base/base64.h"
#include "connectrpc/conformance/v1/service.pb.h"
#include "google/protobuf/any.pb.h"
#include "google/rpc/status.pb.h"

/* What is to be answered, the same for definitions of one response and of many. */
struct plan {
    struct pb_array headers, trailers; /* of struct connectrpc_conformance_v1_header * */
    struct pb_array responses;         /* of struct slice */
    const struct connectrpc_conformance_v1_error *error;
    uint32_t delay_ms;
    bool full_duplex;
};

struct state {
    struct rpc_call *call;
    struct plan plan;
    struct pb_array requests; /* of struct google_protobuf_any *, not told yet */
    uint32_t request_count, sent_count;
    struct timer delay;
    bool waited; /* the delay of the next response */
    bool held;   /* until on_ready */
    bool ended;
};

static void finish(struct state *s, enum err e)
{
    timer_stop(s->call->loop, &s->delay);
    rpc_finish(s->call, e);
}

static bool is_binary(struct slice name)
{
    return name.size > 4 && slice_eq(slice_skip(name, name.size - 4), SLICE("-bin"));
}

/* ---- the plan --------------------------------------------------------------------------------------------------------- */

/* The header of a definition: values of -bin are base64 there. */
static void add_header(struct rpc_call *call, const struct connectrpc_conformance_v1_header *h,
                       void (*add)(struct rpc_call *, const char *, struct slice))
{
    struct slice name;
    if (!arena_copy(call->arena, h->name, &name)) /* for its NUL */
        return;
    for (uint32_t i = 0; i < h->value.count; i++) {
        struct slice value = PB_AT(h->value, struct slice, i);
        uint8_t *bytes = arena_alloc(call->arena, base64_decoded_max(value.size));
        size_t size;
        if (bytes && is_binary(name) && base64_decode(value, BASE64_BARE, bytes, &size) == OK)
            value = slice_of(bytes, size);
        add(call, (const char *)name.data, value);
    }
}

static void add_headers(struct rpc_call *call, const struct pb_array *headers,
                        void (*add)(struct rpc_call *, const char *, struct slice))
{
    for (uint32_t i = 0; i < headers->count; i++)
        add_header(call, PB_AT(*headers, struct connectrpc_conformance_v1_header *, i), add);
}

static enum err plan_one(struct state *s, const struct connectrpc_conformance_v1_unary_response_definition *d)
{
    struct plan *p = &s->plan;
    if (d) {
        p->headers = d->response_headers;
        p->trailers = d->response_trailers;
        p->delay_ms = d->response_delay_ms;
        if (d->response_case == CONNECTRPC_CONFORMANCE_V1_UNARY_RESPONSE_DEFINITION_ERROR)
            p->error = d->error;
    }
    if (p->error)
        return OK;
    struct slice *data = pb_array_add(&p->responses, sizeof *data, s->call->arena);
    if (!data)
        return ERR_NOMEM;
    *data = d ? d->response_data : SLICE_EMPTY;
    return OK;
}

static void plan_many(struct plan *p, const struct connectrpc_conformance_v1_stream_response_definition *d)
{
    if (!d)
        return;
    p->headers = d->response_headers;
    p->trailers = d->response_trailers;
    p->delay_ms = d->response_delay_ms;
    p->responses = d->response_data;
    p->error = d->error;
}

/* Unary, IdempotentUnary and ClientStream have requests alike: the definition of one response is field 1. */
static enum err make_plan(struct state *s, const void *request)
{
    const struct pb_method *m = s->call->method;
    if (!m->server_streaming)
        return plan_one(s, ((const struct connectrpc_conformance_v1_unary_request *)request)->response_definition);
    if (!m->client_streaming) {
        plan_many(&s->plan,
                  ((const struct connectrpc_conformance_v1_server_stream_request *)request)->response_definition);
        return OK;
    }
    const struct connectrpc_conformance_v1_bidi_stream_request *bidi = request;
    plan_many(&s->plan, bidi->response_definition);
    s->plan.full_duplex = bidi->full_duplex;
    return OK;
}

static enum err begin(struct state *s, const struct rpc_message *message)
{
    void *request;
    enum err e = pb_decode(s->call->method->input, message->raw, s->call->arena, &pb_limits_default, &request);
    if (!e)
        e = make_plan(s, request);
    if (e)
        return e;
    add_headers(s->call, &s->plan.headers, rpc_header_add);
    add_headers(s->call, &s->plan.trailers, rpc_trailer_add);
    return OK;
}

/* ---- what has been seen ----------------------------------------------------------------------------------------------- */

static struct connectrpc_conformance_v1_header *header_of(struct rpc_call *call, struct pb_array *list,
                                                          struct slice name)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct connectrpc_conformance_v1_header *h = PB_AT(*list, struct connectrpc_conformance_v1_header *, i);
        if (slice_eq(h->name, name))
            return h;
    }
    struct connectrpc_conformance_v1_header **slot = pb_array_add(list, sizeof *slot, call->arena);
    struct connectrpc_conformance_v1_header *h =
        slot ? pb_new(&connectrpc_conformance_v1_header_pb, call->arena) : NULL;
    if (!h)
        return NULL;
    h->name = name;
    return *slot = h;
}

static enum err note_header(struct rpc_call *call, struct pb_array *list, struct http_header from)
{
    struct connectrpc_conformance_v1_header *h = header_of(call, list, from.name);
    struct slice *value = h ? pb_array_add(&h->value, sizeof *value, call->arena) : NULL;
    if (!value)
        return ERR_NOMEM;
    *value = from.value;
    if (!is_binary(from.name))
        return OK;
    size_t size = base64_encoded_size(from.value.size, BASE64_BARE);
    char *text = arena_alloc(call->arena, size + 1);
    if (!text)
        return ERR_NOMEM;
    base64_encode(from.value, BASE64_BARE, text);
    *value = slice_of(text, size);
    return OK;
}

static enum err note_headers(struct rpc_call *call, struct pb_array *list)
{
    struct http_header h;
    enum err e = OK;
    for (uint32_t i = 0; !e && rpc_metadata_at(call, i, &h); i++)
        e = note_header(call, list, h);
    return e;
}

/* Headers and timeout are told once. NULL: out of memory. */
static struct connectrpc_conformance_v1_conformance_payload_request_info *make_info(struct state *s)
{
    struct rpc_call *call = s->call;
    struct connectrpc_conformance_v1_conformance_payload_request_info *info =
        pb_new(&connectrpc_conformance_v1_conformance_payload_request_info_pb, call->arena);
    if (!info)
        return NULL;
    info->requests = s->requests;
    s->requests = (struct pb_array){0};
    if (s->sent_count > 0)
        return info;
    info->has_timeout_ms = rpc_metadata(call, "grpc-timeout").size > 0;
    if (info->has_timeout_ms)
        info->timeout_ms = (int64_t)((call->deadline_ns - call->start_ns) / 1000000);
    return note_headers(call, &info->request_headers) ? NULL : info;
}

/* ---- answers ---------------------------------------------------------------------------------------------------------- */

/* All responses have one field, the payload: number 1. */
static void send_next(struct state *s)
{
    struct connectrpc_conformance_v1_conformance_payload payload = {
        .data = PB_AT(s->plan.responses, struct slice, s->sent_count)};
    struct connectrpc_conformance_v1_unary_response response = {.payload = &payload};
    if (s->sent_count == 0 || s->plan.full_duplex)
        payload.request_info = make_info(s);
    s->sent_count++;
    s->waited = false;
    s->held = rpc_send(s->call, &response) == FLOW_HOLD;
}

static bool append_info(struct state *s, struct pb_array *details)
{
    struct rpc_call *call = s->call;
    const struct pb_message *type = &connectrpc_conformance_v1_conformance_payload_request_info_pb;
    struct google_protobuf_any **slot = pb_array_add(details, sizeof *slot, call->arena);
    struct google_protobuf_any *any = slot ? pb_new(&google_protobuf_any_pb, call->arena) : NULL;
    const void *info = any ? make_info(s) : NULL;
    if (!info)
        return false;
    size_t size = pb_encoded_size(type, info);
    uint8_t *bytes = arena_alloc(call->arena, size + 1);
    any->type_url = slice_str(arena_printf(call->arena, "type.googleapis.com/%s", type->name));
    if (!bytes || !any->type_url.size)
        return false;
    pb_encode(type, info, bytes);
    any->value = slice_of(bytes, size);
    *slot = any;
    return true;
}

/* The details of the definition instead of the server's own. */
static bool add_details(struct state *s)
{
    const struct connectrpc_conformance_v1_error *error = s->plan.error;
    struct google_rpc_status status = {.code = error->code, .message = error->message, .details = error->details};
    if (s->sent_count == 0 && !append_info(s, &status.details))
        return false;
    size_t size = pb_encoded_size(&google_rpc_status_pb, &status);
    uint8_t *bytes = arena_alloc(s->call->arena, size + 1);
    if (!bytes)
        return false;
    pb_encode(&google_rpc_status_pb, &status, bytes);
    rpc_trailer_add(s->call, "grpc-status-details-bin", slice_of(bytes, size));
    return true;
}

static void finish_planned(struct state *s)
{
    const struct connectrpc_conformance_v1_error *error = s->plan.error;
    if (!error)
        finish(s, OK);
    else if (!add_details(s))
        finish(s, ERR_NOMEM);
    else
        finish(s, diag_set(&s->call->diag, err_from_grpc((unsigned)error->code), "%.*s", SLICE_ARG(error->message)));
}

static bool must_wait(struct state *s)
{
    if (s->waited || s->plan.delay_ms == 0)
        return false;
    timer_start(s->call->loop, &s->delay, loop_now_ns(s->call->loop) + (uint64_t)s->plan.delay_ms * 1000000);
    return true;
}

/* In full duplex one response answers one request; all others follow when the client has ended. */
static bool owes_response(const struct state *s)
{
    return s->sent_count < s->plan.responses.count && (s->ended || s->sent_count < s->request_count);
}

static void pump(struct state *s)
{
    while (!s->held && !timer_active(&s->delay) && owes_response(s)) {
        if (must_wait(s))
            return;
        send_next(s);
    }
    if (s->held || timer_active(&s->delay))
        return;
    if (s->ended || s->sent_count < s->request_count)
        finish_planned(s);
    else
        rpc_receive(s->call);
}

static void delay_over(struct timer *timer)
{
    struct state *s = (struct state *)((char *)timer - offsetof(struct state, delay));
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

static void on_start(struct rpc_call *call)
{
    struct state *s = arena_new(call->arena, struct state);
    if (!s) {
        rpc_finish(call, ERR_NOMEM);
        return;
    }
    s->call = call;
    s->delay.fire = delay_over;
    call->user = s;
}

/* Copied: a message of a stream goes when the next one is asked for. */
static enum err keep_request(struct state *s, struct rpc_message *message)
{
    struct rpc_call *call = s->call;
    struct google_protobuf_any **slot = pb_array_add(&s->requests, sizeof *slot, call->arena);
    struct google_protobuf_any *any = slot ? pb_new(&google_protobuf_any_pb, call->arena) : NULL;
    char *url = arena_printf(call->arena, "type.googleapis.com/%s", call->method->input->name);
    if (!any || !url || !arena_copy(call->arena, message->raw, &message->raw))
        return ERR_NOMEM;
    any->type_url = slice_str(url);
    any->value = message->raw;
    *slot = any;
    s->request_count++;
    return OK;
}

static enum err take(struct state *s, const struct rpc_message *message)
{
    struct rpc_message copy = *message;
    if (strcmp(s->call->method->name, "Unimplemented") == 0)
        return ERR_UNIMPLEMENTED;
    enum err e = keep_request(s, &copy);
    return !e && s->request_count == 1 ? begin(s, &copy) : e;
}

static void on_message(struct rpc_call *call, const struct rpc_message *message)
{
    struct state *s = call->user;
    enum err e = take(s, message);
    if (e) {
        finish(s, e);
        return;
    }
    if (s->plan.full_duplex && s->plan.responses.count)
        rpc_send_headers(call);
    if (s->plan.full_duplex)
        pump(s);
    else
        rpc_receive(call);
}

static void on_end(struct rpc_call *call)
{
    struct state *s = call->user;
    enum err e = s->request_count || call->method->server_streaming ? OK : plan_one(s, NULL);
    s->ended = true;
    if (call->method->server_streaming && s->plan.responses.count)
        rpc_send_headers(call);
    if (e)
        finish(s, e);
    else
        pump(s);
}

static void on_cancel(struct rpc_call *call, enum err e)
{
    finish(call->user, e);
}

static const struct rpc_handlers handlers = {on_start, on_message, on_end, on_ready, on_cancel};

enum err conformance_service_add(struct rpc_server *server)
{
    return rpc_server_add(server, &connectrpc_conformance_v1_conformance_service_service, &handlers, NULL);
}
