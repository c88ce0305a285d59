#include "wire.h"

#include "pool.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2, WIRE_FIXED32 = 5 };

struct wire_reader wire_extension(const ProtobufCMessage *options, uint32_t extension)
{
    return (struct wire_reader){.options = options, .extension = extension};
}

static bool take_varint(struct wire_reader *reader, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        uint8_t byte = *reader->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return true;
    }
    return false;
}

/* The next unknown field with the extension's number; its data begins with its length. */
static bool take_piece(struct wire_reader *reader)
{
    const ProtobufCMessage *options = reader->options;
    while (options != NULL && reader->next_piece < options->n_unknown_fields) {
        const ProtobufCMessageUnknownField *piece = &options->unknown_fields[reader->next_piece++];
        if (piece->tag != reader->extension ||
            piece->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
            continue;
        reader->at = piece->data;
        reader->end = piece->data + piece->len;
        uint64_t len;
        if (take_varint(reader, &len) && len == (uint64_t)(reader->end - reader->at))
            return true;
    }
    return false;
}

static bool take_bytes(struct wire_reader *reader, uint64_t len, struct wire_field *out)
{
    if (len > (uint64_t)(reader->end - reader->at))
        return false;
    out->bytes = reader->at;
    out->bytes_len = (size_t)len;
    reader->at += len;
    return true;
}

static bool take_value(struct wire_reader *reader, unsigned type, struct wire_field *out)
{
    uint64_t len;
    switch (type) {
    case WIRE_VARINT:
        return take_varint(reader, &out->number_value);
    case WIRE_FIXED64:
        return take_bytes(reader, 8, out);
    case WIRE_FIXED32:
        return take_bytes(reader, 4, out);
    case WIRE_LENGTH:
        return take_varint(reader, &len) && take_bytes(reader, len, out);
    default:
        return false;
    }
}

bool wire_next(struct wire_reader *reader, struct wire_field *out)
{
    while (reader->at == reader->end) {
        if (!take_piece(reader))
            return false;
    }
    uint64_t tag;
    *out = (struct wire_field){0};
    if (!take_varint(reader, &tag) || !take_value(reader, tag & 7, out))
        return false;
    out->number = (uint32_t)(tag >> 3);
    return true;
}

char *wire_text(const struct wire_field *field, struct arena *pool)
{
    return pool_strndup(pool, (const char *)field->bytes, field->bytes_len);
}
