/* UUID version 7 (RFC 9562, section 5.7): sorted by time of making. Thread: any. */
#ifndef PRISM_BASE_UUID_H
#define PRISM_BASE_UUID_H

#include <stdint.h>

enum { UUID_TEXT_BYTES = 36, UUID_RANDOM_BYTES = 10 };

/* "0190b6a1-7e3c-7f3a-9d2b-5c1e8f0a4b6d" and a NUL. Unpredictable only as far as the random bytes are. */
void uuid7_format(int64_t realtime_ms, const uint8_t random[UUID_RANDOM_BYTES], char out[UUID_TEXT_BYTES + 1]);
/* Lower-case hexadecimal digits, two a byte, no NUL. Returns the end. */
char *hex_format(const uint8_t *bytes, unsigned count, char *out);

#endif
