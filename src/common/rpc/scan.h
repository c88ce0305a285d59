/* One pass over a message's bytes by its descriptor, before protobuf-c
 * sees them: what protobuf-c does not check (UTF-8, embedded NUL,
 * depth, unknown enum numbers) or cannot tell afterwards. No heap. */
#ifndef CRPC_SCAN_H
#define CRPC_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

enum rpc_scan_result {
    RPC_SCAN_GOOD,
    /* Not valid wire format, or a field with the wrong wire type. */
    RPC_SCAN_MALFORMED,
    /* Nested deeper than RPC_NESTING_MAX. */
    RPC_SCAN_TOO_DEEP,
    /* A text that is not UTF-8 or has a NUL in it. */
    RPC_SCAN_BAD_TEXT,
    RPC_SCAN_UNKNOWN_FIELD,
    RPC_SCAN_UNKNOWN_VALUE,
    /* More fields than the rules allow. */
    RPC_SCAN_TOO_MANY
};

/* What to object to besides what is never valid. */
struct rpc_scan_rules {
    bool refuse_unknown_fields;
    bool refuse_unknown_values;
    /* Fields in all, those of sub-messages included; a packed run is one. 0: any number. */
    size_t max_fields;
};

/* Where the objection is. Static storage: names of the descriptor. */
struct rpc_scan_place {
    const char *message;
    /* NULL for a field that the descriptor does not have. */
    const char *field;
    uint32_t number;
    /* UNKNOWN_VALUE: the number found. */
    int32_t value;
};

/* *out is written for every result but GOOD. */
enum rpc_scan_result rpc_scan(const ProtobufCMessageDescriptor *descriptor,
    const struct rpc_scan_rules *rules, const uint8_t *bytes, size_t len,
    struct rpc_scan_place *out);

#endif
