/* The order of puts is the order on the wire: `before` and `behind` say how the two kinds interleave. */
#include "rt/output.h"

#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"

enum {
    KEEP_BYTES = 64 << 10, /* of an empty queue */
    KEEP_REFS = 64,
    REFS_MIN = 8,
};

void output_init(struct output *o)
{
    *o = (struct output){0};
    buf_init(&o->bytes, LIMIT_OUTPUT_QUEUE_BYTES_MAX);
}

static void release_file(const struct conn_file *file)
{
    if (file->release)
        file->release(file->owner);
}

static void release(struct output_ref *r)
{
    if (r->data)
        block_unref(r->block);
    else
        release_file(&r->file);
}

void output_fini(struct output *o)
{
    for (; o->first < o->end; o->first++)
        release(&o->refs[o->first]);
    mem_free(o->refs);
    buf_fini(&o->bytes);
    output_init(o);
}

/* ---- putting ---------------------------------------------------------------------------------------------------------- */

static bool bounded(struct output *o, uint64_t more)
{
    if (!o->err && o->bytes.size - o->bytes_sent + o->block_bytes + more > LIMIT_OUTPUT_QUEUE_BYTES_MAX)
        o->err = ERR_MESSAGE_TOO_LARGE;
    return o->err == OK;
}

void output_put_bytes(struct output *o, struct slice bytes)
{
    if (!bounded(o, bytes.size))
        return;
    buf_put_slice(&o->bytes, bytes);
    o->err = buf_err(&o->bytes);
    if (o->err)
        return;
    o->behind += bytes.size;
    o->size += bytes.size;
}

static enum err grow(struct output *o)
{
    uint32_t capacity = o->capacity ? o->capacity * 2 : REFS_MIN;
    if (capacity > LIMIT_OUTPUT_REFERENCES)
        return ERR_MESSAGE_TOO_LARGE;
    struct output_ref *refs = mem_realloc(o->refs, capacity * sizeof *refs);
    if (!refs)
        return ERR_NOMEM;
    o->refs = refs;
    o->capacity = capacity;
    return OK;
}

/* Room at the front is used again once it is the larger part. */
static void close_gap(struct output *o)
{
    if (o->first <= o->capacity / 2)
        return;
    memmove(o->refs, o->refs + o->first, (o->end - o->first) * sizeof *o->refs);
    o->end -= o->first;
    o->first = 0;
}

/* NULL with the error kept. */
static struct output_ref *new_ref(struct output *o, uint64_t size)
{
    if (o->end == o->capacity)
        close_gap(o);
    if (!o->err && o->end == o->capacity)
        o->err = grow(o);
    if (o->err)
        return NULL;
    struct output_ref *r = &o->refs[o->end++];
    *r = (struct output_ref){.before = o->behind, .size = size};
    o->behind = 0;
    o->size += size;
    return r;
}

void output_put_block(struct output *o, struct block *block, struct slice bytes)
{
    struct output_ref *r = bytes.size && bounded(o, bytes.size) ? new_ref(o, bytes.size) : NULL;
    if (!r)
        return;
    r->data = bytes.data;
    r->block = block_ref(block);
    o->block_bytes += bytes.size;
}

void output_put_file(struct output *o, const struct conn_file *file)
{
    struct output_ref *r = file->size ? new_ref(o, file->size) : NULL;
    if (r)
        r->file = *file;
    else
        release_file(file);
}

/* ---- sending ---------------------------------------------------------------------------------------------------------- */

size_t output_memory(const struct output *o, struct slice *ret_slices, size_t max)
{
    struct slice copied = slice_skip(buf_slice(&o->bytes), o->bytes_sent);
    size_t count = 0;
    for (uint32_t i = o->first; count < max && i <= o->end; i++) {
        const struct output_ref *r = i < o->end ? &o->refs[i] : NULL;
        size_t before = r ? r->before : o->behind;
        if (before)
            ret_slices[count++] = slice_take(copied, before);
        copied = slice_skip(copied, before);
        if (r && !r->data)
            break;
        if (r && count < max)
            ret_slices[count++] = slice_of(r->data, r->size);
    }
    return count;
}

const struct conn_file *output_file(const struct output *o)
{
    if (o->first == o->end)
        return NULL;
    const struct output_ref *r = &o->refs[o->first];
    return !r->before && !r->data ? &r->file : NULL;
}

/* Bytes of `copied`, at most size. Returns how many. */
static uint64_t sent_bytes(struct output *o, size_t *copied, uint64_t size)
{
    uint64_t n = size < *copied ? size : *copied;
    *copied -= n;
    o->bytes_sent += n;
    return n;
}

static uint64_t sent_ref(struct output *o, struct output_ref *r, uint64_t size)
{
    uint64_t n = size < r->size ? size : r->size;
    r->size -= n;
    if (r->data) {
        r->data += n;
        o->block_bytes -= n;
    } else {
        r->file.offset += n;
        r->file.size -= n;
    }
    if (r->size == 0) {
        o->first++;
        release(r);
    }
    return n;
}

static void trim_bytes(struct output *o)
{
    if (o->bytes_sent == o->bytes.size) {
        o->bytes_sent = 0;
        if (o->bytes.capacity > KEEP_BYTES)
            buf_fini(&o->bytes);
        else
            buf_reset(&o->bytes);
    } else if (o->bytes_sent > o->bytes.size / 2) {
        buf_consume(&o->bytes, o->bytes_sent);
        o->bytes_sent = 0;
    }
}

static void trim_refs(struct output *o)
{
    if (o->first < o->end)
        return;
    o->first = o->end = 0;
    if (o->capacity > KEEP_REFS) {
        mem_free(o->refs);
        o->refs = NULL;
        o->capacity = 0;
    }
}

void output_sent(struct output *o, uint64_t size)
{
    assert(size <= o->size);
    o->size -= size;
    while (size && o->first < o->end) {
        struct output_ref *r = &o->refs[o->first];
        size -= sent_bytes(o, &r->before, size);
        if (size)
            size -= sent_ref(o, r, size);
    }
    sent_bytes(o, &o->behind, size);
    trim_bytes(o);
    trim_refs(o);
}
