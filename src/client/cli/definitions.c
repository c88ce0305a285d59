#include "client/cli/definitions.h"

#include <string.h>

static bool is_googles(const char *full_name)
{
    static const char package[] = "google.protobuf.";
    return strncmp(full_name, package, sizeof(package) - 1) == 0;
}

/* Each once, in the order of their mention. */
static void add_message(struct definitions *out, const struct crpc_message_info *message)
{
    for (size_t i = 0; i < out->n_messages; i++)
        if (out->messages[i] == message)
            return;
    out->messages[out->n_messages++] = message;
}

static void add_enum(struct definitions *out, const struct crpc_enum_info *enumeration)
{
    for (size_t i = 0; i < out->n_enums; i++)
        if (out->enums[i] == enumeration)
            return;
    out->enums[out->n_enums++] = enumeration;
}

static void add_type_of(struct definitions *out, const struct crpc_field_info *field)
{
    if (field->is_map) {
        add_type_of(out, &field->message->fields[1]);
        return;
    }
    if (field->message && !is_googles(field->message->full_name))
        add_message(out, field->message);
    if (field->enumeration)
        add_enum(out, field->enumeration);
}

static void add_types_of(struct definitions *out, const struct crpc_message_info *message)
{
    for (size_t i = 0; i < message->n_fields; i++)
        add_type_of(out, &message->fields[i]);
}

static void add_everything(struct definitions *out, const struct crpc_catalog *catalog)
{
    out->services = catalog->services;
    out->n_services = catalog->n_services;
    for (size_t i = 0; i < catalog->n_messages; i++)
        add_message(out, catalog->messages[i]);
    for (size_t i = 0; i < catalog->n_enums; i++)
        add_enum(out, catalog->enums[i]);
}

static void add_symbol(struct definitions *out, const struct symbol *symbol)
{
    switch (symbol->kind) {
    case SYMBOL_METHOD:
        add_message(out, symbol->method->request);
        add_message(out, symbol->method->response);
        add_types_of(out, symbol->method->request);
        add_types_of(out, symbol->method->response);
        out->only_method = symbol->method;
        out->services = symbol->service;
        out->n_services = 1;
        return;
    case SYMBOL_SERVICE:
        out->services = symbol->service;
        out->n_services = 1;
        return;
    case SYMBOL_MESSAGE:
        add_message(out, symbol->message);
        add_types_of(out, symbol->message);
        return;
    case SYMBOL_FIELD:
        add_message(out, symbol->message);
        add_type_of(out, symbol->field);
        out->only_field = symbol->field;
        return;
    case SYMBOL_ENUM:
    case SYMBOL_VALUE:
        add_enum(out, symbol->enumeration);
        out->only_value = symbol->value;
        return;
    case SYMBOL_KIND_COUNT:
        break;
    }
}

int definitions_of(const struct crpc_catalog *catalog, const struct symbol *symbol,
    struct arena *arena, struct definitions *out, struct error *error)
{
    *out = (struct definitions){0};
    /* Arrays of pointers. */
    // NOLINTBEGIN(bugprone-sizeof-expression)
    out->messages = arena_calloc(arena, catalog->n_messages + 1, sizeof(*out->messages));
    out->enums = arena_calloc(arena, catalog->n_enums + 1, sizeof(*out->enums));
    // NOLINTEND(bugprone-sizeof-expression)
    if (!out->messages || !out->enums)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory");
    if (symbol)
        add_symbol(out, symbol);
    else
        add_everything(out, catalog);
    return 0;
}
