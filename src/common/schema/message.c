#include "common/schema/message.h"

#include <assert.h>
#include <string.h>

struct schema_field schema_field_at(const struct crpc_message_info *info, size_t index)
{
    assert(index < info->n_fields);
    return (struct schema_field){&info->fields[index], &info->descriptor->fields[index]};
}

static bool name_is(const char *candidate, const char *name, size_t name_len)
{
    return strlen(candidate) == name_len && memcmp(candidate, name, name_len) == 0;
}

bool schema_field_find(const struct crpc_message_info *info, const char *name, size_t name_len,
    bool or_json, struct schema_field *out)
{
    for (size_t i = 0; i < info->n_fields; i++) {
        const struct crpc_field_info *field = &info->fields[i];
        if (name_is(field->name, name, name_len) ||
            (or_json && name_is(field->json_name, name, name_len))) {
            *out = schema_field_at(info, i);
            return true;
        }
    }
    return false;
}

bool schema_field_is_repeated(const struct schema_field *field)
{
    return field->descriptor->label == PROTOBUF_C_LABEL_REPEATED;
}

bool schema_field_is_message(const struct schema_field *field)
{
    return field->descriptor->type == PROTOBUF_C_TYPE_MESSAGE;
}

const char *schema_field_type_name(const struct schema_field *field)
{
    if (!schema_field_is_message(field))
        return "";
    const ProtobufCMessageDescriptor *type = field->descriptor->descriptor;
    return type->name;
}

ProtobufCMessage *schema_message_new_raw(
    const ProtobufCMessageDescriptor *descriptor, struct arena *arena)
{
    ProtobufCMessage *message = arena_alloc(arena, descriptor->sizeof_message);
    if (message != NULL)
        protobuf_c_message_init(descriptor, message);
    return message;
}

ProtobufCMessage *schema_message_new(const struct crpc_message_info *info, struct arena *arena)
{
    return schema_message_new_raw(info->descriptor, arena);
}

/* Bytes of one element of this type in protobuf-c's structs. */
static size_t element_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_FLOAT:
        return sizeof(uint32_t);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return sizeof(void *);
}

static int32_t load_int32(const void *slot)
{
    int32_t number;
    memcpy(&number, slot, sizeof(number));
    return number;
}

static uint32_t load_uint32(const void *slot)
{
    uint32_t number;
    memcpy(&number, slot, sizeof(number));
    return number;
}

static double load_float(const void *slot)
{
    float number;
    memcpy(&number, slot, sizeof(number));
    return (double)number;
}

static bool load_boolean(const void *slot)
{
    protobuf_c_boolean truth;
    memcpy(&truth, slot, sizeof(truth));
    return truth != 0;
}

static const char *load_pointer(const void *slot)
{
    const char *pointer;
    memcpy(&pointer, slot, sizeof(pointer));
    return pointer;
}

static const char *load_text(const void *slot)
{
    const char *text = load_pointer(slot);
    return text != NULL ? text : "";
}

static union schema_value load(const void *slot, ProtobufCType type)
{
    union schema_value value = {0};
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM:
        value.signed_number = load_int32(slot);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        value.unsigned_number = load_uint32(slot);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        value.real = load_float(slot);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        value.boolean = load_boolean(slot);
        break;
    case PROTOBUF_C_TYPE_STRING:
        value.text = load_text(slot);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        /* As wide here as there: every member of the union starts at its beginning. */
        memcpy(&value, slot, element_size(type));
        break;
    }
    return value;
}

static void store(void *slot, ProtobufCType type, union schema_value value)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM: {
        int32_t number = (int32_t)value.signed_number;
        memcpy(slot, &number, sizeof(number));
        break;
    }
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32: {
        uint32_t number = (uint32_t)value.unsigned_number;
        memcpy(slot, &number, sizeof(number));
        break;
    }
    case PROTOBUF_C_TYPE_FLOAT: {
        float number = (float)value.real;
        memcpy(slot, &number, sizeof(number));
        break;
    }
    case PROTOBUF_C_TYPE_BOOL: {
        protobuf_c_boolean truth = value.boolean;
        memcpy(slot, &truth, sizeof(truth));
        break;
    }
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        memcpy(slot, &value, element_size(type));
        break;
    }
}

static const char *slot_of(const ProtobufCMessage *message, const struct schema_field *field)
{
    return (const char *)message + field->descriptor->offset;
}

static bool is_oneof(const struct schema_field *field)
{
    return (field->descriptor->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

size_t schema_count(const ProtobufCMessage *message, const struct schema_field *field)
{
    const char *quantifier = (const char *)message + field->descriptor->quantifier_offset;
    if (schema_field_is_repeated(field)) {
        size_t count;
        memcpy(&count, quantifier, sizeof(count));
        return count;
    }
    if (is_oneof(field) && load_uint32(quantifier) != field->descriptor->id)
        return 0;
    if (schema_field_is_message(field))
        return load(slot_of(message, field), PROTOBUF_C_TYPE_MESSAGE).message != NULL;
    return 1;
}

union schema_value schema_get(
    const ProtobufCMessage *message, const struct schema_field *field, size_t index)
{
    const char *slot = slot_of(message, field);
    if (schema_field_is_repeated(field)) {
        slot = load_pointer(slot);
        slot += index * element_size(field->descriptor->type);
    }
    return load(slot, field->descriptor->type);
}

void schema_set(
    ProtobufCMessage *message, const struct schema_field *field, union schema_value value)
{
    assert(!schema_field_is_repeated(field));
    if (is_oneof(field)) {
        uint32_t id = field->descriptor->id;
        memcpy((char *)message + field->descriptor->quantifier_offset, &id, sizeof(id));
    }
    store((char *)message + field->descriptor->offset, field->descriptor->type, value);
}

bool schema_resize(
    ProtobufCMessage *message, const struct schema_field *field, size_t count, struct arena *arena)
{
    assert(schema_field_is_repeated(field));
    void *items = NULL;
    if (count > 0) {
        items = arena_calloc(arena, count, element_size(field->descriptor->type));
        if (items == NULL)
            return false;
    }
    memcpy((char *)message + field->descriptor->offset, &items, sizeof(items));
    memcpy((char *)message + field->descriptor->quantifier_offset, &count, sizeof(count));
    return true;
}

void schema_set_at(ProtobufCMessage *message, const struct schema_field *field, size_t index,
    union schema_value value)
{
    assert(index < schema_count(message, field));
    char *items;
    memcpy(&items, (char *)message + field->descriptor->offset, sizeof(items));
    ProtobufCType type = field->descriptor->type;
    store(items + index * element_size(type), type, value);
}

/* A type without our side table is one of google's:
 * numbers only, but for Any, whose texts are shared. */
static ProtobufCMessage *copy_plain(const ProtobufCMessage *message, struct arena *arena)
{
    ProtobufCMessage *copy = arena_alloc(arena, message->descriptor->sizeof_message);
    if (copy == NULL)
        return NULL;
    memcpy(copy, message, message->descriptor->sizeof_message);
    copy->n_unknown_fields = 0;
    copy->unknown_fields = NULL;
    return copy;
}

/* Copies what `value` points to; false: arena exhausted. */
static bool copy_value(
    const struct schema_field *field, union schema_value *value, struct arena *arena)
{
    switch (field->descriptor->type) {
    case PROTOBUF_C_TYPE_STRING:
        value->text = arena_strdup(arena, value->text);
        return value->text != NULL;
    case PROTOBUF_C_TYPE_BYTES: {
        uint8_t *data = arena_alloc(arena, value->bytes.len);
        if (data == NULL)
            return false;
        if (value->bytes.len > 0)
            memcpy(data, value->bytes.data, value->bytes.len);
        value->bytes.data = data;
        return true;
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        value->message = field->info->message != NULL
                             ? schema_message_copy(field->info->message, value->message, arena)
                             : copy_plain(value->message, arena);
        return value->message != NULL;
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
    case PROTOBUF_C_TYPE_ENUM:
        break;
    }
    return true;
}

static bool copy_field(const struct schema_field *field, const ProtobufCMessage *from,
    ProtobufCMessage *to, struct arena *arena)
{
    size_t count = schema_count(from, field);
    if (schema_field_is_repeated(field) && !schema_resize(to, field, count, arena))
        return false;
    for (size_t i = 0; i < count; i++) {
        union schema_value value = schema_get(from, field, i);
        if (!copy_value(field, &value, arena))
            return false;
        if (schema_field_is_repeated(field))
            schema_set_at(to, field, i, value);
        else
            schema_set(to, field, value);
    }
    return true;
}

ProtobufCMessage *schema_message_copy(
    const struct crpc_message_info *info, const ProtobufCMessage *message, struct arena *arena)
{
    ProtobufCMessage *copy = schema_message_new(info, arena);
    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < info->n_fields; i++) {
        struct schema_field field = schema_field_at(info, i);
        if (!copy_field(&field, message, copy, arena))
            return NULL;
    }
    return copy;
}

static void *unpack_alloc(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void unpack_free(void *arena, void *pointer)
{
    (void)arena;
    (void)pointer;
}

ProtobufCMessage *schema_message_unpack(const ProtobufCMessageDescriptor *descriptor,
    const uint8_t *bytes, size_t len, struct arena *arena)
{
    ProtobufCAllocator allocator = {unpack_alloc, unpack_free, arena};
    return protobuf_c_message_unpack(descriptor, &allocator, len, bytes);
}

const struct crpc_message_info *schema_registry_find(
    const struct schema_registry *registry, const char *type_url)
{
    const char *slash = strrchr(type_url, '/');
    const char *name = slash != NULL ? slash + 1 : type_url;
    for (size_t i = 0; registry != NULL && i < registry->n_types; i++) {
        if (strcmp(registry->types[i]->full_name, name) == 0)
            return registry->types[i];
    }
    return NULL;
}
