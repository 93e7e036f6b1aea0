/* The decoder. One function a kind of field; `run` walks a program. Positions only move forward, and no function reads a byte
 * before it has compared with the end. */
#include "base/limits.h"
#include "kafka/codec.h"
#include "kafka/wire.h"

_Alignas(16) const uint8_t kafka_empty[16];

struct decoder {
    const uint8_t *at, *end, *start;
    struct arena *arena;
    struct kafka_fault *fault;
    enum err err;
};

/* Members of generated structs, whatever their declared type. */
struct __attribute__((may_alias)) array {
    void *items;
    uint32_t count;
};

static bool run(struct decoder *d, const struct kafka_program *program, uint8_t *out);

static size_t left(const struct decoder *d)
{
    return (size_t)(d->end - d->at);
}

__attribute__((cold)) static bool fail(struct decoder *d, const char *field, const char *reason)
{
    *d->fault = (struct kafka_fault){field, reason, (size_t)(d->at - d->start)};
    d->err = ERR_KAFKA_MALFORMED;
    return false;
}

static bool cut(struct decoder *d, const char *field)
{
    return fail(d, field, "the message ends inside it");
}

static bool read_uvarint(struct decoder *d, const char *field, uint32_t *ret_value)
{
    if (d->at < d->end && *d->at < 0x80) {
        *ret_value = *d->at++;
        return true;
    }
    size_t used = wire_uvarint(d->at, left(d), ret_value);
    if (used == 0)
        return left(d) < 5 ? cut(d, field) : fail(d, field, "the varint is longer than 32 bits");
    d->at += used;
    return true;
}

/* --- sizes: of strings, bytes, arrays; -1 is null --------------------------------------------------------------------------- */

static bool read_size16(struct decoder *d, const struct kafka_op *op, int64_t *ret_size)
{
    if (left(d) < 2)
        return cut(d, op->field);
    *ret_size = (int16_t)wire_get16(d->at);
    d->at += 2;
    return true;
}

static bool read_size32(struct decoder *d, const struct kafka_op *op, int64_t *ret_size)
{
    if (left(d) < 4)
        return cut(d, op->field);
    *ret_size = (int32_t)wire_get32(d->at);
    d->at += 4;
    return true;
}

static bool read_size_compact(struct decoder *d, const struct kafka_op *op, int64_t *ret_size)
{
    uint32_t size;
    if (!read_uvarint(d, op->field, &size))
        return false;
    *ret_size = (int64_t)size - 1;
    return true;
}

static bool size_is_sane(struct decoder *d, const struct kafka_op *op, int64_t size)
{
    if (size < -1)
        return fail(d, op->field, "the size is negative");
    if (size == -1 && !op->nullable)
        return fail(d, op->field, "null where a value is needed");
    return true;
}

/* --- fields ----------------------------------------------------------------------------------------------------------------- */

static bool read_slice(struct decoder *d, const struct kafka_op *op, int64_t size, struct slice *ret_slice)
{
    if (!size_is_sane(d, op, size))
        return false;
    if (size > (int64_t)left(d))
        return cut(d, op->field);
    *ret_slice = size < 0 ? SLICE_EMPTY : slice_of(d->at, (size_t)size);
    d->at += size < 0 ? 0 : size;
    return true;
}

static bool read_records(struct decoder *d, const struct kafka_op *op, int64_t size, uint8_t *member)
{
    struct kafka_records *records = (void *)member;
    *records = (struct kafka_records){.bytes = SLICE_EMPTY};
    return read_slice(d, op, size, &records->bytes);
}

static bool fill(struct decoder *d, const struct kafka_program *program, uint8_t *item, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++, item += program->item_size) {
        if (program->defaults)
            memcpy(item, program->defaults, program->item_size);
        if (!run(d, program, item))
            return false;
    }
    return true;
}

static bool read_array(struct decoder *d, const struct kafka_op *op, int64_t count, uint8_t *member)
{
    const struct kafka_program *program = op->program;
    struct array *array = (void *)member;
    if (!size_is_sane(d, op, count))
        return false;
    *array = (struct array){count < 0 ? NULL : KAFKA_EMPTY, 0};
    if (count <= 0)
        return true;
    if (count > LIMIT_KAFKA_ITEMS)
        return fail(d, op->field, "more items than are taken");
    if ((size_t)count > left(d) / program->bytes_min)
        return fail(d, op->field, "the array is longer than the message");
    uint8_t *items = arena_alloc(d->arena, (size_t)count * program->item_size);
    if (!items) {
        d->err = ERR_NOMEM;
        return false;
    }
    *array = (struct array){items, (uint32_t)count};
    return fill(d, program, items, (uint32_t)count);
}

static bool run_op(struct decoder *d, const struct kafka_op *op, uint8_t *out);

/* One tagged field, whose bytes end where its size says, known or not. */
static bool read_tag(struct decoder *d, const struct kafka_op *op, uint8_t *out)
{
    uint32_t size;
    if (!read_uvarint(d, "tagged fields", &size))
        return false;
    if (size > left(d))
        return fail(d, "tagged fields", "a tagged field is longer than the message");
    const uint8_t *end = d->end, *next = d->at + size;
    if (op) {
        d->end = next;
        if (!run_op(d, op, out))
            return false;
        if (d->at != next)
            return fail(d, op->field, "a tagged field is longer than its value");
    }
    d->at = next;
    d->end = end;
    return true;
}

/* Tags ascend, so that none comes twice. */
static bool read_tags(struct decoder *d, const struct kafka_op *op, uint8_t *out)
{
    uint32_t count, tag;
    if (!read_uvarint(d, "tagged fields", &count))
        return false;
    if (count > LIMIT_KAFKA_TAGS)
        return fail(d, "tagged fields", "more tagged fields than are taken");
    const struct kafka_op *known = op->program->ops;
    for (int64_t last = -1; count > 0; count--, last = tag) {
        if (!read_uvarint(d, "tagged fields", &tag))
            return false;
        if (tag <= last)
            return fail(d, "tagged fields", "the tags do not ascend");
        while (known->code != KAFKA_CODE_END && known->tag < tag)
            known++;
        bool is_known = known->code != KAFKA_CODE_END && known->tag == tag;
        if (!read_tag(d, is_known ? known : NULL, out))
            return false;
    }
    return true;
}

static void read_number(uint8_t *member, uint8_t code, const uint8_t *from)
{
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    switch (code) {
    case KAFKA_CODE_INT16:
        u16 = wire_get16(from);
        memcpy(member, &u16, sizeof u16);
        break;
    case KAFKA_CODE_INT32:
        u32 = wire_get32(from);
        memcpy(member, &u32, sizeof u32);
        break;
    default:
        u64 = wire_get64(from);
        memcpy(member, &u64, sizeof u64);
    }
}

/* Values that always take as many bytes. */
static bool read_fixed(struct decoder *d, const struct kafka_op *op, uint8_t *member)
{
    static const uint8_t sizes[] = {[KAFKA_CODE_BOOL] = 1,  [KAFKA_CODE_INT8] = 1,  [KAFKA_CODE_INT16] = 2,
                                    [KAFKA_CODE_INT32] = 4, [KAFKA_CODE_INT64] = 8, [KAFKA_CODE_UUID] = 16};
    size_t size = sizes[op->code];
    if (left(d) < size)
        return cut(d, op->field);
    if (op->code == KAFKA_CODE_BOOL)
        *member = *d->at != 0;
    else if (op->code == KAFKA_CODE_INT8)
        *member = *d->at;
    else if (op->code == KAFKA_CODE_UUID)
        memcpy(member, d->at, size);
    else
        read_number(member, op->code, d->at);
    d->at += size;
    return true;
}

static bool run_op(struct decoder *d, const struct kafka_op *op, uint8_t *out)
{
    uint8_t *member = out + op->offset;
    int64_t size = 0;
    switch (op->code) {
    case KAFKA_CODE_STRING:
        return read_size16(d, op, &size) && read_slice(d, op, size, (void *)member);
    case KAFKA_CODE_STRING_COMPACT:
    case KAFKA_CODE_BYTES_COMPACT:
        return read_size_compact(d, op, &size) && read_slice(d, op, size, (void *)member);
    case KAFKA_CODE_BYTES:
        return read_size32(d, op, &size) && read_slice(d, op, size, (void *)member);
    case KAFKA_CODE_RECORDS:
        return read_size32(d, op, &size) && read_records(d, op, size, member);
    case KAFKA_CODE_RECORDS_COMPACT:
        return read_size_compact(d, op, &size) && read_records(d, op, size, member);
    case KAFKA_CODE_ARRAY:
        return read_size32(d, op, &size) && read_array(d, op, size, member);
    case KAFKA_CODE_ARRAY_COMPACT:
        return read_size_compact(d, op, &size) && read_array(d, op, size, member);
    case KAFKA_CODE_STRUCT:
        return run(d, op->program, member);
    case KAFKA_CODE_TAGS:
        return read_tags(d, op, out);
    default:
        return read_fixed(d, op, member);
    }
}

static bool run(struct decoder *d, const struct kafka_program *program, uint8_t *out)
{
    for (const struct kafka_op *op = program->ops; op->code != KAFKA_CODE_END; op++)
        if (!run_op(d, op, out))
            return false;
    return true;
}

enum err kafka_decode_prefix(const struct kafka_message *m, int16_t version, struct slice in, struct arena *arena,
                             void *out, size_t *ret_size, struct kafka_fault *ret_fault)
{
    struct kafka_fault unwanted;
    if (!kafka_has_version(m, version))
        return ERR_UNIMPLEMENTED;
    const uint8_t *start = in.size ? in.data : kafka_empty;
    struct decoder d = {start, start + in.size, start, arena, ret_fault ? ret_fault : &unwanted, OK};
    memcpy(out, m->defaults, m->size);
    if (!run(&d, m->programs[version - m->version_min], out))
        return d.err;
    *ret_size = (size_t)(d.at - d.start);
    return OK;
}

enum err kafka_decode(const struct kafka_message *m, int16_t version, struct slice in, struct arena *arena, void *out,
                      struct kafka_fault *ret_fault)
{
    size_t size = 0;
    enum err err = kafka_decode_prefix(m, version, in, arena, out, &size, ret_fault);
    if (err || size == in.size)
        return err;
    if (ret_fault)
        *ret_fault = (struct kafka_fault){"", "bytes follow the message", size};
    return ERR_KAFKA_MALFORMED;
}
