#include "common/schema/schema_rule.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/schema/schema_value.h"

enum schema_kind schema_kind_of(const struct schema_field *field)
{
    switch (field->descriptor->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return SCHEMA_KIND_SIGNED;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return SCHEMA_KIND_UNSIGNED;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return SCHEMA_KIND_REAL;
    case PROTOBUF_C_TYPE_BOOL:
        return SCHEMA_KIND_BOOLEAN;
    case PROTOBUF_C_TYPE_ENUM:
        return SCHEMA_KIND_ENUM;
    case PROTOBUF_C_TYPE_STRING:
        return SCHEMA_KIND_TEXT;
    case PROTOBUF_C_TYPE_BYTES:
        return SCHEMA_KIND_BYTES;
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    bool is_duration = strcmp(schema_field_type_name(field), "google.protobuf.Duration") == 0;
    return is_duration ? SCHEMA_KIND_DURATION : SCHEMA_KIND_NONE;
}

static bool text_is(const char *text, size_t len, const char *expected)
{
    return strlen(expected) == len && memcmp(text, expected, len) == 0;
}

/* ---- numbers ---- */

bool schema_read_digits(const char *text, size_t len, unsigned base, uint64_t *out)
{
    uint64_t number = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned)(unsigned char)text[i] - '0';
        if (digit >= base || __builtin_mul_overflow(number, base, &number) ||
            __builtin_add_overflow(number, digit, &number))
            return false;
    }
    *out = number;
    return len > 0;
}

const struct schema_size_unit schema_size_units[SCHEMA_SIZE_UNITS] = {
    {"TiB", UINT64_C(1) << 40},
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"TB", UINT64_C(1000000000000)},
    {"GB", UINT64_C(1000000000)},
    {"MB", UINT64_C(1000000)},
    {"kB", UINT64_C(1000)},
    {"B", 1},
};

static bool read_size(const char *text, size_t len, uint64_t *out)
{
    for (size_t i = 0; i < SCHEMA_SIZE_UNITS; i++) {
        size_t name_len = strlen(schema_size_units[i].name);
        if (len > name_len && text_is(text + len - name_len, name_len, schema_size_units[i].name))
            return schema_read_digits(text, len - name_len, 10, out) &&
                   !__builtin_mul_overflow(*out, schema_size_units[i].bytes, out);
    }
    return schema_read_digits(text, len, 10, out);
}

bool schema_read_unsigned(enum crpc_unit unit, const char *text, size_t len, uint64_t *out)
{
    switch (unit) {
    case CRPC_UNIT_BYTES:
        return read_size(text, len, out);
    case CRPC_UNIT_MODE:
        return schema_read_digits(text, len, 8, out);
    case CRPC_UNIT_NONE:
        break;
    }
    return schema_read_digits(text, len, 10, out);
}

bool schema_read_signed(const char *text, size_t len, int64_t *out)
{
    bool is_negative = len > 0 && text[0] == '-';
    uint64_t magnitude;
    if (!schema_read_digits(text + is_negative, len - is_negative, 10, &magnitude) ||
        magnitude > (uint64_t)INT64_MAX + is_negative)
        return false;
    *out = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

static bool is_64_bit(const struct schema_field *field)
{
    ProtobufCType type = field->descriptor->type;
    return type == PROTOBUF_C_TYPE_INT64 || type == PROTOBUF_C_TYPE_SINT64 ||
           type == PROTOBUF_C_TYPE_SFIXED64 || type == PROTOBUF_C_TYPE_UINT64 ||
           type == PROTOBUF_C_TYPE_FIXED64;
}

void schema_signed_range(const struct schema_field *field, int64_t *lowest, int64_t *highest)
{
    *lowest = is_64_bit(field) ? INT64_MIN : INT32_MIN;
    *highest = is_64_bit(field) ? INT64_MAX : INT32_MAX;
    int64_t bound;
    if (field->info->min != NULL &&
        schema_read_signed(field->info->min, strlen(field->info->min), &bound))
        *lowest = bound;
    if (field->info->max != NULL &&
        schema_read_signed(field->info->max, strlen(field->info->max), &bound))
        *highest = bound;
}

void schema_unsigned_range(const struct schema_field *field, uint64_t *lowest, uint64_t *highest)
{
    const struct crpc_field_info *info = field->info;
    *lowest = 0;
    *highest = is_64_bit(field) ? UINT64_MAX : UINT32_MAX;
    if (info->unit == CRPC_UNIT_MODE)
        *highest = 07777;
    uint64_t bound;
    if (info->min != NULL && schema_read_unsigned(info->unit, info->min, strlen(info->min), &bound))
        *lowest = bound;
    if (info->max != NULL && schema_read_unsigned(info->unit, info->max, strlen(info->max), &bound))
        *highest = bound;
}

void schema_duration_range(const struct schema_field *field, int64_t *lowest, int64_t *highest)
{
    const struct crpc_field_info *info = field->info;
    *lowest = 0;
    *highest = INT64_MAX;
    int64_t bound;
    if (info->min != NULL && schema_duration_parse(info->min, strlen(info->min), &bound) == 0)
        *lowest = bound;
    if (info->max != NULL && schema_duration_parse(info->max, strlen(info->max), &bound) == 0)
        *highest = bound;
}

/* ---- enums ---- */

const struct crpc_enum_value_info *schema_find_enum_value(
    const struct crpc_enum_info *type, const char *text, size_t len)
{
    for (size_t i = 0; i < type->n_values; i++) {
        if (text_is(text, len, type->values[i].name) ||
            text_is(text, len, type->values[i].short_name))
            return &type->values[i];
    }
    return NULL;
}

bool schema_enum_may_be_written(const struct crpc_enum_value_info *value)
{
    return value->number != 0 || strcmp(value->short_name, "UNSPECIFIED") != 0;
}

/* ---- what to write ---- */

/* Text that is appended to as long as there is room. */
struct sentence {
    char *at;
    size_t left;
};

PRINTF_LIKE(2, 3)
static void say(struct sentence *sentence, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    /* clang-tidy 14 forgets va_start when it looks through a caller.
     * NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    int len = vsnprintf(sentence->at, sentence->left, format, arguments);
    va_end(arguments);
    size_t used = len < 0 ? 0 : (size_t)len;
    if (used >= sentence->left)
        used = sentence->left > 0 ? sentence->left - 1 : 0;
    sentence->at += used;
    sentence->left -= used;
}

static void describe_unsigned(const struct schema_field *field, struct sentence *sentence)
{
    const struct crpc_field_info *info = field->info;
    uint64_t lowest;
    uint64_t highest;
    schema_unsigned_range(field, &lowest, &highest);
    switch (info->unit) {
    case CRPC_UNIT_BYTES:
        say(sentence, "a size such as 64MiB");
        if (info->min != NULL)
            say(sentence, ", at least %s", info->min);
        if (info->max != NULL)
            say(sentence, ", at most %s", info->max);
        break;
    case CRPC_UNIT_MODE:
        say(sentence, "an octal mode from 0 to %" PRIo64, highest);
        break;
    case CRPC_UNIT_NONE:
        say(sentence, "a whole number from %" PRIu64 " to %" PRIu64, lowest, highest);
        break;
    }
}

static void describe_duration(const struct schema_field *field, struct sentence *sentence)
{
    say(sentence, "a duration such as 500ms, 2s or 5m");
    if (field->info->min != NULL)
        say(sentence, ", at least %s", field->info->min);
    if (field->info->max != NULL)
        say(sentence, ", at most %s", field->info->max);
}

static void describe_enum(const struct schema_field *field, struct sentence *sentence)
{
    const struct crpc_enum_info *type = field->info->enumeration;
    const char *separator = "one of ";
    for (size_t i = 0; i < type->n_values; i++) {
        if (!schema_enum_may_be_written(&type->values[i]))
            continue;
        say(sentence, "%s%s", separator, type->values[i].short_name);
        separator = ", ";
    }
}

void schema_value_describe(const struct schema_field *field, char *out, size_t size)
{
    struct sentence sentence = {out, size};
    out[0] = '\0';
    int64_t lowest;
    int64_t highest;
    switch (schema_kind_of(field)) {
    case SCHEMA_KIND_SIGNED:
        schema_signed_range(field, &lowest, &highest);
        say(&sentence, "a whole number from %" PRId64 " to %" PRId64, lowest, highest);
        break;
    case SCHEMA_KIND_UNSIGNED:
        describe_unsigned(field, &sentence);
        break;
    case SCHEMA_KIND_REAL:
        say(&sentence, "a number");
        break;
    case SCHEMA_KIND_BOOLEAN:
        say(&sentence, "true or false");
        break;
    case SCHEMA_KIND_ENUM:
        describe_enum(field, &sentence);
        break;
    case SCHEMA_KIND_TEXT:
        say(&sentence, "a text");
        if (field->info->max_bytes > 0)
            say(&sentence, " of at most %" PRIu32 " bytes", field->info->max_bytes);
        break;
    case SCHEMA_KIND_BYTES:
        say(&sentence, "base64 text");
        break;
    case SCHEMA_KIND_DURATION:
        describe_duration(field, &sentence);
        break;
    case SCHEMA_KIND_NONE:
        say(&sentence, "a mapping");
        break;
    }
}
