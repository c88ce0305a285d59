#include "server/api/configuring.h"

#include <string.h>

#include "server/api/failure.h"

/* One waiting call. Lives in the call's memory, so it dies with the answer. */
struct configuring {
    struct list link; /* in the room's calls */
    struct configuring_room *room;
    struct waiting_room *waiting;
    struct rpc_call *call;
    struct supervisor_job *job;
    bool wait;
};

static struct configuring *configuring_of(struct list *link)
{
    return CONTAINER_OF(link, struct configuring, link);
}

void configuring_open(struct configuring_room *room, struct supervisor *supervisor)
{
    room->supervisor = supervisor;
    list_init(&room->calls);
}

/* Nothing tells the call any more but whoever is about to finish it. */
static struct rpc_call *leave(struct configuring *configuring)
{
    list_remove(&configuring->link);
    return configuring->call;
}

void configuring_close(struct configuring_room *room)
{
    struct error error = ERROR_INIT;

    (void)error_set(&error, STATUS_UNAVAILABLE, "the daemon is ending");
    error.reason = FLOCKS_ERROR_REASON_SHUTTING_DOWN;
    while (!list_is_empty(&room->calls)) {
        struct configuring *configuring = configuring_of(room->calls.next);

        supervisor_job_cancel(configuring->job);
        api_fail(leave(configuring), &error, NULL);
    }
}

static void on_cancelled(void *data)
{
    struct configuring *configuring = data;
    struct error error = ERROR_INIT;

    supervisor_job_cancel(configuring->job);
    (void)error_set(&error, STATUS_DEADLINE_EXCEEDED,
        "the call's time is up before the text was read; nothing was changed");
    error_set_hint(&error, "ask again with a longer deadline");
    api_fail(leave(configuring), &error, NULL);
}

static struct configuring *configuring_new(struct configuring_room *room, struct rpc_call *call)
{
    struct configuring *configuring = rpc_call_alloc(call, sizeof(*configuring));
    struct error error = ERROR_INIT;

    if (!configuring) {
        (void)error_set(&error, STATUS_RESOURCE_EXHAUSTED, "no memory left for this call");
        api_fail(call, &error, NULL);
        return NULL;
    }
    *configuring = (struct configuring){.room = room, .call = call};
    list_init(&configuring->link);
    return configuring;
}

static void wait_for_text(struct configuring *configuring)
{
    list_append(&configuring->room->calls, &configuring->link);
    rpc_call_on_cancel(configuring->call, on_cancelled, configuring);
}

/* ---- plan ---- */

static void on_planned(
    void *data, int result, const flocks_plan_config_response *response, const struct error *error)
{
    struct rpc_call *call = leave(data);

    if (result < 0)
        api_fail(call, error, NULL);
    else
        rpc_call_reply_message(call, &response->base);
}

void configuring_plan(
    struct configuring_room *room, struct rpc_call *call, const flocks_plan_config_request *request)
{
    struct configuring *configuring = configuring_new(room, call);
    const struct supervisor_text text = {
        .bytes = request->text.data, .len = request->text.len, .name = request->file};
    struct error error = ERROR_INIT;

    if (!configuring)
        return;
    if (supervisor_plan(
            room->supervisor, &text, on_planned, configuring, &configuring->job, &error) < 0)
        api_fail(call, &error, NULL);
    else
        wait_for_text(configuring);
}

/* ---- apply ---- */

static void reply_apply(struct rpc_call *call, flocks_operation *operation)
{
    flocks_apply_config_response response = FLOCKS_APPLY_CONFIG_RESPONSE_INIT;

    response.operation = operation;
    rpc_call_reply_message(call, &response.base);
}

static const struct mutation_kind apply_kind = {FLOCKS_OPERATION_KIND_APPLY_CONFIG, reply_apply};

static void on_applied(void *data, int result, const char *operation_id,
    const flocks_source_position *position, const struct error *error)
{
    struct configuring *configuring = data;
    struct waiting_room *waiting = configuring->waiting;
    bool wait = configuring->wait;
    struct rpc_call *call = leave(configuring);

    if (result < 0 && error->lease_id[0])
        api_fail_for_lease(waiting->supervisor, call, error, NULL);
    else if (result < 0)
        api_fail_at(call, error, position);
    else
        mutation_answer(waiting, call, &apply_kind, operation_id, wait);
}

static int fill_apply(struct rpc_call *call, const flocks_apply_config_request *request,
    struct supervisor_apply_request *out, struct error *error)
{
    const struct rpc_peer *peer = rpc_call_peer(call);

    *out = (struct supervisor_apply_request){.plan = request->plan,
        .text = {.bytes = request->text.data, .len = request->text.len},
        .request_id = request->request_id,
        .requester_pid = peer->pid,
        .requester_uid = peer->uid};
    return mutation_timeout_ms(request->timeout, &out->timeout_ms, error);
}

void configuring_apply(struct configuring_room *room, struct waiting_room *waiting,
    struct rpc_call *call, const flocks_apply_config_request *request)
{
    struct configuring *configuring = configuring_new(room, call);
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    struct supervisor_apply_request apply;
    struct error error = ERROR_INIT;
    int result;

    if (!configuring)
        return;
    configuring->waiting = waiting;
    configuring->wait = request->wait;
    result = fill_apply(call, request, &apply, &error);
    if (result == 0)
        result = supervisor_apply(
            room->supervisor, &apply, on_applied, configuring, id, &configuring->job, &error);
    if (result < 0)
        api_fail(call, &error, NULL);
    else if (result == SUPERVISOR_ALREADY)
        mutation_answer(waiting, call, &apply_kind, id, request->wait);
    else
        wait_for_text(configuring);
}
