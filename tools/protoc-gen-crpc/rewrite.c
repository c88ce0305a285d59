#include "rewrite.h"

#include <stdbool.h>
#include <string.h>

#include "pool.h"

enum {
    FILE_SERVICE = 6,
    FILE_EXTENSION = 7,
    /* protobuf-c.proto: extension 1019 of FileOptions, a message whose field 4 is const_strings. */
    PROTOBUF_C_EXTENSION = 1019
};

static void drop_unknown(ProtobufCMessage *options)
{
    if (options != NULL)
        options->n_unknown_fields = 0;
}

static void strip_enum(const Google__Protobuf__EnumDescriptorProto *enumeration)
{
    drop_unknown((ProtobufCMessage *)enumeration->options);
    for (size_t i = 0; i < enumeration->n_value; i++)
        drop_unknown((ProtobufCMessage *)enumeration->value[i]->options);
}

/* A deprecated member would make every use of its message's _INIT warn. */
static void strip_field(const Google__Protobuf__FieldDescriptorProto *field)
{
    drop_unknown((ProtobufCMessage *)field->options);
    if (field->options != NULL)
        field->options->has_deprecated = 0;
}

static void strip_message(Google__Protobuf__DescriptorProto *message)
{
    message->n_extension = 0;
    drop_unknown((ProtobufCMessage *)message->options);
    for (size_t i = 0; i < message->n_field; i++)
        strip_field(message->field[i]);
    for (size_t i = 0; i < message->n_oneof_decl; i++)
        drop_unknown((ProtobufCMessage *)message->oneof_decl[i]->options);
    for (size_t i = 0; i < message->n_enum_type; i++)
        strip_enum(message->enum_type[i]);
    for (size_t i = 0; i < message->n_nested_type; i++)
        strip_message(message->nested_type[i]);
}

/* Comments of what is no longer there would be given to something else. */
static void strip_locations(Google__Protobuf__SourceCodeInfo *info)
{
    size_t kept = 0;
    for (size_t i = 0; info != NULL && i < info->n_location; i++) {
        Google__Protobuf__SourceCodeInfo__Location *location = info->location[i];
        bool is_gone = location->n_path > 0 &&
                       (location->path[0] == FILE_SERVICE || location->path[0] == FILE_EXTENSION);
        if (!is_gone)
            info->location[kept++] = location;
    }
    if (info != NULL)
        info->n_location = kept;
}

/* With optimize_for=CODE_SIZE protoc-c would leave all names out of the descriptors. */
static void set_options(Google__Protobuf__FileDescriptorProto *file, struct arena *pool)
{
    /* Length, then field 4 = true. */
    static const uint8_t CONST_STRINGS[] = {2, 4 << 3, 1};
    if (file->options == NULL) {
        file->options = pool_calloc(pool, 1, sizeof(*file->options));
        google__protobuf__file_options__init(file->options);
    }
    ProtobufCMessageUnknownField *field = pool_calloc(pool, 1, sizeof(*field));
    *field = (ProtobufCMessageUnknownField){
        .tag = PROTOBUF_C_EXTENSION,
        .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
        .len = sizeof(CONST_STRINGS),
        .data = pool_calloc(pool, sizeof(CONST_STRINGS), 1),
    };
    memcpy(field->data, CONST_STRINGS, sizeof(CONST_STRINGS));
    file->options->has_optimize_for = 0;
    file->options->base.n_unknown_fields = 1;
    file->options->base.unknown_fields = field;
}

/* ---- imports ---- */

static bool is_declared_in(const Google__Protobuf__FileDescriptorProto *file, const char *type)
{
    const char *package = file->package != NULL ? file->package : "";
    const char *rest = type + 1;
    size_t len = strlen(package);
    if (len > 0) {
        if (strncmp(rest, package, len) != 0 || rest[len] != '.')
            return false;
        rest += len + 1;
    }
    size_t outermost = strcspn(rest, ".");
    for (size_t i = 0; i < file->n_message_type; i++) {
        const char *name = file->message_type[i]->name;
        if (strlen(name) == outermost && strncmp(name, rest, outermost) == 0)
            return true;
    }
    for (size_t i = 0; i < file->n_enum_type; i++) {
        const char *name = file->enum_type[i]->name;
        if (strlen(name) == outermost && strncmp(name, rest, outermost) == 0)
            return true;
    }
    return false;
}

static bool message_uses(const Google__Protobuf__DescriptorProto *message,
    const Google__Protobuf__FileDescriptorProto *import)
{
    for (size_t i = 0; i < message->n_field; i++) {
        const char *type = message->field[i]->type_name;
        if (type != NULL && type[0] == '.' && is_declared_in(import, type))
            return true;
    }
    for (size_t i = 0; i < message->n_nested_type; i++) {
        if (message_uses(message->nested_type[i], import))
            return true;
    }
    return false;
}

static bool service_uses(const Google__Protobuf__ServiceDescriptorProto *service,
    const Google__Protobuf__FileDescriptorProto *import)
{
    for (size_t i = 0; i < service->n_method; i++) {
        if (is_declared_in(import, service->method[i]->input_type) ||
            is_declared_in(import, service->method[i]->output_type))
            return true;
    }
    return false;
}

/* A public import is kept: another file may see its types through this one. */
static bool is_public(const Google__Protobuf__FileDescriptorProto *file, size_t index)
{
    for (size_t i = 0; i < file->n_public_dependency; i++) {
        if ((size_t)file->public_dependency[i] == index)
            return true;
    }
    return false;
}

/* The search for one import's types; a file is looked at once, however many ways lead to it. */
struct search {
    const Google__Protobuf__FileDescriptorSet *set;
    const Google__Protobuf__FileDescriptorProto *user;
    bool *is_seen; /* by index of set->file */
};

static bool uses_types_of(const Google__Protobuf__FileDescriptorProto *user,
    const Google__Protobuf__FileDescriptorProto *import)
{
    for (size_t i = 0; i < user->n_message_type; i++) {
        if (message_uses(user->message_type[i], import))
            return true;
    }
    for (size_t i = 0; i < user->n_service; i++) {
        if (service_uses(user->service[i], import))
            return true;
    }
    return false;
}

/* An import also lends the types of what it imports publicly. */
static bool uses(const struct search *search, const char *import_name)
{
    const Google__Protobuf__FileDescriptorSet *set = search->set;
    size_t index = 0;
    while (index < set->n_file && strcmp(set->file[index]->name, import_name) != 0)
        index++;
    if (index == set->n_file || search->is_seen[index])
        return false;
    search->is_seen[index] = true;
    const Google__Protobuf__FileDescriptorProto *import = set->file[index];
    if (uses_types_of(search->user, import))
        return true;
    for (size_t i = 0; i < import->n_dependency; i++) {
        if (is_public(import, i) && uses(search, import->dependency[i]))
            return true;
    }
    return false;
}

static bool is_used(const Google__Protobuf__FileDescriptorSet *set,
    const Google__Protobuf__FileDescriptorProto *user, const char *import_name, struct arena *pool)
{
    const struct search search = {
        .set = set, .user = user, .is_seen = pool_calloc(pool, set->n_file, sizeof(bool))};
    return uses(&search, import_name);
}

void rewrite_drop_unused_imports(const Google__Protobuf__FileDescriptorSet *set,
    Google__Protobuf__FileDescriptorProto *file, struct arena *pool)
{
    size_t kept = 0;
    size_t n_public = 0;
    for (size_t i = 0; i < file->n_dependency; i++) {
        bool stays_public = is_public(file, i);
        if (!stays_public && !is_used(set, file, file->dependency[i], pool))
            continue;
        if (stays_public)
            file->public_dependency[n_public++] = (int32_t)kept;
        file->dependency[kept++] = file->dependency[i];
    }
    file->n_dependency = kept;
    file->n_public_dependency = n_public;
    file->n_weak_dependency = 0;
}

void rewrite_set(Google__Protobuf__FileDescriptorSet *set, struct arena *pool)
{
    for (size_t i = 0; i < set->n_file; i++) {
        Google__Protobuf__FileDescriptorProto *file = set->file[i];
        file->n_service = 0;
        file->n_extension = 0;
        rewrite_drop_unused_imports(set, file, pool);
        for (size_t k = 0; k < file->n_message_type; k++)
            strip_message(file->message_type[k]);
        for (size_t k = 0; k < file->n_enum_type; k++)
            strip_enum(file->enum_type[k]);
        strip_locations(file->source_code_info);
        set_options(file, pool);
    }
}
