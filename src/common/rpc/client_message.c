/* Received messages: checked and decoded within a bound, freed as protobuf-c's own. */
#include <stdlib.h>

#include "common/rpc/client_state.h"
#include "common/rpc/scan.h"

/* malloc with a bound, so that free_unpacked without an allocator frees what came from it. */
struct budget {
    size_t left;
    bool is_exhausted;
};

static void *allocate(void *data, size_t size)
{
    struct budget *budget = data;
    void *memory = size > budget->left ? NULL : malloc(size == 0 ? 1 : size);
    if (memory == NULL)
        budget->is_exhausted = true;
    else
        budget->left -= size;
    return memory;
}

/* What was freed is not given back to the budget: decoding alone frees what it scans with. */
static void release(void *data, void *memory)
{
    (void)data;
    free(memory);
}

enum rpc_result client_decode(const struct rpc_method *method, struct rpc_bytes message,
    const ProtobufCMessage **out, struct rpc_error **error)
{
    *out = NULL;
    const ProtobufCMessageDescriptor *descriptor = method->response->descriptor;
    const struct rpc_scan_rules rules = {.refuse_unknown_fields = false};
    struct rpc_scan_place place;
    struct budget budget = {.left = message.len * RPC_ARENA_FACTOR + RPC_ARENA_EXTRA_BYTES};
    ProtobufCAllocator allocator = {.alloc = allocate, .free = release, .allocator_data = &budget};
    if (rpc_scan(descriptor, &rules, message.data, message.len, &place) == RPC_SCAN_GOOD)
        *out = protobuf_c_message_unpack(descriptor, &allocator, message.len, message.data);
    if (*out != NULL)
        return RPC_DONE;
    if (budget.is_exhausted)
        return rpc_error_make(error, RPC_RESOURCE_EXHAUSTED, 0,
            "decoding the server's answer to %s takes too much memory", method->name);
    return rpc_error_make(error, RPC_INTERNAL, 0, "the server's answer to %s is not a valid %s",
        method->name, descriptor->name);
}

void rpc_message_free(const ProtobufCMessage *message)
{
    union {
        const ProtobufCMessage *read_only;
        ProtobufCMessage *owned;
    } both = {.read_only = message};
    if (message != NULL)
        protobuf_c_message_free_unpacked(both.owned, NULL);
}
