/* From descriptors to rows: one field. */
#include "pb/bootstrap/options.pb.h"
#include "pb/pool.h"
#include "pb/wire.h"

enum { FIELD_NUMBER_MAX = 536870911, LABEL_REPEATED = 3 };

static enum err field_rules(struct draft *d, const struct google_protobuf_field_descriptor_proto *proto,
                            struct pb_field *f)
{
    if (!proto->options || proto->options->unknown.size == 0)
        return OK;
    const struct prism_field_options *o;
    enum err err = pb_draft_options(d, &prism_field_options_pb, proto->options, &o);
    if (err)
        return err;
    struct pb_field_rules *rules = arena_new(&d->pool->arena, struct pb_field_rules);
    if (!rules)
        return ERR_NOMEM;
    *rules = (struct pb_field_rules){
        .max_length = o->max_length, .pii = (uint8_t)o->pii, .required = o->required, .mask_in_logs = o->mask_in_logs};
    f->rules = rules;
    return o->validation.size ? pb_draft_text(d, o->validation, &rules->validation) : OK;
}

static enum err field_type(struct draft *d, const struct google_protobuf_field_descriptor_proto *proto,
                           struct pb_field *f)
{
    if (proto->type < PB_DOUBLE || proto->type > PB_SINT64)
        return pb_draft_invalid(d, "field %s has no type %d", f->name, proto->type);
    f->type = (uint8_t)proto->type;
    if (f->type == PB_MESSAGE && !(f->message = pb_pool_resolve(d->pool, SYMBOL_MESSAGE, proto->type_name)))
        return pb_draft_invalid(d, "field %s: no message %.*s", f->name, SLICE_ARG(proto->type_name));
    if (f->type == PB_ENUM && !(f->enumeration = pb_pool_resolve(d->pool, SYMBOL_ENUM, proto->type_name)))
        return pb_draft_invalid(d, "field %s: no enum %.*s", f->name, SLICE_ARG(proto->type_name));
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
            return pb_draft_invalid(d, "field %s is in a oneof that does not exist", f->name);
        const struct google_protobuf_oneof_descriptor_proto *oneof = PB_AT(m->oneof_decl, void *, proto->oneof_index);
        f->card = PB_ONEOF;
        enum err err = pb_draft_name(d, "", oneof->name, &f->oneof);
        if (err)
            return err;
    } else if (f->type != PB_MESSAGE &&
               (proto->proto3_optional || (!d->proto3 && !(m && m->options && m->options->map_entry)))) {
        f->card = PB_OPTIONAL;
    }
    f->packed = is_packed(d, proto, f);
    return OK;
}

/* deleted_at → deletedAt, where the descriptor gives no JSON name. */
static enum err make_json_name(struct draft *d, struct pb_field *f)
{
    char *out = arena_strdup(&d->pool->arena, f->name), *to = out;
    bool upper = false;
    if (!out)
        return ERR_NOMEM;
    for (const char *from = f->name; *from; from++) {
        if (*from != '_')
            *to++ = upper && *from >= 'a' && *from <= 'z' ? (char)(*from - 'a' + 'A') : *from;
        upper = *from == '_';
    }
    *to = 0;
    f->json_name = out;
    return OK;
}

enum err pb_define_field(struct draft *d, const struct google_protobuf_descriptor_proto *m,
                         const struct google_protobuf_field_descriptor_proto *proto, struct pb_field *f)
{
    enum err err = pb_draft_name(d, "", proto->name, &f->name);
    if (err)
        return err;
    if (proto->number < 1 || proto->number > FIELD_NUMBER_MAX)
        return pb_draft_invalid(d, "field %s has the number %d", f->name, proto->number);
    f->number = (uint32_t)proto->number;
    err = proto->json_name.size ? pb_draft_text(d, proto->json_name, &f->json_name) : make_json_name(d, f);
    if (!err)
        err = field_type(d, proto, f);
    if (!err)
        err = field_card(d, m, proto, f);
    return err ? err : field_rules(d, proto, f);
}
