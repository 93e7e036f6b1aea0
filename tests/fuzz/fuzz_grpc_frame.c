/* Messages of gRPC in pieces: the same ones come out however the bytes are cut, within the maximum; compressed ones are inflated
 * within it. The same bytes are taken as the texts of gRPC's headers, which must come back as they went. */
#include "rpc/grpc_frame.h"
#include "rpc/grpc_text.h"
#include "rpc/gzip.h"

enum { MAXIMUM = 4096 };

static void require(bool condition)
{
    if (!condition)
        __builtin_trap();
}

struct result {
    uint64_t sum; /* of all messages, in order */
    uint32_t count;
    enum err err;
};

static void note(struct result *r, const struct grpc_message *m, struct gzip *gzip)
{
    require(m->bytes.size <= MAXIMUM);
    r->count++;
    for (size_t i = 0; i < m->bytes.size; i++)
        r->sum = r->sum * 31 + m->bytes.data[i] + 1;
    struct buf out;
    buf_init(&out, MAXIMUM);
    if (m->compressed && gzip_inflate(gzip, m->bytes, &out) == OK)
        require(out.size <= MAXIMUM);
    buf_fini(&out);
}

static struct result read_all(struct slice input, size_t piece)
{
    struct result r = {0};
    struct grpc_reader reader;
    struct gzip gzip;
    grpc_reader_init(&reader, MAXIMUM);
    gzip_init(&gzip);
    while (input.size && !r.err) {
        struct slice part = slice_take(input, piece);
        input = slice_skip(input, part.size);
        bool complete = true;
        while (!r.err && (part.size || complete)) {
            struct grpc_message m;
            r.err = grpc_read(&reader, &part, &m, &complete);
            if (!r.err && complete)
                note(&r, &m, &gzip);
        }
    }
    gzip_fini(&gzip);
    grpc_reader_fini(&reader);
    return r;
}

static void read_texts(struct slice text)
{
    struct arena arena;
    struct slice encoded, back;
    uint64_t ns;
    char again[GRPC_TIMEOUT_BYTES];
    arena_init(&arena, 1 << 20);
    if (grpc_message_encode(&arena, text, &encoded) && grpc_message_decode(&arena, encoded, &back))
        require(slice_eq(text, back));
    require(!grpc_message_decode(&arena, text, &back) || back.size <= text.size);
    if (grpc_timeout_parse(text, &ns)) {
        uint64_t written;
        grpc_timeout_format(ns, again);
        require(grpc_timeout_parse(slice_str(again), &written) && (written >= ns || ns > 99999999 * 3600000000000ull));
    }
    grpc_list_has(text, SLICE("gzip"));
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct slice input = slice_of(data + 1, size - 1);
    struct result whole = read_all(input, size), cut = read_all(input, data[0] % 16 + 1);
    require(whole.count == cut.count && whole.sum == cut.sum && whole.err == cut.err);
    read_texts(input);
    return 0;
}
