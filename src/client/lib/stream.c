/* Streams: what both sorts have in common, and the blocking ones. */
#include <poll.h>
#include <stdlib.h>

#include "client/lib/state.h"
#include "common/base/clock.h"
#include "crpc/limits.h"

/* ---- both ---- */

struct flocks_stream *stream_new(struct flocks_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request, struct flocks_error **error)
{
    if (method->kind != RPC_SERVER_STREAM) {
        (void)failure_make(
            error, RPC_INVALID_ARGUMENT, "calling %s: its answers do not stream", method->name);
        return NULL;
    }
    struct flocks_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL || !resume_init(&stream->resume, method, request)) {
        if (stream != NULL)
            resume_deinit(&stream->resume);
        free(stream);
        (void)failure_make(
            error, RPC_RESOURCE_EXHAUSTED, "calling %s: no memory for a stream", method->name);
        return NULL;
    }
    if (client_copy_metadata(client, options, &stream->metadata, &stream->n_metadata, error) !=
        RPC_DONE) {
        stream_free(stream);
        return NULL;
    }
    stream->client = client;
    stream->outage_at = CLOCK_NEVER;
    stream->begun_at = CLOCK_NEVER;
    stream->deadline_at = CLOCK_NEVER;
    if (options != NULL && options->timeout_ms > 0)
        stream->deadline_at = clock_add_ms(clock_monotonic_ms(), options->timeout_ms);
    return stream;
}

void stream_free(struct flocks_stream *stream)
{
    flocks_error_free(stream->end);
    resume_deinit(&stream->resume);
    free(stream->metadata);
    free(stream);
}

/* Also when this side could not keep up with a burst: behind the last message there is more. But
 * not for ever without a message in between. */
bool stream_may_resume(const struct flocks_stream *stream, const struct rpc_error *error)
{
    bool is_overrun =
        error->code == RPC_RESOURCE_EXHAUSTED && !error->from_server && !stream->is_fresh;
    return (error->code == RPC_UNAVAILABLE || is_overrun) && resume_is_possible(&stream->resume);
}

void stream_note_begun(struct flocks_stream *stream)
{
    stream->begun_at = clock_monotonic_ms();
    stream->is_fresh = true;
}

/* Nobody closes a stream at once for so long: there was somebody, with nothing to say. */
static void forgive_if_it_lasted(struct flocks_stream *stream, int64_t now_ms)
{
    if (stream->begun_at == CLOCK_NEVER)
        return;
    if (now_ms - stream->begun_at >= FLOCKS_CLIENT_MAX_RETRY_MS) {
        stream->outage_at = CLOCK_NEVER;
        stream->wait_ms = 0;
        if (stream->link != NULL)
            stream->link->wait_ms = 0;
    }
    stream->begun_at = CLOCK_NEVER;
}

bool stream_bears_outage(struct flocks_stream *stream)
{
    int64_t now_ms = clock_monotonic_ms();
    forgive_if_it_lasted(stream, now_ms);
    if (stream->outage_at == CLOCK_NEVER)
        stream->outage_at = now_ms;
    return now_ms - stream->outage_at < FLOCKS_CLIENT_OUTAGE_MS;
}

void stream_note(struct flocks_stream *stream, const ProtobufCMessage *message)
{
    resume_note(&stream->resume, message);
    stream->outage_at = CLOCK_NEVER;
    stream->is_fresh = false;
}

/* ---- blocking: life ---- */

static void disconnect(struct flocks_stream *stream)
{
    rpc_stream_close(stream->rpc);
    stream->rpc = NULL;
    rpc_client_close(stream->connection);
    stream->connection = NULL;
}

void flocks_stream_close(struct flocks_stream *stream)
{
    if (stream == NULL)
        return;
    if (stream->client->is_driven) {
        drive_stream_close(stream);
        return;
    }
    disconnect(stream);
    stream_free(stream);
}

void flocks_stream_set_patience(struct flocks_stream *stream, int64_t patience_ms)
{
    stream->patience_ms = patience_ms;
}

/* ---- blocking: beginning, and beginning again ---- */

/* RPC_DONE: begun, behind what was seen. */
static enum rpc_result begin(
    struct flocks_stream *stream, int64_t until_at, struct rpc_error **error)
{
    int64_t left_ms = client_left_ms(until_at);
    if (left_ms <= 0)
        left_ms = 1;
    stream->connection =
        reach_connect(&stream->client->reach, left_ms == CLOCK_NEVER ? 0 : left_ms, error);
    if (stream->connection == NULL) {
        /* Nobody accepts yet. Whether that was too late is for those who set the time to say. */
        if ((*error)->code == RPC_DEADLINE_EXCEEDED)
            (*error)->code = RPC_UNAVAILABLE;
        return RPC_ERROR;
    }
    struct rpc_options options = {.metadata = stream->metadata, .n_metadata = stream->n_metadata};
    left_ms = client_left_ms(stream->deadline_at);
    if (left_ms != CLOCK_NEVER)
        options.timeout_ms = left_ms <= 0 ? 1 : left_ms;
    const ProtobufCMessage *request = resume_request(&stream->resume);
    if (request != NULL)
        stream->rpc =
            rpc_client_open(stream->connection, stream->resume.method, &options, request, error);
    if (stream->rpc == NULL) {
        disconnect(stream);
        return RPC_ERROR;
    }
    stream_note_begun(stream);
    return RPC_DONE;
}

static enum rpc_result end_with(struct flocks_stream *stream, struct flocks_error *end)
{
    disconnect(stream);
    stream->has_ended = true;
    stream->end = end;
    return RPC_ERROR;
}

/* The stream broke, or could not be begun; consumes `error`. RPC_AGAIN: it may be begun again,
 * after stream->wait_ms. Else it has ended. */
static enum rpc_result consider(struct flocks_stream *stream, struct rpc_error *error)
{
    struct flocks_error *end = NULL;
    bool may_resume = error == NULL || stream_may_resume(stream, error);
    if (error != NULL)
        reach_note_code(&stream->client->reach, error->code);
    if (!may_resume || !stream_bears_outage(stream)) {
        if (error == NULL)
            (void)failure_make(&end, RPC_RESOURCE_EXHAUSTED, "no memory for a request");
        else
            (void)failure_from(error, &end);
        return end_with(stream, end);
    }
    rpc_error_free(error);
    if (!client_is_running(stream->client)) {
        (void)failure_not_running(stream->client->reach.text, &end);
        return end_with(stream, end);
    }
    disconnect(stream);
    return RPC_AGAIN;
}

/* Waits for the back-off, `until_at` at most. False: that came first. */
static bool back_off(struct flocks_stream *stream, int64_t until_at)
{
    int64_t left_ms = client_left_ms(until_at);
    int64_t wait_ms = stream->wait_ms < left_ms ? stream->wait_ms : left_ms;
    if (wait_ms > 0)
        (void)poll(NULL, 0, (int)wait_ms);
    if (client_left_ms(until_at) <= 0)
        return false;
    stream->wait_ms = repeat_longer_wait_ms(stream->wait_ms);
    return true;
}

static enum rpc_result answer_end(const struct flocks_stream *stream, struct flocks_error **error)
{
    return stream->end == NULL ? RPC_END : failure_copy(stream->end, error);
}

/* What came of waiting until then: the deadline, or the end of patience. */
static enum rpc_result answer_late(struct flocks_stream *stream, struct flocks_error **error)
{
    if (client_left_ms(stream->deadline_at) > 0)
        return RPC_AGAIN;
    struct flocks_error *end = NULL;
    (void)failure_late(stream->resume.method, NULL, &end);
    (void)end_with(stream, end);
    return answer_end(stream, error);
}

/* RPC_DONE: there is a stream to read. */
static enum rpc_result have_stream(
    struct flocks_stream *stream, int64_t until_at, struct flocks_error **error)
{
    while (stream->rpc == NULL) {
        if (!back_off(stream, until_at))
            return answer_late(stream, error);
        struct rpc_error *failure = NULL;
        if (begin(stream, until_at, &failure) == RPC_DONE)
            return RPC_DONE;
        if (consider(stream, failure) != RPC_AGAIN)
            return answer_end(stream, error);
    }
    return RPC_DONE;
}

struct flocks_stream *flocks_client_open(struct flocks_client *client,
    const struct rpc_method *method, const struct rpc_options *options,
    const ProtobufCMessage *request, struct flocks_error **error)
{
    if (client->is_driven) {
        (void)client_refuse_mode(client, method, error);
        return NULL;
    }
    struct flocks_stream *stream = stream_new(client, method, options, request, error);
    if (stream == NULL)
        return NULL;
    int64_t until_at = stream->deadline_at;
    if (until_at == CLOCK_NEVER)
        until_at = clock_add_ms(clock_monotonic_ms(), FLOCKS_CLIENT_OUTAGE_MS);
    enum rpc_result result = have_stream(stream, until_at, error);
    if (result == RPC_DONE)
        return stream;
    if (result == RPC_AGAIN)
        (void)failure_late(method, NULL, error);
    flocks_stream_close(stream);
    return NULL;
}

/* ---- blocking: reading ---- */

enum rpc_result flocks_stream_next(
    struct flocks_stream *stream, const ProtobufCMessage **out, struct flocks_error **error)
{
    *out = NULL;
    if (stream->client->is_driven)
        return client_refuse_mode(stream->client, stream->resume.method, error);
    int64_t until_at = stream->deadline_at;
    if (stream->patience_ms > 0) {
        int64_t patience_at = clock_add_ms(clock_monotonic_ms(), stream->patience_ms);
        until_at = patience_at < until_at ? patience_at : until_at;
    }
    while (!stream->has_ended) {
        enum rpc_result result = have_stream(stream, until_at, error);
        if (result != RPC_DONE)
            return result;
        int64_t left_ms = client_left_ms(until_at);
        rpc_stream_set_patience(
            stream->rpc, left_ms == CLOCK_NEVER ? 0 : (left_ms <= 0 ? 1 : left_ms));
        struct rpc_error *failure = NULL;
        result = rpc_stream_next(stream->rpc, out, &failure);
        if (result == RPC_DONE) {
            stream->wait_ms = 0;
            stream_note(stream, *out);
            return RPC_DONE;
        }
        if (result == RPC_AGAIN)
            return answer_late(stream, error);
        if (result == RPC_END) {
            (void)end_with(stream, NULL);
            return RPC_END;
        }
        (void)consider(stream, failure);
    }
    return answer_end(stream, error);
}
