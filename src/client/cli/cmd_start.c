/* `flocks start`. */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

#include "client/cli/cli.h"
#include "client/cli/daemon.h"
#include "client/cli/instance.h"
#include "client/cli/report.h"
#include "client/cli/run_services.h"
#include "client/cli/shutdown.h"
#include "client/cli/startup.h"

/* What is to be done with an instance that lives. */
enum plan { PLAN_LAUNCH, PLAN_USE, PLAN_REPLACE };

static int make_plan(
    struct startup *startup, struct daemon *daemon, enum plan *out, struct error *error)
{
    struct instance instance;
    CLEANUP(daemon_free_config) const flocks_get_config_response *running = NULL;
    int result = instance_look(&startup->cli->paths, &instance, error);
    *out = PLAN_LAUNCH;
    if (result < 0 || !instance.lives)
        return result;
    result = daemon_get_config(daemon, &running, error);
    if (result != 0)
        return result == DAEMON_NOT_RUNNING ? 0 : result;
    *out = startup_differs(startup, running) ? PLAN_REPLACE : PLAN_USE;
    return 0;
}

static int replace(const struct cli *cli, struct error *error)
{
    struct shutdown_outcome ended;
    if (cli->notes)
        fputs("flocks: configuration changed, restarting\n", cli->notes);
    int result = shutdown_instance(cli, &ended, error);
    shutdown_outcome_free(&ended);
    return result;
}

static int refuse_second(struct error *error)
{
    int result =
        error_set(error, STATUS_ALREADY_EXISTS, "a daemon runs already, in the background");
    error_set_hint(error, "`flocks stop` ends it");
    return result;
}

/* 0, STARTUP_MISTAKEN or negative. */
static int bring_up(struct startup *startup, struct daemon *daemon, struct error *error)
{
    const struct cli *cli = startup->cli;
    enum plan plan = PLAN_LAUNCH;
    int result = make_plan(startup, daemon, &plan, error);
    if (result < 0)
        return result;
    if (plan == PLAN_USE && cli_flag(cli, OPTION_FOREGROUND, false))
        return refuse_second(error);
    if (plan == PLAN_USE) {
        if (cli->notes)
            fputs("flocks: runs already\n", cli->notes);
        return 0;
    }
    result = startup_check(startup, error);
    if (result == 0 && plan == PLAN_REPLACE)
        result = startup_may_replace(daemon, error);
    if (result == 0 && plan == PLAN_REPLACE)
        result = replace(cli, error);
    return result == 0 ? startup_launch(startup, error) : result;
}

/* The keeper in this terminal ends what is to be ended; we pass on its exit. */
static enum outcome wait_foreground(pid_t keeper)
{
    int status = 0;
    while (waitpid(keeper, &status, 0) < 0)
        if (errno != EINTR)
            return OUTCOME_FAILED;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
}

static enum outcome run_start(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct startup startup;
    struct daemon daemon;
    enum outcome outcome = OUTCOME_FAILED;
    startup_init(&startup, cli);
    int result = daemon_open(&daemon, cli, DAEMON_WORK_MS, &error);
    if (result == 0)
        result = bring_up(&startup, &daemon, &error);
    if (result == STARTUP_MISTAKEN)
        outcome = report_mistakes(cli, &startup.mistakes);
    else if (result < 0)
        outcome = daemon_report(&daemon, &error);
    else
        outcome = run_services(&daemon, FLOCKS_SUPERVISOR_START_SERVICES);
    daemon_close(&daemon);
    if (startup.foreground > 0)
        outcome = wait_foreground(startup.foreground);
    startup_deinit(&startup);
    return outcome;
}

static const enum option_id start_options[] = {OPTION_FOREGROUND, OPTION_NO_BROWSER,
    OPTION_SKIP_WEBUI_BUILD, OPTION_SERVER_HOST, OPTION_SERVER_PORT, OPTION_WEBUI_HOST,
    OPTION_WEBUI_PORT, OPTION_LOG_LEVEL, OPTION_END};

const struct command command_start = {
    .name = "start",
    .summary = "start the daemon and its services, and wait until they are healthy",
    .operands = "[SERVICE...]",
    .details =
        "Runs a daemon in this root unless one runs, has it start the named services (none: all), "
        "waits\n"
        "for them and shows their status. A running daemon keeps its settings; given another host "
        "or port\n"
        "here, it is stopped and started anew. Opens the WebUI in a browser on a desktop.\n"
        "Exits with 0 only when every wanted service is healthy.",
    .options = start_options,
    .operand = OPERAND_SERVICES,
    .run = run_start,
};
