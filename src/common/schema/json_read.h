/* proto3 JSON into a message, by descriptor. Unknown names are refused. */
#ifndef FLOCKS_SCHEMA_JSON_READ_H
#define FLOCKS_SCHEMA_JSON_READ_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/schema/message.h"
#include "common/schema/schema_path.h"

enum {
    /* Longer texts are refused: no request of ours comes near. */
    JSON_READ_MAX_BYTES = 4 * 1024 * 1024,
    /* Deeper nesting is refused (after jansson, whose own limit is 2048). Our schemas stop at 8. */
    JSON_READ_MAX_DEPTH = 32
};

/* Where a text is wrong. */
struct json_mistake {
    /* From 1, the column in bytes; 0: no place of the text (it is too long). */
    uint32_t line;
    uint32_t column;
    char path[SCHEMA_PATH_MAX]; /* "services[0]"; "": the whole, or a text that is no JSON */
};

/* Names as in the proto or lowerCamelCase; 64-bit numbers as string or number;
 * enums by full name, short name or number; durations and times as json_write
 * writes them; null means absent. Any needs a type of `registry` (may be NULL). 0
 * and *out in the arena; -STATUS_INVALID_ARGUMENT; -STATUS_RESOURCE_EXHAUSTED when a limit or the
 * arena ends. `mistake` (may be NULL) then says where; the error's text has the path only. */
NODISCARD int json_read(const char *text, size_t text_len, const struct crpc_message_info *info,
    const struct schema_registry *registry, struct arena *arena, ProtobufCMessage **out,
    struct json_mistake *mistake, struct error *error);

#endif
