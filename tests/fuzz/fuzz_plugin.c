/* What a compiler may hand to protoc-gen-crpc, in one process: the first byte chooses between a
 * CodeGeneratorRequest and a descriptor set for --rewrite, the rest are its bytes. What comes out
 * must be the message that is due. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

static void rewrite(struct arena *pool, const uint8_t *set, size_t len)
{
    const uint8_t *out = NULL;
    size_t out_len = 0;
    if (plugin_rewrite(pool, set, len, &out, &out_len) == NULL)
        check(&google__protobuf__file_descriptor_set__descriptor, out, out_len);
}

/* The name of a method, a line end, the set. What is left of it is as good a set as any. */
static void select_one(struct arena *pool, const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\n', size);
    const uint8_t *out = NULL;
    size_t out_len = 0;
    if (end == NULL)
        return;
    const char *name = arena_strndup(pool, (const char *)data, (size_t)(end - data));
    assert(name != NULL);
    size_t len = size - (size_t)(end + 1 - data);
    if (plugin_select(pool, &name, 1, end + 1, len, &out, &out_len) != NULL)
        return;
    check(&google__protobuf__file_descriptor_set__descriptor, out, out_len);
    const char *mistake = plugin_rewrite(pool, out, out_len, &out, &out_len);
    assert(mistake == NULL);
}

static void generate(struct arena *pool, const uint8_t *request, size_t len)
{
    const uint8_t *out = NULL;
    size_t out_len = 0;
    if (plugin_generate(pool, request, len, &out, &out_len) == NULL)
        check(&google__protobuf__compiler__code_generator_response__descriptor, out, out_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena pool;
    if (size == 0)
        return 0;
    arena_init(&pool, POOL_BYTES);
    if (data[0] == 'r')
        rewrite(&pool, data + 1, size - 1);
    else if (data[0] == 's')
        select_one(&pool, data + 1, size - 1);
    else
        generate(&pool, data + 1, size - 1);
    arena_deinit(&pool);
    return 0;
}
