#include "server/api/request_rules.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "flocks/v1/types.names.h"

#include "common/base/buffer.h"
#include "common/schema/message.h"

enum { PATH_BYTES_MAX = 256 };

/* Where a value stands in the request; made into text only when it has to be told: "undo[2].link".
 */
struct place {
    const struct place *parent; /* NULL: the field is the request's own */
    const struct schema_field *field;
    size_t index;
};

/* Schemas are not recursive (protoc-gen-crpc refuses that), so all depths here are the schema's.
 * NOLINTBEGIN(misc-no-recursion) */
static void put_path(const struct place *place, struct buffer *out)
{
    int result = 0;

    if (place->parent) {
        put_path(place->parent, out);
        result = buffer_append_text(out, ".");
    }
    if (result == 0)
        result = buffer_append_text(out, place->field->info->name);
    if (result == 0 && schema_field_is_repeated(place->field))
        result = buffer_printf(out, "[%zu]", place->index);
    (void)result; /* a path that is cut still leads to the field */
}

/* -STATUS_INVALID_ARGUMENT: `count` of `what`, and how many there may be. */
static int refuse(
    const struct place *place, size_t count, uint32_t max, const char *what, struct error *error)
{
    struct buffer path;
    int result;

    buffer_init(&path, PATH_BYTES_MAX);
    put_path(place, &path);
    result = error_set(error, STATUS_INVALID_ARGUMENT, "%.*s: %zu %s, at most %" PRIu32,
        (int)buffer_length(&path), (const char *)buffer_data(&path), count, what, max);
    buffer_deinit(&path);
    if (error)
        error->reason = FLOCKS_ERROR_REASON_LIMIT_REACHED;
    return result;
}

static int check_length(const struct place *place, size_t len, struct error *error)
{
    uint32_t max = place->field->info->max_bytes;

    return max > 0 && len > max ? refuse(place, len, max, "bytes", error) : 0;
}

static int check_message(const struct crpc_message_info *info, const ProtobufCMessage *message,
    const struct place *parent, struct error *error);

static int check_value(const struct place *place, union schema_value value, struct error *error)
{
    const struct schema_field *field = place->field;

    if (field->descriptor->type == PROTOBUF_C_TYPE_STRING)
        return check_length(place, strlen(value.text), error);
    if (field->descriptor->type == PROTOBUF_C_TYPE_BYTES)
        return check_length(place, value.bytes.len, error);
    if (field->descriptor->type == PROTOBUF_C_TYPE_MESSAGE && value.message && field->info->message)
        return check_message(field->info->message, value.message, place, error);
    return 0;
}

static int check_field(const ProtobufCMessage *message, const struct schema_field *field,
    const struct place *parent, struct error *error)
{
    size_t count = schema_count(message, field);
    uint32_t max = field->info->max_items;
    struct place place = {.parent = parent, .field = field};

    if (max > 0 && count > max) {
        place.index = max;
        return refuse(&place, count, max, "entries", error);
    }
    for (; place.index < count; place.index++) {
        int result = check_value(&place, schema_get(message, field, place.index), error);

        if (result < 0)
            return result;
    }
    return 0;
}

static int check_message(const struct crpc_message_info *info, const ProtobufCMessage *message,
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
/* NOLINTEND(misc-no-recursion) */

int request_rules_check(
    const struct crpc_message_info *info, const ProtobufCMessage *message, struct error *error)
{
    return check_message(info, message, NULL, error);
}
