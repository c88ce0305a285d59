#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "model_names.h"
#include "naming.h"
#include "pool.h"

/* Field numbers of descriptor.proto that appear in paths. */
enum {
    FILE_SYNTAX = 12,
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_SERVICE = 6,
    MESSAGE_FIELD = 2,
    MESSAGE_NESTED = 3,
    MESSAGE_ENUM = 4,
    MESSAGE_ONEOF = 8,
    ENUM_VALUE = 2,
    SERVICE_METHOD = 2
};

static const char *join(const struct model *model, const char *a, const char *b)
{
    return a[0] == '\0' ? b : pool_printf(model->pool, "%s_%s", a, b);
}

static const char *full_name_in(const struct model *model, const char *scope, const char *name)
{
    return scope[0] == '\0' ? name : pool_printf(model->pool, "%s.%s", scope, name);
}

/* ---- counting, so that every table is allocated once ---- */

static void count_message(struct model *model, const Google__Protobuf__DescriptorProto *proto)
{
    model->n_messages++;
    model->n_enums += proto->n_enum_type;
    for (size_t i = 0; i < proto->n_nested_type; i++)
        count_message(model, proto->nested_type[i]);
}

static void count_file(struct model *model, const Google__Protobuf__FileDescriptorProto *proto)
{
    model->n_enums += proto->n_enum_type;
    for (size_t i = 0; i < proto->n_message_type; i++)
        count_message(model, proto->message_type[i]);
}

/* ---- filling ---- */

static void fill_enum_value(struct model *model, struct model_enum *enumeration, size_t index)
{
    const Google__Protobuf__EnumValueDescriptorProto *proto = enumeration->proto->value[index];
    struct model_enum_value *value = &enumeration->values[index];
    value->path = comment_path_in(&enumeration->path, ENUM_VALUE, (int32_t)index);
    value->name = proto->name;
    value->number = proto->number;
    value->short_name = naming_enum_value(model->pool, enumeration->proto->name, proto->name);
    value->constant = join(model, enumeration->short_upper, value->short_name);
    value->comment = comments_text(enumeration->file->proto, &value->path, model->pool);
    for (size_t i = 0; i < index; i++)
        value->is_alias = value->is_alias || enumeration->values[i].number == value->number;
}

static void add_enum(struct model *model, struct model_file *file,
    const Google__Protobuf__EnumDescriptorProto *proto, struct comment_path path, const char *scope,
    const char *short_scope)
{
    struct model_enum *enumeration = &model->enums[model->n_enums++];
    const char *snake = naming_snake(model->pool, proto->name);
    *enumeration = (struct model_enum){
        .file = file,
        .proto = proto,
        .path = path,
        .full_name = full_name_in(model, scope, proto->name),
        .short_name = join(model, short_scope, snake),
        .comment = comments_text(file->proto, &path, model->pool),
        .n_values = proto->n_value,
        .values = pool_calloc(model->pool, proto->n_value, sizeof(*enumeration->values)),
    };
    enumeration->short_upper = naming_upper(model->pool, enumeration->short_name);
    for (size_t i = 0; i < proto->n_value; i++)
        fill_enum_value(model, enumeration, i);
}

static int compare_fields(const void *a, const void *b)
{
    const struct model_field *left = a;
    const struct model_field *right = b;
    return (left->proto->number > right->proto->number) -
           (left->proto->number < right->proto->number);
}

/* FieldOptions or MethodOptions, if there can be rules in them; else NULL. */
static const ProtobufCMessage *rules_in(const struct model *model, const void *options)
{
    return model->has_rules ? options : NULL;
}

static void fill_field(struct model *model, struct model_message *message, size_t index)
{
    const Google__Protobuf__FieldDescriptorProto *proto = message->proto->field[index];
    struct model_field *field = &message->fields[index];
    struct comment_path path = comment_path_in(&message->path, MESSAGE_FIELD, (int32_t)index);
    *field = (struct model_field){
        .proto = proto,
        .path = path,
        .name = proto->name,
        .member = model->options->nano ? proto->name : naming_member(model->pool, proto->name),
        .comment = comments_text(message->file->proto, &path, model->pool),
        .rule = rules_of_field(rules_in(model, proto->options), model->pool),
        .is_repeated =
            proto->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED,
        .oneof = proto->has_oneof_index ? proto->oneof_index : -1,
    };
}

static void fill_members(struct model *model, struct model_message *message)
{
    const Google__Protobuf__DescriptorProto *proto = message->proto;
    message->n_fields = proto->n_field;
    message->fields = pool_calloc(model->pool, proto->n_field, sizeof(*message->fields));
    for (size_t i = 0; i < proto->n_field; i++)
        fill_field(model, message, i);
    qsort(message->fields, message->n_fields, sizeof(*message->fields), compare_fields);
    message->n_oneofs = proto->n_oneof_decl;
    message->oneofs = pool_calloc(model->pool, proto->n_oneof_decl, sizeof(*message->oneofs));
    for (size_t i = 0; i < proto->n_oneof_decl; i++) {
        message->oneofs[i].name = proto->oneof_decl[i]->name;
        message->oneofs[i].path = comment_path_in(&message->path, MESSAGE_ONEOF, (int32_t)i);
    }
}

static void add_message(struct model *model, struct model_file *file,
    const Google__Protobuf__DescriptorProto *proto, struct comment_path path, const char *scope,
    const char *short_scope)
{
    struct model_message *message = &model->messages[model->n_messages++];
    *message = (struct model_message){
        .file = file,
        .proto = proto,
        .path = path,
        .full_name = full_name_in(model, scope, proto->name),
        .short_name = join(model, short_scope, naming_snake(model->pool, proto->name)),
        .comment = comments_text(file->proto, &path, model->pool),
        .is_map_entry = proto->options != NULL && proto->options->map_entry,
    };
    message->short_upper = naming_upper(model->pool, message->short_name);
    fill_members(model, message);
    for (size_t i = 0; i < proto->n_enum_type; i++)
        add_enum(model, file, proto->enum_type[i], comment_path_in(&path, MESSAGE_ENUM, (int32_t)i),
            message->full_name, message->short_name);
    for (size_t i = 0; i < proto->n_nested_type; i++)
        add_message(model, file, proto->nested_type[i],
            comment_path_in(&path, MESSAGE_NESTED, (int32_t)i), message->full_name,
            message->short_name);
}

static bool is_requested(
    const Google__Protobuf__Compiler__CodeGeneratorRequest *request, const char *path)
{
    for (size_t i = 0; i < request->n_file_to_generate; i++) {
        if (strcmp(request->file_to_generate[i], path) == 0)
            return true;
    }
    return false;
}

static const char *stem_of(const struct model *model, const char *path)
{
    const char *dot = strrchr(path, '.');
    size_t len = dot != NULL && strcmp(dot, ".proto") == 0 ? (size_t)(dot - path) : strlen(path);
    return pool_strndup(model->pool, path, len);
}

static void fill_file(struct model *model, struct model_file *file,
    const Google__Protobuf__FileDescriptorProto *proto, bool is_generated)
{
    const struct comment_path root = {0};
    const struct comment_path syntax = {.length = 1, .steps = {FILE_SYNTAX}};
    *file = (struct model_file){
        .proto = proto,
        .path = proto->name,
        .stem = stem_of(model, proto->name),
        .package = proto->package != NULL ? proto->package : "",
        .is_generated = is_generated,
        .comment = comments_text(proto, &syntax, model->pool),
        .messages = &model->messages[model->n_messages],
        .enums = &model->enums[model->n_enums],
    };
    file->prefix =
        options_prefix(model->options, file->package, file->stem, is_generated, model->pool);
    size_t first_message = model->n_messages;
    size_t first_enum = model->n_enums;
    for (size_t i = 0; i < proto->n_enum_type; i++)
        add_enum(model, file, proto->enum_type[i], comment_path_in(&root, FILE_ENUM, (int32_t)i),
            file->package, file->prefix);
    for (size_t i = 0; i < proto->n_message_type; i++)
        add_message(model, file, proto->message_type[i],
            comment_path_in(&root, FILE_MESSAGE, (int32_t)i), file->package, file->prefix);
    file->n_messages = model->n_messages - first_message;
    file->n_enums = model->n_enums - first_enum;
}

/* ---- look-up ---- */

static int compare_types(const void *a, const void *b)
{
    const struct model_type *left = a;
    const struct model_type *right = b;
    return strcmp(left->full_name, right->full_name);
}

static void index_types(struct model *model)
{
    size_t n_types = model->n_messages + model->n_enums;
    model->types = pool_calloc(model->pool, n_types, sizeof(*model->types));
    for (size_t i = 0; i < model->n_messages; i++)
        model->types[model->n_types++] = (struct model_type){
            .full_name = model->messages[i].full_name, .message = &model->messages[i]};
    for (size_t i = 0; i < model->n_enums; i++)
        model->types[model->n_types++] = (struct model_type){
            .full_name = model->enums[i].full_name, .enumeration = &model->enums[i]};
    if (model->n_types > 0)
        qsort(model->types, model->n_types, sizeof(*model->types), compare_types);
}

/* `full_name` with or without the leading dot; NULL: not in this run. */
static const struct model_type *find_type(const struct model *model, const char *full_name)
{
    const struct model_type key = {.full_name = full_name + (full_name[0] == '.' ? 1 : 0)};
    return bsearch(&key, model->types, model->n_types, sizeof(key), compare_types);
}

/* ---- linking: types of fields, methods, imports in use ---- */

static void link_field(const struct model *model, struct model_field *field)
{
    const char *name = field->proto->type_name;
    const struct model_type *type = name != NULL ? find_type(model, name) : NULL;
    if (type == NULL)
        return;
    field->message = type->message;
    field->enumeration = type->enumeration;
    field->is_map = field->is_repeated && field->message != NULL && field->message->is_map_entry;
}

static bool is_unary(const Google__Protobuf__MethodDescriptorProto *proto)
{
    return !proto->client_streaming && !proto->server_streaming;
}

static void add_method(struct model *model, struct model_service *service, size_t index,
    const Google__Protobuf__MethodDescriptorProto *proto)
{
    struct model_method *method = &service->methods[service->n_methods++];
    const char *snake = naming_snake(model->pool, proto->name);
    *method = (struct model_method){
        .proto = proto,
        .path = comment_path_in(&service->path, SERVICE_METHOD, (int32_t)index),
        .name = proto->name,
        .snake = snake,
        .handler = naming_handler(model->pool, snake),
        .client_name = join(model, service->short_name, snake),
        .rule = rules_of_method(rules_in(model, proto->options), model->pool),
        .input = find_type(model, proto->input_type)->message,
        .output = find_type(model, proto->output_type)->message,
        .client_streams = proto->client_streaming,
        .server_streams = proto->server_streaming,
        .is_unary = is_unary(proto),
    };
    method->call_name = model->options->short_calls ? join(model, service->file->prefix, snake)
                                                    : method->client_name;
    method->constant = naming_upper(model->pool, method->client_name);
    method->row =
        pool_printf(model->pool, "&%s_methods[%s]", service->short_name, method->constant);
    method->comment = comments_text(service->file->proto, &method->path, model->pool);
}

static void fill_service(struct model *model, struct model_file *file, size_t index)
{
    const Google__Protobuf__ServiceDescriptorProto *proto = file->proto->service[index];
    const struct comment_path root = {0};
    struct model_service *service = &file->services[index];
    const char *stem = naming_service(model->pool, proto->name);
    bool says_the_same = strcmp(stem, file->prefix) == 0;
    *service = (struct model_service){
        .file = file,
        .path = comment_path_in(&root, FILE_SERVICE, (int32_t)index),
        .full_name = full_name_in(model, file->package, proto->name),
        .short_name = says_the_same ? stem : join(model, file->prefix, stem),
        .left_out = "",
        .methods = pool_calloc(model->pool, proto->n_method, sizeof(*service->methods)),
    };
    service->short_upper = naming_upper(model->pool, service->short_name);
    service->comment = comments_text(file->proto, &service->path, model->pool);
    for (size_t i = 0; i < proto->n_method; i++) {
        if (is_unary(proto->method[i]) || !model->options->nano)
            add_method(model, service, i, proto->method[i]);
        else
            service->left_out =
                service->left_out[0] == '\0'
                    ? proto->method[i]->name
                    : pool_printf(model->pool, "%s, %s", service->left_out, proto->method[i]->name);
    }
}

static void link_services(struct model *model, struct model_file *file)
{
    file->n_services = file->proto->n_service;
    file->services = pool_calloc(model->pool, file->n_services, sizeof(*file->services));
    for (size_t i = 0; i < file->n_services; i++)
        fill_service(model, file, i);
}

static bool has_import(const struct model_file *file, const struct model_file *import)
{
    for (size_t i = 0; i < file->n_imports; i++) {
        if (file->imports[i].file == import)
            return true;
    }
    return false;
}

static void use_import(struct model_file *file, const struct model_file *import)
{
    if (import != file && !has_import(file, import))
        file->imports[file->n_imports++].file = import;
}

static int compare_imports(const void *a, const void *b)
{
    const struct model_import *left = a;
    const struct model_import *right = b;
    return strcmp(left->file->path, right->file->path);
}

static void link_imports(const struct model *model, struct model_file *file)
{
    file->imports = pool_calloc(model->pool, model->n_files, sizeof(*file->imports));
    for (size_t i = 0; i < file->n_messages; i++) {
        for (size_t k = 0; k < file->messages[i].n_fields; k++) {
            const struct model_field *field = &file->messages[i].fields[k];
            if (field->message != NULL)
                use_import(file, field->message->file);
            if (field->enumeration != NULL)
                use_import(file, field->enumeration->file);
        }
    }
    for (size_t i = 0; i < file->n_services; i++) {
        for (size_t k = 0; k < file->services[i].n_methods; k++) {
            use_import(file, file->services[i].methods[k].input->file);
            use_import(file, file->services[i].methods[k].output->file);
        }
    }
    qsort(file->imports, file->n_imports, sizeof(*file->imports), compare_imports);
}

struct model *model_new(const Google__Protobuf__Compiler__CodeGeneratorRequest *request,
    const struct options *options, struct arena *pool)
{
    struct model *model = pool_calloc(pool, 1, sizeof(*model));
    *model = (struct model){.pool = pool,
        .options = options,
        .n_files = request->n_proto_file,
        .has_rules = rules_are_declared(request)};
    for (size_t i = 0; i < model->n_files; i++)
        count_file(model, request->proto_file[i]);
    model->files = pool_calloc(pool, model->n_files, sizeof(*model->files));
    model->messages = pool_calloc(pool, model->n_messages, sizeof(*model->messages));
    model->enums = pool_calloc(pool, model->n_enums, sizeof(*model->enums));
    model->n_messages = 0;
    model->n_enums = 0;
    for (size_t i = 0; i < model->n_files; i++)
        fill_file(model, &model->files[i], request->proto_file[i],
            is_requested(request, request->proto_file[i]->name));
    index_types(model);
    for (size_t i = 0; i < model->n_messages; i++) {
        for (size_t k = 0; k < model->messages[i].n_fields; k++)
            link_field(model, &model->messages[i].fields[k]);
    }
    for (size_t i = 0; i < model->n_files; i++)
        link_services(model, &model->files[i]);
    for (size_t i = 0; i < model->n_files; i++)
        link_imports(model, &model->files[i]);
    model_give_names(model);
    return model;
}
