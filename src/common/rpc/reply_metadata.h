/* What a handler adds to its answer: headers before the first message, trailers with the status. */
#ifndef CRPC_REPLY_METADATA_H
#define CRPC_REPLY_METADATA_H

#include <stddef.h>

#include "common/base/arena.h"
#include "common/rpc/envelope.h"
#include "crpc/code.h"

struct rpc_reply_pair;

/* Embedded by value; all zero is empty. The pairs live in the arena they were added with. */
struct rpc_reply_metadata {
    struct rpc_reply_pair *last; /* the oldest is its `next` */
    size_t n;
    size_t len;
};

/* RPC_OK; RPC_INVALID_ARGUMENT: the key is not lower-case, is one of the protocol's own, or the
 * value is not printable ASCII and the key does not end in "-bin"; RPC_RESOURCE_EXHAUSTED:
 * RPC_METADATA_* or no memory. Both are copied. */
enum rpc_code rpc_reply_metadata_add(struct rpc_reply_metadata *metadata, struct arena *arena,
    const char *key, const void *value, size_t value_len);
/* Fills `out`, which has room for RPC_METADATA_PAIRS_MAX, in the order they were added. Answers how
 * many. */
size_t rpc_reply_metadata_list(
    const struct rpc_reply_metadata *metadata, struct rpc_envelope_pair *out);

#endif
