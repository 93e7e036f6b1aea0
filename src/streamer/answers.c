/* Answers leave in the order of their requests: those at the head of the queue that are done, as parts of one write. Records go
 * as ranges of files, between pieces of the encoded answer. */
#include "base/limits.h"
#include "journal/journal.h"
#include "streamer/connection_internal.h"

enum { PARTS = 64 };

struct parts {
    struct conn *conn;
    uint64_t bytes;
    uint32_t count;
    struct conn_part items[PARTS];
};

static void send_parts(struct parts *p)
{
    if (p->count)
        conn_write_parts(p->conn, p->items, p->count);
    p->count = 0;
}

static struct conn_part *next_part(struct parts *p)
{
    if (p->count == PARTS)
        send_parts(p);
    return &p->items[p->count++];
}

static void put_bytes(struct parts *p, struct slice bytes)
{
    if (bytes.size)
        *next_part(p) = (struct conn_part){.kind = CONN_BYTES, .bytes = bytes};
    p->bytes += bytes.size;
}

/* The last who needs the request's memory: its ranges are held until they are sent. */
static void let_go(struct request *r)
{
    if (--r->holds == 0)
        request_end(r->shard->requests, r);
}

static void range_sent(void *owner)
{
    let_go(owner);
}

static void put_range(struct parts *p, struct request *r, const struct request_range *range)
{
    r->holds++;
    *next_part(p) = (struct conn_part){.kind = CONN_FILE,
                                       .file = {.fd = journal_file_fd(range->file),
                                                .offset = range->position,
                                                .size = range->size,
                                                .release = range_sent,
                                                .owner = r}};
    p->bytes += range->size;
}

static void put_answer(struct parts *p, struct request *r)
{
    const struct kafka_out *out = &r->out;
    struct slice bytes = buf_slice(&out->buf);
    size_t at = 0;
    for (uint32_t i = 0; i < out->hole_count; i++) {
        put_bytes(p, slice_take(slice_skip(bytes, at), out->holes[i].at - at));
        at = out->holes[i].at;
        put_range(p, r, out->holes[i].source);
    }
    put_bytes(p, slice_skip(bytes, at));
}

/* Out of the queue; its memory is still needed. */
static struct request *take_head(struct connection *c)
{
    struct request *r = c->first;
    c->first = r->next;
    if (!c->first)
        c->last = &c->first;
    c->in_flight--;
    connection_give_back(c, r->bytes);
    return r;
}

static void end_all(struct request *ended)
{
    while (ended) {
        struct request *r = ended;
        ended = r->next;
        let_go(r);
    }
}

static bool may_send(const struct connection *c, const struct parts *p)
{
    return c->first && c->first->state == REQUEST_DONE && p->bytes < LIMIT_OUTPUT_QUEUE_BYTES &&
           conn_queued_bytes(c->conn) <= LIMIT_OUTPUT_QUEUE_BYTES;
}

void answers_send(struct connection *c)
{
    struct parts p = {.conn = c->conn};
    struct request *ended = NULL, **ended_last = &ended;
    bool close = false;
    while (!close && may_send(c, &p)) {
        struct request *r = take_head(c);
        if (!r->silent && !r->closes)
            put_answer(&p, r);
        close = r->closes;
        r->next = NULL;
        *ended_last = r;
        ended_last = &r->next;
    }
    send_parts(&p);
    c->all->counts.bytes_out += p.bytes;
    if (close) {
        c->closing = true;
        conn_close(c->conn);
    }
    bool more = c->first && c->first->state == REQUEST_DONE && p.bytes >= LIMIT_OUTPUT_QUEUE_BYTES;
    end_all(ended);
    if (more && !close)
        connection_turn_later(c);
}

void answers_forget(struct connection *c)
{
    struct request *ended = NULL, **at = &c->first;
    while (*at) {
        struct request *r = *at;
        if (r->state != REQUEST_DONE) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        c->in_flight--;
        connection_give_back(c, r->bytes);
        r->next = ended;
        ended = r;
    }
    c->last = at;
    end_all(ended);
}
