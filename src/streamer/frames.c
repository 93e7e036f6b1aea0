/* Bytes become requests. A frame that is whole in what was read is borrowed, or copied where it is small; one that comes in pieces
 * is gathered in a block that grows with what has come. */
#include "base/limits.h"
#include "base/mem.h"
#include "streamer/connection_internal.h"
#include "streamer/dispatch.h"

/* --- a request ---------------------------------------------------------------------------------------------------------------- */

static void enqueue(struct connection *c, struct request *r, uint64_t bytes)
{
    r->bytes = bytes;
    *c->last = r;
    c->last = &r->next;
    c->in_flight++;
    c->used_ns = r->received_ns;
    connection_hold(c, bytes);
}

/* What cannot be a request ends the connection; what waited before it is still answered. */
static void refuse(struct connection *c, struct request *r, const char *reason)
{
    connection_fault(c, reason);
    request_drop(r);
}

static void refuse_fault(struct connection *c, struct request *r, const struct kafka_fault *fault)
{
    log_warn(c->all->shard->log, "a request cannot be read", LOG_TEXT("peer", c->peer),
             LOG_TEXT("api", r->header.api ? r->header.api->name : ""), LOG_INT("version", r->header.version),
             LOG_TEXT("field", fault->field), LOG_TEXT("reason", fault->reason),
             LOG_INT("position", (int64_t)fault->position));
    refuse(c, r, "a request cannot be read");
}

/* Bytes behind the message are left, as Kafka does: librdkafka 2.15 asks for all topics by Metadata v12 with four zeroes where one
 * byte says it. */
static enum err decode(struct request *r, struct slice body, struct kafka_fault *fault)
{
    const struct kafka_message *message = r->header.api->request;
    size_t size;
    void *out = arena_alloc(&r->arena, message->size);
    r->body = out;
    return out ? kafka_decode_prefix(message, r->header.version, body, &r->arena, out, &size, fault) : ERR_NOMEM;
}

static void handle(struct connection *c, struct request *r)
{
    struct slice body;
    struct kafka_fault fault = {"", "", 0};
    enum err e = kafka_request_header_read(r->frame, &r->header, &body, &fault);
    if (e) {
        refuse_fault(c, r, &fault);
        return;
    }
    const struct dispatch_row *row = dispatch_find(r->header.key);
    if (!row || !r->header.api || !kafka_api_takes(r->header.api, r->header.version)) {
        if (!dispatch_unsupported(r))
            refuse(c, r, "an API or a version that is not there");
        return;
    }
    e = decode(r, body, &fault);
    if (e == ERR_NOMEM) {
        refuse(c, r, "no memory for the request");
    } else if (e) {
        refuse_fault(c, r, &fault);
    } else {
        c->understood = true;
        row->handle(r);
    }
}

/* The frame lies in the block, of which the reference is taken over. NULL: there was no memory for it. */
static void take_frame(struct connection *c, struct block *block, struct slice frame)
{
    struct request *r = block ? request_new(c->all->shard->requests, c) : NULL;
    if (!r) {
        block_unref(block);
        connection_fault(c, "no memory for a request");
        return;
    }
    r->block = block;
    r->frame = frame;
    enqueue(c, r, frame.size);
    handle(c, r);
}

/* Of a block that a read has filled: a small frame is copied, so that one which waits does not hold all that came with it. */
static void take_read_frame(struct connection *c, struct block *block, struct slice frame)
{
    if (frame.size > LIMIT_STREAM_FRAME_COPIED_BYTES) {
        take_frame(c, block_ref(block), frame);
        return;
    }
    struct block *copy = block_new((uint32_t)frame.size);
    if (copy)
        memcpy(copy->bytes, frame.data, frame.size);
    take_frame(c, copy, copy ? slice_of(copy->bytes, frame.size) : frame);
}

/* --- frames ------------------------------------------------------------------------------------------------------------------- */

static uint32_t frame_max(const struct connection *c)
{
    return c->understood ? LIMIT_STREAM_FRAME_BYTES : LIMIT_STREAM_FIRST_FRAME_BYTES;
}

/* Room for another request? One larger than its share may always come alone. */
static bool has_room(struct connection *c)
{
    if (c->closing || !c->conn)
        return false;
    if (c->in_flight >= LIMIT_STREAM_REQUESTS || c->bytes >= LIMIT_STREAM_REQUEST_BYTES ||
        conn_queued_bytes(c->conn) > LIMIT_OUTPUT_QUEUE_BYTES)
        return false;
    return c->frame.block || c->all->counts.frame_bytes < LIMIT_STREAM_HELD_BYTES;
}

static void starve(struct connection *c)
{
    if (c->starved || c->all->counts.frame_bytes < LIMIT_STREAM_HELD_BYTES)
        return;
    c->starved = true;
    c->next_starved = NULL;
    *c->all->starved_last = c;
    c->all->starved_last = &c->next_starved;
}

/* What lies in the block of a frame counts as held. */
static bool grow(struct connection *c, uint32_t need)
{
    struct frame *f = &c->frame;
    uint32_t old = f->block ? f->block->size : 0;
    if (need <= old)
        return true;
    uint32_t size = old ? old : LIMIT_STREAM_FRAME_GROWTH_BYTES;
    while (size < need)
        size *= 2;
    if (size > f->size)
        size = f->size;
    if (c->all->counts.frame_bytes + size > LIMIT_STREAM_HELD_BYTES_MAX)
        return false;
    struct block *larger = block_new(size);
    if (!larger)
        return false;
    if (f->have)
        memcpy(larger->bytes, f->block->bytes, f->have);
    block_unref(f->block);
    f->block = larger;
    connection_hold(c, size - old);
    return true;
}

static void frame_done(struct connection *c)
{
    struct block *block = c->frame.block;
    struct slice frame = slice_of(block->bytes, c->frame.size);
    connection_give_back(c, block->size);
    c->frame = (struct frame){0};
    take_frame(c, block, frame);
}

/* Bytes of a frame that has begun. Returns what is left. */
static struct slice gather(struct connection *c, struct slice data)
{
    struct frame *f = &c->frame;
    struct slice piece = slice_take(data, f->size - f->have);
    if (!grow(c, f->have + (uint32_t)piece.size)) {
        connection_fault(c, "no memory for a frame");
        return SLICE_EMPTY;
    }
    if (piece.data != f->block->bytes + f->have) /* frames_room: it has been read there */
        memcpy(f->block->bytes + f->have, piece.data, piece.size);
    f->have += (uint32_t)piece.size;
    if (f->have == f->size)
        frame_done(c);
    return slice_skip(data, piece.size);
}

static struct slice read_size(struct connection *c, struct slice data)
{
    struct frame *f = &c->frame;
    if (!f->size_have)
        f->since_ns = loop_now_ns(c->all->shard->loop);
    struct slice piece = slice_take(data, KAFKA_FRAME_SIZE_BYTES - f->size_have);
    memcpy(f->size_bytes + f->size_have, piece.data, piece.size);
    f->size_have += (uint32_t)piece.size;
    if (f->size_have < KAFKA_FRAME_SIZE_BYTES)
        return slice_skip(data, piece.size);
    int32_t size = kafka_frame_size(f->size_bytes);
    if (size < 8 || (uint32_t)size > frame_max(c))
        connection_fault(c, size < 8 ? "a frame smaller than a header" : "a frame over the limit");
    else
        f->size = (uint32_t)size;
    return slice_skip(data, piece.size);
}

/* The frame's size is known and nothing of it is gathered. Returns what is left. */
static struct slice begin(struct connection *c, struct block *block, struct slice data)
{
    uint32_t size = c->frame.size;
    if (data.size < size)
        return gather(c, data);
    c->frame = (struct frame){0};
    take_read_frame(c, block, slice_take(data, size));
    return slice_skip(data, size);
}

/* One step; moves on in any case unless there is no room. */
static struct slice step(struct connection *c, struct block *block, struct slice data)
{
    if (c->frame.size_have < KAFKA_FRAME_SIZE_BYTES)
        return read_size(c, data);
    return c->frame.block ? gather(c, data) : begin(c, block, data);
}

static void keep_rest(struct connection *c, struct block *block, struct slice data)
{
    if (data.size && !c->closing) {
        c->rest_block = block_ref(block);
        c->rest = data;
        starve(c);
    }
    bool reading = !data.size && !c->closing;
    if (c->conn && reading != c->reading)
        conn_read(c->conn, reading);
    c->reading = reading;
}

/* The rest of a frame that has begun is read to where it belongs. */
uint8_t *frames_room(struct connection *c, size_t *ret_room)
{
    struct frame *f = &c->frame;
    if (!f->block || !has_room(c) || !grow(c, f->have + 1))
        return NULL;
    *ret_room = f->block->size - f->have;
    return f->block->bytes + f->have;
}

void frames_feed(struct connection *c, struct block *block, struct slice data)
{
    c->all->counts.bytes_in += data.size;
    while (data.size && has_room(c))
        data = step(c, block, data);
    keep_rest(c, block, data);
}

void frames_resume(struct connection *c)
{
    if (!c->rest_block || c->starved || !has_room(c))
        return;
    struct block *block = c->rest_block;
    struct slice data = c->rest;
    c->rest_block = NULL;
    c->rest = SLICE_EMPTY;
    while (data.size && has_room(c))
        data = step(c, block, data);
    keep_rest(c, block, data);
    block_unref(block);
}

void frames_fini(struct connection *c)
{
    if (c->frame.block)
        connection_give_back(c, c->frame.block->size);
    block_unref(c->frame.block);
    block_unref(c->rest_block);
    c->frame = (struct frame){0};
    c->rest_block = NULL;
    c->rest = SLICE_EMPTY;
}
