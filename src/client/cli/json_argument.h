/* The JSON that a command was given: as it stands, from standard input ("-"), or from a file
 * ("@FILE"). */
#ifndef FLOCKS_CLI_JSON_ARGUMENT_H
#define FLOCKS_CLI_JSON_ARGUMENT_H

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/schema/json_read.h"

/* Embedded by value. */
struct json_argument {
    const char *name;    /* for people: "argument", "standard input" or the file's; borrowed */
    struct buffer bytes; /* not terminated */
};

/* Reads all of it, JSON_READ_MAX_BYTES at most. `operand` NULL: "{}". To be ended with
 * json_argument_deinit, also after a failure: of the file, or -STATUS_INVALID_ARGUMENT. */
NODISCARD int json_argument_read(
    struct json_argument *argument, const char *operand, struct error *error);
void json_argument_deinit(struct json_argument *argument);

/* As json_read; the error's text begins with "name:line:column: ". */
NODISCARD int json_argument_parse(const struct json_argument *argument,
    const struct crpc_message_info *info, struct arena *arena, ProtobufCMessage **out,
    struct json_mistake *mistake, struct error *error);

#endif
