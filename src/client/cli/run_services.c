/* Both requests have the same members; only their types differ. */
#include "client/cli/run_services.h"

#include <string.h>
#include <time.h>

#include "flocks/v1/supervisor.info.h"

#include "client/cli/browser.h"
#include "client/cli/endpoint.h"
#include "client/cli/operation.h"
#include "client/cli/report.h"
#include "client/cli/status_view.h"
#include "common/base/clock.h"

/* The operation as it began; its message is the caller's. */
static int begin(struct daemon *daemon, enum flocks_supervisor_method method,
    const ProtobufCMessage **out_message, const flocks_operation **out, struct error *error)
{
    const struct options *options = &daemon->cli->options;
    char request_id[OPERATION_REQUEST_ID_SIZE];
    operation_new_request_id(request_id);
    /* protobuf-c's lists are not const although nobody changes them. */
    const union {
        const char *const *constant;
        const char **list;
    } names = {.constant = options->operands};
    bool skip_prepare = cli_flag(daemon->cli, OPTION_SKIP_WEBUI_BUILD, false);
    flocks_start_services_request start = FLOCKS_START_SERVICES_REQUEST_INIT;
    start.services = names.list;
    start.n_services = options->n_operands;
    start.request_id = request_id;
    start.skip_prepare = skip_prepare;
    flocks_restart_services_request restart = FLOCKS_RESTART_SERVICES_REQUEST_INIT;
    restart.services = names.list;
    restart.n_services = options->n_operands;
    restart.request_id = request_id;
    restart.skip_prepare = skip_prepare;
    bool is_start = method == FLOCKS_SUPERVISOR_START_SERVICES;
    int result = daemon_call(
        daemon, method, DAEMON_WORK_MS, is_start ? &start.base : &restart.base, out_message, error);
    if (result != 0)
        return result;
    *out = is_start ? ((const flocks_start_services_response *)*out_message)->operation
                    : ((const flocks_restart_services_response *)*out_message)->operation;
    return *out ? 0 : error_set(error, STATUS_INTERNAL, "the daemon answered without an operation");
}

static void open_browser(const struct cli *cli, const flocks_get_status_response *status)
{
    const flocks_service_status *webui = status_view_find(status, "webui");
    char url[ENDPOINT_URL_MAX];
    if (cli_flag(cli, OPTION_NO_BROWSER, false) || cli->json || !webui ||
        webui->state != FLOCKS_SERVICE_STATE_HEALTHY)
        return;
    endpoint_url(webui->host, webui->port, url);
    if (!url[0] || !cli->notes)
        return;
    if (browser_is_possible() && browser_open(url))
        fprintf(cli->notes, "\nopened %s in the browser\n", url);
    else
        fprintf(cli->notes, "\nopen %s\n", url);
}

/* The ended operation in the type of the method's own response. */
static enum outcome print_json(const struct cli *cli, enum flocks_supervisor_method method,
    flocks_operation *operation, enum outcome outcome)
{
    flocks_start_services_response start = FLOCKS_START_SERVICES_RESPONSE_INIT;
    start.operation = operation;
    flocks_restart_services_response restart = FLOCKS_RESTART_SERVICES_RESPONSE_INIT;
    restart.operation = operation;
    if (method == FLOCKS_SUPERVISOR_START_SERVICES)
        return report_message(cli, &flocks_start_services_response_info, &start.base, outcome);
    return report_message(cli, &flocks_restart_services_response_info, &restart.base, outcome);
}

static enum outcome tell_unanswered(struct daemon *daemon, int result, struct error *error)
{
    if (result == DAEMON_NOT_RUNNING)
        error_set(error, STATUS_CANCELLED, "the daemon was stopped meanwhile");
    return daemon_report(daemon, error);
}

static enum outcome show_end(
    struct daemon *daemon, enum flocks_supervisor_method method, flocks_operation *operation)
{
    const struct cli *cli = daemon->cli;
    struct error error = ERROR_INIT;
    CLEANUP(daemon_free_status) const flocks_get_status_response *status = NULL;
    enum outcome outcome = operation_outcome(operation);
    operation_print_failures(cli, operation);
    int result = daemon_get_status(daemon, NULL, 0, &status, &error);
    if (result != 0)
        return outcome_worse(outcome,
            cli->json ? print_json(cli, method, operation, outcome_worse(outcome, OUTCOME_FAILED))
                      : tell_unanswered(daemon, result, &error));
    outcome = outcome_worse(outcome,
        status_view_judge(status, cli->options.operands, cli->options.n_operands, operation));
    if (cli->json)
        return print_json(cli, method, operation, outcome);
    const struct status_view view = {.status = status,
        .paths = &cli->paths,
        .now_s = clock_wall_ns() / 1000000000,
        .color = cli->color};
    if (!cli->quiet && !status_view_print(&view, stdout))
        outcome = outcome_worse(outcome, OUTCOME_FAILED);
    if (!report_flush())
        outcome = outcome_worse(outcome, OUTCOME_FAILED);
    open_browser(cli, status);
    return outcome;
}

enum outcome run_services(struct daemon *daemon, enum flocks_supervisor_method method)
{
    struct error error = ERROR_INIT;
    const ProtobufCMessage *message = NULL;
    const flocks_operation *begun = NULL;
    CLEANUP(operation_end_free) struct operation_end ended = {.operation = NULL};
    int result = begin(daemon, method, &message, &begun, &error);
    if (result == DAEMON_NOT_RUNNING && method == FLOCKS_SUPERVISOR_RESTART_SERVICES)
        return report_not_running(daemon->cli);
    if (result == 0)
        result = operation_follow(daemon, begun->id, &ended, &error);
    if (message)
        rpc_message_free(message);
    return result == 0 ? show_end(daemon, method, ended.operation)
                       : tell_unanswered(daemon, result, &error);
}
