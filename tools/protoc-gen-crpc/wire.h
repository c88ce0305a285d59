/* A reader of protobuf's wire format, for options that this program was not compiled with. */
#ifndef PROTOC_GEN_CRPC_WIRE_H
#define PROTOC_GEN_CRPC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/base/arena.h"

/* Walks one extension of `options`, which may be given in several pieces (protobuf merges them). */
struct wire_reader {
    const ProtobufCMessage *options;
    uint32_t extension;
    size_t next_piece;
    const uint8_t *at;
    const uint8_t *end;
};

/* One field. Varints are in `number_value`, texts and
 * messages in `bytes`; other wire types are skipped. */
struct wire_field {
    uint32_t number;
    uint64_t number_value;
    const uint8_t *bytes;
    size_t bytes_len;
};

/* `options` may be NULL. */
struct wire_reader wire_extension(const ProtobufCMessage *options, uint32_t extension);
/* False: no more, or bytes that are no protobuf (protoc writes none such). */
bool wire_next(struct wire_reader *reader, struct wire_field *out);
char *wire_text(const struct wire_field *field, struct arena *pool);

#endif
