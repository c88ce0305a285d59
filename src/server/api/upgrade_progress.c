#include "server/api/upgrade_progress.h"

#include <stdlib.h>

#include "server/api/api.h"
#include "server/api/failure.h"
#include "server/supervise/supervisor_leases.h"
#include "server/supervise/supervisor_upgrades.h"

/* ---- ReportUpgrade, GetUpgrade, AbortUpgrade ---- */

void upgrade_progress_report(void *self, struct flocks_report_upgrade_call *call,
    const flocks_report_upgrade_request *request)
{
    struct upgrade_service *service = self;
    struct rpc_call *base = flocks_report_upgrade_base(call);
    flocks_report_upgrade_response response = FLOCKS_REPORT_UPGRADE_RESPONSE_INIT;
    struct error error = ERROR_INIT;
    bool is_abort_asked = false;

    if (supervisor_report_upgrade(service->supervisor, request->progress, rpc_call_peer(base)->pid,
            &is_abort_asked, &error) < 0) {
        api_fail(base, &error, NULL);
        return;
    }
    response.abort = is_abort_asked;
    flocks_report_upgrade_reply(call, &response);
}

void upgrade_progress_get(
    void *self, struct flocks_get_upgrade_call *call, const flocks_get_upgrade_request *request)
{
    struct upgrade_service *service = self;
    flocks_get_upgrade_response response = FLOCKS_GET_UPGRADE_RESPONSE_INIT;
    struct error error = ERROR_INIT;
    struct arena arena;

    arena_init(&arena, API_ANSWER_BYTES);
    if (supervisor_get_upgrade(
            service->supervisor, request->upgrade_id, &arena, &response, &error) < 0)
        api_fail(flocks_get_upgrade_base(call), &error, NULL);
    else
        flocks_get_upgrade_reply(call, &response);
    arena_deinit(&arena);
}

void upgrade_progress_abort(
    void *self, struct flocks_abort_upgrade_call *call, const flocks_abort_upgrade_request *request)
{
    struct upgrade_service *service = self;
    struct rpc_call *base = flocks_abort_upgrade_base(call);
    flocks_abort_upgrade_response response = FLOCKS_ABORT_UPGRADE_RESPONSE_INIT;
    const char *id = request->lease_id[0] ? request->lease_id : request->upgrade_id;
    char operation_id[SUPERVISOR_OPERATION_ID_SIZE] = "";
    struct error error = ERROR_INIT;
    struct arena arena;

    if (supervisor_abort_upgrade(service->supervisor, id, request->reason, operation_id, &error) <
        0) {
        api_fail_for_lease(service->supervisor, base, &error, NULL);
        return;
    }
    arena_init(&arena, API_ANSWER_BYTES);
    response.operation = upgrade_find_operation(service->supervisor, operation_id, &arena);
    flocks_abort_upgrade_reply(call, &response);
    arena_deinit(&arena);
}

/* ---- WatchUpgrade ---- */

struct upgrade_stream {
    struct list link; /* in upgrade_service.streams */
    struct flocks_watch_upgrade_call *call;
    struct supervisor_upgrade_watch *watch;
};

static void wake(void *data)
{
    const struct upgrade_stream *stream = data;

    flocks_watch_upgrade_wake(stream->call);
}

static enum rpc_pull send_progress(struct upgrade_stream *stream, struct arena *arena)
{
    flocks_watch_upgrade_response response = FLOCKS_WATCH_UPGRADE_RESPONSE_INIT;
    struct error error = ERROR_INIT;
    int result = supervisor_upgrade_watch_next(stream->watch, arena, &response, &error);

    if (result == SUPERVISOR_UPGRADE_NOTHING)
        return RPC_PULL_LATER;
    if (result == SUPERVISOR_UPGRADE_TOLD)
        return RPC_PULL_DONE;
    if (result == 0 && flocks_watch_upgrade_send(stream->call, &response) != RPC_OK)
        result =
            error_set(&error, STATUS_RESOURCE_EXHAUSTED, "the progress is larger than one message");
    if (result < 0)
        api_fail(flocks_watch_upgrade_base(stream->call), &error, NULL);
    return RPC_PULL_SENT;
}

static enum rpc_pull next_progress(void *state, struct flocks_watch_upgrade_call *call)
{
    enum rpc_pull pull;
    struct arena arena;

    (void)call;
    arena_init(&arena, API_ANSWER_BYTES);
    pull = send_progress(state, &arena);
    arena_deinit(&arena);
    return pull;
}

static void close_progress(void *state, enum rpc_code code)
{
    struct upgrade_stream *stream = state;

    (void)code;
    supervisor_upgrade_watch_close(stream->watch);
    list_remove(&stream->link);
    free(stream);
}

void upgrade_progress_watch(
    void *self, struct flocks_watch_upgrade_call *call, const flocks_watch_upgrade_request *request)
{
    static const struct flocks_watch_upgrade_stream hooks = {
        .next = next_progress, .closed = close_progress};
    struct upgrade_service *service = self;
    struct rpc_call *base = flocks_watch_upgrade_base(call);
    struct upgrade_stream *stream = calloc(1, sizeof *stream);
    struct error error = ERROR_INIT;
    const struct supervisor_upgrade_watching wanted = {
        .id = request->upgrade_id, .after = request->after, .wake = wake, .data = stream};

    if (stream == NULL) {
        (void)error_set(&error, STATUS_RESOURCE_EXHAUSTED, "no memory for a stream");
        api_fail(base, &error, NULL);
        return;
    }
    list_init(&stream->link);
    stream->call = call;
    if (supervisor_watch_upgrade(service->supervisor, &wanted, &stream->watch, &error) < 0) {
        free(stream);
        api_fail(base, &error, NULL);
        return;
    }
    list_append(&service->streams, &stream->link);
    flocks_watch_upgrade_begin(call, &hooks, stream);
}

/* Failing a call runs its `closed`, perhaps later: what is here must not be told again. */
void upgrade_progress_close(struct upgrade_service *service, const struct error *error)
{
    while (!list_is_empty(&service->streams)) {
        struct upgrade_stream *stream =
            CONTAINER_OF(service->streams.next, struct upgrade_stream, link);

        list_remove(&stream->link);
        supervisor_upgrade_watch_close(stream->watch);
        stream->watch = NULL;
        api_fail(flocks_watch_upgrade_base(stream->call), error, NULL);
    }
}
