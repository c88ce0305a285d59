#include "rules.h"

#include <stdlib.h>
#include <string.h>

#include "extension.h"
#include "pool.h"

static bool declares_rules(const Google__Protobuf__FileDescriptorProto *file)
{
    static const char *const TYPES[] = {
        ".crpc.FieldRule", ".crpc.MethodRule", ".flocks.v1.FieldRule", ".flocks.v1.MethodRule"};
    for (size_t i = 0; i < file->n_extension; i++) {
        const Google__Protobuf__FieldDescriptorProto *extension = file->extension[i];
        for (size_t k = 0; k < ARRAY_LENGTH(TYPES); k++) {
            if (extension->number == RULES_EXTENSION && extension->type_name != NULL &&
                strcmp(extension->type_name, TYPES[k]) == 0)
                return true;
        }
    }
    return false;
}

bool rules_are_declared(const Google__Protobuf__Compiler__CodeGeneratorRequest *request)
{
    for (size_t i = 0; i < request->n_proto_file; i++) {
        if (declares_rules(request->proto_file[i]))
            return true;
    }
    return false;
}

/* NULL: not a text. */
static char *text_of(const struct rpc_wire_field *field, struct arena *pool)
{
    if (field->type != RPC_WIRE_BYTES)
        return NULL;
    return pool_strndup(pool, (const char *)field->data, field->len);
}

struct field_rule rules_of_field(const ProtobufCMessage *options, struct arena *pool)
{
    struct field_rule rule = {0};
    struct rpc_wire_field field;
    for (struct extension_reader reader = extension_reader(options, RULES_EXTENSION);
         extension_next(&reader, &field);) {
        switch (field.number) {
        case 1:
            rule.default_value = text_of(&field, pool);
            break;
        case 2:
            rule.min = text_of(&field, pool);
            break;
        case 3:
            rule.max = text_of(&field, pool);
            break;
        case 4:
            rule.unit = (uint32_t)field.value;
            break;
        case 5:
            rule.max_bytes = (uint32_t)field.value;
            break;
        case 6:
            rule.max_items = (uint32_t)field.value;
            break;
        case 7:
            rule.secret = field.value != 0;
            break;
        case 8:
            rule.required = field.value != 0;
            break;
        default:
            break;
        }
    }
    return rule;
}

struct method_rule rules_of_method(const ProtobufCMessage *options, struct arena *pool)
{
    struct method_rule rule = {0};
    struct rpc_wire_field field;
    for (struct extension_reader reader = extension_reader(options, RULES_EXTENSION);
         extension_next(&reader, &field);) {
        if (field.number == 1)
            rule.mutates = field.value != 0;
        else if (field.number == 2)
            rule.idempotent = field.value != 0;
        else if (field.number == 3)
            rule.max_deadline = text_of(&field, pool);
    }
    return rule;
}

int64_t rules_duration_ms(const char *text)
{
    static const struct {
        const char *suffix;
        int64_t ms;
    } UNITS[] = {{"ms", 1}, {"s", 1000}, {"m", INT64_C(60) * 1000}, {"h", INT64_C(60) * 60 * 1000}};
    enum { DIGITS_MAX = 9 };
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX)
        return -1;
    int64_t number = strtoll(text, NULL, 10);
    for (size_t i = 0; i < ARRAY_LENGTH(UNITS); i++) {
        if (strcmp(text + digits, UNITS[i].suffix) == 0)
            return number * UNITS[i].ms;
    }
    return -1;
}
