/* base64 and UTF-8 readers: what is accepted comes back byte for byte when written again. */
#include <stdint.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_form(struct slice text, enum base64_form form)
{
    uint8_t *out = mem_alloc(base64_decoded_max(text.size));
    size_t decoded;
    if (out && base64_decode(text, form, out, &decoded) == OK && (form == BASE64_STD || form == BASE64_URL)) {
        char *again = mem_alloc(base64_encoded_size(decoded, form));
        size_t size = again ? (size_t)(base64_encode(slice_of(out, decoded), form, again) - again) : 0;
        if (again && !slice_eq(slice_of(again, size), text))
            abort();
        mem_free(again);
    }
    mem_free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    for (enum base64_form form = BASE64_STD; form <= BASE64_ANY; form++)
        check_form(text, form);
    if (utf8_valid(text) && !utf8_valid(utf8_truncate(text, size / 2)))
        abort();
    return 0;
}
