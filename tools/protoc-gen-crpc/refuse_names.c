/* Names that no C or C++ compiler takes, or that mean two things in one struct. */
#include <string.h>

#include "naming.h"
#include "pool.h"
#include "refuse.h"

/* What a message's struct has besides its fields, as protobuf-c and nanopb add it. */
static const char *added_member(
    struct arena *pool, const struct model_message *message, const char *name)
{
    if (strcmp(name, "base") == 0)
        return "the base that protobuf-c puts into every struct";
    for (size_t i = 0; i < message->n_fields; i++) {
        const struct model_field *field = &message->fields[i];
        if (field->is_repeated && strcmp(name, pool_printf(pool, "n_%s", field->member)) == 0)
            return pool_printf(pool, "the count that protobuf-c gives '%s'", field->name);
        if (field->is_repeated && strcmp(name, pool_printf(pool, "%s_count", field->member)) == 0)
            return pool_printf(pool, "the count that nanopb gives '%s'", field->name);
        if (!field->is_repeated && field->oneof < 0 &&
            strcmp(name, pool_printf(pool, "has_%s", field->member)) == 0)
            return pool_printf(pool, "the presence that a C library gives '%s'", field->name);
    }
    for (size_t i = 0; i < message->n_oneofs; i++) {
        const char *oneof = message->oneofs[i].name;
        if (strcmp(name, pool_printf(pool, "%s_case", oneof)) == 0 ||
            strcmp(name, pool_printf(pool, "which_%s", oneof)) == 0)
            return pool_printf(pool, "the selector of the oneof '%s'", oneof);
    }
    return NULL;
}

static void refuse_field(
    struct text *mistakes, struct arena *pool, const struct model_message *message, size_t index)
{
    const struct model_field *field = &message->fields[index];
    const char *refusal = naming_refusal(field->member);
    if (refusal != NULL)
        refuse_at(mistakes, message->file, &field->path, "%s.%s: '%s' %s; choose another name",
            message->full_name, field->name, field->member, refusal);
    const char *added = added_member(pool, message, field->member);
    if (added != NULL)
        refuse_at(mistakes, message->file, &field->path,
            "%s.%s: in C the name is taken by %s; choose another", message->full_name, field->name,
            added);
    for (size_t i = 0; i < index; i++) {
        if (strcmp(message->fields[i].member, field->member) == 0)
            refuse_at(mistakes, message->file, &field->path,
                "%s.%s: in C the same member as '%s', because case is lost", message->full_name,
                field->name, message->fields[i].name);
    }
}

static void refuse_message(
    struct text *mistakes, struct arena *pool, const struct model_message *message)
{
    const char *refusal = naming_refusal(message->short_name);
    if (refusal != NULL)
        refuse_at(mistakes, message->file, &message->path,
            "%s: its short name '%s' %s; use prefix=", message->full_name, message->short_name,
            refusal);
    for (size_t i = 0; i < message->n_fields; i++)
        refuse_field(mistakes, pool, message, i);
    for (size_t i = 0; i < message->n_oneofs; i++) {
        refusal = naming_refusal(message->oneofs[i].name);
        if (refusal != NULL)
            refuse_at(mistakes, message->file, &message->oneofs[i].path,
                "%s.%s: '%s' %s; choose another name", message->full_name, message->oneofs[i].name,
                message->oneofs[i].name, refusal);
    }
}

static void refuse_methods(struct text *mistakes, const struct model_service *service)
{
    for (size_t i = 0; i < service->n_methods; i++) {
        const struct model_method *method = &service->methods[i];
        const char *refusal = naming_refusal(method->snake);
        if (refusal == NULL)
            refusal = naming_function_refusal(method->snake);
        if (refusal != NULL)
            refuse_at(mistakes, service->file, &method->path,
                "%s.%s: its handler '%s' %s; choose another name", service->full_name, method->name,
                method->snake, refusal);
    }
}

void refuse_names(const struct model *model, struct text *mistakes)
{
    for (size_t i = 0; i < model->n_files; i++) {
        const struct model_file *file = &model->files[i];
        if (!file->is_generated)
            continue;
        for (size_t k = 0; k < file->n_messages; k++)
            refuse_message(mistakes, model->pool, &file->messages[k]);
        for (size_t k = 0; k < file->n_services; k++)
            refuse_methods(mistakes, &file->services[k]);
    }
}
