#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

enum { CAPACITY_MIN = 256 };

void buf_init(struct buf *b, size_t bytes_max)
{
    *b = (struct buf){.bytes_max = bytes_max};
}

void buf_init_fixed(struct buf *b, void *memory, size_t size)
{
    *b = (struct buf){.data = memory, .capacity = size, .bytes_max = size};
}

void buf_fini(struct buf *b)
{
    mem_free(b->data);
    buf_init(b, b->bytes_max);
}

void buf_reset(struct buf *b)
{
    b->size = 0;
    b->err = OK;
}

static enum err grow(struct buf *b, size_t needed)
{
    if (needed > b->bytes_max)
        return ERR_MESSAGE_TOO_LARGE;
    size_t capacity = b->capacity ? b->capacity : CAPACITY_MIN;
    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    if (capacity > b->bytes_max)
        capacity = b->bytes_max;
    uint8_t *data = mem_realloc(b->data, capacity);
    if (!data)
        return ERR_NOMEM;
    b->data = data;
    b->capacity = capacity;
    return OK;
}

uint8_t *buf_reserve(struct buf *b, size_t size)
{
    if (b->err)
        return NULL;
    if (size > b->capacity - b->size)
        b->err = size > SIZE_MAX - b->size ? ERR_MESSAGE_TOO_LARGE : grow(b, b->size + size);
    return b->err ? NULL : b->data + b->size;
}

void buf_advance(struct buf *b, size_t size)
{
    assert(size <= b->capacity - b->size);
    b->size += size;
}

void buf_put(struct buf *b, const void *data, size_t size)
{
    if (size == 0)
        return;
    uint8_t *to = buf_reserve(b, size);
    if (!to)
        return;
    memcpy(to, data, size);
    b->size += size;
}

void buf_putc(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

void buf_puts(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

void buf_put_slice(struct buf *b, struct slice s)
{
    buf_put(b, s.data, s.size);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *to = size < 0 ? NULL : (char *)buf_reserve(b, (size_t)size + 1);
    if (to) {
        vsnprintf(to, (size_t)size + 1, format, again);
        b->size += (size_t)size;
    }
    va_end(again);
}

void buf_consume(struct buf *b, size_t size)
{
    assert(size <= b->size);
    b->size -= size;
    if (b->size)
        memmove(b->data, b->data + size, b->size);
}
