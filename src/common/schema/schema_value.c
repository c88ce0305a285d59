#include "common/schema/schema_value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/base/status.h"
#include "common/schema/nearest.h"
#include "common/schema/schema_rule.h"
#include "common/schema/time_text.h"

enum {
    NANOS_PER_SECOND = 1000000000,
    /* Longest part of a wrong value that is quoted back. */
    QUOTED_MAX = 60
};

bool schema_value_is_text(const struct schema_field *field)
{
    return schema_kind_of(field) != SCHEMA_KIND_NONE;
}

static bool text_is(const char *text, size_t len, const char *expected)
{
    return strlen(expected) == len && memcmp(text, expected, len) == 0;
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
    const struct crpc_enum_value_info *found = schema_find_enum_value(type, text, len);
    if (found != NULL && schema_enum_may_be_written(found)) {
        out->signed_number = found->number;
        return 0;
    }
    int result = refuse(field, text, len, error);
    struct nearest nearest;
    nearest_init(&nearest, text, len);
    for (size_t i = 0; i < type->n_values; i++) {
        if (schema_enum_may_be_written(&type->values[i]))
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
    schema_signed_range(field, &lowest, &highest);
    if (schema_read_signed(text, len, &out->signed_number) && out->signed_number >= lowest &&
        out->signed_number <= highest)
        return 0;
    return refuse(field, text, len, error);
}

static int parse_unsigned(const struct schema_field *field, const char *text, size_t len,
    union schema_value *out, struct error *error)
{
    uint64_t lowest;
    uint64_t highest;
    schema_unsigned_range(field, &lowest, &highest);
    if (schema_read_unsigned(field->info->unit, text, len, &out->unsigned_number) &&
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
    schema_duration_range(field, &lowest, &highest);
    if (schema_duration_parse(text, len, &ns) != 0 || ns < lowest || ns > highest) {
        int result = refuse(field, text, len, error);
        uint64_t bare;
        if (schema_read_digits(text, len, 10, &bare))
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
    switch (schema_kind_of(field)) {
    case SCHEMA_KIND_SIGNED:
        return parse_signed(field, text, text_len, out, error);
    case SCHEMA_KIND_UNSIGNED:
        return parse_unsigned(field, text, text_len, out, error);
    case SCHEMA_KIND_REAL:
        return parse_real(field, text, text_len, out, error);
    case SCHEMA_KIND_BOOLEAN:
        return parse_boolean(field, text, text_len, out, error);
    case SCHEMA_KIND_ENUM:
        return parse_enum(field, text, text_len, out, error);
    case SCHEMA_KIND_TEXT:
        return parse_text(field, text, text_len, arena, out, error);
    case SCHEMA_KIND_BYTES:
        return parse_bytes(field, text, text_len, arena, out, error);
    case SCHEMA_KIND_DURATION:
        return parse_duration(field, text, text_len, arena, out, error);
    case SCHEMA_KIND_NONE:
        break;
    }
    return refuse(field, text, text_len, error);
}

/* ---- writing ---- */

/* With the largest binary unit that divides it: limits are written that way. */
static const char *format_size(uint64_t bytes, struct arena *arena)
{
    for (size_t i = 0; i < SCHEMA_SIZE_UNITS; i++) {
        bool is_binary = (schema_size_units[i].bytes & (schema_size_units[i].bytes - 1)) == 0;
        if (bytes > 0 && is_binary && schema_size_units[i].bytes > 1 &&
            bytes % schema_size_units[i].bytes == 0)
            return arena_printf(arena, "%" PRIu64 "%s", bytes / schema_size_units[i].bytes,
                schema_size_units[i].name);
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
    switch (schema_kind_of(field)) {
    case SCHEMA_KIND_SIGNED:
        return arena_printf(arena, "%" PRId64, value.signed_number);
    case SCHEMA_KIND_UNSIGNED:
        return format_unsigned(field->info->unit, value.unsigned_number, arena);
    case SCHEMA_KIND_REAL:
        return arena_printf(arena, "%.17g", value.real);
    case SCHEMA_KIND_BOOLEAN:
        return value.boolean ? "true" : "false";
    case SCHEMA_KIND_ENUM:
        return format_enum(field->info->enumeration, value.signed_number, arena);
    case SCHEMA_KIND_TEXT:
        return value.text;
    case SCHEMA_KIND_BYTES:
        return format_bytes(&value.bytes, arena);
    case SCHEMA_KIND_DURATION:
        return format_duration(value.message, arena);
    case SCHEMA_KIND_NONE:
        break;
    }
    return "";
}
