#include "client/cli/describe_text.h"

#include <inttypes.h>
#include <string.h>

#include "client/cli/method_name.h"
#include "client/cli/terminal.h"

enum {
    KIND_WIDTH = sizeof("server stream") - 1,
    MS_PER_S = 1000,
    S_PER_MINUTE = 60,
    S_PER_HOUR = 3600
};

/* What is written on, and how. */
struct page {
    FILE *out;
    bool color;
    /* The package that names are told without: "flocks.v1." of "flocks.v1.ServiceStatus". */
    const char *package;
    size_t package_len;
};

static struct page page_of(const char *full_name, bool color, FILE *out)
{
    return (struct page){.out = out,
        .color = color,
        .package = full_name,
        .package_len = (size_t)(method_name_short(full_name) - full_name)};
}

/* ---- pieces ---- */

static const char *kind_text(enum rpc_kind kind)
{
    static const char *const texts[] = {
        [RPC_UNARY] = "unary",
        [RPC_SERVER_STREAM] = "server stream",
        [RPC_CLIENT_STREAM] = "client stream",
        [RPC_BIDI] = "bidi stream",
    };
    return texts[kind];
}

const char *describe_text_scalar(ProtobufCType type)
{
    static const char *const texts[] = {
        [PROTOBUF_C_TYPE_INT32] = "int32",
        [PROTOBUF_C_TYPE_SINT32] = "sint32",
        [PROTOBUF_C_TYPE_SFIXED32] = "sfixed32",
        [PROTOBUF_C_TYPE_INT64] = "int64",
        [PROTOBUF_C_TYPE_SINT64] = "sint64",
        [PROTOBUF_C_TYPE_SFIXED64] = "sfixed64",
        [PROTOBUF_C_TYPE_UINT32] = "uint32",
        [PROTOBUF_C_TYPE_FIXED32] = "fixed32",
        [PROTOBUF_C_TYPE_UINT64] = "uint64",
        [PROTOBUF_C_TYPE_FIXED64] = "fixed64",
        [PROTOBUF_C_TYPE_FLOAT] = "float",
        [PROTOBUF_C_TYPE_DOUBLE] = "double",
        [PROTOBUF_C_TYPE_BOOL] = "bool",
        [PROTOBUF_C_TYPE_ENUM] = "enum",
        [PROTOBUF_C_TYPE_STRING] = "string",
        [PROTOBUF_C_TYPE_BYTES] = "bytes",
        [PROTOBUF_C_TYPE_MESSAGE] = "message",
    };
    return texts[type];
}

static const char *name_on(const struct page *page, const char *full_name)
{
    bool is_ours = strncmp(full_name, page->package, page->package_len) == 0;
    return is_ours ? full_name + page->package_len : full_name;
}

static void print_comment(const struct page *page, int indent, const char *comment)
{
    while (*comment) {
        size_t len = strcspn(comment, "\n");
        fprintf(page->out, "%*s%s//%s%.*s%s\n", indent, "",
            terminal_color(TERMINAL_DIM, page->color), len > 0 ? " " : "", (int)len, comment,
            terminal_reset(page->color));
        comment += len + (comment[len] == '\n');
    }
}

/* Up to the end of its first sentence, on one line. */
static void print_first_sentence(const struct page *page, const char *comment)
{
    for (const char *c = comment; *c; c++) {
        bool is_end = *c == '.' && (c[1] == ' ' || c[1] == '\n');
        if (c[0] == '\n' && c[1] == '\n')
            return;
        fputc(*c == '\n' ? ' ' : *c, page->out);
        if (is_end)
            return;
    }
}

/* " [a, b = c]", piece by piece. */
struct brackets {
    FILE *out;
    bool is_open;
};

static void open_bracket(struct brackets *brackets)
{
    fputs(brackets->is_open ? ", " : " [", brackets->out);
    brackets->is_open = true;
}

static void put_flag(struct brackets *brackets, const char *name, bool is_set)
{
    if (!is_set)
        return;
    open_bracket(brackets);
    fputs(name, brackets->out);
}

static void put_text(struct brackets *brackets, const char *name, const char *value)
{
    if (!value)
        return;
    open_bracket(brackets);
    fprintf(brackets->out, "%s = \"%s\"", name, value);
}

static void put_number(struct brackets *brackets, const char *name, uint32_t value)
{
    if (value == 0)
        return;
    open_bracket(brackets);
    fprintf(brackets->out, "%s = %" PRIu32, name, value);
}

static void close_brackets(const struct brackets *brackets)
{
    fputs(brackets->is_open ? "];\n" : ";\n", brackets->out);
}

/* ---- methods ---- */

static void put_deadline(struct brackets *brackets, int64_t ms)
{
    char text[32];
    int64_t seconds = ms / MS_PER_S;
    if (ms <= 0)
        return;
    if (ms % MS_PER_S != 0)
        (void)snprintf(text, sizeof(text), "%" PRId64 "ms", ms);
    else if (seconds % S_PER_HOUR == 0)
        (void)snprintf(text, sizeof(text), "%" PRId64 "h", seconds / S_PER_HOUR);
    else if (seconds % S_PER_MINUTE == 0)
        (void)snprintf(text, sizeof(text), "%" PRId64 "m", seconds / S_PER_MINUTE);
    else
        (void)snprintf(text, sizeof(text), "%" PRId64 "s", seconds);
    put_text(brackets, "max_deadline", text);
}

static void print_method(const struct page *page, int indent, const struct rpc_method *method)
{
    bool requests = method->kind == RPC_CLIENT_STREAM || method->kind == RPC_BIDI;
    bool answers = method->kind == RPC_SERVER_STREAM || method->kind == RPC_BIDI;
    struct brackets brackets = {.out = page->out};
    print_comment(page, indent, method->comment);
    fprintf(page->out, "%*srpc %s(%s%s) returns (%s%s)", indent, "", method->name,
        requests ? "stream " : "", name_on(page, method->request->full_name),
        answers ? "stream " : "", name_on(page, method->response->full_name));
    put_flag(&brackets, "mutates", method->mutates);
    put_flag(&brackets, "idempotent", method->idempotent);
    put_deadline(&brackets, method->max_deadline_ms);
    close_brackets(&brackets);
}

static void print_service(const struct page *page, const struct crpc_service_info *service)
{
    print_comment(page, 0, service->comment);
    fprintf(page->out, "service %s {\n", name_on(page, service->full_name));
    for (size_t i = 0; i < service->n_methods; i++) {
        if (i > 0)
            fputc('\n', page->out);
        print_method(page, 2, &service->methods[i]);
    }
    fputs("}\n", page->out);
}

/* ---- types ---- */

static const char *type_text(
    const struct page *page, const struct crpc_message_info *message, size_t index)
{
    const struct crpc_field_info *field = &message->fields[index];
    const ProtobufCFieldDescriptor *descriptor = &message->descriptor->fields[index];
    if (field->message)
        return name_on(page, field->message->full_name);
    if (field->enumeration)
        return name_on(page, field->enumeration->full_name);
    return describe_text_scalar(descriptor->type);
}

static void print_field(
    const struct page *page, int indent, const struct crpc_message_info *message, size_t index)
{
    static const char *const units[] = {
        [CRPC_UNIT_NONE] = NULL, [CRPC_UNIT_BYTES] = "bytes", [CRPC_UNIT_MODE] = "mode"};
    const struct crpc_field_info *field = &message->fields[index];
    struct brackets brackets = {.out = page->out};
    print_comment(page, indent, field->comment);
    fprintf(page->out, "%*s", indent, "");
    if (field->is_map)
        fprintf(page->out, "map<%s, %s>", type_text(page, field->message, 0),
            type_text(page, field->message, 1));
    else
        fprintf(page->out, "%s%s",
            message->descriptor->fields[index].label == PROTOBUF_C_LABEL_REPEATED ? "repeated "
                                                                                  : "",
            type_text(page, message, index));
    fprintf(page->out, " %s = %" PRIu32, field->name, field->number);
    put_flag(&brackets, "required", field->required);
    put_text(&brackets, "default", field->default_value);
    put_text(&brackets, "min", field->min);
    put_text(&brackets, "max", field->max);
    put_text(&brackets, "unit", units[field->unit]);
    put_number(&brackets, "max_bytes", field->max_bytes);
    put_number(&brackets, "max_items", field->max_items);
    put_flag(&brackets, "secret", field->secret);
    close_brackets(&brackets);
}

/* All members of it, where its first one stands. */
static void print_oneof(const struct page *page, const struct crpc_message_info *message, int oneof,
    const struct crpc_field_info *only)
{
    fprintf(page->out, "  oneof %s {\n", message->oneof_names[oneof]);
    for (size_t i = 0; i < message->n_fields; i++)
        if (message->fields[i].oneof == oneof && (!only || only == &message->fields[i]))
            print_field(page, 4, message, i);
    fputs("  }\n", page->out);
}

static bool is_first_of_oneof(const struct crpc_message_info *message, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (message->fields[i].oneof == message->fields[index].oneof)
            return false;
    return true;
}

static void print_message(const struct page *page, const struct crpc_message_info *message,
    const struct crpc_field_info *only)
{
    print_comment(page, 0, message->comment);
    fprintf(page->out, "message %s {\n", name_on(page, message->full_name));
    for (size_t i = 0; i < message->n_fields; i++) {
        const struct crpc_field_info *field = &message->fields[i];
        if (only && only != field)
            continue;
        if (field->oneof < 0)
            print_field(page, 2, message, i);
        else if (only || is_first_of_oneof(message, i))
            print_oneof(page, message, field->oneof, only);
    }
    fputs("}\n", page->out);
}

static void print_enum(const struct page *page, const struct crpc_enum_info *enumeration,
    const struct crpc_enum_value_info *only)
{
    print_comment(page, 0, enumeration->comment);
    fprintf(page->out, "enum %s {\n", name_on(page, enumeration->full_name));
    for (size_t i = 0; i < enumeration->n_values; i++) {
        const struct crpc_enum_value_info *value = &enumeration->values[i];
        if (only && only != value)
            continue;
        print_comment(page, 2, value->comment);
        fprintf(page->out, "  %s = %" PRId32 ";\n", value->name, value->number);
    }
    fputs("}\n", page->out);
}

/* ---- pages ---- */

static size_t longest_method(const struct crpc_catalog *catalog)
{
    size_t longest = 0;
    for (size_t i = 0; i < catalog->n_services; i++) {
        for (size_t k = 0; k < catalog->services[i].n_methods; k++) {
            size_t len = strlen(catalog->services[i].methods[k].name);
            longest = len > longest ? len : longest;
        }
    }
    return longest;
}

void describe_text_overview(const struct crpc_catalog *catalog, bool color, FILE *out)
{
    const struct page page = {.out = out, .color = color, .package = ""};
    int width = (int)longest_method(catalog);
    for (size_t i = 0; i < catalog->n_services; i++) {
        const struct crpc_service_info *service = &catalog->services[i];
        fprintf(out, "%s%s%s%s%s", i > 0 ? "\n" : "", terminal_color(TERMINAL_BOLD, color),
            service->full_name, terminal_reset(color), service->comment[0] ? ": " : "");
        print_first_sentence(&page, service->comment);
        fputc('\n', out);
        for (size_t k = 0; k < service->n_methods; k++) {
            const struct rpc_method *method = &service->methods[k];
            fprintf(out, "  %-*s  %-*s%s", width, method->name, method->comment[0] ? KIND_WIDTH : 0,
                kind_text(method->kind), method->comment[0] ? "  " : "");
            print_first_sentence(&page, method->comment);
            fputc('\n', out);
        }
    }
    fputs(
        "\n`flocks describe SYMBOL` tells more: a service, method, message, field, enum or value, "
        "in full or in part.\n`flocks call METHOD` makes the call.\n",
        out);
}

void describe_text_symbol(
    const struct symbol *symbol, const struct definitions *definitions, bool color, FILE *out)
{
    char name[SYMBOL_NAME_SIZE];
    const struct page page = page_of(symbol_parent(symbol), color, out);
    symbol_name(symbol, name);
    fprintf(out, "%s%s%s: %s%s%s\n", terminal_color(TERMINAL_BOLD, color), name,
        terminal_reset(color), symbol_kind_text(symbol->kind), symbol->method ? ", " : "",
        symbol->method ? kind_text(symbol->method->kind) : "");
    if (definitions->only_method) {
        fputc('\n', out);
        print_method(&page, 0, definitions->only_method);
    }
    for (size_t i = 0; !definitions->only_method && i < definitions->n_services; i++) {
        fputc('\n', out);
        print_service(&page, &definitions->services[i]);
    }
    /* What it is comes before what it stands on. */
    for (size_t i = 0; i < definitions->n_messages; i++) {
        fputc('\n', out);
        print_message(&page, definitions->messages[i], i == 0 ? definitions->only_field : NULL);
    }
    for (size_t i = 0; i < definitions->n_enums; i++) {
        fputc('\n', out);
        print_enum(&page, definitions->enums[i], i == 0 ? definitions->only_value : NULL);
    }
}
