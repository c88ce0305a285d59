/* The blocking unary call: on its caller's stack, decoded where it arrives. */
#include "common/rpc/client_state.h"

struct unary {
    struct client_call call;
    const ProtobufCMessage *response;
    struct rpc_error *error;
    bool has_ended;
};

static void take_message(struct client_call *call, struct rpc_bytes message)
{
    struct unary *unary = CONTAINER_OF(call, struct unary, call);
    (void)client_decode(call->method, message, &unary->response, &unary->error);
}

static void take_end(struct client_call *call, const struct rpc_status *status)
{
    struct unary *unary = CONTAINER_OF(call, struct unary, call);
    unary->has_ended = true;
    if (status->code != RPC_OK)
        (void)rpc_error_from_status(
            &unary->error, status, status->is_local ? call->client->system_error : 0);
}

static const struct client_call_kind UNARY = {.message = take_message, .ended = take_end};

static enum rpc_result refuse(
    const struct rpc_method *method, const char *why, enum rpc_code code, struct rpc_error **error)
{
    return rpc_error_make(error, code, 0, "calling %s: %s", method->name, why);
}

enum rpc_result rpc_client_call(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request,
    const ProtobufCMessage **out, struct rpc_error **error)
{
    *out = NULL;
    if (client->is_attached)
        return refuse(method, "the client is attached to a loop, nothing may wait",
            RPC_FAILED_PRECONDITION, error);
    if (method->kind != RPC_UNARY)
        return refuse(method, "the method streams", RPC_INVALID_ARGUMENT, error);
    struct unary unary = {.call = {.kind = &UNARY}};
    if (client_begin(&unary.call, client, method, options, request, error) != RPC_DONE)
        return RPC_ERROR;
    while (!unary.has_ended && client_step(client, unary.call.deadline_at)) {
    }
    client_give_back(&unary.call);
    if (!unary.has_ended) {
        /* The server should hear of it now, not with the next call. */
        client_send(client);
        (void)client_late(&unary.call, &unary.error);
    } else if (unary.error == NULL && unary.response == NULL) {
        (void)refuse(method, "the server ended it without an answer", RPC_INTERNAL, &unary.error);
    }
    if (unary.error == NULL) {
        *out = unary.response;
        return RPC_DONE;
    }
    rpc_message_free(unary.response);
    return rpc_error_hand_over(unary.error, error);
}
