/* The encoder. Bytes go straight into the buffer's memory; `room` makes sure of space once a field. Tagged fields are written
 * where they differ from their default; their size, which stands before them, is put in when they are there. */
#include "base/mem.h"
#include "kafka/codec.h"
#include "kafka/wire.h"

enum { HOLES_MIN = 8 };

struct encoder {
    uint8_t *at, *end; /* within the buffer's memory, behind its committed bytes */
    struct kafka_out *out;
    enum err err;
};

struct __attribute__((may_alias)) array {
    const uint8_t *items;
    uint32_t count;
};

static bool run(struct encoder *e, const struct kafka_program *program, const uint8_t *in);

static bool fail(struct encoder *e, enum err err)
{
    e->err = err;
    return false;
}

static void commit(struct encoder *e)
{
    e->out->buf.size = (size_t)(e->at - e->out->buf.data);
}

/* Behind what is committed: all memory that the buffer has. */
static void take_memory(struct encoder *e)
{
    struct buf *b = &e->out->buf;
    e->at = b->data + b->size;
    e->end = b->data + b->capacity;
}

__attribute__((noinline, cold)) static bool grow(struct encoder *e, size_t size)
{
    commit(e);
    if (!buf_reserve(&e->out->buf, size))
        return fail(e, buf_err(&e->out->buf));
    take_memory(e);
    return true;
}

static inline bool room(struct encoder *e, size_t size)
{
    return size <= (size_t)(e->end - e->at) || grow(e, size);
}

static bool put_uvarint(struct encoder *e, uint32_t value)
{
    if (!room(e, WIRE_UVARINT_BYTES))
        return false;
    e->at = wire_put_uvarint(e->at, value);
    return true;
}

/* --- sizes of strings, bytes, arrays; -1 is null ---------------------------------------------------------------------------- */

static bool put_size16(struct encoder *e, int64_t size)
{
    if (size > INT16_MAX)
        return fail(e, ERR_MESSAGE_TOO_LARGE);
    if (!room(e, 2))
        return false;
    e->at = wire_put16(e->at, (uint16_t)size);
    return true;
}

static bool put_size32(struct encoder *e, int64_t size)
{
    if (size > INT32_MAX)
        return fail(e, ERR_MESSAGE_TOO_LARGE);
    if (!room(e, 4))
        return false;
    e->at = wire_put32(e->at, (uint32_t)size);
    return true;
}

static bool put_size_compact(struct encoder *e, int64_t size)
{
    return size > INT32_MAX - 1 ? fail(e, ERR_MESSAGE_TOO_LARGE) : put_uvarint(e, (uint32_t)(size + 1));
}

static bool put_size(struct encoder *e, const struct kafka_op *op, int64_t size)
{
    switch (op->code) {
    case KAFKA_CODE_STRING:
        return put_size16(e, size);
    case KAFKA_CODE_BYTES:
    case KAFKA_CODE_RECORDS:
    case KAFKA_CODE_ARRAY:
        return put_size32(e, size);
    default:
        return put_size_compact(e, size);
    }
}

/* --- fields ----------------------------------------------------------------------------------------------------------------- */

static bool put_slice(struct encoder *e, const struct kafka_op *op, struct slice s)
{
    if (!put_size(e, op, !s.data && op->nullable ? -1 : (int64_t)s.size) || !room(e, s.size))
        return false;
    if (s.size)
        memcpy(e->at, s.data, s.size);
    e->at += s.size;
    return true;
}

static struct kafka_hole *add_hole(struct kafka_out *out)
{
    if (out->hole_count == out->hole_capacity) {
        uint32_t capacity = out->hole_capacity ? out->hole_capacity * 2 : HOLES_MIN;
        struct kafka_hole *holes = mem_realloc(out->holes, capacity * sizeof *holes);
        if (!holes)
            return NULL;
        out->holes = holes;
        out->hole_capacity = capacity;
    }
    return &out->holes[out->hole_count++];
}

static bool put_records(struct encoder *e, const struct kafka_op *op, const struct kafka_records *records)
{
    if (!records->source)
        return put_slice(e, op, records->bytes);
    if (!put_size(e, op, records->size > INT32_MAX ? INT64_MAX : (int64_t)records->size))
        return false;
    if (records->size == 0)
        return true;
    struct kafka_hole *hole = add_hole(e->out);
    if (!hole)
        return fail(e, ERR_NOMEM);
    *hole = (struct kafka_hole){(size_t)(e->at - e->out->buf.data), records->size, records->source};
    e->out->hole_bytes += records->size;
    return true;
}

static bool put_array(struct encoder *e, const struct kafka_op *op, const uint8_t *member)
{
    const struct array *array = (const void *)member;
    const struct kafka_program *program = op->program;
    if (!put_size(e, op, !array->items && op->nullable ? -1 : (int64_t)array->count))
        return false;
    const uint8_t *item = array->items;
    for (uint32_t i = 0; i < array->count; i++, item += program->item_size)
        if (!run(e, program, item))
            return false;
    return true;
}

static size_t fixed_size(uint8_t code)
{
    static const uint8_t sizes[] = {[KAFKA_CODE_BOOL] = 1,  [KAFKA_CODE_INT8] = 1,  [KAFKA_CODE_INT16] = 2,
                                    [KAFKA_CODE_INT32] = 4, [KAFKA_CODE_INT64] = 8, [KAFKA_CODE_UUID] = 16};
    return sizes[code];
}

static uint8_t *write_fixed(uint8_t *to, uint8_t code, const uint8_t *member)
{
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    switch (code) {
    case KAFKA_CODE_INT16:
        memcpy(&u16, member, sizeof u16);
        return wire_put16(to, u16);
    case KAFKA_CODE_INT32:
        memcpy(&u32, member, sizeof u32);
        return wire_put32(to, u32);
    case KAFKA_CODE_INT64:
        memcpy(&u64, member, sizeof u64);
        return wire_put64(to, u64);
    default:
        memcpy(to, member, fixed_size(code));
        return to + fixed_size(code);
    }
}

/* --- tagged fields ---------------------------------------------------------------------------------------------------------- */

static bool all_default(const struct kafka_program *program, const uint8_t *in, const uint8_t *defaults);

/* Records are never tagged; a string's default is the empty one or null, an array's has no items. A struct is mostly a copy of
 * its default, byte by byte. */
static bool is_default(const struct kafka_op *op, const uint8_t *in, const uint8_t *defaults)
{
    const uint8_t *member = in + op->offset, *usual = defaults + op->offset;
    switch (op->code) {
    case KAFKA_CODE_STRING_COMPACT:
    case KAFKA_CODE_BYTES_COMPACT:
        return ((const struct slice *)(const void *)member)->size == 0;
    case KAFKA_CODE_ARRAY_COMPACT:
        return ((const struct array *)(const void *)member)->count == 0;
    case KAFKA_CODE_STRUCT:
        return memcmp(member, usual, op->program->item_size) == 0 || all_default(op->program, member, usual);
    case KAFKA_CODE_TAGS:
        return all_default(op->program, in, defaults);
    default:
        return memcmp(member, usual, fixed_size(op->code)) == 0;
    }
}

static bool all_default(const struct kafka_program *program, const uint8_t *in, const uint8_t *defaults)
{
    for (const struct kafka_op *op = program->ops; op->code != KAFKA_CODE_END; op++)
        if (!is_default(op, in, defaults))
            return false;
    return true;
}

static bool run_op(struct encoder *e, const struct kafka_op *op, const uint8_t *in, const uint8_t *defaults);

/* The size before the value: one byte is kept for it, and the value moved where it needs more. */
static bool put_tagged(struct encoder *e, const struct kafka_op *op, const uint8_t *in)
{
    if (!put_uvarint(e, op->tag) || !room(e, WIRE_UVARINT_BYTES))
        return false;
    size_t start = (size_t)(e->at - e->out->buf.data);
    e->at += 1;
    if (!run_op(e, op, in, NULL) || !room(e, WIRE_UVARINT_BYTES))
        return false;
    uint8_t *value = e->out->buf.data + start + 1, size[WIRE_UVARINT_BYTES];
    size_t value_size = (size_t)(e->at - value);
    size_t size_size = (size_t)(wire_put_uvarint(size, (uint32_t)value_size) - size);
    if (size_size > 1)
        memmove(value + size_size - 1, value, value_size);
    memcpy(value - 1, size, size_size);
    e->at += size_size - 1;
    return true;
}

static bool put_tags(struct encoder *e, const struct kafka_op *op, const uint8_t *in, const uint8_t *defaults)
{
    uint32_t count = 0;
    const struct kafka_op *tagged;
    for (tagged = op->program->ops; tagged->code != KAFKA_CODE_END; tagged++)
        count += !is_default(tagged, in, defaults);
    if (!put_uvarint(e, count))
        return false;
    for (tagged = op->program->ops; count && tagged->code != KAFKA_CODE_END; tagged++)
        if (!is_default(tagged, in, defaults) && !put_tagged(e, tagged, in))
            return false;
    return true;
}

/* --- programs --------------------------------------------------------------------------------------------------------------- */

static bool run_op(struct encoder *e, const struct kafka_op *op, const uint8_t *in, const uint8_t *defaults)
{
    const uint8_t *member = in + op->offset;
    switch (op->code) {
    case KAFKA_CODE_STRING:
    case KAFKA_CODE_STRING_COMPACT:
    case KAFKA_CODE_BYTES:
    case KAFKA_CODE_BYTES_COMPACT:
        return put_slice(e, op, *(const struct slice *)(const void *)member);
    case KAFKA_CODE_RECORDS:
    case KAFKA_CODE_RECORDS_COMPACT:
        return put_records(e, op, (const void *)member);
    case KAFKA_CODE_ARRAY:
    case KAFKA_CODE_ARRAY_COMPACT:
        return put_array(e, op, member);
    case KAFKA_CODE_STRUCT:
        return run(e, op->program, member);
    case KAFKA_CODE_TAGS:
        return put_tags(e, op, in, defaults);
    default:
        if (!room(e, sizeof(struct kafka_uuid)))
            return false;
        e->at = write_fixed(e->at, op->code, member);
        return true;
    }
}

static bool run(struct encoder *e, const struct kafka_program *program, const uint8_t *in)
{
    for (const struct kafka_op *op = program->ops; op->code != KAFKA_CODE_END; op++)
        if (!run_op(e, op, in, program->defaults))
            return false;
    return true;
}

/* --- public ----------------------------------------------------------------------------------------------------------------- */

void kafka_out_init(struct kafka_out *out, size_t bytes_max)
{
    *out = (struct kafka_out){.hole_count = 0};
    buf_init(&out->buf, bytes_max);
}

void kafka_out_fini(struct kafka_out *out)
{
    buf_fini(&out->buf);
    mem_free(out->holes);
    kafka_out_init(out, out->buf.bytes_max);
}

void kafka_out_reset(struct kafka_out *out)
{
    buf_reset(&out->buf);
    out->hole_count = 0;
    out->hole_bytes = 0;
}

static void roll_back(struct kafka_out *out, size_t size, uint32_t hole_count, uint64_t hole_bytes)
{
    out->buf.size = size;
    out->buf.err = OK;
    out->hole_count = hole_count;
    out->hole_bytes = hole_bytes;
}

enum err kafka_encode(const struct kafka_message *m, int16_t version, const void *in, struct kafka_out *out)
{
    if (!kafka_has_version(m, version))
        return ERR_UNIMPLEMENTED;
    size_t size = out->buf.size;
    uint32_t hole_count = out->hole_count;
    uint64_t hole_bytes = out->hole_bytes;
    if (!buf_reserve(&out->buf, 1)) {
        enum err err = buf_err(&out->buf);
        roll_back(out, size, hole_count, hole_bytes);
        return err;
    }
    struct encoder e = {.out = out, .err = OK};
    take_memory(&e);
    if (run(&e, m->programs[version - m->version_min], in)) {
        commit(&e);
        return OK;
    }
    roll_back(out, size, hole_count, hole_bytes);
    return e.err;
}
