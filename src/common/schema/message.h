/* protobuf-c structs seen through their descriptors: find, read, set and add fields by name or
 * number. All memory comes from an arena; nothing here is ever given to
 * protobuf_c_message_free_unpacked. */
#ifndef FLOCKS_SCHEMA_MESSAGE_H
#define FLOCKS_SCHEMA_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "crpc/info.h"

/* One field of one message type: our side table and
 * protobuf-c's descriptor together. Plain value. */
struct schema_field {
    const struct crpc_field_info *info;
    const ProtobufCFieldDescriptor *descriptor;
};

/* One element. Which member holds depends on the field's type alone: */
union schema_value {
    int64_t signed_number;    /* int32, sint32, sfixed32, int64 ..., enum */
    uint64_t unsigned_number; /* uint32, fixed32, uint64, fixed64 */
    double real;              /* float, double */
    bool boolean;
    const char *text; /* string; never NULL */
    ProtobufCBinaryData bytes;
    const ProtobufCMessage *message; /* NULL: not set */
};

/* `index` is below info->n_fields. */
struct schema_field schema_field_at(const struct crpc_message_info *info, size_t index);
/* By proto name, or by lowerCamelCase name when `or_json` is set. False: no such field. */
bool schema_field_find(const struct crpc_message_info *info, const char *name, size_t name_len,
    bool or_json, struct schema_field *out);

bool schema_field_is_repeated(const struct schema_field *field); /* a list or a map */
bool schema_field_is_message(const struct schema_field *field);
/* "google.protobuf.Duration" and such; "" when the field is no message. */
const char *schema_field_type_name(const struct schema_field *field);

/* A message of this type with every field at protobuf-c's initial value; NULL: arena exhausted. */
NODISCARD ProtobufCMessage *schema_message_new(
    const struct crpc_message_info *info, struct arena *arena);
NODISCARD ProtobufCMessage *schema_message_new_raw(
    const ProtobufCMessageDescriptor *descriptor, struct arena *arena);
/* Deep copy; unknown fields are not copied. NULL: arena exhausted. */
NODISCARD ProtobufCMessage *schema_message_copy(
    const struct crpc_message_info *info, const ProtobufCMessage *message, struct arena *arena);

/* A packed message. NULL: arena exhausted, or the bytes are none of this type. */
NODISCARD ProtobufCMessage *schema_message_unpack(const ProtobufCMessageDescriptor *descriptor,
    const uint8_t *bytes, size_t len, struct arena *arena);

/* Elements of a repeated field; 1 or 0 for others: a
 * message or oneof member that is not set counts 0. */
size_t schema_count(const ProtobufCMessage *message, const struct schema_field *field);
/* `index` is below schema_count, or 0 for a scalar outside oneofs. */
union schema_value schema_get(
    const ProtobufCMessage *message, const struct schema_field *field, size_t index);
/* Sets a field that is not repeated; a oneof is switched
 * to it. Texts and messages are kept, not copied. */
void schema_set(
    ProtobufCMessage *message, const struct schema_field *field, union schema_value value);
/* A list's or map's storage is replaced by room for
 * `count` elements, all zero; false: arena exhausted. */
NODISCARD bool schema_resize(
    ProtobufCMessage *message, const struct schema_field *field, size_t count, struct arena *arena);
/* `index` is below the count given to schema_resize. */
void schema_set_at(ProtobufCMessage *message, const struct schema_field *field, size_t index,
    union schema_value value);

/* Drops the const of a message that stands inside one the caller built and may change. */
static inline ProtobufCMessage *schema_message_writable(const ProtobufCMessage *message)
{
    return (ProtobufCMessage *)(uintptr_t)message;
}

/* Gives a field its rule's default_value: nothing, a single value, or ("{}") a message with all its
 * own defaults. False: arena exhausted. A rule that cannot be read leaves the zero value (the
 * golden test of the rules shows it). */
NODISCARD bool schema_default_field(
    ProtobufCMessage *message, const struct schema_field *field, struct arena *arena);

/* Sorts the entries of every map, at any depth, by key: the canonical form. */
void schema_sort_maps(const struct crpc_message_info *info, ProtobufCMessage *message);

/* Types that may stand inside a google.protobuf.Any. */
struct schema_registry {
    const struct crpc_message_info *const *types;
    size_t n_types;
};
/* By "type.googleapis.com/flocks.v1.ErrorDetail" or "flocks.v1.ErrorDetail"; NULL: not known. */
const struct crpc_message_info *schema_registry_find(
    const struct schema_registry *registry, const char *type_url);

#endif
