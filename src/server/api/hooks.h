/* What flocks adds to the RPC engine for every method: the request rules before a handler, and
 * typed details for the errors that the engine makes itself. */
#ifndef FLOCKS_API_HOOKS_H
#define FLOCKS_API_HOOKS_H

#include <stdbool.h>

#include "flocks/v1/types.names.h"

#include "crpc/server.h"

/* The detail of the last refusal. Embedded in struct api; private. */
struct hooks {
    flocks_error_detail detail;
    char attempted[256];
    /* Another flocksd answers soon. */
    bool is_replacing;
};

/* rpc_server_hooks.admit: request_rules_check; `data` is unused. */
bool hooks_admit(void *data, struct rpc_call *call, const ProtobufCMessage *request);

/* rpc_server_hooks.refusal_detail: an ErrorDetail for each kind of refusal; `data` is a struct
 * hooks. */
const ProtobufCMessage *hooks_refusal_detail(void *data, const struct rpc_refusal_facts *facts);

#endif
