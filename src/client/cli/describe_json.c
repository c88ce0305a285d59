#include "client/cli/describe_json.h"

#include <inttypes.h>
#include <string.h>

#include "client/cli/describe_text.h"
#include "common/schema/json_write.h"

/* Keeps the first failure, so that printing reads as printing. */
struct printer {
    struct buffer *out;
    int result;
    bool needs_comma;
};

static void put(struct printer *printer, const char *text)
{
    if (printer->result == 0)
        printer->result = buffer_append_text(printer->out, text);
}

static void put_quoted(struct printer *printer, const char *text)
{
    if (printer->result == 0)
        printer->result = json_write_text(text, strlen(text), printer->out);
}

static void put_name(struct printer *printer, const char *name)
{
    put(printer, printer->needs_comma ? ",\"" : "\"");
    put(printer, name);
    put(printer, "\":");
    printer->needs_comma = true;
}

static void put_text(struct printer *printer, const char *name, const char *value)
{
    put_name(printer, name);
    put_quoted(printer, value);
}

/* Absent when it is not set. */
static void put_optional(struct printer *printer, const char *name, const char *value)
{
    if (value)
        put_text(printer, name, value);
}

static void put_number(struct printer *printer, const char *name, int64_t value)
{
    put_name(printer, name);
    if (printer->result == 0)
        printer->result = buffer_printf(printer->out, "%" PRId64, value);
}

static void put_flag(struct printer *printer, const char *name, bool value)
{
    put_name(printer, name);
    put(printer, value ? "true" : "false");
}

static void open_list(struct printer *printer, const char *name)
{
    put_name(printer, name);
    put(printer, "[");
    printer->needs_comma = false;
}

static void close_list(struct printer *printer)
{
    put(printer, "]");
    printer->needs_comma = true;
}

static void open_item(struct printer *printer)
{
    put(printer, printer->needs_comma ? ",{" : "{");
    printer->needs_comma = false;
}

static void close_item(struct printer *printer)
{
    put(printer, "}");
    printer->needs_comma = true;
}

static void put_method(struct printer *printer, const struct rpc_method *method)
{
    open_item(printer);
    put_text(printer, "name", method->name);
    put_text(printer, "input_type", method->request->full_name);
    put_text(printer, "output_type", method->response->full_name);
    put_flag(
        printer, "client_streaming", method->kind == RPC_CLIENT_STREAM || method->kind == RPC_BIDI);
    put_flag(
        printer, "server_streaming", method->kind == RPC_SERVER_STREAM || method->kind == RPC_BIDI);
    put_flag(printer, "mutates", method->mutates);
    put_flag(printer, "idempotent", method->idempotent);
    put_number(printer, "max_deadline_ms", method->max_deadline_ms);
    put_text(printer, "comment", method->comment);
    close_item(printer);
}

static const char *type_name(const struct crpc_field_info *field)
{
    if (field->message)
        return field->message->full_name;
    return field->enumeration ? field->enumeration->full_name : NULL;
}

static void put_map(struct printer *printer, const struct crpc_message_info *entry)
{
    put_text(printer, "key_type", describe_text_scalar(entry->descriptor->fields[0].type));
    put_text(printer, "value_type", describe_text_scalar(entry->descriptor->fields[1].type));
    put_optional(printer, "value_type_name", type_name(&entry->fields[1]));
}

static void put_field(
    struct printer *printer, const struct crpc_message_info *message, size_t index)
{
    static const char *const units[] = {
        [CRPC_UNIT_NONE] = NULL, [CRPC_UNIT_BYTES] = "bytes", [CRPC_UNIT_MODE] = "mode"};
    const struct crpc_field_info *field = &message->fields[index];
    const ProtobufCFieldDescriptor *descriptor = &message->descriptor->fields[index];
    bool is_list = descriptor->label == PROTOBUF_C_LABEL_REPEATED && !field->is_map;
    open_item(printer);
    put_text(printer, "name", field->name);
    put_text(printer, "json_name", field->json_name);
    put_number(printer, "number", field->number);
    put_text(printer, "type", field->is_map ? "map" : describe_text_scalar(descriptor->type));
    if (field->is_map)
        put_map(printer, field->message);
    else
        put_optional(printer, "type_name", type_name(field));
    put_flag(printer, "repeated", is_list);
    put_optional(printer, "oneof", field->oneof >= 0 ? message->oneof_names[field->oneof] : NULL);
    put_flag(printer, "required", field->required);
    put_optional(printer, "default", field->default_value);
    put_optional(printer, "min", field->min);
    put_optional(printer, "max", field->max);
    put_optional(printer, "unit", units[field->unit]);
    put_number(printer, "max_bytes", field->max_bytes);
    put_number(printer, "max_items", field->max_items);
    put_flag(printer, "secret", field->secret);
    put_text(printer, "comment", field->comment);
    close_item(printer);
}

static void put_service(
    struct printer *printer, const struct crpc_service_info *service, const struct rpc_method *only)
{
    open_item(printer);
    put_text(printer, "name", service->full_name);
    put_text(printer, "comment", service->comment);
    open_list(printer, "methods");
    for (size_t i = 0; i < service->n_methods; i++)
        if (!only || only == &service->methods[i])
            put_method(printer, &service->methods[i]);
    close_list(printer);
    close_item(printer);
}

static void put_message(struct printer *printer, const struct crpc_message_info *message,
    const struct crpc_field_info *only)
{
    open_item(printer);
    put_text(printer, "name", message->full_name);
    put_text(printer, "comment", message->comment);
    open_list(printer, "fields");
    for (size_t i = 0; i < message->n_fields; i++)
        if (!only || only == &message->fields[i])
            put_field(printer, message, i);
    close_list(printer);
    close_item(printer);
}

static void put_enum(struct printer *printer, const struct crpc_enum_info *enumeration,
    const struct crpc_enum_value_info *only)
{
    open_item(printer);
    put_text(printer, "name", enumeration->full_name);
    put_text(printer, "comment", enumeration->comment);
    open_list(printer, "values");
    for (size_t i = 0; i < enumeration->n_values; i++) {
        const struct crpc_enum_value_info *value = &enumeration->values[i];
        if (only && only != value)
            continue;
        open_item(printer);
        put_text(printer, "name", value->name);
        put_number(printer, "number", value->number);
        put_text(printer, "comment", value->comment);
        close_item(printer);
    }
    close_list(printer);
    close_item(printer);
}

int describe_json(const struct definitions *definitions, struct buffer *out)
{
    struct printer printer = {.out = out};
    open_item(&printer);
    open_list(&printer, "services");
    for (size_t i = 0; i < definitions->n_services; i++)
        put_service(&printer, &definitions->services[i], definitions->only_method);
    close_list(&printer);
    open_list(&printer, "messages");
    for (size_t i = 0; i < definitions->n_messages; i++)
        put_message(&printer, definitions->messages[i], i == 0 ? definitions->only_field : NULL);
    close_list(&printer);
    open_list(&printer, "enums");
    for (size_t i = 0; i < definitions->n_enums; i++)
        put_enum(&printer, definitions->enums[i], i == 0 ? definitions->only_value : NULL);
    close_list(&printer);
    close_item(&printer);
    return printer.result;
}
