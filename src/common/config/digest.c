/* SHA-256 over the canonical form: the packed message with every map sorted. */
#include <string.h>

#include <sodium/crypto_hash_sha256.h>

#include "flocks/v1/config.info.h"

#include "common/base/status.h"
#include "common/config/config.h"
#include "common/schema/message.h"

/* protobuf-c packs into it piece by piece; nothing is stored. */
struct hashing_buffer {
    ProtobufCBuffer base;
    crypto_hash_sha256_state state;
};

static void append(ProtobufCBuffer *buffer, size_t len, const uint8_t *data)
{
    struct hashing_buffer *hashing = CONTAINER_OF(buffer, struct hashing_buffer, base);
    (void)crypto_hash_sha256_update(&hashing->state, data, len);
}

static void write_hexadecimal(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

int config_digest(const flocks_config *message, char out[CONFIG_DIGEST_SIZE])
{
    struct arena arena CLEANUP(arena_deinit);
    arena_init(&arena, CONFIG_ARENA_BYTES);
    ProtobufCMessage *sorted = schema_message_copy(&flocks_config_info, &message->base, &arena);
    if (sorted == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    schema_sort_maps(&flocks_config_info, sorted);
    struct hashing_buffer hashing = {.base = {append}};
    (void)crypto_hash_sha256_init(&hashing.state);
    (void)protobuf_c_message_pack_to_buffer(sorted, &hashing.base);
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256_final(&hashing.state, hash);
    write_hexadecimal(hash, sizeof(hash), out);
    return 0;
}

void config_digest_texts(const char *const *texts, size_t n, char out[CONFIG_DIGEST_SIZE])
{
    crypto_hash_sha256_state state;
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256_init(&state);
    /* With their NULs: "a", "bc" is not "ab", "c". */
    for (size_t i = 0; i < n; i++)
        (void)crypto_hash_sha256_update(&state, (const uint8_t *)texts[i], strlen(texts[i]) + 1);
    (void)crypto_hash_sha256_final(&state, hash);
    write_hexadecimal(hash, sizeof(hash), out);
}
