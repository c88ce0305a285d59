/* The (rule) options of requests, checked by descriptor: one place for every method, before any
 * handler. */
#ifndef FLOCKS_API_REQUEST_RULES_H
#define FLOCKS_API_REQUEST_RULES_H

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "crpc/info.h"

/* max_items and max_bytes, at any depth (texts and enum numbers the engine has seen to). 0, or
 * -STATUS_INVALID_ARGUMENT (reason LIMIT_REACHED) naming the field's path: "services[3]". */
NODISCARD int request_rules_check(
    const struct crpc_message_info *info, const ProtobufCMessage *message, struct error *error);

#endif
