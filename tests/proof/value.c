#include "value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"

struct slice value_bytes(uint64_t value, char out[VALUE_BYTES_MAX])
{
    size_t size = (size_t)snprintf(out, VALUE_BYTES_MAX, "%" PRIu64 ";", value);
    size_t end = size + hash_mix(value) % (VALUE_BYTES_MAX - 40);
    for (; size < end; size++)
        out[size] = (char)('a' + (value + size) % 26);
    return slice_of(out, size);
}

bool value_read(struct slice bytes, uint64_t *ret_value)
{
    char copy[32] = "", wanted[VALUE_BYTES_MAX];
    for (size_t i = 0; i < bytes.size && i < sizeof copy - 1; i++)
        copy[i] = (char)bytes.data[i];
    *ret_value = strtoull(copy, NULL, 10);
    if (slice_eq(bytes, value_bytes(*ret_value, wanted)))
        return true;
    fprintf(stderr, "a value that nobody wrote: %.*s\n", SLICE_ARG(slice_take(bytes, 60)));
    return false;
}

uint64_t value_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
