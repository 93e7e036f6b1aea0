#include "rpc/batch.h"

#include "base/mem.h"

enum err batch_init(struct batch *b)
{
    *b = (struct batch){.bytes = mem_alloc(BATCH_BYTES)};
    return b->bytes ? OK : ERR_NOMEM;
}

void batch_fini(struct batch *b)
{
    mem_free(b->bytes);
    *b = (struct batch){0};
}

void batch_write(struct batch *b, struct conn *conn)
{
    if (b->size == 0)
        return;
    struct slice all = slice_of(b->bytes, b->size);
    b->size = 0;
    b->written_bytes += all.size;
    conn_write(conn, &all, 1);
}

void batch_put(struct batch *b, struct conn *conn, const uint8_t *data, size_t size)
{
    while (size) {
        size_t room = BATCH_BYTES - b->size;
        size_t part = size < room ? size : room;
        memcpy(b->bytes + b->size, data, part);
        b->size += part;
        data += part;
        size -= part;
        if (b->size == BATCH_BYTES)
            batch_write(b, conn);
    }
}
