/* The canonical order of maps. */
#include <stdlib.h>
#include <string.h>

#include "common/schema/message.h"

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Both are entries of the same map, whose key is field 1. */
static int compare_entries(const void *left, const void *right)
{
    const ProtobufCMessage *const *a = left;
    const ProtobufCMessage *const *b = right;
    struct schema_field key = {NULL, &(*a)->descriptor->fields[0]};
    union schema_value x = schema_get(*a, &key, 0);
    union schema_value y = schema_get(*b, &key, 0);
    if (key.descriptor->type == PROTOBUF_C_TYPE_STRING)
        return strcmp(x.text, y.text);
    if (key.descriptor->type == PROTOBUF_C_TYPE_BOOL)
        return compare_numbers(x.boolean, y.boolean);
    return compare_numbers(x.signed_number, y.signed_number);
}

static void sort_entries(const struct schema_field *field, ProtobufCMessage *message)
{
    ProtobufCMessage **entries;
    memcpy(&entries, (char *)message + field->descriptor->offset, sizeof(void *));
    size_t count = schema_count(message, field);
    if (count > 1)
        qsort(entries, count, sizeof(ProtobufCMessage *), compare_entries);
}

void schema_sort_maps(const struct crpc_message_info *info, ProtobufCMessage *message)
{
    for (size_t i = 0; i < info->n_fields; i++) {
        struct schema_field field = schema_field_at(info, i);
        if (field.info->is_map)
            sort_entries(&field, message);
        if (field.info->message == NULL)
            continue;
        for (size_t j = 0; j < schema_count(message, &field); j++) {
            /* Ours to change: the whole message is. */
            const ProtobufCMessage *child = schema_get(message, &field, j).message;
            schema_sort_maps(field.info->message, schema_message_writable(child));
        }
    }
}
