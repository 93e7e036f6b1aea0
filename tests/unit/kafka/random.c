#include "random.h"

enum { STRING_MAX = 300 };

struct __attribute__((may_alias)) array {
    uint8_t *items;
    uint32_t count;
};

static void random_struct(struct random *, const struct kafka_program *, uint8_t *out);

uint64_t random_next(struct random *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state;
}

uint32_t random_below(struct random *r, uint32_t end)
{
    return (uint32_t)(random_next(r) >> 33) % end;
}

/* Small sizes mostly, sometimes one whose varint has two bytes. */
static struct slice random_bytes(struct random *r, bool text)
{
    uint32_t size = random_below(r, 8) ? random_below(r, 12) : random_below(r, STRING_MAX);
    uint8_t *bytes = arena_alloc(r->arena, size + 1);
    r->failed |= !bytes;
    for (uint32_t i = 0; bytes && i < size; i++)
        bytes[i] = text ? (uint8_t)('a' + random_below(r, 26)) : (uint8_t)random_next(r);
    return bytes ? slice_of(bytes, size) : SLICE_EMPTY;
}

static void random_array(struct random *r, const struct kafka_op *op, struct array *array)
{
    *array = (struct array){KAFKA_EMPTY, random_below(r, r->items_max + 1)};
    if (array->count == 0)
        return;
    array->items = arena_zalloc_array(r->arena, array->count, op->program->item_size);
    r->failed |= !array->items;
    array->count = array->items ? array->count : 0;
    for (uint32_t i = 0; i < array->count; i++)
        random_struct(r, op->program, array->items + (size_t)i * op->program->item_size);
}

static void random_number(struct random *r, uint8_t code, uint8_t *member)
{
    static const uint8_t sizes[] = {[KAFKA_CODE_INT8] = 1,
                                    [KAFKA_CODE_INT16] = 2,
                                    [KAFKA_CODE_INT32] = 4,
                                    [KAFKA_CODE_INT64] = 8,
                                    [KAFKA_CODE_UUID] = 16};
    uint64_t words[2] = {random_next(r), random_next(r)};
    if (code == KAFKA_CODE_BOOL)
        *member = words[0] & 1;
    else
        memcpy(member, words, sizes[code]);
}

static void random_tags(struct random *r, const struct kafka_op *tags, uint8_t *out);

/* `null`: whether it may become that; a tagged field that is null is left out, as is an empty one. */
static void random_op(struct random *r, const struct kafka_op *op, uint8_t *out, bool null)
{
    uint8_t *member = out + op->offset;
    null = null && op->nullable && random_below(r, 4) == 0;
    switch (op->code) {
    case KAFKA_CODE_STRING:
    case KAFKA_CODE_STRING_COMPACT:
    case KAFKA_CODE_BYTES:
    case KAFKA_CODE_BYTES_COMPACT:
        *(struct slice *)(void *)member = null ? SLICE_EMPTY : random_bytes(r, op->code < KAFKA_CODE_BYTES);
        break;
    case KAFKA_CODE_RECORDS:
    case KAFKA_CODE_RECORDS_COMPACT:
        *(struct kafka_records *)(void *)member =
            (struct kafka_records){.bytes = null ? SLICE_EMPTY : random_bytes(r, false)};
        break;
    case KAFKA_CODE_ARRAY:
    case KAFKA_CODE_ARRAY_COMPACT:
        if (null)
            *(struct array *)(void *)member = (struct array){NULL, 0};
        else
            random_array(r, op, (void *)member);
        break;
    case KAFKA_CODE_STRUCT:
        random_struct(r, op->program, member);
        break;
    case KAFKA_CODE_TAGS:
        random_tags(r, op, out);
        break;
    default:
        random_number(r, op->code, member);
    }
}

static bool is_empty(const struct kafka_op *op, const uint8_t *member)
{
    return (op->code == KAFKA_CODE_STRING_COMPACT && ((const struct slice *)(const void *)member)->size == 0) ||
           (op->code == KAFKA_CODE_ARRAY_COMPACT && ((const struct array *)(const void *)member)->count == 0);
}

static void random_tags(struct random *r, const struct kafka_op *tags, uint8_t *out)
{
    for (const struct kafka_op *op = tags->program->ops; op->code != KAFKA_CODE_END; op++) {
        if (random_below(r, 2))
            continue;
        random_op(r, op, out, false);
        if (is_empty(op, out + op->offset))
            memset(out + op->offset, 0, sizeof(struct array));
    }
}

static void random_struct(struct random *r, const struct kafka_program *program, uint8_t *out)
{
    if (program->defaults)
        memcpy(out, program->defaults, program->item_size);
    for (const struct kafka_op *op = program->ops; op->code != KAFKA_CODE_END; op++)
        random_op(r, op, out, true);
}

void random_message(struct random *r, const struct kafka_message *m, int16_t version, void *out)
{
    memcpy(out, m->defaults, m->size);
    random_struct(r, m->programs[version - m->version_min], out);
}

/* --- comparison ------------------------------------------------------------------------------------------------------------- */

static bool same_struct(const struct kafka_program *program, const uint8_t *a, const uint8_t *b);

static bool same_slice(struct slice a, struct slice b)
{
    return slice_eq(a, b) && !a.data == !b.data;
}

static bool same_array(const struct kafka_program *program, const struct array *a, const struct array *b)
{
    if (a->count != b->count || !a->items != !b->items)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!same_struct(program, a->items + (size_t)i * program->item_size, b->items + (size_t)i * program->item_size))
            return false;
    return true;
}

static bool same_op(const struct kafka_op *op, const uint8_t *a, const uint8_t *b)
{
    static const uint8_t sizes[] = {[KAFKA_CODE_BOOL] = 1,  [KAFKA_CODE_INT8] = 1,  [KAFKA_CODE_INT16] = 2,
                                    [KAFKA_CODE_INT32] = 4, [KAFKA_CODE_INT64] = 8, [KAFKA_CODE_UUID] = 16};
    const void *of_a = a + op->offset, *of_b = b + op->offset;
    switch (op->code) {
    case KAFKA_CODE_STRING:
    case KAFKA_CODE_STRING_COMPACT:
    case KAFKA_CODE_BYTES:
    case KAFKA_CODE_BYTES_COMPACT:
    case KAFKA_CODE_RECORDS:
    case KAFKA_CODE_RECORDS_COMPACT:
        return same_slice(*(const struct slice *)of_a, *(const struct slice *)of_b);
    case KAFKA_CODE_ARRAY:
    case KAFKA_CODE_ARRAY_COMPACT:
        return same_array(op->program, of_a, of_b);
    case KAFKA_CODE_STRUCT:
        return same_struct(op->program, of_a, of_b);
    case KAFKA_CODE_TAGS:
        return same_struct(op->program, a, b);
    default:
        return memcmp(of_a, of_b, sizes[op->code]) == 0;
    }
}

static bool same_struct(const struct kafka_program *program, const uint8_t *a, const uint8_t *b)
{
    for (const struct kafka_op *op = program->ops; op->code != KAFKA_CODE_END; op++)
        if (!same_op(op, a, b))
            return false;
    return true;
}

bool same_message(const struct kafka_message *m, const void *a, const void *b)
{
    for (int16_t version = m->version_min; version <= m->version_max; version++)
        if (!same_struct(m->programs[version - m->version_min], a, b))
            return false;
    return true;
}
