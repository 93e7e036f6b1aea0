/* UTF-8 as RFC 3629 defines it: no surrogates, no overlong forms, nothing past U+10FFFF. */
#ifndef PRISM_PB_UTF8_H
#define PRISM_PB_UTF8_H

#include "base/slice.h"

bool pb_utf8_valid(struct slice text);
/* Writes 1 to 4 bytes, returns how many. The code point must be valid. */
unsigned pb_utf8_put(uint32_t code_point, uint8_t *out);

#endif
