/* Base64 as RFC 4648 has it. Decoding is strict: no white space, no bits left over, padding as the form says.
 * Thread: any. */
#ifndef PRISM_BASE_BASE64_H
#define PRISM_BASE_BASE64_H

#include "base/err.h"
#include "base/slice.h"

enum base64_form {
    BASE64_STD,  /* + and /, with padding (RFC 4648, 4) */
    BASE64_URL,  /* - and _, without padding (5) */
    BASE64_BARE, /* + and /, written without padding, read with or without: gRPC's -bin metadata */
    BASE64_ANY,  /* reading only: either alphabet, padding or not: ProtoJSON bytes */
};

/* Bytes that encoding makes of size bytes. */
size_t base64_encoded_size(size_t size, enum base64_form);
/* Writes exactly base64_encoded_size bytes, without a NUL. Returns the end. BASE64_ANY writes as BASE64_STD. */
char *base64_encode(struct slice, enum base64_form, char *out);
/* At least as many bytes as decoding makes of text of this size. */
static inline size_t base64_decoded_max(size_t size)
{
    return size / 4 * 3 + 3;
}
/* out has base64_decoded_max bytes, and may be the text itself. ERR_INVALID_ARGUMENT: not base64 of this form. */
enum err base64_decode(struct slice text, enum base64_form, uint8_t *out, size_t *ret_size)
    __attribute__((warn_unused_result));

#endif
