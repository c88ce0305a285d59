/* Protobuf's wire format, one field at a time, over borrowed bytes. Pure, no heap.
 * Source: protobuf.dev, "Encoding". Groups (wire types 3 and 4) are refused. */
#ifndef CRPC_WIRE_H
#define CRPC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rpc_wire_type {
    RPC_WIRE_VARINT = 0,
    RPC_WIRE_FIXED64 = 1,
    RPC_WIRE_BYTES = 2,
    RPC_WIRE_FIXED32 = 5
};

struct rpc_wire_reader {
    const uint8_t *next;
    const uint8_t *end;
};

struct rpc_wire_field {
    /* 1 to 2^29 - 1. */
    uint32_t number;
    enum rpc_wire_type type;
    /* VARINT, FIXED32 and FIXED64. */
    uint64_t value;
    /* BYTES: borrowed. */
    const uint8_t *data;
    size_t len;
};

struct rpc_wire_reader rpc_wire_reader(const uint8_t *bytes, size_t len);
/* 1: *out is the next field. 0: the end. Negative: not valid wire format. */
int rpc_wire_next(struct rpc_wire_reader *reader, struct rpc_wire_field *out);
/* One varint without a tag (packed fields). False: cut short or longer than ten bytes. */
bool rpc_wire_read_varint(struct rpc_wire_reader *reader, uint64_t *out);

size_t rpc_wire_varint_size(uint64_t value);
uint8_t *rpc_wire_put_varint(uint8_t *out, uint64_t value);
/* Tag, length and `len` bytes; 0 when `len` is 0, as proto3 leaves empty fields out. */
size_t rpc_wire_bytes_size(uint32_t number, size_t len);
/* Tag and length only; answers where the bytes go. Writes nothing when `len` is 0. */
uint8_t *rpc_wire_put_bytes_head(uint8_t *out, uint32_t number, size_t len);
uint8_t *rpc_wire_put_bytes(uint8_t *out, uint32_t number, const uint8_t *data, size_t len);
/* 0 when `value` is 0. */
size_t rpc_wire_number_size(uint32_t number, uint64_t value);
uint8_t *rpc_wire_put_number(uint8_t *out, uint32_t number, uint64_t value);

#endif
