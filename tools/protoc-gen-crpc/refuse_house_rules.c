/* lint=strict: our own rules, which a stranger's files need not know. */
#include <string.h>

#include "naming.h"
#include "refuse.h"

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* A reader cannot tell zero from absent, so zero must mean nothing. */
static void refuse_enum(struct text *mistakes, const struct model_enum *enumeration)
{
    const struct model_enum_value *zero = &enumeration->values[0];
    if (zero->number != 0 || !ends_with(zero->name, "_UNSPECIFIED"))
        refuse_at(mistakes, enumeration->file, &zero->path,
            "%s.%s: the first value must be 0 and end in _UNSPECIFIED", enumeration->full_name,
            zero->name);
}

/* A client with fixed buffers can hold what is bounded, and nobody can be sent what is not. */
static void refuse_unbounded(
    struct text *mistakes, const struct model_message *message, const struct model_field *field)
{
    bool is_text =
        field->proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING ||
        field->proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES;
    if (is_text && field->rule.max_bytes == 0 && !message->is_map_entry)
        refuse_at(mistakes, message->file, &field->path, "%s.%s: a text without (rule).max_bytes",
            message->full_name, field->name);
    if (field->is_repeated && field->rule.max_items == 0)
        refuse_at(mistakes, message->file, &field->path, "%s.%s: repeated without (rule).max_items",
            message->full_name, field->name);
}

/* protobuf-c would make a header of it that no C++ compiler reads. */
static void refuse_cxx_keyword(
    struct text *mistakes, const struct model_message *message, const struct model_field *field)
{
    const char *refusal = naming_cxx_refusal(field->member);
    if (refusal != NULL)
        refuse_at(mistakes, message->file, &field->path, "%s.%s: '%s' %s; choose another name",
            message->full_name, field->name, field->member, refusal);
}

static void refuse_fields(struct text *mistakes, const struct model_message *message)
{
    for (size_t i = 0; i < message->n_fields; i++) {
        refuse_unbounded(mistakes, message, &message->fields[i]);
        refuse_cxx_keyword(mistakes, message, &message->fields[i]);
    }
}

/* Whether a call may be repeated is asked of every method; what changes nothing always may be. */
static void refuse_method(
    struct text *mistakes, const struct model_service *service, const struct model_method *method)
{
    if (!method->rule.mutates && !method->rule.idempotent)
        refuse_at(mistakes, service->file, &method->path,
            "%s.%s: needs (method).mutates, (method).idempotent, or both", service->full_name,
            method->name);
    if (method->comment[0] == '\0')
        refuse_at(mistakes, service->file, &method->path, "%s.%s: has no comment",
            service->full_name, method->name);
}

void refuse_house_rules(const struct model *model, struct text *mistakes)
{
    for (size_t i = 0; i < model->n_files; i++) {
        const struct model_file *file = &model->files[i];
        if (!file->is_generated)
            continue;
        for (size_t k = 0; k < file->n_enums; k++)
            refuse_enum(mistakes, &file->enums[k]);
        for (size_t k = 0; k < file->n_messages; k++)
            refuse_fields(mistakes, &file->messages[k]);
        for (size_t k = 0; k < file->n_services; k++) {
            for (size_t n = 0; n < file->services[k].n_methods; n++)
                refuse_method(mistakes, &file->services[k], &file->services[k].methods[n]);
        }
    }
}
