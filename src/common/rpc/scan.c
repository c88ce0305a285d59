/* The scan. Its recursion is bounded by RPC_NESTING_MAX. */
#include "common/rpc/scan.h"

#include <string.h>

#include "common/base/utf8.h"
#include "common/rpc/wire.h"
#include "crpc/limits.h"

struct scan {
    const struct rpc_scan_rules *rules;
    struct rpc_scan_place *place;
    size_t fields_left;
};

static enum rpc_wire_type wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return RPC_WIRE_FIXED32;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return RPC_WIRE_FIXED64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return RPC_WIRE_BYTES;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM:
        return RPC_WIRE_VARINT;
    }
    return RPC_WIRE_VARINT;
}

static bool is_text(const struct rpc_wire_field *field)
{
    return utf8_is_valid(field->data, field->len) &&
           (field->len == 0 || memchr(field->data, '\0', field->len) == NULL);
}

/* Not protobuf-c's own search, in which a range that ends at INT32_MAX overflows and is empty.
 * Values are sorted by number. */
static bool has_value(const ProtobufCEnumDescriptor *values, int32_t number)
{
    unsigned first = 0;
    unsigned end = values->n_values;
    while (first < end) {
        unsigned middle = first + (end - first) / 2;
        if (values->values[middle].value < number)
            first = middle + 1;
        else
            end = middle;
    }
    return first < values->n_values && values->values[first].value == number;
}

static enum rpc_scan_result check_value(
    const struct scan *scan, const ProtobufCFieldDescriptor *known, uint64_t value)
{
    const ProtobufCEnumDescriptor *values = known->descriptor;
    int32_t number = (int32_t)(uint32_t)value;
    if (!scan->rules->refuse_unknown_values || has_value(values, number))
        return RPC_SCAN_GOOD;
    scan->place->value = number;
    return RPC_SCAN_UNKNOWN_VALUE;
}

/* A repeated number field may come as one run of bytes, declared [packed] or not. */
static enum rpc_scan_result check_packed(const struct scan *scan,
    const ProtobufCFieldDescriptor *known, const struct rpc_wire_field *field)
{
    enum rpc_wire_type type = wire_type_of(known->type);
    if (type != RPC_WIRE_VARINT)
        return field->len % (type == RPC_WIRE_FIXED32 ? 4 : 8) == 0 ? RPC_SCAN_GOOD
                                                                    : RPC_SCAN_MALFORMED;
    struct rpc_wire_reader reader = rpc_wire_reader(field->data, field->len);
    enum rpc_scan_result result = RPC_SCAN_GOOD;
    while (result == RPC_SCAN_GOOD && reader.next < reader.end) {
        uint64_t value = 0;
        if (!rpc_wire_read_varint(&reader, &value))
            return RPC_SCAN_MALFORMED;
        if (known->type == PROTOBUF_C_TYPE_ENUM)
            result = check_value(scan, known, value);
    }
    return result;
}

static enum rpc_scan_result check_scalar(const struct scan *scan,
    const ProtobufCFieldDescriptor *known, const struct rpc_wire_field *field)
{
    enum rpc_wire_type expected = wire_type_of(known->type);
    if (field->type != expected) {
        bool is_packed = field->type == RPC_WIRE_BYTES && known->label == PROTOBUF_C_LABEL_REPEATED;
        return is_packed ? check_packed(scan, known, field) : RPC_SCAN_MALFORMED;
    }
    if (known->type == PROTOBUF_C_TYPE_STRING)
        return is_text(field) ? RPC_SCAN_GOOD : RPC_SCAN_BAD_TEXT;
    if (known->type == PROTOBUF_C_TYPE_ENUM)
        return check_value(scan, known, field->value);
    return RPC_SCAN_GOOD;
}

/* Recursion is bounded by `depth`. */
static enum rpc_scan_result scan_message(struct scan *scan,
    const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t len, unsigned depth)
{
    *scan->place = (struct rpc_scan_place){.message = descriptor->name};
    if (depth > RPC_NESTING_MAX)
        return RPC_SCAN_TOO_DEEP;
    struct rpc_wire_reader reader = rpc_wire_reader(bytes, len);
    struct rpc_wire_field field;
    int more;
    while ((more = rpc_wire_next(&reader, &field)) > 0) {
        if (scan->fields_left-- == 0)
            return RPC_SCAN_TOO_MANY;
        const ProtobufCFieldDescriptor *known =
            protobuf_c_message_descriptor_get_field(descriptor, field.number);
        scan->place->number = field.number;
        scan->place->field = known == NULL ? NULL : known->name;
        enum rpc_scan_result result = RPC_SCAN_GOOD;
        if (known == NULL)
            result = scan->rules->refuse_unknown_fields ? RPC_SCAN_UNKNOWN_FIELD : RPC_SCAN_GOOD;
        else if (known->type == PROTOBUF_C_TYPE_MESSAGE && field.type == RPC_WIRE_BYTES)
            result = scan_message(scan, known->descriptor, field.data, field.len, depth + 1);
        else
            result = check_scalar(scan, known, &field);
        if (result != RPC_SCAN_GOOD)
            return result;
        /* A sub-message has written its own name. */
        scan->place->message = descriptor->name;
    }
    return more == 0 ? RPC_SCAN_GOOD : RPC_SCAN_MALFORMED;
}

enum rpc_scan_result rpc_scan(const ProtobufCMessageDescriptor *descriptor,
    const struct rpc_scan_rules *rules, const uint8_t *bytes, size_t len,
    struct rpc_scan_place *out)
{
    struct scan scan = {
        .rules = rules,
        .place = out,
        .fields_left = rules->max_fields == 0 ? SIZE_MAX : rules->max_fields,
    };
    return scan_message(&scan, descriptor, bytes, len, 1);
}
