/* `flocks restart`. */
#include <stdio.h>

#include "client/cli/cli.h"
#include "client/cli/daemon.h"
#include "client/cli/report.h"
#include "client/cli/run_services.h"
#include "client/cli/shutdown.h"
#include "client/cli/startup.h"

/* Reads what the running daemon was told; nothing when none runs. */
static int inherit(struct startup *startup, struct daemon *daemon, struct error *error)
{
    CLEANUP(daemon_free_config) const flocks_get_config_response *running = NULL;
    int result = daemon_get_config(daemon, &running, error);
    if (result != 0)
        return result == DAEMON_NOT_RUNNING ? 0 : result;
    return startup_inherit(startup, running, error);
}

/* 0, STARTUP_MISTAKEN or negative. */
static int replace(struct startup *startup, struct daemon *daemon, struct error *error)
{
    struct shutdown_outcome ended = {.was_running = false};
    int result = inherit(startup, daemon, error);
    if (result == 0)
        result = startup_check(startup, error);
    if (result == 0)
        result = startup_may_replace(daemon, error);
    if (result == 0)
        result = shutdown_instance(startup->cli, &ended, error);
    shutdown_outcome_free(&ended);
    return result == 0 ? startup_launch(startup, error) : result;
}

static int refuse_settings(const struct startup *startup, struct error *error)
{
    if (startup->n_command_line == 0 && !cli_text(startup->cli, OPTION_LOG_LEVEL))
        return 0;
    return error_set(error, STATUS_INVALID_ARGUMENT,
        "settings apply to the whole daemon; restart it without naming services");
}

static enum outcome run_restart(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct startup startup;
    struct daemon daemon;
    enum outcome outcome = OUTCOME_FAILED;
    bool some = cli->options.n_operands > 0;
    startup_init(&startup, cli);
    int result = daemon_open(&daemon, cli, DAEMON_WORK_MS, &error);
    if (result == 0)
        result = some ? refuse_settings(&startup, &error) : replace(&startup, &daemon, &error);
    if (result == STARTUP_MISTAKEN)
        outcome = report_mistakes(cli, &startup.mistakes);
    else if (result < 0)
        outcome = daemon_report(&daemon, &error);
    else
        outcome = run_services(
            &daemon, some ? FLOCKS_SUPERVISOR_RESTART_SERVICES : FLOCKS_SUPERVISOR_START_SERVICES);
    daemon_close(&daemon);
    startup_deinit(&startup);
    return outcome;
}

static const enum option_id restart_options[] = {OPTION_NO_BROWSER, OPTION_SKIP_WEBUI_BUILD,
    OPTION_SERVER_HOST, OPTION_SERVER_PORT, OPTION_WEBUI_HOST, OPTION_WEBUI_PORT, OPTION_LOG_LEVEL,
    OPTION_END};

const struct command command_restart = {
    .name = "restart",
    .summary = "restart services, or the daemon with all of them",
    .operands = "[SERVICE...]",
    .details = "With names: the running daemon restarts those services. Without: daemon and "
               "services are stopped\n"
               "and started anew, which applies a changed configuration file; the file and the "
               "endpoints that the\n"
               "running daemon was given on its command line or by its environment are kept unless "
               "given here.",
    .options = restart_options,
    .operand = OPERAND_SERVICES,
    .run = run_restart,
};
