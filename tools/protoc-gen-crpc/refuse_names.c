/* Names that no C or C++ compiler takes, or that mean two things in one struct. */
#include <string.h>

#include "naming.h"
#include "pool.h"
#include "refuse.h"

/* Which of the two C libraries makes the structs: each adds members of its own. */
enum flavour { PROTOBUF_C, NANOPB };

static bool is_message(const struct model_field *field)
{
    return field->proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE;
}

static bool is_text(const struct model_field *field)
{
    return field->proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING;
}

/* Whether the library adds `has_` to the field. protobuf-c: where absence shows neither in a
 * pointer nor in a zero. nanopb: for messages too. */
static bool has_presence(
    enum flavour flavour, const struct model_message *message, const struct model_field *field)
{
    const char *syntax = message->file->proto->syntax;
    bool is_proto3 = syntax != NULL && strcmp(syntax, "proto3") == 0;
    bool is_optional =
        !field->is_repeated && field->oneof < 0 &&
        field->proto->label != GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REQUIRED;
    if (flavour == NANOPB)
        return is_optional && (is_message(field) || !is_proto3);
    return is_optional && !is_proto3 && !is_message(field) && !is_text(field);
}

/* Whether `name` is `before`, `middle` and `behind`, one after the other. */
static bool is_joined(const char *name, const char *before, const char *middle, const char *behind)
{
    size_t before_len = strlen(before);
    size_t middle_len = strlen(middle);
    return strncmp(name, before, before_len) == 0 &&
           strncmp(name + before_len, middle, middle_len) == 0 &&
           strcmp(name + before_len + middle_len, behind) == 0;
}

/* What the library adds to a message's struct under this name, or NULL. */
static const char *added_for_field(struct arena *pool, enum flavour flavour,
    const struct model_message *message, const struct model_field *field, const char *name)
{
    bool is_nanopb = flavour == NANOPB;
    if (field->is_repeated &&
        is_joined(name, is_nanopb ? "" : "n_", field->member, is_nanopb ? "_count" : ""))
        return pool_printf(pool, "the count of '%s'", field->name);
    if (is_joined(name, "has_", field->member, "") && has_presence(flavour, message, field))
        return pool_printf(pool, "the presence of '%s'", field->name);
    return NULL;
}

static const char *added_member(
    struct arena *pool, enum flavour flavour, const struct model_message *message, const char *name)
{
    bool is_nanopb = flavour == NANOPB;
    if (!is_nanopb && strcmp(name, "base") == 0)
        return "the base of every struct";
    for (size_t i = 0; i < message->n_fields; i++) {
        const char *added = added_for_field(pool, flavour, message, &message->fields[i], name);
        if (added != NULL)
            return added;
    }
    for (size_t i = 0; i < message->n_oneofs; i++) {
        const char *oneof = message->oneofs[i].name;
        if (is_joined(name, is_nanopb ? "which_" : "", oneof, is_nanopb ? "" : "_case"))
            return pool_printf(pool, "the selector of the oneof '%s'", oneof);
    }
    return NULL;
}

static void refuse_field(struct text *mistakes, const struct model *model,
    const struct model_message *message, size_t index)
{
    enum flavour flavour = model->options->nano ? NANOPB : PROTOBUF_C;
    const struct model_field *field = &message->fields[index];
    const char *refusal = naming_refusal(field->member);
    if (refusal != NULL)
        refuse_at(mistakes, message->file, &field->path, "%s.%s: '%s' %s; choose another name",
            message->full_name, field->name, field->member, refusal);
    const char *added = added_member(model->pool, flavour, message, field->member);
    if (added != NULL)
        refuse_at(mistakes, message->file, &field->path,
            "%s.%s: %s gives this name to %s; choose another", message->full_name, field->name,
            flavour == NANOPB ? "nanopb" : "protobuf-c", added);
    for (size_t i = 0; i < index; i++) {
        if (strcmp(message->fields[i].member, field->member) == 0)
            refuse_at(mistakes, message->file, &field->path,
                "%s.%s: in C the same member as '%s', because case is lost", message->full_name,
                field->name, message->fields[i].name);
    }
}

/* "FILE", "EOF", "SIGINT": protobuf-c's type of a message without a package is the bare name, and
 * names in capitals are the C library's. */
static bool is_librarys(const char *full_name)
{
    size_t capitals = strspn(full_name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    return full_name[capitals] == '\0' && (capitals > 1 || full_name[0] == 'I');
}

static void refuse_message(
    struct text *mistakes, const struct model *model, const struct model_message *message)
{
    const char *refusal = naming_refusal(message->short_name);
    if (refusal == NULL)
        refusal = naming_cxx_refusal(message->short_name);
    if (refusal != NULL)
        refuse_at(mistakes, message->file, &message->path,
            "%s: its short name '%s' %s; use prefix=", message->full_name, message->short_name,
            refusal);
    if (is_librarys(message->full_name))
        refuse_at(mistakes, message->file, &message->path,
            "%s: a name in capitals without a package may be the C library's; give the file a "
            "package",
            message->full_name);
    for (size_t i = 0; i < message->n_fields; i++)
        refuse_field(mistakes, model, message, i);
    /* protobuf-c has nothing of that name alone. */
    for (size_t i = 0; model->options->nano && i < message->n_oneofs; i++) {
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
        size_t first = 0;
        while (strcmp(service->methods[first].handler, method->handler) != 0)
            first++;
        if (first < i)
            refuse_at(mistakes, service->file, &method->path,
                "%s.%s: its handler '%s' is also that of %s; rename one", service->full_name,
                method->name, method->handler, service->methods[first].name);
    }
}

void refuse_names(const struct model *model, struct text *mistakes)
{
    for (size_t i = 0; i < model->n_files; i++) {
        const struct model_file *file = &model->files[i];
        if (!file->is_generated)
            continue;
        for (size_t k = 0; k < file->n_messages; k++)
            refuse_message(mistakes, model, &file->messages[k]);
        for (size_t k = 0; k < file->n_services; k++)
            refuse_methods(mistakes, &file->services[k]);
    }
}
