/* Calls that end with an error: the handler's, or one of the engine's own making. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"
#include "common/rpc/engine.h"

static const char TYPE_URL_PREFIX[] = "type.googleapis.com/";

/* Packs the detail into `pair` with memory of the
 * arena; without memory the error goes without it. */
static size_t pack_detail(
    struct arena *arena, const ProtobufCMessage *detail, struct rpc_envelope_pair *pair)
{
    if (detail == NULL)
        return 0;
    size_t len = protobuf_c_message_get_packed_size(detail);
    uint8_t *value = arena_alloc(arena, len);
    const char *url = arena_printf(arena, "%s%s", TYPE_URL_PREFIX, detail->descriptor->name);
    if (value == NULL || url == NULL)
        return 0;
    (void)protobuf_c_message_pack(detail, value);
    *pair = (struct rpc_envelope_pair){
        .key = RPC_BYTES_OF_TEXT(url), .value = {.data = value, .len = len}};
    return 1;
}

/* Sends the error; the call itself stays as it is. */
static void send_error(
    struct rpc_call *call, enum rpc_code code, const ProtobufCMessage *detail, const char *text)
{
    /* Not the call's arena: that one may be what has run out. Its cap also keeps the detail so
     * small that the error is never too large to be sent. */
    struct arena arena;
    arena_init(&arena, RPC_ARENA_EXTRA_BYTES);
    struct rpc_envelope_pair pair;
    const struct rpc_status status = {
        .code = code,
        .message = {.data = (const uint8_t *)text,
            .len = utf8_cut(text, strlen(text), RPC_STATUS_TEXT_MAX)},
        .details = &pair,
        .n_details = pack_detail(&arena, detail, &pair),
    };
    if (rpc_call_send_end(call, &status, NULL) == RPC_SEND_NO_ROOM)
        rpc_session_lose(call->connection->session, RPC_CANCELLED, "no room for an answer");
    arena_deinit(&arena);
}

static enum rpc_code code_of(enum rpc_refusal refusal)
{
    switch (refusal) {
    case RPC_REFUSAL_NOT_IMPLEMENTED:
    case RPC_REFUSAL_UNKNOWN_FIELD:
        return RPC_UNIMPLEMENTED;
    case RPC_REFUSAL_BAD_TEXT:
    case RPC_REFUSAL_MALFORMED:
    case RPC_REFUSAL_UNKNOWN_VALUE:
        return RPC_INVALID_ARGUMENT;
    case RPC_REFUSAL_LIMIT:
        return RPC_RESOURCE_EXHAUSTED;
    case RPC_REFUSAL_DEADLINE:
        return RPC_DEADLINE_EXCEEDED;
    case RPC_REFUSAL_SHUTTING_DOWN:
        return RPC_UNAVAILABLE;
    case RPC_REFUSAL_INTERNAL:
        return RPC_INTERNAL;
    }
    return RPC_INTERNAL;
}

enum rpc_code rpc_call_send_refusal(
    struct rpc_call *call, enum rpc_refusal refusal, const char *text)
{
    struct rpc_refusal_facts facts = {
        .refusal = refusal, .code = code_of(refusal), .message = text, .method = call->method};
    const struct rpc_server_hooks *hooks = &call->server->hooks;
    const ProtobufCMessage *detail = NULL;
    if (hooks->refusal_detail != NULL)
        detail = hooks->refusal_detail(hooks->data, &facts);
    send_error(call, facts.code, detail, text);
    return facts.code;
}

void rpc_call_refuse(struct rpc_call *call, enum rpc_refusal refusal, const char *format, ...)
{
    char text[RPC_STATUS_TEXT_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    rpc_call_conclude(call, rpc_call_send_refusal(call, refusal, text));
}

void rpc_call_fail(struct rpc_call *call, enum rpc_code code, const ProtobufCMessage *detail,
    const char *format, ...)
{
    assert(code != RPC_OK && "what failed has a code");
    /* One more than is sent, so that a text that was cut here is cut between characters there. */
    char text[RPC_STATUS_TEXT_MAX + 2];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    send_error(call, code, detail, text);
    rpc_call_conclude(call, code);
}

void rpc_call_not_implemented(struct rpc_call *call)
{
    rpc_call_refuse(call, RPC_REFUSAL_NOT_IMPLEMENTED,
        "method %s of service %s is not implemented by this server", call->method->name,
        call->method->service);
}
