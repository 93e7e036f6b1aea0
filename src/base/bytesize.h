/* Sizes as people write them: "512", "64KiB", "4MiB", "1GiB", "10MB". KiB, MiB, GiB, TiB count in 1,024; kB, MB, GB, TB in
 * 1,000; B or nothing is bytes. Thread: any. */
#ifndef PRISM_BASE_BYTESIZE_H
#define PRISM_BASE_BYTESIZE_H

#include "base/err.h"
#include "base/slice.h"

enum { BYTESIZE_TEXT_BYTES = 32 };

/* ERR_INVALID_ARGUMENT: not a size, or above 2^64 - 1. */
enum err bytesize_parse(struct slice text, uint64_t *ret_bytes) __attribute__((warn_unused_result));
/* In the largest binary unit that divides it: "64KiB", "1000B". Returns out. */
const char *bytesize_format(uint64_t bytes, char out[static BYTESIZE_TEXT_BYTES]);

#endif
