/* Values that tell which write they are of: a number, and bytes that follow from it, so that a torn value shows. */
#ifndef PRISM_TESTS_VALUE_H
#define PRISM_TESTS_VALUE_H

#include "base/slice.h"

enum { VALUE_BYTES_MAX = 600 };

struct slice value_bytes(uint64_t value, char out[VALUE_BYTES_MAX]);
/* false: nobody wrote these bytes, and standard error says so; *ret_value is what they begin with. */
bool value_read(struct slice bytes, uint64_t *ret_value);

/* Of the monotonic clock, as histories have it. */
uint64_t value_now_ns(void);

#endif
