/* Request and Response of ttrpc (proto/flocks/ttrpc/v1/ttrpc.proto), encoded and decoded in place.
 * Pure, no heap, no protobuf library; also in the keeper and the nano client. */
#ifndef CRPC_ENVELOPE_H
#define CRPC_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed bytes; not NUL-terminated. `data` may be NULL when `len` is 0. */
struct rpc_bytes {
    const uint8_t *data;
    size_t len;
};
#define RPC_BYTES_OF_TEXT(text)                                                                    \
    (struct rpc_bytes)                                                                             \
    {                                                                                              \
        (const uint8_t *)(text), strlen(text)                                                      \
    }

/* A metadata pair, or a detail of a status: type URL and value. */
struct rpc_envelope_pair {
    struct rpc_bytes key;
    struct rpc_bytes value;
};

struct rpc_request_envelope {
    /* "flocks.v1.SupervisorService" and "GetStatus". */
    struct rpc_bytes service;
    struct rpc_bytes method;
    struct rpc_bytes payload;
    /* Relative; 0: none. */
    int64_t timeout_nano;
    const struct rpc_envelope_pair *pairs;
    size_t n_pairs;
};

struct rpc_response_envelope {
    /* 0: success, and the rest of the status is not sent. Not zero: the payload is empty. */
    int32_t code;
    struct rpc_bytes message;
    const struct rpc_envelope_pair *details;
    size_t n_details;
    struct rpc_bytes payload;
};

/* Bytes that encoding takes. payload.data may be NULL while payload.len is known. */
size_t rpc_request_size(const struct rpc_request_envelope *request);
size_t rpc_response_size(const struct rpc_response_envelope *response);

/* Writes exactly rpc_request_size bytes, in the order of the field numbers, as protobuf libraries
 * do. With payload.data NULL the payload's place is left unwritten. Answers where the payload lies
 * in `out`. */
uint8_t *rpc_request_encode(const struct rpc_request_envelope *request, uint8_t *out);
uint8_t *rpc_response_encode(const struct rpc_response_envelope *response, uint8_t *out);

/* Its status alone, a google.rpc.Status: what gRPC sends. The code is not 0. Answers where it ends.
 */
size_t rpc_response_status_size(const struct rpc_response_envelope *response);
uint8_t *rpc_response_status_encode(const struct rpc_response_envelope *response, uint8_t *out);

/* False: not a valid message. `out` borrows from `bytes` and from `pairs`, of which the first
 * `max_pairs` are filled; n_pairs counts all of them, so that the caller can tell. `pairs` may be
 * NULL with 0. Texts are not checked for UTF-8. Unknown fields are skipped. */
bool rpc_request_decode(const uint8_t *bytes, size_t len, struct rpc_envelope_pair *pairs,
    size_t max_pairs, struct rpc_request_envelope *out);
bool rpc_response_decode(const uint8_t *bytes, size_t len, struct rpc_envelope_pair *details,
    size_t max_details, struct rpc_response_envelope *out);

#ifdef __cplusplus
}
#endif
#endif
