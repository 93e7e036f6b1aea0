/* Durations as people write them in configuration and on the command line: "250ms", "1.5s", "1h30m", "720h", "7d", "0".
 * Units: ns, us, ms, s, m, h, d, each at most once, the larger first. Thread: any. */
#ifndef PRISM_BASE_DURATION_H
#define PRISM_BASE_DURATION_H

#include "base/err.h"
#include "base/slice.h"

enum { DURATION_TEXT_BYTES = 48 };

/* Nanoseconds, 0 or more. ERR_INVALID_ARGUMENT: not a duration, more precise than a nanosecond, or above 292 years. */
enum err duration_parse(struct slice text, int64_t *ret_ns) __attribute__((warn_unused_result));
/* The same, for what counts in milliseconds; a fraction of one is ERR_INVALID_ARGUMENT. */
enum err duration_parse_ms(struct slice text, int64_t *ret_ms) __attribute__((warn_unused_result));
/* The shortest text that parses to the same: "1h30m", "250ms", "0s". Returns out. Negative ones get a leading "-". */
const char *duration_format(int64_t ns, char out[static DURATION_TEXT_BYTES]);

#endif
