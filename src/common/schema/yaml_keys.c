#include "common/schema/yaml_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/schema/nearest.h"

/* By text, then by place. */
static int compare_keys(const void *a, const void *b)
{
    const struct yaml_node *const *left = a;
    const struct yaml_node *const *right = b;
    int order = strcmp((*left)->text, (*right)->text);
    if (order != 0)
        return order;
    if ((*left)->line != (*right)->line)
        return (*left)->line > (*right)->line ? 1 : -1;
    return (*left)->column > (*right)->column ? 1 : -1;
}

/* Sorting finds equal keys in a map of any size. */
void yaml_keys_refuse_duplicates(struct yaml_reader *reader, const struct yaml_node *node)
{
    const struct yaml_node **keys =
        arena_calloc(reader->arena, node->n_items, sizeof(struct yaml_node *));
    if (keys == NULL) {
        yaml_reader_no_memory(reader);
        return;
    }
    size_t n = 0;
    for (const struct yaml_item *item = node->first; item != NULL; item = item->next) {
        if (item->key->kind == YAML_SCALAR)
            keys[n++] = item->key;
    }
    qsort(keys, n, sizeof(struct yaml_node *), compare_keys);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(keys[i - 1]->text, keys[i]->text) != 0)
            continue;
        size_t before = schema_path_push(&reader->path, keys[i]->text, keys[i]->text_len);
        struct mistake_place place = yaml_reader_place(reader, keys[i]);
        (void)mistakes_add(
            reader->mistakes, &place, "is given twice; first in line %u", keys[i - 1]->line);
        schema_path_pop(&reader->path, before);
    }
}

void yaml_keys_refuse_collection(struct yaml_reader *reader, const struct yaml_node *key)
{
    struct mistake_place place = yaml_reader_place(reader, key);
    struct mistake *mistake = mistakes_add(reader->mistakes, &place, "a key must be a single text");
    mistake_set_hint(reader->mistakes, mistake, "a text that begins with [ or { needs quotes");
}

/* "host, port, command": as many names as `size` has room for. */
static void list_names(const struct crpc_message_info *info, char *out, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < info->n_fields; i++) {
        if (len + strlen(info->fields[i].name) + sizeof(", ") > size)
            break;
        len += (size_t)snprintf(
            out + len, size - len, "%s%s", i > 0 ? ", " : "", info->fields[i].name);
    }
}

void yaml_keys_refuse_unknown(
    struct yaml_reader *reader, const struct crpc_message_info *info, const struct yaml_node *key)
{
    struct mistake_place place = yaml_reader_place(reader, key);
    struct mistake *mistake = mistakes_add(reader->mistakes, &place, "unknown key");
    struct nearest nearest;
    nearest_init(&nearest, key->text, key->text_len);
    for (size_t i = 0; i < info->n_fields; i++)
        nearest_offer(&nearest, info->fields[i].name);
    if (nearest_result(&nearest) != NULL) {
        mistake_set_hint(reader->mistakes, mistake, "did you mean %s?", nearest_result(&nearest));
        return;
    }
    char names[MISTAKE_TEXT_MAX / 2];
    list_names(info, names, sizeof(names));
    mistake_set_hint(reader->mistakes, mistake, "keys here: %s", names);
}

bool yaml_keys_is_second(struct yaml_reader *reader, const struct crpc_message_info *info,
    const struct schema_field *field, const struct yaml_node *key, uint32_t *lines)
{
    uint32_t *field_line = &lines[field->info - info->fields];
    uint32_t *oneof_line =
        field->info->oneof >= 0 ? &lines[info->n_fields + (size_t)field->info->oneof] : field_line;
    struct mistake_place place = yaml_reader_place(reader, key);
    if (*field_line != 0) {
        (void)mistakes_add(
            reader->mistakes, &place, "is given twice; first in line %u", *field_line);
        return true;
    }
    if (*oneof_line != 0) {
        struct mistake *mistake =
            mistakes_add(reader->mistakes, &place, "another choice of %s was given in line %u",
                info->oneof_names[field->info->oneof], *oneof_line);
        mistake_set_hint(reader->mistakes, mistake, "keep one of them");
        return true;
    }
    *field_line = key->line;
    *oneof_line = key->line;
    return false;
}

void yaml_keys_refuse_missing(
    struct yaml_reader *reader, const struct crpc_field_info *field, const struct yaml_node *node)
{
    size_t before = schema_path_push(&reader->path, field->name, strlen(field->name));
    struct mistake_place place = yaml_reader_place(reader, node);
    (void)mistakes_add(reader->mistakes, &place, "is missing");
    schema_path_pop(&reader->path, before);
}
