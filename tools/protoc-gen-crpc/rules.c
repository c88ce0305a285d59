#include "rules.h"

#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "wire.h"

struct field_rule rules_of_field(const ProtobufCMessage *options, struct arena *pool)
{
    struct field_rule rule = {0};
    struct wire_field field;
    for (struct wire_reader reader = wire_extension(options, RULES_EXTENSION);
         wire_next(&reader, &field);) {
        switch (field.number) {
        case 1:
            rule.default_value = wire_text(&field, pool);
            break;
        case 2:
            rule.min = wire_text(&field, pool);
            break;
        case 3:
            rule.max = wire_text(&field, pool);
            break;
        case 4:
            rule.unit = (uint32_t)field.number_value;
            break;
        case 5:
            rule.max_bytes = (uint32_t)field.number_value;
            break;
        case 6:
            rule.max_items = (uint32_t)field.number_value;
            break;
        case 7:
            rule.secret = field.number_value != 0;
            break;
        case 8:
            rule.required = field.number_value != 0;
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
    struct wire_field field;
    for (struct wire_reader reader = wire_extension(options, RULES_EXTENSION);
         wire_next(&reader, &field);) {
        if (field.number == 1)
            rule.mutates = field.number_value != 0;
        else if (field.number == 2)
            rule.idempotent = field.number_value != 0;
        else if (field.number == 3)
            rule.max_deadline = wire_text(&field, pool);
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
