/* `flocks update`. */
#include <stdio.h>

#include "flocks/v1/upgrade.info.h"

#include "client/cli/cli.h"
#include "client/cli/confirm.h"
#include "client/cli/report.h"
#include "client/cli/update_abort.h"
#include "client/cli/update_apply.h"
#include "client/cli/update_check.h"
#include "client/cli/update_message.h"
#include "client/cli/update_plan.h"
#include "client/cli/update_remote.h"
#include "client/cli/update_view.h"

/* ---- looking ---- */

static enum outcome tell_check(const struct cli *cli, const flocks_update_check *check)
{
    bool is_due = check->version[0] != '\0';
    enum outcome outcome =
        is_due && cli_flag(cli, OPTION_EXIT_CODE, false) ? OUTCOME_FAILED : OUTCOME_DONE;
    if (cli->json)
        return report_message(cli, &flocks_update_check_info, &check->base, outcome);
    if (cli->quiet)
        return outcome;
    update_view_check(check, cli->color, stdout);
    if (is_due)
        update_view_notes(check, cli->color, stdout);
    return outcome;
}

static enum outcome tell_list(const struct cli *cli, const flocks_update_check *check)
{
    if (cli->json)
        return report_message(cli, &flocks_update_check_info, &check->base, OUTCOME_DONE);
    if (cli->quiet)
        return OUTCOME_DONE;
    update_view_failures(check, stdout);
    return update_view_list(check, cli->color, stdout) ? OUTCOME_DONE : OUTCOME_FAILED;
}

static enum outcome look(const struct cli *cli, const struct update_plan *plan)
{
    struct error error = ERROR_INIT;
    struct arena arena;
    const flocks_update_check *check = NULL;
    enum outcome outcome = OUTCOME_FAILED;
    arena_init(&arena, UPDATE_MESSAGE_ARENA_BYTES);
    if (update_check(cli, plan, &arena, &check, &error) < 0)
        outcome = report_error(cli, &error);
    else
        outcome = plan->mode == UPDATE_MODE_LIST ? tell_list(cli, check) : tell_check(cli, check);
    arena_deinit(&arena);
    return outcome;
}

/* ---- doing ---- */

enum decision { DECISION_GO, DECISION_NOTHING, DECISION_NO };

/* Shows what there is and asks; what was shown is what is done. Of the current release nobody has
 * to be asked: all that can be left of it is that its programs take over. */
static int ask(const struct cli *cli, struct update_plan *plan, struct arena *arena,
    enum decision *out, struct error *error)
{
    const flocks_update_check *check = NULL;
    int result = update_check(cli, plan, arena, &check, error);
    if (result < 0)
        return result;
    *out = DECISION_NOTHING;
    if (!check->version[0] && check->current_version[0] && !plan->roll_back) {
        *out = DECISION_GO;
        update_view_failures(check, stderr);
        plan->version = check->current_version;
        return 0;
    }
    update_view_check(check, cli->color_notes, stderr);
    if (!check->version[0])
        return 0;
    if (!plan->roll_back)
        update_view_notes(check, cli->color_notes, stderr);
    bool goes = confirm_ask(plan->roll_back ? "roll back?" : "upgrade?");
    plan->version = check->version;
    plan->roll_back = false;
    *out = goes ? DECISION_GO : DECISION_NO;
    return 0;
}

static int decide(const struct cli *cli, struct update_plan *plan, struct arena *arena,
    enum decision *out, struct error *error)
{
    *out = DECISION_GO;
    if (cli_flag(cli, OPTION_YES, false))
        return 0;
    if (confirm_has_person(cli))
        return ask(cli, plan, arena, out, error);
    int result =
        error_set(error, STATUS_INVALID_ARGUMENT, "update asks first, and there is no terminal");
    error_set_hint(error, "--yes does not ask; `flocks update --check` tells what there is");
    return result;
}

static enum outcome tell_refused(const struct cli *cli)
{
    if (cli->notes)
        fputs("flocks: nothing was changed\n", cli->notes);
    return OUTCOME_FAILED;
}

/* From inside a service that will be stopped somebody else has to do it. */
static enum outcome begin(const struct cli *cli, const struct update_plan *plan)
{
    enum outcome outcome = OUTCOME_DONE;
    if (update_remote_is_inside(cli) &&
        update_remote_apply(cli, plan, &outcome) == UPDATE_REMOTE_TOLD)
        return outcome;
    return update_apply(cli, plan);
}

static enum outcome change(const struct cli *cli, struct update_plan *plan)
{
    struct error error = ERROR_INIT;
    struct arena arena;
    enum decision decision = DECISION_NO;
    enum outcome outcome = OUTCOME_DONE;
    arena_init(&arena, UPDATE_MESSAGE_ARENA_BYTES);
    if (decide(cli, plan, &arena, &decision, &error) < 0)
        outcome = report_error(cli, &error);
    else if (decision == DECISION_NO)
        outcome = tell_refused(cli);
    else if (decision == DECISION_GO)
        outcome = begin(cli, plan);
    arena_deinit(&arena);
    return outcome;
}

static enum outcome run_update(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct update_plan plan;
    if (update_plan_make(cli, &plan, &error) < 0)
        return report_error(cli, &error);
    if (plan.mode == UPDATE_MODE_CHECK || plan.mode == UPDATE_MODE_LIST)
        return look(cli, &plan);
    if (plan.mode == UPDATE_MODE_ABORT)
        return update_abort(cli);
    return change(cli, &plan);
}

static const enum option_id update_options[] = {OPTION_CHECK, OPTION_LIST, OPTION_TO, OPTION_FROM,
    OPTION_ROLLBACK, OPTION_FORCE, OPTION_REGION, OPTION_YES, OPTION_ABORT, OPTION_EXIT_CODE,
    OPTION_END};

const struct command command_update = {
    .name = "update",
    .summary = "upgrade what the services run, or roll it back",
    .details =
        "Fetches the newest release, verifies, unpacks and installs it while everything "
        "runs; then stops the\n"
        "services, switches, starts them and looks on. When they are not healthy, tell "
        "another version or do\n"
        "not stay well, the old version returns. Shows what there is and asks first; --yes "
        "does not ask.\n"
        "It goes on when the terminal is closed. Ctrl-C has it undone in order; a second one "
        "leaves it to end\n"
        "by itself: `flocks status` shows it, --abort ends it. With --json one "
        "UpgradeProgress a line; with\n"
        "--check or --list an UpdateCheck. --exit-code is for --check.",
    .options = update_options,
    .run = run_update,
};
