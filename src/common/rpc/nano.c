/* The run-time half of generated nanopb stubs (crpc/nano.h). Must never allocate. */
#include "crpc/nano.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

const struct crpc_nano_method *crpc_nano_find(
    const struct crpc_nano_service *service, const char *name, size_t name_len)
{
    for (size_t i = 0; i < service->n_methods; i++) {
        const struct crpc_nano_method *method = &service->methods[i];
        if (strlen(method->name) == name_len && memcmp(method->name, name, name_len) == 0)
            return method;
    }
    return NULL;
}

bool crpc_nano_encode(
    const pb_msgdesc_t *type, const void *message, uint8_t *out, size_t out_cap, size_t *out_len)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, out_cap);
    bool is_encoded = pb_encode(&stream, type, message);
    *out_len = is_encoded ? stream.bytes_written : 0;
    return is_encoded;
}

bool crpc_nano_decode(const pb_msgdesc_t *type, const uint8_t *bytes, size_t len, void *message)
{
    pb_istream_t stream = pb_istream_from_buffer(bytes, len);
    return pb_decode(&stream, type, message);
}

enum rpc_code crpc_nano_serve(const struct crpc_nano_service *service, const void *handlers,
    void *self, const struct crpc_nano_call *call, size_t *out_len)
{
    *out_len = 0;
    const struct crpc_nano_method *method = crpc_nano_find(service, call->method, call->method_len);
    if (method == NULL || method->invoke == NULL)
        return RPC_UNIMPLEMENTED;
    if (!crpc_nano_decode(method->request, call->payload, call->payload_len, call->request))
        return RPC_INVALID_ARGUMENT;
    /* All-zero is every static message's initial value in proto3. */
    memset(call->response, 0, method->response_size);
    enum rpc_code code = method->invoke(handlers, self, call->request, call->response);
    if (code != RPC_OK)
        return code;
    if (!crpc_nano_encode(method->response, call->response, call->out, call->out_cap, out_len))
        return RPC_INTERNAL;
    return RPC_OK;
}
