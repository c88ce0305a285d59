/* Defaults from the rules of the .proto files. */
#include <string.h>

#include "common/schema/message.h"
#include "common/schema/schema_value.h"

static ProtobufCMessage *new_with_defaults(
    const struct crpc_message_info *info, struct arena *arena)
{
    ProtobufCMessage *message = schema_message_new(info, arena);
    for (size_t i = 0; message != NULL && i < info->n_fields; i++) {
        struct schema_field field = schema_field_at(info, i);
        if (!schema_default_field(message, &field, arena))
            return NULL;
    }
    return message;
}

bool schema_default_field(
    ProtobufCMessage *message, const struct schema_field *field, struct arena *arena)
{
    const char *text = field->info->default_value;
    if (text == NULL || schema_field_is_repeated(field))
        return true;
    union schema_value value;
    if (schema_value_is_text(field)) {
        int result = schema_value_parse(field, text, strlen(text), arena, &value, NULL);
        if (result == 0)
            schema_set(message, field, value);
        return !arena_is_exhausted(arena);
    }
    value.message = new_with_defaults(field->info->message, arena);
    if (value.message == NULL)
        return false;
    schema_set(message, field, value);
    return true;
}
