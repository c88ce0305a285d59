#include "common/schema/json_read.h"

#include <jansson.h>
#include <string.h>

#include "common/base/status.h"
#include "common/schema/json_place.h"
#include "common/schema/json_scalar.h"
#include "common/schema/nearest.h"
#include "common/schema/schema_path.h"
#include "common/schema/time_text.h"

/* `is_any_content`: "@type" stands among the members. */
static int read_message(struct json_reader *reader, const struct crpc_message_info *info,
    json_t *json, bool is_any_content, ProtobufCMessage **out);

/* ---- google's own messages ---- */

static int read_time(struct json_reader *reader, const struct schema_field *field, json_t *json,
    bool is_duration, union schema_value *out)
{
    const char *wanted =
        is_duration ? "a duration such as \"1.5s\"" : "a time such as \"2026-01-31T09:30:00Z\"";
    int64_t whole;
    int32_t rest;
    if (!json_is_string(json))
        return json_refuse(reader, wanted, json);
    int result = is_duration ? time_text_parse_duration(
                                   json_string_value(json), json_string_length(json), &whole, &rest)
                             : time_text_parse(json_string_value(json), json_string_length(json),
                                   &whole, &rest);
    if (result != 0)
        return json_refuse(reader, wanted, json);
    const ProtobufCMessageDescriptor *type = field->descriptor->descriptor;
    ProtobufCMessage *message = schema_message_new_raw(type, reader->arena);
    if (message == NULL)
        return json_no_memory(reader);
    struct schema_field seconds = {NULL, &type->fields[0]};
    struct schema_field nanos = {NULL, &type->fields[1]};
    schema_set(message, &seconds, (union schema_value){.signed_number = whole});
    schema_set(message, &nanos, (union schema_value){.signed_number = rest});
    out->message = message;
    return 0;
}

static int pack_into(
    struct json_reader *reader, const ProtobufCMessage *message, ProtobufCBinaryData *out)
{
    out->len = protobuf_c_message_get_packed_size(message);
    out->data = arena_alloc(reader->arena, out->len);
    if (out->data == NULL)
        return json_no_memory(reader);
    protobuf_c_message_pack(message, out->data);
    return 0;
}

/* {"@type": "type.googleapis.com/...", and the members of that type}. */
static int read_any(struct json_reader *reader, const struct schema_field *field, json_t *json,
    union schema_value *out)
{
    const char *type_url = json_string_value(json_object_get(json, "@type"));
    if (type_url == NULL)
        return json_refuse(reader, "an object with \"@type\"", json);
    const struct crpc_message_info *type = schema_registry_find(reader->registry, type_url);
    if (type == NULL)
        return error_set(reader->error, STATUS_INVALID_ARGUMENT, "%s: unknown type \"%s\"",
            json_where(reader), type_url);
    ProtobufCMessage *content = NULL;
    int result = read_message(reader, type, json, true, &content);
    if (result != 0)
        return result;
    union schema_value value = {0};
    result = pack_into(reader, content, &value.bytes);
    if (result != 0)
        return result;
    const ProtobufCMessageDescriptor *any_type = field->descriptor->descriptor;
    ProtobufCMessage *any = schema_message_new_raw(any_type, reader->arena);
    const char *kept_url = arena_strdup(reader->arena, type_url);
    if (any == NULL || kept_url == NULL)
        return json_no_memory(reader);
    struct schema_field url_field = {NULL, &any_type->fields[0]};
    struct schema_field value_field = {NULL, &any_type->fields[1]};
    schema_set(any, &url_field, (union schema_value){.text = kept_url});
    schema_set(any, &value_field, value);
    out->message = any;
    return 0;
}

static int read_sub_message(struct json_reader *reader, const struct schema_field *field,
    json_t *json, union schema_value *out)
{
    const char *type = schema_field_type_name(field);
    if (strcmp(type, "google.protobuf.Duration") == 0)
        return read_time(reader, field, json, true, out);
    if (strcmp(type, "google.protobuf.Timestamp") == 0)
        return read_time(reader, field, json, false, out);
    if (strcmp(type, "google.protobuf.Any") == 0)
        return read_any(reader, field, json, out);
    ProtobufCMessage *message = NULL;
    int result = read_message(reader, field->info->message, json, false, &message);
    if (result == 0)
        out->message = message;
    return result;
}

static int read_value(struct json_reader *reader, const struct schema_field *field, json_t *json,
    union schema_value *out)
{
    *out = (union schema_value){0};
    return schema_field_is_message(field) ? read_sub_message(reader, field, json, out)
                                          : json_scalar_read(reader, field, json, out);
}

/* ---- lists, maps, messages ---- */

static int read_list(struct json_reader *reader, const struct schema_field *field, json_t *json,
    ProtobufCMessage *message)
{
    if (!json_is_array(json))
        return json_refuse(reader, "a list", json);
    size_t count = json_array_size(json);
    if (!schema_resize(message, field, count, reader->arena))
        return json_no_memory(reader);
    for (size_t i = 0; i < count; i++) {
        size_t before = schema_path_push_index(&reader->path, i);
        union schema_value value;
        int result = read_value(reader, field, json_array_get(json, i), &value);
        if (result != 0)
            return result;
        schema_set_at(message, field, i, value);
        schema_path_pop(&reader->path, before);
    }
    return 0;
}

/* A key is a string in JSON; numbers and booleans are read from it. */
static int read_key(struct json_reader *reader, const struct schema_field *key, const char *text,
    union schema_value *out)
{
    *out = (union schema_value){0};
    if (key->descriptor->type == PROTOBUF_C_TYPE_BOOL) {
        out->boolean = strcmp(text, "true") == 0;
        if (out->boolean || strcmp(text, "false") == 0)
            return 0;
        return error_set(reader->error, STATUS_INVALID_ARGUMENT,
            "%s: key must be true or false, not \"%s\"", reader->path.text, text);
    }
    json_t *json = json_string(text);
    if (json == NULL)
        return json_no_memory(reader);
    int result = read_value(reader, key, json, out);
    json_decref(json);
    return result;
}

static int read_entry(struct json_reader *reader, const struct schema_field *field,
    const char *key_text, json_t *json, ProtobufCMessage **out)
{
    struct schema_field key_field = schema_field_at(field->info->message, 0);
    struct schema_field value_field = schema_field_at(field->info->message, 1);
    ProtobufCMessage *entry = schema_message_new(field->info->message, reader->arena);
    if (entry == NULL)
        return json_no_memory(reader);
    union schema_value key;
    union schema_value value;
    int result = read_key(reader, &key_field, key_text, &key);
    if (result == 0)
        result = read_value(reader, &value_field, json, &value);
    if (result != 0)
        return result;
    schema_set(entry, &key_field, key);
    schema_set(entry, &value_field, value);
    *out = entry;
    return 0;
}

static int read_map(struct json_reader *reader, const struct schema_field *field, json_t *json,
    ProtobufCMessage *message)
{
    if (!json_is_object(json))
        return json_refuse(reader, "an object", json);
    if (!schema_resize(message, field, json_object_size(json), reader->arena))
        return json_no_memory(reader);
    const char *key;
    json_t *item;
    size_t i = 0;
    json_object_foreach(json, key, item)
    {
        size_t before = schema_path_push(&reader->path, key, strlen(key));
        ProtobufCMessage *entry;
        int result = read_entry(reader, field, key, item, &entry);
        if (result != 0)
            return result;
        schema_set_at(message, field, i++, (union schema_value){.message = entry});
        schema_path_pop(&reader->path, before);
    }
    return 0;
}

static int read_field(struct json_reader *reader, const struct schema_field *field, json_t *json,
    ProtobufCMessage *message)
{
    if (field->info->is_map)
        return read_map(reader, field, json, message);
    if (schema_field_is_repeated(field))
        return read_list(reader, field, json, message);
    union schema_value value;
    int result = read_value(reader, field, json, &value);
    if (result == 0)
        schema_set(message, field, value);
    return result;
}

static int refuse_name(
    struct json_reader *reader, const struct crpc_message_info *info, const char *name)
{
    int result = error_set(
        reader->error, STATUS_INVALID_ARGUMENT, "%s has no field \"%s\"", info->full_name, name);
    struct nearest nearest;
    nearest_init(&nearest, name, strlen(name));
    for (size_t i = 0; i < info->n_fields; i++)
        nearest_offer(&nearest, info->fields[i].name);
    if (nearest_result(&nearest) != NULL)
        error_set_hint(reader->error, "did you mean \"%s\"?", nearest_result(&nearest));
    (void)schema_path_push(&reader->path, name, strlen(name));
    reader->refused_name = true;
    return result;
}

/* One name twice under its two spellings, or two members of one oneof. */
static int refuse_second(struct json_reader *reader, const char *name)
{
    int result = error_set(reader->error, STATUS_INVALID_ARGUMENT,
        "%s: \"%s\" is given twice, or beside another choice of the same oneof", json_where(reader),
        name);
    (void)schema_path_push(&reader->path, name, strlen(name));
    reader->refused_name = true;
    return result;
}

static int read_members(struct json_reader *reader, const struct crpc_message_info *info,
    json_t *json, bool is_any_content, ProtobufCMessage *message)
{
    /* What was given: fields first, then oneofs. */
    bool *seen = arena_calloc(reader->arena, info->n_fields + info->n_oneofs, sizeof(*seen));
    if (seen == NULL)
        return json_no_memory(reader);
    const char *name;
    json_t *item;
    json_object_foreach(json, name, item)
    {
        struct schema_field field;
        if (is_any_content && strcmp(name, "@type") == 0)
            continue;
        if (!schema_field_find(info, name, strlen(name), true, &field))
            return refuse_name(reader, info, name);
        if (json_is_null(item))
            continue;
        bool *field_seen = &seen[field.info - info->fields];
        bool *oneof_seen =
            field.info->oneof >= 0 ? &seen[info->n_fields + (size_t)field.info->oneof] : field_seen;
        if (*field_seen || *oneof_seen)
            return refuse_second(reader, name);
        *field_seen = true;
        *oneof_seen = true;
        size_t before = schema_path_push(&reader->path, name, strlen(name));
        int result = read_field(reader, &field, item, message);
        if (result != 0)
            return result;
        schema_path_pop(&reader->path, before);
    }
    return 0;
}

static int read_message(struct json_reader *reader, const struct crpc_message_info *info,
    json_t *json, bool is_any_content, ProtobufCMessage **out)
{
    if (!json_is_object(json))
        return json_refuse(reader, "an object", json);
    if (reader->depth >= JSON_READ_MAX_DEPTH)
        return error_set(reader->error, STATUS_RESOURCE_EXHAUSTED,
            "the JSON text is nested deeper than %d levels", JSON_READ_MAX_DEPTH);
    ProtobufCMessage *message = schema_message_new(info, reader->arena);
    if (message == NULL)
        return json_no_memory(reader);
    reader->depth++;
    int result = read_members(reader, info, json, is_any_content, message);
    reader->depth--;
    if (result == 0)
        *out = message;
    return result;
}

static void set_place(struct json_mistake *mistake, const char *text, size_t at)
{
    mistake->line = 1;
    size_t line_at = 0;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            mistake->line++;
            line_at = i + 1;
        }
    }
    mistake->column = (uint32_t)(at - line_at) + 1;
}

int json_read(const char *text, size_t text_len, const struct crpc_message_info *info,
    const struct schema_registry *registry, struct arena *arena, ProtobufCMessage **out,
    struct json_mistake *mistake, struct error *error)
{
    struct json_mistake unwanted;
    struct json_reader reader = {.registry = registry, .arena = arena, .error = error};
    if (mistake == NULL)
        mistake = &unwanted;
    *mistake = (struct json_mistake){0};
    if (text_len > JSON_READ_MAX_BYTES)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED,
            "the JSON text has %zu bytes; at most %d are read", text_len, JSON_READ_MAX_BYTES);
    json_error_t trouble;
    json_t *json = json_loadb(text, text_len, JSON_REJECT_DUPLICATES, &trouble);
    if (json == NULL) {
        /* Its position is behind what it could not use. */
        size_t behind = trouble.position > 0 ? (size_t)trouble.position : 1;
        set_place(mistake, text, behind <= text_len ? behind - 1 : text_len);
        return error_set(error, STATUS_INVALID_ARGUMENT, "not valid JSON: %s", trouble.text);
    }
    int result = read_message(&reader, info, json, false, out);
    json_decref(json);
    if (result == 0)
        return 0;
    memcpy(mistake->path, reader.path.text, sizeof(mistake->path));
    set_place(
        mistake, text, json_place_find(text, text_len, reader.path.text, reader.refused_name));
    return result;
}
