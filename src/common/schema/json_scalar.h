/* One JSON value into one field that is no message, and what every part of the JSON reader needs:
 * where it is, and how it refuses. Internal to this room. */
#ifndef FLOCKS_SCHEMA_JSON_SCALAR_H
#define FLOCKS_SCHEMA_JSON_SCALAR_H

#include <jansson.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/schema/message.h"
#include "common/schema/schema_path.h"

/* One text under way. */
struct json_reader {
    const struct schema_registry *registry;
    struct arena *arena;
    struct error *error;
    struct schema_path path; /* left as it was where something was refused */
    bool refused_name;       /* the name at the end of the path, not its value */
    unsigned depth;
};

/* -STATUS_RESOURCE_EXHAUSTED, told in the reader's error. */
NODISCARD int json_no_memory(struct json_reader *reader);
/* -STATUS_INVALID_ARGUMENT: "<path>: must be <wanted>, not <what `json` is>". */
NODISCARD int json_refuse(struct json_reader *reader, const char *wanted, json_t *json);
/* The path for texts: never empty. */
const char *json_where(const struct json_reader *reader);

/* A number, boolean, enum, text or bytes. 0 with *out; else as json_no_memory or json_refuse. */
NODISCARD int json_scalar_read(struct json_reader *reader, const struct schema_field *field,
    json_t *json, union schema_value *out);

#endif
