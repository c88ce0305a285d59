/* <stem>.names.h: typedefs of protobuf-c's structs and sentinel-free enums; <stem>.names.c: the
 * functions of the enums. */
#include "emit.h"
#include "naming.h"
#include "pool.h"

static const char WHAT[] =
    "Short names of its messages and enums. A message is protobuf-c's struct, started from its "
    "_INIT. Its enums have no size sentinel, so that a switch over one can be complete.";

enum {
    /* Wider enums get no _COUNT: nobody sizes a table by them. */
    COUNT_MAX = 4096
};

static void include_messages(struct text *text, const struct model_file *file)
{
    text_put(text, "#include <stdint.h>\n\n#include <protobuf-c/protobuf-c.h>\n\n");
    if (file->n_enums > 0) {
        text_comment(text, 0,
            "An enum is as wide as int on every ABI that protobuf-c supports; its sentinel that "
            "enforces it would make every switch incomplete.");
        text_put(text, "#undef PROTOBUF_C__FORCE_ENUM_TO_BE_INT_SIZE\n"
                       "#define PROTOBUF_C__FORCE_ENUM_TO_BE_INT_SIZE(name)\n\n");
    }
    emit_includes(text, file, "pb-c.h", "names.h");
}

static void name_message(
    struct text *text, const struct model *model, const struct model_message *message)
{
    struct arena *pool = model->pool;
    const char *upper = naming_protobuf_c_upper(pool, message->full_name);
    emit_message_name(text, pool, message, naming_protobuf_c_type(pool, message->full_name),
        pool_printf(pool, "%s__INIT", upper));
    for (size_t i = 0; i < message->n_fields; i++) {
        const char *name = emit_case_name(pool, message, &message->fields[i]);
        if (name != NULL)
            text_define(text, pool_printf(pool, "%s_%s", message->short_upper, name),
                pool_printf(pool, "%s__%s", upper, name));
    }
}

/* One more than the largest number; 0: none. */
static int32_t count_of(const struct model_enum *enumeration)
{
    int32_t largest = 0;
    for (size_t i = 0; i < enumeration->n_values; i++) {
        if (enumeration->values[i].number < 0)
            return 0;
        if (enumeration->values[i].number > largest)
            largest = enumeration->values[i].number;
    }
    return largest < COUNT_MAX ? largest + 1 : 0;
}

static void name_enum(
    struct text *text, const struct model *model, const struct model_enum *enumeration)
{
    const char *type = naming_protobuf_c_type(model->pool, enumeration->full_name);
    const char *upper = naming_protobuf_c_upper(model->pool, enumeration->full_name);
    text_put(text, "\n");
    text_comment(text, 0, enumeration->comment);
    text_define(text, enumeration->short_name,
        pool_printf(model->pool, "_%s /* enum %s */", type, enumeration->short_name));
    for (size_t i = 0; i < enumeration->n_values; i++) {
        const struct model_enum_value *value = &enumeration->values[i];
        text_comment(text, 0, value->comment);
        text_define(text, value->constant, pool_printf(model->pool, "%s__%s", upper, value->name));
    }
    int32_t count = count_of(enumeration);
    if (count > 0)
        text_printf(text, "/* One more than the largest number. */\n#define %s_COUNT %d\n",
            enumeration->short_upper, (int)count);
    text_printf(text, "/* A number off the wire; an unknown one becomes %s. */\n",
        enumeration->values[0].short_name);
    text_printf(text, "enum %s %s_from(int64_t number);\n", enumeration->short_name,
        enumeration->function_name);
    text_printf(text, "/* \"%s\"; static storage. An unknown number is named like the first. */\n",
        enumeration->values[enumeration->n_values - 1].short_name);
    text_printf(text, "const char *%s_name(enum %s value);\n", enumeration->function_name,
        enumeration->short_name);
}

void emit_names_header(struct text *text, const struct model *model, const struct model_file *file)
{
    emit_header_begin(text, model, file, "names.h", WHAT);
    include_messages(text, file);
    emit_cplusplus_begin(text);
    for (size_t i = 0; i < file->n_enums; i++)
        name_enum(text, model, &file->enums[i]);
    for (size_t i = 0; i < file->n_messages; i++)
        name_message(text, model, &file->messages[i]);
    emit_cplusplus_end(text);
    emit_header_end(text, model, file, "names.h");
}

static void define_from(struct text *text, const struct model_enum *enumeration)
{
    text_printf(text, "\nenum %s %s_from(int64_t number)\n{\n    switch (number) {\n",
        enumeration->short_name, enumeration->function_name);
    for (size_t i = 0; i < enumeration->n_values; i++) {
        const struct model_enum_value *value = &enumeration->values[i];
        if (!value->is_alias)
            text_printf(
                text, "    case %d:\n        return %s;\n", (int)value->number, value->constant);
    }
    text_printf(
        text, "    default:\n        return %s;\n    }\n}\n", enumeration->values[0].constant);
}

static void define_name(struct text *text, const struct model_enum *enumeration)
{
    text_printf(text, "\nconst char *%s_name(enum %s value)\n{\n    switch (value) {\n",
        enumeration->function_name, enumeration->short_name);
    for (size_t i = 0; i < enumeration->n_values; i++) {
        const struct model_enum_value *value = &enumeration->values[i];
        if (!value->is_alias)
            text_printf(
                text, "    case %s:\n        return \"%s\";\n", value->constant, value->short_name);
    }
    text_printf(text, "    default:\n        return \"%s\";\n    }\n}\n",
        enumeration->values[0].short_name);
}

void emit_names_source(struct text *text, const struct model *model, const struct model_file *file)
{
    (void)model;
    emit_source_begin(text, file, "names.h", "Numbers and texts of its enums.");
    for (size_t i = 0; i < file->n_enums; i++) {
        define_from(text, &file->enums[i]);
        define_name(text, &file->enums[i]);
    }
}
