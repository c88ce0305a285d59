/* Varints, tags and lengths. Nothing here reads past
 * its end or believes a length before it fits. */
#include "common/rpc/wire.h"

#include <string.h>

enum { MAX_VARINT_BYTES = 10, TYPE_BITS = 3, TYPE_MASK = 7 };

struct rpc_wire_reader rpc_wire_reader(const uint8_t *bytes, size_t len)
{
    static const uint8_t NOTHING[1];
    if (len == 0)
        bytes = NOTHING;
    return (struct rpc_wire_reader){.next = bytes, .end = bytes + len};
}

static bool read_long_varint(struct rpc_wire_reader *reader, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < MAX_VARINT_BYTES && reader->next < reader->end; i++) {
        uint8_t byte = *reader->next++;
        value |= (uint64_t)(byte & 0x7FU) << (7 * i);
        if ((byte & 0x80U) == 0) {
            *out = value;
            return true;
        }
    }
    return false;
}

static inline bool read_varint(struct rpc_wire_reader *reader, uint64_t *out)
{
    /* Nearly all tags and lengths have one byte. */
    if (reader->next < reader->end && (*reader->next & 0x80U) == 0) {
        *out = *reader->next++;
        return true;
    }
    return read_long_varint(reader, out);
}

bool rpc_wire_read_varint(struct rpc_wire_reader *reader, uint64_t *out)
{
    return read_varint(reader, out);
}

static bool take(struct rpc_wire_reader *reader, uint64_t len, const uint8_t **out)
{
    if (len > (uint64_t)(reader->end - reader->next))
        return false;
    *out = reader->next;
    reader->next += len;
    return true;
}

static bool read_fixed(struct rpc_wire_reader *reader, unsigned len, uint64_t *out)
{
    const uint8_t *bytes = NULL;
    if (!take(reader, len, &bytes))
        return false;
    uint64_t value = 0;
    for (unsigned i = 0; i < len; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    *out = value;
    return true;
}

static bool read_value(struct rpc_wire_reader *reader, struct rpc_wire_field *field)
{
    switch (field->type) {
    case RPC_WIRE_VARINT:
        return read_varint(reader, &field->value);
    case RPC_WIRE_FIXED64:
        return read_fixed(reader, 8, &field->value);
    case RPC_WIRE_FIXED32:
        return read_fixed(reader, 4, &field->value);
    case RPC_WIRE_BYTES: {
        uint64_t len = 0;
        if (!read_varint(reader, &len) || !take(reader, len, &field->data))
            return false;
        field->len = (size_t)len;
        return true;
    }
    }
    return false;
}

int rpc_wire_next(struct rpc_wire_reader *reader, struct rpc_wire_field *out)
{
    if (reader->next == reader->end)
        return 0;
    uint64_t tag = 0;
    if (!read_varint(reader, &tag) || tag > UINT32_MAX || tag >> TYPE_BITS == 0)
        return -1;
    uint32_t type = (uint32_t)tag & TYPE_MASK;
    if (type != RPC_WIRE_VARINT && type != RPC_WIRE_FIXED64 && type != RPC_WIRE_BYTES &&
        type != RPC_WIRE_FIXED32)
        return -1;
    *out = (struct rpc_wire_field){
        .number = (uint32_t)(tag >> TYPE_BITS), .type = (enum rpc_wire_type)type};
    return read_value(reader, out) ? 1 : -1;
}

size_t rpc_wire_varint_size(uint64_t value)
{
    size_t n = 1;
    while (value >= 0x80U) {
        value >>= 7;
        n++;
    }
    return n;
}

uint8_t *rpc_wire_put_varint(uint8_t *out, uint64_t value)
{
    while (value >= 0x80U) {
        *out++ = (uint8_t)(value | 0x80U);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

static uint64_t tag_of(uint32_t number, enum rpc_wire_type type)
{
    return (uint64_t)number << TYPE_BITS | type;
}

size_t rpc_wire_bytes_size(uint32_t number, size_t len)
{
    if (len == 0)
        return 0;
    return rpc_wire_varint_size(tag_of(number, RPC_WIRE_BYTES)) + rpc_wire_varint_size(len) + len;
}

uint8_t *rpc_wire_put_bytes_head(uint8_t *out, uint32_t number, size_t len)
{
    if (len == 0)
        return out;
    out = rpc_wire_put_varint(out, tag_of(number, RPC_WIRE_BYTES));
    return rpc_wire_put_varint(out, len);
}

uint8_t *rpc_wire_put_bytes(uint8_t *out, uint32_t number, const uint8_t *data, size_t len)
{
    if (len == 0)
        return out;
    out = rpc_wire_put_bytes_head(out, number, len);
    memcpy(out, data, len);
    return out + len;
}

size_t rpc_wire_number_size(uint32_t number, uint64_t value)
{
    if (value == 0)
        return 0;
    return rpc_wire_varint_size(tag_of(number, RPC_WIRE_VARINT)) + rpc_wire_varint_size(value);
}

uint8_t *rpc_wire_put_number(uint8_t *out, uint32_t number, uint64_t value)
{
    if (value == 0)
        return out;
    out = rpc_wire_put_varint(out, tag_of(number, RPC_WIRE_VARINT));
    return rpc_wire_put_varint(out, value);
}
