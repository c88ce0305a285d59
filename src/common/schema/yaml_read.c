#include "common/schema/yaml_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/status.h"
#include "common/schema/nearest.h"
#include "common/schema/schema_path.h"
#include "common/schema/schema_value.h"
#include "common/schema/yaml_tree.h"

/* An origin on its way into the array. */
struct origin_link {
    struct yaml_origin origin;
    struct origin_link *next;
};

struct reader {
    const char *file;
    struct arena *arena;
    struct mistakes *mistakes;
    struct schema_path path;
    struct origin_link *first_origin;
    struct origin_link **origins_tail;
    size_t n_origins;
    size_t n_visits;
    /* Not 0: stop everything; the arena is empty or the text too large. */
    int fatal;
};

static void read_message(struct reader *reader, const struct crpc_message_info *info,
    const struct yaml_node *node, ProtobufCMessage *message);

static void no_memory(struct reader *reader)
{
    reader->fatal = -STATUS_RESOURCE_EXHAUSTED;
}

/* ---- mistakes and origins ---- */

static struct mistake_place place_of(const struct reader *reader, const struct yaml_node *node)
{
    return (struct mistake_place){reader->file, node->line, node->column, reader->path.text};
}

/* The value is no `wanted`; what it is instead is said where that helps. */
static void refuse_kind(
    struct reader *reader, const struct yaml_node *node, const char *wanted, const char *hint)
{
    struct mistake_place place = place_of(reader, node);
    bool is_empty = node->kind == YAML_SCALAR && node->is_plain && node->text_len == 0;
    const char *instead = node->kind == YAML_SEQUENCE  ? "a list"
                          : node->kind == YAML_MAPPING ? "a mapping"
                          : is_empty                   ? "empty"
                                                       : "a single value";
    struct mistake *mistake =
        mistakes_add(reader->mistakes, &place, "must be %s, not %s", wanted, instead);
    mistake_set_hint(reader->mistakes, mistake, "%s", hint);
}

static void add_origin(struct reader *reader, const struct yaml_node *node, bool is_place)
{
    struct origin_link *link = arena_alloc(reader->arena, sizeof(*link));
    const char *path = arena_strdup(reader->arena, reader->path.text);
    if (link == NULL || path == NULL) {
        no_memory(reader);
        return;
    }
    link->origin = (struct yaml_origin){path, node->line, node->column, is_place};
    link->next = NULL;
    *reader->origins_tail = link;
    reader->origins_tail = &link->next;
    reader->n_origins++;
}

/* Whether `node` may be read: aliases let a short text name one node many times. */
static bool visit(struct reader *reader, const struct yaml_node *node)
{
    if (++reader->n_visits <= YAML_READ_MAX_NODES)
        return reader->fatal == 0;
    if (reader->n_visits == YAML_READ_MAX_NODES + 1) {
        struct mistake_place place = place_of(reader, node);
        (void)mistakes_add(reader->mistakes, &place, "aliases repeat too many values");
    }
    return false;
}

/* ---- single values ---- */

static bool wants_plain(const struct schema_field *field)
{
    ProtobufCType type = field->descriptor->type;
    return type != PROTOBUF_C_TYPE_STRING && type != PROTOBUF_C_TYPE_BYTES &&
           type != PROTOBUF_C_TYPE_MESSAGE && type != PROTOBUF_C_TYPE_ENUM;
}

static bool read_scalar(struct reader *reader, const struct schema_field *field,
    const struct yaml_node *node, union schema_value *out)
{
    bool is_empty = node->is_plain && node->text_len == 0;
    if (node->kind != YAML_SCALAR || is_empty) {
        char wanted[MISTAKE_TEXT_MAX / 2];
        schema_value_describe(field, wanted, sizeof(wanted));
        bool is_text = field->descriptor->type == PROTOBUF_C_TYPE_STRING;
        refuse_kind(reader, node, wanted,
            !is_empty ? ""
            : is_text ? "write \"\" for an empty text, or remove the key"
                      : "write a value, or remove the key");
        return false;
    }
    struct mistake_place place = place_of(reader, node);
    if (!node->is_plain && wants_plain(field)) {
        char wanted[MISTAKE_TEXT_MAX / 2];
        schema_value_describe(field, wanted, sizeof(wanted));
        struct mistake *mistake =
            mistakes_add(reader->mistakes, &place, "must be %s, not a quoted text", wanted);
        mistake_set_hint(reader->mistakes, mistake, "remove the quotes");
        return false;
    }
    struct error error = ERROR_INIT;
    int result = schema_value_parse(field, node->text, node->text_len, reader->arena, out, &error);
    if (result == -STATUS_RESOURCE_EXHAUSTED)
        no_memory(reader);
    else if (result != 0)
        mistake_set_hint(reader->mistakes, mistakes_add(reader->mistakes, &place, "%s", error.text),
            "%s", error.hint);
    return result == 0;
}

/* One element of a field: a scalar, or a message of its own. False: nothing to set. */
static bool read_element(struct reader *reader, const struct schema_field *field,
    const struct yaml_node *node, union schema_value *out)
{
    if (!visit(reader, node))
        return false;
    if (schema_value_is_text(field))
        return read_scalar(reader, field, node, out);
    ProtobufCMessage *message = schema_message_new(field->info->message, reader->arena);
    if (message == NULL) {
        no_memory(reader);
        return false;
    }
    read_message(reader, field->info->message, node, message);
    out->message = message;
    return true;
}

/* ---- lists and maps ---- */

static bool check_count(
    struct reader *reader, const struct schema_field *field, const struct yaml_node *node)
{
    if (field->info->max_items == 0 || node->n_items <= field->info->max_items)
        return true;
    struct mistake_place place = place_of(reader, node);
    (void)mistakes_add(reader->mistakes, &place, "has %zu entries; at most %u are allowed",
        node->n_items, field->info->max_items);
    return false;
}

/* An element that was wrong still takes its place, as an
 * empty one: a text is never NULL, a message never. */
static union schema_value empty_element(struct reader *reader, const struct schema_field *field)
{
    union schema_value value = {0};
    if (field->descriptor->type == PROTOBUF_C_TYPE_STRING)
        value.text = "";
    if (schema_field_is_message(field)) {
        value.message = schema_message_new_raw(field->descriptor->descriptor, reader->arena);
        if (value.message == NULL)
            no_memory(reader);
    }
    return value;
}

static void read_list(struct reader *reader, const struct schema_field *field,
    const struct yaml_node *node, ProtobufCMessage *message)
{
    if (node->kind != YAML_SEQUENCE) {
        refuse_kind(reader, node, "a list", "write it as a list: [one, two]");
        return;
    }
    if (!check_count(reader, field, node))
        return;
    if (!schema_resize(message, field, node->n_items, reader->arena)) {
        no_memory(reader);
        return;
    }
    size_t i = 0;
    for (const struct yaml_item *item = node->first; item != NULL; item = item->next, i++) {
        size_t before = schema_path_push_index(&reader->path, i);
        add_origin(reader, item->value, true);
        union schema_value value;
        if (!read_element(reader, field, item->value, &value))
            value = empty_element(reader, field);
        schema_path_pop(&reader->path, before);
        if (reader->fatal != 0)
            return;
        schema_set_at(message, field, i, value);
    }
}

static int compare_keys(const void *a, const void *b)
{
    const struct yaml_node *const *left = a;
    const struct yaml_node *const *right = b;
    int order = strcmp((*left)->text, (*right)->text);
    if (order != 0)
        return order;
    return (*left)->line != (*right)->line ? ((*left)->line > (*right)->line ? 1 : -1)
                                           : ((*left)->column > (*right)->column ? 1 : -1);
}

/* Sorting finds equal keys in a map of any size. */
static void refuse_duplicate_keys(struct reader *reader, const struct yaml_node *node)
{
    const struct yaml_node **keys =
        arena_calloc(reader->arena, node->n_items, sizeof(struct yaml_node *));
    if (keys == NULL) {
        no_memory(reader);
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
        struct mistake_place place = place_of(reader, keys[i]);
        (void)mistakes_add(
            reader->mistakes, &place, "is given twice; first in line %u", keys[i - 1]->line);
        schema_path_pop(&reader->path, before);
    }
}

/* One entry of a map; its key has been pushed. NULL: nothing usable. */
static ProtobufCMessage *read_entry(
    struct reader *reader, const struct schema_field *field, const struct yaml_item *item)
{
    struct schema_field key_field = schema_field_at(field->info->message, 0);
    struct schema_field value_field = schema_field_at(field->info->message, 1);
    ProtobufCMessage *entry = schema_message_new(field->info->message, reader->arena);
    if (entry == NULL) {
        no_memory(reader);
        return NULL;
    }
    union schema_value key;
    union schema_value value;
    if (!read_scalar(reader, &key_field, item->key, &key))
        return NULL;
    add_origin(reader, schema_value_is_text(&value_field) ? item->value : item->key,
        !schema_value_is_text(&value_field));
    if (!read_element(reader, &value_field, item->value, &value))
        value = empty_element(reader, &value_field);
    schema_set(entry, &key_field, key);
    schema_set(entry, &value_field, value);
    return reader->fatal == 0 ? entry : NULL;
}

static void refuse_key(struct reader *reader, const struct yaml_node *key)
{
    struct mistake_place place = place_of(reader, key);
    (void)mistakes_add(reader->mistakes, &place, "a key must be a single text");
}

static void read_map(struct reader *reader, const struct schema_field *field,
    const struct yaml_node *node, ProtobufCMessage *message)
{
    if (node->kind != YAML_MAPPING) {
        refuse_kind(reader, node, "a mapping", "write it as name: value, one a line");
        return;
    }
    refuse_duplicate_keys(reader, node);
    if (!check_count(reader, field, node))
        return;
    ProtobufCMessage **entries =
        arena_calloc(reader->arena, node->n_items, sizeof(ProtobufCMessage *));
    if (entries == NULL) {
        no_memory(reader);
        return;
    }
    size_t n = 0;
    for (const struct yaml_item *item = node->first; item != NULL; item = item->next) {
        if (item->key->kind != YAML_SCALAR) {
            refuse_key(reader, item->key);
            continue;
        }
        size_t before = schema_path_push(&reader->path, item->key->text, item->key->text_len);
        entries[n] = read_entry(reader, field, item);
        n += entries[n] != NULL;
        schema_path_pop(&reader->path, before);
        if (reader->fatal != 0)
            return;
    }
    if (!schema_resize(message, field, n, reader->arena)) {
        no_memory(reader);
        return;
    }
    for (size_t i = 0; i < n; i++)
        schema_set_at(message, field, i, (union schema_value){.message = entries[i]});
}

/* ---- messages ---- */

static void read_field(struct reader *reader, const struct schema_field *field,
    const struct yaml_item *item, ProtobufCMessage *message)
{
    bool is_single = schema_value_is_text(field) && !schema_field_is_repeated(field);
    bool is_list = schema_field_is_repeated(field) && !field->info->is_map;
    add_origin(reader, is_single ? item->value : item->key, !is_single && !is_list);
    if (field->info->is_map) {
        read_map(reader, field, item->value, message);
    } else if (schema_field_is_repeated(field)) {
        read_list(reader, field, item->value, message);
    } else {
        union schema_value value;
        if (read_element(reader, field, item->value, &value))
            schema_set(message, field, value);
    }
}

static void refuse_unknown_key(
    struct reader *reader, const struct crpc_message_info *info, const struct yaml_node *key)
{
    struct mistake_place place = place_of(reader, key);
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
    size_t len = 0;
    for (size_t i = 0; i < info->n_fields; i++) {
        size_t name_len = strlen(info->fields[i].name);
        if (len + name_len + 3 > sizeof(names))
            break;
        len += (size_t)snprintf(
            names + len, sizeof(names) - len, "%s%s", i > 0 ? ", " : "", info->fields[i].name);
    }
    mistake_set_hint(reader->mistakes, mistake, "keys here: %s", names);
}

/* Lines in which fields, then oneofs, were given; 0: not yet. */
static bool is_second(struct reader *reader, const struct crpc_message_info *info,
    const struct schema_field *field, const struct yaml_node *key, uint32_t *lines)
{
    uint32_t *field_line = &lines[field->info - info->fields];
    uint32_t *oneof_line =
        field->info->oneof >= 0 ? &lines[info->n_fields + (size_t)field->info->oneof] : field_line;
    struct mistake_place place = place_of(reader, key);
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

static void read_key(struct reader *reader, const struct crpc_message_info *info,
    const struct yaml_item *item, ProtobufCMessage *message, uint32_t *lines)
{
    if (item->key->kind != YAML_SCALAR) {
        refuse_key(reader, item->key);
        return;
    }
    size_t before = schema_path_push(&reader->path, item->key->text, item->key->text_len);
    struct schema_field field;
    if (!schema_field_find(info, item->key->text, item->key->text_len, false, &field))
        refuse_unknown_key(reader, info, item->key);
    else if (!is_second(reader, info, &field, item->key, lines))
        read_field(reader, &field, item, message);
    schema_path_pop(&reader->path, before);
}

static void refuse_missing(
    struct reader *reader, const struct crpc_field_info *field, const struct yaml_node *node)
{
    size_t before = schema_path_push(&reader->path, field->name, strlen(field->name));
    struct mistake_place place = place_of(reader, node);
    (void)mistakes_add(reader->mistakes, &place, "is missing");
    schema_path_pop(&reader->path, before);
}

/* Required and default values of the fields that the text did not give. */
static void complete(struct reader *reader, const struct crpc_message_info *info,
    const struct yaml_node *node, ProtobufCMessage *message, const uint32_t *lines)
{
    for (size_t i = 0; i < info->n_fields; i++) {
        struct schema_field field = schema_field_at(info, i);
        if (lines[i] != 0)
            continue;
        if (field.info->required)
            refuse_missing(reader, field.info, node);
        if (!schema_default_field(message, &field, reader->arena))
            no_memory(reader);
    }
}

static void read_message(struct reader *reader, const struct crpc_message_info *info,
    const struct yaml_node *node, ProtobufCMessage *message)
{
    if (node->kind != YAML_MAPPING) {
        refuse_kind(reader, node, "a mapping", "write it as key: value, one a line");
        return;
    }
    uint32_t *lines = arena_calloc(reader->arena, info->n_fields + info->n_oneofs, sizeof(*lines));
    if (lines == NULL) {
        no_memory(reader);
        return;
    }
    for (const struct yaml_item *item = node->first; item != NULL && reader->fatal == 0;
         item = item->next)
        read_key(reader, info, item, message, lines);
    complete(reader, info, node, message, lines);
}

/* ---- the whole text ---- */

static int gather_origins(struct reader *reader, struct yaml_origins *out)
{
    out->n = 0;
    out->items = arena_calloc(reader->arena, reader->n_origins, sizeof(*out->items));
    if (out->items == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    for (const struct origin_link *link = reader->first_origin; link != NULL; link = link->next)
        out->items[out->n++] = link->origin;
    return 0;
}

static int read_tree(struct reader *reader, const struct yaml_node *root,
    const struct crpc_message_info *info, ProtobufCMessage **out, struct yaml_origins *origins)
{
    static const struct yaml_node nothing = {.kind = YAML_MAPPING, .line = 1, .column = 1};
    bool is_empty =
        root == NULL || (root->kind == YAML_SCALAR && root->is_plain && root->text_len == 0);
    ProtobufCMessage *message = schema_message_new(info, reader->arena);
    if (message == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    read_message(reader, info, is_empty ? &nothing : root, message);
    if (reader->fatal != 0)
        return reader->fatal;
    *out = message;
    return origins != NULL ? gather_origins(reader, origins) : 0;
}

static int refuse_length(const char *file, size_t text_len, struct mistakes *mistakes)
{
    struct mistake_place place = {file, 1, 1, ""};
    (void)mistakes_add(
        mistakes, &place, "has %zu bytes; at most %d are read", text_len, YAML_READ_MAX_BYTES);
    return YAML_READ_MISTAKEN;
}

int yaml_read(const char *text, size_t text_len, const char *file,
    const struct crpc_message_info *info, struct arena *arena, ProtobufCMessage **out,
    struct yaml_origins *origins, struct mistakes *mistakes, struct error *error)
{
    *out = NULL;
    if (origins != NULL)
        *origins = (struct yaml_origins){0};
    if (text_len > YAML_READ_MAX_BYTES)
        return refuse_length(file, text_len, mistakes);
    size_t mistakes_before = mistakes->n + mistakes->n_dropped;
    const struct yaml_node *root;
    int result = yaml_tree_read(text, text_len, file, arena, &root, mistakes);
    if (result == 0) {
        struct reader reader = {.file = file, .arena = arena, .mistakes = mistakes};
        reader.origins_tail = &reader.first_origin;
        result = read_tree(&reader, root, info, out, origins);
    }
    if (result < 0)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "%s takes too much memory", file);
    bool is_mistaken = mistakes->n + mistakes->n_dropped > mistakes_before;
    return result != 0 || is_mistaken ? YAML_READ_MISTAKEN : YAML_READ_OK;
}
