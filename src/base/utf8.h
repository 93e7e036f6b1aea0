/* UTF-8, as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. Thread: any. */
#ifndef PRISM_BASE_UTF8_H
#define PRISM_BASE_UTF8_H

#include "base/slice.h"

/* Whether all bytes are valid UTF-8. NUL is a character like others; the empty slice is valid. */
bool utf8_valid(struct slice);
/* Bytes of the valid character at the start: 1 to 4; 0 where there is none. */
size_t utf8_char_size(struct slice);
/* The longest prefix of at most size bytes that does not end inside a character. The input need not be valid. */
struct slice utf8_truncate(struct slice, size_t size);

#endif
