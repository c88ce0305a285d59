/* The text is read once: what is shown, asked about and applied is the same. */
#include "client/cli/config_change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flocks/v1/supervisor.info.h"

#include "client/cli/confirm.h"
#include "client/cli/daemon.h"
#include "client/cli/operation.h"
#include "client/cli/plan_view.h"
#include "client/cli/report.h"
#include "client/cli/status_view.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

/* One run of either. */
struct change {
    struct daemon daemon;
    char *file;      /* absolute; NULL: the one that the daemon reads */
    char *text;      /* of `file` */
    size_t text_len; /* 0 without one */
    const ProtobufCMessage *answer;
    const flocks_plan_config_response *plan; /* is `answer` */
};

/* ---- the text and its plan ---- */

static int read_text(struct change *change, const char *file, struct error *error)
{
    if (!file)
        return 0;
    /* Values of the text that are relative are so to the file. */
    change->file = realpath(file, NULL);
    if (!change->file)
        return error_set(error, STATUS_NOT_FOUND, "there is no file %s", file);
    int result = fd_read_file(
        change->file, CONFIG_CHANGE_TEXT_MAX_BYTES, &change->text, &change->text_len, error);
    if (result == 0 && change->text_len == 0) {
        /* Without a text the daemon would read its own file. */
        result = error_set(error, STATUS_INVALID_ARGUMENT, "%s is empty", change->file);
        error_set_hint(error, "a configuration without services is `services: {}`");
    }
    return result;
}

/* protobuf-c's bytes are not const although nobody changes them. */
static ProtobufCBinaryData text_of(const struct change *change)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)change->text, .len = change->text_len};
}

static int make_plan(struct change *change, struct error *error)
{
    flocks_plan_config_request request = FLOCKS_PLAN_CONFIG_REQUEST_INIT;
    request.text = text_of(change);
    request.file = change->file ? change->file : "";
    int result = daemon_call(&change->daemon, FLOCKS_SUPERVISOR_PLAN_CONFIG, DAEMON_ANSWER_MS,
        &request.base, &change->answer, error);
    change->plan = (const flocks_plan_config_response *)change->answer;
    return result;
}

static enum outcome report_their_mistakes(
    const struct cli *cli, const flocks_plan_config_response *plan)
{
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    for (size_t i = 0; i < plan->n_mistakes; i++) {
        const flocks_config_mistake *theirs = plan->mistakes[i];
        const flocks_source_position *position = theirs->position;
        const struct mistake_place place = {.file = position ? position->file : "",
            .line = position ? position->line : 0,
            .column = position ? position->column : 0,
            .path = position ? position->path : ""};
        struct mistake *ours = mistakes_add(&mistakes, &place, "%s", theirs->message);
        if (theirs->hint[0])
            mistake_set_hint(&mistakes, ours, "%s", theirs->hint);
    }
    enum outcome outcome = report_mistakes(cli, &mistakes);
    mistakes_deinit(&mistakes);
    return outcome;
}

static int change_open(
    struct change *change, const struct cli *cli, const char *file, struct error *error)
{
    *change = (struct change){.file = NULL};
    int result = daemon_open(&change->daemon, cli, DAEMON_WORK_MS, error);
    if (result == 0)
        result = read_text(change, file, error);
    return result == 0 ? make_plan(change, error) : result;
}

static void change_close(struct change *change)
{
    if (change->answer)
        rpc_message_free(change->answer);
    daemon_close(&change->daemon);
    free(change->text);
    free(change->file);
}

static enum outcome tell_failure(struct change *change, int result, struct error *error)
{
    return result == DAEMON_NOT_RUNNING ? report_not_running(change->daemon.cli)
                                        : daemon_report(&change->daemon, error);
}

/* ---- plan ---- */

static enum outcome tell_plan(const struct change *change)
{
    const struct cli *cli = change->daemon.cli;
    const flocks_plan_config_response *plan = change->plan;
    bool tells_code = cli_flag(cli, OPTION_EXIT_CODE, false);
    enum outcome outcome = tells_code && !plan_view_is_empty(plan) ? OUTCOME_FAILED : OUTCOME_DONE;
    if (plan->n_mistakes > 0)
        outcome = OUTCOME_USAGE;
    if (cli->json)
        return report_message(cli, &flocks_plan_config_response_info, change->answer, outcome);
    if (plan->n_mistakes > 0)
        return report_their_mistakes(cli, plan);
    if (!cli->quiet)
        plan_view_print(plan, cli->color, stdout);
    return outcome;
}

enum outcome config_plan(const struct cli *cli, const char *file)
{
    struct error error = ERROR_INIT;
    struct change change;
    int result = change_open(&change, cli, file, &error);
    enum outcome outcome = result == 0 ? tell_plan(&change) : tell_failure(&change, result, &error);
    change_close(&change);
    return outcome;
}

/* ---- apply ---- */

/* The plan that was looked at before is still the one there is. */
static int check_plan(const struct change *change, const char *expected, struct error *error)
{
    if (strcmp(change->plan->plan, expected) == 0)
        return 0;
    int result = error_set(error, STATUS_ABORTED,
        "the configuration or the file was changed after that plan was made; it is %s now",
        change->plan->plan);
    error->reason = FLOCKS_ERROR_REASON_STALE_PLAN;
    error_set_hint(error, "look at `flocks config plan` again, then apply with its plan");
    return result;
}

/* 0: to be applied. Positive: the person said no. */
static int decide(const struct change *change, struct error *error)
{
    const struct cli *cli = change->daemon.cli;
    const char *expected = cli_text(cli, OPTION_PLAN);
    if (cli->notes && !cli->json)
        plan_view_print(change->plan, cli->color_notes, cli->notes);
    if (expected)
        return check_plan(change, expected, error);
    if (cli_flag(cli, OPTION_YES, false))
        return 0;
    if (confirm_has_person(cli))
        return confirm_ask("apply this?") ? 0 : 1;
    int result = error_set(
        error, STATUS_INVALID_ARGUMENT, "config apply asks first, and there is no terminal");
    error_set_hint(error, "--yes applies whatever differs, --plan HASH what was looked at");
    return result;
}

static int begin(struct change *change, const ProtobufCMessage **out, struct error *error)
{
    char request_id[OPERATION_REQUEST_ID_SIZE];
    operation_new_request_id(request_id);
    flocks_apply_config_request request = FLOCKS_APPLY_CONFIG_REQUEST_INIT;
    request.plan = change->plan->plan;
    request.text = text_of(change);
    request.request_id = request_id;
    int result = daemon_call(
        &change->daemon, FLOCKS_SUPERVISOR_APPLY_CONFIG, DAEMON_WORK_MS, &request.base, out, error);
    if (result == -STATUS_ABORTED && error->reason == FLOCKS_ERROR_REASON_STALE_PLAN &&
        !error->hint[0])
        error_set_hint(error, "look at `flocks config plan` again, then apply with its plan");
    return result;
}

static int apply(struct change *change, struct operation_end *out, struct error *error)
{
    const ProtobufCMessage *message = NULL;
    int result = begin(change, &message, error);
    if (result != 0)
        return result;
    const flocks_operation *begun = ((const flocks_apply_config_response *)message)->operation;
    result = begun ? operation_follow(&change->daemon, begun->id, out, error)
                   : error_set(error, STATUS_INTERNAL, "the daemon answered without an operation");
    rpc_message_free(message);
    return result;
}

static enum outcome tell_applied(struct change *change, flocks_operation *operation)
{
    const struct cli *cli = change->daemon.cli;
    struct error error = ERROR_INIT;
    CLEANUP(daemon_free_status) const flocks_get_status_response *status = NULL;
    enum outcome outcome = operation_outcome(operation);
    flocks_apply_config_response response = FLOCKS_APPLY_CONFIG_RESPONSE_INIT;
    response.operation = operation;
    if (cli->json)
        return report_message(cli, &flocks_apply_config_response_info, &response.base, outcome);
    operation_print_failures(cli, operation);
    if (cli->quiet)
        return outcome;
    int result = daemon_get_status(&change->daemon, NULL, 0, &status, &error);
    if (result != 0)
        return outcome_worse(outcome, tell_failure(change, result, &error));
    const struct status_view view = {.status = status,
        .paths = &cli->paths,
        .now_s = clock_wall_ns() / 1000000000,
        .color = cli->color,
        .without_logs = true};
    return status_view_print(&view, stdout) ? outcome : outcome_worse(outcome, OUTCOME_FAILED);
}

static enum outcome tell_refused(const struct cli *cli)
{
    if (cli->notes)
        fputs("flocks: nothing was changed\n", cli->notes);
    return OUTCOME_FAILED;
}

/* Nothing differs: there is nothing to begin. */
static enum outcome tell_nothing(const struct change *change)
{
    const struct cli *cli = change->daemon.cli;
    flocks_apply_config_response response = FLOCKS_APPLY_CONFIG_RESPONSE_INIT;
    if (cli->json)
        return report_message(
            cli, &flocks_apply_config_response_info, &response.base, OUTCOME_DONE);
    if (cli->notes)
        fputs("flocks: nothing differs from what runs\n", cli->notes);
    return OUTCOME_DONE;
}

static enum outcome apply_planned(struct change *change)
{
    const struct cli *cli = change->daemon.cli;
    struct error error = ERROR_INIT;
    CLEANUP(operation_end_free) struct operation_end ended = {.operation = NULL};
    if (change->plan->n_mistakes > 0)
        return report_their_mistakes(cli, change->plan);
    if (plan_view_is_empty(change->plan))
        return tell_nothing(change);
    int result = decide(change, &error);
    if (result > 0)
        return tell_refused(cli);
    if (result == 0)
        result = apply(change, &ended, &error);
    return ended.operation ? tell_applied(change, ended.operation)
                           : tell_failure(change, result, &error);
}

enum outcome config_apply(const struct cli *cli, const char *file)
{
    struct error error = ERROR_INIT;
    struct change change;
    int result = change_open(&change, cli, file, &error);
    enum outcome outcome =
        result == 0 ? apply_planned(&change) : tell_failure(&change, result, &error);
    change_close(&change);
    return outcome;
}
