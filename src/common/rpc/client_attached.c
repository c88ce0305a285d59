/* The attached client: the caller's loop drives it through one descriptor and one time.
 *
 * Callbacks run from rpc_client_process only, one event at a time, and after each only locals and
 * what the client itself holds are touched: any of them may close anything but the client. */
#include <assert.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/rpc/client_state.h"

struct rpc_pending {
    struct client_call call;
    struct list in_pending; /* client->pending */
    rpc_deliver_fn deliver;
    rpc_typed_fn typed;
    void *data;
    const ProtobufCMessage *response;
    struct rpc_error *error;
};

void rpc_client_attach(struct rpc_client *client)
{
    client->is_attached = true;
}

static enum rpc_result check_attached(
    const struct rpc_client *client, const struct rpc_method *method, struct rpc_error **error)
{
    if (client->is_attached)
        return RPC_DONE;
    return rpc_error_make(error, RPC_FAILED_PRECONDITION, 0,
        "calling %s: the client is not attached to a loop", method->name);
}

/* ---- unary calls ---- */

static void free_pending(struct rpc_pending *pending)
{
    list_remove(&pending->in_pending);
    client_give_back(&pending->call);
    rpc_message_free(pending->response);
    rpc_error_free(pending->error);
    free(pending);
}

/* Gone before the callback runs: that may begin the next one, or cancel all that are left. */
static void conclude(struct rpc_pending *pending)
{
    rpc_deliver_fn deliver = pending->deliver;
    rpc_typed_fn typed = pending->typed;
    void *data = pending->data;
    const ProtobufCMessage *response = pending->response;
    struct rpc_error *error = pending->error;
    pending->response = NULL;
    pending->error = NULL;
    if (response == NULL && error == NULL)
        (void)rpc_error_make(&error, RPC_INTERNAL, 0,
            "calling %s: the server ended it without an answer", pending->call.method->name);
    free_pending(pending);
    deliver(typed, data, error, error == NULL ? response : NULL);
    rpc_message_free(response);
    rpc_error_free(error);
}

static void take_message(struct client_call *call, struct rpc_bytes message)
{
    struct rpc_pending *pending = CONTAINER_OF(call, struct rpc_pending, call);
    (void)client_decode(call->method, message, &pending->response, &pending->error);
}

static void take_end(struct client_call *call, const struct rpc_status *status)
{
    struct rpc_pending *pending = CONTAINER_OF(call, struct rpc_pending, call);
    if (status->code != RPC_OK && pending->error == NULL)
        (void)rpc_error_from_status(
            &pending->error, status, status->is_local ? call->client->system_error : 0);
    conclude(pending);
}

static void take_expiry(struct client_call *call)
{
    struct rpc_pending *pending = CONTAINER_OF(call, struct rpc_pending, call);
    (void)client_late(call, &pending->error);
    conclude(pending);
}

static const struct client_call_kind PENDING = {
    .message = take_message, .ended = take_end, .expired = take_expiry};

struct rpc_pending *rpc_client_begin(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request, rpc_deliver_fn deliver,
    rpc_typed_fn typed, void *data, struct rpc_error **error)
{
    if (check_attached(client, method, error) != RPC_DONE)
        return NULL;
    if (method->kind != RPC_UNARY) {
        (void)rpc_error_make(
            error, RPC_INVALID_ARGUMENT, 0, "calling %s: the method streams", method->name);
        return NULL;
    }
    struct rpc_pending *pending = malloc(sizeof *pending);
    if (pending == NULL) {
        (void)rpc_error_make(
            error, RPC_RESOURCE_EXHAUSTED, 0, "calling %s: no memory for a call", method->name);
        return NULL;
    }
    *pending = (struct rpc_pending){
        .call = {.kind = &PENDING}, .deliver = deliver, .typed = typed, .data = data};
    if (client_begin(&pending->call, client, method, options, request, error) != RPC_DONE) {
        free(pending);
        return NULL;
    }
    list_append(&client->pending, &pending->in_pending);
    return pending;
}

void rpc_pending_cancel(struct rpc_pending *pending)
{
    free_pending(pending);
}

void client_attached_drop_pending(struct rpc_client *client)
{
    LIST_FOR_EACH_SAFE(link, &client->pending)
    free_pending(CONTAINER_OF(link, struct rpc_pending, in_pending));
}

/* ---- streams ---- */

struct rpc_stream *rpc_client_watch(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request,
    const struct rpc_watch_hooks *hooks, const void *typed, void *data, struct rpc_error **error)
{
    if (check_attached(client, method, error) != RPC_DONE)
        return NULL;
    struct rpc_stream *stream = client_stream_new(client, method, options, request, hooks, error);
    if (stream == NULL)
        return NULL;
    stream->typed = typed;
    stream->data = data;
    return stream;
}

void rpc_stream_wake(struct rpc_stream *stream)
{
    stream->is_asleep = false;
    if (stream->hooks != NULL && list_is_empty(&stream->in_ready))
        list_append(&stream->call.client->ready, &stream->in_ready);
}

void client_attached_leave(struct rpc_stream *stream)
{
    list_remove(&stream->in_ready);
    list_remove(&stream->in_crowded);
}

/* After a hook. False: it has closed the stream, which is gone now. */
static bool leave_hook(struct rpc_stream *stream)
{
    stream->is_in_hook = false;
    if (!stream->is_closed)
        return true;
    free(stream);
    return false;
}

/* Once, when nothing is queued before it. The stream may be gone afterwards. */
static void tell_end(struct rpc_stream *stream)
{
    bool waits = stream->held != NULL || !list_is_empty(&stream->queue);
    if (!stream->has_ended || stream->has_told_end || waits)
        return;
    stream->has_told_end = true;
    list_remove(&stream->in_crowded);
    if (stream->hooks->ended == NULL)
        return;
    /* Not the stream's own: the hook may close it, and go on reading. */
    struct rpc_error *end = stream->end;
    stream->end = NULL;
    stream->is_in_hook = true;
    stream->hooks->ended(stream->typed, stream->data, stream, end);
    if (leave_hook(stream))
        stream->end = end;
    else
        rpc_error_free(end);
}

/* Gives `message` of `len` bytes to the hook; it is kept when the hook answers LATER. False: stop,
 * the stream is asleep or gone. */
static bool give(struct rpc_stream *stream, const ProtobufCMessage *message, size_t len)
{
    enum rpc_take take = RPC_TAKE_DONE;
    stream->is_asleep = true;
    stream->is_in_hook = true;
    if (stream->hooks->message != NULL)
        take = stream->hooks->message(stream->typed, stream->data, stream, message);
    if (!leave_hook(stream)) {
        rpc_message_free(message);
        return false;
    }
    if (take == RPC_TAKE_LATER) {
        /* Awake already when the hook itself woke it: then it is in the list of the ready. */
        stream->held = message;
        stream->held_len = len;
        return false;
    }
    stream->is_asleep = false;
    rpc_message_free(message);
    if (stream->call.session_call != NULL)
        rpc_session_call_taken(stream->call.session_call, len);
    return true;
}

static bool decode_and_give(struct rpc_stream *stream, struct rpc_bytes bytes)
{
    const ProtobufCMessage *message = NULL;
    struct rpc_error *failure = NULL;
    if (client_decode(stream->call.method, bytes, &message, &failure) == RPC_DONE)
        return give(stream, message, bytes.len);
    client_stream_break(stream, failure);
    return true;
}

/* All that is queued, until the hook wants no more; then the end. */
static void drain(struct rpc_stream *stream)
{
    if (stream->held != NULL) {
        const ProtobufCMessage *message = stream->held;
        stream->held = NULL;
        if (!give(stream, message, stream->held_len))
            return;
    }
    struct stream_message *message;
    while ((message = client_stream_pop(stream)) != NULL) {
        const struct rpc_bytes bytes = {.data = message->bytes, .len = message->len};
        bool goes_on = decode_and_give(stream, bytes);
        free(message);
        if (!goes_on)
            return;
    }
    tell_end(stream);
}

void client_attached_message(struct rpc_stream *stream, struct rpc_bytes message)
{
    if (decode_and_give(stream, message))
        tell_end(stream);
}

void client_attached_ended(struct rpc_stream *stream)
{
    tell_end(stream);
}

/* ---- turns ---- */

/* Those that were woken, each once: what wakes itself again has its turn in the next. */
static void drain_ready(struct rpc_client *client)
{
    struct list ready;
    list_init(&ready);
    list_move_all(&ready, &client->ready);
    while (!list_is_empty(&ready)) {
        struct rpc_stream *stream = CONTAINER_OF(ready.next, struct rpc_stream, in_ready);
        list_remove(&stream->in_ready);
        drain(stream);
    }
}

static void tell_writable(struct rpc_stream *stream)
{
    stream->is_in_hook = true;
    if (stream->hooks->writable != NULL)
        stream->hooks->writable(stream->typed, stream->data, stream);
    (void)leave_hook(stream);
}

static void tell_crowded(struct rpc_client *client)
{
    struct list crowded;
    list_init(&crowded);
    list_move_all(&crowded, &client->crowded);
    while (!list_is_empty(&crowded)) {
        struct rpc_stream *stream = CONTAINER_OF(crowded.next, struct rpc_stream, in_crowded);
        list_remove(&stream->in_crowded);
        if (stream->has_ended)
            continue;
        if (rpc_session_call_is_writable(stream->call.session_call))
            tell_writable(stream);
        else
            list_append(&client->crowded, &stream->in_crowded);
    }
}

static void expire(struct rpc_client *client)
{
    int64_t now_ms = clock_monotonic_ms();
    while (!list_is_empty(&client->deadlines)) {
        struct client_call *call =
            CONTAINER_OF(client->deadlines.next, struct client_call, in_deadlines);
        if (call->deadline_at > now_ms)
            return;
        list_remove(&call->in_deadlines);
        call->kind->expired(call);
    }
}

static void tell_all(struct rpc_client *client)
{
    while (client_tell(client)) {
    }
}

void rpc_client_process(struct rpc_client *client)
{
    if (client->is_processing)
        return;
    client->is_processing = true;
    client_send(client);
    tell_all(client);
    client_read(client);
    tell_all(client);
    client->tick_at = rpc_session_tick(client->session, clock_monotonic_ms());
    tell_all(client);
    expire(client);
    drain_ready(client);
    tell_crowded(client);
    /* What the callbacks said; a write that fails has ends to tell. */
    client_send(client);
    tell_all(client);
    client->is_due = false;
    client->is_processing = false;
}

int rpc_client_fd(const struct rpc_client *client)
{
    return client->fd;
}

static bool is_due(const struct rpc_client *client)
{
    return client->is_due || !list_is_empty(&client->ready);
}

unsigned rpc_client_wants(const struct rpc_client *client)
{
    if (client->is_gone)
        return is_due(client) ? 0 : RPC_WANTS_CLOSE;
    unsigned wants = RPC_WANTS_READ;
    if (!client->is_mute && client_output_length(client) > 0)
        wants |= RPC_WANTS_WRITE;
    return wants;
}

int64_t rpc_client_next_at(const struct rpc_client *client)
{
    if (is_due(client))
        return 0;
    int64_t next_at = client->is_gone ? CLOCK_NEVER : client->tick_at;
    if (list_is_empty(&client->deadlines))
        return next_at;
    int64_t deadline_at =
        CONTAINER_OF(client->deadlines.next, struct client_call, in_deadlines)->deadline_at;
    return deadline_at < next_at ? deadline_at : next_at;
}
