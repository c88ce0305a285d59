/* The fields of one extension of an options message, for options that this program was not compiled
 * with: protobuf-c leaves them among the unknown fields. Knows no option by name. */
#ifndef PROTOC_GEN_CRPC_EXTENSION_H
#define PROTOC_GEN_CRPC_EXTENSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/rpc/wire.h"

/* Plain value. The extension may be given in several pieces (protobuf merges them). */
struct extension_reader {
    const ProtobufCMessage *options;
    uint32_t number;
    size_t next_piece;
    struct rpc_wire_reader piece;
};

/* `options` may be NULL: no fields. */
struct extension_reader extension_reader(const ProtobufCMessage *options, uint32_t number);
/* The next field, borrowing from the options. False: no more, or bytes that are no protobuf (protoc
 * writes none such). */
bool extension_next(struct extension_reader *reader, struct rpc_wire_field *out);

#endif
