/* grpc.reflection as a service: streams of requests, one answered at a time. The next one is taken
 * when the answer to the one before has been sent. */
#include "crpc/reflection.h"

#include <stdlib.h>

#include "common/rpc/engine.h"
#include "common/rpc/reflection_answer.h"
#include "grpc/reflection/v1/reflection.info.h"
#include "grpc/reflection/v1/reflection.methods.h"

enum {
    /* What one answer needs besides the descriptors, which it borrows: for each file or number a
     * few bytes. Beyond: RESOURCE_EXHAUSTED. */
    ANSWER_BYTES_MAX = 4 << 20
};

struct reflection_stream {
    const struct crpc_index *const *indexes;
    struct reflection_question *question; /* NULL: none waits for its answer */
    bool has_half_closed;
    bool was_sent[]; /* reflection_answering.was_sent */
};

static void fail_for_memory(struct rpc_call *call)
{
    rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, NULL, "no memory for an answer");
}

static enum rpc_take take_question(
    const void *source, void *state, struct rpc_call *call, const ProtobufCMessage *message)
{
    struct reflection_stream *stream = state;
    bool is_too_long = false;
    (void)source;
    if (stream->question != NULL)
        return RPC_TAKE_LATER;
    stream->question = reflection_question_new(
        (const reflection_server_reflection_request *)message, &is_too_long);
    if (is_too_long)
        rpc_call_fail(call, RPC_INVALID_ARGUMENT, NULL, "a request is longer than %d bytes",
            RPC_REFLECTION_REQUEST_BYTES_MAX);
    else if (stream->question == NULL)
        fail_for_memory(call);
    else
        rpc_call_wake(call);
    return RPC_TAKE_DONE;
}

static void send_answer(struct reflection_stream *stream, struct rpc_call *call)
{
    struct arena arena;
    arena_init(&arena, ANSWER_BYTES_MAX);
    const struct reflection_answering answering = {.server = call->server,
        .indexes = stream->indexes,
        .was_sent = stream->was_sent,
        .arena = &arena};
    const reflection_server_reflection_response *response =
        reflection_answer(&answering, stream->question);
    if (response == NULL || rpc_call_send_message(call, &response->base) != RPC_OK)
        fail_for_memory(call);
    arena_deinit(&arena);
    free(stream->question);
    stream->question = NULL;
}

static enum rpc_pull next_answer(const void *source, void *state, struct rpc_call *call)
{
    struct reflection_stream *stream = state;
    (void)source;
    if (stream->question == NULL)
        return stream->has_half_closed ? RPC_PULL_DONE : RPC_PULL_LATER;
    send_answer(stream, call);
    /* For the request that was told to wait, if there is one. */
    rpc_call_wake(call);
    return RPC_PULL_SENT;
}

static void note_half_close(const void *source, void *state, struct rpc_call *call)
{
    struct reflection_stream *stream = state;
    (void)source;
    stream->has_half_closed = true;
    rpc_call_wake(call);
}

static void close_stream(const void *source, void *state, enum rpc_code code)
{
    struct reflection_stream *stream = state;
    (void)source;
    (void)code;
    free(stream->question);
    free(stream);
}

static const struct rpc_stream_hooks HOOKS = {.next = next_answer,
    .message = take_question,
    .half_closed = note_half_close,
    .closed = close_stream};

static void begin(
    const void *handlers, void *self, struct rpc_call *call, const ProtobufCMessage *request)
{
    const struct crpc_index *const *indexes = handlers;
    struct reflection_stream *stream = calloc(1, sizeof *stream + reflection_count_files(indexes));
    (void)self;
    (void)request;
    if (stream == NULL) {
        fail_for_memory(call);
        return;
    }
    stream->indexes = indexes;
    rpc_call_begin_stream(call, &HOOKS, NULL, stream);
}

/* The messages of both versions are the same, field by field: those of v1 serve both. */
static const struct rpc_method V1ALPHA_METHODS[] = {{
    .service = "grpc.reflection.v1alpha.ServerReflection",
    .name = "ServerReflectionInfo",
    .kind = RPC_BIDI,
    .comment = "",
    .request = &reflection_server_reflection_request_info,
    .response = &reflection_server_reflection_response_info,
}};

static const rpc_invoke_fn INVOKE[] = {begin};

struct rpc_service rpc_reflection_service(
    enum rpc_reflection_version version, const struct crpc_index *const *indexes)
{
    const struct rpc_method *methods =
        version == RPC_REFLECTION_V1ALPHA ? V1ALPHA_METHODS : reflection_server_reflection_methods;
    return (struct rpc_service){.name = methods->service,
        .n_methods = 1,
        .methods = methods,
        .invoke = INVOKE,
        .handlers = (const void *)indexes};
}
