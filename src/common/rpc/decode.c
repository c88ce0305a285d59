/* From a message's bytes to what a handler sees: the scan, protobuf-c, the application's rules. */
#include "common/rpc/engine.h"
#include "common/rpc/scan.h"

static void *allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void release(void *arena, void *memory)
{
    /* Dies with the arena. */
    (void)arena;
    (void)memory;
}

static const char *shown(const char *name)
{
    return name == NULL ? "?" : name;
}

/* How texts name what was sent. */
static const char *noun(const struct rpc_call *call)
{
    return rpc_method_takes_stream(call->method) ? "message" : "request";
}

static void refuse_scanned(
    struct rpc_call *call, enum rpc_scan_result result, const struct rpc_scan_place *place)
{
    const char *message = place->message;
    switch (result) {
    case RPC_SCAN_UNKNOWN_FIELD:
        rpc_call_refuse(call, RPC_REFUSAL_UNKNOWN_FIELD,
            "field %u of %s is unknown to this server%s", place->number, message,
            rpc_method_takes_stream(call->method) ? "" : "; nothing was done");
        return;
    case RPC_SCAN_UNKNOWN_VALUE:
        rpc_call_refuse(call, RPC_REFUSAL_UNKNOWN_VALUE, "value %d of field %s of %s is unknown",
            place->value, shown(place->field), message);
        return;
    case RPC_SCAN_BAD_TEXT:
        rpc_call_refuse(call, RPC_REFUSAL_BAD_TEXT,
            "field %s of %s is not text: not UTF-8, or it has a NUL in it", shown(place->field),
            message);
        return;
    case RPC_SCAN_TOO_DEEP:
        rpc_call_refuse(call, RPC_REFUSAL_MALFORMED, "the %s is nested deeper than %d levels",
            noun(call), RPC_NESTING_MAX);
        return;
    case RPC_SCAN_TOO_MANY:
        rpc_call_refuse(
            call, RPC_REFUSAL_LIMIT, "the %s has more than %d fields", noun(call), RPC_FIELDS_MAX);
        return;
    case RPC_SCAN_GOOD:
    case RPC_SCAN_MALFORMED:
        break;
    }
    rpc_call_refuse(call, RPC_REFUSAL_MALFORMED, "the %s is not a valid %s", noun(call), message);
}

const ProtobufCMessage *rpc_call_decode(
    struct rpc_call *call, struct arena *arena, struct rpc_bytes message)
{
    const ProtobufCMessageDescriptor *descriptor = call->method->request->descriptor;
    const struct rpc_scan_rules rules = {
        .refuse_unknown_fields = call->method->mutates,
        .refuse_unknown_values = true,
        .max_fields = RPC_FIELDS_MAX,
    };
    arena_init(arena, message.len * RPC_ARENA_FACTOR + RPC_ARENA_EXTRA_BYTES);
    struct rpc_scan_place place;
    enum rpc_scan_result result = rpc_scan(descriptor, &rules, message.data, message.len, &place);
    if (result != RPC_SCAN_GOOD) {
        refuse_scanned(call, result, &place);
        return NULL;
    }
    ProtobufCAllocator allocator = {.alloc = allocate, .free = release, .allocator_data = arena};
    const ProtobufCMessage *decoded =
        protobuf_c_message_unpack(descriptor, &allocator, message.len, message.data);
    if (decoded == NULL && arena_is_exhausted(arena))
        rpc_call_refuse(
            call, RPC_REFUSAL_LIMIT, "decoding the %s takes too much memory", noun(call));
    else if (decoded == NULL)
        rpc_call_refuse(
            call, RPC_REFUSAL_MALFORMED, "the %s is not a valid %s", noun(call), descriptor->name);
    return decoded;
}

bool rpc_call_admit(struct rpc_call *call, const ProtobufCMessage *message)
{
    const struct rpc_server_hooks *hooks = &call->server->hooks;
    return hooks->admit == NULL || hooks->admit(hooks->data, call, message);
}
