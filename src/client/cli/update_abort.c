#include "client/cli/update_abort.h"

#include <stdio.h>
#include <string.h>

#include "flocks/v1/upgrade.info.h"
#include "flocks/v1/upgrade.methods.h"

#include "client/cli/daemon.h"
#include "client/cli/operation.h"
#include "client/cli/process.h"
#include "client/cli/report.h"
#include "client/cli/terminal.h"
#include "client/cli/update_apply.h"
#include "client/cli/update_message.h"
#include "client/cli/update_remote.h"
#include "client/cli/update_run.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/release/upgrade_journal.h"
#include "common/release/upgrade_lock.h"
#include "common/release/upgrade_paths.h"

static enum outcome tell_nothing(const struct cli *cli)
{
    flocks_abort_upgrade_response response = FLOCKS_ABORT_UPGRADE_RESPONSE_INIT;
    if (cli->json)
        return report_message(
            cli, &flocks_abort_upgrade_response_info, &response.base, OUTCOME_DONE);
    if (cli->notes)
        fputs("flocks: no upgrade is going on\n", cli->notes);
    return OUTCOME_DONE;
}

/* ---- without a daemon: the updater itself ---- */

static bool is_updater(const struct process *process)
{
    static const char name[] = "flocks-update";
    const char *slash = strrchr(process->executable, '/');
    const char *base = slash ? slash + 1 : process->executable;
    size_t len = strlen(name);
    /* A release that has been removed meanwhile: " (deleted)". */
    return strncmp(base, name, len) == 0 && (base[len] == '\0' || base[len] == ' ');
}

/* The updater that has the lock, by what it wrote there and by what it is. PROCESS_GONE: nobody has
 * it. */
static int find_holder(const char *lock, struct process *out, struct error *error)
{
    struct upgrade_lock_holder holder = {.pid = 0};
    int result = upgrade_lock_look(lock, &holder, error);
    if (result != UPGRADE_LOCK_HELD)
        return result < 0 ? result : PROCESS_GONE;
    result = process_read(holder.pid, out, error);
    if (result == 0 && is_updater(out))
        return 0;
    if (result < 0)
        return result;
    return error_set(error, STATUS_FAILED_PRECONDITION,
        "the lock of upgrades is held by pid %ld (%s), which is no flocks-update", (long)holder.pid,
        holder.who);
}

static int end_holder(const struct cli *cli, const struct process *process, struct error *error)
{
    CLEANUP(fd_close) int pidfd = -1;
    int64_t limit_ms = cli_timeout_ms(cli, DAEMON_WORK_MS);
    int result = process_open(process, &pidfd, error);
    if (result == 0)
        result = process_ask(process, error);
    if (result != 0)
        return result < 0 ? result : 0;
    if (cli->notes)
        fprintf(
            cli->notes, "flocks: pid %d has been asked to undo its upgrade\n", (int)process->pid);
    if (process_wait(pidfd, clock_add_ms(clock_monotonic_ms(), limit_ms)))
        return 0;
    return error_set(error, STATUS_DEADLINE_EXCEEDED,
        "the deadline passed; pid %d was asked and has not ended", (int)process->pid);
}

/* `had_updater`: one has just ended here. */
static enum outcome end_rest(
    const struct cli *cli, const struct upgrade_paths *places, bool had_updater)
{
    struct error error = ERROR_INIT;
    struct upgrade_journal journal;
    int result = upgrade_journal_read(places->journal, &journal, &error);
    if (result != UPGRADE_JOURNAL_NONE)
        return update_recover(cli);
    if (!had_updater)
        return tell_nothing(cli);
    if (cli->notes)
        fputs("flocks: it has ended, and no upgrade is unfinished\n", cli->notes);
    return OUTCOME_DONE;
}

static enum outcome abort_here(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct upgrade_paths places;
    struct process process;
    int result = upgrade_paths_resolve(cli->paths.root, &places, &error);
    if (result == 0)
        result = find_holder(places.lock, &process, &error);
    bool has_updater = result == 0;
    if (has_updater)
        result = end_holder(cli, &process, &error);
    return result < 0 ? report_error(cli, &error) : end_rest(cli, &places, has_updater);
}

/* ---- with one ---- */

static bool is_over(const flocks_lease *lease)
{
    return lease->phase == FLOCKS_UPGRADE_PHASE_COMMITTED ||
           lease->phase == FLOCKS_UPGRADE_PHASE_ROLLED_BACK;
}

/* It came too late: what was to be undone is in force. */
static enum outcome tell_too_late(const struct cli *cli, const char *version)
{
    struct error error = ERROR_INIT;
    error_set(&error, STATUS_ABORTED, "it is too late: the upgrade%s%s is committed",
        version[0] ? " to " : "", version);
    error.reason = FLOCKS_ERROR_REASON_LEASE_ENDED;
    error_set_hint(&error, "`flocks update --rollback` goes back to the release before");
    return report_error(cli, &error);
}

static enum outcome tell_ended(const struct update_run *run)
{
    const struct cli *cli = run->cli;
    struct error error = ERROR_INIT;
    bool has_failed = update_message_failure(run->end, &error) < 0;
    if (run->end->phase == FLOCKS_UPGRADE_PHASE_ROLLBACK_FAILED)
        return report_failure(cli, &error, run->end->error);
    if (!has_failed && run->end->phase == FLOCKS_UPGRADE_PHASE_COMMITTED)
        return tell_too_late(cli, run->end->to_version);
    if (cli->notes && !cli->json) {
        fprintf(cli->notes, "flocks: %s: ", has_failed ? "undone" : "it had ended");
        terminal_print_escaped(cli->notes, has_failed ? error.text : run->end->message);
        fputc('\n', cli->notes);
    }
    return OUTCOME_DONE;
}

static enum outcome abort_upgrade(struct daemon *daemon, const char *upgrade_id)
{
    struct error error = ERROR_INIT;
    struct update_run run;
    enum outcome outcome = OUTCOME_DONE;
    int result = update_remote_abort(daemon, upgrade_id, NULL, NULL, &error);
    if (result < 0)
        return daemon_report(daemon, &error);
    if (result == DAEMON_NOT_RUNNING)
        return abort_here(daemon->cli);
    update_run_begin(&run, daemon->cli, upgrade_id);
    run.only_watches = true;
    run.asked_to_abort = true;
    result = update_remote_follow(&run, &error);
    if (result != 0 || !run.end)
        return update_run_finish(&run, result < 0 ? &error : NULL);
    update_show_clear(&run.show);
    outcome = tell_ended(&run);
    update_run_close(&run);
    return outcome;
}

static enum outcome tell_rolled_back(const struct cli *cli, flocks_operation *operation)
{
    flocks_abort_upgrade_response response = FLOCKS_ABORT_UPGRADE_RESPONSE_INIT;
    enum outcome outcome = operation ? operation_outcome(operation) : OUTCOME_DONE;
    response.operation = operation;
    if (cli->json)
        return report_message(cli, &flocks_abort_upgrade_response_info, &response.base, outcome);
    if (operation)
        operation_print_failures(cli, operation);
    if (cli->notes)
        fprintf(cli->notes, "flocks: the lease %s\n",
            outcome == OUTCOME_DONE ? "is rolled back" : "could not be rolled back whole");
    return outcome;
}

static enum outcome abort_lease(struct daemon *daemon, const char *lease_id)
{
    struct error error = ERROR_INIT;
    const ProtobufCMessage *message = NULL;
    CLEANUP(operation_end_free) struct operation_end ended = {.operation = NULL};
    int result = update_remote_abort(daemon, NULL, lease_id, &message, &error);
    const flocks_abort_upgrade_response *response = (const flocks_abort_upgrade_response *)message;
    if (result == 0 && response->operation)
        result = operation_follow(daemon, response->operation->id, &ended, &error);
    rpc_message_free(message);
    if (result == DAEMON_NOT_RUNNING)
        return report_not_running(daemon->cli);
    return result < 0 ? daemon_report(daemon, &error)
                      : tell_rolled_back(daemon->cli, ended.operation);
}

static enum outcome abort_there(struct daemon *daemon, const flocks_get_upgrade_response *present)
{
    const flocks_upgrade_progress *progress = present->progress;
    if (progress && !update_message_is_end(progress))
        return abort_upgrade(daemon, progress->upgrade_id);
    if (present->lease && !is_over(present->lease))
        return abort_lease(daemon, present->lease->id);
    /* One that could not tell the daemon, perhaps. */
    return abort_here(daemon->cli);
}

enum outcome update_abort(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct daemon daemon;
    const ProtobufCMessage *message = NULL;
    enum outcome outcome = OUTCOME_DONE;
    flocks_get_upgrade_request request = FLOCKS_GET_UPGRADE_REQUEST_INIT;
    int result = daemon_open(&daemon, cli, DAEMON_WORK_MS, &error);
    if (result == 0)
        result = daemon_call_method(&daemon, &flocks_upgrade_methods[FLOCKS_UPGRADE_GET_UPGRADE],
            &request.base, &message, &error);
    if (result == 0)
        outcome = abort_there(&daemon, (const flocks_get_upgrade_response *)message);
    else if (result == DAEMON_NOT_RUNNING || result == -STATUS_NOT_FOUND)
        outcome = abort_here(cli);
    else
        outcome = daemon_report(&daemon, &error);
    rpc_message_free(message);
    daemon_close(&daemon);
    return outcome;
}
