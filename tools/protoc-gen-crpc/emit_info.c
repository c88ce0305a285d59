/* <stem>.info.{h,c}: what protobuf-c's descriptors lack (crpc/info.h). */
#include "emit.h"
#include "naming.h"
#include "pool.h"

static const char WHAT[] = "What protobuf-c's descriptors lack: comments, maps, oneofs and rules "
                           "(crpc/info.h).";

void emit_info_header(struct text *text, const struct model *model, const struct model_file *file)
{
    emit_header_begin(text, model, file, "info.h", WHAT);
    text_put(text, "#include \"crpc/info.h\"\n");
    emit_cplusplus_begin(text);
    text_put(text, "\n");
    for (size_t i = 0; i < file->n_messages; i++)
        text_printf(
            text, "extern const struct crpc_message_info %s;\n", file->messages[i].info_name);
    for (size_t i = 0; i < file->n_enums; i++)
        text_printf(text, "extern const struct crpc_enum_info %s;\n", file->enums[i].info_name);
    emit_cplusplus_end(text);
    emit_header_end(text, model, file, "info.h");
}

/* `        .name = "text",` */
static void put_text_member(struct text *text, size_t indent, const char *name, const char *value)
{
    text_printf(text, "%*s.%s = ", (int)indent, "", name);
    text_literal(text, value);
    text_put(text, ",\n");
}

static void define_enum(struct text *text, const struct model_enum *enumeration)
{
    text_printf(text, "\nstatic const struct crpc_enum_value_info %s_values[] = {\n",
        enumeration->short_name);
    for (size_t i = 0; i < enumeration->n_values; i++) {
        const struct model_enum_value *value = &enumeration->values[i];
        text_printf(
            text, "    {\"%s\", \"%s\", %d, ", value->name, value->short_name, (int)value->number);
        text_literal(text, value->comment);
        text_put(text, "},\n");
    }
    text_printf(text, "};\n\nconst struct crpc_enum_info %s = {\n", enumeration->info_name);
    put_text_member(text, 4, "full_name", enumeration->full_name);
    put_text_member(text, 4, "comment", enumeration->comment);
    text_printf(text, "    .n_values = %zu,\n    .values = %s_values,\n};\n", enumeration->n_values,
        enumeration->short_name);
}

static const char *unit_of(uint32_t unit)
{
    static const char *const UNITS[] = {"CRPC_UNIT_NONE", "CRPC_UNIT_BYTES", "CRPC_UNIT_MODE"};
    return UNITS[unit < ARRAY_LENGTH(UNITS) ? unit : 0];
}

static void put_rule(struct text *text, const struct field_rule *rule)
{
    if (rule->default_value != NULL)
        put_text_member(text, 8, "default_value", rule->default_value);
    if (rule->min != NULL)
        put_text_member(text, 8, "min", rule->min);
    if (rule->max != NULL)
        put_text_member(text, 8, "max", rule->max);
    if (rule->unit != 0)
        text_printf(text, "        .unit = %s,\n", unit_of(rule->unit));
    if (rule->max_bytes != 0)
        text_printf(text, "        .max_bytes = %u,\n", (unsigned)rule->max_bytes);
    if (rule->max_items != 0)
        text_printf(text, "        .max_items = %u,\n", (unsigned)rule->max_items);
    if (rule->secret)
        text_put(text, "        .secret = true,\n");
    if (rule->required)
        text_put(text, "        .required = true,\n");
}

static void put_field(struct text *text, const struct model_field *field)
{
    text_put(text, "    {\n");
    put_text_member(text, 8, "name", field->name);
    put_text_member(text, 8, "json_name", field->proto->json_name);
    text_printf(text, "        .number = %d,\n", (int)field->proto->number);
    put_text_member(text, 8, "comment", field->comment);
    if (field->is_map)
        text_put(text, "        .is_map = true,\n");
    text_printf(text, "        .oneof = %d,\n", field->oneof);
    if (field->message != NULL)
        text_printf(text, "        .message = &%s,\n", field->message->info_name);
    if (field->enumeration != NULL)
        text_printf(text, "        .enumeration = &%s,\n", field->enumeration->info_name);
    put_rule(text, &field->rule);
    text_put(text, "    },\n");
}

static void define_fields(struct text *text, const struct model_message *message)
{
    if (message->n_fields > 0) {
        text_printf(
            text, "\nstatic const struct crpc_field_info %s_fields[] = {\n", message->short_name);
        for (size_t i = 0; i < message->n_fields; i++)
            put_field(text, &message->fields[i]);
        text_put(text, "};\n");
    }
    if (message->n_oneofs > 0) {
        text_printf(text, "\nstatic const char *const %s_oneofs[] = {", message->short_name);
        for (size_t i = 0; i < message->n_oneofs; i++)
            text_printf(text, "%s\"%s\"", i > 0 ? ", " : "", message->oneofs[i].name);
        text_put(text, "};\n");
    }
}

static void define_message(
    struct text *text, const struct model *model, const struct model_message *message)
{
    define_fields(text, message);
    text_printf(text, "\nconst struct crpc_message_info %s = {\n", message->info_name);
    put_text_member(text, 4, "full_name", message->full_name);
    put_text_member(text, 4, "comment", message->comment);
    text_printf(text, "    .descriptor = &%s__descriptor,\n",
        naming_protobuf_c_lower(model->pool, message->full_name));
    if (message->n_fields > 0)
        text_printf(text, "    .n_fields = %zu,\n    .fields = %s_fields,\n", message->n_fields,
            message->short_name);
    if (message->n_oneofs > 0)
        text_printf(text, "    .n_oneofs = %zu,\n    .oneof_names = %s_oneofs,\n",
            message->n_oneofs, message->short_name);
    text_put(text, "};\n");
}

static bool has_long_comment(const struct model_file *file)
{
    for (size_t i = 0; i < file->n_enums; i++) {
        const struct model_enum *enumeration = &file->enums[i];
        bool is_long = emit_is_long(enumeration->comment);
        for (size_t k = 0; k < enumeration->n_values; k++)
            is_long = is_long || emit_is_long(enumeration->values[k].comment);
        if (is_long)
            return true;
    }
    for (size_t i = 0; i < file->n_messages; i++) {
        const struct model_message *message = &file->messages[i];
        bool is_long = emit_is_long(message->comment);
        for (size_t k = 0; k < message->n_fields; k++)
            is_long = is_long || emit_is_long(message->fields[k].comment);
        if (is_long)
            return true;
    }
    return false;
}

void emit_info_source(struct text *text, const struct model *model, const struct model_file *file)
{
    emit_source_begin(text, file, "info.h", WHAT);
    text_put(text, "\n");
    emit_includes(text, file, "pb-c.h", "info.h");
    if (has_long_comment(file))
        emit_allow_long_literals(text);
    text_put(text, "\n/* clang-format off */\n");
    for (size_t i = 0; i < file->n_enums; i++)
        define_enum(text, &file->enums[i]);
    for (size_t i = 0; i < file->n_messages; i++)
        define_message(text, model, &file->messages[i]);
    text_put(text, "/* clang-format on */\n");
}
