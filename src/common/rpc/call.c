/* One call: its memory, its handler, its one end. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/rpc/engine.h"

/* ---- life ---- */

struct rpc_call *rpc_call_new(
    struct rpc_connection *connection, struct rpc_session_call *session_call)
{
    struct rpc_call *call = malloc(sizeof *call);
    if (call == NULL)
        return NULL;
    *call = (struct rpc_call){
        .server = connection->server,
        .connection = connection,
        .session_call = session_call,
        .peer = connection->peer,
        .deadline_at = CLOCK_NEVER,
    };
    arena_init(&call->arena, RPC_ARENA_EXTRA_BYTES);
    list_init(&call->in_deadlines);
    list_append(&connection->calls, &call->in_owner);
    connection->n_calls++;
    connection->server->n_calls++;
    rpc_session_call_set_owner(session_call, call);
    return call;
}

static void release_session_call(struct rpc_call *call)
{
    if (call->session_call == NULL)
        return;
    rpc_session_call_set_owner(call->session_call, NULL);
    rpc_session_call_release(call->session_call);
    call->session_call = NULL;
}

static void leave_connection(struct rpc_call *call)
{
    if (call->connection == NULL)
        return;
    list_remove(&call->in_owner);
    call->connection->n_calls--;
    call->connection = NULL;
}

size_t rpc_call_held_bytes(const struct rpc_call *call)
{
    return call->arena.used_bytes + (call->metadata == NULL ? 0 : call->metadata->size);
}

void rpc_call_destroy(struct rpc_call *call)
{
    leave_connection(call);
    list_remove(&call->in_owner);
    list_remove(&call->in_deadlines);
    call->server->n_calls--;
    call->server->orphaned_bytes -= call->orphaned_bytes;
    rpc_call_stream_free(call->stream);
    free(call->metadata);
    arena_deinit(&call->arena);
    free(call);
}

/* Nobody knows the call any more but the hooks of its stream. */
static void bury(struct rpc_call *call)
{
    if (call->stream != NULL)
        rpc_call_stream_close(call->stream, call->end_code);
    rpc_call_destroy(call);
}

void rpc_call_hold(struct rpc_call *call)
{
    assert(!call->is_held);
    call->is_held = true;
}

bool rpc_call_unhold(struct rpc_call *call)
{
    call->is_held = false;
    if (!call->is_finished)
        return true;
    bury(call);
    return false;
}

/* ---- ending ---- */

void rpc_call_conclude(struct rpc_call *call, enum rpc_code code)
{
    assert(!call->is_finished && "a handler ends its call once");
    call->is_finished = true;
    call->end_code = code;
    list_remove(&call->in_deadlines);
    if (call->stream != NULL)
        rpc_call_stream_stop(call->stream);
    release_session_call(call);
    leave_connection(call);
    if (!call->is_held)
        bury(call);
}

static enum rpc_send_result finish(
    struct rpc_call *call, const struct rpc_status *status, const struct rpc_payload *answer)
{
    if (call->trailers.n == 0)
        return rpc_session_call_finish(call->session_call, status, answer);
    struct rpc_envelope_pair trailers[RPC_METADATA_PAIRS_MAX];
    struct rpc_status with_trailers = *status;
    with_trailers.n_trailers = rpc_reply_metadata_list(&call->trailers, trailers);
    with_trailers.trailers = trailers;
    return rpc_session_call_finish(call->session_call, &with_trailers, answer);
}

enum rpc_send_result rpc_call_send_end(
    struct rpc_call *call, const struct rpc_status *status, const struct rpc_payload *answer)
{
    if (call->session_call == NULL)
        return RPC_SEND_GONE;
    struct rpc_connection *connection = call->connection;
    bool had_output = connection->is_active || rpc_session_has_output(connection->session);
    if (call->headers.n > 0)
        rpc_call_send_added_headers(call);
    if (answer != NULL)
        connection->answered_len += answer->len;
    enum rpc_send_result result = finish(call, status, answer);
    rpc_connection_note_output(connection, had_output);
    return result;
}

static void write_message(const void *source, uint8_t *out)
{
    (void)protobuf_c_message_pack(source, out);
}

void rpc_call_reply_message(struct rpc_call *call, const ProtobufCMessage *response)
{
    assert(call->method == NULL || response->descriptor == call->method->response->descriptor);
    assert(call->method == NULL || !rpc_method_gives_stream(call->method));
    const struct rpc_payload answer = {
        .len = call->session_call == NULL ? 0 : protobuf_c_message_get_packed_size(response),
        .write = write_message,
        .source = response,
    };
    switch (rpc_call_send_end(call, &(struct rpc_status){.code = RPC_OK}, &answer)) {
    case RPC_SEND_TAKEN:
    case RPC_SEND_GONE:
        rpc_call_conclude(call, RPC_OK);
        return;
    case RPC_SEND_TOO_LARGE:
        rpc_call_refuse(
            call, RPC_REFUSAL_LIMIT, "the response is larger than %d bytes", RPC_MESSAGE_BYTES_MAX);
        return;
    case RPC_SEND_NO_ROOM:
        rpc_call_refuse(call, RPC_REFUSAL_LIMIT, "no room for the response");
        return;
    }
}

/* ---- running ---- */

static void invoke(struct rpc_call *call, const struct rpc_bytes *message)
{
    const struct rpc_service *service = call->service;
    rpc_invoke_fn handler = service->invoke[call->method - service->methods];
    if (handler == NULL) {
        rpc_call_not_implemented(call);
        return;
    }
    const ProtobufCMessage *request = NULL;
    if (message != NULL)
        request = rpc_call_decode(call, &call->arena, *message);
    if (message != NULL && request == NULL)
        return;
    if (rpc_call_admit(call, request))
        handler(service->handlers, service->self, call, request);
}

/* Soonest first. From the end, because later calls mostly have later deadlines. */
void rpc_call_await_deadline(struct rpc_call *call)
{
    if (call->deadline_at == CLOCK_NEVER || !list_is_empty(&call->in_deadlines))
        return;
    struct list *before = call->server->deadlines.previous;
    while (before != &call->server->deadlines &&
           CONTAINER_OF(before, struct rpc_call, in_deadlines)->deadline_at > call->deadline_at)
        before = before->previous;
    /* list_append puts a link before the one it is given. */
    list_append(before->next, &call->in_deadlines);
}

void rpc_call_run(struct rpc_call *call, const struct rpc_bytes *message)
{
    call->has_run = true;
    rpc_call_hold(call);
    invoke(call, message);
    if (rpc_call_unhold(call))
        rpc_call_await_deadline(call);
}

/* ---- ends that the handler did not choose ---- */

static bool is_streaming(const struct rpc_call *call)
{
    return call->stream != NULL && rpc_call_stream_has_begun(call->stream);
}

/* Nobody but the engine knows of it, so the engine ends it: a stream that has hooks for that, or a
 * call whose request has not come. */
static bool ends_at_once(const struct rpc_call *call)
{
    return is_streaming(call) || !call->has_run;
}

static void run_cancel_hook(struct rpc_call *call)
{
    void (*cancelled)(void *data) = call->cancelled;
    call->cancelled = NULL;
    if (cancelled != NULL)
        cancelled(call->cancelled_data);
}

/* Nobody waits for the answer any more; the handler goes on. */
static void let_go(struct rpc_call *call, enum rpc_code code)
{
    call->end_code = code;
    list_remove(&call->in_deadlines);
    if (call->stream != NULL)
        rpc_call_stream_stop(call->stream);
    release_session_call(call);
    leave_connection(call);
    call->orphaned_bytes = rpc_call_held_bytes(call);
    call->server->orphaned_bytes += call->orphaned_bytes;
    list_append(&call->server->orphans, &call->in_owner);
}

void rpc_call_abandon(struct rpc_call *call, enum rpc_code code)
{
    if (ends_at_once(call)) {
        rpc_call_conclude(call, code);
        return;
    }
    let_go(call, code);
    run_cancel_hook(call);
}

void rpc_call_dismiss(struct rpc_call *call, enum rpc_refusal refusal, const char *text)
{
    if (ends_at_once(call)) {
        rpc_call_refuse(call, refusal, "%s", text);
        return;
    }
    let_go(call, rpc_call_send_refusal(call, refusal, text));
    run_cancel_hook(call);
}

void rpc_call_starve(struct rpc_call *call)
{
    rpc_call_dismiss(call, RPC_REFUSAL_LIMIT, "no memory for a message");
}

void rpc_call_expire(struct rpc_call *call)
{
    static const char TEXT[] = "the deadline passed while the server worked on the request";
    if (ends_at_once(call)) {
        rpc_call_refuse(call, RPC_REFUSAL_DEADLINE, TEXT);
        return;
    }
    /* A stream that is begun from the hook comes too late. */
    call->end_code = RPC_DEADLINE_EXCEEDED;
    rpc_call_hold(call);
    run_cancel_hook(call);
    if (rpc_call_unhold(call))
        let_go(call, rpc_call_send_refusal(call, RPC_REFUSAL_DEADLINE, TEXT));
}

/* ---- what handlers ask ---- */

void *rpc_call_alloc(struct rpc_call *call, size_t size)
{
    return arena_alloc(&call->arena, size);
}

void rpc_call_on_cancel(struct rpc_call *call, void (*cancelled)(void *data), void *data)
{
    call->cancelled = cancelled;
    call->cancelled_data = data;
}

int64_t rpc_call_deadline_ms(const struct rpc_call *call)
{
    return call->deadline_at;
}

const struct rpc_peer *rpc_call_peer(const struct rpc_call *call)
{
    return &call->peer;
}

const struct rpc_method *rpc_call_method(const struct rpc_call *call)
{
    return call->method;
}

const struct rpc_metadata *rpc_call_metadata(const struct rpc_call *call, size_t *out_n)
{
    *out_n = call->metadata == NULL ? 0 : call->metadata->n;
    return call->metadata == NULL ? NULL : call->metadata->pairs;
}

const char *rpc_call_metadata_value(const struct rpc_call *call, const char *key)
{
    size_t n_pairs = 0;
    const struct rpc_metadata *pairs = rpc_call_metadata(call, &n_pairs);
    for (size_t i = 0; i < n_pairs; i++) {
        if (strcmp(pairs[i].key, key) == 0)
            return pairs[i].value;
    }
    return NULL;
}

/* ---- what goes with the answer ---- */

void rpc_call_send_added_headers(struct rpc_call *call)
{
    if (call->has_sent_headers || call->session_call == NULL)
        return;
    struct rpc_envelope_pair headers[RPC_METADATA_PAIRS_MAX];
    size_t n_headers = rpc_reply_metadata_list(&call->headers, headers);
    call->has_sent_headers = true;
    (void)rpc_session_call_send_headers(call->session_call, headers, n_headers);
}

enum rpc_code rpc_call_add_header(
    struct rpc_call *call, const char *key, const void *value, size_t value_len)
{
    if (call->has_sent_headers)
        return RPC_FAILED_PRECONDITION;
    return rpc_reply_metadata_add(&call->headers, &call->arena, key, value, value_len);
}

enum rpc_code rpc_call_add_trailer(
    struct rpc_call *call, const char *key, const void *value, size_t value_len)
{
    return rpc_reply_metadata_add(&call->trailers, &call->arena, key, value, value_len);
}

void rpc_call_send_headers(struct rpc_call *call)
{
    if (call->session_call == NULL || call->has_sent_headers)
        return;
    struct rpc_connection *connection = call->connection;
    bool had_output = connection->is_active || rpc_session_has_output(connection->session);
    rpc_call_send_added_headers(call);
    rpc_connection_note_output(connection, had_output);
}
