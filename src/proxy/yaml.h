/* YAML text as a tree that remembers where everything stood. Knows nothing of messages (config_read.h does).
 *
 * One document. Anchors and aliases are resolved: an alias is one more reference to the anchored node, so text that expands
 * without end costs nothing here; whoever walks the tree counts what it visits (LIMIT_CONFIG_NODES). An alias inside of its
 * own anchor is refused, the tree has no cycles. Depth, size, nodes and anchors are limited.
 *
 * Everything lives in the arena; text is copied into it. Thread: any. Source: YAML 1.1 as libyaml reads it. */
#ifndef PRISM_PROXY_YAML_H
#define PRISM_PROXY_YAML_H

#include "base/arena.h"
#include "base/err.h"

enum yaml_kind { YAML_NULL, YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    uint32_t line; /* from 1 */
    uint32_t column;
    struct slice text;       /* YAML_SCALAR; a NUL follows */
    struct yaml_item *items; /* YAML_LIST, YAML_MAP: in order */
    uint32_t count;
};

struct yaml_item {
    const struct yaml_node *key; /* YAML_MAP: a scalar; YAML_LIST: NULL */
    const struct yaml_node *value;
    struct yaml_item *next;
};

/* Where and why a text was refused. */
struct yaml_error {
    uint32_t line;
    uint32_t column;
    const char *message; /* in the arena, or static */
};

/* *ret_root is NULL for an empty document. ERR_CONFIG_INVALID with *error filled in, ERR_NOMEM. */
enum err yaml_parse(struct slice text, struct arena *, struct yaml_error *error, const struct yaml_node **ret_root)
    __attribute__((warn_unused_result));
/* "text", "list", "map", "nothing": for messages. */
const char *yaml_kind_name(enum yaml_kind);

#endif
