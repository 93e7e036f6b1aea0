/* A broker in the deterministic twin, and a client that speaks to it, right or wrong. */
#ifndef PRISM_TESTS_STREAMER_WORLD_H
#define PRISM_TESTS_STREAMER_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "../harness.h"
#include "base/limits.h"
#include "base/mem.h"
#include "kafka/errors.h"
#include "kafka/header.h"
#include "rt/conn.h"
#include "rt/sim/sim.h"
#include "streamer/broker.h"
#include "streamer/connection.h"

struct streamer_world {
    struct sim *sim;
    struct loop *control;
    struct broker *broker;
    uint32_t workers; /* 0: one */
    bool stopped;
    /* The client. */
    struct conn *conn;
    bool open, closed;
    struct buf in;
    struct arena arena; /* of the last answer */
    int32_t correlation;
};

/* One turn of everything. */
static inline void world_turn(struct streamer_world *w)
{
    for (uint32_t i = 0; w->broker && i < broker_shards(w->broker); i++)
        loop_turn(broker_shard(w->broker, i)->loop, false);
    loop_turn(w->control, true);
}

#define WORLD_UNTIL(w, condition)                                                                                      \
    while (!(condition))                                                                                               \
    world_turn(w)

static inline enum err world_open_broker(struct streamer_world *w)
{
    const struct broker_options options = {
        .env = sim_env(w->sim),
        .control = w->control,
        .data_dir = "data",
        .listen = "127.0.0.1:9092",
        .workers = w->workers ? w->workers : 1,
        .connections_max = 100,
        .settings = broker_settings_default,
    };
    return broker_open(&options, NULL, &w->broker);
}

static inline enum err world_begin(struct streamer_world *w)
{
    buf_init(&w->in, 64 << 20);
    arena_init(&w->arena, 64 << 20);
    enum err e = sim_new(1, &w->sim);
    if (!e)
        e = loop_new(sim_env(w->sim), 100, &w->control);
    return e ? e : world_open_broker(w);
}

static inline void world_stopped(void *context)
{
    ((struct streamer_world *)context)->stopped = true;
}

static inline void world_stop(struct streamer_world *w)
{
    w->stopped = false;
    broker_stop(w->broker, sim_now_ns(w->sim) + 1000000000u, world_stopped, w);
    WORLD_UNTIL(w, w->stopped);
    broker_close(w->broker);
    w->broker = NULL;
}

/* Whatever state it is in. */
static inline void world_end(struct streamer_world *w)
{
    if (w->conn) {
        conn_abort(w->conn);
        WORLD_UNTIL(w, w->closed);
    }
    if (w->broker)
        world_stop(w);
    if (w->control)
        loop_free(w->control);
    sim_free(w->sim);
    buf_fini(&w->in);
    arena_fini(&w->arena);
}

/* --- the client --------------------------------------------------------------------------------------------------------------- */

static inline void world_on_open(void *context, struct conn *c)
{
    (void)c;
    ((struct streamer_world *)context)->open = true;
}

static inline void world_on_data(void *context, struct conn *c, struct block *block, struct slice data)
{
    (void)c, (void)block;
    buf_put_slice(&((struct streamer_world *)context)->in, data);
}

static inline void world_on_closed(void *context, struct conn *c, enum err e, const struct diag *diag)
{
    (void)c, (void)e, (void)diag;
    struct streamer_world *w = context;
    w->conn = NULL;
    w->closed = true;
}

static inline enum err world_connect(struct streamer_world *w)
{
    static const struct conn_events events = {
        .on_open = world_on_open, .on_data = world_on_data, .on_closed = world_on_closed};
    w->open = w->closed = false;
    buf_reset(&w->in);
    enum err e = conn_open(w->control, broker_address(w->broker), NULL, NULL, 1000, &events, w, NULL, &w->conn);
    if (e)
        return e;
    WORLD_UNTIL(w, w->open || w->closed);
    return w->open ? OK : ERR_NOMEM;
}

static inline void world_send(struct streamer_world *w, struct slice bytes)
{
    if (w->conn)
        conn_write(w->conn, &bytes, 1);
}

/* The first whole frame that has come. */
static inline bool world_frame(const struct streamer_world *w, struct slice *ret_frame)
{
    if (w->in.size < KAFKA_FRAME_SIZE_BYTES)
        return false;
    size_t size = (size_t)kafka_frame_size(w->in.data);
    if (w->in.size < KAFKA_FRAME_SIZE_BYTES + size)
        return false;
    *ret_frame = slice_of(w->in.data + KAFKA_FRAME_SIZE_BYTES, size);
    return true;
}

static inline enum err world_write(struct streamer_world *w, const struct kafka_api *api, int16_t version,
                                   const void *request)
{
    struct kafka_out out;
    struct kafka_frame frame;
    kafka_out_init(&out, 64 << 20);
    enum err e = kafka_request_begin(&out, api, version, ++w->correlation, SLICE("test"), &frame);
    if (!e)
        e = kafka_encode(api->request, version, request, &out);
    if (!e)
        e = kafka_frame_end(&out, &frame);
    if (!e)
        world_send(w, buf_slice(&out.buf));
    kafka_out_fini(&out);
    return e;
}

/* Waits for a frame and decodes it; it is taken out by the next world_read. ERR_CONNECTION_LOST: closed instead. */
static inline enum err world_read(struct streamer_world *w, const struct kafka_api *api, int16_t version,
                                  int32_t *ret_correlation, void *response)
{
    struct slice frame, body;
    struct kafka_fault fault;
    WORLD_UNTIL(w, world_frame(w, &frame) || w->closed);
    if (!world_frame(w, &frame))
        return ERR_CONNECTION_LOST;
    arena_reset(&w->arena);
    struct slice copy;
    if (!arena_copy(&w->arena, frame, &copy))
        return ERR_NOMEM;
    buf_consume(&w->in, KAFKA_FRAME_SIZE_BYTES + frame.size);
    enum err e = kafka_response_header_read(copy, api, version, ret_correlation, &body, &fault);
    return e ? e : kafka_decode(api->response, version, body, &w->arena, response, &fault);
}

static inline enum err world_ask(struct streamer_world *w, int16_t key, int16_t version, const void *request,
                                 void *response)
{
    const struct kafka_api *api = kafka_api_find(key);
    int32_t correlation;
    enum err e = world_write(w, api, version, request);
    if (!e)
        e = world_read(w, api, version, &correlation, response);
    if (!e)
        CHECK_EQ(correlation, w->correlation);
    return e;
}

#endif
