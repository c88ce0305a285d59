#include "rules_file.h"

static void put_word(struct text *text, const char *name, const char *value)
{
    if (value != NULL) {
        text_printf(text, " %s=", name);
        text_literal(text, value);
    }
}

static void print_field(
    struct text *text, const struct model_message *message, const struct model_field *field)
{
    static const char *const UNITS[] = {"none", "bytes", "mode"};
    const struct field_rule *rule = &field->rule;
    struct text line;
    text_init(&line);
    put_word(&line, "default", rule->default_value);
    put_word(&line, "min", rule->min);
    put_word(&line, "max", rule->max);
    if (rule->unit != 0)
        text_printf(&line, " unit=%s", UNITS[rule->unit < ARRAY_LENGTH(UNITS) ? rule->unit : 0]);
    if (rule->max_bytes != 0)
        text_printf(&line, " max_bytes=%u", (unsigned)rule->max_bytes);
    if (rule->max_items != 0)
        text_printf(&line, " max_items=%u", (unsigned)rule->max_items);
    if (rule->secret)
        text_put(&line, " secret");
    if (rule->required)
        text_put(&line, " required");
    if (line.length > 0)
        text_printf(text, "%s.%s%s\n", message->full_name, field->name, text_data(&line));
    text_deinit(&line);
}

static void print_method(
    struct text *text, const struct model_service *service, const struct model_method *method)
{
    const struct method_rule *rule = &method->rule;
    text_printf(text, "%s.%s%s%s", service->full_name, method->name,
        rule->mutates ? " mutates" : "", rule->idempotent ? " idempotent" : "");
    put_word(text, "max_deadline", rule->max_deadline);
    text_put(text, "\n");
}

void rules_file_print(struct text *text, const struct model *model)
{
    for (size_t i = 0; i < model->n_files; i++) {
        const struct model_file *file = &model->files[i];
        if (!file->is_generated)
            continue;
        for (size_t k = 0; k < file->n_messages; k++) {
            for (size_t n = 0; n < file->messages[k].n_fields; n++)
                print_field(text, &file->messages[k], &file->messages[k].fields[n]);
        }
        for (size_t k = 0; k < file->n_services; k++) {
            for (size_t n = 0; n < file->services[k].n_methods; n++)
                print_method(text, &file->services[k], &file->services[k].methods[n]);
        }
    }
}
