#include "common/config/value_path.h"

#include <string.h>

#include "common/schema/schema_value.h"

/* Entry of a map with text keys; NULL: none. */
static const ProtobufCMessage *find_entry(const ProtobufCMessage *message,
    const struct schema_field *map, const char *key, size_t key_len)
{
    struct schema_field key_field = schema_field_at(map->info->message, 0);
    for (size_t i = 0; i < schema_count(message, map); i++) {
        const ProtobufCMessage *entry = schema_get(message, map, i).message;
        const char *candidate = schema_get(entry, &key_field, 0).text;
        if (strlen(candidate) == key_len && memcmp(candidate, key, key_len) == 0)
            return entry;
    }
    return NULL;
}

/* `*path` is behind the map's own name; it is moved behind the key. */
static enum value_path_result enter_map(const ProtobufCMessage *message,
    const struct schema_field *map, const char **path, struct value_place *out)
{
    struct schema_field value_field = schema_field_at(map->info->message, 1);
    bool is_leaf = schema_value_is_text(&value_field);
    if (**path != '.')
        return VALUE_PATH_NOT_SINGLE;
    const char *key = *path + 1;
    size_t key_len = is_leaf ? strlen(key) : strcspn(key, ".");
    const ProtobufCMessage *entry = find_entry(message, map, key, key_len);
    *path = key + key_len;
    if (entry == NULL)
        return VALUE_PATH_ABSENT;
    *out = (struct value_place){entry, value_field};
    return VALUE_PATH_FOUND;
}

enum value_path_result value_path_find(const struct crpc_message_info *info,
    const ProtobufCMessage *message, const char *path, struct value_place *out)
{
    for (;;) {
        size_t name_len = strcspn(path, ".");
        out->message = message;
        if (!schema_field_find(info, path, name_len, false, &out->field))
            return VALUE_PATH_UNKNOWN;
        path += name_len;
        if (out->field.info->is_map) {
            struct schema_field map = out->field;
            enum value_path_result result = enter_map(message, &map, &path, out);
            if (result != VALUE_PATH_FOUND)
                return result;
        } else if (schema_field_is_repeated(&out->field)) {
            return VALUE_PATH_NOT_SINGLE;
        }
        if (schema_value_is_text(&out->field))
            return *path == '\0' ? VALUE_PATH_FOUND : VALUE_PATH_UNKNOWN;
        if (*path == '\0')
            return VALUE_PATH_NOT_SINGLE;
        if (schema_count(out->message, &out->field) == 0)
            return VALUE_PATH_ABSENT;
        message = schema_get(out->message, &out->field, 0).message;
        info = out->field.info->message;
        path++;
    }
}
