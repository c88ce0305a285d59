/* What the scan lets through is safe for protobuf-c within the engine's cap of memory. */

#include "flocks/v1/config.pb-c.h"
#include "flocks/v1/supervisor.pb-c.h"
#include "flocks/v1/upgrade.pb-c.h"

#include "common/base/arena.h"
#include "common/rpc/scan.h"
#include "crpc/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const DESCRIPTORS[] = {
    &flocks__v1__get_status_request__descriptor,
    &flocks__v1__get_status_response__descriptor,
    &flocks__v1__stop_services_request__descriptor,
    &flocks__v1__get_operation_response__descriptor,
    &flocks__v1__config__descriptor,
    &flocks__v1__error_detail__descriptor,
};

static void *allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void release(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const ProtobufCMessageDescriptor *descriptor =
        DESCRIPTORS[data[0] % (sizeof DESCRIPTORS / sizeof DESCRIPTORS[0])];
    const struct rpc_scan_rules rules = {
        .refuse_unknown_fields = (data[0] & 0x40U) != 0, .refuse_unknown_values = data[0] > 0x7F};
    struct rpc_scan_place place;
    if (rpc_scan(descriptor, &rules, data + 1, size - 1, &place) != RPC_SCAN_GOOD)
        return 0;
    struct arena arena;
    arena_init(&arena, (size - 1) * RPC_ARENA_FACTOR + RPC_ARENA_EXTRA_BYTES);
    ProtobufCAllocator allocator = {.alloc = allocate, .free = release, .allocator_data = &arena};
    (void)protobuf_c_message_unpack(descriptor, &allocator, size - 1, data + 1);
    arena_deinit(&arena);
    return 0;
}
