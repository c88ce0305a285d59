#include "server/api/supervisor_service.h"

#include <string.h>
#include <unistd.h>

#include "flocks/v1/supervisor.server.h"

#include "common/base/log.h"
#include "common/config/config.h"
#include "server/api/api.h"
#include "server/api/failure.h"
#include "server/api/mutation.h"

/* ---- looking ---- */

static void get_status(
    void *self, struct flocks_get_status_call *call, const flocks_get_status_request *request)
{
    const struct supervisor_service *service = self;
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;
    struct error error = ERROR_INIT;
    struct arena arena;

    arena_init(&arena, API_ANSWER_BYTES);
    if (supervisor_get_status(service->supervisor, request->services, request->n_services, &arena,
            &response, &error) < 0) {
        api_fail(flocks_get_status_base(call), &error, NULL);
    } else {
        flocks_get_status_reply(call, &response);
    }
    arena_deinit(&arena);
}

/* Secrets leave only for the owner and root, and not unseen. */
static bool may_reveal(const struct rpc_call *call, struct error *error)
{
    const struct rpc_peer *peer = rpc_call_peer(call);

    if (peer->uid != 0 && peer->uid != (uint32_t)geteuid()) {
        (void)error_set(error, STATUS_PERMISSION_DENIED, "only the owner may see secrets");
        return false;
    }
    log_info("configuration revealed", "pid=%d uid=%u", (int)peer->pid, (unsigned)peer->uid);
    return true;
}

static int fill_config(const struct supervisor *supervisor, bool reveal, struct arena *arena,
    flocks_get_config_response *out, struct error *error)
{
    flocks_get_config_response *effective = NULL;
    flocks_config *shown;
    int result = supervisor_get_config(supervisor, arena, &effective, error);

    if (result < 0)
        return result;
    shown = reveal ? effective->config : config_masked(effective->config, arena);
    *out = *effective;
    out->config = shown;
    out->origins = config_all_origins(
        effective->config, effective->origins, effective->n_origins, arena, &out->n_origins);
    if (!shown || !out->origins)
        return error_set(
            error, STATUS_RESOURCE_EXHAUSTED, "the configuration is too large to show");
    return 0;
}

static void get_config(
    void *self, struct flocks_get_config_call *call, const flocks_get_config_request *request)
{
    const struct supervisor_service *service = self;
    struct rpc_call *base = flocks_get_config_base(call);
    flocks_get_config_response response;
    struct error error = ERROR_INIT;
    struct arena arena;

    if (request->reveal && !may_reveal(base, &error)) {
        api_fail(base, &error, NULL);
        return;
    }
    arena_init(&arena, API_ANSWER_BYTES);
    if (fill_config(service->supervisor, request->reveal, &arena, &response, &error) < 0)
        api_fail(base, &error, NULL);
    else
        flocks_get_config_reply(call, &response);
    arena_deinit(&arena);
}

static bool has_ended(const flocks_operation *operation)
{
    return operation->state != FLOCKS_OPERATION_STATE_QUEUED &&
           operation->state != FLOCKS_OPERATION_STATE_RUNNING;
}

/* The operation as it is now: after a change, at its end, or because the caller's time is nearly
 * up. */
static void answer_get_operation(struct supervisor *supervisor, struct rpc_call *call,
    const char *id, enum waiting_end end, const void *context)
{
    flocks_get_operation_response response = FLOCKS_GET_OPERATION_RESPONSE_INIT;
    struct error error = ERROR_INIT;
    struct arena arena;

    (void)end;
    (void)context;
    arena_init(&arena, API_ANSWER_BYTES);
    if (supervisor_get_operation(
            supervisor, id, &arena, &response.operation, &response.revision, &error) < 0)
        api_fail(call, &error, NULL);
    else
        rpc_call_reply_message(call, &response.base);
    arena_deinit(&arena);
}

/* An ended operation never changes again: waiting for it would only use up the caller's deadline.
 */
static bool is_worth_waiting(struct supervisor *supervisor, const char *id)
{
    flocks_operation *operation = NULL;
    struct arena arena;
    bool is_worth;

    arena_init(&arena, API_ANSWER_BYTES);
    is_worth = supervisor_get_operation(supervisor, id, &arena, &operation, NULL, NULL) == 0 &&
               !has_ended(operation);
    arena_deinit(&arena);
    return is_worth;
}

static void get_operation(
    void *self, struct flocks_get_operation_call *call, const flocks_get_operation_request *request)
{
    const struct supervisor_service *service = self;
    struct rpc_call *base = flocks_get_operation_base(call);

    if (!request->wait || !is_worth_waiting(service->supervisor, request->operation_id)) {
        answer_get_operation(service->supervisor, base, request->operation_id, WAITING_READY, NULL);
        return;
    }
    waiting_begin(service->room, base,
        &(struct waiting_for){.operation_id = request->operation_id,
            .what = SUPERVISOR_WAIT_CHANGE,
            .seen_revision = request->seen_revision,
            .answer = answer_get_operation});
}

static void watch_events(
    void *self, struct flocks_watch_events_call *call, const flocks_watch_events_request *request)
{
    const struct supervisor_service *service = self;

    watching_events(service->watching, call, request);
}

static void watch_operation(void *self, struct flocks_watch_operation_call *call,
    const flocks_watch_operation_request *request)
{
    const struct supervisor_service *service = self;

    watching_operation(service->watching, call, request);
}

static void explain_service(void *self, struct flocks_explain_service_call *call,
    const flocks_explain_service_request *request)
{
    const struct supervisor_service *service = self;

    explaining_service(service->explaining, call, request);
}

static void read_logs(
    void *self, struct flocks_read_logs_call *call, const flocks_read_logs_request *request)
{
    const struct supervisor_service *service = self;

    reading_logs(service->reading, call, request);
}

/* ---- changing ---- */

static void cancel_operation(void *self, struct flocks_cancel_operation_call *call,
    const flocks_cancel_operation_request *request)
{
    const struct supervisor_service *service = self;
    flocks_cancel_operation_response response = FLOCKS_CANCEL_OPERATION_RESPONSE_INIT;
    struct error error = ERROR_INIT;
    struct arena arena;
    int result = supervisor_cancel_operation(service->supervisor, request->operation_id, &error);

    arena_init(&arena, API_ANSWER_BYTES);
    if (result == 0)
        result = supervisor_get_operation(
            service->supervisor, request->operation_id, &arena, &response.operation, NULL, &error);
    if (result < 0)
        api_fail(flocks_cancel_operation_base(call), &error, NULL);
    else
        flocks_cancel_operation_reply(call, &response);
    arena_deinit(&arena);
}

static void reply_start(struct rpc_call *call, flocks_operation *operation)
{
    flocks_start_services_response response = FLOCKS_START_SERVICES_RESPONSE_INIT;

    response.operation = operation;
    rpc_call_reply_message(call, &response.base);
}

static void reply_stop(struct rpc_call *call, flocks_operation *operation)
{
    flocks_stop_services_response response = FLOCKS_STOP_SERVICES_RESPONSE_INIT;

    response.operation = operation;
    rpc_call_reply_message(call, &response.base);
}

static void reply_restart(struct rpc_call *call, flocks_operation *operation)
{
    flocks_restart_services_response response = FLOCKS_RESTART_SERVICES_RESPONSE_INIT;

    response.operation = operation;
    rpc_call_reply_message(call, &response.base);
}

static void reply_shutdown(struct rpc_call *call, flocks_operation *operation)
{
    flocks_shutdown_response response = FLOCKS_SHUTDOWN_RESPONSE_INIT;

    response.operation = operation;
    rpc_call_reply_message(call, &response.base);
}

static const struct mutation_kind start_kind = {FLOCKS_OPERATION_KIND_START, reply_start};
static const struct mutation_kind stop_kind = {FLOCKS_OPERATION_KIND_STOP, reply_stop};
static const struct mutation_kind restart_kind = {FLOCKS_OPERATION_KIND_RESTART, reply_restart};
static const struct mutation_kind shutdown_kind = {FLOCKS_OPERATION_KIND_SHUTDOWN, reply_shutdown};

static void start_services(void *self, struct flocks_start_services_call *call,
    const flocks_start_services_request *request)
{
    const struct supervisor_service *service = self;

    mutation_run(service->room, flocks_start_services_base(call), &start_kind,
        &(struct mutation){.services = request->services,
            .n_services = request->n_services,
            .wait = request->wait,
            .timeout = request->timeout,
            .request_id = request->request_id,
            .lease_id = request->lease_id,
            .skip_prepare = request->skip_prepare});
}

static void stop_services(
    void *self, struct flocks_stop_services_call *call, const flocks_stop_services_request *request)
{
    const struct supervisor_service *service = self;

    mutation_run(service->room, flocks_stop_services_base(call), &stop_kind,
        &(struct mutation){.services = request->services,
            .n_services = request->n_services,
            .wait = request->wait,
            .timeout = request->timeout,
            .request_id = request->request_id,
            .lease_id = request->lease_id});
}

static void restart_services(void *self, struct flocks_restart_services_call *call,
    const flocks_restart_services_request *request)
{
    const struct supervisor_service *service = self;

    mutation_run(service->room, flocks_restart_services_base(call), &restart_kind,
        &(struct mutation){.services = request->services,
            .n_services = request->n_services,
            .wait = request->wait,
            .timeout = request->timeout,
            .request_id = request->request_id,
            .lease_id = request->lease_id,
            .skip_prepare = request->skip_prepare});
}

static void shutdown_daemon(
    void *self, struct flocks_shutdown_call *call, const flocks_shutdown_request *request)
{
    const struct supervisor_service *service = self;

    mutation_run(service->room, flocks_shutdown_base(call), &shutdown_kind,
        &(struct mutation){.wait = request->wait,
            .timeout = request->timeout,
            .request_id = "",
            .lease_id = "",
            .keeper_pid = request->keeper_pid});
}

static void plan_config(
    void *self, struct flocks_plan_config_call *call, const flocks_plan_config_request *request)
{
    const struct supervisor_service *service = self;

    configuring_plan(service->configuring, flocks_plan_config_base(call), request);
}

static void apply_config(
    void *self, struct flocks_apply_config_call *call, const flocks_apply_config_request *request)
{
    const struct supervisor_service *service = self;

    configuring_apply(service->configuring, service->room, flocks_apply_config_base(call), request);
}

static const struct flocks_supervisor_handlers handlers = {
    .get_status = get_status,
    .start_services = start_services,
    .stop_services = stop_services,
    .restart_services = restart_services,
    .get_operation = get_operation,
    .watch_events = watch_events,
    .watch_operation = watch_operation,
    .cancel_operation = cancel_operation,
    .explain_service = explain_service,
    .read_logs = read_logs,
    .get_config = get_config,
    .plan_config = plan_config,
    .apply_config = apply_config,
    .shutdown = shutdown_daemon,
};

struct rpc_service supervisor_service_open(struct supervisor_service *self)
{
    return flocks_supervisor_service(&handlers, self);
}
