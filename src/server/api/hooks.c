#include "server/api/hooks.h"

#include <stdint.h>
#include <stdio.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/api/failure.h"
#include "server/api/request_rules.h"

bool hooks_admit(void *data, struct rpc_call *call, const ProtobufCMessage *request)
{
    struct error error = ERROR_INIT;

    (void)data;
    if (!request)
        return true; /* Of a client that streams: its messages come by themselves. */
    if (request_rules_check(rpc_call_method(call)->request, request, &error) == 0)
        return true;
    api_fail(call, &error, NULL);
    return false;
}

struct refusal_row {
    enum flocks_error_reason reason;
    const char *hint;
};

/* clang-format off */
static const struct refusal_row rows[] = {
    [RPC_REFUSAL_NOT_IMPLEMENTED] = {FLOCKS_ERROR_REASON_NOT_IMPLEMENTED,
        "this flocksd does not know the method: use a version that has it"},
    [RPC_REFUSAL_UNKNOWN_FIELD] = {FLOCKS_ERROR_REASON_UNKNOWN_FIELD,
        "this flocksd is older than the request: renew it, or ask without the field"},
    [RPC_REFUSAL_BAD_TEXT] = {FLOCKS_ERROR_REASON_BAD_TEXT, "send UTF-8 without NUL"},
    [RPC_REFUSAL_MALFORMED] = {FLOCKS_ERROR_REASON_UNSPECIFIED,
        "send a message of the method's request type"},
    [RPC_REFUSAL_LIMIT] = {FLOCKS_ERROR_REASON_LIMIT_REACHED,
        "ask for less at once, see the limits in docs/protocol.md"},
    [RPC_REFUSAL_DEADLINE] = {FLOCKS_ERROR_REASON_UNSPECIFIED, "ask again with a longer deadline"},
    [RPC_REFUSAL_SHUTTING_DOWN] = {FLOCKS_ERROR_REASON_SHUTTING_DOWN, "ask again in a moment"},
    [RPC_REFUSAL_UNKNOWN_VALUE] = {FLOCKS_ERROR_REASON_UNSPECIFIED,
        "this flocksd is older than the request: renew it, or ask for a value that it knows"},
    [RPC_REFUSAL_INTERNAL] = {FLOCKS_ERROR_REASON_SYSTEM, "report it with logs/daemon.log"},
};
/* clang-format on */

static const struct refusal_row replacing = {FLOCKS_ERROR_REASON_REPLACING,
    "ask again at once; a stream of events or logs goes on behind the token of its last message"};

const ProtobufCMessage *hooks_refusal_detail(void *data, const struct rpc_refusal_facts *facts)
{
    struct hooks *hooks = data;
    const struct refusal_row *row;
    int written;

    if ((size_t)facts->refusal >= ARRAY_LENGTH(rows))
        return NULL;
    row = &rows[facts->refusal];
    if (facts->refusal == RPC_REFUSAL_SHUTTING_DOWN && hooks->is_replacing)
        row = &replacing;
    written = snprintf(hooks->attempted, sizeof(hooks->attempted), "%s",
        facts->method ? facts->method->name : "call of an unknown method");
    (void)written;
    hooks->detail = (flocks_error_detail)FLOCKS_ERROR_DETAIL_INIT;
    hooks->detail.reason = (enum flocks_error_reason)row->reason;
    hooks->detail.attempted = hooks->attempted;
    hooks->detail.hint = row->hint;
    return &hooks->detail.base;
}
