/* Maps, lists and messages. Scalars are in config_scalar.c. */
#include "proxy/config_read.h"

#include <stdio.h>

#include "base/limits.h"
#include "proxy/nearest.h"

static struct config_place place_of(const struct yaml_node *node)
{
    return (struct config_place){node->line, node->column};
}

/* What was written, for messages. */
static struct slice shown_text(const struct yaml_node *node, const struct pb_field *field)
{
    bool secret = field && field->rules && field->rules->mask_in_logs;
    return node->kind == YAML_SCALAR && !secret ? node->text : SLICE_EMPTY;
}

/* Puts a step behind the path and returns the length to go back to. A path that does not fit stays as it is. */
static size_t path_push(struct config_reader *r, const char *format, struct slice name)
{
    size_t length = strlen(r->path);
    size_t room = sizeof r->path - length;
    char step[CONFIG_PATH_BYTES];
    int n = snprintf(step, sizeof step, format, (int)(name.size < 64 ? name.size : 64), (const char *)name.data);
    if (n > 0 && (size_t)n < room)
        memcpy(r->path + length, step, (size_t)n + 1);
    return length;
}

static size_t path_push_field(struct config_reader *r, const char *name)
{
    return path_push(r, *r->path ? ".%.*s" : "%.*s", slice_str(name));
}

static size_t path_push_index(struct config_reader *r, uint32_t index)
{
    char digits[12];
    snprintf(digits, sizeof digits, "%u", index);
    return path_push(r, "[%.*s]", slice_str(digits));
}

static void path_pop(struct config_reader *r, size_t length)
{
    r->path[length] = '\0';
}

void config_refuse_kind(struct config_reader *r, const struct yaml_node *node, const char *wanted)
{
    if (node->kind == YAML_NULL)
        config_report_add(r->report, place_of(node), r->path, "is empty; write a %s here", wanted);
    else
        config_report_add(r->report, place_of(node), r->path, "is a %s; write a %s here", yaml_kind_name(node->kind),
                          wanted);
}

/* Counts a value. false: the text expands beyond what a configuration may be, through its aliases. */
static bool count(struct config_reader *r, const struct yaml_node *node)
{
    if (r->exhausted)
        return false;
    if (++r->visited <= LIMIT_CONFIG_NODES && r->depth <= LIMIT_YAML_DEPTH)
        return true;
    r->exhausted = true;
    config_report_add(r->report, place_of(node), r->path,
                      "the configuration expands to more than %d values or %d levels; use fewer aliases",
                      LIMIT_CONFIG_NODES, LIMIT_YAML_DEPTH);
    return false;
}

static void list_fields(const struct pb_message *table, struct buf *out)
{
    for (uint32_t i = 0; i < table->field_count; i++)
        buf_printf(out, "%s%s", i ? ", " : "", table->fields[i].name);
}

static void unknown_key(struct config_reader *r, const struct yaml_node *key, const struct pb_message *table)
{
    struct nearest near = {.word = key->text};
    for (uint32_t i = 0; i < table->field_count; i++)
        nearest_offer(&near, slice_str(table->fields[i].name));
    int shown = (int)(key->text.size < 64 ? key->text.size : 64);
    if (near.best.data) {
        config_report_add(r->report, place_of(key), r->path, "unknown key `%.*s`: did you mean `%.*s`?", shown,
                          (const char *)key->text.data, SLICE_ARG(near.best));
        return;
    }
    struct buf names;
    buf_init(&names, CONFIG_PATH_BYTES * 8);
    list_fields(table, &names);
    config_report_add(r->report, place_of(key), r->path, "unknown key `%.*s`; there are: %.*s", shown,
                      (const char *)key->text.data, (int)names.size, (const char *)names.data);
    buf_fini(&names);
}

/* By its proto name alone: a configuration is written in one way. */
static const struct pb_field *field_named(const struct pb_message *table, struct slice name)
{
    for (uint32_t i = 0; i < table->field_count; i++)
        if (slice_eq(slice_str(table->fields[i].name), name))
            return &table->fields[i];
    return NULL;
}

static const struct yaml_node *earlier_key(const struct yaml_node *map, const struct yaml_item *item)
{
    for (const struct yaml_item *i = map->items; i != item; i = i->next)
        if (slice_eq(i->key->text, item->key->text))
            return i->key;
    return NULL;
}

static bool is_repeated_key(struct config_reader *r, const struct yaml_node *map, const struct yaml_item *item)
{
    const struct yaml_node *earlier = earlier_key(map, item);
    if (earlier)
        config_report_add(r->report, place_of(item->key), r->path,
                          "the key `%.*s` is here twice, first in line %u; keep one",
                          (int)(item->key->text.size < 64 ? item->key->text.size : 64),
                          (const char *)item->key->text.data, earlier->line);
    return earlier;
}

static void read_fields(struct config_reader *, const struct yaml_node *, const struct pb_message *, void *message);

/* A message behind a pointer: made, then filled. */
static void read_message(struct config_reader *r, const struct yaml_node *node, const struct pb_message *table,
                         void **ret)
{
    if (node->kind != YAML_MAP) {
        config_refuse_kind(r, node, "map of fields");
        return;
    }
    *ret = pb_new(table, r->arena);
    if (*ret)
        read_fields(r, node, table, *ret);
    else
        r->report->out_of_memory = true;
}

static void read_value(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field, void *out)
{
    if (field->type == PB_MESSAGE && field->message->well_known != PB_DURATION)
        read_message(r, node, field->message, out);
    else
        config_read_scalar(r, node, field, out);
}

static void *add_item(struct config_reader *r, void *array, size_t size)
{
    void *item = pb_array_add(array, size, r->arena);
    if (!item)
        r->report->out_of_memory = true;
    return item;
}

static bool is_pointer(const struct pb_field *field)
{
    return field->type == PB_MESSAGE;
}

/* Lists of messages have no holes, whatever was refused. */
static void read_item(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field, void *item)
{
    read_value(r, node, field, item);
    void **message = is_pointer(field) ? item : NULL;
    if (message && !*message && !(*message = pb_new(field->message, r->arena)))
        r->report->out_of_memory = true;
}

static void read_list(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field, void *array)
{
    if (node->kind != YAML_LIST) {
        config_refuse_kind(r, node, "list, like [a, b] or lines that begin with -");
        return;
    }
    uint32_t index = 0;
    for (const struct yaml_item *i = node->items; i && !r->exhausted; i = i->next, index++) {
        size_t back = path_push_index(r, index);
        config_report_mark(r->report, r->path, place_of(i->value), shown_text(i->value, field));
        void *item = add_item(r, array, pb_item_size(field));
        if (item && count(r, i->value))
            read_item(r, i->value, field, item);
        path_pop(r, back);
    }
}

static void read_entry(struct config_reader *r, const struct yaml_item *item, const struct pb_field *field, void *array)
{
    const struct pb_message *entry_table = field->message;
    const struct pb_field *key = pb_field_by_number(entry_table, 1), *value = pb_field_by_number(entry_table, 2);
    void **slot = add_item(r, array, sizeof(void *));
    void *entry = slot ? pb_new(entry_table, r->arena) : NULL;
    if (!entry) {
        r->report->out_of_memory = true;
        return;
    }
    *slot = entry;
    config_read_scalar(r, item->key, key, (char *)entry + key->offset);
    if (item->value->kind != YAML_NULL && count(r, item->value))
        read_value(r, item->value, value, (char *)entry + value->offset);
}

static void read_map(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field, void *array)
{
    if (node->kind != YAML_MAP) {
        config_refuse_kind(r, node, "map of names to values");
        return;
    }
    if (node->count > LIMIT_CONFIG_MAP_ENTRIES) {
        config_report_add(r->report, place_of(node), r->path, "has %u entries; at most %d", node->count,
                          LIMIT_CONFIG_MAP_ENTRIES);
        return;
    }
    const struct pb_array *entries = array;
    char map_path[CONFIG_PATH_BYTES];
    memcpy(map_path, r->path, sizeof map_path);
    for (const struct yaml_item *i = node->items; i && !r->exhausted; i = i->next) {
        if (is_repeated_key(r, node, i))
            continue;
        size_t back = path_push(r, "[%.*s]", i->key->text);
        config_report_alias(r->report, map_path, entries->count, r->path);
        config_report_mark(r->report, r->path, place_of(i->key), SLICE_EMPTY);
        read_entry(r, i, field, array);
        path_pop(r, back);
    }
}

static void read_field(struct config_reader *r, const struct yaml_node *node, const struct pb_field *field,
                       void *message)
{
    char *at = (char *)message + field->offset;
    if (node->kind == YAML_NULL)
        return;
    if (field->card == PB_OPTIONAL && field->type != PB_MESSAGE)
        *((bool *)((char *)message + field->presence)) = true;
    if (field->card == PB_ONEOF)
        *(uint32_t *)((char *)message + field->presence) = field->number;
    if (field->card == PB_MAP)
        read_map(r, node, field, at);
    else if (field->card == PB_REPEATED)
        read_list(r, node, field, at);
    else
        read_value(r, node, field, at);
}

static void read_pair(struct config_reader *r, const struct yaml_node *map, const struct yaml_item *item,
                      const struct pb_message *table, void *message)
{
    const struct pb_field *field = field_named(table, item->key->text);
    if (!field) {
        unknown_key(r, item->key, table);
        return;
    }
    if (is_repeated_key(r, map, item))
        return;
    size_t back = path_push_field(r, field->name);
    config_report_mark(r->report, r->path, place_of(item->value->kind == YAML_NULL ? item->key : item->value),
                       shown_text(item->value, field));
    if (count(r, item->value))
        read_field(r, item->value, field, message);
    path_pop(r, back);
}

static void read_fields(struct config_reader *r, const struct yaml_node *node, const struct pb_message *table,
                        void *message)
{
    r->depth++;
    uint32_t seen = 0;
    for (const struct yaml_item *i = node->items; i && !r->exhausted && seen < LIMIT_CONFIG_MAP_ENTRIES;
         i = i->next, seen++)
        read_pair(r, node, i, table, message);
    r->depth--;
}

void config_read(struct config_reader *r, const struct yaml_node *root, const struct pb_message *table, void *message)
{
    if (!root || root->kind == YAML_NULL)
        return;
    config_report_mark(r->report, "", place_of(root), SLICE_EMPTY);
    if (root->kind != YAML_MAP)
        config_refuse_kind(r, root, "map of fields, like `namespaces:`");
    else
        read_fields(r, root, table, message);
}
