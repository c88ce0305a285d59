/* YAML into a message, by descriptor: every mistake at once, each with line, column and remedy.
 * Fills defaults from the fields' rules. Opens no file, knows no meaning beyond the schema. */
#ifndef FLOCKS_SCHEMA_YAML_READ_H
#define FLOCKS_SCHEMA_YAML_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/schema/message.h"
#include "common/schema/mistake.h"

enum {
    /* A longer text is refused before libyaml sees it. */
    YAML_READ_MAX_BYTES = 256 * 1024,
    /* libyaml costs depth times length: deeper text is refused where it gets too deep, without
       reading on. */
    YAML_READ_MAX_DEPTH = 24,
    /* Anchors that may be defined. Aliases may not lead into themselves. */
    YAML_READ_MAX_ANCHORS = 64,
    /* Nodes read, those reached again through aliases counted each time ("billion laughs"). */
    YAML_READ_MAX_NODES = 200000
};

enum yaml_read_result {
    YAML_READ_OK = 0,
    /* Mistakes were added. *out is set as far as the text could be understood, or NULL. */
    YAML_READ_MISTAKEN = 1
};

/* One key that the text gave (defaults are not listed). */
struct yaml_origin {
    const char *path; /* "services.backend.port"; keys of maps as they are */
    /* Of the value where it is a single one, else of the key. */
    uint32_t line;
    uint32_t column;
    /* A place only, not a value of its own: a message or a map (its members have origins), or one
     * item of a list (the list has). */
    bool is_place;
};

struct yaml_origins {
    struct yaml_origin *items; /* in file order, in the arena */
    size_t n;
};

/* `file` names the text in mistakes. yaml_read_result, or -STATUS_RESOURCE_EXHAUSTED (arena).
 * `origins` may be NULL. */
NODISCARD int yaml_read(const char *text, size_t text_len, const char *file,
    const struct crpc_message_info *info, struct arena *arena, ProtobufCMessage **out,
    struct yaml_origins *origins, struct mistakes *mistakes, struct error *error);

#endif
