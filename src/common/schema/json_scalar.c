#include "common/schema/json_scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/base/status.h"
#include "common/schema/nearest.h"

int json_no_memory(struct json_reader *reader)
{
    return error_set(
        reader->error, STATUS_RESOURCE_EXHAUSTED, "the JSON text takes too much memory");
}

static const char *type_name(json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

const char *json_where(const struct json_reader *reader)
{
    return reader->path.len > 0 ? reader->path.text : "the request";
}

int json_refuse(struct json_reader *reader, const char *wanted, json_t *json)
{
    const char *where = json_where(reader);
    if (json_is_string(json))
        return error_set(reader->error, STATUS_INVALID_ARGUMENT, "%s: must be %s, not \"%s\"",
            where, wanted, json_string_value(json));
    return error_set(reader->error, STATUS_INVALID_ARGUMENT, "%s: must be %s, not %s", where,
        wanted, type_name(json));
}

/* proto3 JSON: numbers may come as strings; 1.0 is an
 * integer too. False: no whole number of 64 bits. */
static bool read_whole(json_t *json, bool *out_is_negative, uint64_t *out_magnitude)
{
    if (json_is_integer(json)) {
        json_int_t number = json_integer_value(json);
        *out_is_negative = number < 0;
        *out_magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
        return true;
    }
    if (json_is_real(json)) {
        double number = json_real_value(json);
        if (trunc(number) != number || fabs(number) >= 9.2e18)
            return false;
        *out_is_negative = number < 0;
        *out_magnitude = (uint64_t)fabs(number);
        return true;
    }
    if (!json_is_string(json))
        return false;
    const char *text = json_string_value(json);
    *out_is_negative = text[0] == '-';
    text += *out_is_negative;
    uint64_t magnitude = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(magnitude, 10, &magnitude) ||
            __builtin_add_overflow(magnitude, (uint64_t)(*text - '0'), &magnitude))
            return false;
    }
    *out_magnitude = magnitude;
    return true;
}

static int read_signed(
    struct json_reader *reader, json_t *json, int64_t highest, union schema_value *out)
{
    bool is_negative;
    uint64_t magnitude;
    if (!read_whole(json, &is_negative, &magnitude) || magnitude > (uint64_t)highest + is_negative)
        return json_refuse(reader, "a whole number in range", json);
    out->signed_number = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return 0;
}

static int read_unsigned(
    struct json_reader *reader, json_t *json, uint64_t highest, union schema_value *out)
{
    bool is_negative;
    uint64_t magnitude;
    if (!read_whole(json, &is_negative, &magnitude) || magnitude > highest ||
        (is_negative && magnitude > 0))
        return json_refuse(reader, "a whole number in range, not negative", json);
    out->unsigned_number = magnitude;
    return 0;
}

static int read_real(struct json_reader *reader, json_t *json, union schema_value *out)
{
    if (json_is_number(json)) {
        out->real = json_number_value(json);
        return 0;
    }
    if (!json_is_string(json) || json_string_length(json) == 0)
        return json_refuse(reader, "a number", json);
    char *end;
    out->real = strtod(json_string_value(json), &end);
    return *end == '\0' ? 0 : json_refuse(reader, "a number", json);
}

static int read_enum(struct json_reader *reader, const struct crpc_enum_info *type, json_t *json,
    union schema_value *out)
{
    if (json_is_integer(json))
        return read_signed(reader, json, INT32_MAX, out);
    if (!json_is_string(json))
        return json_refuse(reader, "the name of an enum value", json);
    const char *text = json_string_value(json);
    struct nearest nearest;
    nearest_init(&nearest, text, strlen(text));
    for (size_t i = 0; i < type->n_values; i++) {
        const struct crpc_enum_value_info *value = &type->values[i];
        if (strcmp(value->name, text) == 0 || strcmp(value->short_name, text) == 0) {
            out->signed_number = value->number;
            return 0;
        }
        nearest_offer(&nearest, value->name);
        nearest_offer(&nearest, value->short_name);
    }
    int result = error_set(reader->error, STATUS_INVALID_ARGUMENT, "%s: %s has no value \"%s\"",
        reader->path.text, type->full_name, text);
    if (nearest_result(&nearest) != NULL)
        error_set_hint(reader->error, "did you mean %s?", nearest_result(&nearest));
    return result;
}

static int read_text(struct json_reader *reader, json_t *json, union schema_value *out)
{
    if (!json_is_string(json))
        return json_refuse(reader, "a string", json);
    out->text = arena_strndup(reader->arena, json_string_value(json), json_string_length(json));
    return out->text != NULL ? 0 : json_no_memory(reader);
}

static int read_bytes(struct json_reader *reader, json_t *json, union schema_value *out)
{
    if (!json_is_string(json))
        return json_refuse(reader, "base64 text", json);
    int result = base64_read(json_string_value(json), json_string_length(json), reader->arena,
        &out->bytes.data, &out->bytes.len);
    if (result == -STATUS_RESOURCE_EXHAUSTED)
        return json_no_memory(reader);
    return result == 0 ? 0 : json_refuse(reader, "base64 text", json);
}

int json_scalar_read(struct json_reader *reader, const struct schema_field *field, json_t *json,
    union schema_value *out)
{
    *out = (union schema_value){0};
    switch (field->descriptor->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return read_signed(reader, json, INT32_MAX, out);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return read_signed(reader, json, INT64_MAX, out);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return read_unsigned(reader, json, UINT32_MAX, out);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return read_unsigned(reader, json, UINT64_MAX, out);
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return read_real(reader, json, out);
    case PROTOBUF_C_TYPE_BOOL:
        out->boolean = json_is_true(json);
        return json_is_boolean(json) ? 0 : json_refuse(reader, "true or false", json);
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(reader, field->info->enumeration, json, out);
    case PROTOBUF_C_TYPE_STRING:
        return read_text(reader, json, out);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(reader, json, out);
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return json_refuse(reader, "a single value", json);
}
