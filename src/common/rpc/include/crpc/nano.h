/* What generated <file>.nano.{h,c} stand on: unary methods over nanopb, in the caller's memory.
 *
 * No heap, no protobuf-c, no I/O: a method's name and its payload in, a code and the answer's
 * payload out. How the two travel (ttrpc's envelope, frames, descriptors) is the caller's. */
#ifndef CRPC_NANO_H
#define CRPC_NANO_H

#include <pb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crpc/code.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A handler's answer when there is none yet: crpc_nano_serve hands it on, nothing is encoded, and
 * the program itself answers later, with the generated _encode_response. */
#define CRPC_NANO_LATER ((enum rpc_code)64)

/* Calls one typed handler. Both messages lie in the caller's scratch. */
typedef enum rpc_code (*crpc_nano_invoke_fn)(
    const void *handlers, void *self, const void *request, void *response);

/* One row of a generated method table. */
struct crpc_nano_method {
    const char *name; /* "Spawn" */
    const pb_msgdesc_t *request;
    const pb_msgdesc_t *response;
    /* Of the structs. */
    size_t request_size;
    size_t response_size;
    /* Longest encoding: no frame needs more than these and the envelope. */
    size_t request_max;
    size_t response_max;
    /* NULL in a program that only calls. */
    crpc_nano_invoke_fn invoke;
};

/* A generated service. */
struct crpc_nano_service {
    const char *name; /* "flocks.keeper.v1.KeeperService" */
    size_t n_methods;
    const struct crpc_nano_method *methods;
};

/* One call as it was received. The three areas are the caller's and must not overlap. */
struct crpc_nano_call {
    const char *method; /* not NUL-terminated */
    size_t method_len;
    const uint8_t *payload;
    size_t payload_len;
    /* As large as the largest request and response struct: the generated <service>_scratch. */
    void *request;
    void *response;
    /* Where the answer's payload goes. */
    uint8_t *out;
    size_t out_cap;
};

/* Decodes the request, runs the handler, encodes its response. The handler's own code, or
 * RPC_UNIMPLEMENTED: no such method or handler; RPC_INVALID_ARGUMENT: the payload is no such
 * message or larger than its fields allow; RPC_INTERNAL: the response does not fit `out_cap`.
 * `*out_len` is 0 unless RPC_OK. CRPC_NANO_LATER is handed on as any other code. */
enum rpc_code crpc_nano_serve(const struct crpc_nano_service *service, const void *handlers,
    void *self, const struct crpc_nano_call *call, size_t *out_len);

/* The row of a method, or NULL. */
const struct crpc_nano_method *crpc_nano_find(
    const struct crpc_nano_service *service, const char *name, size_t name_len);

/* `message` as `*out_len` bytes. False: it does not fit, or a string in it has no end. */
bool crpc_nano_encode(
    const pb_msgdesc_t *type, const void *message, uint8_t *out, size_t out_cap, size_t *out_len);
/* Fills `message`, which needs no preparation. False:
 * not such a message, or larger than its fields. */
bool crpc_nano_decode(const pb_msgdesc_t *type, const uint8_t *bytes, size_t len, void *message);

#ifdef __cplusplus
}
#endif
#endif
