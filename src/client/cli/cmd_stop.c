/* `flocks stop`. */
#include <stdio.h>

#include "flocks/v1/supervisor.info.h"

#include "client/cli/cli.h"
#include "client/cli/daemon.h"
#include "client/cli/legacy.h"
#include "client/cli/operation.h"
#include "client/cli/report.h"
#include "client/cli/shutdown.h"

/* ---- everything ---- */

static enum outcome stop_all(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct shutdown_outcome ended;
    flocks_shutdown_response response = FLOCKS_SHUTDOWN_RESPONSE_INIT;
    int result = shutdown_instance(cli, &ended, &error);
    if (result == 0)
        result = legacy_clean_up(&cli->paths, cli->notes, &error);
    enum outcome outcome = OUTCOME_DONE;
    if (result < 0)
        outcome = report_error(cli, &error);
    else
        response.operation = ended.operation;
    if (result == 0 && cli->json)
        outcome = report_message(cli, &flocks_shutdown_response_info, &response.base, outcome);
    if (result == 0 && ended.operation)
        operation_print_signalled(cli, ended.operation);
    if (result == 0 && !cli->json && cli->notes)
        fputs(ended.was_running ? "flocks: stopped\n" : "flocks: nothing runs\n", cli->notes);
    shutdown_outcome_free(&ended);
    return outcome;
}

/* ---- some services ---- */

static int begin(struct daemon *daemon, const ProtobufCMessage **out, struct error *error)
{
    const struct options *options = &daemon->cli->options;
    char request_id[OPERATION_REQUEST_ID_SIZE];
    operation_new_request_id(request_id);
    /* protobuf-c's lists are not const although nobody changes them. */
    const union {
        const char *const *constant;
        const char **list;
    } names = {.constant = options->operands};
    flocks_stop_services_request request = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    request.services = names.list;
    request.n_services = options->n_operands;
    request.request_id = request_id;
    return daemon_call(
        daemon, FLOCKS_SUPERVISOR_STOP_SERVICES, DAEMON_WORK_MS, &request.base, out, error);
}

static int stop_and_follow(struct daemon *daemon, struct operation_end *out, struct error *error)
{
    const ProtobufCMessage *message = NULL;
    int result = begin(daemon, &message, error);
    if (result != 0)
        return result;
    const flocks_operation *begun = ((const flocks_stop_services_response *)message)->operation;
    result = begun ? operation_follow(daemon, begun->id, out, error)
                   : error_set(error, STATUS_INTERNAL, "the daemon answered without an operation");
    rpc_message_free(message);
    return result;
}

static enum outcome tell_stopped(const struct cli *cli, flocks_operation *operation)
{
    flocks_stop_services_response response = FLOCKS_STOP_SERVICES_RESPONSE_INIT;
    enum outcome outcome = operation ? operation_outcome(operation) : OUTCOME_DONE;
    response.operation = operation;
    if (cli->json)
        return report_message(cli, &flocks_stop_services_response_info, &response.base, outcome);
    if (operation) {
        operation_print_signalled(cli, operation);
        operation_print_failures(cli, operation);
    }
    if (cli->notes && outcome == OUTCOME_DONE)
        fputs(operation ? "flocks: stopped\n" : "flocks: nothing runs\n", cli->notes);
    return outcome;
}

static enum outcome stop_some(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct daemon daemon;
    CLEANUP(operation_end_free) struct operation_end ended = {.operation = NULL};
    int result = daemon_open(&daemon, cli, DAEMON_WORK_MS, &error);
    if (result == 0)
        result = stop_and_follow(&daemon, &ended, &error);
    enum outcome outcome =
        result < 0 ? daemon_report(&daemon, &error) : tell_stopped(cli, ended.operation);
    daemon_close(&daemon);
    return outcome;
}

static enum outcome run_stop(const struct cli *cli)
{
    return cli->options.n_operands > 0 ? stop_some(cli) : stop_all(cli);
}

static const enum option_id stop_options[] = {OPTION_END};

const struct command command_stop = {
    .name = "stop",
    .summary = "stop services, or everything with the daemon",
    .operands = "[SERVICE...]",
    .details = "With names: those services are stopped and stay stopped. Without: all of them, in "
               "reverse order,\n"
               "then the daemon; answers when no process is left. Exits with 0 as well when "
               "nothing ran. A daemon\n"
               "that does not answer is ended by signals, and processes that an earlier one left "
               "behind are ended\n"
               "too.",
    .options = stop_options,
    .operand = OPERAND_SERVICES,
    .run = run_stop,
};
