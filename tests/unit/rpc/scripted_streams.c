#include "scripted_streams.h"

#include <stdio.h>

#include "flocks/v1/supervisor.info.h"
#include "flocks/v1/supervisor.names.h"

#include "crpc/limits.h"
#include "unit.h"

static void note(struct scripted_stream *stream, const char *what)
{
    size_t len = strlen(stream->log);
    if (len + strlen(what) + 2 < sizeof stream->log)
        (void)snprintf(stream->log + len, sizeof stream->log - len, "%s ", what);
}

static void run_inside(struct scripted_stream *stream, const char *hook)
{
    if (stream->streams->inside != NULL)
        stream->streams->inside(stream, hook);
}

/* ---- answers ---- */

static const char *text_of(size_t len)
{
    /* Not from the heap: that one may be what fails. */
    static char text[RPC_MESSAGE_BYTES_MAX + 1];
    assert_true(len < sizeof text);
    memset(text, 'x', len);
    text[len] = '\0';
    return text;
}

static enum rpc_code send_text(struct rpc_call *call, const char *text)
{
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;
    response.event_token = text;
    return rpc_call_send_message(call, &response.base);
}

void scripted_answer(struct scripted_stream *stream, const char *text)
{
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;
    response.event_token = text;
    struct rpc_call *call = stream->call;
    stream->call = NULL;
    rpc_call_reply_message(call, &response.base);
}

/* ---- hooks ---- */

static enum rpc_pull next(const void *source, void *state, struct rpc_call *call)
{
    (void)source;
    struct scripted_stream *stream = state;
    struct scripted_streams *streams = stream->streams;
    assert_int_equal(stream->n_closed, 0);
    note(stream, "next");
    if (streams->n_turns < sizeof streams->turns - 1)
        streams->turns[streams->n_turns++] = (char)('a' + (stream - streams->calls));
    run_inside(stream, "next");
    if (stream->n_to_send == 0)
        return streams->then;
    stream->n_to_send--;
    enum rpc_code code = send_text(call, text_of(streams->message_len));
    if (code == RPC_OK)
        stream->n_sent++;
    else
        note(stream, "unsent");
    if (streams->echoes) {
        rpc_call_wake(call);
        return RPC_PULL_LATER;
    }
    return RPC_PULL_SENT;
}

static enum rpc_take message(
    const void *source, void *state, struct rpc_call *call, const ProtobufCMessage *message)
{
    (void)source;
    struct scripted_stream *stream = state;
    const flocks_get_status_request *request =
        (const flocks_get_status_request *)(const void *)message;
    char text[128];
    assert_int_equal(stream->n_closed, 0);
    (void)snprintf(
        text, sizeof text, "msg:%s", request->n_services > 0 ? request->services[0] : "");
    note(stream, text);
    run_inside(stream, "message");
    if (stream->streams->echoes) {
        if (stream->n_to_send > 0)
            return RPC_TAKE_LATER;
        stream->n_to_send = 1;
        rpc_call_wake(call);
        return RPC_TAKE_DONE;
    }
    return stream->streams->take;
}

static void half_closed(const void *source, void *state, struct rpc_call *call)
{
    (void)source;
    (void)call;
    struct scripted_stream *stream = state;
    assert_int_equal(stream->n_closed, 0);
    note(stream, "half");
    run_inside(stream, "half_closed");
    if (stream->streams->replies_at_half_close)
        scripted_answer(stream, "collected");
}

static void closed(const void *source, void *state, enum rpc_code code)
{
    (void)source;
    struct scripted_stream *stream = state;
    char text[32];
    (void)snprintf(text, sizeof text, "closed:%d", (int)code);
    note(stream, text);
    stream->n_closed++;
    stream->code = code;
    stream->call = NULL;
    if (stream->memory != NULL)
        *stream->memory = 1;
    run_inside(stream, "closed");
}

static const struct rpc_stream_hooks HOOKS = {
    .next = next, .message = message, .half_closed = half_closed, .closed = closed};

void scripted_begin(struct scripted_stream *stream)
{
    stream->has_begun = true;
    rpc_call_begin_stream(stream->call, &HOOKS, NULL, stream);
}

/* ---- handlers ---- */

static void cancelled(void *data)
{
    struct scripted_stream *stream = data;
    stream->n_cancelled++;
    if (stream->streams->begins_when_cancelled)
        scripted_begin(stream);
}

static struct scripted_stream *take_call(void *self, struct rpc_call *call)
{
    struct scripted_streams *streams = self;
    assert_true(streams->n_calls < sizeof streams->calls / sizeof streams->calls[0]);
    struct scripted_stream *stream = &streams->calls[streams->n_calls++];
    memset(stream, 0, sizeof *stream);
    stream->streams = streams;
    stream->call = call;
    stream->n_to_send = streams->n_to_send;
    stream->memory = rpc_call_alloc(call, sizeof *stream->memory);
    return stream;
}

static void hold(
    const void *handlers, void *self, struct rpc_call *call, const ProtobufCMessage *request)
{
    (void)handlers;
    (void)request;
    (void)take_call(self, call);
}

static void begin(
    const void *handlers, void *self, struct rpc_call *call, const ProtobufCMessage *request)
{
    (void)handlers;
    assert_true((request == NULL) == (rpc_call_method(call)->kind != RPC_SERVER_STREAM));
    struct scripted_stream *stream = take_call(self, call);
    rpc_call_on_cancel(call, cancelled, stream);
    if (!stream->streams->begins_later)
        scripted_begin(stream);
    note(stream, "open");
}

/* ---- the table ---- */

#define METHOD(method_name, method_kind)                                                           \
    .service = "test.v1.Streams", .name = (method_name), .kind = (method_kind),                    \
    .request = &flocks_get_status_request_info, .response = &flocks_get_status_response_info

const struct rpc_method scripted_methods[SCRIPTED_METHODS] = {
    [SCRIPTED_ASK] = {METHOD("Ask", RPC_UNARY)},
    [SCRIPTED_COUNT] = {METHOD("Count", RPC_SERVER_STREAM)},
    [SCRIPTED_COLLECT] = {METHOD("Collect", RPC_CLIENT_STREAM)},
    [SCRIPTED_CHAT] = {METHOD("Chat", RPC_BIDI)},
    [SCRIPTED_MUTATE] = {METHOD("Mutate", RPC_BIDI), .mutates = true},
    [SCRIPTED_NOTHING] = {METHOD("Nothing", RPC_CLIENT_STREAM)},
};

static const rpc_invoke_fn INVOKE[SCRIPTED_METHODS] = {
    [SCRIPTED_ASK] = hold,
    [SCRIPTED_COUNT] = begin,
    [SCRIPTED_COLLECT] = begin,
    [SCRIPTED_CHAT] = begin,
    [SCRIPTED_MUTATE] = begin,
};

struct rpc_service scripted_service(struct scripted_streams *streams)
{
    return (struct rpc_service){
        .name = "test.v1.Streams",
        .n_methods = SCRIPTED_METHODS,
        .methods = scripted_methods,
        .invoke = INVOKE,
        .self = streams,
    };
}
