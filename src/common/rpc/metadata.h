/* The metadata of one call, copied out of its request. */
#ifndef CRPC_METADATA_H
#define CRPC_METADATA_H

#include <stddef.h>

#include "common/rpc/envelope.h"
#include "crpc/call.h"

enum rpc_metadata_result {
    RPC_METADATA_COPIED,
    /* A key or a value is not text. */
    RPC_METADATA_BAD_TEXT,
    RPC_METADATA_NO_MEMORY
};

struct rpc_metadata_copy {
    /* What the whole block takes. */
    size_t size;
    size_t n;
    struct rpc_metadata pairs[];
};

/* All pairs but the engine's own, keys in lower case, in one block of memory that the caller frees.
 * *out is NULL when there are none, and after a failure. */
enum rpc_metadata_result rpc_metadata_copy(
    const struct rpc_envelope_pair *pairs, size_t n_pairs, struct rpc_metadata_copy **out);

#endif
