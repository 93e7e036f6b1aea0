/* A view of bytes that somebody else owns. Passing one never copies; whoever keeps it longer than the call must know the owner
 * (an arena, a block, static storage). Not terminated by NUL; may hold any byte. */
#ifndef PRISM_BASE_SLICE_H
#define PRISM_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *data;
    size_t size;
};

#define SLICE_EMPTY ((struct slice){NULL, 0})
/* From a string literal, without strlen. */
#define SLICE(literal) ((struct slice){(const uint8_t *)("" literal), sizeof(literal) - 1})
/* printf("%.*s", SLICE_ARG(s)) */
#define SLICE_ARG(s) (int)(s).size, (const char *)(s).data

static inline struct slice slice_of(const void *data, size_t size)
{
    return (struct slice){(const uint8_t *)data, size};
}

static inline struct slice slice_str(const char *text)
{
    return text ? slice_of(text, strlen(text)) : SLICE_EMPTY;
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Bytewise order, a proper prefix first: <0, 0, >0. */
static inline int slice_cmp(struct slice a, struct slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.size >= prefix.size && (prefix.size == 0 || memcmp(s.data, prefix.data, prefix.size) == 0);
}

/* From offset to the end; an offset past the end gives the empty slice at the end. */
static inline struct slice slice_skip(struct slice s, size_t offset)
{
    size_t n = offset < s.size ? offset : s.size;
    return slice_of(s.data ? s.data + n : NULL, s.size - n);
}

static inline struct slice slice_take(struct slice s, size_t size)
{
    return slice_of(s.data, size < s.size ? size : s.size);
}

#endif
