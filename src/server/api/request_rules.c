#include "server/api/request_rules.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "flocks/v1/types.names.h"

#include "common/schema/message.h"

enum { PATH_SIZE = 128 };

/* Where a value stands in the request, for the message: "undo[2].link". */
struct place {
    char path[PATH_SIZE];
};

static struct place place_of(
    const struct place *parent, const struct schema_field *field, size_t index)
{
    struct place place;
    const char *dot = parent->path[0] ? "." : "";
    int written;

    if (schema_field_is_repeated(field))
        written = snprintf(place.path, sizeof(place.path), "%s%s%s[%zu]", parent->path, dot,
            field->info->name, index);
    else
        written = snprintf(
            place.path, sizeof(place.path), "%s%s%s", parent->path, dot, field->info->name);
    (void)written; /* a path that is cut still leads a person to the field */
    return place;
}

static int too_many(
    const struct place *parent, const struct schema_field *field, size_t count, struct error *error)
{
    struct place place = place_of(parent, field, field->info->max_items);
    int result = error_set(error, STATUS_INVALID_ARGUMENT, "%s: %zu entries, at most %" PRIu32,
        place.path, count, field->info->max_items);

    if (error)
        error->reason = FLOCKS_ERROR_REASON_LIMIT_REACHED;
    return result;
}

static int check_length(
    const struct place *place, const struct schema_field *field, size_t len, struct error *error)
{
    int result;

    if (field->info->max_bytes == 0 || len <= field->info->max_bytes)
        return 0;
    result = error_set(error, STATUS_INVALID_ARGUMENT, "%s: %zu bytes, at most %" PRIu32,
        place->path, len, field->info->max_bytes);
    if (error)
        error->reason = FLOCKS_ERROR_REASON_LIMIT_REACHED;
    return result;
}

static int check_message(const struct crpc_message_info *info, const ProtobufCMessage *message,
    const struct place *parent, struct error *error);

/* Schemas are not recursive (protoc-gen-crpc refuses that), so the depth is the schema's. */
static int check_value(/* NOLINT(misc-no-recursion) */
    const struct place *place, const struct schema_field *field, union schema_value value,
    struct error *error)
{
    switch (field->descriptor->type) {
    case PROTOBUF_C_TYPE_STRING:
        return check_length(place, field, strlen(value.text), error);
    case PROTOBUF_C_TYPE_BYTES:
        return check_length(place, field, value.bytes.len, error);
    case PROTOBUF_C_TYPE_MESSAGE:
        if (!value.message || !field->info->message)
            return 0;
        return check_message(field->info->message, value.message, place, error);
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_BOOL:
        return 0;
    }
    return 0;
}

static int check_field(/* NOLINT(misc-no-recursion) */
    const ProtobufCMessage *message, const struct schema_field *field, const struct place *parent,
    struct error *error)
{
    size_t count = schema_count(message, field);

    if (field->info->max_items > 0 && count > field->info->max_items)
        return too_many(parent, field, count, error);
    for (size_t i = 0; i < count; i++) {
        struct place place = place_of(parent, field, i);
        int result = check_value(&place, field, schema_get(message, field, i), error);

        if (result < 0)
            return result;
    }
    return 0;
}

static int check_message(/* NOLINT(misc-no-recursion) */
    const struct crpc_message_info *info, const ProtobufCMessage *message,
    const struct place *parent, struct error *error)
{
    for (size_t i = 0; i < info->n_fields; i++) {
        struct schema_field field = schema_field_at(info, i);
        int result = check_field(message, &field, parent, error);

        if (result < 0)
            return result;
    }
    return 0;
}

int request_rules_check(
    const struct crpc_message_info *info, const ProtobufCMessage *message, struct error *error)
{
    const struct place request = {.path = ""};

    return check_message(info, message, &request, error);
}
