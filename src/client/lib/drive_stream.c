/* Streams of a driven client: begun when there is a connection, and begun again behind what was
 * seen when it breaks. */
#include <stdlib.h>

#include "client/lib/state.h"
#include "common/base/clock.h"

/* Once. The stream may be gone afterwards. */
static void end_stream(struct flocks_stream *stream, const struct flocks_error *error)
{
    stream->has_ended = true;
    stream->link->retry_at = CLOCK_NEVER;
    stream->link->deadline_at = CLOCK_NEVER;
    if (stream->hooks->ended != NULL)
        stream->hooks->ended(stream->typed, stream->hook_data, stream, error);
}

/* ---- while it lasts ---- */

static enum rpc_take take_message(
    const void *typed, void *data, struct rpc_stream *rpc, const ProtobufCMessage *message)
{
    (void)typed;
    (void)rpc;
    struct flocks_stream *stream = data;
    enum rpc_take take = RPC_TAKE_DONE;
    stream->is_in_hook = true;
    /* Before the hook, which may wake the stream at once. */
    stream->link->is_held = true;
    if (stream->hooks->message != NULL)
        take = stream->hooks->message(stream->typed, stream->hook_data, stream, message);
    stream->is_in_hook = false;
    if (stream->is_closed) {
        stream_free(stream);
        return RPC_TAKE_DONE;
    }
    if (take == RPC_TAKE_LATER)
        return take;
    stream->link->is_held = false;
    stream_note(stream, message);
    link_note_success(stream->link);
    return RPC_TAKE_DONE;
}

static void take_end(
    const void *typed, void *data, struct rpc_stream *rpc, const struct rpc_error *error)
{
    (void)typed;
    struct flocks_stream *stream = data;
    struct link *link = stream->link;
    stream->rpc = NULL;
    link->n_calls--;
    link->is_held = false;
    if (error != NULL)
        reach_note_code(&stream->client->reach, error->code);
    if (error != NULL && stream_may_resume(stream, error) && stream_bears_outage(stream)) {
        link->deadline_at = stream->deadline_at;
        link_note_failure(link, error);
        rpc_stream_close(rpc);
        return;
    }
    struct flocks_error *failure = NULL;
    if (error != NULL)
        (void)failure_of(error, &failure);
    rpc_stream_close(rpc);
    end_stream(stream, failure);
    flocks_error_free(failure);
}

static const struct rpc_watch_hooks HOOKS = {.message = take_message, .ended = take_end};

/* ---- beginning, and beginning again ---- */

static struct rpc_stream *watch(struct flocks_stream *stream, struct rpc_error **error)
{
    const ProtobufCMessage *request = resume_request(&stream->resume);
    if (request == NULL)
        return NULL;
    struct rpc_options options = {.metadata = stream->metadata, .n_metadata = stream->n_metadata};
    int64_t left_ms = client_left_ms(stream->deadline_at);
    if (left_ms != CLOCK_NEVER)
        options.timeout_ms = left_ms <= 0 ? 1 : left_ms;
    return rpc_client_watch(
        stream->link->rpc, stream->resume.method, &options, request, &HOOKS, NULL, stream, error);
}

static void begin(struct flocks_stream *stream)
{
    struct link *link = stream->link;
    struct rpc_error *failure = NULL;
    stream->rpc = watch(stream, &failure);
    if (stream->rpc != NULL) {
        link->n_calls++;
        link->deadline_at = CLOCK_NEVER;
        stream_note_begun(stream);
        return;
    }
    if (failure != NULL && failure->code == RPC_UNAVAILABLE && stream_bears_outage(stream)) {
        link_note_failure(link, failure);
        rpc_error_free(failure);
        return;
    }
    struct flocks_error *error = NULL;
    if (failure == NULL)
        (void)failure_make(&error, RPC_RESOURCE_EXHAUSTED, "no memory for a request");
    else
        (void)failure_from(failure, &error);
    end_stream(stream, error);
    flocks_error_free(error);
}

static void up(struct link *link, const struct flocks_error *failure)
{
    struct flocks_stream *stream = link->owner;
    if (stream->has_ended || stream->rpc != NULL) {
        link->retry_at = CLOCK_NEVER;
        return;
    }
    if (failure == NULL) {
        begin(stream);
        return;
    }
    if (!client_is_final(failure) && stream_bears_outage(stream))
        return;
    struct flocks_error *end = NULL;
    (void)failure_copy(failure, &end);
    end_stream(stream, end);
    flocks_error_free(end);
}

struct flocks_stream *flocks_client_watch(struct flocks_client *client,
    const struct rpc_method *method, const struct rpc_options *options,
    const ProtobufCMessage *request, const struct flocks_stream_hooks *hooks, const void *typed,
    void *data, struct flocks_error **error)
{
    if (!client->is_driven) {
        (void)client_refuse_mode(client, method, error);
        return NULL;
    }
    struct flocks_stream *stream = stream_new(client, method, options, request, error);
    if (stream == NULL)
        return NULL;
    stream->hooks = hooks;
    stream->typed = typed;
    stream->hook_data = data;
    stream->link = link_new(client, up, stream);
    if (stream->link == NULL) {
        stream_free(stream);
        (void)failure_make(
            error, RPC_RESOURCE_EXHAUSTED, "calling %s: no memory for a stream", method->name);
        return NULL;
    }
    stream->link->deadline_at = stream->deadline_at;
    link_want(stream->link);
    drive_arm(client);
    return stream;
}

void flocks_stream_wake(struct flocks_stream *stream)
{
    if (stream->rpc == NULL)
        return;
    stream->link->is_held = false;
    rpc_stream_wake(stream->rpc);
    drive_arm(stream->client);
}

void drive_stream_close(struct flocks_stream *stream)
{
    struct flocks_client *client = stream->client;
    rpc_stream_close(stream->rpc);
    link_close(stream->link);
    if (stream->is_in_hook)
        stream->is_closed = true;
    else
        stream_free(stream);
    drive_arm(client);
}
