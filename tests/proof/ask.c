#include "ask.h"

#include <string.h>

#include "google/protobuf/duration.pb.h"
#include "prism/common/v1/batch.pb.h"
#include "prism/keyvalue/v1/keyvalue_basic.pb.h"
#include "prism/keyvalue/v1/keyvalue_batch.pb.h"
#include "prism/keyvalue/v1/keyvalue_cas.pb.h"
#include "prism/keyvalue/v1/keyvalue_ttl.pb.h"
#include "value.h"

enum { HOUR_S = 3600 };

/* What is known when an answer is read. */
struct taking {
    struct ask *ask;
    struct ask_known *known;
    uint64_t *torn;
};

static uint64_t number_of(struct taking *t, struct slice bytes)
{
    uint64_t value;
    *t->torn += !value_read(bytes, &value);
    return value;
}

static void remember(struct taking *t, unsigned i, uint64_t value, struct slice version)
{
    struct ask_known *known = &t->known[t->ask->keys[i]];
    known->value = value;
    known->version_size = version.size < ASK_VERSION_BYTES ? version.size : 0;
    if (known->version_size)
        memcpy(known->version, version.data, known->version_size);
}

/* --- answers: false where an item of a batch has failed ------------------------------------------------------------------------ */

static void got(struct taking *t, unsigned i, const struct keyvalue_get_response *r)
{
    t->ask->ops[i].seen = r->found ? number_of(t, r->value) : 0;
    remember(t, i, t->ask->ops[i].seen, r->version);
}

static bool take_get(struct taking *t, const void *message)
{
    got(t, 0, message);
    return true;
}

static bool take_set(struct taking *t, const void *message)
{
    const struct keyvalue_set_response *r = message;
    t->ask->ops[0].done = true;
    remember(t, 0, t->ask->ops[0].value, r->version);
    return true;
}

static bool take_delete(struct taking *t, const void *message)
{
    const struct keyvalue_delete_response *r = message;
    t->ask->ops[0].done = r->existed;
    remember(t, 0, 0, SLICE_EMPTY);
    return true;
}

static bool take_cas(struct taking *t, const void *message)
{
    const struct keyvalue_compare_and_swap_response *r = message;
    struct linear_op *op = &t->ask->ops[0];
    op->done = r->swapped;
    op->seen = !r->swapped && r->found ? number_of(t, r->current_value) : 0;
    remember(t, 0, r->swapped ? op->value : op->seen, r->version);
    return true;
}

static bool take_exists(struct taking *t, const void *message)
{
    t->ask->ops[0].done = ((const struct keyvalue_exists_response *)message)->exists;
    return true;
}

static bool take_expire(struct taking *t, const void *message)
{
    t->ask->ops[0].done = ((const struct keyvalue_expire_response *)message)->existed;
    return true;
}

static bool take_persist(struct taking *t, const void *message)
{
    t->ask->ops[0].done = ((const struct keyvalue_persist_response *)message)->existed;
    return true;
}

static bool take_batch_get(struct taking *t, const void *message)
{
    const struct keyvalue_batch_get_response *r = message;
    for (unsigned i = 0; i < t->ask->count; i++) {
        const struct keyvalue_batch_get_result *one = PB_AT(r->results, struct keyvalue_batch_get_result *, i);
        if (one->status->code)
            return false;
        got(t, i, one->item);
    }
    return true;
}

static bool take_batch_set(struct taking *t, const void *message)
{
    const struct keyvalue_batch_set_response *r = message;
    for (unsigned i = 0; i < t->ask->count; i++) {
        const struct keyvalue_batch_set_result *one = PB_AT(r->results, struct keyvalue_batch_set_result *, i);
        if (one->status->code)
            return false;
        t->ask->ops[i].done = true;
        remember(t, i, t->ask->ops[i].value, one->version);
    }
    return true;
}

static bool take_batch_delete(struct taking *t, const void *message)
{
    const struct keyvalue_batch_delete_response *r = message;
    for (unsigned i = 0; i < t->ask->count; i++) {
        const struct keyvalue_batch_delete_result *one = PB_AT(r->results, struct keyvalue_batch_delete_result *, i);
        if (one->status->code)
            return false;
        t->ask->ops[i].done = one->existed;
        remember(t, i, 0, SLICE_EMPTY);
    }
    return true;
}

/* --- methods ----------------------------------------------------------------------------------------------------------------- */

#define KV "/prism.keyvalue.v1.KeyValue"
static const struct {
    const char *path;
    const struct pb_message *request, *response;
    enum linear_kind op;
    bool (*take)(struct taking *, const void *message);
} methods[ASK_KINDS] = {
    [ASK_GET] = {KV "Basic/Get", &keyvalue_get_request_pb, &keyvalue_get_response_pb, LINEAR_GET, take_get},
    [ASK_SET] = {KV "Basic/Set", &keyvalue_set_request_pb, &keyvalue_set_response_pb, LINEAR_SET, take_set},
    [ASK_DELETE] = {KV "Basic/Delete", &keyvalue_delete_request_pb, &keyvalue_delete_response_pb, LINEAR_DELETE,
                    take_delete},
    [ASK_CAS] = {KV "Cas/CompareAndSwap", &keyvalue_compare_and_swap_request_pb, &keyvalue_compare_and_swap_response_pb,
                 LINEAR_CAS, take_cas},
    [ASK_EXISTS] = {KV "Basic/Exists", &keyvalue_exists_request_pb, &keyvalue_exists_response_pb, LINEAR_EXISTS,
                    take_exists},
    [ASK_EXPIRE] = {KV "Ttl/Expire", &keyvalue_expire_request_pb, &keyvalue_expire_response_pb, LINEAR_EXISTS,
                    take_expire},
    [ASK_PERSIST] = {KV "Ttl/Persist", &keyvalue_persist_request_pb, &keyvalue_persist_response_pb, LINEAR_EXISTS,
                     take_persist},
    [ASK_BATCH_GET] = {KV "Batch/BatchGet", &keyvalue_batch_get_request_pb, &keyvalue_batch_get_response_pb, LINEAR_GET,
                       take_batch_get},
    [ASK_BATCH_SET] = {KV "Batch/BatchSet", &keyvalue_batch_set_request_pb, &keyvalue_batch_set_response_pb, LINEAR_SET,
                       take_batch_set},
    [ASK_BATCH_DELETE] = {KV "Batch/BatchDelete", &keyvalue_batch_delete_request_pb, &keyvalue_batch_delete_response_pb,
                          LINEAR_DELETE, take_batch_delete},
};

const char *ask_path(enum ask_kind kind)
{
    return methods[kind].path;
}

bool ask_is_read(enum ask_kind kind)
{
    return methods[kind].op == LINEAR_GET || methods[kind].op == LINEAR_EXISTS;
}

void ask_take(struct ask *ask, struct ask_known *known, struct slice bytes, struct arena *arena, uint64_t *torn)
{
    struct taking taking = {ask, known, torn};
    void *message;
    if (pb_decode(methods[ask->kind].response, bytes, arena, &pb_limits_default, &message) == OK)
        ask->has_answer = methods[ask->kind].take(&taking, message);
}

/* --- questions --------------------------------------------------------------------------------------------------------------- */

/* A request and all that it points to. */
struct question {
    union {
        struct keyvalue_get_request get;
        struct keyvalue_set_request set;
        struct keyvalue_delete_request delete;
        struct keyvalue_compare_and_swap_request cas;
        struct keyvalue_exists_request exists;
        struct keyvalue_expire_request expire;
        struct keyvalue_persist_request persist;
        struct keyvalue_batch_get_request batch_get;
        struct keyvalue_batch_set_request batch_set;
        struct keyvalue_batch_delete_request batch_delete;
    } request;
    struct slice keys[ASK_KEYS_MAX];
    char values[ASK_KEYS_MAX][VALUE_BYTES_MAX];
    char expected[VALUE_BYTES_MAX];
    struct keyvalue_batch_set_item items[ASK_KEYS_MAX];
    void *pointers[ASK_KEYS_MAX];
    struct google_protobuf_duration ttl;
};

static void expect(struct question *q, struct linear_op *op, const struct ask_known *known, uint64_t dice)
{
    struct keyvalue_compare_and_swap_request *cas = &q->request.cas;
    op->expected = known->value;
    if (!known->value) {
        cas->expected_case = KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_ABSENT;
        cas->expected_absent = true;
    } else if (known->version_size && dice % 2) {
        cas->expected_case = KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_VERSION;
        cas->expected_version = slice_of(known->version, known->version_size);
    } else {
        cas->expected_case = KEYVALUE_COMPARE_AND_SWAP_REQUEST_EXPECTED_VALUE;
        cas->expected_value = value_bytes(known->value, q->expected);
    }
}

static void fill_batch(struct ask *ask, struct question *q)
{
    struct pb_array keys = {.items = q->keys, .count = ask->count};
    for (unsigned i = 0; i < ask->count; i++) {
        q->items[i] = (struct keyvalue_batch_set_item){.key = q->keys[i],
                                                       .value = value_bytes(ask->ops[i].value, q->values[i]),
                                                       .ttl = ask->ttl_ms ? &q->ttl : NULL};
        q->pointers[i] = &q->items[i];
    }
    if (ask->kind == ASK_BATCH_SET)
        q->request.batch_set.items = (struct pb_array){.items = q->pointers, .count = ask->count};
    else if (ask->kind == ASK_BATCH_GET)
        q->request.batch_get.keys = keys;
    else
        q->request.batch_delete.keys = keys;
}

static void fill(struct ask *ask, struct question *q, const struct ask_known *known, uint64_t dice)
{
    struct slice key = q->keys[0];
    q->ttl = (struct google_protobuf_duration){.seconds = ask->ttl_ms / 1000,
                                               .nanos = (int32_t)(ask->ttl_ms % 1000) * 1000000};
    switch (ask->kind) {
    case ASK_GET:
        q->request.get.key = key;
        break;
    case ASK_SET:
        q->request.set = (struct keyvalue_set_request){
            .key = key, .value = value_bytes(ask->ops[0].value, q->values[0]), .ttl = ask->ttl_ms ? &q->ttl : NULL};
        break;
    case ASK_DELETE:
        q->request.delete.key = key;
        break;
    case ASK_CAS:
        q->request.cas = (struct keyvalue_compare_and_swap_request){
            .key = key, .value = value_bytes(ask->ops[0].value, q->values[0])};
        expect(q, &ask->ops[0], &known[ask->keys[0]], dice);
        break;
    case ASK_EXISTS:
        q->request.exists.key = key;
        break;
    case ASK_EXPIRE:
        q->ttl = (struct google_protobuf_duration){.seconds = HOUR_S};
        q->request.expire = (struct keyvalue_expire_request){.key = key, .ttl = &q->ttl};
        break;
    case ASK_PERSIST:
        q->request.persist.key = key;
        break;
    default:
        fill_batch(ask, q);
    }
}

enum err ask_send(struct ask *ask, const struct slice *names, const struct ask_known *known, uint64_t dice,
                  struct rpc_client *client, struct rpc_client_call_options *options,
                  const struct rpc_client_events *events, void *user, struct rpc_client_call **ret_call)
{
    struct question q;
    memset(&q.request, 0, sizeof q.request);
    memset(q.keys, 0, sizeof q.keys);
    for (unsigned i = 0; i < ask->count; i++) {
        ask->ops[i].kind = methods[ask->kind].op;
        q.keys[i] = names[ask->keys[i]];
    }
    fill(ask, &q, known, dice);
    ask->has_answer = false;
    options->path = methods[ask->kind].path;
    uint64_t now = value_now_ns();
    for (unsigned i = 0; i < ask->count; i++)
        ask->ops[i].began_ns = now;
    return world_call(client, options, methods[ask->kind].request, &q.request, events, user, ret_call);
}
