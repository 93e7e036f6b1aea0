/* Record batches: header, records and their headers. All that is given out lies in the input; records are built into a batch
 * again, which must read as the same. */
#include "kafka/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 64 << 20, HEADERS_MAX = 64 };

static void inside(struct slice input, struct slice part)
{
    if (part.size && (part.data < input.data || part.data + part.size > input.data + input.size))
        __builtin_trap();
}

static void add(struct batch_builder *b, const struct batch_record *r)
{
    struct batch_record_header headers[HEADERS_MAX];
    struct slice rest = r->headers;
    uint32_t count = 0;
    while (count < HEADERS_MAX && batch_next_header(&rest, &headers[count].key, &headers[count].value))
        count++;
    batch_add(b, r->time_ms, r->key, r->value, headers, count);
}

static bool same(struct slice a, struct slice b)
{
    return slice_eq(a, b) && !a.data == !b.data;
}

static void compare(const struct batch_header *h, struct slice payload, struct slice built)
{
    struct batch_header other;
    struct batch_records a, b;
    struct batch_record in, out;
    if (batch_read(built, &other) || !batch_crc_ok(built) || other.size != built.size)
        __builtin_trap();
    batch_records_init(&a, h, payload);
    batch_records_init(&b, &other, batch_payload(built));
    for (uint32_t i = 0; i < other.record_count; i++)
        if (!batch_next_record(&a, &in) || !batch_next_record(&b, &out) || !same(in.key, out.key) ||
            !same(in.value, out.value) || in.time_ms != out.time_ms || out.offset != i)
            __builtin_trap();
    if (batch_next_record(&b, &out) || b.damaged)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = slice_of(data, size);
    struct batch_header h;
    struct batch_records it;
    struct batch_record r;
    struct batch_builder builder;
    struct buf out;
    if (batch_read(input, &h))
        return 0;
    struct slice batch = slice_take(input, h.size);
    (void)batch_crc_ok(batch);
    (void)batch_check_produced(&h);
    buf_init(&out, OUT_MAX);
    batch_begin(&builder, &out, 0);
    batch_records_init(&it, &h, batch_payload(batch));
    while (batch_next_record(&it, &r)) {
        inside(batch, r.key);
        inside(batch, r.value);
        inside(batch, r.headers);
        add(&builder, &r);
    }
    if (builder.count && batch_end(&builder, BATCH_NO_PRODUCER) == OK)
        compare(&h, batch_payload(batch), buf_slice(&out));
    buf_fini(&out);
    return 0;
}
