/* From rows to a message: order, layout, index, and what the message turns out to be.
 *
 * Layout, the same as the C compiler's for the generated struct: struct pb_unknown, then each field in order of number, a
 * proto3 optional's has_ or a oneof's case right before (the case before its first member). */
#include "pb/pool.h"

enum { DENSE_SLACK = 16, DENSE_ROWS_MAX = 255 };

/* Few messages have many fields, and those are nearly sorted: insertion. Numbers are unique afterwards. */
static enum err sort_rows(struct draft *d, const char *message, struct pb_field *rows, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct pb_field row = rows[i];
        uint32_t k = i;
        for (; k > 0 && rows[k - 1].number > row.number; k--)
            rows[k] = rows[k - 1];
        rows[k] = row;
        if (k > 0 && rows[k - 1].number == row.number)
            return pb_draft_invalid(d, "%s has the field number %u twice", message, row.number);
    }
    return OK;
}

static uint32_t take(uint32_t *size, size_t bytes)
{
    uint32_t offset = (*size + (uint32_t)bytes - 1) & ~((uint32_t)bytes - 1);
    *size = offset + (uint32_t)bytes;
    return offset;
}

/* Slices, arrays and pointers are aligned as pointers. */
static uint32_t take_value(uint32_t *size, const struct pb_field *f)
{
    if (f->card == PB_REPEATED || f->card == PB_MAP || f->type == PB_STRING || f->type == PB_BYTES) {
        uint32_t offset = take(size, sizeof(void *));
        *size += 16 - (uint32_t)sizeof(void *);
        return offset;
    }
    return take(size, pb_item_size(f));
}
_Static_assert(sizeof(struct pb_array) == 16 && sizeof(struct slice) == 16 && sizeof(struct pb_unknown) == 16,
               "take_value knows these sizes");

/* Where the case of a field's oneof is, if an earlier row has it. */
static bool shared_case(const struct pb_field *rows, uint32_t i, uint32_t *ret_presence)
{
    for (uint32_t k = 0; k < i; k++) {
        if (rows[k].card == PB_ONEOF && strcmp(rows[k].oneof, rows[i].oneof) == 0) {
            *ret_presence = rows[k].presence;
            return true;
        }
    }
    return false;
}

static void lay_out(struct pb_message *m, struct pb_field *rows)
{
    uint32_t size = sizeof(struct pb_unknown);
    for (uint32_t i = 0; i < m->field_count; i++) {
        struct pb_field *f = &rows[i];
        if (f->card == PB_OPTIONAL)
            f->presence = take(&size, sizeof(bool));
        else if (f->card == PB_ONEOF && !shared_case(rows, i, &f->presence))
            f->presence = take(&size, sizeof(uint32_t));
        f->offset = take_value(&size, f);
    }
    m->size = (size + 7) & ~7u;
}

/* number → row, while the numbers are not spread too thin. */
static enum err index_rows(struct draft *d, struct pb_message *m)
{
    uint32_t count = 0;
    while (count < m->field_count && count < DENSE_ROWS_MAX && m->fields[count].number <= 2 * count + DENSE_SLACK)
        count++;
    if (count == 0)
        return OK;
    uint32_t size = m->fields[count - 1].number + 1;
    uint8_t *dense = arena_zalloc(&d->pool->arena, size);
    if (!dense)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        dense[m->fields[i].number] = (uint8_t)(i + 1);
    m->dense = dense;
    m->dense_count = size;
    return OK;
}

static enum err check_map_entry(struct draft *d, const struct pb_message *m)
{
    const struct pb_field *key = m->field_count == 2 ? &m->fields[0] : NULL;
    if (!m->map_entry)
        return OK;
    if (!key || key[0].number != 1 || key[1].number != 2 || key[0].card != PB_SINGULAR || key[1].card != PB_SINGULAR)
        return pb_draft_invalid(d, "%s is not the entry of a map", m->name);
    switch (key->type) {
    case PB_DOUBLE:
    case PB_FLOAT:
    case PB_MESSAGE:
    case PB_BYTES:
    case PB_ENUM:
        return pb_draft_invalid(d, "%s has a key that no map may have", m->name);
    default:
        return OK;
    }
}

/* One letter a row, numbered from 1: what JSON takes by position. */
static bool has_shape(const struct pb_field *f, char letter)
{
    static const struct {
        char letter;
        uint8_t type, card;
    } shapes[] = {
        {'L', PB_INT64, PB_SINGULAR}, {'I', PB_INT32, PB_SINGULAR},  {'s', PB_STRING, PB_SINGULAR},
        {'b', PB_BYTES, PB_SINGULAR}, {'S', PB_STRING, PB_REPEATED}, {'R', PB_MESSAGE, PB_REPEATED},
        {'M', PB_MESSAGE, PB_MAP},    {'e', PB_ENUM, PB_ONEOF},      {'d', PB_DOUBLE, PB_ONEOF},
        {'t', PB_STRING, PB_ONEOF},   {'o', PB_BOOL, PB_ONEOF},      {'m', PB_MESSAGE, PB_ONEOF},
    };
    if (letter == 'w')
        return f->card == PB_SINGULAR && f->type != PB_MESSAGE;
    if (letter == 'M' && (f->card != PB_MAP || f->message->field_count != 2 || f->message->fields[0].type != PB_STRING))
        return false;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (shapes[i].letter == letter)
            return f->type == shapes[i].type && f->card == shapes[i].card;
    return false;
}

static bool message_has_shape(const struct pb_message *m, const char *shape)
{
    if (m->field_count != strlen(shape))
        return false;
    for (uint32_t i = 0; i < m->field_count; i++)
        if (m->fields[i].number != i + 1 || !has_shape(&m->fields[i], shape[i]))
            return false;
    return true;
}

/* By name, and only with the shape that the name promises: a pool's descriptors may come from anybody. */
static uint8_t well_known(const struct pb_message *m)
{
    static const struct {
        const char *name;
        uint8_t kind;
        const char *shape;
    } known[] = {
        {"Any", PB_ANY, "sb"},
        {"Timestamp", PB_TIMESTAMP, "LI"},
        {"Duration", PB_DURATION, "LI"},
        {"Struct", PB_STRUCT, "M"},
        {"Value", PB_VALUE, "edtomm"},
        {"ListValue", PB_LIST_VALUE, "R"},
        {"FieldMask", PB_FIELD_MASK, "S"},
        {"Empty", PB_EMPTY, ""},
        {"DoubleValue", PB_WRAPPER, "w"},
        {"FloatValue", PB_WRAPPER, "w"},
        {"Int64Value", PB_WRAPPER, "w"},
        {"UInt64Value", PB_WRAPPER, "w"},
        {"Int32Value", PB_WRAPPER, "w"},
        {"UInt32Value", PB_WRAPPER, "w"},
        {"BoolValue", PB_WRAPPER, "w"},
        {"StringValue", PB_WRAPPER, "w"},
        {"BytesValue", PB_WRAPPER, "w"},
    };
    static const char package[] = "google.protobuf.";
    if (strncmp(m->name, package, sizeof package - 1) != 0)
        return PB_NOT_WELL_KNOWN;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(m->name + sizeof package - 1, known[i].name) == 0)
            return message_has_shape(m, known[i].shape) ? known[i].kind : PB_NOT_WELL_KNOWN;
    return PB_NOT_WELL_KNOWN;
}

enum err pb_finish_message(struct draft *d, struct pb_message *m, struct pb_field *rows, uint32_t count)
{
    m->fields = rows;
    m->field_count = (uint16_t)count;
    enum err err = sort_rows(d, m->name, rows, count);
    if (err)
        return err;
    lay_out(m, rows);
    err = check_map_entry(d, m);
    if (!err)
        m->well_known = well_known(m);
    return err ? err : index_rows(d, m);
}
