/* `flocks why`. */
#include <stdio.h>

#include "flocks/v1/supervisor.info.h"

#include "client/cli/cli.h"
#include "client/cli/daemon.h"
#include "client/cli/report.h"
#include "client/cli/update_view.h"
#include "client/cli/why_view.h"
#include "client/cli/wording.h"
#include "common/base/arena.h"
#include "common/base/clock.h"

enum {
    /* A list of pointers to every service there may be. */
    ARENA_BYTES = 256 * 1024
};

static int explain(
    struct daemon *daemon, const char *name, const ProtobufCMessage **out, struct error *error)
{
    flocks_explain_service_request request = FLOCKS_EXPLAIN_SERVICE_REQUEST_INIT;
    request.service = name;
    int result = daemon_call(
        daemon, FLOCKS_SUPERVISOR_EXPLAIN_SERVICE, DAEMON_ANSWER_MS, &request.base, out, error);
    const flocks_explain_service_response *response = (const flocks_explain_service_response *)*out;
    if (result != 0 || response->status)
        return result;
    rpc_message_free(*out);
    *out = NULL;
    return error_set(error, STATUS_INTERNAL, "the daemon answered without the service's status");
}

/* `upgrade` may be NULL. */
static struct why_view make_view(const struct cli *cli, const ProtobufCMessage *response,
    const flocks_get_upgrade_response *upgrade)
{
    const struct option_value *lines = &cli->options.values[OPTION_LINES];
    return (struct why_view){.response = (const flocks_explain_service_response *)response,
        .upgrade = upgrade ? upgrade->progress : NULL,
        .now_s = clock_wall_ns() / 1000000000,
        .n_lines = lines->given ? (size_t)lines->number : WHY_LINES,
        .color = cli->color};
}

static enum outcome tell_failure(struct daemon *daemon, int result, struct error *error)
{
    return result == DAEMON_NOT_RUNNING ? report_not_running(daemon->cli)
                                        : daemon_report(daemon, error);
}

/* ---- one service ---- */

static enum outcome tell_one(struct daemon *daemon, const char *name)
{
    const struct cli *cli = daemon->cli;
    struct error error = ERROR_INIT;
    const ProtobufCMessage *response = NULL;
    enum outcome outcome = OUTCOME_DONE;
    int result = explain(daemon, name, &response, &error);
    if (result != 0)
        return tell_failure(daemon, result, &error);
    CLEANUP(daemon_free_upgrade) const flocks_get_upgrade_response *upgrade = NULL;
    if (!cli->json && response && ((const flocks_explain_service_response *)response)->lease)
        upgrade = daemon_get_present_upgrade(daemon);
    const struct why_view view = make_view(cli, response, upgrade);
    if (cli->json)
        outcome = report_message(cli, &flocks_explain_service_response_info, response, outcome);
    else if (!cli->quiet)
        why_view_print(&view, stdout);
    rpc_message_free(response);
    return outcome;
}

/* ---- those that are not well ---- */

/* Not well, or held: what somebody who asks "why" without a name may mean. */
static bool is_worth_telling(const flocks_service_status *service)
{
    return (service->wanted && !wording_is_well((int)service->state)) || service->lease_id[0] ||
           service->state == FLOCKS_SERVICE_STATE_FAILED;
}

static enum outcome tell_brief(struct daemon *daemon, const flocks_service_status *service,
    const flocks_get_upgrade_response *upgrade)
{
    struct error error = ERROR_INIT;
    const ProtobufCMessage *response = NULL;
    int result = explain(daemon, service->name, &response, &error);
    if (result != 0)
        return tell_failure(daemon, result, &error);
    const struct why_view view = make_view(daemon->cli, response, upgrade);
    why_view_print_brief(&view, stdout);
    rpc_message_free(response);
    return OUTCOME_DONE;
}

static void tell_upgrade(const struct cli *cli, const flocks_upgrade_progress *progress)
{
    update_view_present(progress, clock_wall_ns() / 1000000000, cli->color, stdout);
    fputc('\n', stdout);
}

static enum outcome tell_all(struct daemon *daemon, const flocks_get_status_response *status)
{
    enum outcome outcome = OUTCOME_DONE;
    size_t n = 0;
    CLEANUP(daemon_free_upgrade)
    const flocks_get_upgrade_response *upgrade = daemon_get_present_upgrade(daemon);
    if (upgrade)
        tell_upgrade(daemon->cli, upgrade->progress);
    for (size_t i = 0; outcome == OUTCOME_DONE && i < status->n_services; i++) {
        if (!is_worth_telling(status->services[i]))
            continue;
        if (n++ > 0)
            fputc('\n', stdout);
        outcome = tell_brief(daemon, status->services[i], upgrade);
    }
    if (n == 0)
        fputs("every wanted service is well\n", stdout);
    else if (outcome == OUTCOME_DONE)
        fputs("\n`flocks why SERVICE` tells everything\n", stdout);
    return outcome;
}

/* The same message as of `flocks status --json`, with these services alone. */
static enum outcome tell_as_json(
    const struct cli *cli, const flocks_get_status_response *status, struct arena *arena)
{
    struct error error = ERROR_INIT;
    flocks_get_status_response some = *status;
    /* An array of pointers. */
    // NOLINTNEXTLINE(bugprone-sizeof-expression)
    some.services = arena_calloc(arena, status->n_services, sizeof(*some.services));
    if (!some.services) {
        error_set(&error, STATUS_RESOURCE_EXHAUSTED, "no memory for the status");
        return report_error(cli, &error);
    }
    some.n_services = 0;
    for (size_t i = 0; i < status->n_services; i++)
        if (is_worth_telling(status->services[i]))
            some.services[some.n_services++] = status->services[i];
    return report_message(cli, &flocks_get_status_response_info, &some.base, OUTCOME_DONE);
}

static enum outcome tell_unwell(struct daemon *daemon)
{
    const struct cli *cli = daemon->cli;
    struct error error = ERROR_INIT;
    struct arena arena;
    CLEANUP(daemon_free_status) const flocks_get_status_response *status = NULL;
    int result = daemon_get_status(daemon, NULL, 0, &status, &error);
    if (result != 0)
        return tell_failure(daemon, result, &error);
    if (!cli->json)
        return cli->quiet ? OUTCOME_DONE : tell_all(daemon, status);
    arena_init(&arena, ARENA_BYTES);
    enum outcome outcome = tell_as_json(cli, status, &arena);
    arena_deinit(&arena);
    return outcome;
}

static enum outcome run_why(const struct cli *cli)
{
    const struct options *options = &cli->options;
    struct error error = ERROR_INIT;
    struct daemon daemon;
    if (options->n_operands > 1) {
        error_set(
            &error, STATUS_INVALID_ARGUMENT, "why takes one service, not %zu", options->n_operands);
        error_set_hint(&error, "without a name it tells about all that are not well");
        return report_error(cli, &error);
    }
    enum outcome outcome = OUTCOME_DONE;
    if (daemon_open(&daemon, cli, DAEMON_ANSWER_MS, &error) < 0)
        outcome = report_error(cli, &error);
    else
        outcome = options->n_operands == 1 ? tell_one(&daemon, options->operands[0])
                                           : tell_unwell(&daemon);
    daemon_close(&daemon);
    return outcome;
}

static const enum option_id why_options[] = {OPTION_LINES, OPTION_END};

const struct command command_why = {
    .name = "why",
    .summary = "tell why a service is in its state, and what to do",
    .operands = "[SERVICE]",
    .details = "Tells the chain: state and reason, who holds its port, what it waits for, when it "
               "is tried again,\n"
               "who asked for what, its last ends, probes and output, and what to do about it. "
               "Without a name:\n"
               "the services that are wanted and not well, in a few lines each. Exits with 0 when "
               "it could tell.",
    .options = why_options,
    .operand = OPERAND_SERVICE,
    .run = run_why,
};
