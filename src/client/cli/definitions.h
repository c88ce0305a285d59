/* What is shown of one symbol: itself, and the types that it names, one level deep. Pure. */
#ifndef FLOCKS_CLI_DEFINITIONS_H
#define FLOCKS_CLI_DEFINITIONS_H

#include "client/cli/symbol.h"
#include "common/base/arena.h"

/* Plain value; lists are in the arena, what they point to is static. */
struct definitions {
    size_t n_services;
    const struct crpc_service_info *services;
    const struct rpc_method *only_method; /* of the service; NULL: all */
    size_t n_messages;
    const struct crpc_message_info **messages;
    const struct crpc_field_info *only_field; /* of the first message; NULL: all */
    size_t n_enums;
    const struct crpc_enum_info **enums;
    const struct crpc_enum_value_info *only_value; /* of the first enum; NULL: all */
};

/* `symbol` NULL: all there is. protobuf's own types are told when they are asked for by name.
 * -STATUS_RESOURCE_EXHAUSTED. */
NODISCARD int definitions_of(const struct crpc_catalog *catalog, const struct symbol *symbol,
    struct arena *arena, struct definitions *out, struct error *error);

#endif
