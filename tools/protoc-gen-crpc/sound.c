#include "sound.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/wire.h"
#include "pool.h"

typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;
typedef Google__Protobuf__EnumDescriptorProto enum_proto;
typedef Google__Protobuf__ServiceDescriptorProto service_proto;

/* ---- bytes ---- */

enum {
    /* descriptor.proto */
    FILE_MESSAGE_TYPE = 4,
    MESSAGE_NESTED_TYPE = 3,
    FIELD_NUMBER_MAX = (1 << 29) - 1
};

static const char *nesting(const uint8_t *bytes, size_t len, uint32_t field_number, int depth)
{
    struct rpc_wire_reader reader = rpc_wire_reader(bytes, len);
    struct rpc_wire_field field;
    int more;
    if (depth > SOUND_NESTING_MAX)
        return "messages are nested too deep";
    while ((more = rpc_wire_next(&reader, &field)) > 0) {
        if (field.number != field_number || field.type != RPC_WIRE_BYTES)
            continue;
        const char *mistake = nesting(field.data, field.len, MESSAGE_NESTED_TYPE, depth + 1);
        if (mistake != NULL)
            return mistake;
    }
    return more < 0 ? "not protobuf" : NULL;
}

const char *sound_bytes(const uint8_t *bytes, size_t len, uint32_t files_field)
{
    struct rpc_wire_reader reader = rpc_wire_reader(bytes, len);
    struct rpc_wire_field field;
    int more;
    while ((more = rpc_wire_next(&reader, &field)) > 0) {
        if (field.number != files_field || field.type != RPC_WIRE_BYTES)
            continue;
        const char *mistake = nesting(field.data, field.len, FILE_MESSAGE_TYPE, 0);
        if (mistake != NULL)
            return mistake;
    }
    return more < 0 ? "not protobuf" : NULL;
}

/* ---- names ---- */

static bool begins_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(const char *text)
{
    if (text == NULL || !begins_name(text[0]))
        return false;
    while (begins_name(*text) || (*text >= '0' && *text <= '9'))
        text++;
    return *text == '\0';
}

/* Names with dots between them. */
static bool is_package(const char *text)
{
    for (;;) {
        if (!begins_name(*text))
            return false;
        while (begins_name(*text) || (*text >= '0' && *text <= '9'))
            text++;
        if (*text != '.')
            return *text == '\0';
        text++;
    }
}

/* Printed between quotes and into comments. */
static bool is_path(const char *text)
{
    if (text == NULL || text[0] == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == '\x7f' || strchr("\"\\*?<>", *text) != NULL)
            return false;
    }
    return true;
}

/* ---- types by name ---- */

struct type {
    const char *full_name;
    bool is_message;
};

/* One check of all files. */
struct sound {
    struct arena *pool;
    const file_proto *file;
    size_t n_types;
    size_t capacity;
    struct type *types;
};

static const char *at(const struct sound *sound, const char *what, const char *name)
{
    return pool_printf(sound->pool, "%s: %s%s%s", sound->file->name, what,
        name != NULL ? " in " : "", name != NULL ? name : "");
}

static const char *inner_name(const struct sound *sound, const char *scope, const char *name)
{
    return scope[0] == '\0' ? name : pool_printf(sound->pool, "%s.%s", scope, name);
}

static void add_type(struct sound *sound, const char *full_name, bool is_message)
{
    if (sound->n_types == sound->capacity) {
        size_t capacity = sound->capacity == 0 ? 256 : 2 * sound->capacity;
        struct type *types = pool_calloc(sound->pool, capacity, sizeof(*types));
        if (sound->n_types > 0)
            memcpy(types, sound->types, sound->n_types * sizeof(*types));
        sound->types = types;
        sound->capacity = capacity;
    }
    sound->types[sound->n_types++] =
        (struct type){.full_name = full_name, .is_message = is_message};
}

static int compare(const void *a, const void *b)
{
    const struct type *left = a;
    const struct type *right = b;
    return strcmp(left->full_name, right->full_name);
}

/* NULL: none. */
static const struct type *find_type(const struct sound *sound, const char *dotted_name)
{
    if (dotted_name == NULL || dotted_name[0] != '.' || sound->n_types == 0)
        return NULL;
    const struct type key = {.full_name = dotted_name + 1};
    return bsearch(&key, sound->types, sound->n_types, sizeof(key), compare);
}

/* ---- first pass: names ---- */

static const char *check_enum(struct sound *sound, const char *scope, const enum_proto *proto)
{
    if (!is_name(proto->name))
        return at(sound, "an enum without a name", NULL);
    if (proto->n_value == 0)
        return at(sound, "an enum without a value", proto->name);
    for (size_t i = 0; i < proto->n_value; i++) {
        if (!is_name(proto->value[i]->name))
            return at(sound, "a value without a name", proto->name);
    }
    add_type(sound, inner_name(sound, scope, proto->name), false);
    return NULL;
}

static const char *check_enums(
    struct sound *sound, const char *scope, enum_proto *const *enums, size_t n_enums)
{
    const char *mistake = NULL;
    for (size_t i = 0; i < n_enums && mistake == NULL; i++)
        mistake = check_enum(sound, scope, enums[i]);
    return mistake;
}

static const char *check_extension_names(
    const struct sound *sound, field_proto *const *extensions, size_t n_extensions)
{
    for (size_t i = 0; i < n_extensions; i++) {
        if (!is_name(extensions[i]->name))
            return at(sound, "an extension without a name", NULL);
    }
    return NULL;
}

static const char *check_message_names(
    struct sound *sound, const char *scope, const message_proto *proto)
{
    if (!is_name(proto->name))
        return at(sound, "a message without a name", NULL);
    for (size_t i = 0; i < proto->n_field; i++) {
        if (!is_name(proto->field[i]->name) || proto->field[i]->json_name == NULL)
            return at(sound, "a field without a name", proto->name);
    }
    for (size_t i = 0; i < proto->n_oneof_decl; i++) {
        if (!is_name(proto->oneof_decl[i]->name))
            return at(sound, "a oneof without a name", proto->name);
    }
    const char *full_name = inner_name(sound, scope, proto->name);
    add_type(sound, full_name, true);
    const char *mistake = check_extension_names(sound, proto->extension, proto->n_extension);
    if (mistake == NULL)
        mistake = check_enums(sound, full_name, proto->enum_type, proto->n_enum_type);
    for (size_t i = 0; i < proto->n_nested_type && mistake == NULL; i++)
        mistake = check_message_names(sound, full_name, proto->nested_type[i]);
    return mistake;
}

static const char *check_service_names(const struct sound *sound, const service_proto *proto)
{
    if (!is_name(proto->name))
        return at(sound, "a service without a name", NULL);
    for (size_t i = 0; i < proto->n_method; i++) {
        if (!is_name(proto->method[i]->name))
            return at(sound, "a method without a name", proto->name);
    }
    return NULL;
}

static const char *check_names(struct sound *sound, const file_proto *file)
{
    if (!is_path(file->name))
        return "a file without a name, or with one that cannot be printed";
    sound->file = file;
    const char *package = file->package != NULL ? file->package : "";
    if (package[0] != '\0' && !is_package(package))
        return at(sound, "its package is no name", NULL);
    const char *mistake = check_extension_names(sound, file->extension, file->n_extension);
    if (mistake == NULL)
        mistake = check_enums(sound, package, file->enum_type, file->n_enum_type);
    for (size_t i = 0; i < file->n_message_type && mistake == NULL; i++)
        mistake = check_message_names(sound, package, file->message_type[i]);
    for (size_t i = 0; i < file->n_service && mistake == NULL; i++)
        mistake = check_service_names(sound, file->service[i]);
    return mistake;
}

/* ---- second pass: what refers to something ---- */

static bool is_type_found(const struct sound *sound, const field_proto *field)
{
    const struct type *type = find_type(sound, field->type_name);
    switch ((int)field->type) {
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE:
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_GROUP:
        return type != NULL && type->is_message;
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_ENUM:
        return type != NULL && !type->is_message;
    default:
        return field->type_name == NULL;
    }
}

static const char *check_field(
    const struct sound *sound, const message_proto *message, const field_proto *field)
{
    if (field->number < 1 || field->number > FIELD_NUMBER_MAX)
        return at(sound, "a field's number is out of range", message->name);
    if (!field->has_type || !is_type_found(sound, field))
        return at(sound, "a field's type is unknown", message->name);
    if (field->has_oneof_index &&
        (field->oneof_index < 0 || (size_t)field->oneof_index >= message->n_oneof_decl))
        return at(sound, "a field's oneof is unknown", message->name);
    return NULL;
}

/* protoc makes them of `map<key, value>`. */
static bool is_unsound_map_entry(const message_proto *message)
{
    if (message->options == NULL || !message->options->map_entry)
        return false;
    return message->n_field != 2 || message->field[0]->number != 1 ||
           message->field[1]->number != 2;
}

static bool is_message_type(const struct sound *sound, const char *dotted_name)
{
    const struct type *type = find_type(sound, dotted_name);
    return type != NULL && type->is_message;
}

static const char *check_extensions(
    const struct sound *sound, field_proto *const *extensions, size_t n_extensions)
{
    for (size_t i = 0; i < n_extensions; i++) {
        if (!is_message_type(sound, extensions[i]->extendee))
            return at(sound, "what an extension extends is unknown", extensions[i]->name);
    }
    return NULL;
}

static const char *check_message(const struct sound *sound, const message_proto *message)
{
    if (is_unsound_map_entry(message))
        return at(sound, "a map's entry is no key and value", message->name);
    const char *mistake = check_extensions(sound, message->extension, message->n_extension);
    for (size_t i = 0; i < message->n_field && mistake == NULL; i++)
        mistake = check_field(sound, message, message->field[i]);
    for (size_t i = 0; i < message->n_nested_type && mistake == NULL; i++)
        mistake = check_message(sound, message->nested_type[i]);
    return mistake;
}

static const char *check_service(const struct sound *sound, const service_proto *service)
{
    for (size_t i = 0; i < service->n_method; i++) {
        if (!is_message_type(sound, service->method[i]->input_type) ||
            !is_message_type(sound, service->method[i]->output_type))
            return at(sound, "a method's message is unknown", service->name);
    }
    return NULL;
}

/* Lines and columns are counted from 0 there and from 1 here. */
static const char *check_locations(const struct sound *sound, const file_proto *file)
{
    const Google__Protobuf__SourceCodeInfo *info = file->source_code_info;
    for (size_t i = 0; info != NULL && i < info->n_location; i++) {
        for (size_t k = 0; k < info->location[i]->n_span; k++) {
            if (info->location[i]->span[k] < 0 || info->location[i]->span[k] == INT32_MAX)
                return at(sound, "a place is no line and column", NULL);
        }
    }
    return NULL;
}

static const char *check_references(struct sound *sound, const file_proto *file)
{
    sound->file = file;
    const char *mistake = check_locations(sound, file);
    if (mistake == NULL)
        mistake = check_extensions(sound, file->extension, file->n_extension);
    for (size_t i = 0; i < file->n_message_type && mistake == NULL; i++)
        mistake = check_message(sound, file->message_type[i]);
    for (size_t i = 0; i < file->n_service && mistake == NULL; i++)
        mistake = check_service(sound, file->service[i]);
    return mistake;
}

const char *sound_files(file_proto *const *files, size_t n_files, struct arena *pool)
{
    struct sound sound = {.pool = pool};
    const char *mistake = NULL;
    for (size_t i = 0; i < n_files && mistake == NULL; i++)
        mistake = check_names(&sound, files[i]);
    if (sound.n_types > 0)
        qsort(sound.types, sound.n_types, sizeof(*sound.types), compare);
    for (size_t i = 0; i < n_files && mistake == NULL; i++)
        mistake = check_references(&sound, files[i]);
    return mistake;
}
