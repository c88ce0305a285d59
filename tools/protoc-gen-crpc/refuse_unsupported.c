/* Features of protobuf that one of the two C libraries does not have. */
#include <string.h>

#include "refuse.h"

/* protobuf-c 1.4 writes some defaults into C as they stand. */
static const char *unwritable_default(const Google__Protobuf__FieldDescriptorProto *proto)
{
    const char *value = proto->default_value;
    if (value == NULL)
        return NULL;
    if (proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_DOUBLE ||
        proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_FLOAT)
        return strstr(value, "inf") != NULL || strstr(value, "nan") != NULL ? "is a word" : NULL;
    if (proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING ||
        proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES)
        return strstr(value, "??") != NULL ? "has a trigraph" : NULL;
    if (proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_INT64 ||
        proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_SINT64 ||
        proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_SFIXED64)
        return strcmp(value, "-9223372036854775808") == 0 ? "is out of range" : NULL;
    return NULL;
}

static void refuse_field(
    struct text *mistakes, const struct model_message *message, const struct model_field *field)
{
    if (field->proto->proto3_optional)
        refuse_at(mistakes, message->file, &field->path,
            "%s.%s: protobuf-c has no proto3 `optional`; put the field alone into a oneof, which "
            "is the same on the wire",
            message->full_name, field->name);
    const char *unwritable = unwritable_default(field->proto);
    if (unwritable != NULL)
        refuse_at(mistakes, message->file, &field->path,
            "%s.%s: protobuf-c writes its default '%s' into C as it stands, where it %s; choose "
            "another, or none",
            message->full_name, field->name, field->proto->default_value, unwritable);
    if (field->proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_GROUP)
        refuse_at(mistakes, message->file, &field->path,
            "%s.%s: neither C library reads groups; use a message", message->full_name,
            field->name);
}

static void refuse_method(
    struct text *mistakes, const struct model_service *service, const struct model_method *method)
{
    const char *deadline = method->rule.max_deadline;
    if (deadline != NULL && rules_duration_ms(deadline) < 0)
        refuse_at(mistakes, service->file, &method->path,
            "%s.%s: max_deadline '%s' is not a number with ms, s, m or h", service->full_name,
            method->name, deadline);
}

void refuse_unsupported(const struct model *model, struct text *mistakes)
{
    for (size_t i = 0; i < model->n_files; i++) {
        const struct model_file *file = &model->files[i];
        if (!file->is_generated)
            continue;
        for (size_t k = 0; k < file->n_messages; k++) {
            for (size_t n = 0; n < file->messages[k].n_fields; n++)
                refuse_field(mistakes, &file->messages[k], &file->messages[k].fields[n]);
        }
        for (size_t k = 0; k < file->n_services; k++) {
            for (size_t n = 0; n < file->services[k].n_methods; n++)
                refuse_method(mistakes, &file->services[k], &file->services[k].methods[n]);
        }
    }
}
