/* Any message as proto3 JSON, by descriptor. Fields by proto name in the order of field numbers;
 * scalars, enums, lists and maps always, messages and members of oneofs only when set; 64-bit
 * integers as strings; enums by full name, unknown numbers as numbers; times RFC 3339 UTC,
 * durations "1.500s"; bytes base64; secret fields "***". Source:
 * https://protobuf.dev/programming-guides/json and docs/protocol.md. */
#ifndef FLOCKS_SCHEMA_JSON_WRITE_H
#define FLOCKS_SCHEMA_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/buffer.h"
#include "common/schema/message.h"

struct json_write_options {
    /* Two blanks a level, one member a line; else one
     * line without blanks. No newline at the end. */
    bool indent;
    /* Secret fields as they are. */
    bool reveal_secrets;
    /* Types known inside Any; NULL: an Any is written as {"@type": ..., "value": base64}. */
    const struct schema_registry *registry;
};

/* Appends to `out`. `options` may be NULL (compact, masked). 0, or -STATUS_RESOURCE_EXHAUSTED from
 * the buffer, which then holds a part. Invalid UTF-8 in a text is written as U+FFFD. */
NODISCARD int json_write(const struct crpc_message_info *info, const ProtobufCMessage *message,
    const struct json_write_options *options, struct buffer *out);

/* A JSON string with its quotes. For the few objects that are no messages. */
NODISCARD int json_write_text(const char *text, size_t text_len, struct buffer *out);

#endif
