#include "common/schema/yaml_read.h"

#include "common/base/status.h"
#include "common/schema/schema_path.h"
#include "common/schema/schema_value.h"
#include "common/schema/yaml_keys.h"
#include "common/schema/yaml_reader.h"
#include "common/schema/yaml_tree.h"

static void read_message(struct yaml_reader *reader, const struct crpc_message_info *info,
    const struct yaml_node *node, ProtobufCMessage *message);

/* ---- single values ---- */

static bool wants_plain(const struct schema_field *field)
{
    ProtobufCType type = field->descriptor->type;
    return type != PROTOBUF_C_TYPE_STRING && type != PROTOBUF_C_TYPE_BYTES &&
           type != PROTOBUF_C_TYPE_MESSAGE && type != PROTOBUF_C_TYPE_ENUM;
}

/* The node is nothing that one text can give. */
static void refuse_scalar(
    struct yaml_reader *reader, const struct schema_field *field, const struct yaml_node *node)
{
    char wanted[MISTAKE_TEXT_MAX / 2];
    schema_value_describe(field, wanted, sizeof(wanted));
    bool is_text = field->descriptor->type == PROTOBUF_C_TYPE_STRING;
    yaml_reader_refuse_kind(reader, node, wanted,
        !yaml_node_is_empty(node) ? ""
        : is_text                 ? "write \"\" for an empty text, or remove the key"
                                  : "write a value, or remove the key");
}

static void refuse_quotes(
    struct yaml_reader *reader, const struct schema_field *field, const struct yaml_node *node)
{
    char wanted[MISTAKE_TEXT_MAX / 2];
    schema_value_describe(field, wanted, sizeof(wanted));
    struct mistake_place place = yaml_reader_place(reader, node);
    struct mistake *mistake =
        mistakes_add(reader->mistakes, &place, "must be %s, not a quoted text", wanted);
    mistake_set_hint(reader->mistakes, mistake, "remove the quotes");
}

static bool read_scalar(struct yaml_reader *reader, const struct schema_field *field,
    const struct yaml_node *node, union schema_value *out)
{
    if (node->kind != YAML_SCALAR || yaml_node_is_empty(node)) {
        refuse_scalar(reader, field, node);
        return false;
    }
    if (!node->is_plain && wants_plain(field)) {
        refuse_quotes(reader, field, node);
        return false;
    }
    struct error error = ERROR_INIT;
    int result = schema_value_parse(field, node->text, node->text_len, reader->arena, out, &error);
    if (result == -STATUS_RESOURCE_EXHAUSTED) {
        yaml_reader_no_memory(reader);
    } else if (result != 0) {
        struct mistake_place place = yaml_reader_place(reader, node);
        struct mistake *mistake = mistakes_add(reader->mistakes, &place, "%s", error.text);
        mistake_set_hint(reader->mistakes, mistake, "%s", error.hint);
    }
    return result == 0;
}

/* One element of a field: a scalar, or a message of its own. False: nothing to set. */
static bool read_element(struct yaml_reader *reader, const struct schema_field *field,
    const struct yaml_node *node, union schema_value *out)
{
    if (!yaml_reader_visit(reader, node))
        return false;
    if (schema_value_is_text(field))
        return read_scalar(reader, field, node, out);
    ProtobufCMessage *message = schema_message_new(field->info->message, reader->arena);
    if (message == NULL) {
        yaml_reader_no_memory(reader);
        return false;
    }
    read_message(reader, field->info->message, node, message);
    out->message = message;
    return true;
}

/* ---- lists and maps ---- */

static bool check_count(
    struct yaml_reader *reader, const struct schema_field *field, const struct yaml_node *node)
{
    if (field->info->max_items == 0 || node->n_items <= field->info->max_items)
        return true;
    struct mistake_place place = yaml_reader_place(reader, node);
    (void)mistakes_add(reader->mistakes, &place, "has %zu entries; at most %u are allowed",
        node->n_items, field->info->max_items);
    return false;
}

/* An element that was wrong still takes its place, as an
 * empty one: a text is never NULL, a message never. */
static union schema_value empty_element(
    struct yaml_reader *reader, const struct schema_field *field)
{
    union schema_value value = {0};
    if (field->descriptor->type == PROTOBUF_C_TYPE_STRING)
        value.text = "";
    if (schema_field_is_message(field)) {
        value.message = schema_message_new_raw(field->descriptor->descriptor, reader->arena);
        if (value.message == NULL)
            yaml_reader_no_memory(reader);
    }
    return value;
}

static void read_list(struct yaml_reader *reader, const struct schema_field *field,
    const struct yaml_node *node, ProtobufCMessage *message)
{
    if (node->kind != YAML_SEQUENCE) {
        yaml_reader_refuse_kind(reader, node, "a list", "write it as a list: [one, two]");
        return;
    }
    if (!check_count(reader, field, node))
        return;
    if (!schema_resize(message, field, node->n_items, reader->arena)) {
        yaml_reader_no_memory(reader);
        return;
    }
    size_t i = 0;
    for (const struct yaml_item *item = node->first; item != NULL; item = item->next, i++) {
        size_t before = schema_path_push_index(&reader->path, i);
        yaml_reader_add_origin(reader, item->value, true);
        union schema_value value;
        if (!read_element(reader, field, item->value, &value))
            value = empty_element(reader, field);
        schema_path_pop(&reader->path, before);
        if (reader->fatal != 0)
            return;
        schema_set_at(message, field, i, value);
    }
}

/* One entry of a map; its key has been pushed. NULL: nothing usable. */
static ProtobufCMessage *read_entry(
    struct yaml_reader *reader, const struct schema_field *field, const struct yaml_item *item)
{
    struct schema_field key_field = schema_field_at(field->info->message, 0);
    struct schema_field value_field = schema_field_at(field->info->message, 1);
    ProtobufCMessage *entry = schema_message_new(field->info->message, reader->arena);
    if (entry == NULL) {
        yaml_reader_no_memory(reader);
        return NULL;
    }
    union schema_value key;
    union schema_value value;
    if (!read_scalar(reader, &key_field, item->key, &key))
        return NULL;
    yaml_reader_add_origin(reader, schema_value_is_text(&value_field) ? item->value : item->key,
        !schema_value_is_text(&value_field));
    if (!read_element(reader, &value_field, item->value, &value))
        value = empty_element(reader, &value_field);
    schema_set(entry, &key_field, key);
    schema_set(entry, &value_field, value);
    return reader->fatal == 0 ? entry : NULL;
}

static void read_map(struct yaml_reader *reader, const struct schema_field *field,
    const struct yaml_node *node, ProtobufCMessage *message)
{
    if (node->kind != YAML_MAPPING) {
        yaml_reader_refuse_kind(reader, node, "a mapping", "write it as name: value, one a line");
        return;
    }
    yaml_keys_refuse_duplicates(reader, node);
    if (!check_count(reader, field, node))
        return;
    ProtobufCMessage **entries =
        arena_calloc(reader->arena, node->n_items, sizeof(ProtobufCMessage *));
    if (entries == NULL) {
        yaml_reader_no_memory(reader);
        return;
    }
    size_t n = 0;
    for (const struct yaml_item *item = node->first; item != NULL; item = item->next) {
        if (item->key->kind != YAML_SCALAR) {
            yaml_keys_refuse_collection(reader, item->key);
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
        yaml_reader_no_memory(reader);
        return;
    }
    for (size_t i = 0; i < n; i++)
        schema_set_at(message, field, i, (union schema_value){.message = entries[i]});
}

/* ---- messages ---- */

static void read_field(struct yaml_reader *reader, const struct schema_field *field,
    const struct yaml_item *item, ProtobufCMessage *message)
{
    bool is_single = schema_value_is_text(field) && !schema_field_is_repeated(field);
    bool is_list = schema_field_is_repeated(field) && !field->info->is_map;
    yaml_reader_add_origin(reader, is_single ? item->value : item->key, !is_single && !is_list);
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

static void read_key(struct yaml_reader *reader, const struct crpc_message_info *info,
    const struct yaml_item *item, ProtobufCMessage *message, uint32_t *lines)
{
    if (item->key->kind != YAML_SCALAR) {
        yaml_keys_refuse_collection(reader, item->key);
        return;
    }
    size_t before = schema_path_push(&reader->path, item->key->text, item->key->text_len);
    struct schema_field field;
    if (!schema_field_find(info, item->key->text, item->key->text_len, false, &field))
        yaml_keys_refuse_unknown(reader, info, item->key);
    else if (!yaml_keys_is_second(reader, info, &field, item->key, lines))
        read_field(reader, &field, item, message);
    schema_path_pop(&reader->path, before);
}

/* Required and default values of the fields that the text did not give. */
static void complete(struct yaml_reader *reader, const struct crpc_message_info *info,
    const struct yaml_node *node, ProtobufCMessage *message, const uint32_t *lines)
{
    for (size_t i = 0; i < info->n_fields; i++) {
        struct schema_field field = schema_field_at(info, i);
        if (lines[i] != 0)
            continue;
        if (field.info->required)
            yaml_keys_refuse_missing(reader, field.info, node);
        if (!schema_default_field(message, &field, reader->arena))
            yaml_reader_no_memory(reader);
    }
}

static void read_message(struct yaml_reader *reader, const struct crpc_message_info *info,
    const struct yaml_node *node, ProtobufCMessage *message)
{
    if (node->kind != YAML_MAPPING) {
        yaml_reader_refuse_kind(reader, node, "a mapping", "write it as key: value, one a line");
        return;
    }
    uint32_t *lines = arena_calloc(reader->arena, info->n_fields + info->n_oneofs, sizeof(*lines));
    if (lines == NULL) {
        yaml_reader_no_memory(reader);
        return;
    }
    for (const struct yaml_item *item = node->first; item != NULL && reader->fatal == 0;
         item = item->next)
        read_key(reader, info, item, message, lines);
    complete(reader, info, node, message, lines);
}

/* ---- the whole text ---- */

static int read_tree(struct yaml_reader *reader, const struct yaml_node *root,
    const struct crpc_message_info *info, ProtobufCMessage **out, struct yaml_origins *origins)
{
    static const struct yaml_node nothing = {.kind = YAML_MAPPING, .line = 1, .column = 1};
    ProtobufCMessage *message = schema_message_new(info, reader->arena);
    if (message == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    read_message(reader, info, root == NULL || yaml_node_is_empty(root) ? &nothing : root, message);
    if (reader->fatal != 0)
        return reader->fatal;
    *out = message;
    return origins != NULL ? yaml_reader_origins(reader, origins) : 0;
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
        struct yaml_reader reader = {.file = file, .arena = arena, .mistakes = mistakes};
        reader.origins_tail = &reader.first_origin;
        result = read_tree(&reader, root, info, out, origins);
    }
    if (result < 0)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "%s takes too much memory", file);
    bool is_mistaken = mistakes->n + mistakes->n_dropped > mistakes_before;
    return result != 0 || is_mistaken ? YAML_READ_MISTAKEN : YAML_READ_OK;
}
