/* "services.backend.port" to the field it names. Internal to this room. */
#ifndef FLOCKS_CONFIG_VALUE_PATH_H
#define FLOCKS_CONFIG_VALUE_PATH_H

#include "common/schema/message.h"

/* The message that holds the value, and the field. For an entry of a map of single values: the
 * entry and its `value` field. */
struct value_place {
    const ProtobufCMessage *message;
    struct schema_field field;
};

enum value_path_result {
    VALUE_PATH_FOUND = 0,
    /* No field of that name in the schema. */
    VALUE_PATH_UNKNOWN,
    /* The schema has it, but the map entry or message above it is not there. */
    VALUE_PATH_ABSENT,
    /* The path names a message, a list or a map. */
    VALUE_PATH_NOT_SINGLE
};

/* Keys of maps reach to the next '.', but to the end where the map's values are single ones. *out
 * is set when the result is FOUND. */
enum value_path_result value_path_find(const struct crpc_message_info *info,
    const ProtobufCMessage *message, const char *path, struct value_place *out);

#endif
