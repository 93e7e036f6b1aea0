/* From descriptors to rows: messages, fields, enums.
 *
 * Layout of a message, the same as the C compiler's for the generated struct: struct pb_unknown, then each field in order of
 * number, a proto3 optional's has_ or a oneof's case right before (the case before its first member). */
#include <assert.h>

#include "base/limits.h"
#include "pb/bootstrap/options.pb.h"
#include "pb/pool.h"
#include "pb/wire.h"

/* Field numbers inside descriptor.proto, of which source info paths are made. */
enum {
    PATH_FILE_MESSAGE = 4,
    PATH_FILE_ENUM = 5,
    PATH_FILE_EXTENSION = 7,
    PATH_MESSAGE_FIELD = 2,
    PATH_MESSAGE_NESTED = 3,
    PATH_MESSAGE_ENUM = 4,
    PATH_ENUM_VALUE = 2
};
enum {
    DENSE_SLACK = 16,
    DENSE_ROWS_MAX = 255,
    FIELD_NUMBER_MAX = 536870911,
    LABEL_REPEATED = 3,
    PATH_DEPTH_MAX = 2 * LIMIT_PB_DEPTH + 8
};

struct path {
    int32_t at[PATH_DEPTH_MAX];
    uint32_t depth;
};

static void path_push(struct path *p, int32_t kind, uint32_t index)
{
    assert(p->depth + 2 <= PATH_DEPTH_MAX);
    p->at[p->depth++] = kind;
    p->at[p->depth++] = (int32_t)index;
}

static void path_pop(struct path *p)
{
    p->depth -= 2;
}

static const char *comment_at(struct draft *d, const struct path *p)
{
    return draft_comment(d, p->at, p->depth);
}

/* --- declaring -------------------------------------------------------------------------------------------------------------- */

static enum err keep(struct draft *d, struct pb_array *list, void *table)
{
    void **entry = pb_array_add(list, sizeof *entry, &d->pool->arena);
    if (!entry)
        return ERR_NOMEM;
    *entry = table;
    return OK;
}

/* A name that could not be joined is either malformed or out of memory; the malformed ones are told apart here. */
static enum err bad_name(struct draft *d, struct slice name)
{
    if (name.size == 0 || memchr(name.data, 0, name.size) || memchr(name.data, '.', name.size))
        return draft_invalid(d, "\"%.*s\" is not a name", SLICE_ARG(name));
    return ERR_NOMEM;
}

static enum err define_enum(struct draft *d, const struct google_protobuf_enum_descriptor_proto *proto,
                            struct path *path, struct pb_enum *e)
{
    struct pb_enum_value *values = arena_array(&d->pool->arena, struct pb_enum_value, proto->value.count);
    if (!values)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < proto->value.count; i++) {
        const struct google_protobuf_enum_value_descriptor_proto *v = PB_AT(proto->value, void *, i);
        values[i].number = v->number;
        values[i].name = draft_join(d, "", v->name);
        if (!values[i].name)
            return bad_name(d, v->name);
        path_push(path, PATH_ENUM_VALUE, i);
        values[i].doc = comment_at(d, path);
        path_pop(path);
    }
    e->values = values;
    e->count = proto->value.count;
    e->doc = comment_at(d, path);
    return OK;
}

static enum err declare_enum(struct draft *d, const struct google_protobuf_enum_descriptor_proto *proto,
                             const char *scope, struct path *path)
{
    struct pb_enum *e = arena_new(&d->pool->arena, struct pb_enum);
    if (!e)
        return ERR_NOMEM;
    e->file = d->file;
    e->name = draft_join(d, scope, proto->name);
    if (!e->name)
        return bad_name(d, proto->name);
    enum err err = define_enum(d, proto, path, e);
    if (!err)
        err = keep(d, &d->enums, e);
    return err ? err : pool_enter(d, SYMBOL_ENUM, slice_str(e->name), e, NULL);
}

static enum err declare_enums(struct draft *d, const struct pb_array *enums, const char *scope, struct path *path,
                              int32_t kind)
{
    for (uint32_t i = 0; i < enums->count; i++) {
        path_push(path, kind, i);
        enum err err = declare_enum(d, PB_AT(*enums, void *, i), scope, path);
        path_pop(path);
        if (err)
            return err;
    }
    return OK;
}

static enum err declare_messages(struct draft *, const struct pb_array *messages, const char *scope, struct path *,
                                 int32_t kind);

static enum err declare_message(struct draft *d, const struct google_protobuf_descriptor_proto *proto,
                                const char *scope, struct path *path)
{
    struct pb_message *m = arena_new(&d->pool->arena, struct pb_message);
    if (!m)
        return ERR_NOMEM;
    m->file = d->file;
    m->name = draft_join(d, scope, proto->name);
    if (!m->name)
        return bad_name(d, proto->name);
    m->map_entry = proto->options && proto->options->map_entry;
    m->doc = comment_at(d, path);
    struct symbol *symbol;
    enum err err = keep(d, &d->messages, m);
    if (!err)
        err = pool_enter(d, SYMBOL_MESSAGE, slice_str(m->name), m, &symbol);
    if (err)
        return err;
    symbol->proto = proto;
    err = declare_enums(d, &proto->enum_type, m->name, path, PATH_MESSAGE_ENUM);
    return err ? err : declare_messages(d, &proto->nested_type, m->name, path, PATH_MESSAGE_NESTED);
}

static enum err declare_messages(struct draft *d, const struct pb_array *messages, const char *scope, struct path *path,
                                 int32_t kind)
{
    for (uint32_t i = 0; i < messages->count; i++) {
        path_push(path, kind, i);
        enum err err = declare_message(d, PB_AT(*messages, void *, i), scope, path);
        path_pop(path);
        if (err)
            return err;
    }
    return OK;
}

enum err declare_types(struct draft *d)
{
    struct path path = {.depth = 0};
    const char *package = d->file->package;
    enum err err = declare_enums(d, &d->proto->enum_type, package, &path, PATH_FILE_ENUM);
    return err ? err : declare_messages(d, &d->proto->message_type, package, &path, PATH_FILE_MESSAGE);
}

/* --- rows ------------------------------------------------------------------------------------------------------------------- */

static enum err field_rules(struct draft *d, const struct google_protobuf_field_descriptor_proto *proto,
                            struct pb_field *f)
{
    if (!proto->options || proto->options->unknown.size == 0)
        return OK;
    const struct prism_field_options *o = draft_options(d, &prism_field_options_pb, proto->options);
    struct pb_field_rules *rules = arena_new(&d->pool->arena, struct pb_field_rules);
    if (!o || !rules)
        return ERR_NOMEM;
    *rules = (struct pb_field_rules){
        .max_length = o->max_length, .pii = (uint8_t)o->pii, .required = o->required, .mask_in_logs = o->mask_in_logs};
    if (o->validation.size && !(rules->validation = draft_text(d, o->validation)))
        return ERR_NOMEM;
    f->rules = rules;
    return OK;
}

static enum err field_type(struct draft *d, const struct google_protobuf_field_descriptor_proto *proto,
                           struct pb_field *f)
{
    if (proto->type < PB_DOUBLE || proto->type > PB_SINT64)
        return draft_invalid(d, "field %s has no type %d", f->name, proto->type);
    f->type = (uint8_t)proto->type;
    if (f->type == PB_MESSAGE && !(f->message = pool_resolve(d->pool, SYMBOL_MESSAGE, proto->type_name)))
        return draft_invalid(d, "field %s: no message %.*s", f->name, SLICE_ARG(proto->type_name));
    if (f->type == PB_ENUM && !(f->enumeration = pool_resolve(d->pool, SYMBOL_ENUM, proto->type_name)))
        return draft_invalid(d, "field %s: no enum %.*s", f->name, SLICE_ARG(proto->type_name));
    return OK;
}

static bool is_packed(const struct draft *d, const struct google_protobuf_field_descriptor_proto *proto,
                      const struct pb_field *f)
{
    if (f->card != PB_REPEATED || wire_of_type[f->type] == WIRE_LEN)
        return false;
    return proto->options && proto->options->has_packed ? proto->options->packed : d->proto3;
}

static enum err field_card(struct draft *d, const struct google_protobuf_descriptor_proto *m,
                           const struct google_protobuf_field_descriptor_proto *proto, struct pb_field *f)
{
    if (proto->label == LABEL_REPEATED) {
        f->card = f->message && f->message->map_entry ? PB_MAP : PB_REPEATED;
    } else if (proto->has_oneof_index && !proto->proto3_optional) {
        if (!m || proto->oneof_index < 0 || (uint32_t)proto->oneof_index >= m->oneof_decl.count)
            return draft_invalid(d, "field %s is in a oneof that does not exist", f->name);
        const struct google_protobuf_oneof_descriptor_proto *oneof = PB_AT(m->oneof_decl, void *, proto->oneof_index);
        f->card = PB_ONEOF;
        f->oneof = draft_join(d, "", oneof->name);
        if (!f->oneof)
            return bad_name(d, oneof->name);
    } else if (f->type != PB_MESSAGE &&
               (proto->proto3_optional || (!d->proto3 && !(m && m->options && m->options->map_entry)))) {
        f->card = PB_OPTIONAL;
    }
    f->packed = is_packed(d, proto, f);
    return OK;
}

/* deleted_at → deletedAt, where the descriptor gives no JSON name. */
static const char *json_name(struct draft *d, const char *name)
{
    char *out = arena_strdup(&d->pool->arena, name), *to = out;
    bool upper = false;
    for (; out && *name; name++) {
        if (*name != '_')
            *to++ = upper && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
        upper = *name == '_';
    }
    if (out)
        *to = 0;
    return out;
}

static enum err define_field(struct draft *d, const struct google_protobuf_descriptor_proto *m,
                             const struct google_protobuf_field_descriptor_proto *proto, struct pb_field *f)
{
    f->name = draft_join(d, "", proto->name);
    if (!f->name)
        return bad_name(d, proto->name);
    if (proto->number < 1 || proto->number > FIELD_NUMBER_MAX)
        return draft_invalid(d, "field %s has the number %d", f->name, proto->number);
    f->number = (uint32_t)proto->number;
    f->json_name = proto->json_name.size ? draft_text(d, proto->json_name) : json_name(d, f->name);
    if (!f->json_name)
        return ERR_NOMEM;
    enum err err = field_type(d, proto, f);
    if (!err)
        err = field_card(d, m, proto, f);
    return err ? err : field_rules(d, proto, f);
}

/* --- messages --------------------------------------------------------------------------------------------------------------- */

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
            return draft_invalid(d, "%s has the field number %u twice", message, row.number);
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
        return draft_invalid(d, "%s is not the entry of a map", m->name);
    switch (key->type) {
    case PB_DOUBLE:
    case PB_FLOAT:
    case PB_MESSAGE:
    case PB_BYTES:
    case PB_ENUM:
        return draft_invalid(d, "%s has a key that no map may have", m->name);
    default:
        return OK;
    }
}

static uint8_t well_known(const char *name)
{
    static const struct {
        const char *name;
        uint8_t kind;
    } known[] = {
        {"Any", PB_ANY},
        {"Timestamp", PB_TIMESTAMP},
        {"Duration", PB_DURATION},
        {"Struct", PB_STRUCT},
        {"Value", PB_VALUE},
        {"ListValue", PB_LIST_VALUE},
        {"FieldMask", PB_FIELD_MASK},
        {"Empty", PB_EMPTY},
        {"DoubleValue", PB_WRAPPER},
        {"FloatValue", PB_WRAPPER},
        {"Int64Value", PB_WRAPPER},
        {"UInt64Value", PB_WRAPPER},
        {"Int32Value", PB_WRAPPER},
        {"UInt32Value", PB_WRAPPER},
        {"BoolValue", PB_WRAPPER},
        {"StringValue", PB_WRAPPER},
        {"BytesValue", PB_WRAPPER},
    };
    static const char package[] = "google.protobuf.";
    if (strncmp(name, package, sizeof package - 1) != 0)
        return PB_NOT_WELL_KNOWN;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name + sizeof package - 1, known[i].name) == 0)
            return known[i].kind;
    return PB_NOT_WELL_KNOWN;
}

static enum err finish_message(struct draft *d, struct pb_message *m, struct pb_field *rows, uint32_t count)
{
    m->fields = rows;
    m->field_count = (uint16_t)count;
    m->well_known = well_known(m->name);
    enum err err = sort_rows(d, m->name, rows, count);
    if (err)
        return err;
    lay_out(m, rows);
    err = check_map_entry(d, m);
    return err ? err : index_rows(d, m);
}

static enum err define_message(struct draft *d, struct pb_message *m,
                               const struct google_protobuf_descriptor_proto *proto, struct path *path)
{
    if (proto->field.count > UINT16_MAX)
        return draft_invalid(d, "%s has %u fields", m->name, proto->field.count);
    struct pb_field *rows = arena_array(&d->pool->arena, struct pb_field, proto->field.count);
    uint32_t count = 0;
    if (!rows)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < proto->field.count; i++) {
        const struct google_protobuf_field_descriptor_proto *field = PB_AT(proto->field, void *, i);
        if (field->type == PB_GROUP)
            continue;
        enum err err = define_field(d, proto, field, &rows[count]);
        if (err)
            return err;
        path_push(path, PATH_MESSAGE_FIELD, i);
        rows[count++].doc = comment_at(d, path);
        path_pop(path);
    }
    return finish_message(d, m, rows, count);
}

static enum err define_all(struct draft *d, const struct pb_array *messages, const char *scope, struct path *path,
                           int32_t kind)
{
    for (uint32_t i = 0; i < messages->count; i++) {
        const struct google_protobuf_descriptor_proto *proto = PB_AT(*messages, void *, i);
        const char *name = draft_join(d, scope, proto->name);
        struct symbol *s = name ? pool_find(d->pool, SYMBOL_MESSAGE, slice_str(name)) : NULL;
        if (!s)
            return ERR_NOMEM;
        path_push(path, kind, i);
        enum err err = define_message(d, s->table, proto, path);
        if (!err)
            err = define_all(d, &proto->nested_type, name, path, PATH_MESSAGE_NESTED);
        path_pop(path);
        if (err)
            return err;
    }
    return OK;
}

/* --- extensions ------------------------------------------------------------------------------------------------------------- */

static struct slice last_component(struct slice name)
{
    const uint8_t *dot = name.size ? memrchr(name.data, '.', name.size) : NULL;
    return dot ? slice_skip(name, (size_t)(dot - name.data) + 1) : name;
}

/* One message of all extensions in this file that have the extendee of the first-th. */
static enum err define_view(struct draft *d, uint32_t first)
{
    const struct pb_array *extensions = &d->proto->extension;
    struct slice extendee =
        ((const struct google_protobuf_field_descriptor_proto *)PB_AT(*extensions, void *, first))->extendee;
    struct pb_message *m = arena_new(&d->pool->arena, struct pb_message);
    struct pb_field *rows = arena_array(&d->pool->arena, struct pb_field, extensions->count);
    uint32_t count = 0;
    if (!m || !rows)
        return ERR_NOMEM;
    m->file = d->file;
    m->extension_view = true;
    m->name = draft_join(d, d->file->package, last_component(extendee));
    if (!m->name)
        return bad_name(d, extendee);
    for (uint32_t i = first; i < extensions->count; i++) {
        const struct google_protobuf_field_descriptor_proto *field = PB_AT(*extensions, void *, i);
        if (!slice_eq(field->extendee, extendee) || field->type == PB_GROUP)
            continue;
        enum err err = define_field(d, NULL, field, &rows[count]);
        if (err)
            return err;
        if (rows[count].card == PB_OPTIONAL && !field->proto3_optional)
            rows[count].card = PB_SINGULAR;
        rows[count++].doc = draft_comment(d, (int32_t[]){PATH_FILE_EXTENSION, (int32_t)i}, 2);
    }
    enum err err = finish_message(d, m, rows, count);
    return err ? err : keep(d, &d->messages, m);
}

static enum err define_views(struct draft *d)
{
    const struct pb_array *extensions = &d->proto->extension;
    for (uint32_t i = 0; i < extensions->count; i++) {
        struct slice extendee =
            ((const struct google_protobuf_field_descriptor_proto *)PB_AT(*extensions, void *, i))->extendee;
        bool seen = false;
        for (uint32_t k = 0; k < i && !seen; k++)
            seen = slice_eq(
                ((const struct google_protobuf_field_descriptor_proto *)PB_AT(*extensions, void *, k))->extendee,
                extendee);
        enum err err = seen ? OK : define_view(d, i);
        if (err)
            return err;
    }
    return OK;
}

enum err define_messages(struct draft *d)
{
    struct path path = {.depth = 0};
    enum err err = define_all(d, &d->proto->message_type, d->file->package, &path, PATH_FILE_MESSAGE);
    return err || !d->pool->options.extension_views ? err : define_views(d);
}
