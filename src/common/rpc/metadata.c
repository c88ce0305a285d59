#include "common/rpc/metadata.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/utf8.h"
#include "common/rpc/ttrpc.h"

static const char BINARY_SUFFIX[] = "-bin";

static bool is_text(struct rpc_bytes bytes)
{
    return bytes.len == 0 ||
           (memchr(bytes.data, '\0', bytes.len) == NULL && utf8_is_valid(bytes.data, bytes.len));
}

static bool is_ours(struct rpc_bytes key)
{
    size_t len = strlen(TTRPC_EXTENSION_KEY);
    return key.len == len && memcmp(key.data, TTRPC_EXTENSION_KEY, len) == 0;
}

static bool is_binary(struct rpc_bytes key)
{
    size_t len = sizeof BINARY_SUFFIX - 1;
    return key.len >= len &&
           strncasecmp((const char *)key.data + key.len - len, BINARY_SUFFIX, len) == 0;
}

/* Puts the bytes and a NUL at *at, which it moves on. */
static char *put(char **at, struct rpc_bytes bytes)
{
    char *text = *at;
    if (bytes.len > 0)
        memcpy(text, bytes.data, bytes.len);
    text[bytes.len] = '\0';
    *at += bytes.len + 1;
    return text;
}

static void lower(char *key)
{
    for (; *key != '\0'; key++) {
        if (*key >= 'A' && *key <= 'Z')
            *key = (char)(*key - 'A' + 'a');
    }
}

static struct rpc_metadata_copy *copy_of(
    const struct rpc_envelope_pair *pairs, size_t n_pairs, size_t n_kept, size_t text_size)
{
    size_t size =
        sizeof(struct rpc_metadata_copy) + n_kept * sizeof(struct rpc_metadata) + text_size;
    struct rpc_metadata_copy *copy = malloc(size);
    if (copy == NULL)
        return NULL;
    copy->size = size;
    copy->n = 0;
    char *at = (char *)&copy->pairs[n_kept];
    for (size_t i = 0; i < n_pairs; i++) {
        if (is_ours(pairs[i].key))
            continue;
        char *key = put(&at, pairs[i].key);
        lower(key);
        copy->pairs[copy->n++] = (struct rpc_metadata){
            .key = key, .value = put(&at, pairs[i].value), .value_len = pairs[i].value.len};
    }
    return copy;
}

enum rpc_metadata_result rpc_metadata_copy(
    const struct rpc_envelope_pair *pairs, size_t n_pairs, struct rpc_metadata_copy **out)
{
    *out = NULL;
    size_t n_kept = 0;
    size_t text_size = 0;
    for (size_t i = 0; i < n_pairs; i++) {
        if (is_ours(pairs[i].key))
            continue;
        if (!is_text(pairs[i].key) || (!is_binary(pairs[i].key) && !is_text(pairs[i].value)))
            return RPC_METADATA_BAD_TEXT;
        n_kept++;
        text_size += pairs[i].key.len + pairs[i].value.len + 2;
    }
    if (n_kept == 0)
        return RPC_METADATA_COPIED;
    *out = copy_of(pairs, n_pairs, n_kept, text_size);
    return *out == NULL ? RPC_METADATA_NO_MEMORY : RPC_METADATA_COPIED;
}
