/* InitProducerId: a new identity for an idempotent producer. One that names an old identity gets a new one too: it counts its epochs
 * by itself (KIP-360). Transactions are not there yet. */
#include <stddef.h>

#include "streamer/api.h"
#include "streamer/partition.h"
#include "streamer/producer_ids.h"
#include "streamer/request.h"

struct initialising {
    struct request *request;
    struct producer_id_ask ask;
};

static void reply(struct request *r, enum kafka_error error, int64_t id)
{
    struct kafka_init_producer_id_response out = kafka_init_producer_id_response_default;
    out.error_code = (int16_t)error;
    out.producer_id = error ? -1 : id;
    out.producer_epoch = error ? -1 : 0;
    request_reply(r, &out);
}

/* Clients try again after COORDINATOR_NOT_AVAILABLE. */
static void done(struct producer_id_ask *ask, enum err e, int64_t id)
{
    const struct initialising *i = (const struct initialising *)((char *)ask - offsetof(struct initialising, ask));
    reply(i->request, e ? KAFKA_COORDINATOR_NOT_AVAILABLE : KAFKA_NONE, id);
}

static enum kafka_error check(const struct kafka_init_producer_id_request *in)
{
    if (!in->transactional_id.data)
        return KAFKA_NONE;
    return in->transactional_id.size ? KAFKA_UNSUPPORTED_VERSION : KAFKA_INVALID_REQUEST;
}

void api_init_producer_id(struct request *r)
{
    enum kafka_error refused = check(r->body);
    struct partitions *all = r->shard->partitions; /* NULL: the shard has closed */
    struct initialising *i = refused || !all ? NULL : arena_new(&r->arena, struct initialising);
    if (!i) {
        reply(r, refused ? refused : KAFKA_COORDINATOR_NOT_AVAILABLE, -1);
        return;
    }
    i->request = r;
    i->ask.done = done;
    producer_ids_ask(all->ids, &i->ask);
}
