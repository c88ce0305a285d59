/* What decodes must encode, and decode again to the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_PAIRS = 16 };

static bool is_same(struct rpc_bytes a, struct rpc_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void check_request(const uint8_t *data, size_t size)
{
    struct rpc_envelope_pair pairs[MAX_PAIRS];
    struct rpc_request_envelope first;
    if (!rpc_request_decode(data, size, pairs, MAX_PAIRS, &first) || first.n_pairs > MAX_PAIRS)
        return;
    size_t len = rpc_request_size(&first);
    uint8_t *bytes = malloc(len + 1);
    assert(bytes != NULL);
    (void)rpc_request_encode(&first, bytes);
    struct rpc_envelope_pair again[MAX_PAIRS];
    struct rpc_request_envelope second;
    bool is_valid = rpc_request_decode(bytes, len, again, MAX_PAIRS, &second);
    assert(is_valid && is_same(first.service, second.service));
    assert(is_same(first.method, second.method) && is_same(first.payload, second.payload));
    assert(first.timeout_nano == second.timeout_nano && first.n_pairs == second.n_pairs);
    free(bytes);
}

static void check_response(const uint8_t *data, size_t size)
{
    struct rpc_envelope_pair details[MAX_PAIRS];
    struct rpc_response_envelope first;
    if (!rpc_response_decode(data, size, details, MAX_PAIRS, &first) || first.n_details > MAX_PAIRS)
        return;
    size_t len = rpc_response_size(&first);
    uint8_t *bytes = malloc(len + 1);
    assert(bytes != NULL);
    (void)rpc_response_encode(&first, bytes);
    struct rpc_envelope_pair again[MAX_PAIRS];
    struct rpc_response_envelope second;
    bool is_valid = rpc_response_decode(bytes, len, again, MAX_PAIRS, &second);
    assert(is_valid && first.code == second.code && is_same(first.payload, second.payload));
    /* A success keeps neither text nor details. */
    assert(first.code == 0 ||
           (is_same(first.message, second.message) && first.n_details == second.n_details));
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_request(data, size);
    check_response(data, size);
    return 0;
}
