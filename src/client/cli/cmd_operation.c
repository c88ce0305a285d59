/* `flocks wait` and `flocks cancel`: for the ids that interrupted commands and --json tell. */
#include <stdio.h>

#include "flocks/v1/supervisor.info.h"

#include "client/cli/cli.h"
#include "client/cli/daemon.h"
#include "client/cli/operation.h"
#include "client/cli/report.h"
#include "client/cli/wording.h"

static enum outcome refuse_operands(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    error_set(
        &error, STATUS_INVALID_ARGUMENT, "%s takes the id of one operation", cli->command->name);
    error_set_hint(&error, "`flocks status --json` names those that run: operation_id");
    return report_error(cli, &error);
}

static enum outcome tell_failure(struct daemon *daemon, int result, struct error *error)
{
    return result == DAEMON_NOT_RUNNING ? report_not_running(daemon->cli)
                                        : daemon_report(daemon, error);
}

static void print_state(const struct cli *cli, const flocks_operation *operation)
{
    if (cli->notes)
        fprintf(cli->notes, "flocks: %s %s %s\n", wording_kind((int)operation->kind).text,
            operation->id, wording_operation((int)operation->state).text);
}

/* ---- wait ---- */

static enum outcome tell_waited(const struct cli *cli, flocks_operation *operation)
{
    enum outcome outcome = operation_outcome(operation);
    flocks_get_operation_response response = FLOCKS_GET_OPERATION_RESPONSE_INIT;
    response.operation = operation;
    if (cli->json)
        return report_message(cli, &flocks_get_operation_response_info, &response.base, outcome);
    operation_print_signalled(cli, operation);
    operation_print_failures(cli, operation);
    print_state(cli, operation);
    return outcome;
}

static enum outcome run_wait(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct daemon daemon;
    CLEANUP(operation_end_free) struct operation_end ended = {.operation = NULL};
    if (cli->options.n_operands != 1)
        return refuse_operands(cli);
    int result = daemon_open(&daemon, cli, DAEMON_WORK_MS, &error);
    if (result == 0)
        result = operation_follow(&daemon, cli->options.operands[0], &ended, &error);
    enum outcome outcome =
        result == 0 ? tell_waited(cli, ended.operation) : tell_failure(&daemon, result, &error);
    daemon_close(&daemon);
    return outcome;
}

/* ---- cancel ---- */

static enum outcome tell_cancelled(const struct cli *cli, const ProtobufCMessage *message)
{
    const flocks_operation *operation =
        ((const flocks_cancel_operation_response *)message)->operation;
    if (cli->json)
        return report_message(cli, &flocks_cancel_operation_response_info, message, OUTCOME_DONE);
    if (operation)
        print_state(cli, operation);
    return OUTCOME_DONE;
}

static enum outcome run_cancel(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct daemon daemon;
    const ProtobufCMessage *message = NULL;
    flocks_cancel_operation_request request = FLOCKS_CANCEL_OPERATION_REQUEST_INIT;
    if (cli->options.n_operands != 1)
        return refuse_operands(cli);
    request.operation_id = cli->options.operands[0];
    int result = daemon_open(&daemon, cli, DAEMON_ANSWER_MS, &error);
    if (result == 0)
        result = daemon_call(&daemon, FLOCKS_SUPERVISOR_CANCEL_OPERATION, DAEMON_ANSWER_MS,
            &request.base, &message, &error);
    enum outcome outcome =
        result == 0 ? tell_cancelled(cli, message) : tell_failure(&daemon, result, &error);
    rpc_message_free(message);
    daemon_close(&daemon);
    return outcome;
}

static const enum option_id no_options[] = {OPTION_END};

const struct command command_wait = {
    .name = "wait",
    .summary = "wait for an operation that goes on",
    .operands = "OPERATION",
    .details = "Follows an operation, by the id that an interrupted command or --json has told, "
               "until it has ended.\n"
               "Exits as the command that began it would have.",
    .options = no_options,
    .run = run_wait,
};

const struct command command_cancel = {
    .name = "cancel",
    .summary = "end an operation early",
    .operands = "OPERATION",
    .details = "Asks an operation to end early; what it has done is not undone. One that has ended "
               "is left as it is,\n"
               "and how it ended is told.",
    .options = no_options,
    .run = run_cancel,
};
