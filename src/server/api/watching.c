#include "server/api/watching.h"

#include <stdlib.h>
#include <string.h>

#include "server/api/api.h"
#include "server/api/failure.h"

/* ---- events ---- */

struct events_stream {
    struct list link; /* in watching.events */
    struct flocks_watch_events_call *call;
    struct supervisor_watch *watch;
};

static void wake_events(void *data)
{
    const struct events_stream *stream = data;

    flocks_watch_events_wake(stream->call);
}

static enum rpc_pull send_event(struct events_stream *stream, struct arena *arena)
{
    flocks_watch_events_response response = FLOCKS_WATCH_EVENTS_RESPONSE_INIT;
    struct error error = ERROR_INIT;
    int result = supervisor_watch_next(stream->watch, arena, &response, &error);

    if (result == SUPERVISOR_NOTHING)
        return RPC_PULL_LATER;
    if (result == 0 && flocks_watch_events_send(stream->call, &response) != RPC_OK)
        result = error_set(&error, STATUS_RESOURCE_EXHAUSTED,
            "a snapshot of so many services is larger than one message");
    if (result < 0)
        api_fail(flocks_watch_events_base(stream->call), &error, NULL);
    return RPC_PULL_SENT;
}

static enum rpc_pull next_event(void *state, struct flocks_watch_events_call *call)
{
    enum rpc_pull pull;
    struct arena arena;

    (void)call;
    arena_init(&arena, API_ANSWER_BYTES);
    pull = send_event(state, &arena);
    arena_deinit(&arena);
    return pull;
}

static void close_events(void *state, enum rpc_code code)
{
    struct events_stream *stream = state;

    (void)code;
    supervisor_watch_close(stream->watch);
    list_remove(&stream->link);
    free(stream);
}

void watching_events(struct watching *watching, struct flocks_watch_events_call *call,
    const flocks_watch_events_request *request)
{
    static const struct flocks_watch_events_stream hooks = {
        .next = next_event, .closed = close_events};
    struct rpc_call *base = flocks_watch_events_base(call);
    struct events_stream *stream = calloc(1, sizeof *stream);
    struct error error = ERROR_INIT;
    const struct supervisor_watching wanted = {.after = request->after,
        .services = request->services,
        .n_services = request->n_services,
        .wake = wake_events,
        .data = stream};

    if (stream == NULL) {
        (void)error_set(&error, STATUS_RESOURCE_EXHAUSTED, "no memory for a stream");
        api_fail(base, &error, NULL);
        return;
    }
    list_init(&stream->link);
    stream->call = call;
    if (supervisor_watch(watching->supervisor, &wanted, &stream->watch, &error) < 0) {
        free(stream);
        api_fail(base, &error, NULL);
        return;
    }
    list_append(&watching->events, &stream->link);
    flocks_watch_events_begin(call, &hooks, stream);
}

/* ---- one operation ---- */

struct operation_stream {
    struct list link; /* in watching.operations */
    struct supervisor *supervisor;
    struct flocks_watch_operation_call *call;
    struct supervisor_wait *wait; /* NULL: none is needed */
    uint32_t revision;            /* said last; 0: none */
    bool has_ended;               /* in what was said */
    char id[SUPERVISOR_OPERATION_ID_SIZE];
};

static void on_change(void *data)
{
    struct operation_stream *stream = data;

    stream->wait = NULL;
    flocks_watch_operation_wake(stream->call);
}

static bool has_ended(const flocks_operation *operation)
{
    return operation->state != FLOCKS_OPERATION_STATE_QUEUED &&
           operation->state != FLOCKS_OPERATION_STATE_RUNNING;
}

static int send_operation(struct operation_stream *stream, struct error *error)
{
    flocks_watch_operation_response response = FLOCKS_WATCH_OPERATION_RESPONSE_INIT;
    struct arena arena;
    int result;

    arena_init(&arena, API_ANSWER_BYTES);
    result = supervisor_get_operation(
        stream->supervisor, stream->id, &arena, &response.operation, &response.revision, error);
    if (result == 0 && flocks_watch_operation_send(stream->call, &response) != RPC_OK)
        result = error_set(error, STATUS_RESOURCE_EXHAUSTED,
            "an operation on so many services is larger than one message");
    if (result == 0) {
        stream->revision = response.revision;
        stream->has_ended = has_ended(response.operation);
    }
    arena_deinit(&arena);
    return result;
}

/* Waits for a change of what was said. SUPERVISOR_ALREADY: there is one. */
static int await_change(struct operation_stream *stream, struct error *error)
{
    if (stream->revision == 0)
        return SUPERVISOR_ALREADY;
    return supervisor_wait(stream->supervisor, stream->id, SUPERVISOR_WAIT_CHANGE, stream->revision,
        on_change, stream, &stream->wait, error);
}

static enum rpc_pull next_operation(void *state, struct flocks_watch_operation_call *call)
{
    struct operation_stream *stream = state;
    struct error error = ERROR_INIT;
    int result;

    if (stream->has_ended)
        return RPC_PULL_DONE;
    if (stream->wait != NULL)
        return RPC_PULL_LATER;
    result = await_change(stream, &error);
    if (result == 0)
        return RPC_PULL_LATER;
    if (result == SUPERVISOR_ALREADY)
        result = send_operation(stream, &error);
    if (result < 0)
        api_fail(flocks_watch_operation_base(call), &error, NULL);
    return RPC_PULL_SENT;
}

static void close_operation(void *state, enum rpc_code code)
{
    struct operation_stream *stream = state;

    (void)code;
    supervisor_wait_cancel(stream->wait);
    list_remove(&stream->link);
    free(stream);
}

/* An unknown operation is refused before a stream begins. */
static int check_operation(struct supervisor *supervisor, const char *id, struct error *error)
{
    flocks_operation *operation = NULL;
    struct arena arena;
    int result;

    arena_init(&arena, API_ANSWER_BYTES);
    result = supervisor_get_operation(supervisor, id, &arena, &operation, NULL, error);
    arena_deinit(&arena);
    return result;
}

void watching_operation(struct watching *watching, struct flocks_watch_operation_call *call,
    const flocks_watch_operation_request *request)
{
    static const struct flocks_watch_operation_stream hooks = {
        .next = next_operation, .closed = close_operation};
    struct rpc_call *base = flocks_watch_operation_base(call);
    struct operation_stream *stream;
    struct error error = ERROR_INIT;

    if (check_operation(watching->supervisor, request->operation_id, &error) < 0) {
        api_fail(base, &error, NULL);
        return;
    }
    stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        (void)error_set(&error, STATUS_RESOURCE_EXHAUSTED, "no memory for a stream");
        api_fail(base, &error, NULL);
        return;
    }
    stream->supervisor = watching->supervisor;
    stream->call = call;
    /* It is that of an operation there is. */
    memcpy(stream->id, request->operation_id, strlen(request->operation_id) + 1);
    list_init(&stream->link);
    list_append(&watching->operations, &stream->link);
    flocks_watch_operation_begin(call, &hooks, stream);
}

/* ---- all of them ---- */

void watching_open(struct watching *watching, struct supervisor *supervisor)
{
    watching->supervisor = supervisor;
    list_init(&watching->events);
    list_init(&watching->operations);
}

static void fail(struct rpc_call *call, const char *operation_id)
{
    struct error error = ERROR_INIT;

    (void)error_set(&error, STATUS_UNAVAILABLE, "the daemon is ending");
    error.reason = FLOCKS_ERROR_REASON_SHUTTING_DOWN;
    api_fail(call, &error, operation_id);
}

/* Failing a call runs its `closed`, perhaps later: what is here must not be told again. */
void watching_close(struct watching *watching)
{
    while (!list_is_empty(&watching->events)) {
        struct events_stream *stream =
            CONTAINER_OF(watching->events.next, struct events_stream, link);

        list_remove(&stream->link);
        supervisor_watch_close(stream->watch);
        stream->watch = NULL;
        fail(flocks_watch_events_base(stream->call), NULL);
    }
    while (!list_is_empty(&watching->operations)) {
        struct operation_stream *stream =
            CONTAINER_OF(watching->operations.next, struct operation_stream, link);
        char id[SUPERVISOR_OPERATION_ID_SIZE];

        list_remove(&stream->link);
        supervisor_wait_cancel(stream->wait);
        stream->wait = NULL;
        memcpy(id, stream->id, sizeof id);
        fail(flocks_watch_operation_base(stream->call), id);
    }
}
