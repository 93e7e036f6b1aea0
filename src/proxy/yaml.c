/* From libyaml's events to a tree: one function a kind of node, each reading the events up to the node's end. */
#include "proxy/yaml.h"

#include <yaml.h>

#include "base/limits.h"

struct anchor {
    const char *name;
    const struct yaml_node *node;
    struct anchor *next;
};

struct reader {
    yaml_parser_t parser;
    struct arena *arena;
    struct yaml_error *error;
    struct anchor *anchors; /* newest first: a name may be used again */
    uint32_t anchor_count;
    uint32_t node_count;
    uint32_t depth;
};

const char *yaml_kind_name(enum yaml_kind kind)
{
    static const char *const names[] = {"nothing", "text", "list", "map"};
    return names[kind];
}

static enum err refuse(struct reader *r, yaml_mark_t at, const char *message)
{
    *r->error =
        (struct yaml_error){.line = (uint32_t)at.line + 1, .column = (uint32_t)at.column + 1, .message = message};
    return ERR_CONFIG_INVALID;
}

static enum err next_event(struct reader *r, yaml_event_t *ret_event)
{
    if (yaml_parser_parse(&r->parser, ret_event))
        return OK;
    if (r->parser.error == YAML_MEMORY_ERROR)
        return ERR_NOMEM;
    const char *problem = r->parser.problem ? r->parser.problem : "not valid YAML";
    const char *text = r->parser.context ? arena_printf(r->arena, "%s %s", problem, r->parser.context)
                                         : arena_strdup(r->arena, problem);
    return refuse(r, r->parser.problem_mark, text ? text : "not valid YAML");
}

static enum err new_node(struct reader *r, const yaml_event_t *event, enum yaml_kind kind, struct yaml_node **ret_node)
{
    if (++r->node_count > LIMIT_CONFIG_NODES)
        return refuse(r, event->start_mark, "the file has more values than a configuration may have");
    struct yaml_node *node = arena_new(r->arena, struct yaml_node);
    if (!node)
        return ERR_NOMEM;
    node->kind = kind;
    node->line = (uint32_t)event->start_mark.line + 1;
    node->column = (uint32_t)event->start_mark.column + 1;
    *ret_node = node;
    return OK;
}

static const struct yaml_node *find_anchor(const struct reader *r, const char *name)
{
    for (const struct anchor *a = r->anchors; a; a = a->next)
        if (strcmp(a->name, name) == 0)
            return a->node;
    return NULL;
}

/* Called when the node is complete: an alias inside of it does not find it. */
static enum err keep_anchor(struct reader *r, const char *name, yaml_mark_t at, const struct yaml_node *node)
{
    if (!name)
        return OK;
    if (++r->anchor_count > LIMIT_YAML_ANCHORS)
        return refuse(r, at, "the file has more anchors than a configuration may have");
    struct anchor *a = arena_new(r->arena, struct anchor);
    char *copy = arena_strdup(r->arena, name);
    if (!a || !copy)
        return ERR_NOMEM;
    *a = (struct anchor){copy, node, r->anchors};
    r->anchors = a;
    return OK;
}

static bool is_null(const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static enum err read_scalar(struct reader *r, const yaml_event_t *event, const struct yaml_node **ret_node)
{
    struct yaml_node *node;
    enum err e = new_node(r, event, is_null(event) ? YAML_NULL : YAML_SCALAR, &node);
    if (e)
        return e;
    if (!arena_copy(r->arena, slice_of(event->data.scalar.value, event->data.scalar.length), &node->text))
        return ERR_NOMEM;
    *ret_node = node;
    return keep_anchor(r, (const char *)event->data.scalar.anchor, event->start_mark, node);
}

static enum err read_alias(struct reader *r, const yaml_event_t *event, const struct yaml_node **ret_node)
{
    const char *name = (const char *)event->data.alias.anchor;
    const struct yaml_node *node = find_anchor(r, name);
    if (!node) {
        const char *text = arena_printf(r->arena, "the alias *%s stands before its anchor &%s has ended", name, name);
        return refuse(r, event->start_mark, text ? text : "an alias without an anchor");
    }
    *ret_node = node;
    return OK;
}

static enum err read_node(struct reader *, const yaml_event_t *, const struct yaml_node **ret_node);

/* Reads one more node; *ret_node is NULL where the list or map ends instead. */
static enum err read_next(struct reader *r, yaml_event_type_t end, const struct yaml_node **ret_node)
{
    yaml_event_t event;
    enum err e = next_event(r, &event);
    if (e)
        return e;
    if (event.type == end)
        *ret_node = NULL;
    else
        e = read_node(r, &event, ret_node);
    yaml_event_delete(&event);
    return e;
}

static enum err read_key(struct reader *r, const struct yaml_node **ret_key)
{
    enum err e = read_next(r, YAML_MAPPING_END_EVENT, ret_key);
    const struct yaml_node *key = *ret_key;
    if (e || !key || key->kind == YAML_SCALAR)
        return e;
    return refuse(r, (yaml_mark_t){.line = key->line - 1, .column = key->column - 1}, "a key must be text");
}

static enum err read_item(struct reader *r, enum yaml_kind kind, struct yaml_item *item, bool *ret_end)
{
    bool is_map = kind == YAML_MAP;
    const struct yaml_node **first = is_map ? &item->key : &item->value;
    enum err e = is_map ? read_key(r, first) : read_next(r, YAML_SEQUENCE_END_EVENT, first);
    *ret_end = !e && !*first;
    if (e || *ret_end || !is_map)
        return e;
    return read_next(r, YAML_NO_EVENT, &item->value);
}

static enum err read_items(struct reader *r, struct yaml_node *node)
{
    struct yaml_item **tail = &node->items;
    for (;;) {
        struct yaml_item item = {0};
        bool end;
        enum err e = read_item(r, node->kind, &item, &end);
        if (e || end)
            return e;
        if (!(*tail = arena_new(r->arena, struct yaml_item)))
            return ERR_NOMEM;
        **tail = item;
        tail = &(*tail)->next;
        node->count++;
    }
}

static enum err read_collection(struct reader *r, const yaml_event_t *event, enum yaml_kind kind, const char *anchor,
                                const struct yaml_node **ret_node)
{
    if (r->depth >= LIMIT_YAML_DEPTH)
        return refuse(r, event->start_mark, "nested deeper than a configuration may be");
    struct yaml_node *node;
    enum err e = new_node(r, event, kind, &node);
    if (e)
        return e;
    r->depth++;
    e = read_items(r, node);
    r->depth--;
    *ret_node = node;
    return e ? e : keep_anchor(r, anchor, event->start_mark, node);
}

static enum err read_node(struct reader *r, const yaml_event_t *event, const struct yaml_node **ret_node)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(r, event, ret_node);
    case YAML_ALIAS_EVENT:
        return read_alias(r, event, ret_node);
    case YAML_SEQUENCE_START_EVENT:
        return read_collection(r, event, YAML_LIST, (const char *)event->data.sequence_start.anchor, ret_node);
    case YAML_MAPPING_START_EVENT:
        return read_collection(r, event, YAML_MAP, (const char *)event->data.mapping_start.anchor, ret_node);
    default:
        return refuse(r, event->start_mark, "not valid YAML");
    }
}

/* Stream start, document start or stream end: whether one of these comes next. */
static enum err expect(struct reader *r, yaml_event_type_t type, bool *ret_is)
{
    yaml_event_t event;
    enum err e = next_event(r, &event);
    if (e)
        return e;
    *ret_is = event.type == type;
    yaml_event_delete(&event);
    return OK;
}

static enum err read_document(struct reader *r, const struct yaml_node **ret_root)
{
    bool is;
    enum err e = expect(r, YAML_STREAM_START_EVENT, &is);
    if (!e)
        e = expect(r, YAML_DOCUMENT_START_EVENT, &is);
    if (e)
        return e;
    *ret_root = NULL;
    if (!is)
        return OK;
    e = read_next(r, YAML_NO_EVENT, ret_root);
    if (!e)
        e = expect(r, YAML_DOCUMENT_END_EVENT, &is);
    if (!e)
        e = expect(r, YAML_STREAM_END_EVENT, &is);
    if (!e && !is)
        return refuse(r, r->parser.mark, "more than one document; a configuration is one");
    return e;
}

enum err yaml_parse(struct slice text, struct arena *arena, struct yaml_error *error, const struct yaml_node **ret_root)
{
    struct reader r = {.arena = arena, .error = error};
    if (text.size > LIMIT_YAML_BYTES)
        return refuse(&r, (yaml_mark_t){0}, "the file is larger than a configuration may be");
    if (!yaml_parser_initialize(&r.parser))
        return ERR_NOMEM;
    yaml_parser_set_input_string(&r.parser, text.data ? text.data : (const unsigned char *)"", text.size);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    const struct yaml_node *root;
    enum err e = read_document(&r, &root);
    yaml_parser_delete(&r.parser);
    if (!e)
        *ret_root = root;
    return e;
}
