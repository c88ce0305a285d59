/* Descriptions of the API for programs: one JSON object {"services", "messages", "enums"}, named as
 * in google/protobuf/descriptor.proto where that has a name (flocks(1) has the list). Pure. */
#ifndef FLOCKS_CLI_DESCRIBE_JSON_H
#define FLOCKS_CLI_DESCRIBE_JSON_H

#include "client/cli/definitions.h"
#include "common/base/buffer.h"

/* Without a newline. 0, or what the buffer refuses. */
NODISCARD int describe_json(const struct definitions *definitions, struct buffer *out);

#endif
