/* Streams: what both sorts have in common, and the blocking ones.
 *
 * Messages are kept as they came and decoded when they are asked for: the session bounds how many
 * bytes that may be, and decoded they can be many times as much. A blocking stream's reader pulls
 * one event after the other, so that a burst for the stream that is being read never counts
 * against its bound. */
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/rpc/client_state.h"

/* ---- the queue ---- */

static bool keep(struct rpc_stream *stream, struct rpc_bytes message)
{
    struct stream_message *kept = malloc(sizeof *kept + message.len);
    if (kept == NULL)
        return false;
    kept->len = message.len;
    if (message.len > 0)
        memcpy(kept->bytes, message.data, message.len);
    list_append(&stream->queue, &kept->in_queue);
    return true;
}

struct stream_message *client_stream_pop(struct rpc_stream *stream)
{
    if (list_is_empty(&stream->queue))
        return NULL;
    struct stream_message *oldest =
        CONTAINER_OF(stream->queue.next, struct stream_message, in_queue);
    list_remove(&oldest->in_queue);
    return oldest;
}

static void drop_queue(struct rpc_stream *stream)
{
    LIST_FOR_EACH_SAFE(link, &stream->queue)
    free(CONTAINER_OF(link, struct stream_message, in_queue));
    list_init(&stream->queue);
    rpc_message_free(stream->held);
    stream->held = NULL;
}

/* ---- the end ---- */

/* Consumes `end`. */
static void set_end(struct rpc_stream *stream, struct rpc_error *end)
{
    if (stream->has_ended) {
        rpc_error_free(end);
        return;
    }
    stream->has_ended = true;
    stream->end = end;
    list_remove(&stream->call.in_deadlines);
}

void client_stream_break(struct rpc_stream *stream, struct rpc_error *end)
{
    client_give_back(&stream->call);
    drop_queue(stream);
    rpc_error_free(stream->end);
    stream->end = end;
    stream->has_ended = true;
}

static void break_without_memory(struct rpc_stream *stream)
{
    struct rpc_error *end = NULL;
    (void)rpc_error_make(&end, RPC_RESOURCE_EXHAUSTED, 0, "calling %s: no memory for a message",
        stream->call.method->name);
    client_stream_break(stream, end);
}

/* What came before the deadline is still given. */
static void expire(struct rpc_stream *stream)
{
    struct rpc_error *end = NULL;
    (void)client_late(&stream->call, &end);
    rpc_session_call_cancel(stream->call.session_call);
    set_end(stream, end);
}

/* ---- what the session tells ---- */

static void take_message(struct client_call *call, struct rpc_bytes message)
{
    struct rpc_stream *stream = CONTAINER_OF(call, struct rpc_stream, call);
    bool may_deliver = stream->hooks != NULL && list_is_empty(&stream->queue) &&
                       stream->held == NULL && !stream->is_asleep;
    if (may_deliver)
        client_attached_message(stream, message);
    else if (!keep(stream, message)) {
        break_without_memory(stream);
        if (stream->hooks != NULL)
            client_attached_ended(stream);
    }
}

static void take_end(struct client_call *call, const struct rpc_status *status)
{
    struct rpc_stream *stream = CONTAINER_OF(call, struct rpc_stream, call);
    struct rpc_error *end = NULL;
    if (!stream->has_ended && status->code != RPC_OK)
        (void)rpc_error_from_status(
            &end, status, status->is_local ? call->client->system_error : 0);
    set_end(stream, end);
    if (stream->hooks != NULL)
        client_attached_ended(stream);
}

static void take_expiry(struct client_call *call)
{
    struct rpc_stream *stream = CONTAINER_OF(call, struct rpc_stream, call);
    expire(stream);
    client_attached_ended(stream);
}

const struct client_call_kind client_stream_kind = {
    .message = take_message, .ended = take_end, .expired = take_expiry};

/* ---- life ---- */

struct rpc_stream *client_stream_new(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request,
    const struct rpc_watch_hooks *hooks, struct rpc_error **error)
{
    if (method->kind == RPC_UNARY) {
        (void)rpc_error_make(
            error, RPC_INVALID_ARGUMENT, 0, "calling %s: the method does not stream", method->name);
        return NULL;
    }
    struct rpc_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        (void)rpc_error_make(
            error, RPC_RESOURCE_EXHAUSTED, 0, "calling %s: no memory for a stream", method->name);
        return NULL;
    }
    list_init(&stream->queue);
    list_init(&stream->in_ready);
    list_init(&stream->in_crowded);
    stream->call.kind = &client_stream_kind;
    stream->hooks = hooks;
    stream->is_half_closed = method->kind == RPC_SERVER_STREAM;
    if (client_begin(&stream->call, client, method, options, request, error) != RPC_DONE) {
        free(stream);
        return NULL;
    }
    return stream;
}

struct rpc_stream *rpc_client_open(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request, struct rpc_error **error)
{
    if (client->is_attached) {
        (void)rpc_error_make(error, RPC_FAILED_PRECONDITION, 0,
            "calling %s: the client is attached to a loop, nothing may wait", method->name);
        return NULL;
    }
    struct rpc_stream *stream = client_stream_new(client, method, options, request, NULL, error);
    if (stream != NULL)
        client_send(client);
    return stream;
}

void rpc_stream_close(struct rpc_stream *stream)
{
    if (stream == NULL)
        return;
    struct rpc_client *client = stream->call.client;
    client_attached_leave(stream);
    client_give_back(&stream->call);
    drop_queue(stream);
    rpc_error_free(stream->end);
    stream->end = NULL;
    if (!client->is_attached)
        client_send(client);
    if (stream->is_in_hook)
        stream->is_closed = true;
    else
        free(stream);
}

/* ---- waiting ---- */

void rpc_stream_set_patience(struct rpc_stream *stream, int64_t patience_ms)
{
    stream->patience_ms = patience_ms;
}

static int64_t patience_at(const struct rpc_stream *stream)
{
    if (stream->patience_ms <= 0)
        return CLOCK_NEVER;
    return clock_add_ms(clock_monotonic_ms(), stream->patience_ms);
}

/* One step of the client. RPC_AGAIN: patience is over. */
static enum rpc_result step(struct rpc_stream *stream, int64_t patience_until_at)
{
    int64_t deadline_at = stream->call.deadline_at;
    int64_t until_at = deadline_at < patience_until_at ? deadline_at : patience_until_at;
    if (client_step(stream->call.client, until_at))
        return RPC_DONE;
    if (until_at == deadline_at) {
        expire(stream);
        client_send(stream->call.client);
        return RPC_DONE;
    }
    return RPC_AGAIN;
}

static enum rpc_result refuse_attached(const struct rpc_stream *stream, struct rpc_error **error)
{
    return rpc_error_make(error, RPC_FAILED_PRECONDITION, 0,
        "%s: the stream belongs to a loop, nothing may wait", stream->call.method->name);
}

static enum rpc_result answer_end(const struct rpc_stream *stream, struct rpc_error **error)
{
    return stream->end == NULL ? RPC_END : rpc_error_copy(stream->end, error);
}

/* ---- receiving ---- */

static enum rpc_result open_message(struct rpc_stream *stream, struct stream_message *message,
    const ProtobufCMessage **out, struct rpc_error **error)
{
    const struct rpc_bytes bytes = {.data = message->bytes, .len = message->len};
    struct rpc_error *failure = NULL;
    enum rpc_result result = client_decode(stream->call.method, bytes, out, &failure);
    if (result == RPC_DONE) {
        if (stream->call.session_call != NULL)
            rpc_session_call_taken(stream->call.session_call, message->len);
    } else {
        client_stream_break(stream, failure);
        result = answer_end(stream, error);
    }
    free(message);
    return result;
}

enum rpc_result rpc_stream_next(
    struct rpc_stream *stream, const ProtobufCMessage **out, struct rpc_error **error)
{
    *out = NULL;
    if (stream->hooks != NULL)
        return refuse_attached(stream, error);
    int64_t patience_until_at = patience_at(stream);
    for (;;) {
        struct stream_message *message = client_stream_pop(stream);
        if (message != NULL)
            return open_message(stream, message, out, error);
        if (stream->has_ended)
            return answer_end(stream, error);
        if (step(stream, patience_until_at) == RPC_AGAIN)
            return RPC_AGAIN;
    }
}

enum rpc_result rpc_stream_finish(
    struct rpc_stream *stream, const ProtobufCMessage **out, struct rpc_error **error)
{
    *out = NULL;
    if (stream->hooks != NULL)
        return refuse_attached(stream, error);
    if (stream->call.method->kind != RPC_CLIENT_STREAM)
        return rpc_error_make(error, RPC_FAILED_PRECONDITION, 0,
            "%s: only a client stream has one answer", stream->call.method->name);
    enum rpc_result result = rpc_stream_half_close(stream, error);
    if (result != RPC_DONE)
        return result;
    /* The answer counts only with a good end, which comes with it. */
    int64_t patience_until_at = patience_at(stream);
    while (!stream->has_ended) {
        if (step(stream, patience_until_at) == RPC_AGAIN)
            return RPC_AGAIN;
    }
    if (stream->end != NULL)
        return rpc_error_copy(stream->end, error);
    struct stream_message *answer = client_stream_pop(stream);
    if (answer == NULL)
        return rpc_error_make(error, RPC_INTERNAL, 0, "%s: the server ended it without an answer",
            stream->call.method->name);
    return open_message(stream, answer, out, error);
}

/* ---- sending ---- */

static enum rpc_result check_send(const struct rpc_stream *stream, struct rpc_error **error)
{
    if (stream->is_half_closed)
        return rpc_error_make(error, RPC_FAILED_PRECONDITION, 0, "%s: %s",
            stream->call.method->name,
            stream->call.method->kind == RPC_SERVER_STREAM ? "only the server streams"
                                                           : "half-closed already");
    return RPC_DONE;
}

/* The server has ended the call, or we had to: both not sent. */
static enum rpc_result answer_gone(const struct rpc_stream *stream, struct rpc_error **error)
{
    if (stream->end == NULL || stream->end->from_server)
        return RPC_END;
    return rpc_error_copy(stream->end, error);
}

static enum rpc_result send_now(
    struct rpc_stream *stream, const ProtobufCMessage *message, struct rpc_error **error)
{
    const struct rpc_payload payload = client_payload(message);
    const char *name = stream->call.method->name;
    if (payload.len <= RPC_MESSAGE_BYTES_MAX && !client_has_room(stream->call.client, payload.len))
        return rpc_error_make(
            error, RPC_RESOURCE_EXHAUSTED, 0, "%s: too much waits to be sent already", name);
    switch (rpc_session_call_send(stream->call.session_call, &payload)) {
    case RPC_SEND_TAKEN:
        return RPC_DONE;
    case RPC_SEND_GONE:
        return RPC_END;
    case RPC_SEND_TOO_LARGE:
        return rpc_error_make(error, RPC_RESOURCE_EXHAUSTED, 0,
            "%s: the message is larger than %d bytes", name, RPC_MESSAGE_BYTES_MAX);
    case RPC_SEND_NO_ROOM:
        break;
    }
    client_lose(stream->call.client, RPC_UNAVAILABLE, "no memory for a message to be sent", 0);
    return rpc_error_make(error, RPC_RESOURCE_EXHAUSTED, 0, "%s: no memory for a message", name);
}

static enum rpc_result send_blocking(
    struct rpc_stream *stream, const ProtobufCMessage *message, struct rpc_error **error)
{
    int64_t patience_until_at = patience_at(stream);
    while (!stream->has_ended && !rpc_session_call_is_writable(stream->call.session_call)) {
        if (step(stream, patience_until_at) == RPC_AGAIN)
            return RPC_AGAIN;
    }
    if (stream->has_ended)
        return answer_gone(stream, error);
    enum rpc_result result = send_now(stream, message, error);
    client_send(stream->call.client);
    return result;
}

enum rpc_result rpc_stream_send(
    struct rpc_stream *stream, const ProtobufCMessage *message, struct rpc_error **error)
{
    if (check_send(stream, error) != RPC_DONE)
        return RPC_ERROR;
    if (stream->hooks == NULL)
        return send_blocking(stream, message, error);
    if (stream->has_ended)
        return answer_gone(stream, error);
    enum rpc_result result = send_now(stream, message, error);
    if (result != RPC_DONE || rpc_session_call_is_writable(stream->call.session_call))
        return result;
    if (list_is_empty(&stream->in_crowded))
        list_append(&stream->call.client->crowded, &stream->in_crowded);
    return RPC_AGAIN;
}

enum rpc_result rpc_stream_half_close(struct rpc_stream *stream, struct rpc_error **error)
{
    if (stream->call.method->kind == RPC_SERVER_STREAM)
        return check_send(stream, error);
    if (stream->is_half_closed || stream->has_ended)
        return RPC_DONE;
    stream->is_half_closed = true;
    rpc_session_call_half_close(stream->call.session_call);
    if (stream->hooks == NULL)
        client_send(stream->call.client);
    return RPC_DONE;
}
