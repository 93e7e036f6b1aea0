/* From descriptors to tables: the messages and enums of a file, and its extensions. Names are entered first, rows made after,
 * so that a field may have a type that comes later. */
#include <assert.h>

#include "base/limits.h"
#include "pb/pool.h"

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
enum { PATH_DEPTH_MAX = 2 * LIMIT_PB_DEPTH + 8 };

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
    return pb_draft_comment(d, p->at, p->depth);
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

static enum err define_enum(struct draft *d, const struct google_protobuf_enum_descriptor_proto *proto,
                            struct path *path, struct pb_enum *e)
{
    struct pb_enum_value *values = arena_array(&d->pool->arena, struct pb_enum_value, proto->value.count);
    if (!values)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < proto->value.count; i++) {
        const struct google_protobuf_enum_value_descriptor_proto *v = PB_AT(proto->value, void *, i);
        values[i].number = v->number;
        enum err err = pb_draft_name(d, "", v->name, &values[i].name);
        if (err)
            return err;
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
    enum err err = pb_draft_name(d, scope, proto->name, &e->name);
    if (!err)
        err = define_enum(d, proto, path, e);
    if (!err)
        err = keep(d, &d->enums, e);
    return err ? err : pb_pool_enter(d, SYMBOL_ENUM, slice_str(e->name), e);
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
    m->map_entry = proto->options && proto->options->map_entry;
    m->doc = comment_at(d, path);
    enum err err = pb_draft_name(d, scope, proto->name, &m->name);
    if (!err)
        err = keep(d, &d->messages, m);
    if (!err)
        err = pb_pool_enter(d, SYMBOL_MESSAGE, slice_str(m->name), m);
    if (err)
        return err;
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

enum err pb_declare_types(struct draft *d)
{
    struct path path = {.depth = 0};
    const char *package = d->file->package;
    enum err err = declare_enums(d, &d->proto->enum_type, package, &path, PATH_FILE_ENUM);
    return err ? err : declare_messages(d, &d->proto->message_type, package, &path, PATH_FILE_MESSAGE);
}

/* --- defining --------------------------------------------------------------------------------------------------------------- */

static enum err define_message(struct draft *d, struct pb_message *m,
                               const struct google_protobuf_descriptor_proto *proto, struct path *path)
{
    if (proto->field.count > LIMIT_PB_FIELDS)
        return pb_draft_invalid(d, "%s has %u fields", m->name, proto->field.count);
    struct pb_field *rows = arena_array(&d->pool->arena, struct pb_field, proto->field.count);
    uint32_t count = 0;
    if (!rows)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < proto->field.count; i++) {
        const struct google_protobuf_field_descriptor_proto *field = PB_AT(proto->field, void *, i);
        if (field->type == PB_GROUP)
            continue;
        enum err err = pb_define_field(d, proto, field, &rows[count]);
        if (err)
            return err;
        path_push(path, PATH_MESSAGE_FIELD, i);
        rows[count++].doc = comment_at(d, path);
        path_pop(path);
    }
    return pb_finish_message(d, m, rows, count);
}

/* Nested ones first: entries of maps are looked at when the map is defined. */
static enum err define_all(struct draft *d, const struct pb_array *messages, const char *scope, struct path *path,
                           int32_t kind)
{
    for (uint32_t i = 0; i < messages->count; i++) {
        const struct google_protobuf_descriptor_proto *proto = PB_AT(*messages, void *, i);
        const char *name;
        enum err err = pb_draft_name(d, scope, proto->name, &name);
        if (err)
            return err;
        path_push(path, kind, i);
        err = define_all(d, &proto->nested_type, name, path, PATH_MESSAGE_NESTED);
        if (!err)
            err = define_message(d, pb_pool_find(d->pool, SYMBOL_MESSAGE, slice_str(name))->table, proto, path);
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
    enum err err = pb_draft_name(d, d->file->package, last_component(extendee), &m->name);
    for (uint32_t i = first; !err && i < extensions->count; i++) {
        const struct google_protobuf_field_descriptor_proto *field = PB_AT(*extensions, void *, i);
        if (!slice_eq(field->extendee, extendee) || field->type == PB_GROUP)
            continue;
        err = pb_define_field(d, NULL, field, &rows[count]);
        if (rows[count].card == PB_OPTIONAL && !field->proto3_optional)
            rows[count].card = PB_SINGULAR;
        rows[count++].doc = pb_draft_comment(d, (int32_t[]){PATH_FILE_EXTENSION, (int32_t)i}, 2);
    }
    if (!err)
        err = pb_finish_message(d, m, rows, count);
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

enum err pb_define_messages(struct draft *d)
{
    struct path path = {.depth = 0};
    enum err err = define_all(d, &d->proto->message_type, d->file->package, &path, PATH_FILE_MESSAGE);
    return err || !d->pool->options.extension_views ? err : define_views(d);
}
