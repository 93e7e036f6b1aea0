#include "rpc/gzip.h"

#include <zlib.h>

#include "base/mem.h"

enum {
    WINDOW_BITS = 15 + 16, /* the largest window; + 16: gzip header and trailer instead of zlib's */
    LEVEL = 1,             /* gateways pay in CPU, not in bytes */
    MEMORY_LEVEL = 8,
    STEP_BYTES = 16 << 10, /* output is asked for in steps, so that a bomb costs one step more than the limit */
};

static void *zlib_alloc(void *opaque, unsigned items, unsigned size)
{
    (void)opaque;
    return mem_alloc((size_t)items * size);
}

static void zlib_free(void *opaque, void *block)
{
    (void)opaque;
    mem_free(block);
}

void gzip_init(struct gzip *g)
{
    *g = (struct gzip){0};
}

void gzip_fini(struct gzip *g)
{
    if (g->inflate)
        inflateEnd(g->inflate);
    if (g->deflate)
        deflateEnd(g->deflate);
    mem_free(g->inflate);
    mem_free(g->deflate);
    gzip_init(g);
}

static z_stream *new_stream(void)
{
    z_stream *z = mem_zalloc(sizeof *z);
    if (z) {
        z->zalloc = zlib_alloc;
        z->zfree = zlib_free;
    }
    return z;
}

static enum err ready_inflate(struct gzip *g)
{
    if (g->inflate)
        return inflateReset(g->inflate) == Z_OK ? OK : ERR_INTERNAL;
    z_stream *z = new_stream();
    if (!z)
        return ERR_NOMEM;
    if (inflateInit2(z, WINDOW_BITS) != Z_OK) {
        mem_free(z);
        return ERR_NOMEM;
    }
    g->inflate = z;
    return OK;
}

static enum err ready_deflate(struct gzip *g)
{
    if (g->deflate)
        return deflateReset(g->deflate) == Z_OK ? OK : ERR_INTERNAL;
    z_stream *z = new_stream();
    if (!z)
        return ERR_NOMEM;
    if (deflateInit2(z, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        mem_free(z);
        return ERR_NOMEM;
    }
    g->deflate = z;
    return OK;
}

/* Room for the next step: up to the buffer's maximum. NULL: it is full (error kept in the buffer). */
static uint8_t *next_room(struct buf *out, size_t *ret_size)
{
    size_t left = out->bytes_max - out->size;
    size_t size = left < STEP_BYTES ? left : STEP_BYTES;
    *ret_size = size;
    return buf_reserve(out, size ? size : 1);
}

static enum err inflate_result(int status)
{
    return status == Z_MEM_ERROR ? ERR_NOMEM : ERR_COMPRESSION_CORRUPT;
}

/* A message that fills the buffer to its maximum still has to show its end: one more byte than fits tells too large. */
static enum err inflate_all(z_stream *z, struct buf *out)
{
    for (;;) {
        uint8_t beyond;
        size_t room = 0;
        bool full = out->size == out->bytes_max;
        uint8_t *to = full ? &beyond : next_room(out, &room);
        if (!to)
            return buf_err(out);
        z->next_out = to;
        z->avail_out = full ? 1 : (unsigned)room;
        unsigned before = z->avail_out;
        int status = inflate(z, Z_NO_FLUSH);
        size_t made = before - z->avail_out;
        if (full && made)
            return ERR_MESSAGE_TOO_LARGE;
        if (!full)
            buf_advance(out, made);
        if (status == Z_STREAM_END)
            return z->avail_in ? ERR_COMPRESSION_CORRUPT : OK;
        if (status != Z_OK || (made == 0 && z->avail_in == 0))
            return inflate_result(status);
    }
}

enum err gzip_inflate(struct gzip *g, struct slice compressed, struct buf *out)
{
    enum err e = ready_inflate(g);
    if (e)
        return e;
    g->inflate->next_in = (uint8_t *)compressed.data;
    g->inflate->avail_in = (unsigned)compressed.size;
    return inflate_all(g->inflate, out);
}

enum err gzip_deflate(struct gzip *g, struct slice plain, struct buf *out)
{
    enum err e = ready_deflate(g);
    if (e)
        return e;
    z_stream *z = g->deflate;
    z->next_in = (uint8_t *)plain.data;
    z->avail_in = (unsigned)plain.size;
    for (;;) {
        size_t room;
        uint8_t *to = next_room(out, &room);
        if (!to)
            return buf_err(out);
        z->next_out = to;
        z->avail_out = (unsigned)room;
        int status = deflate(z, Z_FINISH);
        buf_advance(out, room - z->avail_out);
        if (status == Z_STREAM_END)
            return OK;
        if (status != Z_OK && status != Z_BUF_ERROR)
            return ERR_INTERNAL;
    }
}
