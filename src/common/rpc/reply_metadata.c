#include "common/rpc/reply_metadata.h"

#include <stdbool.h>
#include <string.h>

#include "common/base/attributes.h"
#include "crpc/limits.h"

struct rpc_reply_pair {
    struct rpc_reply_pair *next;
    struct rpc_envelope_pair pair;
};

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* What HTTP/2 and gRPC say about the answer themselves (RFC 9113, 8.2.2; gRPC's PROTOCOL-HTTP2.md).
 */
static bool is_protocols_own(const char *key)
{
    static const char *const own[] = {"connection", "keep-alive", "proxy-connection",
        "transfer-encoding", "upgrade", "te", "trailer", "host", "content-type", "content-length",
        "content-encoding"};
    for (size_t i = 0; i < ARRAY_LENGTH(own); i++) {
        if (strcmp(key, own[i]) == 0)
            return true;
    }
    return begins_with(key, "grpc-");
}

static bool is_key(const char *key)
{
    static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyz_-.";
    return key[0] != '\0' && key[strspn(key, allowed)] == '\0' && !is_protocols_own(key);
}

static bool is_binary(const char *key)
{
    static const char suffix[] = "-bin";
    size_t len = strlen(key);
    return len >= sizeof suffix - 1 && strcmp(key + len - (sizeof suffix - 1), suffix) == 0;
}

/* Spaces at the ends would not arrive (RFC 9113, 8.2.1). */
static bool is_text(const uint8_t *value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (value[i] < 0x20 || value[i] > 0x7e)
            return false;
    }
    return len == 0 || (value[0] != ' ' && value[len - 1] != ' ');
}

static bool copy(struct arena *arena, const void *bytes, size_t len, struct rpc_bytes *out)
{
    uint8_t *place = arena_alloc(arena, len);
    if (place == NULL)
        return false;
    if (len > 0)
        memcpy(place, bytes, len);
    *out = (struct rpc_bytes){.data = place, .len = len};
    return true;
}

enum rpc_code rpc_reply_metadata_add(struct rpc_reply_metadata *metadata, struct arena *arena,
    const char *key, const void *value, size_t value_len)
{
    size_t key_len = strlen(key);
    if (!is_key(key) || (!is_binary(key) && !is_text(value, value_len)))
        return RPC_INVALID_ARGUMENT;
    if (metadata->n == RPC_METADATA_PAIRS_MAX ||
        value_len > RPC_METADATA_BYTES_MAX - metadata->len ||
        key_len > RPC_METADATA_BYTES_MAX - metadata->len - value_len)
        return RPC_RESOURCE_EXHAUSTED;
    struct rpc_reply_pair *added = arena_alloc(arena, sizeof *added);
    if (added == NULL || !copy(arena, key, key_len, &added->pair.key) ||
        !copy(arena, value, value_len, &added->pair.value))
        return RPC_RESOURCE_EXHAUSTED;
    added->next = metadata->last == NULL ? added : metadata->last->next;
    if (metadata->last != NULL)
        metadata->last->next = added;
    metadata->last = added;
    metadata->n++;
    metadata->len += key_len + value_len;
    return RPC_OK;
}

size_t rpc_reply_metadata_list(
    const struct rpc_reply_metadata *metadata, struct rpc_envelope_pair *out)
{
    const struct rpc_reply_pair *at = metadata->last;
    for (size_t i = 0; i < metadata->n; i++) {
        at = at->next;
        out[i] = at->pair;
    }
    return metadata->n;
}
