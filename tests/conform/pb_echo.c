/* The protobuf runtime behind a pipe, for tests in other languages.
 *
 * Request:  'b' (binary) or 'j' (JSON), one byte of name length, the message's full name, a 32-bit little-endian size, the input.
 * Response: one byte, 0 or 1 (refused), then twice a 32-bit size and bytes: the binary form and the JSON form; or, refused,
 *           the error's name and an empty one. Ends with the input. */
#include <stdio.h>

#include "base/limits.h"
#include "pb/pb.h"

enum { INPUT_MAX = 64 << 20 };

struct request {
    char form;
    const struct pb_message *table;
    struct slice input;
};

static bool read_exactly(void *to, size_t size)
{
    return fread(to, 1, size, stdin) == size;
}

static bool read_request(struct arena *a, struct request *ret)
{
    uint8_t head[2], name[255];
    uint32_t size;
    if (!read_exactly(head, 2) || !read_exactly(name, head[1]) || !read_exactly(&size, sizeof size) || size > INPUT_MAX)
        return false;
    uint8_t *input = arena_alloc(a, size + (size_t)1);
    if (!input || !read_exactly(input, size))
        return false;
    *ret = (struct request){(char)head[0], pb_find_message((const char *)name, head[1]), slice_of(input, size)};
    return ret->table != NULL;
}

static void write_block(struct slice s)
{
    uint32_t size = (uint32_t)s.size;
    fwrite(&size, sizeof size, 1, stdout);
    fwrite(s.data, 1, s.size, stdout);
}

static enum err answer(struct arena *a, const struct request *r, struct diag *diag, struct buf *binary,
                       struct buf *json)
{
    void *message;
    enum err err = r->form == 'j' ? pb_json_read(r->table, r->input, NULL, a, diag, &message)
                                  : pb_decode(r->table, r->input, a, NULL, &message);
    if (!err)
        err = pb_encode_buf(r->table, message, binary);
    if (!err)
        err = pb_json_write(r->table, message, NULL, json);
    return err;
}

int main(void)
{
    struct arena arena;
    struct buf binary, json;
    struct request request;
    arena_init(&arena, LIMIT_CALL_ARENA_BYTES * (size_t)4);
    buf_init(&binary, INPUT_MAX);
    buf_init(&json, INPUT_MAX);
    while (read_request(&arena, &request)) {
        struct diag diag;
        diag_init(&diag, &arena);
        enum err err = answer(&arena, &request, &diag, &binary, &json);
        if (err && err != ERR_JSON_MALFORMED)
            diag.message = err_name(err);
        fputc(err ? 1 : 0, stdout);
        write_block(err ? slice_str(diag_message(&diag)) : buf_slice(&binary));
        write_block(err ? SLICE_EMPTY : buf_slice(&json));
        fflush(stdout);
        arena_reset(&arena);
        buf_reset(&binary);
        buf_reset(&json);
    }
    buf_fini(&binary);
    buf_fini(&json);
    arena_fini(&arena);
    return 0;
}
