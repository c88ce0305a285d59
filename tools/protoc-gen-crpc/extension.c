#include "extension.h"

struct extension_reader extension_reader(const ProtobufCMessage *options, uint32_t number)
{
    return (struct extension_reader){
        .options = options, .number = number, .piece = rpc_wire_reader(NULL, 0)};
}

/* The next unknown field with the extension's number; its data begins with its length. */
static bool take_piece(struct extension_reader *reader)
{
    const ProtobufCMessage *options = reader->options;
    while (options != NULL && reader->next_piece < options->n_unknown_fields) {
        const ProtobufCMessageUnknownField *piece = &options->unknown_fields[reader->next_piece++];
        if (piece->tag != reader->number ||
            piece->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
            continue;
        reader->piece = rpc_wire_reader(piece->data, piece->len);
        uint64_t len;
        if (rpc_wire_read_varint(&reader->piece, &len) &&
            len == (uint64_t)(reader->piece.end - reader->piece.next))
            return true;
    }
    return false;
}

bool extension_next(struct extension_reader *reader, struct rpc_wire_field *out)
{
    int more;
    while ((more = rpc_wire_next(&reader->piece, out)) == 0) {
        if (!take_piece(reader))
            return false;
    }
    return more > 0;
}
