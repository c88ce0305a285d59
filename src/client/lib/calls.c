/* The typed calls: one table, four functions a row. */
#include "flocks/calls.h"

#include "flocks/v1/supervisor.methods.h"
#include "flocks/v1/upgrade.methods.h"

#define DEFINE_UNARY_CALL(name, table, index)                                                      \
    enum rpc_result flocks_client_##name(struct flocks_client *client,                             \
        const struct rpc_options *options, const flocks_##name##_request *request,                 \
        const flocks_##name##_response **out, struct flocks_error **error)                         \
    {                                                                                              \
        const ProtobufCMessage *response = NULL;                                                   \
        enum rpc_result result = flocks_client_call(                                               \
            client, &(table)[index], options, &request->base, &response, error);                   \
        *out = (const flocks_##name##_response *)response;                                         \
        return result;                                                                             \
    }                                                                                              \
    static void deliver_##name(rpc_typed_fn typed, void *data, const struct flocks_error *error,   \
        const ProtobufCMessage *response)                                                          \
    {                                                                                              \
        ((flocks_client_##name##_fn)typed)(                                                        \
            data, error, (const flocks_##name##_response *)response);                              \
    }                                                                                              \
    struct flocks_pending *flocks_client_##name##_begin(struct flocks_client *client,              \
        const struct rpc_options *options, const flocks_##name##_request *request,                 \
        flocks_client_##name##_fn done, void *data, struct flocks_error **error)                   \
    {                                                                                              \
        return flocks_client_begin(client, &(table)[index], options, &request->base,               \
            deliver_##name, (rpc_typed_fn)done, data, error);                                      \
    }

#define DEFINE_STREAM_CALL(name, table, index)                                                     \
    struct flocks_stream *flocks_client_##name(struct flocks_client *client,                       \
        const struct rpc_options *options, const flocks_##name##_request *request,                 \
        struct flocks_error **error)                                                               \
    {                                                                                              \
        return flocks_client_open(client, &(table)[index], options, &request->base, error);        \
    }                                                                                              \
    enum rpc_result flocks_client_##name##_next(struct flocks_stream *stream,                      \
        const flocks_##name##_response **out, struct flocks_error **error)                         \
    {                                                                                              \
        const ProtobufCMessage *message = NULL;                                                    \
        enum rpc_result result = flocks_stream_next(stream, &message, error);                      \
        *out = (const flocks_##name##_response *)message;                                          \
        return result;                                                                             \
    }                                                                                              \
    static enum rpc_take hear_##name(const void *typed, void *data, struct flocks_stream *stream,  \
        const ProtobufCMessage *message)                                                           \
    {                                                                                              \
        const struct flocks_client_##name##_hooks *hooks = typed;                                  \
        if (hooks->message == NULL)                                                                \
            return RPC_TAKE_DONE;                                                                  \
        return hooks->message(data, stream, (const flocks_##name##_response *)message);            \
    }                                                                                              \
    static void end_##name(const void *typed, void *data, struct flocks_stream *stream,            \
        const struct flocks_error *error)                                                          \
    {                                                                                              \
        const struct flocks_client_##name##_hooks *hooks = typed;                                  \
        if (hooks->ended != NULL)                                                                  \
            hooks->ended(data, stream, error);                                                     \
    }                                                                                              \
    struct flocks_stream *flocks_client_##name##_watch(struct flocks_client *client,               \
        const struct rpc_options *options, const flocks_##name##_request *request,                 \
        const struct flocks_client_##name##_hooks *hooks, void *data, struct flocks_error **error) \
    {                                                                                              \
        static const struct flocks_stream_hooks THUNKS = {                                         \
            .message = hear_##name, .ended = end_##name};                                          \
        return flocks_client_watch(                                                                \
            client, &(table)[index], options, &request->base, &THUNKS, hooks, data, error);        \
    }

FLOCKS_UNARY_CALLS(DEFINE_UNARY_CALL)
FLOCKS_STREAM_CALLS(DEFINE_STREAM_CALL)
