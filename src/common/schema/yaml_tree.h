/* One YAML document as a tree with positions. Internal to this room:
 * the shell around libyaml, which bounds depth, nodes and anchors
 * while the events come and stops at the first that goes too far. */
#ifndef FLOCKS_SCHEMA_YAML_TREE_H
#define FLOCKS_SCHEMA_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/schema/mistake.h"

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1 */
    /* Scalars: text_len bytes, a NUL behind them. */
    const char *text;
    size_t text_len;
    bool is_plain; /* without quotes */
    /* Sequences and mappings: the first of their items. */
    struct yaml_item *first;
    size_t n_items;
};

/* A node may be the value of several items, through aliases. */
struct yaml_item {
    const struct yaml_node *key; /* NULL in a sequence */
    const struct yaml_node *value;
    struct yaml_item *next;
};

/* "key:" with nothing behind it, or an empty document. */
bool yaml_node_is_empty(const struct yaml_node *node);

/* 0 with *out (NULL: the text holds no document); 1: one mistake was added, the text cannot be
 * understood; -STATUS_RESOURCE_EXHAUSTED: arena. */
NODISCARD int yaml_tree_read(const char *text, size_t text_len, const char *file,
    struct arena *arena, const struct yaml_node **out, struct mistakes *mistakes);

#endif
