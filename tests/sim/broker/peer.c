/* A client's connection. What is lost with it is the owner's to ask again. */
#include <stdio.h>

#include "tests/sim/broker/run.h"

enum { IN_BYTES = 16 << 20, TIMEOUT_MS = 1000, AGAIN_MS = 10, MS = 1000000 };

union response {
    struct kafka_create_topics_response create_topics;
    struct kafka_init_producer_id_response init_producer_id;
    struct kafka_produce_response produce;
    struct kafka_fetch_response fetch;
};

static void connect_later(struct peer *p)
{
    if (p->wanted)
        timer_start(p->run->control, &p->again, loop_now_ns(p->run->control) + AGAIN_MS * MS);
}

static void on_open(void *context, struct conn *c)
{
    struct peer *p = context;
    (void)c;
    p->open = true;
    p->on_ready(p);
}

static void on_closed(void *context, struct conn *c, enum err e, const struct diag *diag)
{
    struct peer *p = context;
    (void)c, (void)e, (void)diag;
    p->conn = NULL;
    p->open = false;
    connect_later(p);
}

/* false: what has come is not an answer to what was asked. */
static bool take_answer(struct peer *p, struct slice frame)
{
    struct peer_request asked = p->requests[p->first];
    union response response;
    struct kafka_fault fault;
    struct slice body;
    int32_t correlation;
    arena_reset(&p->arena);
    if (!p->count || kafka_response_header_read(frame, asked.api, asked.version, &correlation, &body, &fault) != OK ||
        correlation != asked.correlation ||
        kafka_decode(asked.api->response, asked.version, body, &p->arena, &response, &fault) != OK)
        return false;
    p->first = (p->first + 1) % PEER_REQUESTS;
    p->count--;
    p->on_answer(p, &asked, &response);
    return true;
}

static void on_data(void *context, struct conn *c, struct block *block, struct slice data)
{
    struct peer *p = context;
    (void)c, (void)block;
    buf_put_slice(&p->in, data);
    while (p->open && p->in.size >= KAFKA_FRAME_SIZE_BYTES) {
        size_t size = (size_t)kafka_frame_size(p->in.data);
        if (p->in.size < KAFKA_FRAME_SIZE_BYTES + size)
            return;
        if (!take_answer(p, slice_of(p->in.data + KAFKA_FRAME_SIZE_BYTES, size))) {
            run_violate(p->run, "a client is given an answer that it did not ask for");
            peer_drop(p);
            return;
        }
        buf_consume(&p->in, KAFKA_FRAME_SIZE_BYTES + size);
    }
}

void peer_connect(struct peer *p)
{
    static const struct conn_events events = {.on_open = on_open, .on_data = on_data, .on_closed = on_closed};
    p->wanted = true;
    p->first = p->count = 0;
    buf_reset(&p->in);
    if (conn_open(p->run->control, BROKER_ADDRESS, NULL, NULL, TIMEOUT_MS, &events, p, NULL, &p->conn) != OK) {
        p->conn = NULL;
        connect_later(p);
    }
}

static void on_again(struct timer *t)
{
    peer_connect((struct peer *)((char *)t - offsetof(struct peer, again)));
}

void peer_drop(struct peer *p)
{
    p->open = false;
    if (p->conn)
        conn_abort(p->conn);
}

void peer_leave(struct peer *p)
{
    p->wanted = false;
    timer_stop(p->run->control, &p->again);
    peer_drop(p);
}

bool peer_is_gone(const struct peer *p)
{
    return !p->conn;
}

void peer_ask(struct peer *p, int16_t key, int16_t version, const void *request, uint32_t lane, uint32_t batch)
{
    struct peer_request *asked = &p->requests[(p->first + p->count) % PEER_REQUESTS];
    struct kafka_out out;
    struct kafka_frame frame;
    *asked = (struct peer_request){kafka_api_find(key), version, ++p->correlation, lane, batch};
    kafka_out_init(&out, IN_BYTES);
    enum err e = kafka_request_begin(&out, asked->api, version, asked->correlation, SLICE("sim"), &frame);
    if (!e)
        e = kafka_encode(asked->api->request, version, request, &out);
    if (!e)
        e = kafka_frame_end(&out, &frame);
    struct slice bytes = buf_slice(&out.buf);
    if (e)
        run_violate(p->run, "a request cannot be written");
    else
        conn_write(p->conn, &bytes, 1);
    p->count++;
    kafka_out_fini(&out);
}

void peer_init(struct peer *p, struct run *r)
{
    p->run = r;
    p->again.fire = on_again;
    buf_init(&p->in, IN_BYTES);
    arena_init(&p->arena, IN_BYTES);
}

void peer_fini(struct peer *p)
{
    buf_fini(&p->in);
    arena_fini(&p->arena);
}
