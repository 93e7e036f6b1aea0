/* Readers of durations, sizes and fault lists: what is accepted comes back when written again; JSON strings stay valid. */
#include <stdint.h>
#include <stdlib.h>

#include "base/bytesize.h"
#include "base/duration.h"
#include "base/json.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_duration(struct slice text)
{
    int64_t ns, again;
    char out[DURATION_TEXT_BYTES];
    if (duration_parse(text, &ns) == OK && (duration_parse(slice_str(duration_format(ns, out)), &again) || again != ns))
        abort();
}

static void check_size(struct slice text)
{
    uint64_t bytes, again;
    char out[BYTESIZE_TEXT_BYTES];
    if (bytesize_parse(text, &bytes) == OK &&
        (bytesize_parse(slice_str(bytesize_format(bytes, out)), &again) || again != bytes))
        abort();
}

static void check_json(struct slice text)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    struct json j = json_to(&out);
    json_str(&j, text);
    if (!buf_err(&out) && !utf8_valid(buf_slice(&out)))
        abort();
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_duration(slice_of(data, size));
    check_size(slice_of(data, size));
    check_json(slice_of(data, size));
    return 0;
}
