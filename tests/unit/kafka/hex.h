/* Bytes as they stand in a test: "000300010000". */
#ifndef PRISM_TESTS_KAFKA_HEX_H
#define PRISM_TESTS_KAFKA_HEX_H

#include <stdio.h>

#include "base/slice.h"

enum { HEX_BYTES_MAX = 1024 };

struct hex {
    uint8_t bytes[HEX_BYTES_MAX];
};

static inline struct slice hex_bytes(struct hex *h, const char *text)
{
    size_t size = strlen(text) / 2;
    for (size_t i = 0; i < size && i < HEX_BYTES_MAX; i++) {
        unsigned byte = 0;
        sscanf(text + 2 * i, "%2x", &byte);
        h->bytes[i] = (uint8_t)byte;
    }
    return slice_of(h->bytes, size);
}

#endif
