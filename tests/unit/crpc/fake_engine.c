#include "fake_engine.h"

struct fake_engine fake_engine;

void fake_engine_reset(void)
{
    fake_engine = (struct fake_engine){0};
}

static max_align_t call_storage;
static max_align_t stream_storage;

struct rpc_call *fake_call(void)
{
    return (struct rpc_call *)(void *)&call_storage;
}

struct rpc_stream *fake_stream(void)
{
    return (struct rpc_stream *)(void *)&stream_storage;
}

/* ---- the server's side ---- */

void rpc_call_reply_message(struct rpc_call *call, const ProtobufCMessage *response)
{
    fake_engine.function = __func__;
    fake_engine.call = call;
    fake_engine.sent = response;
}

void rpc_call_not_implemented(struct rpc_call *call)
{
    fake_engine.function = __func__;
    fake_engine.call = call;
}

void rpc_call_begin_stream(
    struct rpc_call *call, const struct rpc_stream_hooks *hooks, const void *source, void *state)
{
    fake_engine.function = __func__;
    fake_engine.call = call;
    fake_engine.hooks = hooks;
    fake_engine.source = source;
    fake_engine.data = state;
}

enum rpc_code rpc_call_send_message(struct rpc_call *call, const ProtobufCMessage *message)
{
    fake_engine.function = __func__;
    fake_engine.call = call;
    fake_engine.sent = message;
    return RPC_OK;
}

void rpc_call_wake(struct rpc_call *call)
{
    fake_engine.function = __func__;
    fake_engine.call = call;
}

/* ---- the client's side ---- */

enum rpc_result rpc_client_call(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request,
    const ProtobufCMessage **out, struct rpc_error **error)
{
    (void)client;
    (void)options;
    (void)error;
    fake_engine.function = __func__;
    fake_engine.method = method;
    fake_engine.sent = request;
    *out = fake_engine.canned;
    return RPC_DONE;
}

struct rpc_pending *rpc_client_begin(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request, rpc_deliver_fn deliver,
    rpc_typed_fn typed, void *data, struct rpc_error **error)
{
    (void)client;
    (void)options;
    (void)error;
    fake_engine.function = __func__;
    fake_engine.method = method;
    fake_engine.sent = request;
    fake_engine.deliver = deliver;
    fake_engine.typed = typed;
    fake_engine.data = data;
    return NULL;
}

struct rpc_stream *rpc_client_open(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request, struct rpc_error **error)
{
    (void)client;
    (void)options;
    (void)error;
    fake_engine.function = __func__;
    fake_engine.method = method;
    fake_engine.sent = request;
    return fake_stream();
}

struct rpc_stream *rpc_client_watch(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request,
    const struct rpc_watch_hooks *hooks, const void *typed, void *data, struct rpc_error **error)
{
    (void)client;
    (void)options;
    (void)error;
    fake_engine.function = __func__;
    fake_engine.method = method;
    fake_engine.sent = request;
    fake_engine.watch_hooks = hooks;
    fake_engine.source = typed;
    fake_engine.data = data;
    return fake_stream();
}

static enum rpc_result note_stream(const char *function, struct rpc_stream *stream)
{
    fake_engine.function = function;
    fake_engine.stream = stream;
    return RPC_DONE;
}

enum rpc_result rpc_stream_next(
    struct rpc_stream *stream, const ProtobufCMessage **out, struct rpc_error **error)
{
    (void)error;
    *out = fake_engine.canned;
    return note_stream(__func__, stream);
}

enum rpc_result rpc_stream_finish(
    struct rpc_stream *stream, const ProtobufCMessage **out, struct rpc_error **error)
{
    (void)error;
    *out = fake_engine.canned;
    return note_stream(__func__, stream);
}

enum rpc_result rpc_stream_send(
    struct rpc_stream *stream, const ProtobufCMessage *message, struct rpc_error **error)
{
    (void)error;
    fake_engine.sent = message;
    return note_stream(__func__, stream);
}

enum rpc_result rpc_stream_half_close(struct rpc_stream *stream, struct rpc_error **error)
{
    (void)error;
    return note_stream(__func__, stream);
}

void rpc_stream_close(struct rpc_stream *stream)
{
    (void)note_stream(__func__, stream);
}
