#include "server/api/upgrade_start.h"

#include <string.h>

#include "server/api/failure.h"
#include "server/supervise/supervisor_upgrades.h"

/* A call whose flocks-update is being run. Lives in the call's memory. */
struct starting {
    struct list link; /* in the service's starts */
    struct rpc_call *call;
    struct supervisor_update_wait *wait;
    char id[SUPERVISOR_UPGRADE_ID_SIZE];
};

static void leave(struct starting *starting)
{
    list_remove(&starting->link);
    supervisor_update_wait_cancel(starting->wait);
    starting->wait = NULL;
}

static void reply(struct rpc_call *call, const char *id)
{
    flocks_start_update_response response = FLOCKS_START_UPDATE_RESPONSE_INIT;

    response.upgrade_id = id;
    rpc_call_reply_message(call, &response.base);
}

static void on_started(void *data, const struct error *error)
{
    struct starting *starting = data;

    starting->wait = NULL; /* gone by itself */
    leave(starting);
    if (error != NULL)
        api_fail(starting->call, error, NULL);
    else
        reply(starting->call, starting->id);
}

static void on_cancelled(void *data)
{
    struct starting *starting = data;
    struct error error = ERROR_INIT;

    leave(starting);
    (void)error_set(&error, STATUS_DEADLINE_EXCEEDED, "flocks-update is still being run");
    error_set_hint(&error, "ask again with the same request_id");
    api_fail(starting->call, &error, NULL);
}

void upgrade_start_update(
    void *self, struct flocks_start_update_call *call, const flocks_start_update_request *request)
{
    struct upgrade_service *service = self;
    struct rpc_call *base = flocks_start_update_base(call);
    struct starting *starting = rpc_call_alloc(base, sizeof *starting);
    const struct supervisor_update update = {.version = request->version,
        .source = request->source,
        .region = request->region,
        .force = request->force,
        .roll_back = request->roll_back,
        .request_id = request->request_id,
        .requester_pid = rpc_call_peer(base)->pid};
    struct error error = ERROR_INIT;
    int result;

    if (starting == NULL) {
        (void)error_set(&error, STATUS_RESOURCE_EXHAUSTED, "no memory left for this call");
        api_fail(base, &error, NULL);
        return;
    }
    *starting = (struct starting){.call = base};
    list_init(&starting->link);
    result = supervisor_start_update(
        service->supervisor, &update, starting->id, on_started, starting, &starting->wait, &error);
    if (result < 0) {
        api_fail(base, &error, NULL);
        return;
    }
    if (result == SUPERVISOR_UPDATE_KNOWN) {
        reply(base, starting->id);
        return;
    }
    list_append(&service->starts, &starting->link);
    rpc_call_on_cancel(base, on_cancelled, starting);
}

void upgrade_start_close(struct upgrade_service *service, const struct error *error)
{
    while (!list_is_empty(&service->starts)) {
        struct starting *starting = CONTAINER_OF(service->starts.next, struct starting, link);

        leave(starting);
        api_fail(starting->call, error, NULL);
    }
}
