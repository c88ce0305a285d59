#include "common/schema/yaml_reader.h"

#include "common/base/status.h"

/* An origin on its way into the array. */
struct yaml_origin_link {
    struct yaml_origin origin;
    struct yaml_origin_link *next;
};

void yaml_reader_no_memory(struct yaml_reader *reader)
{
    reader->fatal = -STATUS_RESOURCE_EXHAUSTED;
}

struct mistake_place yaml_reader_place(
    const struct yaml_reader *reader, const struct yaml_node *node)
{
    return (struct mistake_place){reader->file, node->line, node->column, reader->path.text};
}

void yaml_reader_refuse_kind(
    struct yaml_reader *reader, const struct yaml_node *node, const char *wanted, const char *hint)
{
    struct mistake_place place = yaml_reader_place(reader, node);
    const char *instead = node->kind == YAML_SEQUENCE  ? "a list"
                          : node->kind == YAML_MAPPING ? "a mapping"
                          : yaml_node_is_empty(node)   ? "empty"
                                                       : "a single value";
    struct mistake *mistake =
        mistakes_add(reader->mistakes, &place, "must be %s, not %s", wanted, instead);
    mistake_set_hint(reader->mistakes, mistake, "%s", hint);
}

void yaml_reader_add_origin(struct yaml_reader *reader, const struct yaml_node *node, bool is_place)
{
    struct yaml_origin_link *link = arena_alloc(reader->arena, sizeof(*link));
    const char *path = arena_strdup(reader->arena, reader->path.text);
    if (link == NULL || path == NULL) {
        yaml_reader_no_memory(reader);
        return;
    }
    link->origin = (struct yaml_origin){path, node->line, node->column, is_place};
    link->next = NULL;
    *reader->origins_tail = link;
    reader->origins_tail = &link->next;
    reader->n_origins++;
}

bool yaml_reader_visit(struct yaml_reader *reader, const struct yaml_node *node)
{
    if (++reader->n_visits <= YAML_READ_MAX_NODES)
        return reader->fatal == 0;
    if (reader->n_visits == YAML_READ_MAX_NODES + 1) {
        struct mistake_place place = yaml_reader_place(reader, node);
        struct mistake *mistake =
            mistakes_add(reader->mistakes, &place, "aliases repeat too many values");
        mistake_set_hint(reader->mistakes, mistake, "write the values out");
    }
    return false;
}

int yaml_reader_origins(struct yaml_reader *reader, struct yaml_origins *out)
{
    out->n = 0;
    out->items = arena_calloc(reader->arena, reader->n_origins, sizeof(*out->items));
    if (out->items == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    for (const struct yaml_origin_link *link = reader->first_origin; link != NULL;
         link = link->next)
        out->items[out->n++] = link->origin;
    return 0;
}
