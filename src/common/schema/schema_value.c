#include "common/schema/schema_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/status.h"
#include "common/schema/base64.h"
#include "common/schema/nearest.h"
#include "common/schema/time_text.h"

enum {
    NANOS_PER_SECOND = 1000000000,
    /* Longest part of a wrong value that is quoted back. */
    QUOTED_MAX = 60
};

/* What decides how a text is read. */
enum kind {
    KIND_SIGNED,
    KIND_UNSIGNED,
    KIND_REAL,
    KIND_BOOLEAN,
    KIND_ENUM,
    KIND_TEXT,
    KIND_BYTES,
    KIND_DURATION,
    KIND_NONE
};

static enum kind kind_of(const struct schema_field *field)
{
    switch (field->descriptor->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return KIND_SIGNED;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return KIND_UNSIGNED;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return KIND_REAL;
    case PROTOBUF_C_TYPE_BOOL:
        return KIND_BOOLEAN;
    case PROTOBUF_C_TYPE_ENUM:
        return KIND_ENUM;
    case PROTOBUF_C_TYPE_STRING:
        return KIND_TEXT;
    case PROTOBUF_C_TYPE_BYTES:
        return KIND_BYTES;
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    bool is_duration = strcmp(schema_field_type_name(field), "google.protobuf.Duration") == 0;
    return is_duration ? KIND_DURATION : KIND_NONE;
}

bool schema_value_is_text(const struct schema_field *field)
{
    return kind_of(field) != KIND_NONE;
}

static bool text_is(const char *text, size_t len, const char *expected)
{
    return strlen(expected) == len && memcmp(text, expected, len) == 0;
}

/* ---- numbers ---- */

static bool read_digits(const char *text, size_t len, unsigned base, uint64_t *out)
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

struct size_unit {
    const char *name;
    uint64_t bytes;
};

static const struct size_unit size_units[] = {
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
    for (size_t i = 0; i < ARRAY_LENGTH(size_units); i++) {
        size_t name_len = strlen(size_units[i].name);
        if (len > name_len && text_is(text + len - name_len, name_len, size_units[i].name))
            return read_digits(text, len - name_len, 10, out) &&
                   !__builtin_mul_overflow(*out, size_units[i].bytes, out);
    }
    return read_digits(text, len, 10, out);
}

static bool read_unsigned(enum crpc_unit unit, const char *text, size_t len, uint64_t *out)
{
    switch (unit) {
    case CRPC_UNIT_BYTES:
        return read_size(text, len, out);
    case CRPC_UNIT_MODE:
        return read_digits(text, len, 8, out);
    case CRPC_UNIT_NONE:
        break;
    }
    return read_digits(text, len, 10, out);
}

static bool read_signed(const char *text, size_t len, int64_t *out)
{
    bool is_negative = len > 0 && text[0] == '-';
    uint64_t magnitude;
    if (!read_digits(text + is_negative, len - is_negative, 10, &magnitude) ||
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

/* Bounds of the type, narrowed by the rule. A rule that cannot be read is a mistake of the .proto
 * file, which the golden test of the rules shows; here it does not narrow. */
static void signed_range(const struct schema_field *field, int64_t *lowest, int64_t *highest)
{
    *lowest = is_64_bit(field) ? INT64_MIN : INT32_MIN;
    *highest = is_64_bit(field) ? INT64_MAX : INT32_MAX;
    int64_t bound;
    if (field->info->min != NULL && read_signed(field->info->min, strlen(field->info->min), &bound))
        *lowest = bound;
    if (field->info->max != NULL && read_signed(field->info->max, strlen(field->info->max), &bound))
        *highest = bound;
}

static void unsigned_range(const struct schema_field *field, uint64_t *lowest, uint64_t *highest)
{
    const struct crpc_field_info *info = field->info;
    *lowest = 0;
    *highest = is_64_bit(field) ? UINT64_MAX : UINT32_MAX;
    if (info->unit == CRPC_UNIT_MODE)
        *highest = 07777;
    uint64_t bound;
    if (info->min != NULL && read_unsigned(info->unit, info->min, strlen(info->min), &bound))
        *lowest = bound;
    if (info->max != NULL && read_unsigned(info->unit, info->max, strlen(info->max), &bound))
        *highest = bound;
}

static void duration_range(const struct schema_field *field, int64_t *lowest, int64_t *highest)
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

static const struct crpc_enum_value_info *find_enum_value(
    const struct crpc_enum_info *type, const char *text, size_t len)
{
    for (size_t i = 0; i < type->n_values; i++) {
        if (text_is(text, len, type->values[i].name) ||
            text_is(text, len, type->values[i].short_name))
            return &type->values[i];
    }
    return NULL;
}

/* The zero value says "not given"; nobody is to write it. */
static bool may_be_written(const struct crpc_enum_value_info *value)
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
    unsigned_range(field, &lowest, &highest);
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
        if (!may_be_written(&type->values[i]))
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
    switch (kind_of(field)) {
    case KIND_SIGNED:
        signed_range(field, &lowest, &highest);
        say(&sentence, "a whole number from %" PRId64 " to %" PRId64, lowest, highest);
        break;
    case KIND_UNSIGNED:
        describe_unsigned(field, &sentence);
        break;
    case KIND_REAL:
        say(&sentence, "a number");
        break;
    case KIND_BOOLEAN:
        say(&sentence, "true or false");
        break;
    case KIND_ENUM:
        describe_enum(field, &sentence);
        break;
    case KIND_TEXT:
        say(&sentence, "a text");
        if (field->info->max_bytes > 0)
            say(&sentence, " of at most %" PRIu32 " bytes", field->info->max_bytes);
        break;
    case KIND_BYTES:
        say(&sentence, "base64 text");
        break;
    case KIND_DURATION:
        describe_duration(field, &sentence);
        break;
    case KIND_NONE:
        say(&sentence, "a mapping");
        break;
    }
}

/* ---- reading ---- */

/* -STATUS_INVALID_ARGUMENT: "must be <what>, not 'x'". */
static int refuse(
    const struct schema_field *field, const char *text, size_t len, struct error *error)
{
    char wanted[ERROR_TEXT_MAX / 2];
    schema_value_describe(field, wanted, sizeof(wanted));
    if (field->info->secret)
        return error_set(error, STATUS_INVALID_ARGUMENT, "must be %s", wanted);
    int shown = (int)(len < QUOTED_MAX ? len : QUOTED_MAX);
    return error_set(error, STATUS_INVALID_ARGUMENT, "must be %s, not '%.*s'%s", wanted, shown,
        text, len > QUOTED_MAX ? " ..." : "");
}

static int parse_boolean(const struct schema_field *field, const char *text, size_t len,
    union schema_value *out, struct error *error)
{
    static const char *const truths[][2] = {{"yes", "true"}, {"on", "true"}, {"True", "true"},
        {"TRUE", "true"}, {"1", "true"}, {"no", "false"}, {"off", "false"}, {"False", "false"},
        {"FALSE", "false"}, {"0", "false"}};
    out->boolean = text_is(text, len, "true");
    if (out->boolean || text_is(text, len, "false"))
        return 0;
    int result = refuse(field, text, len, error);
    for (size_t i = 0; i < ARRAY_LENGTH(truths); i++) {
        if (text_is(text, len, truths[i][0]))
            error_set_hint(error, "write %s", truths[i][1]);
    }
    return result;
}

static int parse_enum(const struct schema_field *field, const char *text, size_t len,
    union schema_value *out, struct error *error)
{
    const struct crpc_enum_info *type = field->info->enumeration;
    const struct crpc_enum_value_info *found = find_enum_value(type, text, len);
    if (found != NULL && may_be_written(found)) {
        out->signed_number = found->number;
        return 0;
    }
    int result = refuse(field, text, len, error);
    struct nearest nearest;
    nearest_init(&nearest, text, len);
    for (size_t i = 0; i < type->n_values; i++) {
        if (may_be_written(&type->values[i]))
            nearest_offer(&nearest, type->values[i].short_name);
    }
    if (nearest_result(&nearest) != NULL)
        error_set_hint(error, "did you mean %s?", nearest_result(&nearest));
    return result;
}

static int parse_signed(const struct schema_field *field, const char *text, size_t len,
    union schema_value *out, struct error *error)
{
    int64_t lowest;
    int64_t highest;
    signed_range(field, &lowest, &highest);
    if (read_signed(text, len, &out->signed_number) && out->signed_number >= lowest &&
        out->signed_number <= highest)
        return 0;
    return refuse(field, text, len, error);
}

static int parse_unsigned(const struct schema_field *field, const char *text, size_t len,
    union schema_value *out, struct error *error)
{
    uint64_t lowest;
    uint64_t highest;
    unsigned_range(field, &lowest, &highest);
    if (read_unsigned(field->info->unit, text, len, &out->unsigned_number) &&
        out->unsigned_number >= lowest && out->unsigned_number <= highest)
        return 0;
    return refuse(field, text, len, error);
}

static int parse_real(const struct schema_field *field, const char *text, size_t len,
    union schema_value *out, struct error *error)
{
    char copy[SCHEMA_VALUE_TEXT_MAX];
    if (len == 0 || len >= sizeof(copy))
        return refuse(field, text, len, error);
    memcpy(copy, text, len);
    copy[len] = '\0';
    char *end;
    out->real = strtod(copy, &end);
    return *end == '\0' ? 0 : refuse(field, text, len, error);
}

static int parse_text(const struct schema_field *field, const char *text, size_t len,
    struct arena *arena, union schema_value *out, struct error *error)
{
    if (memchr(text, '\0', len) != NULL)
        return error_set(error, STATUS_INVALID_ARGUMENT, "must not hold a NUL byte");
    if (field->info->max_bytes > 0 && len > field->info->max_bytes)
        return refuse(field, text, len, error);
    out->text = arena_strndup(arena, text, len);
    if (out->text == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a text");
    return 0;
}

static int parse_bytes(const struct schema_field *field, const char *text, size_t len,
    struct arena *arena, union schema_value *out, struct error *error)
{
    int result = base64_read(text, len, arena, &out->bytes.data, &out->bytes.len);
    if (result == -STATUS_RESOURCE_EXHAUSTED)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for bytes");
    return result == 0 ? 0 : refuse(field, text, len, error);
}

/* google.protobuf.Duration through its descriptor: field 1 seconds, field 2 nanos. */
static ProtobufCMessage *new_duration(
    const struct schema_field *field, int64_t ns, struct arena *arena)
{
    const ProtobufCMessageDescriptor *type = field->descriptor->descriptor;
    ProtobufCMessage *duration = schema_message_new_raw(type, arena);
    if (duration == NULL)
        return NULL;
    struct schema_field seconds = {NULL, &type->fields[0]};
    struct schema_field nanos = {NULL, &type->fields[1]};
    schema_set(duration, &seconds, (union schema_value){.signed_number = ns / NANOS_PER_SECOND});
    schema_set(duration, &nanos, (union schema_value){.signed_number = ns % NANOS_PER_SECOND});
    return duration;
}

static int parse_duration(const struct schema_field *field, const char *text, size_t len,
    struct arena *arena, union schema_value *out, struct error *error)
{
    int64_t ns;
    int64_t lowest;
    int64_t highest;
    duration_range(field, &lowest, &highest);
    if (schema_duration_parse(text, len, &ns) != 0 || ns < lowest || ns > highest) {
        int result = refuse(field, text, len, error);
        uint64_t bare;
        if (read_digits(text, len, 10, &bare))
            error_set_hint(error, "add a unit: %.*ss", (int)len, text);
        return result;
    }
    out->message = new_duration(field, ns, arena);
    if (out->message == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a duration");
    return 0;
}

int schema_value_parse(const struct schema_field *field, const char *text, size_t text_len,
    struct arena *arena, union schema_value *out, struct error *error)
{
    *out = (union schema_value){0};
    switch (kind_of(field)) {
    case KIND_SIGNED:
        return parse_signed(field, text, text_len, out, error);
    case KIND_UNSIGNED:
        return parse_unsigned(field, text, text_len, out, error);
    case KIND_REAL:
        return parse_real(field, text, text_len, out, error);
    case KIND_BOOLEAN:
        return parse_boolean(field, text, text_len, out, error);
    case KIND_ENUM:
        return parse_enum(field, text, text_len, out, error);
    case KIND_TEXT:
        return parse_text(field, text, text_len, arena, out, error);
    case KIND_BYTES:
        return parse_bytes(field, text, text_len, arena, out, error);
    case KIND_DURATION:
        return parse_duration(field, text, text_len, arena, out, error);
    case KIND_NONE:
        break;
    }
    return refuse(field, text, text_len, error);
}

/* ---- writing ---- */

/* With the largest binary unit that divides it: limits are written that way. */
static const char *format_size(uint64_t bytes, struct arena *arena)
{
    for (size_t i = 0; i < ARRAY_LENGTH(size_units); i++) {
        bool is_binary = (size_units[i].bytes & (size_units[i].bytes - 1)) == 0;
        if (bytes > 0 && is_binary && size_units[i].bytes > 1 && bytes % size_units[i].bytes == 0)
            return arena_printf(
                arena, "%" PRIu64 "%s", bytes / size_units[i].bytes, size_units[i].name);
    }
    return arena_printf(arena, "%" PRIu64, bytes);
}

static const char *format_unsigned(enum crpc_unit unit, uint64_t number, struct arena *arena)
{
    switch (unit) {
    case CRPC_UNIT_BYTES:
        return format_size(number, arena);
    case CRPC_UNIT_MODE:
        return arena_printf(arena, "%04" PRIo64, number);
    case CRPC_UNIT_NONE:
        break;
    }
    return arena_printf(arena, "%" PRIu64, number);
}

static const char *format_enum(
    const struct crpc_enum_info *type, int64_t number, struct arena *arena)
{
    for (size_t i = 0; i < type->n_values; i++) {
        if (type->values[i].number == number)
            return type->values[i].short_name;
    }
    return arena_printf(arena, "%" PRId64, number);
}

static const char *format_bytes(const ProtobufCBinaryData *bytes, struct arena *arena)
{
    if (bytes->len == 0)
        return "";
    struct buffer text CLEANUP(buffer_deinit);
    buffer_init(&text, bytes->len / 3 * 4 + 5);
    if (base64_write(bytes->data, bytes->len, &text) != 0)
        return NULL;
    return arena_strndup(arena, (const char *)buffer_data(&text), buffer_length(&text));
}

static const char *format_duration(const ProtobufCMessage *duration, struct arena *arena)
{
    if (duration == NULL)
        return "";
    struct schema_field seconds = {NULL, &duration->descriptor->fields[0]};
    struct schema_field nanos = {NULL, &duration->descriptor->fields[1]};
    int64_t whole = schema_get(duration, &seconds, 0).signed_number;
    int64_t rest = schema_get(duration, &nanos, 0).signed_number;
    char text[SCHEMA_VALUE_TEXT_MAX];
    int64_t ns;
    if (!__builtin_mul_overflow(whole, (int64_t)NANOS_PER_SECOND, &ns) &&
        !__builtin_add_overflow(ns, rest, &ns))
        schema_duration_format(ns, text);
    else if (time_text_format_duration(whole, (int32_t)rest, text) != 0)
        return arena_strdup(arena, "?");
    return arena_strdup(arena, text);
}

const char *schema_value_format(
    const struct schema_field *field, union schema_value value, struct arena *arena)
{
    switch (kind_of(field)) {
    case KIND_SIGNED:
        return arena_printf(arena, "%" PRId64, value.signed_number);
    case KIND_UNSIGNED:
        return format_unsigned(field->info->unit, value.unsigned_number, arena);
    case KIND_REAL:
        return arena_printf(arena, "%.17g", value.real);
    case KIND_BOOLEAN:
        return value.boolean ? "true" : "false";
    case KIND_ENUM:
        return format_enum(field->info->enumeration, value.signed_number, arena);
    case KIND_TEXT:
        return value.text;
    case KIND_BYTES:
        return format_bytes(&value.bytes, arena);
    case KIND_DURATION:
        return format_duration(value.message, arena);
    case KIND_NONE:
        break;
    }
    return "";
}
