#include "common/schema/yaml_tree.h"

#include <string.h>
#include <yaml.h>

#include "common/base/status.h"
#include "common/schema/yaml_read.h"

enum { MISTAKEN = 1 };

/* A collection whose end has not been seen. */
struct level {
    struct yaml_node *node;
    struct yaml_item **tail;
    /* In a mapping: read, its value is still to come. */
    const struct yaml_node *key;
};

struct anchor {
    const char *name;
    const struct yaml_node *node;
};

struct builder {
    yaml_parser_t parser;
    const char *file;
    struct arena *arena;
    struct mistakes *mistakes;
    const struct yaml_node *root;
    struct level levels[YAML_READ_MAX_DEPTH];
    size_t n_levels;
    struct anchor anchors[YAML_READ_MAX_ANCHORS];
    size_t n_anchors;
    size_t n_nodes;
};

static struct mistake_place place_of(const struct builder *builder, const yaml_mark_t *mark)
{
    return (struct mistake_place){
        .file = builder->file,
        .line = (uint32_t)mark->line + 1,
        .column = (uint32_t)mark->column + 1,
        .path = "",
    };
}

static int no_memory(void)
{
    return -STATUS_RESOURCE_EXHAUSTED;
}

/* ---- what libyaml refuses ---- */

static const char *hint_for(const struct builder *builder)
{
    const char *problem = builder->parser.problem;
    if (strstr(problem, "tab character") != NULL)
        return "indent with blanks";
    if (strstr(problem, "cannot start any token") != NULL)
        return "indent with blanks, not tabs; a text that begins with @, ` or % needs quotes";
    if (strstr(problem, "expected ',' or") != NULL)
        return "close the bracket";
    if (strstr(problem, "mapping values are not allowed") != NULL)
        return "check the indentation, or put quotes around a text that holds ': '";
    if (strstr(problem, "did not find expected key") != NULL ||
        strstr(problem, "did not find expected '-' indicator") != NULL)
        return "keys of one mapping begin in the same column";
    return "";
}

static int refuse_syntax(struct builder *builder)
{
    const yaml_parser_t *parser = &builder->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return no_memory();
    yaml_mark_t mark = parser->problem_mark;
    /* The reader knows an offset only, and no line. */
    if (parser->error == YAML_READER_ERROR)
        mark = parser->mark;
    struct mistake_place place = place_of(builder, &mark);
    struct mistake *mistake =
        parser->context != NULL
            ? mistakes_add(builder->mistakes, &place,
                  "not valid YAML: %s %s (which begins in line %zu)", parser->problem,
                  parser->context, parser->context_mark.line + 1)
            : mistakes_add(builder->mistakes, &place, "not valid YAML: %s", parser->problem);
    if (hint_for(builder)[0] != '\0')
        mistake_set_hint(builder->mistakes, mistake, "%s", hint_for(builder));
    return MISTAKEN;
}

/* ---- nodes ---- */

static int refuse(
    struct builder *builder, const yaml_mark_t *mark, const char *message, const char *hint)
{
    struct mistake_place place = place_of(builder, mark);
    struct mistake *mistake = mistakes_add(builder->mistakes, &place, "%s", message);
    mistake_set_hint(builder->mistakes, mistake, "%s", hint);
    return MISTAKEN;
}

/* As the next key, value or item of the innermost collection, or as the root. */
static int attach(struct builder *builder, const struct yaml_node *node)
{
    if (builder->n_levels == 0) {
        builder->root = node;
        return 0;
    }
    struct level *level = &builder->levels[builder->n_levels - 1];
    if (level->node->kind == YAML_MAPPING && level->key == NULL) {
        level->key = node;
        return 0;
    }
    struct yaml_item *item = arena_alloc(builder->arena, sizeof(*item));
    if (item == NULL)
        return no_memory();
    *item = (struct yaml_item){.key = level->key, .value = node};
    level->key = NULL;
    *level->tail = item;
    level->tail = &item->next;
    level->node->n_items++;
    return 0;
}

static int remember_anchor(struct builder *builder, const yaml_event_t *event, const char *name,
    const struct yaml_node *node)
{
    if (name == NULL)
        return 0;
    if (builder->n_anchors == YAML_READ_MAX_ANCHORS)
        return refuse(builder, &event->start_mark, "too many anchors", "write the values out");
    const char *copy = arena_strdup(builder->arena, name);
    if (copy == NULL)
        return no_memory();
    builder->anchors[builder->n_anchors++] = (struct anchor){copy, node};
    return 0;
}

/* A new node in its place, remembered under its anchor. Tags would change what a text means: none
 * are read. */
static int add_node(struct builder *builder, const yaml_event_t *event, enum yaml_kind kind,
    const yaml_char_t *anchor, const yaml_char_t *tag, struct yaml_node **out)
{
    if (tag != NULL)
        return refuse(builder, &event->start_mark, "tags ('!') are not read", "remove the tag");
    if (++builder->n_nodes > YAML_READ_MAX_NODES)
        return refuse(builder, &event->start_mark, "too many values", "split the services");
    struct yaml_node *node = arena_alloc(builder->arena, sizeof(*node));
    if (node == NULL)
        return no_memory();
    *node = (struct yaml_node){
        .kind = kind,
        .line = (uint32_t)event->start_mark.line + 1,
        .column = (uint32_t)event->start_mark.column + 1,
    };
    *out = node;
    int result = remember_anchor(builder, event, (const char *)anchor, node);
    return result != 0 ? result : attach(builder, node);
}

static int add_scalar(struct builder *builder, const yaml_event_t *event)
{
    struct yaml_node *node;
    const yaml_char_t *tag = event->data.scalar.tag;
    int result = add_node(builder, event, YAML_SCALAR, event->data.scalar.anchor, tag, &node);
    if (result != 0)
        return result;
    node->text_len = event->data.scalar.length;
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text =
        arena_strndup(builder->arena, (const char *)event->data.scalar.value, node->text_len);
    return node->text != NULL ? 0 : no_memory();
}

static int open_level(struct builder *builder, const yaml_event_t *event, enum yaml_kind kind,
    const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (builder->n_levels == YAML_READ_MAX_DEPTH)
        return refuse(builder, &event->start_mark, "nested too deeply",
            "the configuration needs no more than a few levels");
    struct yaml_node *node;
    int result = add_node(builder, event, kind, anchor, tag, &node);
    if (result == 0)
        builder->levels[builder->n_levels++] = (struct level){node, &node->first, NULL};
    return result;
}

static bool is_open(const struct builder *builder, const struct yaml_node *node)
{
    for (size_t i = 0; i < builder->n_levels; i++) {
        if (builder->levels[i].node == node)
            return true;
    }
    return false;
}

/* The latest anchor of that name counts, as YAML has it. */
static int add_alias(struct builder *builder, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    for (size_t i = builder->n_anchors; i-- > 0;) {
        if (strcmp(builder->anchors[i].name, name) != 0)
            continue;
        if (is_open(builder, builder->anchors[i].node))
            return refuse(
                builder, &event->start_mark, "the alias leads into itself", "write the value out");
        return attach(builder, builder->anchors[i].node);
    }
    return refuse(builder, &event->start_mark, "no anchor of that name stands above the alias",
        "a text that begins with '*' needs quotes");
}

/* ---- events ---- */

static int take_event(struct builder *builder, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return add_scalar(builder, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_level(builder, event, YAML_SEQUENCE, event->data.sequence_start.anchor,
            event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return open_level(builder, event, YAML_MAPPING, event->data.mapping_start.anchor,
            event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        builder->n_levels--;
        return 0;
    case YAML_ALIAS_EVENT:
        return add_alias(builder, event);
    case YAML_DOCUMENT_START_EVENT:
        if (builder->root != NULL)
            return refuse(builder, &event->start_mark, "a second document begins here",
                "keep one document to a file");
        return 0;
    case YAML_DOCUMENT_END_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_NO_EVENT:
        break;
    }
    return 0;
}

static int take_all(struct builder *builder)
{
    bool is_at_end = false;
    int result = 0;
    while (result == 0 && !is_at_end) {
        yaml_event_t event;
        if (!yaml_parser_parse(&builder->parser, &event))
            return refuse_syntax(builder);
        result = take_event(builder, &event);
        is_at_end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    return result;
}

bool yaml_node_is_empty(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && node->is_plain && node->text_len == 0;
}

int yaml_tree_read(const char *text, size_t text_len, const char *file, struct arena *arena,
    const struct yaml_node **out, struct mistakes *mistakes)
{
    struct builder builder = {.file = file, .arena = arena, .mistakes = mistakes};
    if (!yaml_parser_initialize(&builder.parser))
        return no_memory();
    yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, text_len);
    int result = take_all(&builder);
    yaml_parser_delete(&builder.parser);
    *out = builder.root;
    return result;
}
