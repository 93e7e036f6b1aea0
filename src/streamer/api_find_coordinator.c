/* Who coordinates a group: this broker, as long as there is one. Coordinators of transactions are not there yet: of all errors
 * TRANSACTIONAL_ID_AUTHORIZATION_FAILED alone makes every client give up at once; at others librdkafka, and at
 * COORDINATOR_NOT_AVAILABLE all of them, ask again until their own time is over, and say no more than that it was. */
#include "streamer/api.h"
#include "streamer/broker.h"
#include "streamer/groups.h"
#include "streamer/request.h"

enum { KEY_GROUP = 0, KEY_TRANSACTION = 1 };

static enum kafka_error check(int8_t key_type, struct slice key, struct slice *ret_reason)
{
    if (key_type == KEY_GROUP && group_id_valid(key))
        return KAFKA_NONE;
    *ret_reason = key_type == KEY_GROUP ? SLICE("the group id is not valid")
                                        : SLICE("this broker has no transactions, and coordinators of groups alone");
    return key_type == KEY_GROUP         ? KAFKA_INVALID_GROUP_ID
           : key_type == KEY_TRANSACTION ? KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                                         : KAFKA_INVALID_REQUEST;
}

static void find(const struct request *r, int8_t key_type, struct slice key,
                 struct kafka_find_coordinator_response_coordinator *to)
{
    const struct broker_identity *who = broker_identity(r->shard->broker);
    *to = kafka_find_coordinator_response_coordinator_default;
    to->key = key;
    to->node_id = to->port = -1;
    to->host = SLICE("");
    to->error_code = (int16_t)check(key_type, key, &to->error_message);
    if (to->error_code)
        return;
    to->node_id = who->node_id;
    to->host = who->host;
    to->port = who->port;
}

static void reply_one(struct request *r)
{
    const struct kafka_find_coordinator_request *in = r->body;
    struct kafka_find_coordinator_response out = kafka_find_coordinator_response_default;
    struct kafka_find_coordinator_response_coordinator found;
    find(r, in->key_type, in->key, &found);
    out.error_code = found.error_code;
    out.error_message = found.error_message;
    out.node_id = found.node_id;
    out.host = found.host;
    out.port = found.port;
    request_reply(r, &out);
}

void api_find_coordinator(struct request *r)
{
    const struct kafka_find_coordinator_request *in = r->body;
    struct kafka_find_coordinator_response out = kafka_find_coordinator_response_default;
    if (request_version(r) < 4) {
        reply_one(r);
        return;
    }
    out.coordinators.items =
        arena_array(&r->arena, struct kafka_find_coordinator_response_coordinator, in->coordinator_keys.count + 1);
    if (!out.coordinators.items) {
        request_drop(r);
        return;
    }
    for (; out.coordinators.count < in->coordinator_keys.count; out.coordinators.count++)
        find(r, in->key_type, in->coordinator_keys.items[out.coordinators.count],
             &out.coordinators.items[out.coordinators.count]);
    request_reply(r, &out);
}
