/* The server's side of one stream: whose turn it is, what it is given, how it is closed. */
#include <assert.h>
#include <stdlib.h>

#include "common/rpc/engine.h"

/* ---- life ---- */

struct rpc_call_stream *rpc_call_stream_new(struct rpc_call *call)
{
    struct rpc_call_stream *stream = malloc(sizeof *stream);
    if (stream == NULL)
        return NULL;
    *stream = (struct rpc_call_stream){.call = call};
    list_init(&stream->in_awake);
    rpc_inbox_init(&stream->inbox);
    return stream;
}

void rpc_call_stream_free(struct rpc_call_stream *stream)
{
    if (stream == NULL)
        return;
    rpc_call_stream_stop(stream);
    free(stream);
}

bool rpc_call_stream_has_begun(const struct rpc_call_stream *stream)
{
    return stream->hooks != NULL;
}

void rpc_call_stream_stop(struct rpc_call_stream *stream)
{
    list_remove(&stream->in_awake);
    rpc_inbox_clear(&stream->inbox);
}

void rpc_call_stream_close(struct rpc_call_stream *stream, enum rpc_code code)
{
    const struct rpc_stream_hooks *hooks = stream->hooks;
    stream->hooks = NULL;
    if (hooks != NULL && hooks->closed != NULL)
        hooks->closed(stream->source, stream->state, code);
}

/* ---- whose turn it is ---- */

static bool has_to_give(const struct rpc_call_stream *stream)
{
    if (rpc_inbox_is_empty(&stream->inbox))
        return stream->is_half_close_due;
    return !stream->waits_to_give;
}

static bool may_pull(const struct rpc_call_stream *stream)
{
    return stream->wants_pull && rpc_session_call_is_writable(stream->call->session_call);
}

bool rpc_call_stream_is_ready(const struct rpc_call_stream *stream)
{
    return has_to_give(stream) || may_pull(stream);
}

/* At the end of the line, if it has anything to wait for there. */
static void queue_up(struct rpc_call_stream *stream, struct list *line)
{
    list_remove(&stream->in_awake);
    if (has_to_give(stream) || stream->wants_pull)
        list_append(line, &stream->in_awake);
}

static void awaken(struct rpc_call_stream *stream)
{
    struct rpc_connection *connection = stream->call->connection;
    queue_up(stream, &connection->awake);
    rpc_connection_note_awake(connection);
}

/* ---- giving ---- */

static enum rpc_take give(struct rpc_call_stream *stream, struct rpc_bytes bytes)
{
    struct rpc_call *call = stream->call;
    const struct rpc_stream_hooks *hooks = stream->hooks;
    struct arena arena;
    const ProtobufCMessage *message = rpc_call_decode(call, &arena, bytes);
    enum rpc_take take = RPC_TAKE_DONE;
    bool is_given = message != NULL && (stream->is_first_admitted || rpc_call_admit(call, message));
    if (is_given && hooks->message != NULL)
        take = hooks->message(stream->source, stream->state, call, message);
    arena_deinit(&arena);
    return take;
}

/* The first of the inbox was answered LATER. */
static void wait_to_give(struct rpc_call_stream *stream)
{
    stream->is_first_admitted = true;
    stream->waits_to_give = true;
}

static void give_half_close(struct rpc_call_stream *stream)
{
    stream->is_half_close_due = false;
    if (stream->hooks->half_closed != NULL)
        stream->hooks->half_closed(stream->source, stream->state, stream->call);
}

/* Everything that waits, until the call is finished or a message is not wanted yet. */
static void give_all(struct rpc_call_stream *stream)
{
    struct rpc_call *call = stream->call;
    while (!call->is_finished && !rpc_inbox_is_empty(&stream->inbox) && !stream->waits_to_give) {
        struct rpc_bytes bytes = rpc_inbox_first(&stream->inbox);
        size_t len = bytes.len;
        enum rpc_take take = give(stream, bytes);
        if (call->is_finished)
            return;
        if (take == RPC_TAKE_LATER) {
            wait_to_give(stream);
            return;
        }
        rpc_inbox_drop_first(&stream->inbox);
        stream->is_first_admitted = false;
        rpc_session_call_taken(call->session_call, len);
    }
    if (!call->is_finished && stream->is_half_close_due && rpc_inbox_is_empty(&stream->inbox))
        give_half_close(stream);
}

/* It cannot be given now: the stream was not begun, others wait before it, or it was refused. */
static bool keep(struct rpc_call_stream *stream, struct rpc_bytes message)
{
    if (rpc_inbox_put(&stream->inbox, message))
        return true;
    rpc_call_starve(stream->call);
    return false;
}

static void give_first(struct rpc_call_stream *stream, struct rpc_bytes message)
{
    struct rpc_call *call = stream->call;
    enum rpc_take take = give(stream, message);
    if (call->is_finished)
        return;
    if (take == RPC_TAKE_DONE)
        rpc_session_call_taken(call->session_call, message.len);
    else if (keep(stream, message))
        wait_to_give(stream);
}

void rpc_call_stream_take_message(struct rpc_call_stream *stream, struct rpc_bytes message)
{
    if (!rpc_call_stream_has_begun(stream) || !rpc_inbox_is_empty(&stream->inbox)) {
        (void)keep(stream, message);
        return;
    }
    rpc_call_hold(stream->call);
    give_first(stream, message);
    (void)rpc_call_unhold(stream->call);
}

void rpc_call_stream_take_half_close(struct rpc_call_stream *stream)
{
    stream->is_half_close_due = true;
    if (!rpc_call_stream_has_begun(stream) || !rpc_inbox_is_empty(&stream->inbox))
        return;
    rpc_call_hold(stream->call);
    give_half_close(stream);
    (void)rpc_call_unhold(stream->call);
}

/* ---- pulling ---- */

static void complete(struct rpc_call *call)
{
    switch (rpc_call_send_end(call, &(struct rpc_status){.code = RPC_OK}, NULL)) {
    case RPC_SEND_TAKEN:
        rpc_call_conclude(call, RPC_OK);
        return;
    case RPC_SEND_GONE:
        rpc_call_conclude(call, RPC_CANCELLED);
        return;
    case RPC_SEND_TOO_LARGE:
    case RPC_SEND_NO_ROOM:
        rpc_call_refuse(call, RPC_REFUSAL_LIMIT, "no room for the end of the stream");
        return;
    }
}

static void pull(struct rpc_call_stream *stream)
{
    struct rpc_call *call = stream->call;
    stream->may_send = true;
    enum rpc_pull did = stream->hooks->next(stream->source, stream->state, call);
    stream->may_send = false;
    if (call->is_finished)
        return;
    /* Whatever woke it meanwhile: an answer counts from when it is given. */
    stream->wants_pull = did == RPC_PULL_SENT;
    if (did == RPC_PULL_DONE)
        complete(call);
}

/* False: the call is gone. */
static bool take_turn(struct rpc_call_stream *stream)
{
    struct rpc_call *call = stream->call;
    rpc_call_hold(call);
    give_all(stream);
    if (!call->is_finished && may_pull(stream))
        pull(stream);
    return rpc_call_unhold(call);
}

void rpc_call_streams_ask(struct list *awake)
{
    /* Those that wait for room keep their place in the line. */
    struct list blocked;
    list_init(&blocked);
    int n_left = RPC_TURN_MESSAGES_MAX;
    while (n_left > 0 && !list_is_empty(awake)) {
        struct rpc_call_stream *stream =
            CONTAINER_OF(awake->next, struct rpc_call_stream, in_awake);
        if (!rpc_call_stream_is_ready(stream)) {
            queue_up(stream, &blocked);
            continue;
        }
        n_left--;
        list_remove(&stream->in_awake);
        if (take_turn(stream))
            queue_up(stream, awake);
    }
    list_move_all(&blocked, awake);
    list_move_all(awake, &blocked);
}

/* ---- what handlers say ---- */

/* Begun when it is over already, which its handler may not know. */
static void begin_too_late(struct rpc_call *call)
{
    enum rpc_code code = call->end_code;
    if (call->session_call != NULL)
        (void)rpc_call_send_refusal(
            call, RPC_REFUSAL_DEADLINE, "the deadline passed before the stream began");
    rpc_call_stream_close(call->stream, code);
    rpc_call_conclude(call, code);
}

void rpc_call_begin_stream(
    struct rpc_call *call, const struct rpc_stream_hooks *hooks, const void *source, void *state)
{
    struct rpc_call_stream *stream = call->stream;
    assert(stream != NULL && stream->hooks == NULL && !call->is_finished &&
           "a handler begins its stream once");
    stream->hooks = hooks;
    stream->source = source;
    stream->state = state;
    if (call->end_code != RPC_OK) {
        begin_too_late(call);
        return;
    }
    stream->wants_pull = hooks->next != NULL && rpc_method_gives_stream(call->method);
    awaken(stream);
}

static void write_message(const void *source, uint8_t *out)
{
    (void)protobuf_c_message_pack(source, out);
}

enum rpc_code rpc_call_send_message(struct rpc_call *call, const ProtobufCMessage *message)
{
    assert(call->stream != NULL && call->stream->may_send &&
           "a message is sent by `next`, one at a time");
    assert(message->descriptor == call->method->response->descriptor);
    if (call->is_finished)
        return RPC_OK;
    const struct rpc_payload payload = {.len = protobuf_c_message_get_packed_size(message),
        .write = write_message,
        .source = message};
    if (payload.len <= RPC_MESSAGE_BYTES_MAX)
        rpc_call_send_added_headers(call);
    switch (rpc_session_call_send(call->session_call, &payload)) {
    case RPC_SEND_TAKEN:
        call->stream->may_send = false;
        return RPC_OK;
    case RPC_SEND_GONE:
        return RPC_OK;
    case RPC_SEND_TOO_LARGE:
    case RPC_SEND_NO_ROOM:
        break;
    }
    return RPC_RESOURCE_EXHAUSTED;
}

void rpc_call_wake(struct rpc_call *call)
{
    struct rpc_call_stream *stream = call->stream;
    assert(stream != NULL);
    if (!rpc_call_stream_has_begun(stream) || call->is_finished)
        return;
    stream->wants_pull = stream->hooks->next != NULL && rpc_method_gives_stream(call->method);
    stream->waits_to_give = false;
    awaken(stream);
}
