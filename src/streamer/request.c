/* Memory of requests, and their completion. */
#include "streamer/request.h"

#include "base/limits.h"
#include "base/mem.h"
#include "streamer/connection.h"
#include "streamer/requests.h"
#include "streamer/stream_measure.h"

enum err requests_new(struct shard *shard, struct requests **ret_requests)
{
    struct requests *all = mem_zalloc(sizeof *all);
    if (!all)
        return ERR_NOMEM;
    all->shard = shard;
    *ret_requests = all;
    return OK;
}

static void request_delete(struct request *r)
{
    arena_fini(&r->arena);
    kafka_out_fini(&r->out);
    mem_free(r);
}

void requests_free(struct requests *all)
{
    while (all && all->kept) {
        struct request *r = all->kept;
        all->kept = r->next;
        request_delete(r);
    }
    mem_free(all);
}

static struct request *request_make(void)
{
    struct request *r = mem_zalloc(sizeof *r);
    if (!r)
        return NULL;
    arena_init(&r->arena, LIMIT_STREAM_ARENA_BYTES);
    kafka_out_init(&r->out, LIMIT_STREAM_ANSWER_BYTES);
    return r;
}

struct request *request_new(struct requests *all, struct connection *c)
{
    struct request *r = all->kept;
    if (r) {
        all->kept = r->next;
        all->kept_count--;
    } else if (!(r = request_make())) {
        return NULL;
    }
    r->shard = all->shard;
    r->connection = c;
    r->holds = 1;
    r->received_ns = loop_now_ns(all->shard->loop);
    r->next = NULL;
    return r;
}

/* As new, but for its memory. */
static void request_clear(struct request *r)
{
    arena_reset(&r->arena);
    kafka_out_reset(&r->out);
    struct arena arena = r->arena;
    struct kafka_out out = r->out;
    *r = (struct request){.arena = arena, .out = out};
}

void request_end(struct requests *all, struct request *r)
{
    if (r->ended)
        r->ended(r);
    block_unref(r->block);
    request_clear(r);
    if (all->kept_count >= LIMIT_STREAM_REQUESTS_KEPT || r->arena.used_bytes > LIMIT_STREAM_REQUEST_KEPT_BYTES ||
        r->out.buf.capacity > LIMIT_STREAM_REQUEST_KEPT_BYTES) {
        request_delete(r);
        return;
    }
    r->next = all->kept;
    all->kept = r;
    all->kept_count++;
}

/* --- completion --------------------------------------------------------------------------------------------------------------- */

static void complete(struct request *r)
{
    r->state = REQUEST_DONE;
    stream_measure_request(r->shard->measure, r);
    connection_completed(r->connection, r);
}

static enum err encode(struct request *r, const struct kafka_api *api, int16_t version, const void *response)
{
    struct kafka_frame frame;
    enum err e = kafka_response_begin(&r->out, api, version, r->header.correlation_id, &frame);
    if (!e)
        e = kafka_encode(api->response, version, response, &r->out);
    return e ? e : kafka_frame_end(&r->out, &frame);
}

void request_reply_as(struct request *r, int16_t version, const void *response)
{
    enum err e = request_abandoned(r) ? OK : encode(r, r->header.api, version, response);
    if (e) {
        log_warn(r->shard->log, "an answer could not be written", LOG_TEXT("api", r->header.api->name), LOG_ERR(e),
                 LOG_TEXT("peer", request_peer(r)));
        request_drop(r);
        return;
    }
    complete(r);
}

void request_reply(struct request *r, const void *response)
{
    request_reply_as(r, r->header.version, response);
}

void request_reply_nothing(struct request *r)
{
    r->silent = true;
    complete(r);
}

void request_drop(struct request *r)
{
    kafka_out_reset(&r->out);
    r->closes = true;
    complete(r);
}

bool request_abandoned(const struct request *r)
{
    return !connection_is_open(r->connection);
}

const char *request_peer(const struct request *r)
{
    return connection_peer(r->connection);
}
