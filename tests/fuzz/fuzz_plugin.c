/* What a compiler may hand to protoc-gen-crpc, in one process: the first byte chooses between a
 * CodeGeneratorRequest and a descriptor set for --rewrite, the rest are its bytes. What comes out
 * must be the message that is due. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "google/protobuf/compiler/plugin.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "plugin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    /* Far more than any input of a fuzzer's length needs: beyond, something grows without a bound.
     */
    POOL_BYTES = 512 << 20
};

static void check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t len)
{
    ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, len, bytes);
    assert(message != NULL);
    protobuf_c_message_free_unpacked(message, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena pool;
    const uint8_t *out = NULL;
    size_t len = 0;
    if (size == 0)
        return 0;
    arena_init(&pool, POOL_BYTES);
    if (data[0] == 'r') {
        if (plugin_rewrite(&pool, data + 1, size - 1, &out, &len) == NULL)
            check(&google__protobuf__file_descriptor_set__descriptor, out, len);
    } else if (plugin_generate(&pool, data + 1, size - 1, &out, &len) == NULL) {
        check(&google__protobuf__compiler__code_generator_response__descriptor, out, len);
    }
    arena_deinit(&pool);
    return 0;
}
