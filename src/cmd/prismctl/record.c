/* Records: a key with its value as one line of ProtoJSON. Text stands as text, all else as base64, so that both directions are
 * exact to the byte. */
#include "base/utf8.h"
#include "cli.h"
#include "prism/cli/v1/record.pb.h"
#include "prism/keyvalue/v1/keyvalue_scan.pb.h"

static bool copy_tags(struct arena *arena, const struct pb_array *from, struct pb_array *to)
{
    for (uint32_t i = 0; i < from->count; i++) {
        const struct keyvalue_key_value_item_tags_entry *tag =
            PB_AT(*from, struct keyvalue_key_value_item_tags_entry *, i);
        struct cli_record_tags_entry *copy = arena_new(arena, struct cli_record_tags_entry);
        struct cli_record_tags_entry **place = copy ? pb_array_add(to, sizeof copy, arena) : NULL;
        if (!place)
            return false;
        copy->key = tag->key;
        copy->value = tag->value;
        *place = copy;
    }
    return true;
}

struct cli_record *record_of_item(struct arena *arena, const struct keyvalue_key_value_item *item)
{
    struct cli_record *record = arena_new(arena, struct cli_record);
    if (!record || !copy_tags(arena, &item->tags, &record->tags))
        return NULL;
    record->has_key = utf8_valid(item->key);
    record->has_key_base64 = !record->has_key;
    record->key = record->has_key ? item->key : SLICE_EMPTY;
    record->key_base64 = record->has_key ? SLICE_EMPTY : item->key;
    record->has_value = utf8_valid(item->value);
    record->has_value_base64 = !record->has_value;
    record->value = record->has_value ? item->value : SLICE_EMPTY;
    record->value_base64 = record->has_value ? SLICE_EMPTY : item->value;
    record->expires_at = item->expires_at;
    record->version = item->version;
    return record;
}

enum err record_write(const struct cli_record *record, struct buf *out)
{
    struct pb_json_options options = {.proto_names = true};
    enum err e = pb_json_write(&cli_record_pb, record, &options, out);
    buf_putc(out, '\n');
    return e ? e : buf_err(out);
}
